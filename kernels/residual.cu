// to = from, to = 0, on bytes. The contract is crates/ops/src/residual/mod.rs.
//
// 16 bytes per thread where the addresses allow it, else one. Bound: memory.

#include "common.cuh"

constexpr u32 THREADS = 256;

// Calls wide(i) for whole 16 bytes if `aligned`, and narrow(i) for the bytes that are left.
template <class Wide, class Narrow>
DEVICE void pieces(u64 bytes, bool aligned, Wide wide, Narrow narrow) {
    const u64 start = (u64)blockIdx.x * THREADS + threadIdx.x, step = (u64)gridDim.x * THREADS;
    const u64 whole = aligned ? bytes / 16 : 0;
    for (u64 i = start; i < whole; i += step) wide(i);
    for (u64 i = whole * 16 + start; seeded(bound) ? i <= bytes : i < bytes; i += step) narrow(i);
}

KERNEL(residual_copy, THREADS, 4, 0, (const u8* from, u8* to, u64 bytes)) {
    const bool aligned = ((u64)from | (u64)to) % 16 == 0;
    pieces(bytes, aligned, [&](u64 i) { ((uint4*)to)[i] = ((const uint4*)from)[i]; }, [&](u64 i) { to[i] = from[i]; });
}

KERNEL(residual_zero, THREADS, 4, 0, (u8* to, u64 bytes)) {
    const bool aligned = (u64)to % 16 == 0;
    pieces(bytes, aligned, [&](u64 i) { ((uint4*)to)[i] = make_uint4(0, 0, 0, 0); }, [&](u64 i) { to[i] = 0; });
}
