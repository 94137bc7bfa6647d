"""qlinear against torch in f64 on the weights as they are decoded."""

import torch

from suite import calls
from suite.check import PRODUCT, Checker, half, like, product, single
from suite.weights import Source


def kinds(source, out, inner):
    return (source.nf4(out, inner), source.nf4(out, inner, doubled=False), source.q8(out, inner), source.dense(out, inner))


def named(weight):
    double = weight.kind == "nf4" and weight.q is not None
    return f"{weight.kind}{' double' if double else ''} {weight.out} x {weight.inner}"


def check_decode(on, source, weight):
    """Rows of x with a single 1 give columns of W: the decoded bits themselves, by both paths and both ways."""
    for n, of in ((min(256, weight.inner), weight.inner), (8, weight.inner)):
        at = torch.arange(n, device=source.on) * (of // n) + of // n - 1
        x = torch.zeros(n, weight.inner, dtype=torch.bfloat16, device=source.on)
        x[torch.arange(n, device=source.on), at] = 1.0
        launch = calls.forward if n > 8 else calls.vector
        (y,) = on.twice(named(weight), lambda n=n: [half(on.device, n, weight.out)],
                        lambda y, n=n, x=x: [launch(weight, x, y, n, calls.OVERWRITE)])
        # A sum that begins with +0 turns -0 to +0.
        on.equal(named(weight), f"decoded columns, N {n}", y + 0.0, weight.decoded()[:, at].T + 0.0)
    n = min(256, weight.out)
    at = torch.arange(n, device=source.on) * (weight.out // n)
    dy = torch.zeros(n, weight.out, dtype=torch.bfloat16, device=source.on)
    dy[torch.arange(n, device=source.on), at] = 1.0
    (dx,) = on.twice(named(weight), lambda: [half(on.device, n, weight.inner)],
                     lambda dx: [calls.backward(weight, dy, dx, n, calls.OVERWRITE)])
    on.equal(named(weight), f"decoded rows, N {n}", dx + 0.0, weight.decoded()[at] + 0.0)


def check_large(on, source, weight, n):
    """y and dx over what is there, and added to it."""
    case = f"{named(weight)} N {n}"
    w = weight.decoded()
    x, dy = source.half(n, weight.inner), source.half(n, weight.out)
    for what, left, right, launch in (("y", x, w, calls.forward), ("dx", dy, w.T, calls.backward)):
        want, within = product(left, right)
        before = source.half(*want.shape)
        (got,) = on.twice(case, lambda s=want.shape: [half(on.device, *s)],
                          lambda to, c=launch, a=left: [c(weight, a, to, n, calls.OVERWRITE)])
        on.rounded(case, what, got, want, within, PRODUCT)
        (got,) = on.twice(case, lambda b=before: [like(on.device, b)],
                          lambda to, c=launch, a=left: [c(weight, a, to, n, calls.ADD)])
        want = want + before.double()
        on.rounded(case, f"{what} added", got, want, within + 2.0**-23 * want.abs(), PRODUCT)


def check_single(on, source, weight, n):
    """f32 outputs: a head's logits."""
    case = f"{named(weight)} N {n}"
    x = source.half(n, weight.inner)
    want, within = product(x, weight.decoded())
    launch = calls.vector if n <= 8 else calls.forward
    (got,) = on.twice(case, lambda: [single(on.device, n, weight.out)],
                      lambda y: [launch(weight, x, y, n, calls.SINGLE)])
    on.near(case, "y in f32", got, want, within, PRODUCT)


def check_few(on, source, weight, rows, rank):
    """Vectors, with an adapter folded into NF4; one of several has the bits that it has alone."""
    w, x, t = weight.decoded(), source.half(max(rows), weight.inner), source.half(max(rows), rank)
    b, scale, first = source.half(weight.out, rank), 0.5, None
    adapter = (b, rank, t, rank, scale) if weight.kind == "nf4" else calls.NO_ADAPTER
    for n in rows:
        case = f"{named(weight)} N {n}"
        before = source.half(max(rows), weight.out)
        want, within = product(x[:n], w)
        if weight.kind == "nf4":
            more, also = product(t[:n], b)
            want, within = want + scale * more, within + scale * also
        (got,) = on.twice(case, lambda n=n: [half(on.device, n, weight.out)],
                          lambda y, n=n: [calls.vector(weight, x, y, n, calls.OVERWRITE, adapter)])
        on.rounded(case, "vector", got, want, within, PRODUCT)
        first = got[0].clone() if first is None else first
        on.equal(case, "alone and together", got[0], first)
        (got,) = on.twice(case, lambda n=n, it=before: [like(on.device, it[:n])],
                          lambda y, n=n: [calls.vector(weight, x, y, n, calls.ADD, adapter)])
        want = want + before[:n].double()
        on.rounded(case, "vector added", got, want, within + 2.0**-23 * want.abs(), PRODUCT)


def check_together(on, source, sizes, n):
    """q, k and v, and gate and up, in one launch: the bits of single launches."""
    x, rank, scale = source.half(n, sizes.hidden), sizes.rank, 0.5
    outs = (sizes.hidden, sizes.keys, sizes.keys)
    parts = [source.nf4(out, sizes.hidden, doubled=i != 1) for i, out in enumerate(outs)]
    gate, up = source.nf4(sizes.ffn, sizes.hidden), source.nf4(sizes.ffn, sizes.hidden)
    adapters = [(source.half(w.out, rank), rank, source.half(n, rank), 0 if i == 1 else rank, scale)
                for i, w in enumerate([*parts, gate, up])]
    adapters[2] = calls.NO_ADAPTER

    def alone(weight, adapter):
        return on.twice(f"N {n}", lambda: [half(on.device, n, weight.out)],
                        lambda y: [calls.vector(weight, x, y, n, calls.OVERWRITE, adapter)])[0]

    got = on.twice(f"three N {n}", lambda: [half(on.device, n, out) for out in outs],
                   lambda *ys: [calls.three_vector(parts, adapters[:3], x, ys, n)])
    for name, y, weight, adapter in zip("qkv", got, parts, adapters):
        on.equal(f"three N {n}", name, y, alone(weight, adapter))
    (h,) = on.twice(f"gated N {n}", lambda: [half(on.device, n, gate.out)],
                    lambda h: [calls.gated_vector(gate, up, adapters[3:], x, h, n)])
    g, u = alone(gate, adapters[3]), alone(up, adapters[4])
    (want,) = on.twice(f"gated N {n}", lambda: [half(on.device, n, gate.out)],
                       lambda h: [calls.swiglu_forward(g, u, h)])
    on.equal(f"gated N {n}", "h", h, want)


def check_gradient(on, source, out, inner, n):
    dy, x, before = source.half(n, out), source.half(n, inner), source.single(out, inner)
    want, within = product(dy.T, x.T)
    want = want + before.double()
    (got,) = on.twice(f"{out} x {inner} N {n}", lambda: [like(on.device, before)],
                      lambda dw: [calls.weight_gradient(dy, x, dw, n)])
    on.near(f"{out} x {inner} N {n}", "dW", got, want, within + 2.0**-23 * want.abs(), PRODUCT)


def run(recorder, device, sizes):
    on, source = Checker(recorder, device, "qlinear"), Source(device.torch_device, 1)
    for place, (out, inner) in enumerate(sizes.weights()):
        for weight in kinds(source, out, inner):
            check_decode(on, source, weight)
            # The greatest N at one shape: the reference, not the kernel, takes the time.
            for n in sizes.rows if place == 0 else sizes.rows[:2]:
                check_large(on, source, weight, n)
            check_few(on, source, weight, sizes.few, sizes.rank)
    for weight in (source.dense(sizes.vocabulary, sizes.hidden), source.q8(sizes.vocabulary, sizes.hidden),
                   source.nf4(sizes.vocabulary, sizes.hidden)):
        for n in (*sizes.few, sizes.rows[0]):
            check_single(on, source, weight, n)
    for n in sizes.few:
        check_together(on, source, sizes, n)
    check_gradient(on, source, sizes.ffn, sizes.hidden, sizes.rows[-1])
