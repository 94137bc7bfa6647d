// The tiled product  out (N,M) = scale left (N,K) right (K,M), overwriting or adding, on tensor cores.
//
// Left is bf16 where it lies, right what `Right` decodes to bf16; sums are f32, rounded where they are
// stored, if the output is bf16. A block has a tile of ROWS x COLUMNS outputs and goes
// through k in steps of 32, ascending; what a step adds is the sum of two m16n8k16. So an output's sum
// has one order, whatever N, M and the grid are; k is never split between blocks.
//
// Three stages of copies are under way or in use. A `Right` that must be decoded is decoded one step
// ahead, from raw bytes to one of two tiles: the decoding of step k + 1 and the products of step k stand
// between the same two barriers and hide each other's latency. One barrier per step. Raw bytes are done
// with one step before their tile is, so two stages of them are enough.
#pragma once

#include "tile.cuh"

constexpr u32 STEP = 32;    // k per step
constexpr u32 STAGES = 3;

// How an operand lies: k along its rows, or across them.
enum class Along { K, Across };

// Copies a tile of `OUTER` x 32 (along k) or 32 x `OUTER` (across) from a bf16 matrix whose rows have
// `stride` elements, a multiple of 8. What lies outside is zero.
template <Along ALONG, u32 OUTER, u32 THREADS>
DEVICE void start_tile(u8* to, const bf16* from, u32 stride, u32 outer, u32 outers, u32 k, u32 ks) {
    constexpr u32 ROWS = ALONG == Along::K ? OUTER : STEP;
    constexpr u32 WIDTH = ALONG == Along::K ? STEP : OUTER;
    constexpr u32 CHUNKS = WIDTH / 8;
    static_assert(THREADS % CHUNKS == 0, "a thread's chunks stand in one column");
    // A known number of rounds: the last one has no branch.
    static_assert(ROWS * CHUNKS % THREADS == 0, "all threads copy as much");
    UNROLL for (u32 i = 0; i < ROWS * CHUNKS; i += THREADS) {
        const u32 row = (i + threadIdx.x) / CHUNKS, chunk = threadIdx.x % CHUNKS;
        const u32 r = (ALONG == Along::K ? outer : k) + row, c = (ALONG == Along::K ? k : outer) + 8 * chunk;
        const u32 rows = ALONG == Along::K ? outers : ks, columns = ALONG == Along::K ? ks : outers;
        const u32 bytes = r < (seeded(bound) ? rows + 1 : rows) ? whole_bytes(c, columns) : 0;
        // A copy of nothing still needs an address that is somewhere.
        start_copy16(Tile<WIDTH>::at(to, row, chunk), bytes ? from + (u64)r * stride + c : from, bytes);
    }
}

// The fragment of left for rows base .. base + 16 and the half-step `half` (16 of k).
template <Along ALONG, u32 OUTER>
DEVICE void left_fragment(u32 (&a)[4], u8* tile, u32 base, u32 half) {
    if (ALONG == Along::K) {
        left_along<STEP>(a, tile, base, 16 * half);
    } else {
        left_across<OUTER>(a, tile, base, 16 * half);
    }
}

// The fragments of right for columns base .. base + 16: two for the first eight, two for the others.
template <Along ALONG, u32 OUTER>
DEVICE void right_fragment(u32 (&b)[4], u8* tile, u32 base, u32 half) {
    if (ALONG == Along::K) {
        right_along<STEP>(b, tile, base, 16 * half);
    } else {
        right_across<OUTER>(b, tile, base, 16 * half);
    }
}

// Where a product is written: put(row, column, both, low, high) has the output at an even column and, if
// `both` are below width(m), the one behind it.

// f32, overwritten or added to.
struct Sums {
    float* out;
    u32 stride;
    float scale;
    u32 add;
    DEVICE_MEMBER u32 width(u32 m) const { return m; }
    DEVICE_MEMBER void put(u32 row, u32 column, bool both, float low, float high) const {
        float* const to = out + (u64)row * stride + column;
        to[0] = add ? to[0] + scale * low : scale * low;
        if (both) to[1] = add ? to[1] + scale * high : scale * high;
    }
};

// bf16, whose rows are an even number of elements apart: scale low, high, rounded, or added to what is
// there and then rounded.
DEVICE void put_pair(bf16* to, bool add, float low, float high) {
    u32* const pair = (u32*)to;
    if (add) {
        const u32 before = *pair;
        low += low_half(before);
        high += high_half(before);
    }
    *pair = pack_bf16(low, high);
}

struct Rounded {
    bf16* out;
    u32 stride;
    float scale;
    u32 add;
    DEVICE_MEMBER u32 width(u32 m) const { return m; }
    DEVICE_MEMBER void put(u32 row, u32 column, bool, float low, float high) const {
        put_pair(out + (u64)row * stride + column, add, scale * low, scale * high);
    }
};

// As the caller wishes.
enum Mode : u32 { OVERWRITE, ADD, OVERWRITE_F32 };

struct Moded {
    void* out;
    u32 stride;
    u32 mode;
    DEVICE_MEMBER u32 width(u32 m) const { return m; }
    DEVICE_MEMBER void put(u32 row, u32 column, bool both, float low, float high) const {
        if (mode == OVERWRITE_F32) {
            Sums{(float*)out, stride, 1.0f, 0}.put(row, column, both, low, high);
        } else {
            put_pair((bf16*)out + (u64)row * stride + column, mode == ADD, low, high);
        }
    }
};

// To be the left operand of another product: zeros up to the stride.
struct Operand {
    bf16* out;
    u32 stride;
    DEVICE_MEMBER u32 width(u32) const { return stride; }
    DEVICE_MEMBER void put(u32 row, u32 column, bool, float low, float high) const {
        put_pair(out + (u64)row * stride + column, false, low, high);
    }
};

// Dense bf16 as the right operand: copied, not decoded.
template <Along ALONG_, u32 COLUMNS, u32 THREADS>
struct DenseRight {
    static constexpr Along ALONG = ALONG_;
    static constexpr bool DECODED = false;
    static constexpr u32 RAW = COLUMNS * STEP * 2;  // bytes of a stage
    static constexpr u32 TABLES = 0;
    const bf16* values;
    u32 stride;

    DEVICE_MEMBER void prepare(u8*) {}
    DEVICE_MEMBER void start(u8* raw, u32 column, u32 columns, u32 k, u32 ks) const {
        start_tile<ALONG, COLUMNS, THREADS>(raw, values, stride, column, columns, k, ks);
    }
    DEVICE_MEMBER void fetch(u32, u32, u32, u32) {}
    DEVICE_MEMBER void decode(const u8*, u8*, const u8*) const {}
};

template <u32 ROWS_, u32 COLUMNS_, u32 WARPS_DOWN, u32 WARPS_ACROSS, Along LEFT, class Right>
struct Product {
    static constexpr u32 ROWS = ROWS_, COLUMNS = COLUMNS_;
    static constexpr u32 THREADS = WARPS_DOWN * WARPS_ACROSS * WARP;
    static constexpr u32 LEFT_BYTES = ROWS * STEP * 2, RIGHT_BYTES = COLUMNS * STEP * 2;
    static constexpr u32 RAW_AT = STAGES * LEFT_BYTES;
    static constexpr u32 RAW_STAGES = Right::DECODED ? 2 : STAGES;
    static constexpr u32 DECODED_AT = RAW_AT + RAW_STAGES * Right::RAW;
    static constexpr u32 TABLES_AT = DECODED_AT + (Right::DECODED ? 2 * RIGHT_BYTES : 0);
    static constexpr u32 SHARED_BYTES = TABLES_AT + Right::TABLES;
    static constexpr u32 DOWN = ROWS / WARPS_DOWN / 16;        // fragments of left per warp
    static constexpr u32 ACROSS = COLUMNS / WARPS_ACROSS / 16;  // pairs of fragments of right

    // The warp's outputs: fragment, octet of columns, the lane's four values.
    float sums[DOWN][2 * ACROSS][4] = {};
    u8* shared;
    u32 row, column;              // the tile's first
    u32 warp_row, warp_column;    // the warp's first, within the tile

    DEVICE_MEMBER u8* raw_of(u32 step) { return shared + RAW_AT + step % RAW_STAGES * Right::RAW; }
    DEVICE_MEMBER u8* right_tile(u32 step) {
        return Right::DECODED ? shared + DECODED_AT + step % 2 * RIGHT_BYTES : raw_of(step);
    }

    DEVICE_MEMBER void multiply(u32 step) {
        u8* const left = shared + step % STAGES * LEFT_BYTES;
        u8* const right = right_tile(step);
        UNROLL for (u32 half = 0; half < 2; ++half) {
            u32 b[ACROSS][4];
            UNROLL for (u32 j = 0; j < ACROSS; ++j) {
                right_fragment<Right::ALONG, COLUMNS>(b[j], right, warp_column + 16 * j, half);
            }
            UNROLL for (u32 i = 0; i < DOWN; ++i) {
                u32 a[4];
                left_fragment<LEFT, ROWS>(a, left, warp_row + 16 * i, half);
                UNROLL for (u32 j = 0; j < ACROSS; ++j) multiply_add_two(sums[i][2 * j], sums[i][2 * j + 1], a, b[j]);
            }
        }
    }

    template <class Output>
    DEVICE_MEMBER void store(const Output& output, u32 n, u32 m) const {
        const u32 lane = threadIdx.x % WARP, width = output.width(m);
        UNROLL for (u32 i = 0; i < 2 * DOWN; ++i) {
            const u32 r = row + warp_row + 8 * i + lane / 4;
            if (r >= n) continue;
            UNROLL for (u32 j = 0; j < 2 * ACROSS; ++j) {
                const u32 c = column + warp_column + 8 * j + 2 * (lane % 4);
                const float* const pair = &sums[i / 2][j][i % 2 * 2];
                if (c < width) output.put(r, c, c + 1 < width, pair[0], pair[1]);
            }
        }
    }

    // The tile at (blockIdx.x, blockIdx.y). Left has `stride` elements per row, a multiple of 8.
    template <class Output>
    DEVICE_MEMBER void run(u8* memory, const bf16* left, u32 stride, Right right, const Output& output, u32 n, u32 m,
                           u32 ks) {
        shared = memory;
        row = blockIdx.x * ROWS;
        column = blockIdx.y * COLUMNS;
        const u32 warp = threadIdx.x / WARP;
        warp_row = warp / WARPS_ACROSS * (16 * DOWN);
        warp_column = warp % WARPS_ACROSS * (16 * ACROSS);
        const u32 steps = (ks + STEP - 1) / STEP;
        auto start = [&](u32 step) {
            if (step < steps) {
                start_tile<LEFT, ROWS, THREADS>(shared + step % STAGES * LEFT_BYTES, left, stride, row, n, step * STEP, ks);
                right.start(raw_of(step), column, m, step * STEP, ks);
            }
            // Also of nothing, so that the count of groups is the count of steps.
            end_copy_group();
        };
        u8* const tables = shared + TABLES_AT;
        auto decode = [&](u32 step) {
            right.decode(raw_of(step), right_tile(step), tables);
        };
        right.prepare(tables);
        start(0);
        start(1);
        if (Right::DECODED) {
            right.fetch(column, m, 0, ks);
            wait_copies<1>();
            sync_block();
            decode(0);
            right.fetch(column, m, STEP, ks);
        }
        const bool needed = row + warp_row < n && column + warp_column < output.width(m);
        for (u32 step = 0; step < steps; ++step) {
            // Dense: this step's copies have to be there. Decoded: the next step's raw bytes.
            if (!seeded(missing_wait)) wait_copies<Right::DECODED ? 0 : 1>();
            if (!seeded(dropped_barrier)) sync_block();
            start(step + 2);
            if (Right::DECODED && step + 1 < steps) {
                decode(step + 1);
                right.fetch(column, m, (step + 2) * STEP, ks);
            }
            if (needed) multiply(step);
        }
        if (needed) store(output, n, m);
    }
};
