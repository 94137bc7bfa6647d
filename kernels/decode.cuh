// Attention of single queries over long caches: the keys of a query are split between blocks.
//
// A part is 256 keys, whatever the cache holds: a query's bits depend on the rows it sees only. A block has
// a part of a query's keys and all query heads of one key head; a second kernel adds the parts in order.
#pragma once

#include "common.cuh"

constexpr u32 PART = 256;
constexpr u32 DECODE_THREADS = 128;
constexpr u32 DECODE_WARPS = DECODE_THREADS / WARP;
constexpr u32 MOST_GROUP = 8;

// Of a part of a query head: o before the division, then the greatest score and the sum of exponentials.
DEVICE u64 part_at(u64 row, u32 parts, u32 part, u32 d) { return (row * parts + part) * (d + 2); }

DEVICE constexpr u32 decode_shared(u32 d) {
    return (MOST_GROUP * PART + MOST_GROUP * d * 2 + 2 * MOST_GROUP * DECODE_WARPS) * 4;
}

// A lane's two or four elements of a row, as one load.
DEVICE void load_some(float (&to)[2], const bf16* from) {
    const u32 pair = *(const u32*)from;
    to[0] = low_half(pair);
    to[1] = high_half(pair);
}
DEVICE void load_some(float (&to)[4], const bf16* from) {
    const uint2 pairs = *(const uint2*)from;
    to[0] = low_half(pairs.x);
    to[1] = high_half(pairs.x);
    to[2] = low_half(pairs.y);
    to[3] = high_half(pairs.y);
}

// to (N, H, parts, D + 2). Grid: parts, Hkv, N.
template <u32 D>
DEVICE void decode_part(u8* shared, const bf16* q, const bf16* k, const bf16* v, const u32* first, const u32* visible,
                        float* to, u32 h, u32 hkv, float scale) {
    const u32 part = blockIdx.x, key_head = blockIdx.y, query = blockIdx.z, group = h / hkv;
    const u32 start = part * PART, seen = visible[query];
    if (start >= seen) return;
    const u32 left = seeded(bound) ? seen + 1 - start : seen - start;
    const u32 count = left < PART ? left : PART;
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    float* const scores = (float*)shared;                       // (group, PART)
    float* const sums = scores + MOST_GROUP * PART;             // (2, group, D)
    float* const warps = sums + 2 * MOST_GROUP * D;             // (2, group, warps)
    const u64 row = (u64)query * h + key_head * group;
    const u64 key_row = first[query] + start;
    // Scores: a warp per key, a lane per D / 32 elements.
    constexpr u32 EACH = D / WARP;
    float own[MOST_GROUP][EACH] = {}, most[MOST_GROUP];
    UNROLL for (u32 g = 0; g < MOST_GROUP; ++g) {
        most[g] = float_of_bits(0xff800000u);
        if (g < group) load_some(own[g], q + (row + g) * D + lane * EACH);
    }
    for (u32 j = warp; j < count; j += DECODE_WARPS) {
        float elements[EACH];
        load_some(elements, k + ((key_row + j) * hkv + key_head) * D + lane * EACH);
        UNROLL for (u32 g = 0; g < MOST_GROUP; ++g) {
            if (g >= group) continue;
            float sum = 0.0f;
            UNROLL for (u32 i = 0; i < EACH; ++i) sum = fused(own[g][i], elements[i], sum);
            sum = warp_sum(sum, seeded(wrong_mask) ? 0x7fffffffu : ALL_LANES) * scale;
            most[g] = greater(most[g], sum);
            if (lane == 0) scores[g * PART + j] = sum;
        }
    }
    UNROLL for (u32 g = 0; g < MOST_GROUP; ++g) {
        if (lane == 0 && g < group) warps[g * DECODE_WARPS + warp] = most[g];
    }
    if (!seeded(dropped_barrier)) sync_block();
    // Exponentials: a warp has every fourth head.
    for (u32 g = warp; g < group; g += DECODE_WARPS) {
        float high = warps[g * DECODE_WARPS];
        UNROLL for (u32 w = 1; w < DECODE_WARPS; ++w) high = greater(high, warps[g * DECODE_WARPS + w]);
        float total = 0.0f;
        for (u32 j = lane; j < count; j += WARP) {
            const float p = exponential_below_88(scores[g * PART + j] - high);
            total += p;
            scores[g * PART + j] = round_bf16(p);
        }
        total = warp_sum(total);
        if (lane == 0) {
            float* const notes = to + part_at(row + g, gridDim.x, part, D) + D;
            notes[0] = high;
            notes[1] = total;
        }
    }
    sync_block();
    // Values: a thread has two elements, and D / 2 threads a half (or a quarter) of the keys.
    constexpr u32 SPLITS = DECODE_THREADS / (D / 2);
    const u32 element = threadIdx.x % (D / 2) * 2, split = threadIdx.x / (D / 2);
    float weighted[MOST_GROUP][2] = {};
    for (u32 j = split; j < count; j += SPLITS) {
        const u32 pair = *(const u32*)(v + ((key_row + j) * hkv + key_head) * D + element);
        UNROLL for (u32 g = 0; g < MOST_GROUP; ++g) {
            if (g >= group) continue;
            weighted[g][0] = fused(scores[g * PART + j], low_half(pair), weighted[g][0]);
            weighted[g][1] = fused(scores[g * PART + j], high_half(pair), weighted[g][1]);
        }
    }
    // The splits are added in order, the first one by itself.
    for (u32 turn = 1; turn < SPLITS; ++turn) {
        if (split == turn) {
            UNROLL for (u32 g = 0; g < MOST_GROUP; ++g) {
                if (g >= group) continue;
                sums[g * D + element] = weighted[g][0];
                sums[g * D + element + 1] = weighted[g][1];
            }
        }
        sync_block();
        if (split == 0) {
            UNROLL for (u32 g = 0; g < MOST_GROUP; ++g) {
                if (g >= group) continue;
                weighted[g][0] += sums[g * D + element];
                weighted[g][1] += sums[g * D + element + 1];
            }
        }
        sync_block();
    }
    if (split != 0) return;
    UNROLL for (u32 g = 0; g < MOST_GROUP; ++g) {
        if (g >= group) continue;
        float* const line = to + part_at(row + g, gridDim.x, part, D);
        line[element] = weighted[g][0];
        line[element + 1] = weighted[g][1];
    }
}

// o and lse from the parts. Grid: N H; a thread per element.
template <u32 D>
DEVICE void add_parts(const float* from, const u32* visible, bf16* o, float* lse, u32 h, u32 parts) {
    const u64 row = blockIdx.x;
    const u32 count = (visible[row / h] + PART - 1) / PART;
    float most = float_of_bits(0xff800000u);
    for (u32 part = 0; part < count; ++part) most = greater(most, from[part_at(row, parts, part, D) + D]);
    float sum = 0.0f, total = 0.0f;
    for (u32 part = 0; part < count; ++part) {
        const float* const line = from + part_at(row, parts, part, D);
        const float factor = exponential_below_88(line[D] - most);
        sum = fused(line[threadIdx.x], factor, sum);
        total = fused(line[D + 1], factor, total);
    }
    o[row * D + threadIdx.x] = to_bf16(sum / total);
    if (threadIdx.x == 0) lse[row] = most + logarithm(total);
}
