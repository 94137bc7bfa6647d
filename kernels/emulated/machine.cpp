#include "machine.hpp"

#include "shadow.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

namespace emulated {

__thread const Place* place;
__thread Worker* worker;

#ifndef __x86_64__
#error "the emulated driver switches fibers in x86-64 assembly"
#endif

// Saves the callee's registers on the stack, leaves its top in *from, and goes on at `to`.
extern "C" void srek_switch(void** from, void* to);
asm(R"(
.text
.globl srek_switch
.hidden srek_switch
.type srek_switch, @function
srek_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size srek_switch, .-srek_switch
)");

u64 mix(u64 value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    return value ^ (value >> 31);
}

static u8* pages(size_t bytes) {
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) abort();
    return static_cast<u8*>(at);
}

Worker::Worker() {
    stacks_ = pages(MOST_THREADS * STACK);
    shared_pages_ = pages(2 * MARGIN + MOST_SHARED);
    shared = shared_pages_ + MARGIN;
}

Worker::~Worker() {
    munmap(stacks_, MOST_THREADS * STACK);
    munmap(shared_pages_, 2 * MARGIN + MOST_SHARED);
}

// Where every fiber begins.
static void begin() {
    const Launch& launch = *worker->launch;
    launch.kernel->call(launch.kernel->entry, launch.arguments);
    worker->finish();
}

// The lanes of a warp run in an order that the seed chooses.
void Worker::order_lanes(Warp& warp, u64 seed) {
    u32 lanes = 0;
    while (lanes < LANES && (warp.lanes >> lanes & 1)) ++lanes;
    for (u32 i = lanes; i-- > 1;) {
        const u32 other = mix(seed + i) % (i + 1);
        std::swap(warp.at[i], warp.at[other]);
    }
    for (u32 position = 0; position < lanes; ++position) warp.at[position]->position = position;
}

void Worker::prepare(Index block) {
    const u32 threads = launch->threads.x * launch->threads.y * launch->threads.z;
    for (u32 id = 0; id < threads; ++id) {
        Fiber& fiber = fibers_[id];
        Warp& warp = warps[id / LANES];
        if (id % LANES == 0) {
            warp.lanes = warp.ready = warp.step = 0;
            for (Meeting& meeting : warp.meetings) meeting = Meeting();
        }
        const u32 x = launch->threads.x, y = launch->threads.y;
        fiber.place = {{id % x, id / x % y, id / x / y}, block, launch->grid, launch->threads, shared};
        fiber.warp = &warp;
        fiber.id = id;
        fiber.lane = fiber.position = id % LANES;
        fiber.done = false;
        fiber.groups = 0;
        fiber.copies.clear();
        warp.at[fiber.lane] = &fiber;
        warp.lanes |= 1u << fiber.lane;
        warp.ready = warp.alive = warp.lanes;
        // Six registers and the address that the switch returns to; `begin` finds the stack as after a call.
        // The stacks' tops are spread over the cache's sets.
        void** top = reinterpret_cast<void**>(stacks_ + (id + 1) * STACK - id % LANES * SPREAD);
        *--top = nullptr;
        *--top = reinterpret_cast<void*>(&begin);
        top -= 6;
        memset(top, 0, 6 * sizeof(void*));
        fiber.stack_pointer = top;
    }
    if (launch->seed == 0) return;
    const u64 seed = mix(launch->seed ^ mix(block.x + 65536ull * block.y + (u64(block.z) << 32)));
    for (u32 w = 0; w * LANES < threads; ++w) order_lanes(warps[w], mix(seed + w) & ~63ull);
}

void Worker::run_block(const Launch& what, Index block) {
    launch = &what;
    worker = this;
    prepare(block);
    const u32 threads = what.threads.x * what.threads.y * what.threads.z;
    const u32 count = (threads + LANES - 1) / LANES;
    at_barrier = 0;
    if (CHECKED) begin_block(*this);
    if (CHECKED && sigsetjmp(lost, 1)) return end_block(*this, fibers_, threads);
    for (;;) {
        u32 alive = 0;
        const u32 start = what.seed ? mix(what.seed + interval) % count : 0;
        for (u32 i = 0; i < count; ++i) {
            Warp& warp = warps[(start + i) % count];
            if (warp.ready) {
                const u32 position = __builtin_ctz(warp.ready);
                warp.ready &= warp.ready - 1;
                running = warp.at[position];
                place = &running->place;
                srek_switch(&scheduler_, running->stack_pointer);
            }
            alive += __builtin_popcount(warp.alive);
        }
        if (alive == 0) break;
        if (!release_barrier(alive, threads)) {
            stuck(*this);
            break;
        }
    }
    if (CHECKED) end_block(*this, fibers_, threads);
}

bool Worker::release_barrier(u32 alive, u32 threads) {
    if (at_barrier != alive) return false;
    if (CHECKED && alive != threads) report_here("a block barrier that some threads never reach", barrier_site);
    at_barrier = 0;
    ++interval;
    for (u32 w = 0; w * LANES < threads; ++w) {
        Warp& warp = warps[w];
        for (u32 position = 0; position < LANES; ++position) {
            if ((warp.lanes >> position & 1) && !warp.at[position]->done) warp.ready |= 1u << position;
        }
    }
    return true;
}

void Worker::wait() {
    Fiber& fiber = *running;
    Warp& warp = *fiber.warp;
    if (warp.ready) {
        // The next position round the ring that can run.
        const u32 turn = (fiber.position + 1) % LANES;
        const u32 turned = warp.ready >> turn | (turn ? warp.ready << (LANES - turn) : 0);
        const u32 position = (turn + __builtin_ctz(turned)) % LANES;
        warp.ready &= ~(1u << position);
        running = warp.at[position];
        place = &running->place;
        srek_switch(&fiber.stack_pointer, running->stack_pointer);
    } else {
        srek_switch(&fiber.stack_pointer, scheduler_);
    }
}

void Worker::finish() {
    running->done = true;
    running->warp->alive &= ~(1u << running->lane);
    wait();
    abort();  // nobody resumes a fiber that has returned
}

static u32 positions_of(const Warp& warp, u32 mask) {
    if (mask == warp.lanes) return warp.lanes;
    u32 positions = 0;
    for (u32 position = 0; position < LANES; ++position) {
        if ((warp.lanes >> position & 1) && (mask >> warp.at[position]->lane & 1)) positions |= 1u << position;
    }
    return positions;
}

// The meeting of this kind that still waits for the lane, else a new one.
static Meeting* find_meeting(Warp& warp, Kind kind, u32 mask, u32 bit) {
    Meeting* empty = nullptr;
    for (Meeting& meeting : warp.meetings) {
        if (meeting.arrived && meeting.kind == kind && meeting.mask == mask && !(meeting.arrived & bit)) {
            return &meeting;
        }
        if (!meeting.arrived && !empty) {
            empty = &meeting;
            // Meetings are few: behind a place that was never taken there is none.
            if (meeting.kind == Kind::None) break;
        }
    }
    if (empty) {
        empty->kind = kind;
        empty->mask = mask;
    }
    return empty;
}

void arrive(Kind kind, u32 mask, Post post) {
    Worker& here = *worker;
    Fiber& fiber = *here.running;
    Warp& warp = *fiber.warp;
    const u32 bit = 1u << fiber.lane;
    if (!(mask & bit)) {
        report_here("a mask that does not name the calling lane", post.site);
        mask |= bit;
    }
    if (CHECKED && (kind == Kind::SyncWarp || kind >= Kind::LoadMatrices) && mask != warp.lanes) {
        report_here("a collective of the whole warp in a warp that is not whole", post.site);
    }
    mask &= warp.lanes;
    fiber.post = post;
    Meeting* meeting = find_meeting(warp, kind, mask, bit);
    if (!meeting) {
        report_here("a warp that waits for more than four things", post.site);
        here.finish();
    }
    meeting->arrived |= bit;
    if (meeting->arrived == meeting->mask) {
        meeting->arrived = 0;
        meet(kind, warp, mask);
        warp.ready |= positions_of(warp, mask & ~bit);
        return;
    }
    here.wait();
}

void sync_block(u32 line) {
    Worker& here = *worker;
    const void* site = __builtin_return_address(0);
    if (CHECKED && here.at_barrier > 0 && here.barrier_line != line) {
        report_apart("block barrier", here.barrier_site, site);
    }
    here.barrier_line = line;
    here.barrier_site = site;
    ++here.at_barrier;
    here.wait();
}

}  // namespace emulated
