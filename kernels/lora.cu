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

// For up to 8 rows of x: t of up to three adapters of one x, as the vector products of qlinear want them. A
// block has a row of an A: thread i sums the chunks of eight i, i + 128, ... in order, lanes are added 16, 8,
// 4, 2, 1 apart, then the warps in order, whatever n is. Rows of t are `rank` elements; a rank of 0 is no
// adapter. Grid: the most ranks, 3. Bound: latency.
constexpr u32 FEW = 8, FEW_WARPS = NARROW_THREADS / WARP;

KERNEL(lora_down_few, NARROW_THREADS, 4, FEW * FEW_WARPS * 4,
       (const bf16* x, u32 x_stride, u32 inner, u32 n, const bf16* first_a, u32 first_stride, bf16* first_t, u32 first_rank,
        const bf16* second_a, u32 second_stride, bf16* second_t, u32 second_rank, const bf16* third_a, u32 third_stride,
        bf16* third_t, u32 third_rank)) {
    SHARED(shared);
    float* const warps = (float*)shared;  // (FEW, FEW_WARPS)
    const u32 part = blockIdx.y, r = blockIdx.x;
    const u32 rank = part == 0 ? first_rank : part == 1 ? second_rank : third_rank;
    if (r >= rank) return;
    const bf16* const a = (part == 0 ? first_a : part == 1 ? second_a : third_a) +
                          (u64)r * (part == 0 ? first_stride : part == 1 ? second_stride : third_stride);
    float sums[FEW] = {};
    for (u32 i = threadIdx.x * 8; i < (seeded(bound) ? inner + 8 : inner); i += NARROW_THREADS * 8) {
        float w[8];
        load_eight(w, a + i);
        UNROLL for (u32 row = 0; row < FEW; ++row) {
            if (row >= n) continue;
            float values[8];
            load_eight(values, x + (u64)row * x_stride + i);
            UNROLL for (u32 j = 0; j < 8; ++j) sums[row] = fused(values[j], w[j], sums[row]);
        }
    }
    UNROLL for (u32 row = 0; row < FEW; ++row) {
        const float sum = warp_sum(sums[row], seeded(wrong_mask) ? 0x7fffffffu : ALL_LANES);
        if (threadIdx.x % WARP == 0) warps[row * FEW_WARPS + threadIdx.x / WARP] = sum;
    }
    if (!seeded(dropped_barrier)) sync_block();
    if (threadIdx.x >= n) return;
    float sum = 0.0f;
    UNROLL for (u32 warp = 0; warp < FEW_WARPS; ++warp) sum += warps[threadIdx.x * FEW_WARPS + warp];
    bf16* const t = part == 0 ? first_t : part == 1 ? second_t : third_t;
    t[threadIdx.x * rank + r] = to_bf16(sum);
}
