// What lanes do together. Each brings the address of its own values; the last one to arrive does the
// work for all.

#include "machine.hpp"
#include "shadow.hpp"

#include <immintrin.h>

#include <cstring>

namespace emulated {

const char* name_of(Kind kind) {
    switch (kind) {
        case Kind::SyncWarp: return "warp barrier";
        case Kind::Shuffle: return "shuffle";
        case Kind::LoadMatrices:
        case Kind::LoadTransposed: return "load of matrices";
        case Kind::MultiplyAdd: return "matrix multiply-add";
        default: return "nothing";
    }
}

namespace {

struct Shuffle {
    float value, result;
};

struct Matrices {
    const u8* row;
    u32* to;
};

// By lane, not by position.
void by_lane(const Warp& warp, Fiber* (&lanes)[LANES]) {
    for (u32 position = 0; position < LANES; ++position) {
        if (warp.lanes >> position & 1) lanes[warp.at[position]->lane] = warp.at[position];
    }
}

void do_shuffle(Fiber* const (&lanes)[LANES], u32 mask) {
    for (u32 lane = 0; lane < LANES; ++lane) {
        if (!(mask >> lane & 1)) continue;
        Shuffle& own = *static_cast<Shuffle*>(lanes[lane]->post.data);
        const u32 other = lane ^ lanes[lane]->post.argument;
        if (other >= LANES || !(mask >> other & 1)) {
            report(*lanes[lane], "a shuffle from a lane that the mask does not name", lanes[lane]->post.site);
            own.result = own.value;
            continue;
        }
        own.result = static_cast<Shuffle*>(lanes[other]->post.data)->value;
    }
}

void do_load(Fiber* const (&lanes)[LANES], bool transposed) {
    const u8* rows[LANES];
    for (u32 lane = 0; lane < LANES; ++lane) {
        rows[lane] = static_cast<Matrices*>(lanes[lane]->post.data)->row;
        if (CHECKED) check_aligned(*lanes[lane], rows[lane], 16, lanes[lane]->post.site);
        if (CHECKED) check_shared(*lanes[lane], rows[lane], 16, lanes[lane]->post.site);
    }
    for (u32 lane = 0; lane < LANES; ++lane) {
        u32* to = static_cast<Matrices*>(lanes[lane]->post.data)->to;
        for (u32 matrix = 0; matrix < 4; ++matrix) {
            const u8* const* row = rows + 8 * matrix;
            if (!transposed) {
                const u8* from = row[lane / 4] + 4 * (lane % 4);
                // The lane that gets the values reads them, whoever gave the address.
                if (CHECKED) on_read(*lanes[lane], from, 4, lanes[lane]->post.site);
                memcpy(&to[matrix], from, 4);
            } else {
                u16 pair[2];
                for (u32 i = 0; i < 2; ++i) {
                    const u8* from = row[2 * (lane % 4) + i] + 2 * (lane / 4);
                    if (CHECKED) on_read(*lanes[lane], from, 2, lanes[lane]->post.site);
                    memcpy(&pair[i], from, 2);
                }
                to[matrix] = u32(pair[1]) << 16 | pair[0];
            }
        }
    }
}

// Eight columns of a row at a time.
typedef u32 Bits __attribute__((vector_size(32)));
typedef float Row __attribute__((vector_size(32)));
typedef u64 Pairs __attribute__((vector_size(32)));

Row fused(float a, Row b, Row c) {
#ifdef __FMA__
    return _mm256_fmadd_ps(_mm256_set1_ps(a), b, c);
#else
    for (u32 i = 0; i < 8; ++i) c[i] = __builtin_fmaf(a, b[i], c[i]);
    return c;
#endif
}

void do_multiply_add(Fiber* const (&lanes)[LANES]) {
    MultiplyAdd* work[LANES];
    for (u32 lane = 0; lane < LANES; ++lane) work[lane] = static_cast<MultiplyAdd*>(lanes[lane]->post.data);
    alignas(64) u64 a[16][8];  // two elements each
    for (u32 lane = 0; lane < LANES; ++lane) {
        for (u32 i = 0; i < 4; ++i) {
            const u64 pair = work[lane]->a[i];
            a[lane / 4 + 8 * (i % 2)][lane % 4 + 4 * (i / 2)] = (pair & 0xffff0000u) << 32 | u32(pair << 16);
        }
    }
    Row b[16];
    for (u32 i = 0; i < 8; ++i) {
        const u32 t = i % 4, half = i / 4;
        Bits pairs;
        for (u32 g = 0; g < 8; ++g) pairs[g] = work[4 * g + t]->b[half];
        b[2 * i] = reinterpret_cast<Row>(pairs << 16);
        b[2 * i + 1] = reinterpret_cast<Row>(pairs & 0xffff0000u);
    }
    for (u32 row = 0; row < 16; ++row) {
        u64* part[4];
        for (u32 t = 0; t < 4; ++t) part[t] = reinterpret_cast<u64*>(&work[row % 8 * 4 + t]->c[row / 8 * 2]);
        Row sum = reinterpret_cast<Row>(Pairs{*part[0], *part[1], *part[2], *part[3]});
        const float* factors = reinterpret_cast<const float*>(a[row]);
        for (u32 k = 0; k < 16; ++k) {
            sum = fused(factors[k], b[k], sum);
        }
        const Pairs pairs = reinterpret_cast<Pairs>(sum);
        for (u32 t = 0; t < 4; ++t) *part[t] = pairs[t];
    }
}

}  // namespace

void meet(Kind kind, Warp& warp, u32 mask) {
    Fiber* lanes[LANES] = {};
    by_lane(warp, lanes);
    if (CHECKED) {
        const Fiber* first = lanes[__builtin_ctz(mask)];
        for (u32 lane = 0; lane < LANES; ++lane) {
            if (!(mask >> lane & 1) || first->post.line == lanes[lane]->post.line) continue;
            report_apart(name_of(kind), first->post.site, lanes[lane]->post.site);
        }
    }
    switch (kind) {
        case Kind::SyncWarp: ++warp.step; break;
        case Kind::Shuffle: do_shuffle(lanes, mask); break;
        case Kind::LoadMatrices:
        case Kind::LoadTransposed:
            if (mask == ALL) do_load(lanes, kind == Kind::LoadTransposed);
            break;
        case Kind::MultiplyAdd:
            if (mask == ALL) do_multiply_add(lanes);
            break;
        default: break;
    }
}

void sync_warp(u32 mask, u32 line) { arrive(Kind::SyncWarp, mask, {nullptr, 0, line, __builtin_return_address(0)}); }

float shuffle_xor(float value, u32 distance, u32 mask, u32 line) {
    Shuffle own = {value, 0.0f};
    arrive(Kind::Shuffle, mask, {&own, distance, line, __builtin_return_address(0)});
    return own.result;
}

void load_matrices(u32* to, const void* row, bool transposed, u32 line) {
    u32 values[4] = {};
    Matrices own = {static_cast<const u8*>(row), values};
    const Kind kind = transposed ? Kind::LoadTransposed : Kind::LoadMatrices;
    arrive(kind, ALL, {&own, 0, line, __builtin_return_address(0)});
    memcpy(to, values, sizeof values);
}

void multiply_add(MultiplyAdd& work, u32 line) {
    arrive(Kind::MultiplyAdd, ALL, {&work, 0, line, __builtin_return_address(0)});
}

uint4 load_aligned16(const void* from) {
    if (CHECKED) check_aligned(*worker->running, from, 16, __builtin_return_address(0));
    if (CHECKED) on_read(*worker->running, from, 16, __builtin_return_address(0));
    if (CHECKED) check_constant(*worker->running, from, 16, __builtin_return_address(0));
    uint4 value;
    memcpy(&value, from, sizeof value);
    return value;
}

void start_copy16(void* to, const void* from, u32 bytes) {
    u8 value[16] = {};
    if (CHECKED) {
        const void* site = __builtin_return_address(0);
        Fiber& fiber = *worker->running;
        if (bytes > 16) report(fiber, "a copy of more than 16 bytes", site);
        check_aligned(fiber, from, 16, site);
        check_aligned(fiber, to, 16, site);
        check_shared(fiber, to, 16, site);
        if (bytes > 0) on_read(fiber, from, bytes, site);
        memcpy(value, from, bytes);
        start_copy(fiber, static_cast<u8*>(to), value, site);
        return;
    }
    memcpy(value, from, bytes);
    memcpy(to, value, sizeof value);
}

void end_copy_group() {
    if (CHECKED) ++worker->running->groups;
}

void wait_copies(int pending) {
    if (CHECKED) land_copies(*worker->running, pending);
}

}  // namespace emulated
