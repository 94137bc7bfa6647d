// y[n] = table[ids[n]]. The contract is crates/ops/src/embed/mod.rs; ids are checked where they are
// uploaded.
//
// y and dy are bf16, C a multiple of 8. Forward, a block has a token and a thread eight elements at a time.
// Backward goes through the tokens in order, because they repeat. Bound: memory.

#include "common.cuh"

constexpr u32 THREADS = 256;

// Rounds a token's row; `load` gives eight elements from the table's `at`-th on.
template <class Load>
DEVICE void gather(const u32* ids, bf16* y, u32 c, Load load) {
    const u64 from = (u64)ids[blockIdx.x] * c, to = (u64)blockIdx.x * c;
    for (u32 i = threadIdx.x * 8; seeded(bound) ? i <= c : i < c; i += THREADS * 8) {
        float values[8];
        load(values, from + i);
        store_eight(y + to + i, values);
    }
}

#define OF_TYPE(suffix, T)                                                                              \
    KERNEL(embed_forward_##suffix, THREADS, 4, 0, (const u32* ids, const T* table, bf16* y, u32 c)) {   \
        gather(ids, y, c, [&](float(&values)[8], u64 at) { load_eight(values, table + at); });          \
    }
OF_TYPE(f32, float)
OF_TYPE(bf16, bf16)
OF_TYPE(f16, f16)

// 8 bits: code x scale of its block of 64; a block may begin in one row and end in the next, but never
// within eight elements.
KERNEL(embed_forward_q8, THREADS, 4, 0, (const u32* ids, const i8* codes, const float* scales, bf16* y, u32 c)) {
    gather(ids, y, c, [&](float(&values)[8], u64 at) {
        const uint2 bytes = *(const uint2*)(codes + at);
        const float scale = scales[at / 64];
        UNROLL for (u32 j = 0; j < 8; ++j) {
            values[j] = (float)(i8)((j < 4 ? bytes.x : bytes.y) >> (8 * (j % 4)) & 0xff) * scale;
        }
    });
}

// dtable[ids[n]] += dy[n]. A block has 64 columns, a lane two of them. Warp w of 16 takes the tokens whose id
// is w modulo 16, in order: no two warps add to the same row. Grid: ceil(C / 64).
constexpr u32 WARPS = 16, COLUMNS = 2 * WARP;
constexpr u32 LISTED = 1024;  // ids in shared memory at a time

KERNEL(embed_backward, WARPS * WARP, 2, LISTED * 4, (const u32* ids, const bf16* dy, float* dtable, u32 n, u32 c)) {
    SHARED(shared);
    u32* const listed = (u32*)shared;
    const u32 warp = threadIdx.x / WARP;
    const u32 column = blockIdx.x * COLUMNS + 2 * (threadIdx.x % WARP);
    const bool in = column < (seeded(bound) ? c + 2 : c);
    for (u32 start = 0; start < n; start += LISTED) {
        const u32 count = n - start < LISTED ? n - start : LISTED;
        if (!seeded(dropped_barrier)) sync_block();  // the ids before have been used
        for (u32 i = threadIdx.x; i < count; i += WARPS * WARP) listed[i] = ids[start + i];
        sync_block();
        for (u32 i = 0; i < count; ++i) {
            const u32 id = listed[i];
            if (id % WARPS != warp || !in) continue;
            const u32 pair = *(const u32*)(dy + (u64)(start + i) * c + column);
            float2* const to = (float2*)(dtable + (u64)id * c + column);
            const float2 before = *to;
            *to = make_float2(before.x + low_half(pair), before.y + high_half(pair));
        }
    }
}
