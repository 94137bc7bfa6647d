"""Every kernel with the sizes it has in a model, and the bytes and operations that it cannot do without.

Bytes are counted once: what is read and what is written. Operations are those of the products that the result needs: a
causal forward has 2 T^2 D H, a backward 5 T^2 D H, whatever a kernel computes again.
"""

from typing import NamedTuple

import torch

from suite import calls
from suite.weights import Source


class Shape(NamedTuple):
    hidden: int
    ffn: int
    keys: int
    heads: int
    key_heads: int
    vocabulary: int
    table: int  # rows of an embedding; the greatest would be a model's memory four times
    rows: tuple  # N of products; the second one of everything else
    tokens: tuple  # T of attention
    depths: tuple
    chunk: int
    rank: int
    copied: int


REAL = Shape(4096, 14336, 1024, 32, 8, 128256, 32768, (1024, 2048, 8192), (2048, 8192, 32768), (4096, 16384), 512, 16, 1 << 28)
TINY = Shape(256, 192, 128, 4, 2, 1304, 1304, (9, 130, 257), (65,), (300,), 40, 16, 10000)


class Work(NamedTuple):
    """`make` gives a launch on buffers of its own."""

    what: str
    make: object
    moved: float
    operations: float


def nbytes(*tensors):
    return float(sum(it.nbytes for it in tensors if it is not None))


class Maker:
    """Buffers for one device."""

    def __init__(self, device, shape):
        self.shape, self.source, self.on = shape, Source(device.torch_device, 7), device.torch_device

    def half(self, *shape):
        return self.source.half(*shape)

    def empty(self, *shape, dtype=torch.bfloat16):
        return torch.zeros(shape, dtype=dtype, device=self.on)

    def integers(self, values):
        return torch.as_tensor(values, dtype=torch.int32, device=self.on)


def products(it):
    """qlinear for many rows."""
    s = it.shape
    n = s.rows[1]
    cases = [("nf4", s.ffn, s.hidden, rows) for rows in s.rows]
    cases += [(kind, s.ffn, s.hidden, n) for kind in ("q8",)]
    cases += [("dense", s.ffn, s.hidden, rows) for rows in s.rows]
    cases += [("nf4", s.hidden, s.hidden, n), ("nf4", s.hidden, s.ffn, n)]
    for kind, out, inner, rows in cases:
        size, work = it.source.weight(kind, out, inner).bytes() + 2 * rows * (out + inner), 2.0 * rows * out * inner
        for way in ("forward", "backward"):

            def make(kind=kind, out=out, inner=inner, rows=rows, way=way):
                weight = it.source.weight(kind, out, inner)
                given, to = (inner, out) if way == "forward" else (out, inner)
                return getattr(calls, way)(weight, it.half(rows, given), it.empty(rows, to), rows, calls.OVERWRITE)

            yield Work(f"qlinear_{kind}_{way} {out}x{inner} N {rows}", make, size, work)
    dy, x, dw = (lambda: it.half(n, s.hidden)), (lambda: it.half(n, s.hidden)), s.hidden * s.hidden
    yield Work(f"qlinear_weight_gradient {s.hidden}x{s.hidden} N {n}",
               lambda: calls.weight_gradient(dy(), x(), it.empty(s.hidden, s.hidden, dtype=torch.float32), n),
               4.0 * n * s.hidden + 8.0 * dw, 2.0 * n * dw)


def adapter(it, weight, n):
    return (it.half(weight.out, it.shape.rank), it.shape.rank, it.half(n, it.shape.rank), it.shape.rank, 0.5)


def vectors(it):
    """qlinear for few rows."""
    s = it.shape
    shapes = [(kind, s.ffn, s.hidden, n) for kind in ("nf4", "q8", "dense") for n in (1, 2, 4, 8)]
    shapes += [("nf4", s.hidden, s.hidden, 1), ("nf4", s.hidden, s.ffn, 1), ("q8", s.vocabulary, s.hidden, 1),
               ("dense", s.vocabulary, s.hidden, 1)]
    for kind, out, inner, n in shapes:

        def make(kind=kind, out=out, inner=inner, n=n):
            weight = it.source.weight(kind, out, inner)
            return calls.vector(weight, it.half(n, inner), it.empty(n, out), n, calls.OVERWRITE)

        size = it.source.weight(kind, out, inner).bytes() + 2 * n * (out + inner)
        yield Work(f"qlinear_{kind}_vector_{n} {out}x{inner}", make, size, 2.0 * n * out * inner)
    for n in (1, 2, 4, 8):
        yield from together(it, n)


def together(it, n):
    """q, k and v, and gate and up, with adapters."""
    s, nf4 = it.shape, it.source.nf4
    outs = (s.hidden, s.keys, s.keys)

    def three():
        parts = [nf4(out, s.hidden) for out in outs]
        ys = [it.empty(n, out) for out in outs]
        return calls.three_vector(parts, [adapter(it, part, n) for part in parts], it.half(n, s.hidden), ys, n)

    def gated():
        gate, up = nf4(s.ffn, s.hidden), nf4(s.ffn, s.hidden)
        both = [adapter(it, gate, n), adapter(it, up, n)]
        return calls.gated_vector(gate, up, both, it.half(n, s.hidden), it.empty(n, s.ffn), n)

    for name, make, out in (("three", three, sum(outs)), ("gated", gated, 2 * s.ffn)):
        size = nf4(out, s.hidden).bytes() + 2 * n * (s.hidden + out) + 2 * out * s.rank
        yield Work(f"qlinear_nf4_{name}_vector_{n} {out}x{s.hidden}", make, size, 2.0 * n * out * (s.hidden + s.rank))


def lora(it):
    s, scale = it.shape, 0.5
    n, inner, out, rank = s.rows[1], s.hidden, s.ffn, s.rank
    wide, skinny = dict(dtype=torch.float32), it.half
    x, dy, t = (lambda: skinny(n, inner)), (lambda: skinny(n, out)), (lambda: skinny(n, rank))
    a, b = (lambda: skinny(rank, inner)), (lambda: skinny(out, rank))
    for what, make, size, work in (
        ("lora_down", lambda: calls.lora_down(x(), a(), t(), n), 2 * n * inner, n * inner),
        ("lora_up", lambda: calls.lora_up(t(), b(), dy(), scale, n), 4 * n * out, n * out),
        ("lora_error", lambda: calls.lora_error(dy(), b(), t(), n), 2 * n * out, n * out),
        ("lora_gradient_b", lambda: calls.lora_gradient_b(dy(), t(), it.empty(out, rank, **wide), scale, n), 2 * n * out, n * out),
        ("lora_gradient_a", lambda: calls.lora_gradient_a(t(), x(), it.empty(rank, inner, **wide), scale, n), 2 * n * inner, n * inner),
        ("lora_back", lambda: calls.lora_back(t(), a(), x(), scale, n), 4 * n * inner, n * inner),
    ):
        yield Work(f"{what} {out}x{inner} R {rank} N {n}", make, float(size + 2 * n * rank), 2.0 * work * rank)
    few = lambda: calls.lora_down_few(skinny(1, inner), [a(), a(), a()], [skinny(1, rank) for _ in range(3)], 1)
    yield Work(f"lora_down_few {inner} R {rank} N 1", few, 6.0 * rank * inner + 2 * inner, 6.0 * rank * inner)


def rows(it):
    """What goes over rows once."""
    s = it.shape
    n, c = s.rows[1], s.hidden
    size, single, x = 2.0 * n * c, dict(dtype=torch.float32), (lambda: it.half(n, c))
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        w, one = (lambda t=dtype: torch.ones(c, dtype=t, device=it.on)), (lambda: torch.ones(n, device=it.on))
        name = f"{calls.suffix(w())} N {n} C {c}"
        yield Work(f"rms_norm_forward_{name}", lambda w=w: calls.rms_forward(x(), w(), x(), one(), 1e-5), 2 * size, 0)
        yield Work(f"rms_norm_apply_{name}", lambda w=w: calls.rms_apply(x(), w(), one(), x()), 2 * size, 0)
        yield Work(f"rms_norm_backward_{name}", lambda w=w: calls.rms_backward(x(), w(), one(), x(), x()), 4 * size, 0)
    yield Work(f"rms_norm_weight_gradient N {n} C {c}",
               lambda: calls.rms_weight_gradient(x(), one(), x(), it.empty(c, **single)), 2 * size, 0)
    d = s.hidden // s.heads
    table, places = torch.ones(n, d, device=it.on), it.integers(range(n))
    yield Work(f"rope_rotate N {n} H {s.heads} D {d}", lambda: calls.rope(x(), places, table, s.heads, d, 1.0), 2 * size, 0)
    keys = s.keys // d
    halves = lambda heads: it.half(n, heads, d)
    yield Work(f"rope_place N {n} H {s.heads} Hkv {keys} D {d}",
               lambda: calls.rope_place(halves(s.heads), halves(keys), halves(keys), places, table, places, halves(keys), halves(keys)),
               2 * size + 8.0 * n * s.keys, 0)
    f, wide = 2.0 * n * s.ffn, (lambda: it.half(n, s.ffn))
    yield Work(f"swiglu_forward N {n} F {s.ffn}", lambda: calls.swiglu_forward(wide(), wide(), wide()), 3 * f, 0)
    yield Work(f"swiglu_backward N {n} F {s.ffn}", lambda: calls.swiglu_backward(wide(), wide(), wide()), 5 * f, 0)
    ids = it.integers([i * 7919 % s.table for i in range(n)])
    for dtype, read in ((torch.float32, 4), (torch.bfloat16, 2), (torch.float16, 2)):
        table_of = lambda t=dtype: it.empty(s.table, c, dtype=t)
        yield Work(f"embed_forward_{calls.suffix(torch.empty(0, dtype=dtype))} N {n}",
                   lambda t=table_of: calls.embed_forward(ids, t(), x()), (read + 2.0) * n * c, 0)
    yield Work(f"embed_forward_q8 N {n}", lambda: calls.embed_forward(ids, it.source.q8(s.table, c).arguments(), x()),
               (1 + 2 + 4 / 64) * n * c, 0)
    yield Work(f"embed_backward N {n}", lambda: calls.embed_backward(ids, x(), it.empty(s.table, c, **single)), 10.0 * n * c, 0)
    many = lambda: it.source.bytes(s.copied)
    yield Work(f"residual_copy {s.copied} bytes", lambda: calls.copy(many(), many(), s.copied), 2.0 * s.copied, 0)
    yield Work(f"residual_zero {s.copied} bytes", lambda: calls.zero(many(), s.copied), float(s.copied), 0)
    count = s.ffn * s.rank * 16
    yield Work(f"adamw_squared_norm {count}",
               lambda: calls.squared_norm(it.source.single(count), it.empty(-(-count // 4096), **single)), 4.0 * count, 0)


def loss(it):
    """linear_cross_entropy, a chunk in which every row has a target."""
    s = it.shape
    n, v, c = s.chunk, s.vocabulary, s.hidden
    single = dict(dtype=torch.float32)
    rows, trained, targets = it.integers(range(n)), it.integers([n]), it.integers([i * 997 % v for i in range(n)])
    at, scale, work = (trained, 0, n), torch.ones(1, device=it.on), 2.0 * n * v * c
    logits, x = (lambda: it.empty(n, v, **single)), (lambda: it.half(n, c))
    yield Work(f"linear_cross_entropy_list N {n}", lambda: calls.listed(targets, rows.clone(), trained.clone()), 8.0 * n, 0)
    yield Work(f"linear_cross_entropy_gather N {n}", lambda: calls.gathered(x(), rows, *at, x()), 4.0 * n * c, 0)
    yield Work(f"linear_cross_entropy_rows N {n} V {v}",
               lambda: calls.loss_rows(logits(), v, targets, rows, *at, scale, it.empty(n, **single)), 6.0 * n * v, 0)
    for kind, byte in (("dense", 2.0), ("q8", 1 + 4 / 64)):
        head = lambda kind=kind: it.source.weight(kind, v, c)
        yield Work(f"linear_cross_entropy_logits_{kind} N {n} V {v}", lambda h=head: calls.logits(h(), x(), logits(), *at),
                   byte * v * c + 4.0 * n * v + 2.0 * n * c, work)
        yield Work(f"linear_cross_entropy_back_{kind} N {n} V {v}",
                   lambda h=head: calls.loss_back(h(), logits(), x(), rows, *at), byte * v * c + 2.0 * n * (v + c), work)
    yield Work(f"linear_cross_entropy_weight_gradient N {n} V {v}",
               lambda: calls.head_gradient(logits(), x(), it.empty(v, c, **single), *at), 8.0 * v * c + 2.0 * n * (v + c), work)


def attention_sets(it, d, t):
    """Inputs and outputs of one causal document of t tokens."""
    s = it.shape
    heads = (s.heads, s.key_heads, d, d**-0.5)
    wide, narrow = (t, s.heads, d), (t, s.key_heads, d)
    first, visible = it.integers([0] * t), it.integers(range(1, t + 1))
    return heads, (it.half(*wide), it.half(*narrow), it.half(*narrow), first, visible), wide, narrow


def attention(it):
    s = it.shape
    for d, t in [(128, t) for t in s.tokens] + [(64, s.tokens[0])]:
        size, work = 2.0 * t * d * s.heads, 2.0 * t * t * d * s.heads
        part = size * s.key_heads / s.heads

        def given(d=d, t=t):
            heads, inputs, wide, narrow = attention_sets(it, d, t)
            lse = torch.full((t, s.heads), 9.0, device=it.on)
            return heads, inputs, it.half(*wide), lse, wide, narrow

        def forward(given=given):
            heads, inputs, o, lse, *_ = given()
            return calls.attention_forward(*inputs, o, lse, heads)

        def queries(given=given):
            heads, inputs, d_o, lse, *_ = given()
            return calls.attention_queries(*inputs, d_o, lse, lse.clone(), torch.empty_like(d_o), heads)

        def keys(given=given):
            heads, inputs, d_o, lse, _, narrow = given()
            return calls.attention_keys(*inputs, d_o, lse, lse.clone(), it.empty(*narrow), it.empty(*narrow), heads)

        def delta(given=given):
            heads, _, o, lse, *_ = given()
            return calls.attention_delta(o, o.clone(), lse, heads)

        name = f"T {t} H {s.heads}/{s.key_heads}"
        yield Work(f"attention_forward_{d} {name}", forward, 2 * size + 2 * part, work)
        # Of five products, q k and do v are needed on both sides.
        yield Work(f"attention_backward_queries_{d} {name}", queries, 3 * size + 2 * part, work * 1.5)
        yield Work(f"attention_backward_keys_{d} {name}", keys, 2 * size + 4 * part, work * 2)
        yield Work(f"attention_delta D {d} {name}", delta, 2 * size, 0)
    yield from decode(it)


def decode(it):
    s = it.shape
    for d, depth in [(128, depth) for depth in s.depths] + [(64, s.depths[0])]:

        def given(d=d, depth=depth):
            heads, (_, k, v, *_), _, _ = attention_sets(it, d, depth)
            q, parts = it.half(1, s.heads, d), it.empty(1, s.heads, -(-depth // 256), d + 2, dtype=torch.float32)
            return heads, q, k, v, it.integers([0]), it.integers([depth]), parts

        def split(given=given):
            heads, q, k, v, first, visible, parts = given()
            return calls.attention_decode(q, k, v, first, visible, parts, heads)

        def add(given=given):
            heads, q, _, _, _, visible, parts = given()
            parts += 1
            lse = torch.empty(1, s.heads, device=it.on)
            return calls.attention_add_parts(parts, visible, torch.empty_like(q), lse, heads)

        size, spaces = 4.0 * depth * d * s.key_heads, 4.0 * s.heads * -(-depth // 256) * (d + 2)
        yield Work(f"attention_decode_{d} keys {depth}", split, size + spaces, 4.0 * depth * d * s.heads)
        yield Work(f"attention_add_parts_{d} keys {depth}", add, spaces, 0)
    n = s.rows[1]
    yield Work(f"attention_store N {n}", lambda: calls.attention_store(it.half(n, s.keys), it.empty(n, s.keys), it.integers(range(n))),
               4.0 * n * s.keys, 0)


def every(device, shape):
    it = Maker(device, shape)
    for part in (products, vectors, lora, rows, loss, attention):
        yield from part(it)
