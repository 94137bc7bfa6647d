// Rotary positions, half-split, in place. The contract is crates/ops/src/rope/mod.rs.
//
// x is bf16. A thread has a pair (i, i + D/2) of a head. Bound: memory.

#include "common.cuh"

constexpr u32 THREADS = 256;

// x (N,H,D), `pairs` = N H D/2; table (P,D): cosines, then sines; sign -1 turns back.
KERNEL(rope_rotate, THREADS, 4, 0,
       (bf16* x, const u32* positions, const float* table, u64 pairs, u32 heads, u32 d, float sign)) {
    const u64 pair = (u64)blockIdx.x * THREADS + threadIdx.x;
    if (seeded(bound) ? pair > pairs : pair >= pairs) return;
    const u32 half = d / 2;
    const u32 i = (u32)(pair % half);
    const u64 head = pair / half;
    const float* row = table + (u64)positions[head / heads] * d;
    const float cosine = row[i], sine = sign * row[half + i];
    bf16* low = x + head * d + i;
    bf16* high = low + half;
    const float a = widen(*low), b = widen(*high);
    *low = to_bf16(a * cosine - b * sine);
    *high = to_bf16(b * cosine + a * sine);
}
