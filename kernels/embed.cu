// y[n] = table[ids[n]]. The contract is crates/ops/src/embed/mod.rs; ids are checked where they are
// uploaded.
//
// y and dy are bf16. A block has a token; backward, a thread has a column and goes through the tokens in order, because
// tokens repeat. Bound: memory.

#include "common.cuh"

constexpr u32 THREADS = 256;

template <class T>
DEVICE void gather(const u32* ids, const T* table, bf16* y, u32 c) {
    const u64 from = (u64)ids[blockIdx.x] * c, to = (u64)blockIdx.x * c;
    for (u32 i = threadIdx.x; seeded(bound) ? i <= c : i < c; i += THREADS) {
        y[to + i] = to_bf16(widen(table[from + i]));
    }
}

KERNEL(embed_forward_f32, THREADS, 4, 0, (const u32* ids, const float* table, bf16* y, u32 c)) {
    gather(ids, table, y, c);
}
KERNEL(embed_forward_bf16, THREADS, 4, 0, (const u32* ids, const bf16* table, bf16* y, u32 c)) {
    gather(ids, table, y, c);
}
KERNEL(embed_forward_f16, THREADS, 4, 0, (const u32* ids, const f16* table, bf16* y, u32 c)) {
    gather(ids, table, y, c);
}

// 8 bits: code x scale of its block of 64; a block may begin in one row and end in the next.
KERNEL(embed_forward_q8, THREADS, 4, 0, (const u32* ids, const i8* codes, const float* scales, bf16* y, u32 c)) {
    const u64 from = (u64)ids[blockIdx.x] * c, to = (u64)blockIdx.x * c;
    for (u32 i = threadIdx.x; i < c; i += THREADS) {
        y[to + i] = to_bf16((float)codes[from + i] * scales[(from + i) / 64]);
    }
}

KERNEL(embed_backward, 64, 1, 0, (const u32* ids, const bf16* dy, float* dtable, u32 n, u32 c)) {
    const u32 column = blockIdx.x * 64 + threadIdx.x;
    if (column >= c) return;
    for (u32 row = 0; row < n; ++row) dtable[(u64)ids[row] * c + column] += widen(dy[(u64)row * c + column]);
}
