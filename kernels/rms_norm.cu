// y = x rstd w,  rstd = 1 / sqrt(mean_C(x^2) + eps). The contract is crates/ops/src/rms_norm/mod.rs.
//
// x, y, dx, dy (N,C) are bf16, computed with in f32 and rounded where they are stored. C is a multiple of 8.
//
// But for the gradient of w, a block has a row. Thread t of 256 sums the chunks of eight t, t + 256, ... in this order; lanes are
// added 16, 8, 4, 2, 1 apart, then the eight warps in order. Bound: memory.

#include "common.cuh"

constexpr u32 THREADS = 256;
constexpr u32 WARPS = THREADS / WARP;
constexpr u32 SUMS = WARPS * sizeof(float);

// Calls f(i) for the chunks i .. i + 8 of a row that this thread has.
template <class F>
DEVICE void chunks(u32 c, F f) {
    for (u32 i = threadIdx.x * 8; seeded(bound) ? i <= c : i < c; i += THREADS * 8) f(i);
}

// The second half of forward, and all of apply: the same operations, so the same bits.
template <class W>
DEVICE void scale_row(const bf16* x, const W* w, bf16* y, u32 c, float scale) {
    chunks(c, [&](u32 i) {
        float xs[8], ws[8];
        load_eight(xs, x + i);
        load_eight(ws, w + i);
        UNROLL for (u32 j = 0; j < 8; ++j) xs[j] = xs[j] * scale * ws[j];
        store_eight(y + i, xs);
    });
}

template <class W>
DEVICE void forward(const bf16* x, const W* w, bf16* y, float* rstd, u32 c, float eps, float* sums) {
    const u64 row = (u64)blockIdx.x * c;
    float squares = 0.0f;
    chunks(c, [&](u32 i) {
        float xs[8];
        load_eight(xs, x + row + i);
        UNROLL for (u32 j = 0; j < 8; ++j) squares = fused(xs[j], xs[j], squares);
    });
    const float scale = 1.0f / square_root(block_sum<WARPS>(squares, sums) / (float)c + eps);
    scale_row(x + row, w, y + row, c, scale);
    if (threadIdx.x == 0) rstd[blockIdx.x] = scale;
}

// dx += rstd (u - xh mean(u xh)),  u = dy w,  xh = x rstd; of eight elements.
template <class W>
DEVICE void load_terms(float (&u)[8], float (&xh)[8], const bf16* x, const W* w, const bf16* dy, float scale) {
    float ws[8];
    load_eight(u, dy);
    load_eight(xh, x);
    load_eight(ws, w);
    UNROLL for (u32 j = 0; j < 8; ++j) {
        u[j] *= ws[j];
        xh[j] *= scale;
    }
}

template <class W>
DEVICE void backward(const bf16* x, const W* w, const float* rstd, const bf16* dy, bf16* dx, u32 c, float* sums) {
    const u64 row = (u64)blockIdx.x * c;
    const float scale = rstd[blockIdx.x];
    float sum = 0.0f;
    chunks(c, [&](u32 i) {
        float u[8], xh[8];
        load_terms(u, xh, x + row + i, w + i, dy + row + i, scale);
        UNROLL for (u32 j = 0; j < 8; ++j) sum = fused(u[j], xh[j], sum);
    });
    const float mean = block_sum<WARPS>(sum, sums) / (float)c;
    chunks(c, [&](u32 i) {
        float u[8], xh[8], to[8];
        load_terms(u, xh, x + row + i, w + i, dy + row + i, scale);
        load_eight(to, dx + row + i);
        UNROLL for (u32 j = 0; j < 8; ++j) to[j] += scale * (u[j] - xh[j] * mean);
        store_eight(dx + row + i, to);
    });
}

#define OF_TYPE(suffix, W)                                                                                         \
    KERNEL(rms_norm_forward_##suffix, THREADS, 4, SUMS,                                                            \
           (const bf16* x, const W* w, bf16* y, float* rstd, u32 c, float eps)) {                                  \
        SHARED(shared);                                                                                            \
        forward(x, w, y, rstd, c, eps, (float*)shared);                                                            \
    }                                                                                                              \
    KERNEL(rms_norm_apply_##suffix, THREADS, 4, 0, (const bf16* x, const W* w, const float* rstd, bf16* y, u32 c)) { \
        const u64 row = (u64)blockIdx.x * c;                                                                       \
        scale_row(x + row, w, y + row, c, rstd[blockIdx.x]);                                                       \
    }                                                                                                              \
    KERNEL(rms_norm_backward_##suffix, THREADS, 4, SUMS,                                                           \
           (const bf16* x, const W* w, const float* rstd, const bf16* dy, bf16* dx, u32 c)) {                      \
        SHARED(shared);                                                                                            \
        backward(x, w, rstd, dy, dx, c, (float*)shared);                                                           \
    }
OF_TYPE(f32, float)
OF_TYPE(bf16, bf16)
OF_TYPE(f16, f16)

// dw += the rows' dy xh. A block has 64 columns, a lane two of them; warp w of 8 adds the rows w, w + 8, ... in
// order, then the warps are added in order, and to dw at last. Grid: ceil(C / 64).
constexpr u32 COLUMNS = 2 * WARP, AHEAD = 4;  // rows that are read before they are added

KERNEL(rms_norm_weight_gradient, THREADS, 2, WARPS * COLUMNS * 4,
       (const bf16* x, const float* rstd, const bf16* dy, float* dw, u32 n, u32 c)) {
    SHARED(shared);
    float2* const warps = (float2*)shared;  // (WARPS, COLUMNS)
    const u32 warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const u32 column = blockIdx.x * COLUMNS + 2 * lane;
    const bool in = column < (seeded(bound) ? c + 2 : c);
    float2 sum = make_float2(0.0f, 0.0f);
    for (u32 start = warp; start < n; start += AHEAD * WARPS) {
        u32 xs[AHEAD], dys[AHEAD];
        float scales[AHEAD];
        UNROLL for (u32 i = 0; i < AHEAD; ++i) {
            const u32 row = start + i * WARPS;
            const bool has = in && row < n;
            const u64 at = (u64)row * c + column;
            xs[i] = has ? *(const u32*)(x + at) : 0;
            dys[i] = has ? *(const u32*)(dy + at) : 0;
            scales[i] = has ? rstd[row] : 0.0f;
        }
        UNROLL for (u32 i = 0; i < AHEAD; ++i) {
            sum.x += low_half(dys[i]) * (low_half(xs[i]) * scales[i]);
            sum.y += high_half(dys[i]) * (high_half(xs[i]) * scales[i]);
        }
    }
    warps[threadIdx.x] = sum;
    if (!seeded(dropped_barrier)) sync_block();
    if (warp != 0 || !in) return;
    for (u32 i = 1; i < WARPS; ++i) {
        sum.x += warps[i * WARP + lane].x;
        sum.y += warps[i * WARP + lane].y;
    }
    float2* const to = (float2*)(dw + column);
    to->x += sum.x;
    to->y += sum.y;
}
