// Rotary positions, half-split, in place. The contract is crates/ops/src/rope/mod.rs.
//
// x is bf16, turned in f32 and rounded once. A thread has the pairs (i, i + D/2) and (i + 1, i + 1 + D/2) of
// a head, so that it loads and stores whole words; D is a multiple of 4. Bound: memory.

#include "common.cuh"

constexpr u32 THREADS = 128;
constexpr u32 EACH = 2;

// Two pairs (low, high) of a head at (cosine, sine), turned.
DEVICE void turn(u32& low, u32& high, float2 cosine, float2 sine, float sign) {
    const float sines[2] = {sign * sine.x, sign * sine.y};
    const u32 a = low, b = high;
    low = pack_bf16(low_half(a) * cosine.x - low_half(b) * sines[0], high_half(a) * cosine.y - high_half(b) * sines[1]);
    high = pack_bf16(low_half(b) * cosine.x + low_half(a) * sines[0], high_half(b) * cosine.y + high_half(a) * sines[1]);
}

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
    turn(*low, *high, cosine, sine, sign);
}

// All heads of a token: q (N,H,D) turned in place; k (N,Hkv,D) turned into its row of keys, v as it is into
// its row of values, both (S,Hkv,D). A warp has a head. The bits are those of rope_rotate and attention_store.
// Grid: N, tiles of H + 2 Hkv by 4.
KERNEL(rope_place, THREADS, 8, 0,
       (bf16* q, const bf16* k, const bf16* v, const u32* positions, const float* table, const u32* rows, bf16* keys,
        bf16* values, u32 heads, u32 key_heads, u32 d)) {
    const u32 n = blockIdx.x, head = blockIdx.y * (THREADS / WARP) + threadIdx.x / WARP;
    const u32 all = heads + 2 * key_heads;
    if (seeded(bound) ? head > all : head >= all) return;
    const bool is_query = head < heads, is_value = head >= heads + key_heads;
    const u32 key_head = is_value ? head - heads - key_heads : head - heads;
    const u64 place = (u64)n * key_heads + key_head;
    const bf16* const from = is_query ? q + ((u64)n * heads + head) * d : (is_value ? v : k) + place * d;
    const u64 row = is_query ? 0 : (u64)rows[n] * key_heads + key_head;
    bf16* const to = is_query ? q + ((u64)n * heads + head) * d : (is_value ? values : keys) + row * d;
    const float* const angles = table + (u64)positions[n] * d;
    const u32 half = d / 2;
    for (u32 i = threadIdx.x % WARP * EACH; i < half; i += WARP * EACH) {
        u32 low = *(const u32*)(from + i), high = *(const u32*)(from + half + i);
        if (!is_value) turn(low, high, *(const float2*)(angles + i), *(const float2*)(angles + half + i), 1.0f);
        *(u32*)(to + i) = low;
        *(u32*)(to + half + i) = high;
    }
}
