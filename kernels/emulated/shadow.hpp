// What is known of every byte of device and shared memory (checked build), and what was found wrong.
#pragma once

#include "machine.hpp"

namespace emulated {

// The bytes of the device: one range of addresses, so that any address says at once what it is.
class Memory {
public:
    Memory();
    void* allocate(size_t bytes);
    bool free(void* at);
    bool holds(const void* at, size_t bytes) const;  // inside one live buffer
    void written_by_host(void* at, size_t bytes);
    void forget(void* at, size_t bytes);  // as if never written

    u8* base;
    size_t size;

private:
    struct Buffer {
        size_t start, bytes;
    };
    std::vector<Buffer> live_;  // by start
};
Memory& memory();

// A launch may touch only these ranges, if there are any.
struct Extent {
    const u8* start;
    u64 bytes;
};
void begin_launch(Worker& worker, const std::vector<Extent>& extents);
void begin_block(Worker& worker);
void end_block(Worker& worker, Fiber* fibers, u32 threads);

// Checks, with the place in the kernel's code that is to blame.
void on_read(Fiber& fiber, const void* from, u32 bytes, const void* site);
void on_write(Fiber& fiber, const void* to, u32 bytes, const void* site);
void check_aligned(const Fiber& fiber, const void* at, u32 bytes, const void* site);
void check_access(const Fiber& fiber, const void* at, u32 bytes, const void* site);
void check_constant(const Fiber& fiber, const void* at, u32 bytes, const void* site);
void check_shared(const Fiber& fiber, const void* at, u32 bytes, const void* site);
void start_copy(Fiber& fiber, u8* to, const u8* bytes, const void* site);
void land_copies(Fiber& fiber, u32 pending);

void report(const Fiber& fiber, const char* what, const void* site, const std::string& more = "");
void report_apart(const char* what, const void* first, const void* second);
void report_here(const char* what, const void* site);
const std::string& findings();
void clear_findings();
std::string place_of(const void* site);

}  // namespace emulated
