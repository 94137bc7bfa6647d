"""rms_norm, rope, swiglu, embed, residual and adamw against torch in f64."""

import torch

from suite import calls
from suite.check import Checker, Output, half, like, single
from suite.weights import Source

EPS = 1e-5


def check_norm(on, source, n, c, dtype):
    case = f"N {n} C {c} w {dtype}".replace("torch.", "")
    x, dy, before = source.half(n, c), source.half(n, c), source.half(n, c)
    w = (1 + source.single(c, scale=0.3)).to(dtype)
    y, rstd = on.twice(case, lambda: [half(on.device, n, c), single(on.device, n)],
                       lambda y, rstd: [calls.rms_forward(x, w, y, rstd, EPS)])
    wide, scale = x.double(), (x.double().pow(2).mean(1) + EPS).rsqrt()
    want = wide * scale[:, None] * w.double()
    # A thread adds c / 256 squares, then 5 steps between lanes and 8 warps; half of that, relative, in rstd.
    part = (c / 256 + 16) * 2.0**-24
    bound = "(C / 256 + 16) 2^-24 relative"
    on.near(case, "rstd", rstd, scale, part * scale, bound)
    on.rounded(case, "y", y, want, (part + 2.0**-22) * want.abs(), bound)
    (again,) = on.twice(case, lambda: [half(on.device, n, c)], lambda y: [calls.rms_apply(x, w, rstd, y)])
    on.equal(case, "apply is forward", again, y)
    u, xh = dy.double() * w.double(), wide * scale[:, None]
    mean, size = (u * xh).mean(1, keepdim=True), (u * xh).abs().mean(1, keepdim=True)
    want = before.double() + scale[:, None] * (u - xh * mean)
    terms = scale[:, None] * (u.abs() + xh.abs() * size)
    (dx,) = on.twice(case, lambda: [like(on.device, before)], lambda dx: [calls.rms_backward(x, w, rstd, dy, dx)])
    on.rounded(case, "dx", dx, want, (part + 2.0**-21) * (terms + want.abs()), bound + ", of the terms' sizes")
    dw0 = source.single(c)
    (dw,) = on.twice(case, lambda: [like(on.device, dw0)], lambda dw: [calls.rms_weight_gradient(x, rstd, dy, dw)])
    terms = dy.double() * xh
    on.near(case, "dw", dw, dw0.double() + terms.sum(0), (n + 4) * 2.0**-24 * (terms.abs().sum(0) + dw0.abs()),
            "(N + 4) 2^-24 of the terms' sizes")


def check_rope(on, source, n, heads, d):
    case = f"N {n} H {heads} D {d}"
    x, places = source.half(n, heads, d), 4096
    angles = torch.arange(places)[:, None] * 500000.0 ** (-torch.arange(d // 2) * 2 / d)[None, :]
    table = torch.cat([angles.cos(), angles.sin()], 1).float().to(source.on)
    positions = (torch.arange(n, device=source.on) * 37 % places).int()
    for sign in (1.0, -1.0):
        (got,) = on.twice(case, lambda: [like(on.device, x)], lambda it, s=sign: [calls.rope(it, positions, table, heads, d, s)])
        row = table[positions.long()].double()[:, None, :]
        cosine, sine = row[..., : d // 2], sign * row[..., d // 2 :]
        low, high = x.double()[..., : d // 2], x.double()[..., d // 2 :]
        want = torch.cat([low * cosine - high * sine, high * cosine + low * sine], 2)
        within = 2.0**-22 * (low.abs() + high.abs()).repeat(1, 1, 2) + 1e-30
        on.rounded(case, f"sign {sign:.0f}", got, want, within, "2^-22 (|low| + |high|)")


def check_place(on, source, n, heads, d):
    case, keys = f"N {n} H {heads} D {d}", 2
    q, k, v = source.half(n, heads, d), source.half(n, keys, d), source.half(n, keys, d)
    table, before = source.single(64, d), source.half(n + 3, keys, d)
    positions = (torch.arange(n, device=source.on) * 37 % 64).int()
    rows = torch.arange(n - 1, -1, -1, device=source.on).int()
    got = on.twice(case, lambda: [like(on.device, it) for it in (q, before, before)],
                   lambda it, ks, vs: [calls.rope_place(it, k, v, positions, table, rows, ks, vs)])
    turned = [on.twice(case, lambda x=x: [like(on.device, x)],
                       lambda it, x=x: [calls.rope(it, positions, table, x.shape[1], d, 1.0)])[0] for x in (q, k)]
    want_keys, want_values = before.clone(), before.clone()
    want_keys[rows.long()], want_values[rows.long()] = turned[1].to(before.device), v
    for name, one, other in zip(("q", "keys", "values"), got, (turned[0], want_keys, want_values)):
        on.equal(case, f"{name} as rope_rotate has it", one, other)


def check_gates(on, source, count):
    case, bound = f"{count}", "2e-6 of the terms' sizes"
    g, u, dh = source.half(count, scale=5.0), source.half(count), source.half(count)
    (h,) = on.twice(case, lambda: [half(on.device, count)], lambda h: [calls.swiglu_forward(g, u, h)])
    dg, du = on.twice(case, lambda: [like(on.device, g), like(on.device, u)], lambda a, b: [calls.swiglu_backward(dh, a, b)])
    gate, up, error = g.double(), u.double(), dh.double()
    s = torch.sigmoid(gate)
    want = gate * s * up
    on.rounded(case, "h", h, want, 2e-6 * want.abs() + 1e-30, bound)
    want = error * gate * s
    on.rounded(case, "du", du, want, 2e-6 * want.abs() + 1e-30, bound)
    size = (error * up * s).abs() * (1 + (gate * (1 - s)).abs())
    on.rounded(case, "dg", dg, error * up * s * (1 + gate * (1 - s)), 2e-6 * size + 1e-30, bound)


def check_embed(on, source, n, v, c):
    case = f"N {n} V {v} C {c}"
    ids = (v - 1 - torch.arange(n, device=source.on) * 7919 % v).int()  # the last row first
    single_table = source.single(v, c)
    for table in (single_table, single_table.bfloat16(), single_table.half()):
        (y,) = on.twice(case, lambda: [half(on.device, n, c)], lambda y, t=table: [calls.embed_forward(ids, t, y)])
        on.equal(case, f"y of {table.dtype}".replace("torch.", ""), y, table[ids.long()].float().bfloat16())
    table = source.q8(v, c)
    (y,) = on.twice(case, lambda: [half(on.device, n, c)], lambda y: [calls.embed_forward(ids, table.arguments(), y)])
    on.equal(case, "y of 8 bits", y, table.decoded()[ids.long()])


def check_scatter(on, source, n, v, c):
    case, dy, before = f"N {n} V {v} C {c}", source.half(n, c), source.single(v, c)
    ids = (torch.arange(n, device=source.on) * 7919 % v).int()
    ids[n // 2 :] = ids[0]  # tokens repeat
    (got,) = on.twice(case, lambda: [like(on.device, before)], lambda to: [calls.embed_backward(ids, dy, to)])
    want = before.double().index_add_(0, ids.long(), dy.double())
    size = before.double().abs().index_add_(0, ids.long(), dy.double().abs())
    on.near(case, "dtable", got, want, (n + 4) * 2.0**-24 * size + 1e-30, "(N + 4) 2^-24 of the terms' sizes")


def check_moves(on, source, count):
    given = source.bytes(count)
    for skipped in (0, 1):  # an address that is no multiple of 16
        n = count - skipped
        copied, zeroed = on.twice(f"{n} bytes", lambda n=n: [Output(on.device, (n,), torch.uint8) for _ in range(2)],
                                  lambda a, b, s=skipped: [calls.copy(given[s:], a, len(a)), calls.zero(b, len(b))])
        on.equal(f"{n} bytes", "copy", copied, given[skipped:])
        on.equal(f"{n} bytes", "zero", zeroed, torch.zeros_like(zeroed))


def check_norms(on, source, count):
    g = source.single(count, scale=3.0)
    parts = -(-count // 4096)
    (got,) = on.twice(f"{count}", lambda: [single(on.device, parts)], lambda to: [calls.squared_norm(g, to)])
    padded = torch.zeros(parts * 4096, dtype=torch.float64, device=source.on)
    padded[:count] = g.double() ** 2
    want = padded.view(parts, 4096).sum(1)
    on.near(f"{count}", "partial", got, want, 29 * 2.0**-24 * want, "29 x 2^-24 relative")


def run(recorder, device, sizes):
    source = Source(device.torch_device, 5)
    checker = lambda family: Checker(recorder, device, family)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        for n in sizes.rows[:2]:
            check_norm(checker("rms_norm"), source, n, sizes.hidden, dtype)
    for d, h, *_ in sizes.dims:
        check_rope(checker("rope"), source, sizes.rows[-1], h, d)
        check_place(checker("rope"), source, sizes.rows[-1], h, d)
    for count in (8, 1016, sizes.rows[-1] * sizes.ffn):
        check_gates(checker("swiglu"), source, count)
    check_embed(checker("embed"), source, sizes.rows[-1], sizes.vocabulary, sizes.hidden)
    check_scatter(checker("embed"), source, sizes.rows[-1], min(sizes.vocabulary, 8192), sizes.hidden)
    for count in (1, 15, 4099, sizes.rows[-1] * sizes.hidden * 2):
        check_moves(checker("residual"), source, count)
    for count in (1, 4096, 9001, sizes.ffn * sizes.rank + 5):
        check_norms(checker("adamw"), source, count)
