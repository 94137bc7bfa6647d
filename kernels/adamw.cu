// The squared norm of a gradient, where it lies: then only a number per stretch travels to the host, which
// adds them in f64 and has the rest of the op. The contract is crates/ops/src/adamw/mod.rs.
//
// A block has a stretch of 4,096 elements. Thread t of 256 adds the squares of the elements t, t + 256, ...
// fused and in this order; lanes are added 16, 8, 4, 2, 1 apart, then the eight warps in order. The CPU's
// order is another one: its bounds hold, not its bits. Bound: memory.

#include "common.cuh"

constexpr u32 THREADS = 256;
constexpr u32 STRETCH = 4096;  // NORM_STRETCH of the room

// partial[block] of g (count). Grid: ceil(count / 4096).
KERNEL(adamw_squared_norm, THREADS, 4, THREADS / WARP * sizeof(float), (const float* g, float* partial, u64 count)) {
    SHARED(shared);
    const u64 start = (u64)blockIdx.x * STRETCH + threadIdx.x;
    float sum = 0.0f;
    UNROLL for (u32 j = 0; j < STRETCH / THREADS; ++j) {
        const u64 i = start + j * THREADS;
        if (seeded(bound) ? i <= count : i < count) sum = fused(g[i], g[i], sum);
    }
    sum = block_sum<THREADS / WARP>(sum, (float*)shared);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}
