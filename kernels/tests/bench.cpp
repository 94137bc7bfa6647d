// Runs the tests on one library: bench LIBRARY [FAMILY...]; bench LIBRARY --list lists its kernels. Ends with 1 if a comparison failed or the
// checked build found something.

#include "bench.hpp"

#include <algorithm>
#include <chrono>

Driver* driver;

static std::vector<Test*>& tests() {
    static std::vector<Test*> all;
    return all;
}

static int failures;
static u64 noted;

void note(const void* bytes, size_t count) {
    const u8* at = static_cast<const u8*>(bytes);
    for (size_t i = 0; i < count; ++i) noted = (noted ^ at[i]) * 0x100000001b3ull;
}

Test::Test(const char* family, const char* name, std::function<void()> run)
    : family(family), name(name), run(std::move(run)) {
    tests().push_back(this);
}

void die(const std::string& text) {
    fprintf(stderr, "bench: %s\n", text.c_str());
    exit(2);
}

void must(int status) {
    if (status) die(driver->error());
}

template <class F>
static void find(void* library, const char* name, F& to) {
    to = reinterpret_cast<F>(dlsym(library, (std::string("srek_emulated_") + name).c_str()));
    if (!to) die(std::string("the library has no ") + name);
}

Driver::Driver(const char* path) {
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) die(dlerror());
    find(library, "is_checked", is_checked);
    find(library, "error", error);
    find(library, "seed", seed);
    find(library, "allocate", allocate);
    find(library, "free", free);
    find(library, "copy_in", copy_in);
    find(library, "copy_out", copy_out);
    find(library, "kernel", kernel);
    find(library, "launch", launch);
    find(library, "forget", forget);
    find(library, "findings", findings);
    find(library, "clear", clear);
}

void launch_with(const char* name, Grid grid, Arguments& arguments) {
    const char* found;
    u32 threads, shared, count;
    const u32* sizes;
    for (u32 n = 0;; ++n) {
        if (driver->kernel(n, &found, &threads, &shared, &count, &sizes)) die(std::string("no kernel ") + name);
        if (strcmp(found, name) == 0) break;
    }
    const u32 size[3] = {grid.x, grid.y, grid.z};
    std::vector<void*> pointers;
    for (u64& word : arguments.words) pointers.push_back(&word);
    must(driver->launch(name, size, threads, shared, pointers.data(), u32(pointers.size()), arguments.extents.data()));
}

float uniform(u64 seed, u64 index) {
    u64 value = seed * 0x9e3779b97f4a7c15ull + index;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    value ^= value >> 31;
    return float(double(value >> 40) / double(1 << 23) - 1.0);
}

std::vector<float> values(u64 seed, size_t count, float scale) {
    std::vector<float> all(count);
    for (size_t i = 0; i < count; ++i) all[i] = scale * uniform(seed, i);
    return all;
}

u16 bf16_bits(float value) {
    u32 bits;
    memcpy(&bits, &value, 4);
    return u16((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float from_bf16(u16 half) {
    const u32 bits = u32(half) << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

float round_bf16(float value) { return from_bf16(bf16_bits(value)); }

std::vector<u16> bf16_of(const std::vector<float>& from) {
    std::vector<u16> all;
    for (float value : from) all.push_back(bf16_bits(value));
    return all;
}

std::vector<float> rounded(const std::vector<float>& from) {
    std::vector<float> to;
    for (float value : from) to.push_back(round_bf16(value));
    return to;
}

std::vector<float> widened(const std::vector<u16>& from) {
    std::vector<float> to;
    for (u16 value : from) to.push_back(from_bf16(value));
    return to;
}

static void fail(const std::string& what, size_t at, double got, double want) {
    if (failures++ < 10) printf("  %s[%zu] is %.9g, expected %.9g\n", what.c_str(), at, got, want);
}

void compare(const std::string& what, const std::vector<float>& got, const std::vector<double>& want, double absolute,
             double relative) {
    if (got.size() != want.size()) die(what + ": lengths differ");
    for (size_t i = 0; i < got.size(); ++i) {
        // Written so that a NaN fails.
        if (!(std::fabs(got[i] - want[i]) <= absolute + relative * std::fabs(want[i]))) fail(what, i, got[i], want[i]);
    }
}

void equal(const std::string& what, const std::vector<float>& got, const std::vector<float>& want) {
    if (got.size() != want.size()) die(what + ": lengths differ");
    for (size_t i = 0; i < got.size(); ++i) {
        if (memcmp(&got[i], &want[i], 4) != 0) fail(what, i, got[i], want[i]);
    }
}

void compare_rounded(const std::string& what, const std::vector<u16>& got, const std::vector<double>& want,
                     double absolute, double relative) {
    if (got.size() != want.size()) die(what + ": lengths differ");
    for (size_t i = 0; i < got.size(); ++i) {
        const double bound = absolute + relative * std::fabs(want[i]);
        const float value = from_bf16(got[i]);
        // Rounding keeps the order. Written so that a NaN fails.
        const bool above = value >= round_bf16(float(want[i] - bound)), below = value <= round_bf16(float(want[i] + bound));
        if (!(above && below)) fail(what, i, value, want[i]);
    }
}

void equal_bits(const std::string& what, const std::vector<u16>& got, const std::vector<u16>& want) {
    if (got.size() != want.size()) die(what + ": lengths differ");
    for (size_t i = 0; i < got.size(); ++i) {
        if (got[i] != want[i]) fail(what, i, from_bf16(got[i]), from_bf16(want[i]));
    }
}

// The kernels as kernels/ptx/kernels.tsv has them, without the file.
static int list() {
    const char* name;
    u32 threads, shared, count;
    const u32* sizes;
    for (u32 n = 0; !driver->kernel(n, &name, &threads, &shared, &count, &sizes); ++n) {
        printf("%s\t%u\t%u\t", name, threads, shared);
        for (u32 i = 0; i < count; ++i) printf(i ? ",%u" : "%u", sizes[i]);
        printf("\n");
    }
    return 0;
}

int main(int count, char** arguments) {
    if (count < 2) die("usage: bench LIBRARY [FAMILY...]");
    driver = new Driver(arguments[1]);
    if (count == 3 && strcmp(arguments[2], "--list") == 0) return list();
    const std::vector<std::string> families(arguments + 2, arguments + count);
    std::vector<std::string> bad;
    int ran = 0;
    for (Test* test : tests()) {
        const auto wanted = std::find(families.begin(), families.end(), test->family);
        if (!families.empty() && wanted == families.end()) continue;
        u64 natural = 0;
        // The natural order, and two that a seed makes, last block first.
        for (u64 seed : {0, 1, 7}) {
            if (seed == 7 && !driver->is_checked()) continue;
            driver->seed(seed);
            driver->clear();
            failures = 0;
            noted = 0;
            const auto start = std::chrono::steady_clock::now();
            test->run();
            const std::string found = driver->findings();
            if (seed == 0) natural = noted;
            if (noted != natural && ++failures) printf("  the order of lanes and blocks changes the result\n");
            const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
            ++ran;
            const std::string name = test->family + "." + test->name + ", seed " + std::to_string(seed);
            if (seconds > 2.0) printf("%s took %.1f s\n", name.c_str(), seconds);
            if (failures == 0 && found.empty()) continue;
            printf("%s: %d values differ%s\n%s", name.c_str(), failures, found.empty() ? "" : ", findings:", found.c_str());
            bad.push_back(name);
        }
    }
    printf("%s: %d runs, %zu failed\n", driver->is_checked() ? "checked" : "fast", ran, bad.size());
    if (ran == 0) die("no test of that name");
    return bad.empty() ? 0 : 1;
}
