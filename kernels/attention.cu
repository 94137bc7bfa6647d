// Causal attention with grouped queries over packed documents or a cache. The contract is
// crates/ops/src/attention/mod.rs.
//
// q, o, do, dq, dk and dv are bf16, k and v as the cache holds them, lse and delta f32. Products run on
// tensor cores with f32 sums, a warp having 16 rows of a tile; probabilities and their gradients go from
// one product's sums to the next one's factors in registers. Nothing is added by two blocks, so all sums
// have one order: the backward pass computes the probabilities twice, once for dk and dv, once for dq.
//
// Forward: 64 queries of a head against blocks of 64 keys, counted from their document's first row.
//
// The operand that stays is in registers where they suffice, and its shared memory then holds what is to come:
// copies of the next block are under way while the present one is used, with one barrier per stage.

#include "decode.cuh"
#include "tile.cuh"

constexpr u32 THREADS = 128;
constexpr u32 QUERIES = 64;  // of a tile; 16 per warp
constexpr u32 KEYS = 64;     // of a block in the forward pass
constexpr u32 FEW = 32;      // keys of a block in the backward pass, whose tiles are more
constexpr u32 FEWER = 16;    // queries of a block there
constexpr u32 STAGES = 3;    // of copies under way or in use

// The heads and what each query sees: rows first .. first + visible of k and v.
struct Heads {
    u32 query, key_value;
    float scale;
};

// Copies `ROWS` rows of D from row `from` on; rows from `end` on are zero.
template <u32 D, u32 ROWS>
DEVICE void start_rows(u8* tile, const bf16* values, u32 heads, u32 head, u32 from, u32 end) {
    constexpr u32 CHUNKS = D / 8, AT_ONCE = THREADS / CHUNKS;
    const u32 chunk = threadIdx.x % CHUNKS;
    const bf16* at = values + ((u64)(from + threadIdx.x / CHUNKS) * heads + head) * D + 8 * chunk;
    UNROLL for (u32 i = 0; i < ROWS; i += AT_ONCE) {
        const u32 row = i + threadIdx.x / CHUNKS;
        const bool in = from + row < (seeded(bound) ? end + 1 : end);
        // A copy of nothing still needs an address that is somewhere.
        start_copy16(Tile<D>::at(tile, row, chunk), in ? at : values, in ? CHUNK : 0);
        at += (u64)AT_ONCE * heads * D;
    }
}

// A warp's 16 rows of a tile, as the left operand.
template <u32 D>
struct Rows {
    u32 parts[D / 16][4];
    DEVICE_MEMBER void load(u8* tile, u32 row) {
        UNROLL for (u32 k = 0; k < D; k += 16) left_along<D>(parts[k / 16], tile, row, k);
    }
};

// sums (16, 8 OCTETS) += the warp's rows times the rows of `right`, over D; the warp's rows are in registers, or
// in a tile.
template <u32 D, u32 OCTETS>
DEVICE void multiply_part(float (&sums)[OCTETS][4], const u32 (&a)[4], u8* right, u32 k) {
    UNROLL for (u32 j = 0; j < OCTETS; j += 2) {
        u32 b[4];
        right_along<D>(b, right, 8 * j, k);
        multiply_add_two(sums[j], sums[j + 1], a, b);
    }
}

template <u32 D, u32 OCTETS>
DEVICE void multiply_rows(float (&sums)[OCTETS][4], const Rows<D>& left, u8* right) {
    UNROLL for (u32 k = 0; k < D; k += 16) multiply_part<D>(sums, left.parts[k / 16], right, k);
}

template <u32 D, u32 OCTETS>
DEVICE void multiply_rows(float (&sums)[OCTETS][4], u8* left, u32 row, u8* right) {
    UNROLL for (u32 k = 0; k < D; k += 16) {
        u32 a[4];
        left_along<D>(a, left, row, k);
        multiply_part<D>(sums, a, right, k);
    }
}

// to (16, D) += factors (16, 8 OCTETS), rounded to bf16, times the tile's rows.
template <u32 D, u32 OCTETS>
DEVICE void multiply_factors(float (&to)[D / 8][4], const float (&factors)[OCTETS][4], u8* tile) {
    UNROLL for (u32 j = 0; j < OCTETS; j += 2) {
        // Where the sums of one product lie is where the factors of the next are wanted.
        const u32 a[4] = {pack_bf16(factors[j][0], factors[j][1]), pack_bf16(factors[j][2], factors[j][3]),
                          pack_bf16(factors[j + 1][0], factors[j + 1][1]), pack_bf16(factors[j + 1][2], factors[j + 1][3])};
        UNROLL for (u32 d = 0; d < D / 8; d += 2) {
            u32 b[4];
            right_across<D>(b, tile, 8 * d, 8 * j);
            multiply_add_two(to[d], to[d + 1], a, b);
        }
    }
}

// Over the four lanes that share a row.
DEVICE float row_most(float value) {
    value = greater(value, shuffle_xor(value, 1, seeded(wrong_mask) ? 0x0000ffffu : ALL_LANES));
    return greater(value, shuffle_xor(value, 2));
}
DEVICE float row_sum(float value) {
    value += shuffle_xor(value, 1);
    return value + shuffle_xor(value, 2);
}

// Queries of a tile that see rows of the same document.
struct Run {
    u32 start, stop;  // in the tile
    u32 first, most;  // the first row they see, the most rows that one of them sees
};

DEVICE Run next_run(const u32* first, const u32* visible, u32 start, u32 rows) {
    Run run = {start, start, first[start], 0};
    for (; run.stop < rows && first[run.stop] == run.first; ++run.stop) {
        if (visible[run.stop] > run.most) run.most = visible[run.stop];
    }
    return run;
}

DEVICE constexpr u32 forward_shared(u32 d) { return STAGES * KEYS * d * 2 + 2 * QUERIES * 4; }

// What a warp knows of its 16 queries; index 0 is row lane / 4, index 1 the row 8 below.
template <u32 D>
struct Softmax {
    float o[D / 8][4] = {};
    float most[2], total[2] = {};

    // Turns scores of a block to e^(s - most) and adds their weights of v.
    DEVICE_MEMBER void meet(float (&s)[KEYS / 8][4], float scale, const u32 (&seen)[2], u8* v) {
        const u32 lane = threadIdx.x % WARP;
        const float none = float_of_bits(0xff800000u);
        UNROLL for (u32 i = 0; i < 2; ++i) {
            float new_most = most[i];
            UNROLL for (u32 j = 0; j < KEYS / 8; ++j) {
                UNROLL for (u32 c = 0; c < 2; ++c) {
                    float& score = s[j][2 * i + c];
                    score = 8 * j + 2 * (lane % 4) + c < seen[i] ? score * scale : none;
                    new_most = greater(new_most, score);
                }
            }
            new_most = row_most(new_most);
            // A row that has seen nothing yet: all of its exponentials are 0.
            const float base = new_most == none ? 0.0f : new_most;
            const float shrink = exponential_below_88(most[i] - base);
            float sum = 0.0f;
            UNROLL for (u32 j = 0; j < KEYS / 8; ++j) {
                UNROLL for (u32 c = 0; c < 2; ++c) {
                    s[j][2 * i + c] = exponential_below_88(s[j][2 * i + c] - base);
                    sum += s[j][2 * i + c];
                }
            }
            total[i] = fused(total[i], shrink, sum);
            most[i] = new_most;
            UNROLL for (u32 d = 0; d < D / 8; ++d) {
                o[d][2 * i] *= shrink;
                o[d][2 * i + 1] *= shrink;
            }
        }
        multiply_factors<D>(o, s, v);
    }

    DEVICE_MEMBER void store(u32 i, bf16* to, float* lse) const {
        const u32 lane = threadIdx.x % WARP;
        const float sum = row_sum(total[i]);
        if (!to) return;
        UNROLL for (u32 d = 0; d < D / 8; ++d) {
            ((u32*)to)[4 * d + lane % 4] = pack_bf16(o[d][2 * i] / sum, o[d][2 * i + 1] / sum);
        }
        if (lane % 4 == 0) *lse = most[i] + logarithm(sum);
    }
};

// Grid: tiles of 64 queries, H.
template <u32 D>
DEVICE void forward(u8* shared, const bf16* q, const bf16* k, const bf16* v, const u32* first, const u32* visible,
                    bf16* o, float* lse, u32 n, Heads heads) {
    static_assert(QUERIES == KEYS, "a stage of k and v holds the queries at first");
    constexpr u32 STAGE = KEYS * D * 2;
    u32* const firsts = (u32*)(shared + STAGES * STAGE);
    u32* const visibles = firsts + QUERIES;
    const u32 query = blockIdx.x * QUERIES, head = blockIdx.y;
    const u32 key_head = head / (heads.query / heads.key_value);
    const u32 rows = n - query < QUERIES ? n - query : QUERIES;
    const u32 warp_row = threadIdx.x / WARP * 16, lane = threadIdx.x % WARP;
    if (threadIdx.x < rows) {
        firsts[threadIdx.x] = first[query + threadIdx.x];
        visibles[threadIdx.x] = visible[query + threadIdx.x];
    }
    u8* const q_tile = shared + 2 * STAGE;
    start_rows<D, QUERIES>(q_tile, q, heads.query, head, query, n);
    end_copy_group();
    wait_copies<0>();
    sync_block();
    Rows<D> queries;
    queries.load(q_tile, warp_row);
    for (Run run = {0, 0, 0, 0}; run.stop < rows;) {
        run = next_run(firsts, visibles, run.stop, rows);
        Softmax<D> softmax;
        u32 sees[2], warp_sees = 0;
        UNROLL for (u32 i = 0; i < 2; ++i) {
            const u32 row = warp_row + lane / 4 + 8 * i;
            sees[i] = row >= run.start && row < run.stop ? visibles[row] : 0;
            softmax.most[i] = float_of_bits(0xff800000u);
        }
        for (u32 row = warp_row; row < warp_row + 16; ++row) {
            if (row >= run.start && row < run.stop && visibles[row] > warp_sees) warp_sees = visibles[row];
        }
        const u32 end = run.first + run.most;
        // The stages go round; `stage` holds what is used next.
        u32 stage = 0;
        const auto next = [](u32 stage) { return stage == (STAGES - 1) * STAGE ? 0 : stage + STAGE; };
        auto start = [&](u32 to, const bf16* values, u32 block) {
            if (block < run.most) {
                start_rows<D, KEYS>(shared + to, values, heads.key_value, key_head, run.first + block, end);
            }
            // Also of nothing, so that the count of groups is known.
            end_copy_group();
        };
        start(0, k, 0);
        start(STAGE, v, 0);
        for (u32 block = 0; block < run.most; block += KEYS) {
            // The block's k is there; all are done with the stage before, and its v's successor goes there.
            if (!seeded(missing_wait)) wait_copies<1>();
            sync_block();
            start(next(next(stage)), k, block + KEYS);
            float s[KEYS / 8][4] = {};
            if (block < warp_sees) multiply_rows<D, KEYS / 8>(s, queries, shared + stage);
            stage = next(stage);
            wait_copies<1>();
            if (!seeded(dropped_barrier)) sync_block();
            start(next(next(stage)), v, block + KEYS);
            if (block < warp_sees) {
                const u32 seen[2] = {sees[0] > block ? sees[0] - block : 0, sees[1] > block ? sees[1] - block : 0};
                softmax.meet(s, heads.scale, seen, shared + stage);
            }
            stage = next(stage);
        }
        // The next run begins with the first stage.
        sync_block();
        UNROLL for (u32 i = 0; i < 2; ++i) {
            const u64 at = (u64)(query + warp_row + lane / 4 + 8 * i) * heads.query + head;
            softmax.store(i, sees[i] ? o + at * D : nullptr, lse + at);
        }
    }
}

// delta (N,H) = do . o, a warp per row, a lane per pair of elements.
KERNEL(attention_delta, 256, 4, 0, (const bf16* d_o, const bf16* o, float* delta, u64 rows, u32 d)) {
    const u64 row = (u64)blockIdx.x * 8 + threadIdx.x / WARP;
    if (row >= rows) return;
    const u32* const left = (const u32*)(d_o + row * d);
    const u32* const right = (const u32*)(o + row * d);
    float sum = 0.0f;
    for (u32 i = threadIdx.x % WARP; i < d / 2; i += WARP) {
        sum = fused(low_half(left[i]), low_half(right[i]), sum);
        sum = fused(high_half(left[i]), high_half(right[i]), sum);
    }
    sum = warp_sum(sum, seeded(wrong_mask) ? 0x7fffffffu : ALL_LANES);
    if (threadIdx.x % WARP == 0) delta[row] = sum;
}

// Turns q.k and do.v to p and ds, 0 where not seen. `seen` says whether (row, column) is.
template <u32 OCTETS, class Seen, class Query>
DEVICE void slopes(float (&p)[OCTETS][4], float (&ds)[OCTETS][4], float scale, Seen seen, Query of_query) {
    const u32 lane = threadIdx.x % WARP;
    UNROLL for (u32 j = 0; j < OCTETS; ++j) {
        UNROLL for (u32 c = 0; c < 4; ++c) {
            const u32 row = lane / 4 + c / 2 * 8, column = 8 * j + 2 * (lane % 4) + c % 2;
            const float2 query = of_query(row, column);  // lse and delta
            const float value = exponential_below_88(p[j][c] * scale - query.x);
            const bool sees = seen(row, column);
            p[j][c] = sees ? value : 0.0f;
            ds[j][c] = sees ? value * (ds[j][c] - query.y) * scale : 0.0f;
        }
    }
}

template <u32 D>
DEVICE void store_rows(const float (&sums)[D / 8][4], bf16* to, u32 heads, u32 head, u32 row, u32 end) {
    const u32 lane = threadIdx.x % WARP;
    UNROLL for (u32 i = 0; i < 2; ++i) {
        const u32 r = row + lane / 4 + 8 * i;
        if (r >= end) continue;
        u32* const line = (u32*)(to + ((u64)r * heads + head) * D) + lane % 4;
        UNROLL for (u32 d = 0; d < D / 8; ++d) line[4 * d] = pack_bf16(sums[d][2 * i], sums[d][2 * i + 1]);
    }
}

DEVICE constexpr u32 queries_shared(u32 d) { return STAGES * 2 * FEW * d * 2 + 4 * QUERIES * 4; }
DEVICE constexpr u32 keys_shared(u32 d) { return (2 * QUERIES + 2 * 2 * FEWER) * d * 2 + 2 * 4 * FEWER * 4; }

// The rows that a query sees, and its lse and delta.
struct Note {
    u32 first, end;
    float lse, delta;

    // Queries from `n` on see nothing.
    DEVICE_MEMBER void load(const u32* firsts, const u32* visible, const float* lses, const float* deltas, u32 query,
                            u32 n, u32 heads, u32 head) {
        const bool in = query < n;
        first = in ? firsts[query] : 0;
        end = in ? first + visible[query] : 0;
        lse = in ? lses[(u64)query * heads + head] : 0.0f;
        delta = in ? deltas[(u64)query * heads + head] : 0.0f;
    }
};

// Those of a block's queries in shared memory.
struct Notes {
    u32 *first, *end;
    float *lse, *delta;
    DEVICE_MEMBER explicit Notes(u8* at, u32 count)
        : first((u32*)at), end(first + count), lse((float*)(end + count)), delta(lse + count) {}
    DEVICE_MEMBER void put(u32 i, const Note& note) {
        first[i] = note.first;
        end[i] = note.end;
        lse[i] = note.lse;
        delta[i] = note.delta;
    }
};

// dq of 64 queries of a head, against blocks of 32 keys. Grid: tiles of queries, H.
template <u32 D>
DEVICE void backward_queries(u8* shared, const bf16* q, const bf16* k, const bf16* v, const u32* first,
                             const u32* visible, const bf16* d_o, const float* lse, const float* delta, bf16* dq, u32 n,
                             Heads heads) {
    static_assert(QUERIES == 2 * FEW, "a stage of k and v holds the queries at first");
    constexpr u32 STAGE = 2 * FEW * D * 2;
    Notes notes(shared + STAGES * STAGE, QUERIES);
    const u32 query = blockIdx.x * QUERIES, head = blockIdx.y;
    const u32 key_head = head / (heads.query / heads.key_value);
    const u32 warp_row = threadIdx.x / WARP * 16;
    if (threadIdx.x < QUERIES) {
        Note note = {};
        note.load(first, visible, lse, delta, query + threadIdx.x, n, heads.query, head);
        notes.put(threadIdx.x, note);
    }
    start_rows<D, QUERIES>(shared + STAGE, q, heads.query, head, query, n);
    start_rows<D, QUERIES>(shared + 2 * STAGE, d_o, heads.query, head, query, n);
    end_copy_group();
    sync_block();
    // Rows stand in document order: the first query sees the first row, the last one the last.
    const u32 last = n - query < QUERIES ? n - query : QUERIES;
    const u32 begin = notes.first[0], end = notes.end[last - 1];
    auto start = [&](u32 to, u32 block) {
        if (block < end) {
            start_rows<D, FEW>(shared + to, k, heads.key_value, key_head, block, end);
            start_rows<D, FEW>(shared + to + STAGE / 2, v, heads.key_value, key_head, block, end);
        }
        // Also of nothing, so that the count of groups is known.
        end_copy_group();
    };
    start(0, begin);
    wait_copies<1>();
    sync_block();
    Rows<D> queries, gradients;
    queries.load(shared + STAGE, warp_row);
    gradients.load(shared + 2 * STAGE, warp_row);
    sync_block();
    start(STAGE, begin + FEW);
    float sums[D / 8][4] = {};
    u32 stage = 0;
    const auto next = [](u32 stage) { return stage == (STAGES - 1) * STAGE ? 0 : stage + STAGE; };
    for (u32 block = begin; block < end; block += FEW) {
        if (!seeded(missing_wait)) wait_copies<1>();
        if (!seeded(dropped_barrier)) sync_block();
        // All are done with the block before, whose stage is free.
        start(next(next(stage)), block + 2 * FEW);
        u8* const k_tile = shared + stage;
        float p[FEW / 8][4] = {}, ds[FEW / 8][4] = {};
        multiply_rows<D, FEW / 8>(p, queries, k_tile);
        multiply_rows<D, FEW / 8>(ds, gradients, k_tile + STAGE / 2);
        slopes(p, ds, heads.scale,
               [&](u32 row, u32 column) {
                   const u32 key = block + column;
                   return key >= notes.first[warp_row + row] && key < notes.end[warp_row + row];
               },
               [&](u32 row, u32) { return make_float2(notes.lse[warp_row + row], notes.delta[warp_row + row]); });
        multiply_factors<D>(sums, ds, k_tile);
        stage = next(stage);
    }
    store_rows<D>(sums, dq, heads.query, head, query + warp_row, n);
}

// The first of the queries `from` .. n whose document begins behind row `row`.
DEVICE u32 queries_end(const u32* first, u32 from, u32 n, u32 row) {
    u32 low = from, high = n;
    while (low < high) {
        const u32 middle = (low + high) / 2;
        if (first[middle] > row) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

// dk and dv of 64 rows of a key head: over the group's heads in order, against blocks of 16 queries that
// may see them. Grid: tiles of rows, Hkv.
template <u32 D>
DEVICE void backward_keys(u8* shared, const bf16* q, const bf16* k, const bf16* v, const u32* first, const u32* visible,
                          const bf16* d_o, const float* lse, const float* delta, bf16* dk, bf16* dv, u32 n,
                          Heads heads) {
    constexpr u32 HALF = FEWER * D * 2, NOTES = 4 * FEWER * 4;
    u8* const k_tile = shared;
    u8* const v_tile = k_tile + QUERIES * D * 2;
    u8* const stages = v_tile + QUERIES * D * 2;  // of q and do
    u8* const notes_at = stages + 2 * 2 * HALF;
    const u32 row = blockIdx.x * QUERIES, key_head = blockIdx.y, group = heads.query / heads.key_value;
    const u32 warp_row = threadIdx.x / WARP * 16;
    const u32 end = queries_end(first, row, n, row + QUERIES - 1 < n ? row + QUERIES - 1 : n - 1);
    const u32 heads_end = (key_head + 1) * group;
    u32 head = key_head * group, query = row, stage = 0;
    auto start = [&] {
        u8* const q_tile = stages + stage * 2 * HALF;
        start_rows<D, FEWER>(q_tile, q, heads.query, head, query, end);
        start_rows<D, FEWER>(q_tile + HALF, d_o, heads.query, head, query, end);
    };
    // A thread has the note of a query from before the block's products until they are done.
    Note note = {};
    auto load_note = [&] {
        if (threadIdx.x < FEWER) note.load(first, visible, lse, delta, query + threadIdx.x, end, heads.query, head);
    };
    auto put_note = [&] {
        if (threadIdx.x < FEWER) Notes(notes_at + stage * NOTES, FEWER).put(threadIdx.x, note);
    };
    start_rows<D, QUERIES>(k_tile, k, heads.key_value, key_head, row, n);
    start_rows<D, QUERIES>(v_tile, v, heads.key_value, key_head, row, n);
    start();
    end_copy_group();
    load_note();
    put_note();
    float dk_sums[D / 8][4] = {}, dv_sums[D / 8][4] = {};
    while (head < heads_end) {
        if (!seeded(missing_wait)) wait_copies<0>();
        if (!seeded(dropped_barrier)) sync_block();
        u8* const q_tile = stages + stage * 2 * HALF;
        const Notes notes(notes_at + stage * NOTES, FEWER);
        // All are done with the block before, whose stage is free.
        query += FEWER;
        if (query >= end) {
            query = row;
            ++head;
        }
        stage ^= 1;
        if (head < heads_end) {
            start();
            end_copy_group();
            load_note();
        }
        float p[FEWER / 8][4] = {}, ds[FEWER / 8][4] = {};
        multiply_rows<D, FEWER / 8>(p, k_tile, warp_row, q_tile);
        multiply_rows<D, FEWER / 8>(ds, v_tile, warp_row, q_tile + HALF);
        slopes(p, ds, heads.scale,
               [&](u32 r, u32 column) {
                   const u32 key = row + warp_row + r;
                   return key >= notes.first[column] && key < notes.end[column];
               },
               [&](u32, u32 column) { return make_float2(notes.lse[column], notes.delta[column]); });
        multiply_factors<D>(dv_sums, p, q_tile + HALF);
        multiply_factors<D>(dk_sums, ds, q_tile);
        put_note();
    }
    store_rows<D>(dk_sums, dk, heads.key_value, key_head, row + warp_row, n);
    store_rows<D>(dv_sums, dv, heads.key_value, key_head, row + warp_row, n);
}

#define OF_DIMENSION(D)                                                                                               \
    KERNEL(attention_forward_##D, THREADS, 2, forward_shared(D),                                                      \
           (const bf16* q, const bf16* k, const bf16* v, const u32* first, const u32* visible, bf16* o, float* lse,   \
            u32 n, u32 h, u32 hkv, float scale)) {                                                                    \
        SHARED(shared);                                                                                               \
        forward<D>(shared, q, k, v, first, visible, o, lse, n, {h, hkv, scale});                                      \
    }                                                                                                                 \
    KERNEL(attention_backward_queries_##D, THREADS, 2, queries_shared(D),                                             \
           (const bf16* q, const bf16* k, const bf16* v, const u32* first, const u32* visible, const bf16* d_o,       \
            const float* lse, const float* delta, bf16* dq, u32 n, u32 h, u32 hkv, float scale)) {                    \
        SHARED(shared);                                                                                               \
        backward_queries<D>(shared, q, k, v, first, visible, d_o, lse, delta, dq, n, {h, hkv, scale});                \
    }                                                                                                                 \
    KERNEL(attention_backward_keys_##D, THREADS, 2, keys_shared(D),                                                   \
           (const bf16* q, const bf16* k, const bf16* v, const u32* first, const u32* visible, const bf16* d_o,       \
            const float* lse, const float* delta, bf16* dk, bf16* dv, u32 n, u32 h, u32 hkv, float scale)) {          \
        SHARED(shared);                                                                                               \
        backward_keys<D>(shared, q, k, v, first, visible, d_o, lse, delta, dk, dv, n, {h, hkv, scale});               \
    }

// Few queries over long caches, H / Hkv at most 8: parts (N,H,ceil(most/256),D+2), then their sum.
#define DECODE(D)                                                                                                     \
    KERNEL(attention_decode_##D, DECODE_THREADS, 4, decode_shared(D),                                                 \
           (const bf16* q, const bf16* k, const bf16* v, const u32* first, const u32* visible, float* parts, u32 h,   \
            u32 hkv, float scale)) {                                                                                  \
        SHARED(shared);                                                                                               \
        decode_part<D>(shared, q, k, v, first, visible, parts, h, hkv, scale);                                        \
    }                                                                                                                 \
    KERNEL(attention_add_parts_##D, D, 8, 0,                                                                          \
           (const float* from, const u32* visible, bf16* o, float* lse, u32 h, u32 parts)) {                          \
        add_parts<D>(from, visible, o, lse, h, parts);                                                                \
    }
DECODE(64)
DECODE(128)
OF_DIMENSION(64)
OF_DIMENSION(128)

// k or v (N,width) into its rows of the cache; width is a multiple of 8. Grid: N.
KERNEL(attention_store, 256, 4, 0, (const bf16* from, bf16* to, const u32* rows, u32 width)) {
    const uint4* const source = (const uint4*)(from + (u64)blockIdx.x * width);
    uint4* const target = (uint4*)(to + (u64)rows[blockIdx.x] * width);
    for (u32 i = threadIdx.x; i < width / 8; i += 256) target[i] = source[i];
}
