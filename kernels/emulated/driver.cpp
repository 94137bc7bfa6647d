// The emulated driver's plain C interface. Every call gives 0 or a status that srek_emulated_error
// puts into words; launches run at once, and on as many host threads as SREK_EMULATED_THREADS says (in
// the checked build on one).

#include "shadow.hpp"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace emulated {

static Kernel* first_kernel;
static thread_local std::string error;
static u64 seed;

void add_kernel(Kernel* kernel) {
    kernel->next = first_kernel;
    first_kernel = kernel;
}

static int fail(std::string text) {
    error = std::move(text);
    return 1;
}

static const Kernel* find(const char* name) {
    const Kernel* kernel = first_kernel;
    while (kernel && strcmp(kernel->name, name) != 0) kernel = kernel->next;
    return kernel;
}

// What a variable of the environment says as a number; 0 where it says nothing.
static u64 asked(const char* name) {
    const char* text = getenv(name);
    return text ? strtoull(text, nullptr, 10) : 0;
}

// A device of so many bytes, and one that is lost behind so many launches: for tests of what happens then.
static const char *const MEMORY = "SREK_EMULATED_MEMORY", *const LOST = "SREK_EMULATED_LOST_AFTER";
static u64 launches;
static bool is_lost() { return asked(LOST) && launches > asked(LOST); }

static unsigned worker_count() {
    if (CHECKED) return 1;
    const u64 count = asked("SREK_EMULATED_THREADS");
    return count ? count : std::max(1u, std::thread::hardware_concurrency());
}

static void run(const Launch& launch) {
    static std::vector<std::unique_ptr<Worker>> workers(worker_count());
    const u64 blocks = u64(launch.grid.x) * launch.grid.y * launch.grid.z;
    std::atomic<u64> next = 0;
    auto work = [&](std::unique_ptr<Worker>& own) {
        if (!own) own = std::make_unique<Worker>();
        worker = own.get();
        for (u64 i = next++; i < blocks; i = next++) {
            const u64 block = launch.seed % 2 ? blocks - 1 - i : i;
            own->run_block(launch, {u32(block % launch.grid.x), u32(block / launch.grid.x % launch.grid.y),
                                    u32(block / launch.grid.x / launch.grid.y)});
        }
        worker = nullptr;
    };
    std::vector<std::thread> threads;
    const u64 helpers = std::min<u64>(workers.size(), blocks) - 1;
    for (u64 i = 0; i < helpers; ++i) threads.emplace_back([&, i] { work(workers[i + 1]); });
    work(workers[0]);
    for (std::thread& thread : threads) thread.join();
}

static int launch(const char* name, const u32* grid, u32 threads, u32 shared, void** arguments, u32 count,
                  const u64* extents) {
    ++launches;
    if (is_lost()) return fail("the device is lost");
    const Kernel* kernel = find(name);
    if (!kernel) return fail(std::string("no kernel ") + name);
    const std::string of = std::string(name) + ": ";
    if (!grid[0] || !grid[1] || !grid[2] || grid[1] > 65535 || grid[2] > 65535) return fail(of + "a grid out of range");
    if (threads != kernel->threads) return fail(of + "is made for " + std::to_string(kernel->threads) + " threads");
    if (shared != kernel->shared) return fail(of + "needs " + std::to_string(kernel->shared) + " shared bytes");
    if (shared > MOST_SHARED) return fail(of + "has more shared memory than a block can");
    if (count != kernel->arguments) return fail(of + "takes " + std::to_string(kernel->arguments) + " arguments");
    Launch what = {kernel, arguments, {grid[0], grid[1], grid[2]}, {threads, 1, 1}, shared, seed};
    if (CHECKED) {
        static Worker* only = nullptr;
        std::vector<Extent> ranges;
        for (u32 i = 0; extents && i < count; ++i) {
            if (extents[i]) ranges.push_back({*static_cast<u8* const*>(arguments[i]), extents[i]});
        }
        if (!only) only = new Worker();
        begin_launch(*only, ranges);
        for (u64 i = 0, blocks = u64(grid[0]) * grid[1] * grid[2]; i < blocks; ++i) {
            const u64 block = seed % 2 ? blocks - 1 - i : i;
            only->run_block(what, {u32(block % grid[0]), u32(block / grid[0] % grid[1]), u32(block / grid[0] / grid[1])});
        }
        worker = nullptr;
    } else {
        run(what);
    }
    return 0;
}

}  // namespace emulated

using namespace emulated;

#define API extern "C" __attribute__((visibility("default")))

API int srek_emulated_is_checked() { return CHECKED; }
API const char* srek_emulated_error() { return error.c_str(); }
// The order of lanes and blocks; 0 is the natural one.
API void srek_emulated_seed(u64 value) { seed = value; }

API int srek_emulated_allocate(u64 bytes, void** at) {
    const u64 most = asked(MEMORY);
    *at = most && bytes > most ? nullptr : memory().allocate(bytes);
    return *at ? 0 : fail("no room for " + std::to_string(bytes) + " bytes");
}

// Memory of the host that kernels see.
API int srek_emulated_allocate_pinned(u64 bytes, void** at) {
    *at = memory().allocate(bytes);
    return *at ? 0 : fail("no room for " + std::to_string(bytes) + " pinned bytes");
}

// The host wrote into such memory by itself.
API int srek_emulated_publish(void* at, u64 bytes) {
    if (!memory().holds(at, bytes)) return fail("publish outside of a buffer");
    memory().written_by_host(at, bytes);
    return 0;
}

// What it has, where it is told to have so much and no more, else 0.
API u64 srek_emulated_memory() { return asked(MEMORY); }

API int srek_emulated_free(void* at) { return memory().free(at) ? 0 : fail("free of what was not allocated"); }

API int srek_emulated_copy_in(void* to, const void* from, u64 bytes) {
    if (is_lost()) return fail("the device is lost");
    if (!memory().holds(to, bytes)) return fail("copy to outside of a buffer");
    memcpy(to, from, bytes);
    memory().written_by_host(to, bytes);
    return 0;
}

API int srek_emulated_copy_out(void* to, const void* from, u64 bytes) {
    if (is_lost()) return fail("the device is lost");
    if (!memory().holds(from, bytes)) return fail("copy from outside of a buffer");
    memcpy(to, from, bytes);
    return 0;
}

API int srek_emulated_fill(void* to, u8 value, u64 bytes) {
    if (!memory().holds(to, bytes)) return fail("fill outside of a buffer");
    memset(to, value, bytes);
    memory().written_by_host(to, bytes);
    return 0;
}

// A part of a buffer is given to somebody else: what it held must not be read (checked build).
API int srek_emulated_forget(void* at, u64 bytes) {
    if (!memory().holds(at, bytes)) return fail("forget outside of a buffer");
    memory().forget(at, bytes);
    return 0;
}

// The n-th kernel: its name, threads, shared bytes, and the size of each argument; 1 when there are no more.
API int srek_emulated_kernel(u32 n, const char** name, u32* threads, u32* shared, u32* arguments, const u32** sizes) {
    const Kernel* kernel = first_kernel;
    while (kernel && n-- > 0) kernel = kernel->next;
    if (!kernel) return 1;
    *name = kernel->name;
    *threads = kernel->threads;
    *shared = kernel->shared;
    *arguments = kernel->arguments;
    *sizes = kernel->sizes;
    return 0;
}

// `extents`, if given, has for each argument the bytes of the buffer it points to, and 0 for numbers: the
// launch may then touch no other memory (checked build).
API int srek_emulated_launch(const char* name, const u32* grid, u32 threads, u32 shared, void** arguments, u32 count,
                             const u64* extents) {
    return launch(name, grid, threads, shared, arguments, count, extents);
}

// One line per kind of finding and place; empty when all is well.
API const char* srek_emulated_findings() { return findings().c_str(); }
API void srek_emulated_clear() { clear_findings(); }
