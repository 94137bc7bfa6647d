// The loss of the head, and its gradients in the same pass, without the (N,V) logits. The contract is
// crates/ops/src/linear_cross_entropy/mod.rs.
//
// The rows that have a target are listed once; then come chunks of them, as many as N rows could make.
// How many rows there are is known on the device only: a launch takes the count and its chunk's start,
// and blocks behind the end return. loss and dx are zeroed before (residual_zero). x and dx are bf16, logits
// f32 until they become their gradient. C is a multiple of 8. Bound: compute.

#include "weights.cuh"

constexpr u32 THREADS = 256;
constexpr u32 WARPS = THREADS / WARP;

// list gets the rows with a target, in order, and *trained their number. One block: a thread counts and
// then lists a stretch of rows.
KERNEL(linear_cross_entropy_list, THREADS, 1, THREADS * 4, (const i32* targets, u32* list, u32* trained, u32 n)) {
    SHARED(shared);
    u32* const counts = (u32*)shared;
    const u32 each = (n + THREADS - 1) / THREADS;
    const u32 start = threadIdx.x * each < n ? threadIdx.x * each : n;
    const u32 end = start + each < n ? start + each : n;
    u32 count = 0;
    for (u32 i = start; i < end; ++i) count += targets[i] >= 0;
    counts[threadIdx.x] = count;
    if (!seeded(dropped_barrier)) sync_block();
    u32 at = 0;
    for (u32 i = 0; i < threadIdx.x; ++i) at += counts[i];
    for (u32 i = start; i < end; ++i) {
        if (targets[i] >= 0) list[at++] = i;
    }
    if (threadIdx.x == THREADS - 1) *trained = at;
}

// The rows of a chunk that starts at the `start`-th listed row.
DEVICE u32 rows_of(const u32* trained, u32 start, u32 chunk) {
    const u32 left = *trained > start ? *trained - start : 0;
    return left < chunk ? left : chunk;
}

// to (chunk, stride) = the chunk's rows of x (N,C), zeros behind them. Grid: chunk.
KERNEL(linear_cross_entropy_gather, THREADS, 4, 0,
       (const bf16* x, const u32* list, const u32* trained, u32 start, u32 chunk, bf16* to, u32 stride, u32 c)) {
    if (blockIdx.x >= rows_of(trained, start, chunk)) return;
    const bf16* const from = x + (u64)list[start + blockIdx.x] * c;
    for (u32 i = threadIdx.x * 8; i < stride; i += THREADS * 8) {
        const bool in = i < (seeded(bound) ? c + 1 : c);
        *(uint4*)(to + (u64)blockIdx.x * stride + i) = in ? *(const uint4*)(from + i) : make_uint4(0, 0, 0, 0);
    }
}

// Over a block's threads; `values` has a place per warp, and is free again when all have returned.
template <class Combine>
DEVICE float block_all(float value, float* values, Combine combine) {
    UNROLL for (u32 distance = WARP / 2; distance > 0; distance /= 2) {
        value = combine(value, shuffle_xor(value, distance, seeded(wrong_mask) ? 0xfffffffeu : ALL_LANES));
    }
    if (threadIdx.x % WARP == 0) values[threadIdx.x / WARP] = value;
    if (!seeded(dropped_barrier)) sync_block();
    float all = values[0];
    UNROLL for (u32 warp = 1; warp < WARPS; ++warp) all = combine(all, values[warp]);
    sync_block();
    return all;
}

// The loss of a row and, with a scale, its gradient as bf16 in the first half of the same memory: a step
// is written when all of it has been read, and before it lies only what was read earlier. logits
// (chunk, pitch) f32. Grid: chunk.
KERNEL(linear_cross_entropy_rows, THREADS, 4, WARPS * 4,
       (float* logits, u32 pitch, u32 v, const i32* targets, const u32* list, const u32* trained, u32 start, u32 chunk,
        const float* scale, float* loss)) {
    SHARED(shared);
    if (blockIdx.x >= rows_of(trained, start, chunk)) return;
    float* const row = logits + (u64)blockIdx.x * pitch;
    const u32 place = list[start + blockIdx.x], target = (u32)targets[place];
    float most = float_of_bits(0xff800000u);
    for (u32 i = threadIdx.x; i < v; i += THREADS) most = greater(most, row[i]);
    most = block_all(most, (float*)shared, [](float a, float b) { return greater(a, b); });
    float sum = 0.0f;
    for (u32 i = threadIdx.x; i < v; i += THREADS) sum += exponential_below_88(row[i] - most);
    sum = block_all(sum, (float*)shared, [](float a, float b) { return a + b; });
    const float lse = most + logarithm(sum);
    if (threadIdx.x == 0) loss[place] = lse - row[target];
    if (!scale) return;
    constexpr u32 EACH = 4;
    bf16* const gradient = (bf16*)row;
    for (u32 step = 0; step < v; step += THREADS * EACH) {
        float values[EACH];
        UNROLL for (u32 j = 0; j < EACH; ++j) {
            const u32 i = step + j * THREADS + threadIdx.x;
            values[j] = i < v ? *scale * exponential_below_88(row[i] - lse) - (i == target ? *scale : 0.0f) : 0.0f;
        }
        sync_block();
        UNROLL for (u32 j = 0; j < EACH; ++j) {
            const u32 i = step + j * THREADS + threadIdx.x;
            if (i < v) gradient[i] = to_bf16(values[j]);
        }
        // What the next step reads lies behind what this one wrote.
    }
}

// Rows of a product go to the places that the list says.
struct Scattered {
    bf16* out;
    u32 stride;
    const u32* list;
    DEVICE_MEMBER u32 width(u32 m) const { return m; }
    DEVICE_MEMBER void put(u32 row, u32 column, bool, float low, float high) const {
        put_pair(out + (u64)list[row] * stride + column, false, low, high);
    }
};

using DenseLogits = Large<Along::K, DenseRight<Along::K, TILE, TILE_THREADS>>;
using DenseBack = Large<Along::K, DenseRight<Along::Across, TILE, TILE_THREADS>>;
using Q8Logits = Large<Along::K, Q8Right<Along::K, TILE>>;
using Q8Back = Large<Along::K, Q8Right<Along::Across, TILE>>;
using HeadGradient = Large<Along::Across, DenseRight<Along::Across, TILE, TILE_THREADS>>;

// logits (chunk, pitch) of the gathered rows. Grid: tiles of chunk, of V.
KERNEL(linear_cross_entropy_logits_dense, TILE_THREADS, 2, DenseLogits::SHARED_BYTES,
       (const bf16* x, u32 stride, const bf16* w, u32 w_stride, float* logits, u32 pitch, u32 v, u32 c,
        const u32* trained, u32 start, u32 chunk)) {
    SHARED(shared);
    const u32 n = rows_of(trained, start, chunk);
    if (blockIdx.x * TILE >= n) return;
    DenseLogits().run(shared, x, stride, {w, w_stride}, Sums{logits, pitch, 1.0f, 0}, n, v, c);
}

KERNEL(linear_cross_entropy_logits_q8, TILE_THREADS, 2, Q8Logits::SHARED_BYTES,
       (const bf16* x, u32 stride, const i8* codes, const float* scales, float* logits, u32 pitch, u32 v, u32 c,
        const u32* trained, u32 start, u32 chunk)) {
    SHARED(shared);
    const u32 n = rows_of(trained, start, chunk);
    if (blockIdx.x * TILE >= n) return;
    Q8Logits().run(shared, x, stride, {codes, scales, c, 0.0f}, Sums{logits, pitch, 1.0f, 0}, n, v, c);
}

// dx, in the places of the rows, from the gradients that linear_cross_entropy_rows left (their rows are
// 2 pitch elements apart). Grid: tiles of chunk, of C.
KERNEL(linear_cross_entropy_back_dense, TILE_THREADS, 2, DenseBack::SHARED_BYTES,
       (const bf16* dlogits, u32 pitch, const bf16* w, u32 w_stride, bf16* dx, u32 v, u32 c, const u32* list,
        const u32* trained, u32 start, u32 chunk)) {
    SHARED(shared);
    const u32 n = rows_of(trained, start, chunk);
    if (blockIdx.x * TILE >= n) return;
    DenseBack().run(shared, dlogits, 2 * pitch, {w, w_stride}, Scattered{dx, c, list + start}, n, c, v);
}

KERNEL(linear_cross_entropy_back_q8, TILE_THREADS, 2, Q8Back::SHARED_BYTES,
       (const bf16* dlogits, u32 pitch, const i8* codes, const float* scales, bf16* dx, u32 v, u32 c, const u32* list,
        const u32* trained, u32 start, u32 chunk)) {
    SHARED(shared);
    const u32 n = rows_of(trained, start, chunk);
    if (blockIdx.x * TILE >= n) return;
    Q8Back().run(shared, dlogits, 2 * pitch, {codes, scales, c, 0.0f}, Scattered{dx, c, list + start}, n, c, v);
}

// dW (V,C) += dlogits^T x. Grid: tiles of V, of C.
KERNEL(linear_cross_entropy_weight_gradient, TILE_THREADS, 2, HeadGradient::SHARED_BYTES,
       (const bf16* dlogits, u32 pitch, const bf16* x, u32 stride, float* dw, u32 v, u32 c, const u32* trained, u32 start,
        u32 chunk)) {
    SHARED(shared);
    const u32 n = rows_of(trained, start, chunk);
    if (n > 0) HeadGradient().run(shared, dlogits, 2 * pitch, {x, stride}, Sums{dw, c, 1.0f, 1}, v, c, n);
}
