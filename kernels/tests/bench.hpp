// A bench for kernels on the emulated driver: buffers, launches, references, comparison.
#pragma once

#include <dlfcn.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

typedef uint8_t u8;
typedef int8_t i8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef int32_t i32;
typedef unsigned long long u64;

// The library under test.
struct Driver {
    int (*is_checked)();
    const char* (*error)();
    void (*seed)(u64);
    int (*allocate)(u64, void**);
    int (*free)(void*);
    int (*copy_in)(void*, const void*, u64);
    int (*copy_out)(void*, const void*, u64);
    int (*kernel)(u32, const char**, u32*, u32*, u32*, const u32**);
    int (*forget)(void*, u64);
    int (*launch)(const char*, const u32*, u32, u32, void**, u32, const u64*);
    const char* (*findings)();
    void (*clear)();

    explicit Driver(const char* path);
};
extern Driver* driver;

// Notes what a test got from the device: another order of lanes and blocks must give the same bits.
void note(const void* bytes, size_t count);

[[noreturn]] void die(const std::string& text);
void must(int status);

// A buffer on the device. Where a kernel may only add to or fill it, give it values first.
template <class T>
class Buffer {
public:
    explicit Buffer(size_t count) : count_(count) { must(driver->allocate(count * sizeof(T), &at_)); }
    explicit Buffer(const std::vector<T>& values) : Buffer(values.size()) {
        must(driver->copy_in(at_, values.data(), values.size() * sizeof(T)));
    }
    Buffer(const Buffer&) = delete;
    ~Buffer() { driver->free(at_); }
    std::vector<T> get() const {
        std::vector<T> values(count_);
        must(driver->copy_out(values.data(), at_, count_ * sizeof(T)));
        note(values.data(), count_ * sizeof(T));
        return values;
    }
    void* at_ = nullptr;
    size_t count_;
};

// Numbers from a counter: the same on every machine.
float uniform(u64 seed, u64 index);  // -1 .. 1
std::vector<float> values(u64 seed, size_t count, float scale = 1.0f);
float round_bf16(float value);
u16 bf16_bits(float value);
std::vector<u16> bf16_of(const std::vector<float>& values);
float from_bf16(u16 bits);
std::vector<float> rounded(const std::vector<float>& from);
std::vector<float> widened(const std::vector<u16>& from);
// Values that a bf16 buffer holds exactly, and such a buffer.
inline std::vector<float> bf16_values(u64 seed, size_t count, float scale = 1.0f) {
    return rounded(values(seed, count, scale));
}
struct Halves : Buffer<u16> {
    explicit Halves(size_t count) : Buffer(count) {}
    explicit Halves(const std::vector<float>& values) : Buffer(bf16_of(values)) {}
};

struct Grid {
    u32 x = 1, y = 1, z = 1;
};

// The values and extents of a launch's arguments.
struct Arguments {
    std::vector<u64> words;
    std::vector<u64> extents;
    template <class T>
    void add(const Buffer<T>& buffer) {
        words.push_back(reinterpret_cast<u64>(buffer.at_));
        extents.push_back(buffer.count_ * sizeof(T));
    }
    template <class T>
    void add(T value) {
        u64 word = 0;
        memcpy(&word, &value, sizeof value);
        words.push_back(word);
        extents.push_back(0);
    }
    void add(const Halves& buffer) { add(static_cast<const Buffer<u16>&>(buffer)); }
    void add(std::nullptr_t) { add(u64(0)); }
};
void launch_with(const char* name, Grid grid, Arguments& arguments);

template <class... A>
void launch(const char* name, Grid grid, const A&... values) {
    Arguments arguments;
    (arguments.add(values), ...);
    launch_with(name, grid, arguments);
}

inline u32 div_up(u64 a, u64 b) { return u32((a + b - 1) / b); }

// Fails unless every |got - want| <= absolute + relative |want|.
void compare(const std::string& what, const std::vector<float>& got, const std::vector<double>& want, double absolute,
             double relative);
void equal(const std::string& what, const std::vector<float>& got, const std::vector<float>& want);
// Fails unless every value is what one rounding to bf16 makes of something within those bounds: a second
// rounding, or another direction, is noticed where the bounds do not hide it.
void compare_rounded(const std::string& what, const std::vector<u16>& got, const std::vector<double>& want,
                     double absolute, double relative);
void equal_bits(const std::string& what, const std::vector<u16>& got, const std::vector<u16>& want);

// A test registers itself; the family is its kernel's file.
struct Test {
    Test(const char* family, const char* name, std::function<void()> run);
    std::string family, name;
    std::function<void()> run;
};
