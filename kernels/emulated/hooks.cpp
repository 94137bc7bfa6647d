// The calls that -fsanitize=thread puts before every access to memory. They come here, not to libtsan.
// The runtime itself is compiled without it.

#include "shadow.hpp"

namespace {

void read(const void* from, unsigned long bytes, const void* site, bool whole = true) {
    if (!emulated::worker || !emulated::worker->running) return;
    if (whole) emulated::check_access(*emulated::worker->running, from, bytes, site);
    emulated::on_read(*emulated::worker->running, from, bytes, site);
}

void write(const void* to, unsigned long bytes, const void* site, bool whole = true) {
    if (!emulated::worker || !emulated::worker->running) return;
    if (whole) emulated::check_access(*emulated::worker->running, to, bytes, site);
    emulated::on_write(*emulated::worker->running, to, bytes, site);
}

}  // namespace

#define HOOKS(bytes)                                                                                             \
    extern "C" void __tsan_read##bytes(void* at) { read(at, bytes, __builtin_return_address(0)); }               \
    extern "C" void __tsan_write##bytes(void* at) { write(at, bytes, __builtin_return_address(0)); }             \
    extern "C" void __tsan_unaligned_read##bytes(void* at) { read(at, bytes, __builtin_return_address(0)); }     \
    extern "C" void __tsan_unaligned_write##bytes(void* at) { write(at, bytes, __builtin_return_address(0)); }   \
    extern "C" void __tsan_volatile_read##bytes(void* at) { read(at, bytes, __builtin_return_address(0)); }      \
    extern "C" void __tsan_volatile_write##bytes(void* at) { write(at, bytes, __builtin_return_address(0)); }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

// Of several elements: no size that an address could be a multiple of.
extern "C" void __tsan_read_range(void* at, unsigned long bytes) {
    read(at, bytes, __builtin_return_address(0), false);
}
extern "C" void __tsan_write_range(void* at, unsigned long bytes) {
    write(at, bytes, __builtin_return_address(0), false);
}
extern "C" void __tsan_init() {}
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit() {}
extern "C" void __tsan_vptr_update(void**, void*) {}
extern "C" void __tsan_vptr_read(void**) {}
