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

// Where an instruction stands is looked up when findings are asked for, all at once: until then the text has a
// mark with its address.
constexpr char MARK = 1, MARK_END = 2;

std::string place_of(const void* site) {
    char words[32];
    snprintf(words, sizeof words, "%c%llx%c", MARK, static_cast<u64>(reinterpret_cast<uintptr_t>(site)), MARK_END);
    return words;
}

namespace {

// file:line of the instruction before a return address, then what it was inlined into; by address.
std::map<u64, std::string> places;

// Looks up what a text's marks name and is not known yet: one run of addr2line for each thousand.
void look_up(const std::string& marked) {
    std::map<std::string, std::map<u64, u64>> wanted;  // offsets in a file, and the addresses
    for (size_t at = marked.find(MARK); at != std::string::npos; at = marked.find(MARK, at + 1)) {
        const u64 site = std::stoull(marked.substr(at + 1), nullptr, 16);
        Dl_info info;
        if (!places.emplace(site, "an unknown place").second || !site) continue;
        if (!dladdr(reinterpret_cast<void*>(site), &info) || !info.dli_fname) continue;
        wanted[info.dli_fname][site - reinterpret_cast<uintptr_t>(info.dli_fbase) - 1] = site;
    }
    for (const auto& [file, offsets] : wanted) {
        auto next = offsets.begin();
        while (next != offsets.end()) {
            std::string command = "addr2line -a -s -i -e '" + file + "'";
            for (int count = 0; count < 1000 && next != offsets.end(); ++count, ++next) {
                char words[32];
                snprintf(words, sizeof words, " 0x%llx", next->first);
                command += words;
            }
            FILE* pipe = popen((command + " 2>/dev/null").c_str(), "r");
            if (!pipe) return;
            std::string* place = nullptr;
            bool first = true;
            char line[512];
            while (fgets(line, sizeof line, pipe)) {
                std::string frame(line);
                while (!frame.empty() && (frame.back() == '\n' || frame.back() == ')')) frame.pop_back();
                if (frame.rfind("0x", 0) == 0) {
                    const auto found = offsets.find(std::stoull(frame, nullptr, 16));
                    place = found == offsets.end() ? nullptr : &places[found->second];
                    first = true;
                    continue;
                }
                const size_t note = frame.find(" (discriminator");
                if (note != std::string::npos) frame.resize(note);
                if (place) *place = first ? frame : *place + " < " + frame;
                first = false;
            }
            pclose(pipe);
        }
    }
}

// The text with places for its marks.
std::string placed(const std::string& marked) {
    look_up(marked);
    std::string out;
    size_t from = 0;
    for (size_t at = marked.find(MARK); at != std::string::npos; at = marked.find(MARK, from)) {
        const size_t end = marked.find(MARK_END, at);
        out += marked.substr(from, at - from) + places[std::stoull(marked.substr(at + 1), nullptr, 16)];
        from = end + 1;
    }
    return out + marked.substr(from);
}

}  // namespace

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
    text = placed(text);
    return text;
}

void clear_findings() {
    const std::lock_guard<std::mutex> lock(guard);
    found.clear();
}

}  // namespace emulated
