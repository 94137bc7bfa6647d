// Tiles of bf16 in shared memory, and the fragments that tensor cores take from them.
#pragma once

#include "common.cuh"

constexpr u32 CHUNK = 16;  // bytes of a copy, and of a row of an 8 x 8 matrix

// A tile of bf16 in shared memory whose chunks are permuted within the row, so that the eight rows of a
// matrix lie in different banks. WIDTH elements per row.
template <u32 WIDTH>
struct Tile {
    static_assert(WIDTH == 32 || WIDTH % 64 == 0, "rows of 64 bytes, or of multiples of 128");
    static constexpr u32 CHUNKS = WIDTH / 8;

    DEVICE_MEMBER static u8* at(u8* base, u32 row, u32 chunk) {
        return base + (row * CHUNKS + (chunk ^ (WIDTH == 32 ? row / 2 % 4 : row % 8))) * CHUNK;
    }
    // Where it is read. A seeded fault forgets the permutation.
    DEVICE_MEMBER static u8* find(u8* base, u32 row, u32 chunk) {
        return seeded(swizzle) ? base + (row * CHUNKS + chunk) * CHUNK : at(base, row, chunk);
    }
};

// The bytes that a copy of 8 elements from `from` on reads, of `count` in all.
DEVICE u32 whole_bytes(u32 from, u32 count) {
    if (from >= count) return 0;
    return count - from < 8 ? (count - from) * 2 : CHUNK;
}

// The fragment (16,16) of a left operand at `row` and `k`: of a tile [row][k], or [k][row].
template <u32 WIDTH>
DEVICE void left_along(u32 (&a)[4], u8* tile, u32 row, u32 k) {
    const u32 lane = threadIdx.x % WARP;
    load_matrices(a, Tile<WIDTH>::find(tile, row + lane % 16, k / 8 + lane / 16));
}

template <u32 WIDTH>
DEVICE void left_across(u32 (&a)[4], u8* tile, u32 row, u32 k) {
    const u32 lane = threadIdx.x % WARP;
    load_matrices_transposed(a, Tile<WIDTH>::find(tile, k + lane % 8 + lane / 16 * 8, row / 8 + lane / 8 % 2));
}

// Two fragments (16,8) of a right operand, at `k` and `column`, `column` + 8: of a tile [column][k], or
// [k][column]. The first is b[0], b[1].
template <u32 WIDTH>
DEVICE void right_along(u32 (&b)[4], u8* tile, u32 column, u32 k) {
    const u32 lane = threadIdx.x % WARP;
    load_matrices(b, Tile<WIDTH>::find(tile, column + lane % 8 + lane / 16 * 8, k / 8 + lane / 8 % 2));
}

template <u32 WIDTH>
DEVICE void right_across(u32 (&b)[4], u8* tile, u32 column, u32 k) {
    const u32 lane = threadIdx.x % WARP;
    load_matrices_transposed(b, Tile<WIDTH>::find(tile, k + lane % 16, column / 8 + lane / 16));
}

// Adds a (16,16) times two fragments of right.
DEVICE void multiply_add_two(float (&first)[4], float (&second)[4], const u32 (&a)[4], const u32 (&b)[4]) {
    multiply_add(first, a, b[seeded(halves) ? 1 : 0], b[seeded(halves) ? 0 : 1]);
    multiply_add(second, a, b[2], b[3]);
}
