// The emulated multiprocessor: threads as fibers, warps that meet, one block at a time per worker.
#pragma once

#include "device.hpp"

#include <csetjmp>
#include <memory>
#include <string>
#include <vector>

namespace emulated {

constexpr u32 LANES = 32;
constexpr u32 ALL = 0xffffffffu;
constexpr u32 MOST_THREADS = 1024;
// What a block of sm_86 can have, and what lies unused on either side so that a wrong index stays here.
constexpr u32 MOST_SHARED = 99 * 1024;
constexpr u32 MARGIN = 1 << 20;
constexpr size_t STACK = 128 << 10;
constexpr size_t SPREAD = 11 * 64;

#ifdef SREK_CHECKED
constexpr bool CHECKED = true;
#else
constexpr bool CHECKED = false;
#endif

enum class Kind : u8 { None, SyncWarp, Shuffle, LoadMatrices, LoadTransposed, MultiplyAdd };
const char* name_of(Kind kind);

// What a lane brings to a meeting.
struct Post {
    void* data;
    u32 argument, line;
    const void* site;
};

// Lanes that wait for each other.
struct Meeting {
    Kind kind = Kind::None;
    u32 mask = 0, arrived = 0;
};

// A copy to shared memory under way (checked build).
struct Copy {
    u8* to;
    u8 bytes[16];
    u32 group;
    const void* site;
};

struct Warp;

struct Fiber {
    void* stack_pointer;
    Place place;
    Warp* warp;
    u32 id, lane, position;
    bool done;
    Post post;
    u32 groups;
    std::vector<Copy> copies;
};

struct Warp {
    Fiber* at[LANES];  // by position: the lanes in the order in which they run
    u32 lanes;         // those that exist
    u32 ready;         // positions that can run
    u32 alive;         // lanes that have not returned
    u32 step;          // warp barriers so far: orders accesses within the warp
    Meeting meetings[4];
};

struct Launch {
    const Kernel* kernel;
    void** arguments;
    Index grid, threads;
    u32 shared;
    u64 seed;
};

class Worker {
public:
    Worker();
    ~Worker();
    void run_block(const Launch& launch, Index block);

    Fiber* running = nullptr;
    const Launch* launch = nullptr;
    u8* shared = nullptr;
    Warp warps[MOST_THREADS / LANES];
    // The interval between two block barriers, counted over all blocks (checked build).
    u32 interval = 0, first_interval = 0;
    u32 at_barrier = 0;
    u32 barrier_line = 0;
    const void* barrier_site = nullptr;

    // Where a block goes on that touched no memory at all (checked build).
    sigjmp_buf lost;

    void wait();  // gives way to the next lane
    void finish();

private:
    void prepare(Index block);
    void order_lanes(Warp& warp, u64 seed);
    bool release_barrier(u32 alive, u32 threads);
    Fiber fibers_[MOST_THREADS];
    u8* stacks_;
    u8* shared_pages_;
    void* scheduler_ = nullptr;
};

extern __thread Worker* worker;

void arrive(Kind kind, u32 mask, Post post);
void meet(Kind kind, Warp& warp, u32 mask);  // does what all came for
void stuck(const Worker& worker);            // reports who waits for what

u64 mix(u64 value);  // a bijection of 64 bits that looks random

}  // namespace emulated
