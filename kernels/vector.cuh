// The product for 1 to 8 rows of x: y (N,out) = x W^T, as a Mode says.
//
// A warp has ROWS rows of W and goes through k in steps of 1,024: lane l takes 32 weights from 32 l on,
// with 16-byte loads that are not kept. x, 2,048 of k at a time, stands in shared memory, its 16-byte
// chunks permuted so that the lanes of a load lie in different banks. A lane adds its weights in order of
// k, the lanes are added 16, 8, 4, 2, 1 apart: an output's bits do not depend on N. An adapter's part is
// where a lane's sum begins.
//
// The loop is bound by instructions before it is by memory (tests/count.py): nothing in it branches but for
// its end, codes are turned to places in the table four at a time, and rounding to bf16 leaves an f32.
#pragma once

#include "product.cuh"

constexpr u32 VECTOR_THREADS = 256;
constexpr u32 VECTOR_WARPS = VECTOR_THREADS / WARP;
constexpr u32 EACH = 32;                     // weights of a lane in a step
constexpr u32 PIECE = 2 * WARP * EACH;       // of x in shared memory
constexpr u32 VECTOR_CHUNKS = PIECE / 8;

DEVICE u32 vector_chunk(u32 chunk) { return chunk ^ (chunk / 8 % 8); }

// Rows of x at k .. k + PIECE into shared memory; what lies outside is zero.
template <u32 N>
DEVICE void stage_vectors(u8* to, const bf16* x, u32 stride, u32 n, u32 k, u32 inner) {
    UNROLL for (u32 row = 0; row < N; ++row) {
        for (u32 chunk = threadIdx.x; chunk < VECTOR_CHUNKS; chunk += VECTOR_THREADS) {
            const u32 at = k + 8 * chunk;
            const uint4 zero = make_uint4(0, 0, 0, 0);
            const bool in = row < n && at < (seeded(bound) ? inner + 8 : inner);
            const uint4 value = in ? *(const uint4*)(x + (u64)row * stride + at) : zero;
            ((uint4*)to)[row * VECTOR_CHUNKS + vector_chunk(chunk)] = value;
        }
    }
}

// What an adapter adds: y += scale t B^T for t (N,rank); rank 0 is none.
struct VectorAdapter {
    const bf16* b;
    u32 stride;
    const bf16* t;
    u32 rank;
    float scale;

    // The part of one lane.
    DEVICE_MEMBER float start(u32 out_row, u32 row) const {
        float sum = 0.0f;
        for (u32 i = threadIdx.x % WARP; i < rank; i += WARP) {
            sum = fused(widen(b[(u64)out_row * stride + i]), widen(t[row * rank + i]), sum);
        }
        return scale * sum;
    }
};

// Where the products go: put(first, sums, n) has those of ROWS rows of W from `first` on, in one lane.
struct ModedVectors {
    void* y;
    u32 out, mode;
    template <u32 N, u32 ROWS>
    DEVICE_MEMBER void put(u32 first, const float (&sums)[ROWS][N], u32 n) const {
        UNROLL for (u32 r = 0; r < ROWS; ++r) {
            UNROLL for (u32 row = 0; row < N; ++row) {
                if (first + r >= out || row >= n) continue;
                const u64 at = (u64)row * out + first + r;
                if (mode == OVERWRITE_F32) {
                    ((float*)y)[at] = sums[r][row];
                } else {
                    bf16* const to = (bf16*)y + at;
                    *to = to_bf16(mode == ADD ? widen(*to) + sums[r][row] : sums[r][row]);
                }
            }
        }
    }
};

// Weights (out rows) has Lane: what a lane loads for its 32 weights, load(r, row, k) that gives it, scale(r, lane,
// tables), what is common to them, and eight(r, lane, scale, j, tables, w) that decodes the j-th eight of them. r
// is the row's place in its warp, and rows are given in groups of TOGETHER. `block` counts stretches of rows.
template <u32 N, u32 ROWS, class Weights, class Adapter, class Output>
DEVICE void multiply_vectors(u8* shared, const u8* tables, u32 block, const Weights& weights, const bf16* x, u32 stride,
                             u32 out, u32 inner, u32 n, const Adapter& adapter, const Output& output) {
    const u32 lane = threadIdx.x % WARP;
    const u32 first = (block * VECTOR_WARPS + threadIdx.x / WARP) * ROWS;
    float sums[ROWS][N];
    UNROLL for (u32 r = 0; r < ROWS; ++r) {
        UNROLL for (u32 row = 0; row < N; ++row) {
            sums[r][row] = first + r < out && row < n ? adapter.start(first + r, row) : 0.0f;
        }
    }
    // A warp without rows has nothing to do but to stage x.
    const u32 limit = first < out ? inner : 0;
    // What the next step decodes is read before this one is, where registers are left for it.
    constexpr bool AHEAD = Weights::template AHEAD<N>;
    typename Weights::Lane next[ROWS];
    // What lies behind the last row is the warp's first once more, and not stored: no branch stands between the
    // rows.
    auto fetch = [&](u32 k) {
        if (k >= limit) return;
        UNROLL for (u32 r = 0; r < ROWS; ++r) {
            next[r] = weights.load(r, first + (first + r < out ? r : r % Weights::TOGETHER), k);
        }
    };
    if (AHEAD) fetch(lane * EACH);
    for (u32 piece = 0; piece < inner; piece += PIECE) {
        // The piece before has been used by all; the tables are there.
        if (!seeded(dropped_barrier)) sync_block();
        stage_vectors<N>(shared, x, stride, n, piece, inner);
        sync_block();
        for (u32 step = 0; step < PIECE; step += WARP * EACH) {
            const u32 k = piece + step + lane * EACH;
            if (k >= limit) break;
            if (!AHEAD) fetch(k);
            typename Weights::Lane raw[ROWS];
            float scales[ROWS];
            UNROLL for (u32 r = 0; r < ROWS; ++r) {
                raw[r] = next[r];
                scales[r] = weights.scale(r, raw[r], tables);
            }
            UNROLL for (u32 j = 0; j < EACH / 8; ++j) {
                float xs[N][8];
                UNROLL for (u32 row = 0; row < N; ++row) {
                    const u32 chunk = (step + lane * EACH) / 8 + j;
                    const u32 at = seeded(swizzle) ? chunk : vector_chunk(chunk);
                    unpack_eight(xs[row], ((const uint4*)shared)[row * VECTOR_CHUNKS + at]);
                }
                UNROLL for (u32 r = 0; r < ROWS; ++r) {
                    float w[8];
                    weights.eight(r, raw[r], scales[r], j, tables, w);
                    UNROLL for (u32 row = 0; row < N; ++row) {
                        UNROLL for (u32 i = 0; i < 8; ++i) sums[r][row] = fused(xs[row][i], w[i], sums[r][row]);
                    }
                }
                // Now that a register per row is free.
                if (AHEAD && j == 0) fetch(k + WARP * EACH);
            }
        }
    }
    UNROLL for (u32 r = 0; r < ROWS; ++r) {
        UNROLL for (u32 row = 0; row < N; ++row) {
            sums[r][row] = warp_sum(sums[r][row], seeded(wrong_mask) ? 0x7fffffffu : ALL_LANES);
        }
    }
    if (lane == 0) output.put(first, sums, n);
}
