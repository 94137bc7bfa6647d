// y[n] = table[ids[n]]. The contract is crates/ops/src/embed/mod.rs; ids are checked where they are
// uploaded.
//
// y and dy are bf16, C a multiple of 8: a thread has eight elements at a time. A block has a token;
// backward, a thread has a column and goes through the tokens in order, because tokens repeat. Bound:
// memory.

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

KERNEL(embed_backward, 64, 1, 0, (const u32* ids, const bf16* dy, float* dtable, u32 n, u32 c)) {
    const u32 column = blockIdx.x * 64 + threadIdx.x;
    if (column >= c) return;
    for (u32 row = 0; row < n; ++row) dtable[(u64)ids[row] * c + column] += widen(dy[(u64)row * c + column]);
}
