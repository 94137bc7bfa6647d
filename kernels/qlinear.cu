// y = x W^T and dx = dy W for a frozen W (4 bits, 8 bits, dense), dW += dy^T x for a trained one. The
// contract is crates/ops/src/qlinear/mod.rs; W (out,in) is row-major in every case.
//
// x, y, dx and dy are bf16 and used where they lie; a `stride` is the elements between two rows. Large N:
// product.cuh. N up to 8: a warp has four rows of W and streams them; bound: memory.
//
// `mode` is 0 to overwrite bf16, 1 to add to it (in f32, rounded once), 2 to overwrite f32, as a head's
// logits are wanted.
//
// A 4-bit weight is bf16(code x absmax) on both paths, decoded where it is loaded. Conditions: rows of
// operands and of bf16 outputs are multiples of 8 elements; `in` of NF4 of 64, so that no block of 64 weights
// crosses rows; `in` of 8 bits of 16, of 32 for few rows, so that what a thread loads has one scale.

#include "vector.cuh"
#include "weights.cuh"

using Nf4Forward = Large<Along::K, Nf4Right<Along::K, TILE>>;
using Nf4Backward = Large<Along::K, Nf4Right<Along::Across, TILE>>;
using Q8Forward = Large<Along::K, Q8Right<Along::K, TILE>>;
using Q8Backward = Large<Along::K, Q8Right<Along::Across, TILE>>;
using DenseForward = Large<Along::K, DenseRight<Along::K, TILE, TILE_THREADS>>;
using DenseBackward = Large<Along::K, DenseRight<Along::Across, TILE, TILE_THREADS>>;
using DenseGradient = Large<Along::Across, DenseRight<Along::Across, TILE, TILE_THREADS>>;

// y (N,out) from x (N,in), whose rows have `stride` elements. Grid: tiles of N, tiles of out.
KERNEL(qlinear_nf4_forward, TILE_THREADS, 2, Nf4Forward::SHARED_BYTES,
       (const bf16* x, u32 stride, NF4_PARAMETERS, u32 out, u32 inner, void* y, u32 n, u32 mode)) {
    SHARED(shared);
    Nf4Forward().run(shared, x, stride, {NF4_WEIGHT, inner, {}}, Moded{y, out, mode}, n, out, inner);
}

// dx (N,in) from dy (N,out). Grid: tiles of N, tiles of in.
KERNEL(qlinear_nf4_backward, TILE_THREADS, 2, Nf4Backward::SHARED_BYTES,
       (const bf16* dy, u32 stride, NF4_PARAMETERS, u32 out, u32 inner, void* dx, u32 n, u32 mode)) {
    SHARED(shared);
    Nf4Backward().run(shared, dy, stride, {NF4_WEIGHT, inner, {}}, Moded{dx, inner, mode}, n, inner, out);
}

KERNEL(qlinear_q8_forward, TILE_THREADS, 2, Q8Forward::SHARED_BYTES,
       (const bf16* x, u32 stride, const i8* codes, const float* scales, u32 out, u32 inner, void* y, u32 n, u32 mode)) {
    SHARED(shared);
    Q8Forward().run(shared, x, stride, {codes, scales, inner, 0.0f}, Moded{y, out, mode}, n, out, inner);
}

KERNEL(qlinear_q8_backward, TILE_THREADS, 2, Q8Backward::SHARED_BYTES,
       (const bf16* dy, u32 stride, const i8* codes, const float* scales, u32 out, u32 inner, void* dx, u32 n,
        u32 mode)) {
    SHARED(shared);
    Q8Backward().run(shared, dy, stride, {codes, scales, inner, 0.0f}, Moded{dx, inner, mode}, n, inner, out);
}

// Dense weights in bf16 whose rows have `pitch` elements, a multiple of 8.
KERNEL(qlinear_dense_forward, TILE_THREADS, 2, DenseForward::SHARED_BYTES,
       (const bf16* x, u32 stride, const bf16* w, u32 pitch, u32 out, u32 inner, void* y, u32 n, u32 mode)) {
    SHARED(shared);
    DenseForward().run(shared, x, stride, {w, pitch}, Moded{y, out, mode}, n, out, inner);
}

KERNEL(qlinear_dense_backward, TILE_THREADS, 2, DenseBackward::SHARED_BYTES,
       (const bf16* dy, u32 stride, const bf16* w, u32 pitch, u32 out, u32 inner, void* dx, u32 n, u32 mode)) {
    SHARED(shared);
    DenseBackward().run(shared, dy, stride, {w, pitch}, Moded{dx, inner, mode}, n, inner, out);
}

// dW (out,in) += dy^T x: k are the tokens. Grid: tiles of out, tiles of in.
KERNEL(qlinear_weight_gradient, TILE_THREADS, 2, DenseGradient::SHARED_BYTES,
       (const bf16* dy, u32 dy_stride, const bf16* x, u32 x_stride, float* dw, u32 out, u32 inner, u32 n)) {
    SHARED(shared);
    DenseGradient().run(shared, dy, dy_stride, {x, x_stride}, Sums{dw, inner, 1.0f, 1}, out, inner, n);
}

// --- Few rows ----------------------------------------------------------------------------------------

struct Nf4Weights {
    Nf4 weight;
    u32 inner;
    struct Lane {
        uint4 codes;
        Scale scale;
    };
    static constexpr u32 TOGETHER = 1;
    // Two rows of x leave four blocks no register for it (it spills 200 bytes).
    template <u32 N>
    static constexpr bool AHEAD = N != 2;
    DEVICE_MEMBER Lane load(u32, u32 row, u32 k) const {
        // W has fewer than 2^32 blocks.
        const u32 block = row * (inner / BLOCK) + k / BLOCK;
        return {load_streaming(weight.codes + (u64)block * (BLOCK / 2) + k % BLOCK / 2), fetch_scale(weight, block)};
    }
    DEVICE_MEMBER float scale(u32, const Lane& lane, const u8* tables) const {
        return scale_of(weight, lane.scale, (const float*)tables);
    }
    DEVICE_MEMBER void eight(u32, const Lane& lane, float absmax, u32 j, const u8* tables, float (&w)[8]) const {
        const u32 words[4] = {lane.codes.x, lane.codes.y, lane.codes.z, lane.codes.w};
        decode_eight(w, words[j], absmax, (const float*)tables);
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
    static constexpr u32 TOGETHER = 1;
    template <u32 N>
    static constexpr bool AHEAD = false;  // it would cost a block per SM
    DEVICE_MEMBER Lane load(u32, u32 row, u32 k) const {
        const u64 element = (u64)row * inner + k;
        return {{load_streaming(codes + element), load_streaming(codes + element + 16)}, scales[element / BLOCK]};
    }
    DEVICE_MEMBER float scale(u32, const Lane& lane, const u8*) const { return lane.scale; }
    DEVICE_MEMBER void eight(u32, const Lane& lane, float scale, u32 j, const u8*, float (&w)[8]) const {
        const uint4 half = lane.codes[j / 2];
        const u32 words[2] = {j % 2 ? half.z : half.x, j % 2 ? half.w : half.y};
        UNROLL for (u32 i = 0; i < 8; ++i) w[i] = round_bf16(signed_byte(words[i / 4] ^ FLIPPED, i % 4) * scale);
    }
};

struct DenseWeights {
    const bf16* values;
    u32 pitch, inner;
    struct Lane {
        uint4 values[4];
    };
    static constexpr u32 TOGETHER = 1;
    template <u32 N>
    static constexpr bool AHEAD = false;  // it spills
    DEVICE_MEMBER Lane load(u32, u32 row, u32 k) const {
        const bf16* const from = values + (u64)row * pitch + k;
        Lane lane;
        UNROLL for (u32 j = 0; j < 4; ++j) {
            // Zeros of x do not make up for what lies behind a row: it may be no number.
            lane.values[j] = k + 8 * j < inner ? load_streaming(from + 8 * j) : make_uint4(0, 0, 0, 0);
        }
        return lane;
    }
    DEVICE_MEMBER float scale(u32, const Lane&, const u8*) const { return 1.0f; }
    DEVICE_MEMBER void eight(u32, const Lane& lane, float, u32 j, const u8*, float (&w)[8]) const {
        unpack_eight(w, lane.values[j]);
    }
};

// For up to N rows of x; NF4 with an adapter folded in, if there is one. BLOCKS of NF4 fit an SM, the more the
// more loads are under way. Grid: eight warps' rows of out.
#define VECTORS(N, ROWS, BLOCKS)                                                                                            \
    KERNEL(qlinear_nf4_vector_##N, VECTOR_THREADS, BLOCKS, N * PIECE * 2 + TABLE_BYTES,                                     \
           (const bf16* x, u32 stride, NF4_PARAMETERS, u32 out, u32 inner, void* y, u32 n, u32 mode, const bf16* b,         \
            u32 b_stride, const bf16* t, u32 rank, float scale)) {                                                          \
        SHARED(shared);                                                                                                     \
        u8* const tables = shared + N * PIECE * 2;                                                                          \
        load_tables(tables, NF4_WEIGHT, VECTOR_THREADS);                                                                    \
        multiply_vectors<N, ROWS>(shared, tables, blockIdx.x, Nf4Weights{NF4_WEIGHT, inner}, x, stride, out, inner, n,      \
                                  VectorAdapter{b, b_stride, t, rank, scale}, ModedVectors{y, out, mode});                  \
    }                                                                                                                       \
    KERNEL(qlinear_q8_vector_##N, VECTOR_THREADS, 2, N * PIECE * 2,                                                         \
           (const bf16* x, u32 stride, const i8* codes, const float* scales, u32 out, u32 inner, void* y, u32 n,            \
            u32 mode)) {                                                                                                    \
        SHARED(shared);                                                                                                     \
        multiply_vectors<N, ROWS>(shared, shared, blockIdx.x, Q8Weights{codes, scales, inner}, x, stride, out, inner, n,    \
                                  VectorAdapter{}, ModedVectors{y, out, mode});                                             \
    }                                                                                                                       \
    KERNEL(qlinear_dense_vector_##N, VECTOR_THREADS, 2, N * PIECE * 2,                                                      \
           (const bf16* x, u32 stride, const bf16* w, u32 pitch, u32 out, u32 inner, void* y, u32 n, u32 mode)) {           \
        SHARED(shared);                                                                                                     \
        multiply_vectors<N, ROWS>(shared, shared, blockIdx.x, DenseWeights{w, pitch, inner}, x, stride, out, inner, n,      \
                                  VectorAdapter{}, ModedVectors{y, out, mode});                                             \
    }
VECTORS(1, 4, 4)
VECTORS(2, 4, 4)
VECTORS(4, 4, 2)
VECTORS(8, 2, 2)

// --- Several weights for few rows of one x -----------------------------------------------------------

// A weight, its adapter and its output.
#define PART_PARAMETERS(p)                                                                                                  \
    const u8 *p##_codes, const float *p##_absmax, const u8 *p##_q, const float *p##_map, const float *p##_nested,           \
        float p##_offset, const bf16 *p##_b, u32 p##_b_stride, const bf16 *p##_t, u32 p##_rank, float p##_scale
#define PART_WEIGHT(p) (Nf4{p##_codes, p##_absmax, p##_q, p##_map, p##_nested, p##_offset})
#define PART_ADAPTER(p) (VectorAdapter{p##_b, p##_b_stride, p##_t, p##_rank, p##_scale})

// Three products of one x, each as qlinear_nf4_vector with mode 0 computes it, bit for bit: q, k and v.
// Without an adapter the rank is 0 and its pointers may be null. Grid: eight warps' rows of the most outputs, 3; blocks behind a product's
// own outputs return.
#define THREE_VECTORS(N, ROWS, BLOCKS)                                                                                      \
    KERNEL(qlinear_nf4_three_vector_##N, VECTOR_THREADS, BLOCKS, N * PIECE * 2 + TABLE_BYTES,                               \
           (const bf16* x, u32 stride, u32 inner, u32 n, PART_PARAMETERS(first), u32 first_out, bf16* first_y,              \
            PART_PARAMETERS(second), u32 second_out, bf16* second_y, PART_PARAMETERS(third), u32 third_out,                 \
            bf16* third_y)) {                                                                                               \
        SHARED(shared);                                                                                                     \
        const u32 part = blockIdx.y;                                                                                        \
        const Nf4 weight = part == 0 ? PART_WEIGHT(first) : part == 1 ? PART_WEIGHT(second) : PART_WEIGHT(third);           \
        const VectorAdapter adapter =                                                                                       \
            part == 0 ? PART_ADAPTER(first) : part == 1 ? PART_ADAPTER(second) : PART_ADAPTER(third);                       \
        const u32 out = part == 0 ? first_out : part == 1 ? second_out : third_out;                                         \
        bf16* const y = part == 0 ? first_y : part == 1 ? second_y : third_y;                                               \
        if (blockIdx.x * VECTOR_WARPS * ROWS >= out) return;                                                                \
        u8* const tables = shared + N * PIECE * 2;                                                                          \
        load_tables(tables, weight, VECTOR_THREADS);                                                                        \
        multiply_vectors<N, ROWS>(shared, tables, blockIdx.x, Nf4Weights{weight, inner}, x, stride, out, inner, n, adapter, \
                                  ModedVectors{y, out, OVERWRITE});                                                         \
    }
THREE_VECTORS(1, 4, 4)
THREE_VECTORS(2, 4, 4)
THREE_VECTORS(4, 4, 2)
THREE_VECTORS(8, 2, 2)

// Two weights as one whose row 2 i is the gate's row i and 2 i + 1 that of up.
struct GatedWeights {
    Nf4Weights gate, up;
    using Lane = Nf4Weights::Lane;
    static constexpr u32 TOGETHER = 2;
    template <u32 N>
    static constexpr bool AHEAD = Nf4Weights::AHEAD<N>;
    DEVICE_MEMBER Lane load(u32 r, u32 row, u32 k) const {
        return r % 2 ? up.load(r, row / 2, k) : gate.load(r, row / 2, k);
    }
    // A warp's first row is even: up's rows are known when this is compiled.
    DEVICE_MEMBER float scale(u32 r, const Lane& lane, const u8* tables) const {
        return r % 2 ? up.scale(r, lane, tables + TABLE_BYTES) : gate.scale(r, lane, tables);
    }
    DEVICE_MEMBER void eight(u32 r, const Lane& lane, float absmax, u32 j, const u8* tables, float (&w)[8]) const {
        gate.eight(r, lane, absmax, j, tables, w);  // the levels are the same
    }
};

struct GatedAdapters {
    VectorAdapter gate, up;
    DEVICE_MEMBER float start(u32 row, u32 x_row) const {
        return row % 2 ? up.start(row / 2, x_row) : gate.start(row / 2, x_row);
    }
};

// silu(gate) up, of both as they would have been stored.
struct GatedOutput {
    bf16* h;
    u32 out;
    template <u32 N, u32 ROWS>
    DEVICE_MEMBER void put(u32 first, const float (&sums)[ROWS][N], u32 n) const {
        UNROLL for (u32 r = 0; r < ROWS; r += 2) {
            UNROLL for (u32 row = 0; row < N; ++row) {
                if (first + r >= 2 * out || row >= n) continue;
                const float g = round_bf16(sums[r][row]), u = round_bf16(sums[r + 1][row]);
                h[(u64)row * out + (first + r) / 2] = to_bf16(g * sigmoid(g) * u);
            }
        }
    }
};

// h (N,out) = silu(x Wg^T) (x Wu^T), bit for bit as two of qlinear_nf4_vector and swiglu_forward compute it.
// Grid: eight warps' rows of 2 out.
#define GATED_VECTORS(N, ROWS, BLOCKS)                                                                                      \
    KERNEL(qlinear_nf4_gated_vector_##N, VECTOR_THREADS, BLOCKS, N * PIECE * 2 + 2 * TABLE_BYTES,                           \
           (const bf16* x, u32 stride, u32 out, u32 inner, u32 n, PART_PARAMETERS(gate), PART_PARAMETERS(up), bf16* h)) {   \
        SHARED(shared);                                                                                                     \
        u8* const tables = shared + N * PIECE * 2;                                                                          \
        load_tables(tables, PART_WEIGHT(gate), VECTOR_THREADS);                                                             \
        load_tables(tables + TABLE_BYTES, PART_WEIGHT(up), VECTOR_THREADS);                                                 \
        multiply_vectors<N, ROWS>(                                                                                          \
            shared, tables, blockIdx.x, GatedWeights{{PART_WEIGHT(gate), inner}, {PART_WEIGHT(up), inner}}, x, stride,      \
            2 * out, inner, n, GatedAdapters{PART_ADAPTER(gate), PART_ADAPTER(up)}, GatedOutput{h, out});                   \
    }
GATED_VECTORS(1, 4, 4)
GATED_VECTORS(2, 4, 4)
GATED_VECTORS(4, 4, 2)
GATED_VECTORS(8, 2, 2)
