// y = x rstd w,  rstd = 1 / sqrt(mean_C(x^2) + eps). The contract is crates/ops/src/rms_norm/mod.rs.
//
// x, y, dx, dy are bf16, everything is computed in f32 and rounded where it is stored. A block has a row. Thread t of 256 sums the elements t, t + 256, ... in this order; lanes are added
// 16, 8, 4, 2, 1 apart, then the eight warps in order. Bound: memory.

#include "common.cuh"

constexpr u32 THREADS = 256;
constexpr u32 WARPS = THREADS / WARP;
constexpr u32 SUMS = WARPS * sizeof(float);

// The sum of every thread's value, in every thread. Once per kernel: nobody waits for the readers.
DEVICE float block_sum(float value, float* sums) {
    value = warp_sum(value, seeded(wrong_mask) ? 0x0000ffffu : ALL_LANES);
    if (threadIdx.x % WARP == 0) sums[threadIdx.x / WARP] = value;
    if (!seeded(dropped_barrier)) sync_block();
    float sum = 0.0f;
    UNROLL for (u32 warp = 0; warp < WARPS; ++warp) sum += sums[warp];
    return sum;
}

template <class W>
DEVICE void forward(const bf16* x, const W* w, bf16* y, float* rstd, u32 c, float eps, float* sums) {
    const u64 row = (u64)blockIdx.x * c;
    float squares = 0.0f;
    for (u32 i = threadIdx.x; seeded(bound) ? i <= c : i < c; i += THREADS) {
        const float value = widen(x[row + i]);
        squares = fused(value, value, squares);
    }
    const float scale = 1.0f / square_root(block_sum(squares, sums) / (float)c + eps);
    for (u32 i = threadIdx.x; i < c; i += THREADS) y[row + i] = to_bf16(widen(x[row + i]) * scale * widen(w[i]));
    if (threadIdx.x == 0) rstd[blockIdx.x] = scale;
}

template <class W>
DEVICE void apply(const bf16* x, const W* w, const float* rstd, bf16* y, u32 c) {
    const u64 row = (u64)blockIdx.x * c;
    const float scale = rstd[blockIdx.x];
    for (u32 i = threadIdx.x; i < c; i += THREADS) y[row + i] = to_bf16(widen(x[row + i]) * scale * widen(w[i]));
}

// dx += rstd (u - xh mean(u xh)),  u = dy w,  xh = x rstd.
template <class W>
DEVICE void backward(const bf16* x, const W* w, const float* rstd, const bf16* dy, bf16* dx, u32 c, float* sums) {
    const u64 row = (u64)blockIdx.x * c;
    const float scale = rstd[blockIdx.x];
    float sum = 0.0f;
    for (u32 i = threadIdx.x; i < c; i += THREADS) {
        sum += widen(dy[row + i]) * widen(w[i]) * (widen(x[row + i]) * scale);
    }
    const float mean = block_sum(sum, sums) / (float)c;
    for (u32 i = threadIdx.x; i < c; i += THREADS) {
        const float part = scale * (widen(dy[row + i]) * widen(w[i]) - widen(x[row + i]) * scale * mean);
        dx[row + i] = to_bf16(widen(dx[row + i]) + part);
    }
}

#define OF_TYPE(suffix, W)                                                                                         \
    KERNEL(rms_norm_forward_##suffix, THREADS, 4, SUMS,                                                            \
           (const bf16* x, const W* w, bf16* y, float* rstd, u32 c, float eps)) {                                  \
        SHARED(shared);                                                                                            \
        forward(x, w, y, rstd, c, eps, (float*)shared);                                                            \
    }                                                                                                              \
    KERNEL(rms_norm_apply_##suffix, THREADS, 4, 0, (const bf16* x, const W* w, const float* rstd, bf16* y, u32 c)) { \
        apply(x, w, rstd, y, c);                                                                                   \
    }                                                                                                              \
    KERNEL(rms_norm_backward_##suffix, THREADS, 4, SUMS,                                                           \
           (const bf16* x, const W* w, const float* rstd, const bf16* dy, bf16* dx, u32 c)) {                      \
        SHARED(shared);                                                                                            \
        backward(x, w, rstd, dy, dx, c, (float*)shared);                                                           \
    }
OF_TYPE(f32, float)
OF_TYPE(bf16, bf16)
OF_TYPE(f16, f16)

// dw += sum over the rows, in order, of dy xh: a thread has a column.
KERNEL(rms_norm_weight_gradient, 64, 1, 0,
       (const bf16* x, const float* rstd, const bf16* dy, float* dw, u32 n, u32 c)) {
    const u32 column = blockIdx.x * 64 + threadIdx.x;
    if (column >= c) return;
    float sum = dw[column];
    for (u32 row = 0; row < n; ++row) {
        const u64 at = (u64)row * c + column;
        sum += widen(dy[at]) * (widen(x[at]) * rstd[row]);
    }
    dw[column] = sum;
}
