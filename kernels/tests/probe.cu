// Small kernels that do one thing right, and wrong when a fault is seeded: they test the checks of the
// emulated driver themselves, those that no kernel of an op has a place for, too.

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
KERNEL(probe_fragments, 32, 1, 1024, (const u16* matrices, u32* plain, u32* turned)) {
    SHARED(shared);
    u16* const rows = (u16*)shared;
    for (u32 i = 0; i < 8; ++i) rows[threadIdx.x * 8 + i] = matrices[threadIdx.x * 8 + i];
    sync_warp();
    u32 a[4], b[4];
    load_matrices(a, rows + threadIdx.x * 8);
    load_matrices_transposed(b, rows + threadIdx.x * 8);
    for (u32 i = 0; i < 4; ++i) {
        plain[threadIdx.x * 4 + i] = a[i];
        turned[threadIdx.x * 4 + i] = b[i];
    }
}

KERNEL(probe_multiply, 32, 1, 0, (const u32* a, const u32* b, float* c)) {
    float sums[4];
    u32 left[4];
    for (u32 i = 0; i < 4; ++i) {
        left[i] = a[threadIdx.x * 4 + i];
        sums[i] = c[threadIdx.x * 4 + i];
    }
    multiply_add(sums, left, b[threadIdx.x * 2], b[threadIdx.x * 2 + 1]);
    for (u32 i = 0; i < 4; ++i) c[threadIdx.x * 4 + i] = sums[i];
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
