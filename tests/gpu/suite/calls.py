"""Launches as crates/ops makes them: the grid and the order of arguments of every kernel."""

from suite.device import Call

TILE, RANK, WARPS, STRETCH, PAIRS, ELEMENTS, COLUMNS, QUERIES = 128, 32, 8, 4096, 256, 1024, 64, 64
OVERWRITE, ADD, SINGLE = 0, 1, 2
NO_ADAPTER = (None, 0, None, 0, 0.0)


def tiles(count, size):
    return -(-count // size)


# --- qlinear ---


def vectors(n):
    """The size of the kernel for n rows, and its rows of W per warp."""
    size = next(size for size in (1, 2, 4, 8) if n <= size)
    return size, 2 if size == 8 else 4


def forward(weight, x, y, n, mode):
    grid = (tiles(n, TILE), tiles(weight.out, TILE))
    return Call(f"qlinear_{weight.kind}_forward", grid,
                (x, weight.inner, *weight.arguments(), weight.out, weight.inner, y, n, mode))


def backward(weight, dy, dx, n, mode):
    grid = (tiles(n, TILE), tiles(weight.inner, TILE))
    return Call(f"qlinear_{weight.kind}_backward", grid,
                (dy, weight.out, *weight.arguments(), weight.out, weight.inner, dx, n, mode))


def vector(weight, x, y, n, mode, adapter=NO_ADAPTER):
    size, rows = vectors(n)
    more = adapter if weight.kind == "nf4" else ()
    return Call(f"qlinear_{weight.kind}_vector_{size}", (tiles(weight.out, WARPS * rows),),
                (x, weight.inner, *weight.arguments(), weight.out, weight.inner, y, n, mode, *more))


def three_vector(weights, adapters, x, ys, n):
    size, rows = vectors(n)
    parts = [it for weight, adapter, y in zip(weights, adapters, ys)
             for it in (*weight.arguments(), *adapter, weight.out, y)]
    inner = weights[0].inner
    grid = (tiles(max(weight.out for weight in weights), WARPS * rows), 3)
    return Call(f"qlinear_nf4_three_vector_{size}", grid, (x, inner, inner, n, *parts))


def gated_vector(gate, up, adapters, x, h, n):
    size, rows = vectors(n)
    return Call(f"qlinear_nf4_gated_vector_{size}", (tiles(2 * gate.out, WARPS * rows),),
                (x, gate.inner, gate.out, gate.inner, n, *gate.arguments(), *adapters[0], *up.arguments(), *adapters[1], h))


def weight_gradient(dy, x, dw, n):
    out, inner = dw.shape
    return Call("qlinear_weight_gradient", (tiles(out, TILE), tiles(inner, TILE)), (dy, out, x, inner, dw, out, inner, n))


# --- lora ---


def lora_down(x, a, t, n):
    rank, inner = a.shape
    return Call("lora_down", (tiles(n, TILE), tiles(rank, RANK)), (x, inner, a, inner, t, rank, n, rank, inner))


def lora_up(t, b, y, scale, n):
    out, rank = b.shape
    return Call("lora_up", (tiles(n, TILE), tiles(out, TILE)), (t, rank, b, rank, y, scale, n, out, rank))


def lora_error(dy, b, e, n):
    out, rank = b.shape
    return Call("lora_error", (tiles(n, TILE), tiles(rank, RANK)), (dy, out, b, rank, e, rank, n, rank, out))


def lora_gradient_b(dy, t, db, scale, n):
    out, rank = db.shape
    return Call("lora_gradient_b", (tiles(out, TILE), tiles(rank, RANK)), (dy, out, t, rank, db, scale, n, out, rank))


def lora_gradient_a(e, x, da, scale, n):
    rank, inner = da.shape
    return Call("lora_gradient_a", (tiles(rank, RANK), tiles(inner, TILE)), (e, rank, x, inner, da, scale, n, rank, inner))


def lora_back(e, a, dx, scale, n):
    rank, inner = a.shape
    return Call("lora_back", (tiles(n, TILE), tiles(inner, TILE)), (e, rank, a, inner, dx, scale, n, inner, rank))


def lora_down_few(x, adapters, ts, n):
    """Up to three; None is no adapter."""
    parts, ranks = [], [0 if a is None else a.shape[0] for a in adapters]
    inner = next(a.shape[1] for a in adapters if a is not None)
    for a, t, rank in zip(adapters, ts, ranks):
        parts += (a, inner if rank else 0, t, rank)
    return Call("lora_down_few", (max(ranks), 3), (x, inner, inner, n, *parts))


# --- attention ---


def attention_forward(q, k, v, first, visible, o, lse, heads):
    h, hkv, d, scale = heads
    n = len(first)
    return Call(f"attention_forward_{d}", (tiles(n, QUERIES), h), (q, k, v, first, visible, o, lse, n, h, hkv, scale))


def attention_delta(d_o, o, delta, heads):
    rows = delta.numel()
    return Call("attention_delta", (tiles(rows, 8),), (d_o, o, delta, rows, heads[2]))


def attention_queries(q, k, v, first, visible, d_o, lse, delta, dq, heads):
    h, hkv, d, scale = heads
    n = len(first)
    return Call(f"attention_backward_queries_{d}", (tiles(n, QUERIES), h),
                (q, k, v, first, visible, d_o, lse, delta, dq, n, h, hkv, scale))


def attention_keys(q, k, v, first, visible, d_o, lse, delta, dk, dv, heads):
    h, hkv, d, scale = heads
    n = len(first)
    return Call(f"attention_backward_keys_{d}", (tiles(n, QUERIES), hkv),
                (q, k, v, first, visible, d_o, lse, delta, dk, dv, n, h, hkv, scale))


def attention_decode(q, k, v, first, visible, parts, heads):
    """parts is (N, H, parts, D + 2) f32."""
    h, hkv, d, scale = heads
    return Call(f"attention_decode_{d}", (parts.shape[2], hkv, len(first)), (q, k, v, first, visible, parts, h, hkv, scale))


def attention_add_parts(parts, visible, o, lse, heads):
    n, h, count, _ = parts.shape
    return Call(f"attention_add_parts_{heads[2]}", (n * h,), (parts, visible, o, lse, h, count))


def attention_store(source, to, rows):
    return Call("attention_store", (len(rows),), (source, to, rows, source.shape[1]))


# --- rows ---


def suffix(tensor):
    return {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}[str(tensor.dtype).removeprefix("torch.")]


def rms_forward(x, w, y, rstd, eps):
    return Call(f"rms_norm_forward_{suffix(w)}", (x.shape[0],), (x, w, y, rstd, x.shape[1], eps))


def rms_apply(x, w, rstd, y):
    return Call(f"rms_norm_apply_{suffix(w)}", (x.shape[0],), (x, w, rstd, y, x.shape[1]))


def rms_backward(x, w, rstd, dy, dx):
    return Call(f"rms_norm_backward_{suffix(w)}", (x.shape[0],), (x, w, rstd, dy, dx, x.shape[1]))


def rms_weight_gradient(x, rstd, dy, dw):
    n, c = x.shape
    return Call("rms_norm_weight_gradient", (tiles(c, COLUMNS),), (x, rstd, dy, dw, n, c))


def rope_place(q, k, v, positions, table, rows, keys, values):
    n, heads, d = q.shape
    grid = (n, tiles(heads + 2 * k.shape[1], 4))
    return Call("rope_place", grid, (q, k, v, positions, table, rows, keys, values, heads, k.shape[1], d))


def rope(x, positions, table, heads, d, sign):
    pairs = x.numel() // 2
    return Call("rope_rotate", (tiles(pairs, PAIRS),), (x, positions, table, pairs, heads, d, sign))


def swiglu_forward(gate, up, h):
    return Call("swiglu_forward", (tiles(h.numel(), ELEMENTS),), (gate, up, h, h.numel()))


def swiglu_backward(dh, gate, up):
    return Call("swiglu_backward", (tiles(dh.numel(), ELEMENTS),), (dh, gate, up, dh.numel()))


def embed_forward(ids, table, y):
    if isinstance(table, tuple):
        return Call("embed_forward_q8", (len(ids),), (ids, *table, y, y.shape[1]))
    return Call(f"embed_forward_{suffix(table)}", (len(ids),), (ids, table, y, y.shape[1]))


def embed_backward(ids, dy, dtable):
    return Call("embed_backward", (tiles(dy.shape[1], COLUMNS),), (ids, dy, dtable, *dy.shape))


def blocks_of(count):
    return min(max(tiles(count, 16 * 256), 1), 4096)


def copy(source, to, count):
    return Call("residual_copy", (blocks_of(count),), (source, to, count))


def zero(to, count):
    return Call("residual_zero", (blocks_of(count),), (to, count))


def squared_norm(g, partial):
    return Call("adamw_squared_norm", (len(partial),), (g, partial, g.numel()))


# --- linear_cross_entropy ---


def listed(targets, rows, trained):
    return Call("linear_cross_entropy_list", (1,), (targets, rows, trained, len(targets)))


def gathered(x, rows, trained, start, chunk, to):
    c = x.shape[1]
    return Call("linear_cross_entropy_gather", (chunk,), (x, rows, trained, start, chunk, to, c, c))


def logits(head, x, to, trained, start, chunk):
    pitch = to.shape[1]
    return Call(f"linear_cross_entropy_logits_{head.kind}", (tiles(chunk, TILE), tiles(head.out, TILE)),
                (x, head.inner, *head.arguments(), to, pitch, head.out, head.inner, trained, start, chunk))


def loss_rows(to, v, targets, rows, trained, start, chunk, scale, loss):
    return Call("linear_cross_entropy_rows", (chunk,),
                (to, to.shape[1], v, targets, rows, trained, start, chunk, scale, loss))


def loss_back(head, gradients, dx, rows, trained, start, chunk):
    return Call(f"linear_cross_entropy_back_{head.kind}", (tiles(chunk, TILE), tiles(head.inner, TILE)),
                (gradients, gradients.shape[1], *head.arguments(), dx, head.out, head.inner, rows, trained, start, chunk))


def head_gradient(gradients, x, dw, trained, start, chunk):
    v, c = dw.shape
    return Call("linear_cross_entropy_weight_gradient", (tiles(v, TILE), tiles(c, TILE)),
                (gradients, gradients.shape[1], x, c, dw, v, c, trained, start, chunk))
