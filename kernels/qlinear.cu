// y = x W^T and dx = dy W for a frozen W (4 bits, 8 bits, dense), dW += dy^T x for a trained one. The
// contract is crates/ops/src/qlinear/mod.rs; W (out,in) is row-major in every case.
//
// f32 activations are rounded to bf16 once, by qlinear_round, into workspace: the products then copy
// them asynchronously, and read half the bytes as often as there are tiles. Large N: product.cuh. N up
// to 8: a warp has four rows of W and streams them; bound: memory.
//
// A 4-bit weight is bf16(code x absmax) on both paths, decoded where it is loaded. Conditions: `in` is a
// multiple of 64, so that no block of 64 weights crosses rows.

#include "product.cuh"
#include "vector.cuh"

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

DEVICE Scale fetch_scale(const Nf4& weight, u64 block) {
    if (weight.q) return {weight.nested[block / 256], weight.q[block]};
    return {weight.absmax[block], 0};
}

DEVICE float scale_of(const Nf4& weight, const Scale& scale, const float* table) {
    return weight.q ? table[16 + scale.q] * scale.first + weight.offset : scale.first;
}

// Eight codes (four bytes, the high nibble first) to eight bf16.
DEVICE uint4 decode_eight(u32 bytes, float absmax, const float* table) {
    u32 pairs[4];
    UNROLL for (u32 i = 0; i < 4; ++i) {
        const u32 byte = bytes >> (8 * i) & 0xff;
        pairs[i] = pack_bf16(table[byte >> 4] * absmax, table[byte & 15] * absmax);
    }
    return make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
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
        scale = in ? fetch_scale(weight, element / BLOCK) : Scale{0.0f, 0};
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
        const u32 words[4] = {bytes.x, bytes.y, bytes.z, bytes.w};
        u32 pairs[8];
        UNROLL for (u32 i = 0; i < 8; ++i) {
            const u32 two = words[i / 2] >> (16 * (i % 2));
            pairs[i] = pack_bf16((float)(i8)(two & 0xff) * scale, (float)(i8)(two >> 8 & 0xff) * scale);
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

using Nf4Forward = Large<Along::K, Nf4Right<Along::K, TILE>>;
using Nf4Backward = Large<Along::K, Nf4Right<Along::Across, TILE>>;
using Q8Forward = Large<Along::K, Q8Right<Along::K, TILE>>;
using Q8Backward = Large<Along::K, Q8Right<Along::Across, TILE>>;
using DenseForward = Large<Along::K, DenseRight<Along::K, TILE, TILE_THREADS>>;
using DenseBackward = Large<Along::K, DenseRight<Along::Across, TILE, TILE_THREADS>>;
using DenseGradient = Large<Along::Across, DenseRight<Along::Across, TILE, TILE_THREADS>>;

// y (N,out) from x (N,in), whose rows have `stride` elements. Grid: tiles of N, tiles of out.
KERNEL(qlinear_nf4_forward, TILE_THREADS, 2, Nf4Forward::SHARED_BYTES,
       (const bf16* x, u32 stride, NF4_PARAMETERS, u32 out, u32 inner, float* y, u32 n, u32 add)) {
    SHARED(shared);
    Nf4Forward().run(shared, x, stride, {NF4_WEIGHT, inner, {}}, {y, out, 1.0f, add}, n, out, inner);
}

// dx (N,in) from dy (N,out). Grid: tiles of N, tiles of in.
KERNEL(qlinear_nf4_backward, TILE_THREADS, 2, Nf4Backward::SHARED_BYTES,
       (const bf16* dy, u32 stride, NF4_PARAMETERS, u32 out, u32 inner, float* dx, u32 n, u32 add)) {
    SHARED(shared);
    Nf4Backward().run(shared, dy, stride, {NF4_WEIGHT, inner, {}}, {dx, inner, 1.0f, add}, n, inner, out);
}

KERNEL(qlinear_q8_forward, TILE_THREADS, 2, Q8Forward::SHARED_BYTES,
       (const bf16* x, u32 stride, const i8* codes, const float* scales, u32 out, u32 inner, float* y, u32 n, u32 add)) {
    SHARED(shared);
    Q8Forward().run(shared, x, stride, {codes, scales, inner, 0.0f}, {y, out, 1.0f, add}, n, out, inner);
}

KERNEL(qlinear_q8_backward, TILE_THREADS, 2, Q8Backward::SHARED_BYTES,
       (const bf16* dy, u32 stride, const i8* codes, const float* scales, u32 out, u32 inner, float* dx, u32 n,
        u32 add)) {
    SHARED(shared);
    Q8Backward().run(shared, dy, stride, {codes, scales, inner, 0.0f}, {dx, inner, 1.0f, add}, n, inner, out);
}

// Dense weights in bf16 whose rows have `pitch` elements, a multiple of 8.
KERNEL(qlinear_dense_forward, TILE_THREADS, 2, DenseForward::SHARED_BYTES,
       (const bf16* x, u32 stride, const bf16* w, u32 pitch, u32 out, u32 inner, float* y, u32 n, u32 add)) {
    SHARED(shared);
    DenseForward().run(shared, x, stride, {w, pitch}, {y, out, 1.0f, add}, n, out, inner);
}

KERNEL(qlinear_dense_backward, TILE_THREADS, 2, DenseBackward::SHARED_BYTES,
       (const bf16* dy, u32 stride, const bf16* w, u32 pitch, u32 out, u32 inner, float* dx, u32 n, u32 add)) {
    SHARED(shared);
    DenseBackward().run(shared, dy, stride, {w, pitch}, {dx, inner, 1.0f, add}, n, inner, out);
}

// dW (out,in) += dy^T x: k are the tokens. Grid: tiles of out, tiles of in.
KERNEL(qlinear_weight_gradient, TILE_THREADS, 2, DenseGradient::SHARED_BYTES,
       (const bf16* dy, u32 dy_stride, const bf16* x, u32 x_stride, float* dw, u32 out, u32 inner, u32 n)) {
    SHARED(shared);
    DenseGradient().run(shared, dy, dy_stride, {x, x_stride}, {dw, inner, 1.0f, 1}, out, inner, n);
}

// to (rows, stride) = bf16(from (rows, columns)), zeros behind each row; stride is a multiple of 8.
template <class T>
DEVICE void round_rows(const T* from, bf16* to, u32 rows, u32 columns, u32 stride) {
    const u64 pairs = (u64)rows * stride / 2;
    const u64 pair = (u64)blockIdx.x * 256 + threadIdx.x;
    if (pair >= pairs) return;
    const u32 row = (u32)(pair / (stride / 2)), column = (u32)(pair % (stride / 2)) * 2;
    const T* const line = from + (u64)row * columns;
    const float low = column < columns ? widen(line[column]) : 0.0f;
    const float high = column + 1 < columns ? widen(line[column + 1]) : 0.0f;
    ((u32*)to)[pair] = pack_bf16(low, high);
}

KERNEL(qlinear_round_f32, 256, 4, 0, (const float* from, bf16* to, u32 rows, u32 columns, u32 stride)) {
    round_rows(from, to, rows, columns, stride);
}
KERNEL(qlinear_round_bf16, 256, 4, 0, (const bf16* from, bf16* to, u32 rows, u32 columns, u32 stride)) {
    round_rows(from, to, rows, columns, stride);
}
KERNEL(qlinear_round_f16, 256, 4, 0, (const f16* from, bf16* to, u32 rows, u32 columns, u32 stride)) {
    round_rows(from, to, rows, columns, stride);
}

// --- Few rows ----------------------------------------------------------------------------------------

struct Nf4Weights {
    Nf4 weight;
    u32 inner;
    struct Lane {
        uint4 codes;
        Scale scale;
    };
    DEVICE_MEMBER Lane load(u32 row, u32 k) const {
        const u64 element = (u64)row * inner + k;
        return {load_streaming(weight.codes + element / 2), fetch_scale(weight, element / BLOCK)};
    }
    DEVICE_MEMBER void eight(const Lane& lane, u32 j, const u8* tables, float (&w)[8]) const {
        const float* const table = (const float*)tables;
        const u32 words[4] = {lane.codes.x, lane.codes.y, lane.codes.z, lane.codes.w};
        const float absmax = scale_of(weight, lane.scale, table);
        const uint4 pairs = decode_eight(words[j], absmax, table);
        const u32 two[4] = {pairs.x, pairs.y, pairs.z, pairs.w};
        UNROLL for (u32 i = 0; i < 4; ++i) {
            w[2 * i] = low_half(two[i]);
            w[2 * i + 1] = high_half(two[i]);
        }
    }
};

struct Q8Weights {
    const i8* codes;
    const float* scales;
    u32 inner;
    struct Lane {
        uint4 codes[2];
        float scale;
    };
    DEVICE_MEMBER Lane load(u32 row, u32 k) const {
        const u64 element = (u64)row * inner + k;
        return {{load_streaming(codes + element), load_streaming(codes + element + 16)}, scales[element / BLOCK]};
    }
    DEVICE_MEMBER void eight(const Lane& lane, u32 j, const u8*, float (&w)[8]) const {
        const uint4 half = lane.codes[j / 2];
        const u32 words[2] = {j % 2 ? half.z : half.x, j % 2 ? half.w : half.y};
        UNROLL for (u32 i = 0; i < 8; ++i) {
            w[i] = round_bf16((float)(i8)(words[i / 4] >> (8 * (i % 4)) & 0xff) * lane.scale);
        }
    }
};

struct DenseWeights {
    const bf16* values;
    u32 pitch;
    struct Lane {
        uint4 values[4];
    };
    DEVICE_MEMBER Lane load(u32 row, u32 k) const {
        const bf16* const from = values + (u64)row * pitch + k;
        return {{load_streaming(from), load_streaming(from + 8), load_streaming(from + 16), load_streaming(from + 24)}};
    }
    DEVICE_MEMBER void eight(const Lane& lane, u32 j, const u8*, float (&w)[8]) const {
        const u32 two[4] = {lane.values[j].x, lane.values[j].y, lane.values[j].z, lane.values[j].w};
        UNROLL for (u32 i = 0; i < 4; ++i) {
            w[2 * i] = low_half(two[i]);
            w[2 * i + 1] = high_half(two[i]);
        }
    }
};

// For up to N rows of x. Grid: eight warps' rows of out.
#define VECTORS(N, ROWS)                                                                                             \
    KERNEL(qlinear_nf4_vector_##N, VECTOR_THREADS, 2, N * PIECE * 2 + TABLE_BYTES,                                   \
           (const bf16* x, u32 stride, NF4_PARAMETERS, u32 out, u32 inner, float* y, u32 n, u32 add)) {                  \
        SHARED(shared);                                                                                              \
        u8* const tables = shared + N * PIECE * 2;                                                                   \
        load_tables(tables, NF4_WEIGHT, VECTOR_THREADS);                                                             \
        multiply_vectors<N, ROWS>(shared, tables, Nf4Weights{NF4_WEIGHT, inner}, x, stride, out, inner, y, n, add);  \
    }                                                                                                                \
    KERNEL(qlinear_q8_vector_##N, VECTOR_THREADS, 2, N * PIECE * 2,                                                  \
           (const bf16* x, u32 stride, const i8* codes, const float* scales, u32 out, u32 inner, float* y, u32 n,    \
            u32 add)) {                                                                                              \
        SHARED(shared);                                                                                              \
        multiply_vectors<N, ROWS>(shared, shared, Q8Weights{codes, scales, inner}, x, stride, out, inner, y, n, add); \
    }                                                                                                                \
    KERNEL(qlinear_dense_vector_##N, VECTOR_THREADS, 2, N * PIECE * 2,                                               \
           (const bf16* x, u32 stride, const bf16* w, u32 pitch, u32 out, u32 inner, float* y, u32 n, u32 add)) {    \
        SHARED(shared);                                                                                              \
        multiply_vectors<N, ROWS>(shared, shared, DenseWeights{w, pitch}, x, stride, out, inner, y, n, add);         \
    }
VECTORS(1, 4)
VECTORS(2, 4)
VECTORS(4, 4)
VECTORS(8, 2)
