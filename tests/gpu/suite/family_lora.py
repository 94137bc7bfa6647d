"""lora against torch in f64. t and e are looked at as they were rounded, so that what follows is exact."""

from suite import calls
from suite.check import PRODUCT, Checker, half, like, product
from suite.weights import Source

SCALE = 0.375


def check_chain(on, source, n, inner, out, rank):
    case = f"{out} x {inner} R {rank} N {n}"
    x, dy, a, b = source.half(n, inner), source.half(n, out), source.half(rank, inner), source.half(out, rank)
    y0, dx0, da0, db0 = source.half(n, out), source.half(n, inner), source.single(rank, inner), source.single(out, rank)
    (t,) = on.twice(case, lambda: [half(on.device, n, rank)], lambda t: [calls.lora_down(x, a, t, n)])
    (e,) = on.twice(case, lambda: [half(on.device, n, rank)], lambda e: [calls.lora_error(dy, b, e, n)])
    on.rounded(case, "t", t, *product(x, a), PRODUCT)
    on.rounded(case, "e", e, *product(dy, b.T), PRODUCT)
    added = (
        ("y", y0, (t, b), lambda to: calls.lora_up(t, b, to, SCALE, n)),
        ("db", db0, (dy.T, t.T), lambda to: calls.lora_gradient_b(dy, t, to, SCALE, n)),
        ("da", da0, (e.T, x.T), lambda to: calls.lora_gradient_a(e, x, to, SCALE, n)),
        ("dx", dx0, (e, a.T), lambda to: calls.lora_back(e, a, to, SCALE, n)),
    )
    for what, before, factors, launch in added:
        sums, within = product(*factors)
        want = before.double() + SCALE * sums
        (got,) = on.twice(case, lambda it=before: [like(on.device, it)], lambda to, go=launch: [go(to)])
        compare = on.rounded if got.element_size() == 2 else on.near
        compare(case, what, got, want, SCALE * within + 2.0**-22 * (before.double().abs() + want.abs()), PRODUCT)


def check_few(on, source, n, inner, ranks):
    """Up to three adapters; one row of several has the bits that it has alone."""
    case = f"few N {n} R {ranks}"
    x = source.half(n, inner)
    adapters = [source.half(rank, inner) if rank else None for rank in ranks]

    def launch(rows, *ts):
        given = iter(ts)
        return calls.lora_down_few(x, adapters, [next(given) if a is not None else None for a in adapters], rows)

    def outputs(rows):
        return [half(on.device, rows, rank) for rank in ranks if rank]

    got = on.twice(case, lambda: outputs(n), lambda *ts: [launch(n, *ts)])
    alone = on.twice(case, lambda: outputs(1), lambda *ts: [launch(1, *ts)])
    for a, t, first in zip([a for a in adapters if a is not None], got, alone):
        on.rounded(case, "t", t, *product(x, a), PRODUCT)
        on.equal(case, "alone and together", t[0], first[0])


def run(recorder, device, sizes):
    on, source = Checker(recorder, device, "lora"), Source(device.torch_device, 2)
    shapes = ((sizes.hidden, sizes.ffn), (sizes.ffn, sizes.hidden), (sizes.hidden, sizes.keys))
    for inner, out in shapes:
        for n in sizes.rows:
            check_chain(on, source, n, inner, out, sizes.rank)
    check_chain(on, source, sizes.rows[0], sizes.hidden, sizes.hidden, 40)
    for n in sizes.few:
        check_few(on, source, n, sizes.hidden, (sizes.rank, 40, 0))
        check_few(on, source, n, sizes.ffn, (0, 8, sizes.rank))
