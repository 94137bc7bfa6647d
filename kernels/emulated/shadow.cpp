#include "shadow.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace emulated {

namespace {

// The last write of a byte and the last reads. Times are intervals between block barriers, counted over
// all launches; steps count the barriers of a warp within.
struct Cell {
    u32 write_time, write_step, read_time, read_step;
    const void *write_site, *read_site;
    u32 others;  // the launch in which a block before this one read it
    u16 writer, reader;
    enum By : u8 { Nobody, One, Lanes, Warps } read_by;
    bool live;     // belongs to a buffer
    bool pending;  // a copy to it is under way
};

constexpr u32 HOST_TIME = 1;
constexpr u8 POISON = 0xff;  // as bf16 or f32 a NaN

template <class T>
T* pages(size_t count) {
    void* at = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) abort();
    return static_cast<T*>(at);
}

struct Shadow {
    Cell* device = pages<Cell>(memory().size);
    Cell* shared = pages<Cell>(MOST_SHARED);
    u32 launch_start = 0;
    std::vector<Extent> extents;
};

Shadow& shadow() {
    static Shadow instance;
    return instance;
}

// What an access is to, in words; only findings pay for it.
std::string describe(const void* at, u32 bytes) {
    const u8* byte = static_cast<const u8*>(at);
    const u64 offset = byte - memory().base;
    const bool device = offset < memory().size;
    const std::string place = std::to_string(device ? i64(offset) : byte - worker->shared);
    return std::to_string(bytes) + " bytes at " + (device ? "device byte " : "shared byte ") + place;
}

std::string other_access(u32 thread, const void* site) {
    return ", the other is thread " + std::to_string(thread) + " of its block at " + place_of(site);
}

// Whether an access of `thread` at that time is not ordered before one of `fiber` now.
bool unordered(u32 time, u32 step, u32 thread, const Fiber& fiber) {
    const Worker& here = *worker;
    if (time < shadow().launch_start) return false;
    if (time < here.first_interval) return true;  // another block
    if (thread == fiber.id || time < here.interval) return false;
    return thread / LANES != fiber.id / LANES || step == fiber.warp->step;
}

// Cells of a range, or null and a finding when it is outside; null without one when it is the host's.
Cell* cells_of(const Fiber& fiber, const void* at, u32 bytes, bool write, const void* site) {
    const u8* byte = static_cast<const u8*>(at);
    const Worker& here = *worker;
    const char* outside = write ? "write out of bounds" : "read out of bounds";
    const u64 offset = byte - memory().base;
    if (offset < memory().size) {
        Cell* cells = shadow().device + offset;
        bool inside = offset + bytes <= memory().size;
        for (u32 i = 0; inside && i < bytes; ++i) inside = cells[i].live;
        const std::vector<Extent>& extents = shadow().extents;
        if (inside && !extents.empty()) {
            inside = std::any_of(extents.begin(), extents.end(), [&](const Extent& extent) {
                return byte >= extent.start && byte + bytes <= extent.start + extent.bytes;
            });
        }
        if (!inside) report(fiber, outside, site, describe(at, bytes));
        return inside ? cells : nullptr;
    }
    const i64 place = byte - here.shared;
    if (place < -i64(MARGIN) || place >= i64(MOST_SHARED + MARGIN)) return nullptr;
    if (place < 0 || place + bytes > here.launch->shared) {
        report(fiber, outside, site, describe(at, bytes));
        return nullptr;
    }
    return shadow().shared + place;
}

// An address so wrong that there is no memory: the block is given up.
void on_no_memory(int signal, siginfo_t* info, void* context) {
    if (!worker || !worker->running) {
        struct sigaction usual = {};
        usual.sa_handler = SIG_DFL;
        sigaction(signal, &usual, nullptr);
        return;
    }
    char address[40];
    snprintf(address, sizeof address, "address %p", info->si_addr);
    const auto* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    report(*worker->running, "access out of bounds", reinterpret_cast<void*>(registers[REG_RIP] + 1), address);
    siglongjmp(worker->lost, 1);
}

bool is_shared(const void* at) {
    const u64 place = static_cast<const u8*>(at) - worker->shared;
    return place < MOST_SHARED;
}

void check_readers(Cell& cell, Fiber& fiber, const void* at, u32 bytes, const void* site) {
    if (cell.others == shadow().launch_start && cell.others) {
        report(fiber, "write to what another block reads", site,
               describe(at, bytes) + other_access(cell.reader, cell.read_site));
    } else if (cell.read_by != Cell::Nobody) {
        const bool now = cell.read_time == worker->interval;
        const bool same_warp = cell.reader / LANES == fiber.id / LANES;
        const bool crowd = now && (cell.read_by == Cell::Warps || (cell.read_by == Cell::Lanes && same_warp &&
                                                                   cell.read_step == fiber.warp->step));
        if (crowd || unordered(cell.read_time, cell.read_step, cell.reader, fiber)) {
            report(fiber, "write to what another thread reads, with no barrier between", site,
                   describe(at, bytes) + other_access(cell.reader, cell.read_site));
        }
    }
}

void note_reader(Cell& cell, const Fiber& fiber, const void* site) {
    const Worker& here = *worker;
    const u32 launch = shadow().launch_start;
    Cell::By by = Cell::One;
    if (cell.read_by != Cell::Nobody && cell.read_time >= launch) {
        if (cell.read_time < here.first_interval) {
            cell.others = launch;
        } else if (cell.read_time == here.interval) {
            const bool same_warp = cell.reader / LANES == fiber.id / LANES;
            const bool older = same_warp && cell.read_step < fiber.warp->step;
            if (cell.read_by == Cell::Warps || !same_warp) {
                by = Cell::Warps;
            } else if (!older && (cell.read_by == Cell::Lanes || cell.reader != fiber.id)) {
                by = Cell::Lanes;
            }
        }
    }
    cell.read_by = by;
    cell.read_time = here.interval;
    cell.read_step = fiber.warp->step;
    cell.reader = fiber.id;
    cell.read_site = site;
}

void note_writer(Cell& cell, const Fiber& fiber, const void* site) {
    cell.write_time = worker->interval;
    cell.write_step = fiber.warp->step;
    cell.writer = fiber.id;
    cell.write_site = site;
}

// Whether the byte holds something: shared memory does not outlive its block.
bool is_written(const Cell& cell, bool shared) {
    return shared ? cell.write_time >= worker->first_interval : cell.write_time > 0;
}

void check_writer(Cell& cell, Fiber& fiber, const char* text, const void* at, u32 bytes, const void* site) {
    if (unordered(cell.write_time, cell.write_step, cell.writer, fiber)) {
        const bool block = cell.write_time < worker->first_interval;
        report(fiber, block ? "conflict with a write of another block" : text, site,
               describe(at, bytes) + other_access(cell.writer, cell.write_site));
    }
}

// Everything that is checked of a write.
void check_write(Cell* cells, Fiber& fiber, const void* to, u32 bytes, const void* site) {
    const bool shared = is_shared(to);
    for (u32 i = 0; i < bytes; ++i) {
        Cell& cell = cells[i];
        if (shared && !is_written(cell, true) && !cell.pending && cell.read_time < worker->first_interval) {
            cell.read_by = Cell::Nobody;
            continue;
        }
        if (cell.pending) report(fiber, "write to where a copy is under way", site, describe(to, bytes));
        if (!shared || is_written(cell, true)) {
            check_writer(cell, fiber, "two writes with no barrier between", to, bytes, site);
        }
        if (!shared || cell.read_time >= worker->first_interval) check_readers(cell, fiber, to, bytes, site);
    }
}

}  // namespace

Memory::Memory() {
    size = size_t(CHECKED ? 2 : 64) << 30;
    base = pages<u8>(size);
}

Memory& memory() {
    static Memory instance;
    return instance;
}

void* Memory::allocate(size_t bytes) {
    // In the checked build there is room between buffers, so that running out of one meets no other.
    const size_t gap = CHECKED ? 4096 : 0;
    auto round = [](size_t value) { return (value + 255) & ~size_t(255); };
    size_t start = 256;
    auto next = live_.begin();
    for (; next != live_.end() && start + round(bytes) + gap > next->start; ++next) {
        start = round(next->start + next->bytes) + gap;
    }
    if (start + bytes + gap > size) return nullptr;
    live_.insert(next, {start, bytes});
    if (CHECKED) {
        Cell* cells = shadow().device + start;
        memset(static_cast<void*>(cells), 0, bytes * sizeof(Cell));
        for (size_t i = 0; i < bytes; ++i) cells[i].live = true;
        memset(base + start, POISON, bytes);
    }
    return base + start;
}

bool Memory::free(void* at) {
    const size_t start = static_cast<u8*>(at) - base;
    for (auto buffer = live_.begin(); buffer != live_.end(); ++buffer) {
        if (buffer->start != start) continue;
        if (CHECKED) memset(static_cast<void*>(shadow().device + start), 0, buffer->bytes * sizeof(Cell));
        live_.erase(buffer);
        return true;
    }
    return false;
}

bool Memory::holds(const void* at, size_t bytes) const {
    const size_t start = static_cast<const u8*>(at) - base;
    return std::any_of(live_.begin(), live_.end(), [&](const Buffer& buffer) {
        return start >= buffer.start && start - buffer.start <= buffer.bytes &&
               bytes <= buffer.bytes - (start - buffer.start);
    });
}

void Memory::written_by_host(void* at, size_t bytes) {
    if (!CHECKED) return;
    Cell* cells = shadow().device + (static_cast<u8*>(at) - base);
    for (size_t i = 0; i < bytes; ++i) cells[i].write_time = std::max(cells[i].write_time, HOST_TIME);
}

void Memory::forget(void* at, size_t bytes) {
    if (!CHECKED) return;
    Cell* cells = shadow().device + (static_cast<u8*>(at) - base);
    for (size_t i = 0; i < bytes; ++i) cells[i].write_time = 0;
    memset(at, POISON, bytes);
}

void begin_launch(Worker& here, const std::vector<Extent>& extents) {
    shadow().extents = extents;
    here.interval = std::max(here.interval, HOST_TIME) + 1;
    shadow().launch_start = here.interval;
    struct sigaction action = {};
    action.sa_sigaction = on_no_memory;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, nullptr);
    sigaction(SIGBUS, &action, nullptr);
}

void begin_block(Worker& here) {
    here.first_interval = ++here.interval;
    memset(here.shared, POISON, here.launch->shared);
}

void end_block(Worker&, Fiber* fibers, u32 threads) {
    for (u32 id = 0; id < threads; ++id) {
        for (const Copy& copy : fibers[id].copies) {
            report(fibers[id], "a copy that was never waited for", copy.site);
            const u64 place = copy.to - worker->shared;
            for (u32 i = 0; place < MOST_SHARED && i < 16; ++i) shadow().shared[place + i].pending = false;
        }
    }
}

void on_read(Fiber& fiber, const void* from, u32 bytes, const void* site) {
    Cell* cells = cells_of(fiber, from, bytes, false, site);
    if (!cells) return;
    const bool shared = is_shared(from);
    for (u32 i = 0; i < bytes; ++i) {
        Cell& cell = cells[i];
        if (cell.pending) {
            report(fiber, "read of a copy that has not been waited for", site, describe(from, bytes));
        } else if (!is_written(cell, shared)) {
            report(fiber, "uninitialised read", site, describe(from, bytes));
        } else {
            check_writer(cell, fiber, "read of what another thread wrote, with no barrier between", from, bytes, site);
        }
        note_reader(cell, fiber, site);
    }
}

void on_write(Fiber& fiber, const void* to, u32 bytes, const void* site) {
    Cell* cells = cells_of(fiber, to, bytes, true, site);
    if (!cells) return;
    check_write(cells, fiber, to, bytes, site);
    for (u32 i = 0; i < bytes; ++i) note_writer(cells[i], fiber, site);
}

void check_aligned(const Fiber& fiber, const void* at, u32 bytes, const void* site) {
    if (reinterpret_cast<u64>(at) % bytes) report(fiber, "address that is not a multiple of its size", site);
}

// A device has no accesses at addresses that are no multiples of their size; this host does.
void check_access(const Fiber& fiber, const void* at, u32 bytes, const void* site) {
    if (reinterpret_cast<u64>(at) % bytes == 0) return;
    const bool device = u64(static_cast<const u8*>(at) - memory().base) < memory().size;
    if (device || is_shared(at)) check_aligned(fiber, at, bytes, site);
}

// What is read past the first cache's coherence must not be written by the same launch.
void check_constant(const Fiber& fiber, const void* at, u32 bytes, const void* site) {
    const u64 offset = static_cast<const u8*>(at) - memory().base;
    for (u32 i = 0; offset < memory().size && i < bytes; ++i) {
        if (shadow().device[offset + i].write_time < shadow().launch_start) continue;
        report(fiber, "streaming load of what the same launch writes", site, describe(at, bytes));
        return;
    }
}

void check_shared(const Fiber& fiber, const void* at, u32 bytes, const void* site) {
    const i64 place = static_cast<const u8*>(at) - worker->shared;
    if (place < 0 || place + bytes > worker->launch->shared) {
        report(fiber, "address outside of shared memory", site, describe(at, bytes));
    }
}

void start_copy(Fiber& fiber, u8* to, const u8* bytes, const void* site) {
    Cell* cells = cells_of(fiber, to, 16, true, site);
    if (!cells) return;
    check_write(cells, fiber, to, 16, site);
    for (u32 i = 0; i < 16; ++i) cells[i].pending = true;
    memset(to, POISON, 16);
    Copy copy = {to, {}, fiber.groups, site};
    memcpy(copy.bytes, bytes, 16);
    fiber.copies.push_back(copy);
}

void land_copies(Fiber& fiber, u32 pending) {
    auto lands = [&](const Copy& copy) { return copy.group + pending < fiber.groups; };
    for (const Copy& copy : fiber.copies) {
        if (!lands(copy)) continue;
        Cell* cells = shadow().shared + (copy.to - worker->shared);
        for (u32 i = 0; i < 16; ++i) {
            cells[i].pending = false;
            note_writer(cells[i], fiber, copy.site);
        }
        memcpy(copy.to, copy.bytes, 16);
    }
    fiber.copies.erase(std::remove_if(fiber.copies.begin(), fiber.copies.end(), lands), fiber.copies.end());
}

}  // namespace emulated
