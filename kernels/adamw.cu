// The squared norm of a gradient; the update is the host's. The contract is crates/ops/src/adamw/mod.rs.
//
// A block has a stretch of 4,096 elements: thread t adds the squares of elements t, t + 256, ... in this
// order; lanes are added 16, 8, 4, 2, 1 apart, then the eight warps in order. Bound: memory.

#include "common.cuh"

constexpr u32 THREADS = 256;
constexpr u32 WARPS = THREADS / WARP;
constexpr u32 STRETCH = 4096;

// partial[block] = the sum over its stretch of g (count) f32. Grid: stretches.
KERNEL(adamw_squared_norm, THREADS, 4, WARPS * sizeof(float), (const float* g, float* partial, u64 count)) {
    SHARED(shared);
    float* const sums = (float*)shared;
    const u64 start = (u64)blockIdx.x * STRETCH;
    float sum = 0.0f;
    for (u32 i = threadIdx.x; i < STRETCH; i += THREADS) {
        if (start + i < (seeded(bound) ? count + 1 : count)) sum = fused(g[start + i], g[start + i], sum);
    }
    sum = warp_sum(sum, seeded(wrong_mask) ? 0x7fffffffu : ALL_LANES);
    if (threadIdx.x % WARP == 0) sums[threadIdx.x / WARP] = sum;
    if (!seeded(dropped_barrier)) sync_block();
    if (threadIdx.x != 0) return;
    float all = sums[0];
    UNROLL for (u32 warp = 1; warp < WARPS; ++warp) all += sums[warp];
    partial[blockIdx.x] = all;
}
