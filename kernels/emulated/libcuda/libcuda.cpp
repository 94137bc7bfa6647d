// A libcuda whose device is the emulated one, for tests of the backend's own driver: queues run late, in an
// order that SREK_LIBCUDA_ORDER chooses, so that a missing wait shows, and any call can fail.
//
//   SREK_LIBCUDA_DEVICE   the library of kernels/emulated/build
//   SREK_LIBCUDA_ORDER    0 as late as can be, 1 copies at once, 2 launches at once, 3 all at once
//   SREK_LIBCUDA_NO_WAITS queues do not wait for each other
//   SREK_LIBCUDA_FAIL     CALL:COUNT:CODE, the COUNT-th CALL ends with CODE
//   SREK_LIBCUDA_FREE     bytes of memory that are free
//
// It has the calls that the backend makes, with the signatures of CUDA 12.4, and no more.

#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace {

typedef uint32_t u32;
typedef uint64_t u64;
typedef std::function<void()> Work;

constexpr int INVALID = 1, NO_MEMORY = 2, NO_DEVICE = 101, NOT_FOUND = 500, IN_CAPTURE = 900, UNKNOWN = 999;

const char* asked(const char* name) { return getenv(name); }
u64 number(const char* name, u64 usual) { return asked(name) ? strtoull(asked(name), nullptr, 10) : usual; }

// What a call ends with where it is to fail, else 0.
int failure(const char* call) {
    static std::map<std::string, u64> counts;
    const u64 count = ++counts[call];
    const char* const wanted = asked("SREK_LIBCUDA_FAIL");
    if (!wanted) return 0;
    char name[64];
    unsigned at = 0;
    int code = 0;
    if (sscanf(wanted, "%63[^:]:%u:%d", name, &at, &code) != 3) abort();
    return strcmp(name, call) == 0 && count >= at ? code : 0;
}

// --- Kernels ---

struct Kernel {
    const char* name;
    u32 threads, shared, count;
    const u32* sizes;
};
std::map<std::string, Kernel> kernels;
int (*emulated_launch)(const char*, const u32*, u32, u32, void**, u32, const u64*);
int (*emulated_pinned)(u64, void**);
int (*emulated_allocate)(u64, void**);

int load_device() {
    void* const library = dlopen(asked("SREK_LIBCUDA_DEVICE"), RTLD_NOW);
    if (!library) return fprintf(stderr, "%s\n", dlerror()), UNKNOWN;
    const auto list = (int (*)(u32, const char**, u32*, u32*, u32*, const u32**))dlsym(library, "srek_emulated_kernel");
    emulated_launch = (decltype(emulated_launch))dlsym(library, "srek_emulated_launch");
    emulated_pinned = (decltype(emulated_pinned))dlsym(library, "srek_emulated_allocate_pinned");
    emulated_allocate = (decltype(emulated_allocate))dlsym(library, "srek_emulated_allocate");
    Kernel kernel;
    for (u32 i = 0; !list(i, &kernel.name, &kernel.threads, &kernel.shared, &kernel.count, &kernel.sizes); ++i) {
        kernels[kernel.name] = kernel;
    }
    return 0;
}

// --- Queues ---

struct Step {
    Work work;     // or, where there is none,
    int event;     // an event that is recorded
    u64 version;   // or waited for
    bool records;
};
struct Queue {
    std::deque<Step> steps;
    bool captures = false;
    std::vector<Work> taken;
};
Queue queues[2];
int queue_count = 0, event_count = 0;
u64 issued[1024], done[1024];

// Runs a queue until a condition holds or nothing is left; what it waits for runs first.
void pump(int queue, const std::function<bool()>& until) {
    std::deque<Step>& steps = queues[queue].steps;
    while (!until() && !steps.empty()) {
        const Step step = steps.front();
        if (step.work) {
            steps.pop_front();
            step.work();
        } else if (step.records) {
            done[step.event] = step.version;
            steps.pop_front();
        } else {
            const auto reached = [&] { return done[step.event] >= step.version; };
            if (!reached()) pump(1 - queue, reached);
            if (!reached()) abort();  // nobody will ever record it
            steps.pop_front();
        }
    }
}
void drain(int queue) {
    pump(queue, [] { return false; });
}
int add(int queue, Step step) {
    queues[queue].steps.push_back(std::move(step));
    const u64 order = number("SREK_LIBCUDA_ORDER", 0);
    if (order == 3 || (order == 1 && queue == 1) || (order == 2 && queue == 0)) drain(queue);
    return 0;
}
int run(int queue, Work work) { return add(queue, {std::move(work), 0, 0, false}); }
int of(void* stream) { return int((u64)stream - 1); }
bool any_captures() { return queues[0].captures || queues[1].captures; }

}  // namespace

#define API extern "C" __attribute__((visibility("default"))) int
#define MAY_FAIL \
    if (const int code = failure(__func__)) return code

API cuDriverGetVersion(int* version) { return *version = int(number("SREK_LIBCUDA_VERSION", 12040)), 0; }
API cuInit(unsigned) {
    MAY_FAIL;
    return load_device();
}
API cuGetErrorString(int code, const char** text) {
    static char words[64];
    snprintf(words, sizeof words, "simulated error %d", code);
    return *text = words, 0;
}
API cuDeviceGetCount(int* count) { return *count = 1, 0; }
API cuDeviceGet(int* device, int ordinal) { return *device = ordinal, ordinal ? NO_DEVICE : 0; }
API cuDeviceGetName(char* name, int size, int) { return snprintf(name, size, "simulated GPU"), 0; }
API cuDeviceTotalMem_v2(size_t* bytes, int) { return *bytes = 12ull << 30, 0; }
API cuDeviceGetAttribute(int* value, int attribute, int) { return *value = attribute == 75 ? 8 : 6, 0; }
API cuDeviceGetPCIBusId(char* name, int size, int) { return snprintf(name, size, "0000:01:00.0"), 0; }
API cuDevicePrimaryCtxRetain(void** context, int) {
    MAY_FAIL;
    return *context = queues, 0;
}
API cuDevicePrimaryCtxRelease_v2(int) { return 0; }
API cuCtxSetCurrent(void*) { return 0; }
API cuStreamCreate(void** stream, unsigned) { return *stream = (void*)u64(queue_count++ % 2 + 1), 0; }
API cuStreamDestroy_v2(void*) { return 0; }
API cuEventCreate(void** event, unsigned) { return *event = (void*)u64(event_count++ % 1023 + 1), 0; }
API cuEventDestroy_v2(void*) { return 0; }
API cuModuleLoadData(void** module, const void*) { return *module = queues, 0; }
API cuModuleUnload(void*) { return 0; }
API cuModuleGetFunction(void** function, void*, const char* name) {
    const auto found = kernels.find(name);
    if (found == kernels.end()) return NOT_FOUND;
    return *function = &found->second, 0;
}
API cuFuncLoad(void*) { return 0; }
API cuFuncSetAttribute(void*, int, int) { return 0; }
API cuMemGetInfo_v2(size_t* free, size_t* total) {
    *total = 12ull << 30;
    return *free = number("SREK_LIBCUDA_FREE", 11ull << 30), 0;
}
API cuMemAlloc_v2(u64* at, size_t bytes) {
    MAY_FAIL;
    if (any_captures()) return IN_CAPTURE;
    void* place = nullptr;
    if (emulated_allocate(bytes, &place)) return NO_MEMORY;
    memset(place, 0xff, bytes);
    return *at = (u64)place, 0;
}
API cuMemFree_v2(u64) { return 0; }
API cuMemHostAlloc(void** at, size_t bytes, unsigned) {
    MAY_FAIL;
    return emulated_pinned(bytes, at) ? NO_MEMORY : 0;
}
API cuMemFreeHost(void*) { return 0; }
API cuMemsetD8Async(u64 at, unsigned char value, size_t bytes, void* stream) {
    return run(of(stream), [=] { memset((void*)at, value, bytes); });
}
static int copy(void* to, const void* from, size_t bytes, void* stream) {
    if (queues[of(stream)].captures) return IN_CAPTURE;
    return run(of(stream), [=] { memcpy(to, from, bytes); });
}
API cuMemcpyHtoDAsync_v2(u64 to, const void* from, size_t bytes, void* stream) {
    MAY_FAIL;
    return copy((void*)to, from, bytes, stream);
}
API cuMemcpyDtoHAsync_v2(void* to, u64 from, size_t bytes, void* stream) {
    MAY_FAIL;
    return copy(to, (const void*)from, bytes, stream);
}
API cuLaunchKernel(void* function, u32 x, u32 y, u32 z, u32 threads, u32, u32, u32 shared, void* stream, void** arguments,
                   void**) {
    MAY_FAIL;
    if (!x || !y || !z || y > 65535 || z > 65535) return INVALID;
    const Kernel& kernel = *(Kernel*)function;
    std::vector<std::vector<char>> values;
    for (u32 i = 0; i < kernel.count; ++i) {
        const char* const value = (char*)arguments[i];
        values.emplace_back(value, value + kernel.sizes[i]);
    }
    Work work = [=, &kernel]() mutable {
        std::vector<void*> places;
        for (auto& value : values) places.push_back(value.data());
        const u32 grid[3] = {x, y, z};
        if (emulated_launch(kernel.name, grid, threads, shared, places.data(), kernel.count, nullptr)) abort();
    };
    Queue& queue = queues[of(stream)];
    if (queue.captures) return queue.taken.push_back(work), 0;
    return run(of(stream), work);
}
API cuStreamBeginCapture_v2(void* stream, int) {
    MAY_FAIL;
    queues[of(stream)].captures = true;
    return queues[of(stream)].taken.clear(), 0;
}
API cuStreamEndCapture(void* stream, void** graph) {
    queues[of(stream)].captures = false;
    MAY_FAIL;
    return *graph = new std::vector<Work>(queues[of(stream)].taken), 0;
}
API cuGraphInstantiateWithFlags(void** ready, void* graph, u64) {
    MAY_FAIL;
    return *ready = new std::vector<Work>(*(std::vector<Work>*)graph), 0;
}
API cuGraphDestroy(void* graph) { return delete (std::vector<Work>*)graph, 0; }
API cuGraphExecDestroy(void* ready) { return delete (std::vector<Work>*)ready, 0; }
API cuGraphLaunch(void* ready, void* stream) {
    MAY_FAIL;
    if (asked("SREK_LIBCUDA_GRAPHS")) fprintf(stderr, "a graph was launched\n");
    const std::vector<Work> all = *(std::vector<Work>*)ready;
    return run(of(stream), [all] {
        for (const Work& work : all) work();
    });
}
API cuEventRecord(void* event, void* stream) {
    if (queues[of(stream)].captures) return IN_CAPTURE;
    const int place = int((u64)event);
    return add(of(stream), {nullptr, place, ++issued[place], true});
}
API cuStreamWaitEvent(void* stream, void* event, unsigned) {
    if (asked("SREK_LIBCUDA_NO_WAITS")) return 0;
    const int place = int((u64)event);
    return add(of(stream), {nullptr, place, issued[place], false});
}
API cuEventSynchronize(void* event) {
    MAY_FAIL;
    if (any_captures()) return IN_CAPTURE;
    const int place = int((u64)event);
    const u64 version = issued[place];
    for (int queue = 0; queue < 2; ++queue) {
        // Only the queue that it is in goes on.
        bool is_there = false;
        for (const Step& step : queues[queue].steps) is_there |= step.records && step.event == place && step.version == version;
        if (is_there) pump(queue, [=] { return done[place] >= version; });
    }
    return 0;
}
API cuStreamSynchronize(void* stream) {
    MAY_FAIL;
    if (queues[of(stream)].captures) return IN_CAPTURE;
    return drain(of(stream)), 0;
}
