// Rotary positions, half-split, in place. The contract is crates/ops/src/rope/mod.rs.
//
// x is bf16, turned in f32 and rounded once. A thread has the pairs (i, i + D/2) and (i + 1, i + 1 + D/2) of
// a head, so that it loads and stores whole words; D is a multiple of 4. Bound: memory.

#include "common.cuh"

constexpr u32 THREADS = 128;
constexpr u32 EACH = 2;

// x (N,H,D), `pairs` = N H D/2, of which a block has 256; table (P,D): cosines, then sines; sign -1 turns
// back.
KERNEL(rope_rotate, THREADS, 8, 0,
       (bf16* x, const u32* positions, const float* table, u64 pairs, u32 heads, u32 d, float sign)) {
    const u64 pair = ((u64)blockIdx.x * THREADS + threadIdx.x) * EACH;
    if (seeded(bound) ? pair > pairs : pair >= pairs) return;
    const u32 half = d / 2;
    const u32 i = (u32)(pair % half);
    const u64 head = pair / half;
    const float* row = table + (u64)positions[head / heads] * d + i;
    const float2 cosine = *(const float2*)row, sine = *(const float2*)(row + half);
    u32* const low = (u32*)(x + head * d + i);
    u32* const high = (u32*)(x + head * d + half + i);
    const u32 a = *low, b = *high;
    const float sines[2] = {sign * sine.x, sign * sine.y};
    *low = pack_bf16(low_half(a) * cosine.x - low_half(b) * sines[0], high_half(a) * cosine.y - high_half(b) * sines[1]);
    *high = pack_bf16(low_half(b) * cosine.x + low_half(a) * sines[0], high_half(b) * cosine.y + high_half(a) * sines[1]);
}
