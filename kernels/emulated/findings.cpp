// What was found, as text with places in the source.

#include "shadow.hpp"

#include <dlfcn.h>

#include <cstdio>
#include <map>
#include <mutex>
#include <tuple>

namespace emulated {

namespace {

struct Finding {
    std::string text;
    u64 times;
};

std::mutex guard;
// By kernel, kind and place: the first case in words, the others counted.
std::map<std::tuple<std::string, std::string, const void*>, Finding> found;
std::string text;

std::string three(Index index) {
    char words[48];
    snprintf(words, sizeof words, "(%u,%u,%u)", index.x, index.y, index.z);
    return words;
}

}  // namespace

// file:line of the instruction before the return address, then what it was inlined into.
std::string place_of(const void* site) {
    static std::map<const void*, std::string> known;
    std::string& place = known[site];
    if (!place.empty()) return place;
    place = "an unknown place";
    Dl_info info;
    if (!site || !dladdr(site, &info) || !info.dli_fname) return place;
    const u64 offset = static_cast<const u8*>(site) - static_cast<const u8*>(info.dli_fbase) - 1;
    char command[4096];
    snprintf(command, sizeof command, "addr2line -s -i -e '%s' 0x%llx 2>/dev/null", info.dli_fname, offset);
    FILE* pipe = popen(command, "r");
    if (!pipe) return place;
    std::string lines;
    char line[512];
    while (fgets(line, sizeof line, pipe)) {
        std::string frame(line);
        while (!frame.empty() && (frame.back() == '\n' || frame.back() == ')')) frame.pop_back();
        const size_t note = frame.find(" (discriminator");
        if (note != std::string::npos) frame.resize(note);
        lines += lines.empty() ? frame : " < " + frame;
    }
    pclose(pipe);
    if (!lines.empty()) place = lines;
    return place;
}

void report(const Fiber& fiber, const char* what, const void* site, const std::string& more) {
    const std::lock_guard<std::mutex> lock(guard);
    const char* kernel = worker->launch->kernel->name;
    Finding& finding = found[{kernel, what, site}];
    if (finding.times++ > 0) return;
    finding.text = std::string(kernel) + ", block " + three(fiber.place.block) + ", thread " +
                   three(fiber.place.thread) + ": " + what + (more.empty() ? "" : ": " + more) + ", at " +
                   place_of(site);
}

void report_here(const char* what, const void* site) { report(*worker->running, what, site); }

void report_apart(const char* what, const void* first, const void* second) {
    report(*worker->running, "threads meet at different places", second,
           std::string(what) + ", the other at " + place_of(first));
}

void stuck(const Worker& here) {
    bool told = false;
    for (const Warp& warp : here.warps) {
        if (&warp - here.warps >= (here.launch->threads.x + LANES - 1) / LANES) break;
        for (const Meeting& meeting : warp.meetings) {
            if (!meeting.arrived) continue;
            for (u32 position = 0; position < LANES; ++position) {
                if (!(warp.lanes >> position & 1)) continue;
                const Fiber& fiber = *warp.at[position];
                if (!(meeting.arrived >> fiber.lane & 1)) continue;
                report(fiber, "a warp waits for lanes that do not come", fiber.post.site, name_of(meeting.kind));
                told = true;
                break;
            }
        }
    }
    if (!told) report(*here.running, "threads wait for a block barrier that others do not reach", here.barrier_site);
}

const std::string& findings() {
    const std::lock_guard<std::mutex> lock(guard);
    text.clear();
    for (const auto& [key, finding] : found) {
        text += finding.text;
        if (finding.times > 1) text += " (" + std::to_string(finding.times) + " times)";
        text += "\n";
    }
    return text;
}

void clear_findings() {
    const std::lock_guard<std::mutex> lock(guard);
    found.clear();
}

}  // namespace emulated
