// What a kernel sees when the host compiles it: CUDA's words, and the calls that common.cuh makes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

typedef uint8_t u8;
typedef int8_t i8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef int32_t i32;
typedef unsigned long long u64;
typedef long long i64;

struct alignas(8) uint2 {
    u32 x, y;
};
struct alignas(16) uint4 {
    u32 x, y, z, w;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline uint4 make_uint4(u32 x, u32 y, u32 z, u32 w) { return {x, y, z, w}; }

namespace emulated {

struct Index {
    u32 x, y, z;
};

// The launch as one thread sees it.
struct Place {
    Index thread, block, grid, threads;
    u8* shared;
};
// The running thread's; a fiber stays on one host thread for as long as its block runs.
extern __thread const Place* place;

struct alignas(16) MultiplyAdd {
    float c[4];
    u32 a[4];
    u32 b[2];
};

void sync_block(u32 line);
void sync_warp(u32 mask, u32 line);
float shuffle_xor(float value, u32 distance, u32 mask, u32 line);
uint4 load_aligned16(const void* from);
void start_copy16(void* to, const void* from, u32 bytes);
void end_copy_group();
void wait_copies(int pending);
void load_matrices(u32* to, const void* row, bool transposed, u32 line);
void multiply_add(MultiplyAdd& work, u32 line);

// An entry point as the driver finds it by name.
struct Kernel {
    const char* name;
    u32 threads, shared, arguments;
    const u32* sizes;
    void (*entry)();
    void (*call)(void (*entry)(), void** arguments);
    const Kernel* next;
};
void add_kernel(Kernel* kernel);

template <class... A>
struct Caller {
    static constexpr u32 sizes[] = {sizeof(A)..., 0};
    template <size_t... I>
    static void unpack(void (*entry)(A...), void** arguments, std::index_sequence<I...>) {
        entry(*static_cast<A*>(arguments[I])...);
    }
    static void call(void (*entry)(), void** arguments) {
        unpack(reinterpret_cast<void (*)(A...)>(entry), arguments, std::index_sequence_for<A...>());
    }
};

struct Registration {
    Kernel kernel;
    template <class... A>
    Registration(const char* name, void (*entry)(A...), u32 threads, u32 shared)
        : kernel{name, threads, shared, sizeof...(A), Caller<A...>::sizes,
                 reinterpret_cast<void (*)()>(entry), Caller<A...>::call, nullptr} {
        add_kernel(&kernel);
    }
};

}  // namespace emulated

#define threadIdx (emulated::place->thread)
#define blockIdx (emulated::place->block)
#define gridDim (emulated::place->grid)
#define blockDim (emulated::place->threads)

#define LINE u32 line = __builtin_LINE()
#define AND_LINE , LINE
#define DEVICE static inline __attribute__((always_inline))
#define DEVICE_MEMBER inline __attribute__((always_inline))
#define CONSTANT static const
#define UNROLL _Pragma("GCC unroll 32")
#define KERNEL(name, threads, blocks, shared, parameters)                                   \
    extern "C" void name parameters;                                                        \
    static emulated::Registration name##_registration(#name, &name, (threads), (shared));   \
    extern "C" void name parameters
#define SHARED(name) u8* const name = emulated::place->shared
