"""Attention against a softmax in f64, document by document.

Bounds: p and ds are rounded to bf16 (2^-8 of each term) where they enter a product, o, dq, dk and dv once at the end; o
enters delta as it was rounded. What f32 adds is below a tenth of that. So, with P and dS the probabilities and
their gradients: o within 1.1 x 2^-8 P |v|, dv of P^T |do|, dq and dk of |dS| |k| and |dS|^T |q| and of delta's error.
"""

import torch

from suite import calls
from suite.check import HALF_STEP, Checker, half, like, single
from suite.weights import Source

TERM = 1.1 * HALF_STEP
BOUND = "1.1 x 2^-8 of the sum of the terms' sizes"


class Documents:
    """q, k, v and do of packed documents."""

    def __init__(self, device, source, d, h, hkv, lengths):
        self.n, self.lengths = sum(lengths), lengths
        self.heads = (h, hkv, d, d**-0.5)
        self.q, self.d_o = source.half(self.n, h, d, scale=2.0), source.half(self.n, h, d)
        self.k, self.v = source.half(self.n, hkv, d), source.half(self.n, hkv, d)
        first, visible, start = [], [], 0
        for length in lengths:
            first += [start] * length
            visible += range(1, length + 1)
            start += length
        self.first = torch.tensor(first, dtype=torch.int32, device=device.torch_device)
        self.visible = torch.tensor(visible, dtype=torch.int32, device=device.torch_device)

    def inputs(self):
        return self.q, self.k, self.v, self.first, self.visible


def soften(q, k, scale, seen):
    """P and lse in f64; row i sees the first seen[i] keys."""
    scores = q.double() @ k.double().T * scale
    hidden = torch.arange(len(k), device=q.device)[None, :] >= seen[:, None]
    lse = scores.masked_fill_(hidden, -torch.inf).logsumexp(1)
    return torch.exp(scores - lse[:, None]), lse


class Reference:
    """Outputs in f64 and what they may be off by, head by head."""

    def __init__(self, of):
        h, hkv, _, self.scale = of.heads
        wide, narrow = of.q.shape, of.k.shape
        make = lambda shape: torch.zeros(shape, dtype=torch.float64, device=of.q.device)
        self.o, self.dq, self.dk, self.dv = (make(shape) for shape in (wide, wide, narrow, narrow))
        self.o_within, self.dq_within = make(wide), make(wide)
        self.dk_within, self.dv_within = make(narrow), make(narrow)
        self.lse = make(wide[:2])
        start = 0
        for length in of.lengths:
            for head in range(h):
                self.document(of, slice(start, start + length), head, head // (h // hkv))
            start += length

    def document(self, of, rows, head, key_head):
        q, d_o = of.q[rows, head].double(), of.d_o[rows, head].double()
        k, v = of.k[rows, key_head].double(), of.v[rows, key_head].double()
        p, lse = soften(q, k, self.scale, torch.arange(1, len(q) + 1, device=q.device))
        o = p @ v
        self.o[rows, head], self.lse[rows, head] = o, lse
        self.o_within[rows, head] = TERM * (p @ v.abs())
        delta = (d_o * o).sum(1, keepdim=True)
        # o was rounded, and was off before that.
        off = (d_o.abs() * (HALF_STEP * o.abs() + self.o_within[rows, head])).sum(1, keepdim=True)
        ds, ds_off = p * (d_o @ v.T - delta) * self.scale, p * off * self.scale
        size = TERM * ds.abs() + ds_off
        self.dq[rows, head], self.dq_within[rows, head] = ds @ k, size @ k.abs()
        self.dk[rows, key_head] += ds.T @ q
        self.dk_within[rows, key_head] += size.T @ q.abs()
        self.dv[rows, key_head] += p.T @ d_o
        self.dv_within[rows, key_head] += TERM * (p.T @ d_o.abs())


def check_documents(on, source, d, h, hkv, lengths):
    of = Documents(on.device, source, d, h, hkv, lengths)
    case, want = f"D {d} H {h}/{hkv} documents {lengths}", Reference(of)
    o, lse = on.twice(case, lambda: [half(on.device, of.n, h, d), single(on.device, of.n, h)],
                      lambda o, lse: [calls.attention_forward(*of.inputs(), o, lse, of.heads)])
    on.rounded(case, "o", o, want.o, want.o_within + 1e-30, BOUND)
    on.near(case, "lse", lse, want.lse, 1e-5 + 1e-6 * want.lse.abs(), "1e-5 + 1e-6 |lse|")
    (delta,) = on.twice(case, lambda: [single(on.device, of.n, h)],
                        lambda delta: [calls.attention_delta(of.d_o, o, delta, of.heads)])
    terms = of.d_o.double() * o.double()
    on.near(case, "delta", delta, terms.sum(2), 1e-6 * terms.abs().sum(2) + 1e-30, "1e-6 of the terms' sizes")
    more = (of.d_o, lse, delta)
    (dq,) = on.twice(case, lambda: [half(on.device, of.n, h, d)],
                     lambda dq: [calls.attention_queries(*of.inputs(), *more, dq, of.heads)])
    dk, dv = on.twice(case, lambda: [half(on.device, of.n, hkv, d) for _ in range(2)],
                      lambda dk, dv: [calls.attention_keys(*of.inputs(), *more, dk, dv, of.heads)])
    for what, got in (("dq", dq), ("dk", dk), ("dv", dv)):
        on.rounded(case, what, got, getattr(want, what), getattr(want, f"{what}_within") + 1e-30, BOUND)


def check_slots(on, source, d, h, hkv, seen):
    """Queries at the end of what slots of a cache hold: by the decode kernels, and by the forward kernel."""
    heads, n, rows = (h, hkv, d, d**-0.5), len(seen), sum(seen) + 13
    q, k, v = source.half(n, h, d, scale=2.0), source.half(rows, hkv, d), source.half(rows, hkv, d)
    on_device = lambda values: torch.tensor(values, dtype=torch.int32, device=q.device)
    starts = [7 + sum(seen[:i]) for i in range(n)]
    first, visible = on_device(starts), on_device(list(seen))
    o, within, lse = (torch.zeros(shape, dtype=torch.float64, device=q.device) for shape in (q.shape, q.shape, (n, h)))
    for i, (start, count) in enumerate(zip(starts, seen)):
        for head in range(h):
            keys, values = (it[start : start + count, head // (h // hkv)] for it in (k, v))
            p, one = soften(q[i, head][None], keys, heads[3], torch.tensor([count], device=q.device))
            o[i, head], lse[i, head] = (p @ values.double())[0], one[0]
            within[i, head] = TERM * (p @ values.double().abs())[0]

    def outputs(count, parts):
        return [single(on.device, count, h, parts, d + 2), half(on.device, count, h, d), single(on.device, count, h)]

    def launches(space, to, to_lse):
        count = len(to)
        return [calls.attention_decode(q[:count], k, v, first[:count], visible[:count], space, heads),
                calls.attention_add_parts(space, visible[:count], to, to_lse, heads)]

    case, parts = f"D {d} H {h}/{hkv} keys {seen}", -(-max(seen) // 256)
    _, decoded, decoded_lse = on.twice(case, lambda: outputs(n, parts), launches)
    plain, plain_lse = on.twice(case, lambda: [half(on.device, n, h, d), single(on.device, n, h)],
                                lambda a, b: [calls.attention_forward(q, k, v, first, visible, a, b, heads)])
    for name, got, got_lse in (("decode", decoded, decoded_lse), ("forward", plain, plain_lse)):
        on.rounded(case, f"o of {name}", got, o, within + 1e-30, BOUND)
        on.near(case, f"lse of {name}", got_lse, lse, 1e-5 + 1e-6 * lse.abs(), "1e-5 + 1e-6 |lse|")
    _, alone, _ = on.twice(case, lambda: outputs(1, parts + 3), launches)
    on.equal(case, "alone and together", decoded[0], alone[0])


def check_store(on, source, width):
    before, rows = source.half(5, width), torch.tensor([4, 0, 2], dtype=torch.int32, device=on.device.torch_device)
    given = source.half(3, width)
    (to,) = on.twice(f"width {width}", lambda: [like(on.device, before)], lambda to: [calls.attention_store(given, to, rows)])
    want = before.clone()
    want[rows.long()] = given
    on.equal(f"width {width}", "cache", to, want)


def run(recorder, device, sizes):
    on, source = Checker(recorder, device, "attention"), Source(device.torch_device, 3)
    for case in sizes.dims:
        check_documents(on, source, *case)
    for case in sizes.decode:
        check_slots(on, source, *case)
    check_store(on, source, sizes.keys)
