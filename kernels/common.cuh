// What every kernel stands on: types, and every instruction beyond C++ behind one inline function.
//
// The same source is compiled twice. NVRTC sees the PTX; a host C++ compiler (SREK_EMULATED) sees the
// meaning that stands beside it, and the emulated driver runs it (kernels/emulated). NVRTC gets
// --fmad=false, so a multiply and an add are fused where `fused` is called and nowhere else: on both
// sides an expression has the same roundings.
#pragma once

#ifdef SREK_EMULATED
#include "emulated/device.hpp"
#else
typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;

#define DEVICE static __device__ __forceinline__
#define DEVICE_MEMBER __device__ __forceinline__
#define CONSTANT static __device__ __constant__ const
#define UNROLL _Pragma("unroll")

// An entry point: its name, threads per block (one dimension), blocks that should fit on an SM, bytes
// of dynamic shared memory, and its parameters in parentheses. Launchers read the two numbers from the
// PTX, where they stand as constants with the kernel's name (name_threads, name_shared).
#define KERNEL(name, threads, blocks, shared, parameters)                            \
    extern "C" __device__ __constant__ unsigned int name##_threads = (threads);      \
    extern "C" __device__ __constant__ unsigned int name##_shared = (shared);        \
    extern "C" __global__ void __launch_bounds__(threads, blocks) name parameters

// All shared memory of a kernel is this one range; the emulated driver watches its bounds.
#define SHARED(name) extern __shared__ __align__(16) u8 name[]
// The emulated driver gets the line of each call, to see whether the lanes meet at the same one.
#define LINE
#define AND_LINE
#endif

// Faults that tests seed into a kernel family to see that they are noticed (kernels/tests/faults.txt).
enum Fault {
    none,
    dropped_barrier,
    missing_wait,
    missing_syncwarp,
    wrong_mask,
    bound,
    swizzle,
    halves,
};
#ifndef SEEDED
#define SEEDED none
#endif
DEVICE constexpr bool seeded(Fault fault) { return fault == SEEDED; }

constexpr u32 WARP = 32;
constexpr u32 ALL_LANES = 0xffffffffu;

// --- Numbers -----------------------------------------------------------------------------------------

// A bfloat16 as it lies in memory.
struct bf16 {
    u16 bits;
};

DEVICE float float_of_bits(u32 bits) {
#ifdef SREK_EMULATED
    return __builtin_bit_cast(float, bits);
#else
    return __uint_as_float(bits);
#endif
}

DEVICE u32 bits_of_float(float value) {
#ifdef SREK_EMULATED
    return __builtin_bit_cast(u32, value);
#else
    return __float_as_uint(value);
#endif
}

// a * b + c with one rounding.
DEVICE float fused(float a, float b, float c) {
#ifdef SREK_EMULATED
    return __builtin_fmaf(a, b, c);
#else
    return __fmaf_rn(a, b, c);
#endif
}

DEVICE float square_root(float x) {
#ifdef SREK_EMULATED
    return __builtin_sqrtf(x);
#else
    return __fsqrt_rn(x);
#endif
}

DEVICE float greater(float a, float b) { return b > a ? b : a; }

DEVICE float widen(bf16 value) { return float_of_bits((u32)value.bits << 16); }
DEVICE float widen(float value) { return value; }

// An IEEE half as it lies in memory; only read.
struct f16 {
    u16 bits;
};

DEVICE float widen(f16 value) {
#ifdef SREK_EMULATED
    return (float)__builtin_bit_cast(_Float16, value.bits);
#else
    float wide;
    asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(value.bits));
    return wide;
#endif
}

// Two values rounded to bf16 (nearest, ties to even), `low` in the low half. A NaN becomes 0x7fff.
DEVICE u32 pack_bf16(float low, float high) {
#ifdef SREK_EMULATED
    auto round = [](float value) -> u32 {
        const u32 bits = bits_of_float(value);
        if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fffu;
        return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    };
    return round(high) << 16 | round(low);
#else
    u32 packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
#endif
}

DEVICE bf16 to_bf16(float value) { return bf16{(u16)pack_bf16(value, 0.0f)}; }
// As one instruction: the rounded value in the high half, zeros below, is the wide one.
DEVICE float round_bf16(float value) { return float_of_bits(pack_bf16(0.0f, value)); }

// The halves of a packed pair.
DEVICE float low_half(u32 pair) { return float_of_bits(pair << 16); }
DEVICE float high_half(u32 pair) { return float_of_bits(pair & 0xffff0000u); }

// Byte i of a word, over the low byte of another one.
DEVICE u32 byte_on(u32 word, u32 i, u32 other) {
#ifdef SREK_EMULATED
    return (word >> (8 * i) & 0xff) | (other & 0xffffff00u);
#else
    return __byte_perm(word, other, 0x7650 + i);
#endif
}

DEVICE u32 byte_of(u32 word, u32 i) { return byte_on(word, i, 0); }

constexpr float ROUND = 12582912.0f;  // adding and subtracting it rounds to an integer

// e^x / 2^n, where n is the whole number nearest to x / ln 2, and `shifted` is n + ROUND.
DEVICE float exponential_rest(float x, float shifted) {
    const float n = shifted - ROUND;
    const float r = fused(n, 2.121944400e-4f, fused(n, -0.693359375f, x));
    float p = 1.0f / 5040.0f;
    p = fused(p, r, 1.0f / 720.0f);
    p = fused(p, r, 1.0f / 120.0f);
    p = fused(p, r, 1.0f / 24.0f);
    p = fused(p, r, 1.0f / 6.0f);
    p = fused(p, r, 0.5f);
    p = fused(p, r, 1.0f);
    p = fused(p, r, 1.0f);
    return p;
}

// e^x as crates/ops/src/math.rs computes it, operation by operation.
DEVICE float exponential(float x) {
    const float clamped = x < -87.5f ? -87.5f : (x > 88.8f ? 88.8f : x);
    const float shifted = clamped * 1.44269504088896340736f + ROUND;
    const float p = exponential_rest(clamped, shifted);
    // The sum's low bits are n. Two factors, because n = 128 alone has no exponent of its own.
    const i32 whole = (i32)(bits_of_float(shifted) - bits_of_float(ROUND));
    const i32 half = whole >> 1;
    const float y = p * float_of_bits((u32)(half + 127) << 23) * float_of_bits((u32)(whole - half + 127) << 23);
    return x < -87.3f ? 0.0f : (x > 88.72f ? float_of_bits(0x7f800000u) : y);
}

// The same bits for x below 88, where 2^n is a float, in fewer operations: what is below -87.3 needs no
// clamping, since its power is not used.
DEVICE float exponential_below_88(float x) {
    const float shifted = x * 1.44269504088896340736f + ROUND;
    const float p = exponential_rest(x, shifted);
    // The bits of ROUND end in 22 zeros, so those of the sum end in n.
    const float power = float_of_bits((bits_of_float(shifted) << 23) + 0x3f800000u);
    return x < -87.3f ? 0.0f : p * power;
}

DEVICE float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

// ln x of a positive, finite, normal x: 2 artanh((m - 1) / (m + 1)) of the mantissa m in f64, then one
// rounding. The series ends where it is below 1e-11. One lane per row calls it, so f64 costs nothing.
DEVICE float logarithm(float x) {
    const u32 bits = bits_of_float(x);
    i32 exponent = (i32)(bits >> 23) - 127;
    float mantissa = float_of_bits((bits & 0x007fffffu) | 0x3f800000u);
    if (mantissa > 1.41421356f) {
        mantissa *= 0.5f;
        exponent += 1;
    }
    const double s = ((double)mantissa - 1.0) / ((double)mantissa + 1.0);
    const double t = s * s;
    double sum = 1.0 / 13.0;
    sum = sum * t + 1.0 / 11.0;
    sum = sum * t + 1.0 / 9.0;
    sum = sum * t + 1.0 / 7.0;
    sum = sum * t + 1.0 / 5.0;
    sum = sum * t + 1.0 / 3.0;
    sum = sum * t + 1.0;
    return (float)(2.0 * s * sum + (double)exponent * 0.69314718055994530942);
}

// --- Order between lanes -----------------------------------------------------------------------------

// All threads of the block arrive; what they wrote before is seen by all after.
DEVICE void sync_block(LINE) {
#ifdef SREK_EMULATED
    emulated::sync_block(line);
#else
    __syncthreads();
#endif
}

// The same within a warp.
DEVICE void sync_warp(LINE) {
#ifdef SREK_EMULATED
    emulated::sync_warp(ALL_LANES, line);
#else
    __syncwarp(ALL_LANES);
#endif
}

// The value that lane `lane ^ distance` passes. It moves a register and orders no memory.
DEVICE float shuffle_xor(float value, u32 distance, u32 mask = ALL_LANES AND_LINE) {
#ifdef SREK_EMULATED
    return emulated::shuffle_xor(value, distance, mask, line);
#else
    return __shfl_xor_sync(mask, value, distance);
#endif
}

// The sum over a warp in every lane: lanes 16 apart first, then 8, 4, 2, 1.
DEVICE float warp_sum(float value, u32 mask = ALL_LANES) {
    UNROLL for (u32 distance = WARP / 2; distance > 0; distance /= 2) {
        value += shuffle_xor(value, distance, mask);
    }
    return value;
}

// The sum over a block of WARPS warps in every thread: warps in order, each as above. `sums` has a place
// per warp. Once per kernel: nobody waits for the readers.
template <u32 WARPS>
DEVICE float block_sum(float value, float* sums) {
    value = warp_sum(value, seeded(wrong_mask) ? 0x0000ffffu : ALL_LANES);
    if (threadIdx.x % WARP == 0) sums[threadIdx.x / WARP] = value;
    if (!seeded(dropped_barrier)) sync_block();
    float sum = 0.0f;
    UNROLL for (u32 warp = 0; warp < WARPS; ++warp) sum += sums[warp];
    return sum;
}

// --- Memory ------------------------------------------------------------------------------------------

// 16 bytes that are read once: not kept in the first cache.
DEVICE uint4 load_streaming(const void* from) {
#ifdef SREK_EMULATED
    return emulated::load_aligned16(from);
#else
    uint4 value;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
                 : "l"(from));
    return value;
#endif
}

// Starts a copy of 16 bytes from global to shared memory, of which the last 16 - `bytes` become zero
// without being read. Both addresses are multiples of 16. Nothing is there before `wait_copies`.
DEVICE void start_copy16(void* to, const void* from, u32 bytes = 16) {
#ifdef SREK_EMULATED
    emulated::start_copy16(to, from, bytes);
#else
    const u32 address = (u32)__cvta_generic_to_shared(to);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(bytes)
                 : "memory");
#endif
}

// Makes a group of this thread's copies since the last call.
DEVICE void end_copy_group() {
#ifdef SREK_EMULATED
    emulated::end_copy_group();
#else
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most `PENDING` of this thread's groups are under way. Other threads' copies are seen
// only after a barrier behind this.
template <int PENDING>
DEVICE void wait_copies() {
#ifdef SREK_EMULATED
    emulated::wait_copies(PENDING);
#else
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#endif
}

// Eight bf16 of 16 bytes.
DEVICE void unpack_eight(float (&to)[8], uint4 words) {
    const u32 pairs[4] = {words.x, words.y, words.z, words.w};
    UNROLL for (u32 i = 0; i < 4; ++i) {
        to[2 * i] = low_half(pairs[i]);
        to[2 * i + 1] = high_half(pairs[i]);
    }
}

// Eight elements of a row in f32, and back with one rounding. Rows are multiples of eight elements and
// buffers begin at multiples of 256 bytes, so a chunk of a row is one load of 16 bytes (f32: two).
DEVICE void load_eight(float (&to)[8], const bf16* from) { unpack_eight(to, *(const uint4*)from); }

DEVICE void load_eight(float (&to)[8], const float* from) {
    UNROLL for (u32 i = 0; i < 2; ++i) {
        const float4 four = ((const float4*)from)[i];
        to[4 * i] = four.x;
        to[4 * i + 1] = four.y;
        to[4 * i + 2] = four.z;
        to[4 * i + 3] = four.w;
    }
}

DEVICE void load_eight(float (&to)[8], const f16* from) {
    const uint4 words = *(const uint4*)from;
    const u32 pairs[4] = {words.x, words.y, words.z, words.w};
    UNROLL for (u32 i = 0; i < 8; ++i) to[i] = widen(f16{(u16)(pairs[i / 2] >> (16 * (i % 2)))});
}

DEVICE void store_eight(bf16* to, const float (&from)[8]) {
    *(uint4*)to = make_uint4(pack_bf16(from[0], from[1]), pack_bf16(from[2], from[3]), pack_bf16(from[4], from[5]),
                             pack_bf16(from[6], from[7]));
}

// --- Matrix fragments --------------------------------------------------------------------------------

// Four 8 x 8 matrices of bf16 from shared memory: lane l gives the address of row l % 8 of matrix
// l / 8 (16 bytes, a multiple of 16), and gets of matrix i in `to[i]` the elements (l / 4, 2 (l % 4))
// and the one behind it.
DEVICE void load_matrices(u32 (&to)[4], const void* row AND_LINE) {
#ifdef SREK_EMULATED
    emulated::load_matrices(to, row, false, line);
#else
    const u32 address = (u32)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
#endif
}

// The same, each matrix transposed: the elements (2 (l % 4), l / 4) and the one below it.
DEVICE void load_matrices_transposed(u32 (&to)[4], const void* row AND_LINE) {
#ifdef SREK_EMULATED
    emulated::load_matrices(to, row, true, line);
#else
    const u32 address = (u32)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
#endif
}

// c (16,8) += a (16,16) b (16,8), bf16 factors and f32 sums. With g = lane / 4 and t = lane % 4:
//   a[0] = a(g, 2t..)  a[1] = a(g+8, 2t..)  a[2] = a(g, 2t+8..)  a[3] = a(g+8, 2t+8..)
//   b0 = b(2t.., g)    b1 = b(2t+8.., g)    c = c(g, 2t), c(g, 2t+1), c(g+8, 2t), c(g+8, 2t+1)
// The host adds the products to c fused, k ascending; the hardware's order and rounding are its own.
DEVICE void multiply_add(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1 AND_LINE) {
#ifdef SREK_EMULATED
    emulated::MultiplyAdd work = {{c[0], c[1], c[2], c[3]}, {a[0], a[1], a[2], a[3]}, {b0, b1}};
    emulated::multiply_add(work, line);
    for (int i = 0; i < 4; ++i) c[i] = work.c[i];
#else
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}
