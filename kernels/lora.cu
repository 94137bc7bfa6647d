// y += s (x A^T) B^T and its gradients, as skinny products. The contract is crates/ops/src/lora/mod.rs.
//
// x (N,in), y, dy (N,out), dx, A (R,in), B (out,R) are bf16, their rows a multiple of 8 apart; dA and dB
// are f32. t = x A^T and e = dy B are written rounded, as the next product wants them. Bound: memory.

#include "product.cuh"

// The rank's side of a tile is 32: ranks are small.
constexpr u32 TILE = 128, RANK = 32, NARROW_THREADS = 128, WIDE_THREADS = 256;
template <Along LEFT, Along RIGHT>
using Narrow = Product<TILE, RANK, 4, 1, LEFT, DenseRight<RIGHT, RANK, NARROW_THREADS>>;
using Down = Narrow<Along::K, Along::K>;
using Error = Narrow<Along::K, Along::Across>;
using GradientB = Narrow<Along::Across, Along::Across>;
using GradientA = Product<RANK, TILE, 1, 4, Along::Across, DenseRight<Along::Across, TILE, NARROW_THREADS>>;
using Up = Product<TILE, TILE, 2, 4, Along::K, DenseRight<Along::K, TILE, WIDE_THREADS>>;
using Back = Product<TILE, TILE, 2, 4, Along::K, DenseRight<Along::Across, TILE, WIDE_THREADS>>;

// t (N, t_stride) from x. Grid: tiles of N, of R by 32.
KERNEL(lora_down, NARROW_THREADS, 3, Down::SHARED_BYTES,
       (const bf16* x, u32 x_stride, const bf16* a, u32 a_stride, bf16* t, u32 t_stride, u32 n, u32 rank, u32 inner)) {
    SHARED(shared);
    Down().run(shared, x, x_stride, {a, a_stride}, Operand{t, t_stride}, n, rank, inner);
}

// y += scale t B^T, added in f32 and rounded once. Grid: tiles of N, of out.
KERNEL(lora_up, WIDE_THREADS, 2, Up::SHARED_BYTES,
       (const bf16* t, u32 t_stride, const bf16* b, u32 b_stride, bf16* y, float scale, u32 n, u32 out, u32 rank)) {
    SHARED(shared);
    Up().run(shared, t, t_stride, {b, b_stride}, Rounded{y, out, scale, 1}, n, out, rank);
}

// e (N, e_stride) from dy. Grid: tiles of N, of R by 32.
KERNEL(lora_error, NARROW_THREADS, 3, Error::SHARED_BYTES,
       (const bf16* dy, u32 dy_stride, const bf16* b, u32 b_stride, bf16* e, u32 e_stride, u32 n, u32 rank, u32 out)) {
    SHARED(shared);
    Error().run(shared, dy, dy_stride, {b, b_stride}, Operand{e, e_stride}, n, rank, out);
}

// dB (out,R) += scale dy^T t. Grid: tiles of out, of R by 32.
KERNEL(lora_gradient_b, NARROW_THREADS, 3, GradientB::SHARED_BYTES,
       (const bf16* dy, u32 dy_stride, const bf16* t, u32 t_stride, float* db, float scale, u32 n, u32 out, u32 rank)) {
    SHARED(shared);
    GradientB().run(shared, dy, dy_stride, {t, t_stride}, Sums{db, rank, scale, 1}, out, rank, n);
}

// dA (R,in) += scale e^T x. Grid: tiles of R by 32, of in.
KERNEL(lora_gradient_a, NARROW_THREADS, 3, GradientA::SHARED_BYTES,
       (const bf16* e, u32 e_stride, const bf16* x, u32 x_stride, float* da, float scale, u32 n, u32 rank, u32 inner)) {
    SHARED(shared);
    GradientA().run(shared, e, e_stride, {x, x_stride}, Sums{da, inner, scale, 1}, rank, inner, n);
}

// dx += scale e A. Grid: tiles of N, of in.
KERNEL(lora_back, WIDE_THREADS, 2, Back::SHARED_BYTES,
       (const bf16* e, u32 e_stride, const bf16* a, u32 a_stride, bf16* dx, float scale, u32 n, u32 inner, u32 rank)) {
    SHARED(shared);
    Back().run(shared, e, e_stride, {a, a_stride}, Rounded{dx, inner, scale, 1}, n, inner, rank);
}
