// Quantized weights as the right operand of a product: decoded to bf16 where they are loaded.
#pragma once

#include "product.cuh"

// The 16 levels of NF4 (crates/quant/src/nf4.rs).
CONSTANT float LEVELS[16] = {
    -1.0f,         -0.6961928f,  -0.52507305f, -0.3949175f, -0.28444138f, -0.18477343f, -0.091050036f, 0.0f,
    0.0795803f,    0.1609302f,   0.2461123f,   0.33791524f, 0.44070983f,  0.562617f,    0.72295684f,   1.0f,
};

// An NF4 weight: absmax in f32, or in bytes (`q`, not null) that index `map`, times the nested scale of
// 256 of them, plus the offset; each operation rounds.
struct Nf4 {
    const u8* codes;
    const float* absmax;
    const u8* q;
    const float* map;
    const float* nested;
    float offset;
};

// As kernels take it.
#define NF4_PARAMETERS                                                                                       \
    const u8 *codes, const float *absmax, const u8 *q, const float *map, const float *nested, float offset
#define NF4_WEIGHT (Nf4{codes, absmax, q, map, nested, offset})

constexpr u32 BLOCK = 64;
constexpr u32 TABLE_BYTES = (16 + 256) * sizeof(float);

// The levels and the map in shared memory; seen after the next barrier.
DEVICE void load_tables(u8* tables, const Nf4& weight, u32 threads) {
    float* const table = (float*)tables;
    if (threadIdx.x < 16) table[threadIdx.x] = LEVELS[threadIdx.x];
    if (weight.q) {
        for (u32 i = threadIdx.x; i < 256; i += threads) table[16 + i] = weight.map[i];
    }
}

// What a block's absmax is made of, read ahead of its use.
struct Scale {
    float first;
    u32 q;
};

DEVICE Scale fetch_scale(const Nf4& weight, u32 block) {
    if (weight.q) return {weight.nested[block / 256], weight.q[block]};
    return {weight.absmax[block], 0};
}

DEVICE float scale_of(const Nf4& weight, const Scale& scale, const float* table) {
    return weight.q ? table[16 + scale.q] * scale.first + weight.offset : scale.first;
}

// Eight codes (four bytes, the high nibble first) to levels: code 2 i + 1 is the low nibble of byte i. Where a
// level lies in the table is made for four codes at a time, in bytes.
struct Levels {
    const u8* table;
    u32 high, low;
    DEVICE_MEMBER Levels(u32 bytes, const float* table)
        : table((const u8*)table), high(bytes >> 2 & 0x3c3c3c3cu), low(bytes << 2 & 0x3c3c3c3cu) {}
    DEVICE_MEMBER float of(u32 code) const {
        return *(const float*)(table + byte_of(code % 2 ? low : high, code / 2));
    }
};

// To eight bf16, packed; and as f32 that hold them.
DEVICE uint4 decode_eight(u32 bytes, float absmax, const float* table) {
    const Levels levels(bytes, table);
    u32 pairs[4];
    UNROLL for (u32 i = 0; i < 4; ++i) {
        pairs[i] = pack_bf16(levels.of(2 * i) * absmax, levels.of(2 * i + 1) * absmax);
    }
    return make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
}

DEVICE void decode_eight(float (&w)[8], u32 bytes, float absmax, const float* table) {
    const Levels levels(bytes, table);
    UNROLL for (u32 i = 0; i < 8; ++i) w[i] = round_bf16(levels.of(i) * absmax);
}

// NF4 as the right operand: k along W's rows (y) or across them (dx). Two threads share 32 codes.
template <Along ALONG_, u32 COLUMNS>
struct Nf4Right {
    static constexpr Along ALONG = ALONG_;
    static constexpr bool DECODED = true;
    static constexpr u32 RAW = COLUMNS * STEP / 2;
    static constexpr u32 TABLES = TABLE_BYTES;
    static constexpr u32 THREADS = COLUMNS * STEP / 16;  // each decodes 16 codes
    static constexpr u32 WIDTH = ALONG == Along::K ? STEP : COLUMNS;
    static constexpr u32 PER_ROW = WIDTH / 16;           // threads of a row
    Nf4 weight;
    u32 inner;
    Scale scale;

    DEVICE_MEMBER void prepare(u8* tables) { load_tables(tables, weight, THREADS); }

    // Whether row r and column c of the tile are inside, and where they lie in W.
    DEVICE_MEMBER bool inside(u32 column, u32 columns, u32 k, u32 ks, u32 r, u32 c, u64& element) const {
        const u32 row = (ALONG == Along::K ? column : k) + r, at = (ALONG == Along::K ? k : column) + c;
        element = (u64)row * inner + at;
        return row < (ALONG == Along::K ? columns : ks) && at < inner;
    }

    DEVICE_MEMBER void start(u8* raw, u32 column, u32 columns, u32 k, u32 ks) const {
        constexpr u32 PIECES = WIDTH / 32;  // of 16 bytes, per row
        if (threadIdx.x >= RAW / CHUNK) return;
        u64 element;
        const bool in = inside(column, columns, k, ks, threadIdx.x / PIECES, threadIdx.x % PIECES * 32, element);
        start_copy16(raw + threadIdx.x * CHUNK, in ? weight.codes + element / 2 : weight.codes, in ? CHUNK : 0);
    }

    DEVICE_MEMBER void fetch(u32 column, u32 columns, u32 k, u32 ks) {
        u64 element;
        const bool in = inside(column, columns, k, ks, threadIdx.x / PER_ROW, threadIdx.x % PER_ROW * 16, element);
        // What lies outside is finite, and meets zeros of left or outputs that are not stored.
        scale = in ? fetch_scale(weight, (u32)(element / BLOCK)) : Scale{0.0f, 0};
    }

    DEVICE_MEMBER void decode(const u8* raw, u8* tile, const u8* tables) const {
        const float* const table = (const float*)tables;
        const u32 row = threadIdx.x / PER_ROW, chunk = threadIdx.x % PER_ROW * 2;
        const uint2 codes = *(const uint2*)(raw + threadIdx.x * 8);
        const float absmax = scale_of(weight, scale, table);
        *(uint4*)Tile<WIDTH>::at(tile, row, chunk) = decode_eight(codes.x, absmax, table);
        *(uint4*)Tile<WIDTH>::at(tile, row, chunk + 1) = decode_eight(codes.y, absmax, table);
    }
};

// Byte i of a word of signed bytes that was XORed with FLIPPED, exactly: it is below 256, so it is the end of
// the mantissa of 2^23 + byte.
constexpr u32 FLIPPED = 0x80808080u;
DEVICE float signed_byte(u32 flipped, u32 i) {
    return float_of_bits(byte_on(flipped, i, 0x4b000000u)) - (8388608.0f + 128.0f);
}

// Signed bytes with a scale per 64, the same way. Two threads share 32 codes.
template <Along ALONG_, u32 COLUMNS>
struct Q8Right {
    static constexpr Along ALONG = ALONG_;
    static constexpr bool DECODED = true;
    static constexpr u32 RAW = COLUMNS * STEP;
    static constexpr u32 TABLES = 0;
    static constexpr u32 WIDTH = ALONG == Along::K ? STEP : COLUMNS;
    static constexpr u32 PER_ROW = WIDTH / 16;
    const i8* codes;
    const float* scales;
    u32 inner;
    float scale;

    DEVICE_MEMBER void prepare(u8*) {}
    DEVICE_MEMBER bool inside(u32 column, u32 columns, u32 k, u32 ks, u64& element) const {
        const u32 row = (ALONG == Along::K ? column : k) + threadIdx.x / PER_ROW;
        const u32 at = (ALONG == Along::K ? k : column) + threadIdx.x % PER_ROW * 16;
        element = (u64)row * inner + at;
        return row < (ALONG == Along::K ? columns : ks) && at < inner;
    }
    DEVICE_MEMBER void start(u8* raw, u32 column, u32 columns, u32 k, u32 ks) const {
        u64 element;
        const bool in = inside(column, columns, k, ks, element);
        start_copy16(raw + threadIdx.x * CHUNK, in ? codes + element : codes, in ? CHUNK : 0);
    }
    DEVICE_MEMBER void fetch(u32 column, u32 columns, u32 k, u32 ks) {
        u64 element;
        scale = inside(column, columns, k, ks, element) ? scales[element / BLOCK] : 0.0f;
    }
    DEVICE_MEMBER void decode(const u8* raw, u8* tile, const u8*) const {
        const uint4 bytes = *(const uint4*)(raw + threadIdx.x * CHUNK);
        const u32 words[4] = {bytes.x ^ FLIPPED, bytes.y ^ FLIPPED, bytes.z ^ FLIPPED, bytes.w ^ FLIPPED};
        u32 pairs[8];
        UNROLL for (u32 i = 0; i < 8; ++i) {
            const u32 word = words[i / 2], at = i % 2 * 2;
            pairs[i] = pack_bf16(signed_byte(word, at) * scale, signed_byte(word, at + 1) * scale);
        }
        const u32 row = threadIdx.x / PER_ROW, chunk = threadIdx.x % PER_ROW * 2;
        *(uint4*)Tile<WIDTH>::at(tile, row, chunk) = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
        *(uint4*)Tile<WIDTH>::at(tile, row, chunk + 1) = make_uint4(pairs[4], pairs[5], pairs[6], pairs[7]);
    }
};

// Tiles of 128 x 128 outputs, eight warps of 64 x 32.
constexpr u32 TILE = 128, TILE_THREADS = 256;
template <Along LEFT, class Right>
using Large = Product<TILE, TILE, 2, 4, LEFT, Right>;
