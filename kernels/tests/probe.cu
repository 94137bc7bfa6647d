// Small kernels that do one thing right, and wrong when a fault is seeded: they test the checks of the
// emulated driver themselves, those that no kernel of an op has a place for, too. The ones behind "Meanings"
// put one instruction each between inputs and outputs: tests/gpu runs them on a device, probe.cpp here.

#include "../common.cuh"

// Lanes of a warp hand a value round through shared memory.
KERNEL(probe_warp, 64, 1, 64 * 4, (u32* to)) {
    SHARED(shared);
    u32* const values = (u32*)shared;
    values[threadIdx.x] = threadIdx.x;
    if (!seeded(missing_syncwarp)) sync_warp();
    to[threadIdx.x] = values[threadIdx.x ^ 1];
}

// Every block has its own element.
KERNEL(probe_blocks, 32, 1, 0, (u32* to)) {
    if (threadIdx.x == 0) to[seeded(bound) ? 0 : blockIdx.x] = blockIdx.x;
}

// All threads reach the barrier.
KERNEL(probe_barrier, 64, 1, 0, (u32* to)) {
    if (seeded(dropped_barrier) && threadIdx.x < 32) return;
    sync_block();
    to[threadIdx.x] = 1;
}

// Half a warp adds for itself, with a mask that names it.
KERNEL(probe_mask, 32, 1, 0, (float* to)) {
    if (threadIdx.x < 16) {
        float sum = (float)threadIdx.x;
        UNROLL for (u32 distance = 8; distance > 0; distance /= 2) {
            sum += shuffle_xor(sum, distance, seeded(wrong_mask) ? ALL_LANES : 0xffffu);
        }
        if (threadIdx.x == 0) *to = sum;
    }
}

// A copy has to begin at a multiple of 16, and to be waited for before its block ends.
KERNEL(probe_copy, 32, 1, 32 * 16 + 16, (const u8* from, u8* to)) {
    SHARED(shared);
    u8* const own = shared + threadIdx.x * 16 + (seeded(swizzle) ? 8 : 0);
    start_copy16(own, from + threadIdx.x * 16, threadIdx.x % 17);
    end_copy_group();
    if (seeded(missing_wait)) return;
    wait_copies<0>();
    for (u32 i = 0; i < 16; ++i) to[threadIdx.x * 16 + i] = own[i];
}

// Pairs lie at multiples of their size; what is streamed was written before the launch.
KERNEL(probe_vector, 32, 1, 0, (const u8* from, uint4* to)) {
    const uint2 pair = *(const uint2*)(from + 8 * threadIdx.x + (seeded(swizzle) ? 4 : 0));
    to[threadIdx.x] = make_uint4(pair.x, pair.y, 0, 0);
    const uint4 streamed = load_streaming(seeded(bound) ? (const u8*)(to + threadIdx.x) : from + 16 * threadIdx.x);
    to[threadIdx.x] = make_uint4(pair.x, pair.y, streamed.x, streamed.y);
}

// One warp, and all lanes, at one place.
KERNEL(probe_place, 32, 1, 0, (float* to)) {
    float value = 1.0f;
    if (seeded(halves) && threadIdx.x < 16) {
        value = shuffle_xor(value, 16);
    } else {
        value = shuffle_xor(value, 16) * 2.0f;
    }
    to[threadIdx.x] = value;
}

// Random bits through the instructions, as micro-tests on a device would.
// Grid: four matrices each.
KERNEL(probe_fragments, 32, 1, 1024, (const u16* matrices, u32* plain, u32* turned)) {
    SHARED(shared);
    u16* const rows = (u16*)shared;
    const u32 at = blockIdx.x * 32 + threadIdx.x;
    for (u32 i = 0; i < 8; ++i) rows[threadIdx.x * 8 + i] = matrices[at * 8 + i];
    sync_warp();
    u32 a[4], b[4];
    load_matrices(a, rows + threadIdx.x * 8);
    load_matrices_transposed(b, rows + threadIdx.x * 8);
    for (u32 i = 0; i < 4; ++i) {
        plain[at * 4 + i] = a[i];
        turned[at * 4 + i] = b[i];
    }
}

// Grid: a product each.
KERNEL(probe_multiply, 32, 1, 0, (const u32* a, const u32* b, float* c)) {
    float sums[4];
    u32 left[4];
    const u32 at = blockIdx.x * 32 + threadIdx.x;
    for (u32 i = 0; i < 4; ++i) {
        left[i] = a[at * 4 + i];
        sums[i] = c[at * 4 + i];
    }
    multiply_add(sums, left, b[at * 2], b[at * 2 + 1]);
    for (u32 i = 0; i < 4; ++i) c[at * 4 + i] = sums[i];
}

KERNEL(probe_numbers, 32, 1, 0, (const float* x, float* e, float* l, u32* packed, u32 n)) {
    for (u32 i = threadIdx.x; i < n; i += 32) {
        e[i] = exponential(x[i]);
        l[i] = logarithm(x[i] < 0.0f ? -x[i] : x[i]);
        packed[i] = pack_bf16(x[i], -x[i]);
    }
}

// Time of a matrix multiply-add.
KERNEL(probe_time, 128, 1, 0, (float* to, u32 repeats)) {
    float c[4][4] = {};
    const u32 a[4] = {0x3f803f80u, 0x3f803f80u, 0x3f803f80u, 0x3f803f80u};
    for (u32 i = 0; i < repeats; ++i) {
        UNROLL for (u32 j = 0; j < 4; ++j) multiply_add(c[j], a, 0x3f803f80u, 0x3f803f80u);
    }
    to[threadIdx.x] = c[0][0] + c[1][1] + c[2][2] + c[3][3];
}

// --- Meanings ----------------------------------------------------------------------------------------

// a * b + c with one rounding, and the same in two.
KERNEL(probe_fused, 128, 1, 0, (const float* a, const float* b, const float* c, float* one, float* two, u32 n)) {
    for (u32 i = threadIdx.x; i < n; i += 128) {
        one[i] = fused(a[i], b[i], c[i]);
        two[i] = a[i] * b[i] + c[i];
    }
}

// What the compiler makes of a root, a quotient and of what stands on them.
KERNEL(probe_quotients, 128, 1, 0, (const float* a, const float* b, float* root, float* quotient, float* sig, u32 n)) {
    for (u32 i = threadIdx.x; i < n; i += 128) {
        root[i] = square_root(a[i]);
        quotient[i] = a[i] / b[i];
        sig[i] = sigmoid(a[i]);
    }
}

KERNEL(probe_pack, 128, 1, 0, (const float* low, const float* high, u32* packed, u32 n)) {
    for (u32 i = threadIdx.x; i < n; i += 128) packed[i] = pack_bf16(low[i], high[i]);
}

// The halves of a pair, and a value that goes to bf16 and back.
KERNEL(probe_halves, 128, 1, 0, (const u32* pairs, u32* low, u32* high, u32* rounded, u32 n)) {
    for (u32 i = threadIdx.x; i < n; i += 128) {
        low[i] = bits_of_float(low_half(pairs[i]));
        high[i] = bits_of_float(high_half(pairs[i]));
        rounded[i] = bits_of_float(round_bf16(float_of_bits(pairs[i])));
    }
}

// Each byte of a word, over another one's: to (n,4).
KERNEL(probe_bytes, 128, 1, 0, (const u32* words, const u32* others, u32* to, u32 n)) {
    for (u32 i = threadIdx.x; i < n; i += 128) {
        UNROLL for (u32 j = 0; j < 4; ++j) to[4 * i + j] = byte_on(words[i], j, others[i]);
    }
}

// Every pattern of 16 bits as each kind of half.
KERNEL(probe_widen, 128, 1, 0, (const u16* from, u32* of_f16, u32* of_bf16, u32 n)) {
    for (u32 i = threadIdx.x; i < n; i += 128) {
        of_f16[i] = bits_of_float(widen(f16{from[i]}));
        of_bf16[i] = bits_of_float(widen(bf16{from[i]}));
    }
}

// Chunks of eight through every way in, and out again. Grid: 32 chunks each.
KERNEL(probe_eight, 32, 1, 0, (const float* single, const u16* half, float* of_f32, float* of_bf16, float* of_f16, u16* back)) {
    const u32 at = (blockIdx.x * 32 + threadIdx.x) * 8;
    float values[8];
    load_eight(values, single + at);
    for (u32 i = 0; i < 8; ++i) of_f32[at + i] = values[i];
    store_eight((bf16*)(back + at), values);
    load_eight(values, (const bf16*)(half + at));
    for (u32 i = 0; i < 8; ++i) of_bf16[at + i] = values[i];
    load_eight(values, (const f16*)(half + at));
    for (u32 i = 0; i < 8; ++i) of_f16[at + i] = values[i];
}

// 16 bytes per thread. Grid: 512 bytes each.
KERNEL(probe_streaming, 32, 1, 0, (const u8* from, uint4* to)) {
    const u32 at = blockIdx.x * 32 + threadIdx.x;
    to[at] = load_streaming(from + 16 * at);
}

// Two groups of copies, read as they arrive; a thread copies sizes[thread] bytes of 16 each, the rest is zero. What
// lay there before are ones. Grid: 512 bytes each.
KERNEL(probe_groups, 32, 1, 32 * 32, (const u8* from, const u32* sizes, u8* first, u8* second)) {
    SHARED(shared);
    const u32 at = blockIdx.x * 32 + threadIdx.x;
    u8* const own = shared + threadIdx.x * 32;
    for (u32 i = 0; i < 32; ++i) own[i] = 0xff;
    sync_warp();
    start_copy16(own, from + 16 * at, sizes[at]);
    end_copy_group();
    start_copy16(own + 16, from + 16 * at, 16 - sizes[at]);
    end_copy_group();
    wait_copies<1>();
    for (u32 i = 0; i < 16; ++i) first[16 * at + i] = own[i];
    wait_copies<0>();
    for (u32 i = 0; i < 16; ++i) second[16 * at + i] = own[16 + i];
}

// Every distance of a shuffle. Grid: 32 values each.
KERNEL(probe_shuffle, 32, 1, 0, (const float* from, float* to)) {
    const float value = from[blockIdx.x * 32 + threadIdx.x];
    for (u32 distance = 0; distance < WARP; ++distance) {
        to[(blockIdx.x * WARP + distance) * WARP + threadIdx.x] = shuffle_xor(value, distance);
    }
}

// Sums of a warp, and of a block of eight. Grid: 256 values each.
KERNEL(probe_sums, 256, 1, 32, (const float* from, float* of_warp, float* of_block)) {
    SHARED(shared);
    const u32 at = blockIdx.x * 256 + threadIdx.x;
    of_warp[at] = warp_sum(from[at]);
    of_block[at] = block_sum<8>(from[at], (float*)shared);
}
