// Each instruction of common.cuh on random bits, by its definition, and against what devices gave.
//
// A case is a probe kernel with inputs from a counter. tests/gpu/suite/cases.py has the same cases: it runs them on
// a device and keeps what came out under kernels/tests/goldens/<sm>/<case>.<output>.bin, or in the folder that
// SREK_GOLDENS names. Moves, conversions and single operations have to give the same bits (where a NaN is a
// NaN); tensor cores order and round their sums as they like, within a bound that is said at `within`.

#include "bench.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

namespace {

typedef std::vector<u8> Bytes;

enum class Rule { bits, nan, sums };  // the same bits; or both a NaN; or within the bound of an `mma`

struct Output {
    std::string name;
    Rule rule;
    Bytes before;
};

// A launch takes the inputs, the outputs and, if it is not 0, n.
struct Case {
    std::string name, kernel;
    u32 blocks;
    std::vector<Bytes> inputs;
    std::vector<Output> outputs;
    u32 n = 0;
};

u32 bits(u64 seed, u64 index) {
    u64 value = seed * 0x9e3779b97f4a7c15ull + index;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    return u32((value ^ (value >> 31)) >> 32);
}

template <class T, class F>
Bytes make(u32 count, F value) {
    Bytes bytes(count * sizeof(T));
    for (u32 i = 0; i < count; ++i) {
        const T one = value(i);
        memcpy(&bytes[i * sizeof(T)], &one, sizeof(T));
    }
    return bytes;
}

template <class T>
std::vector<T> as(const Bytes& bytes) {
    std::vector<T> values(bytes.size() / sizeof(T));
    memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

// Ends of ranges, and halves between two bf16.
const u32 SPECIAL[] = {0x00000000, 0x80000000, 0x00000001, 0x807fffff, 0x00800000, 0x7f7fffff, 0x7f800000, 0xff800000,
                       0x7fc00000, 0x7f800001, 0x3f808000, 0x3f818000, 0x7f7f8000, 0x00008000, 0x3f800000, 0xbf800000};

Bytes words(u64 seed, u32 count) {
    return make<u32>(count, [=](u32 i) { return bits(seed, i); });
}
// Any f32.
Bytes raw(u64 seed, u32 count) {
    return make<u32>(count, [=](u32 i) { return i % 16 ? bits(seed, i) : SPECIAL[i / 16 % 16]; });
}
Bytes range(u64 seed, u32 count, float scale) {
    return make<float>(count, [=](u32 i) { return scale * uniform(seed, i); });
}
// Normal numbers of either sign.
Bytes normal(u64 seed, u32 count) {
    return make<u32>(count, [=](u32 i) {
        const u32 it = bits(seed, i);
        return (it & 0x807fffffu) | (1 + (it >> 23 & 0xff) % 254) << 23;
    });
}
// Pairs of bf16 between 2^-width and 2^(width + 1).
u32 wide_half(u32 it, u32 width) { return (it & 0x807fu) | (127 - width + (it >> 16) % (2 * width + 1)) << 7; }
Bytes wide(u64 seed, u32 count, u32 width) {
    return make<u32>(count, [=](u32 i) {
        return wide_half(bits(seed, 2 * i), width) | wide_half(bits(seed, 2 * i + 1), width) << 16;
    });
}
// f32, or pairs of bf16, that are whole numbers from -8 to 8.
u32 whole(u64 seed, u32 i) {
    const float value = float(i32(bits(seed, i) % 17) - 8);
    u32 word;
    memcpy(&word, &value, 4);
    return word;
}
Bytes whole_singles(u64 seed, u32 count) {
    return make<u32>(count, [=](u32 i) { return whole(seed, i); });
}
Bytes whole_pairs(u64 seed, u32 count) {
    return make<u32>(count, [=](u32 i) { return whole(seed, 2 * i) >> 16 | (whole(seed, 2 * i + 1) & 0xffff0000u); });
}

Output fresh(const char* name, Rule rule, u32 bytes) { return {name, rule, Bytes(bytes, 0xff)}; }

Case product(const std::string& name, u32 blocks, const Bytes& a, const Bytes& b, Rule rule, const Bytes& c) {
    return {name, "probe_multiply", blocks, {a, b}, {{"c", rule, c}}};
}

std::vector<Case> cases() {
    const Rule same = Rule::bits, nan = Rule::nan;
    const u32 n = 4096, k = 4 * n;
    const Bytes mixed = words(30, 128);
    std::vector<Case> all = {
        {"warp", "probe_warp", 1, {}, {fresh("to", same, 256)}},
        {"blocks", "probe_blocks", 64, {}, {fresh("to", same, 256)}},
        {"barrier", "probe_barrier", 1, {}, {fresh("to", same, 256)}},
        {"mask", "probe_mask", 1, {}, {fresh("to", same, 4)}},
        {"place", "probe_place", 1, {}, {fresh("to", same, 128)}},
        {"copy", "probe_copy", 1, {mixed}, {fresh("to", same, 512)}},
        {"vector", "probe_vector", 1, {mixed}, {fresh("to", same, 512)}},
        {"fused", "probe_fused", 1, {raw(1, n), raw(2, n), raw(3, n)}, {fresh("one", nan, k), fresh("two", nan, k)}, n},
        {"quotients",
         "probe_quotients",
         1,
         {raw(4, n), raw(5, n)},
         {fresh("root", nan, k), fresh("quotient", nan, k), fresh("sig", nan, k)},
         n},
        {"pack", "probe_pack", 1, {raw(6, n), raw(7, n)}, {fresh("packed", same, k)}, n},
        {"halves",
         "probe_halves",
         1,
         {raw(21, n)},
         {fresh("low", same, k), fresh("high", same, k), fresh("rounded", same, k)},
         n},
        {"bytes", "probe_bytes", 1, {raw(31, n), raw(32, n)}, {fresh("to", same, 4 * k)}, n},
        {"widen",
         "probe_widen",
         1,
         {make<u16>(65536, [](u32 i) { return u16(i); })},
         {fresh("of_f16", nan, 262144), fresh("of_bf16", same, 262144)},
         65536},
        {"eight",
         "probe_eight",
         4,
         {raw(8, 1024), words(9, 512)},
         {fresh("of_f32", same, k / 4), fresh("of_bf16", same, k / 4), fresh("of_f16", nan, k / 4), fresh("back", same, k / 8)}},
        {"streaming", "probe_streaming", 4, {words(10, 512)}, {fresh("to", same, 2048)}},
        {"groups",
         "probe_groups",
         4,
         {words(11, 512), make<u32>(128, [](u32 i) { return bits(12, i) % 17; })},
         {fresh("first", same, 2048), fresh("second", same, 2048)}},
        {"shuffle", "probe_shuffle", 4, {raw(13, 128)}, {fresh("to", same, k)}},
        {"sums", "probe_sums", 4, {range(14, 1024, 3.0f)}, {fresh("of_warp", same, k / 4), fresh("of_block", same, k / 4)}},
        {"fragments", "probe_fragments", 16, {words(15, 2048)}, {fresh("plain", same, 8192), fresh("turned", same, 8192)}},
        {"numbers",
         "probe_numbers",
         1,
         {range(16, n, 90.0f)},
         {fresh("e", same, k), fresh("l", same, k), fresh("packed", same, k)},
         n},
        {"normals", "probe_numbers", 1, {normal(17, n)}, {fresh("e", same, k), fresh("l", same, k), fresh("packed", same, k)}, n},
        product("whole", 32, whole_pairs(18, 4096), whole_pairs(19, 2048), same, whole_singles(20, 4096)),
    };
    for (u32 width : {2u, 8u, 24u}) {
        const u32 seed = 20 + width;
        const Bytes c = make<u32>(4096, [=](u32 i) { return wide_half(bits(200 + seed, i), width) << 16; });
        all.push_back(product("wide-" + std::to_string(width), 32, wide(seed, 4096, width), wide(100 + seed, 2048, width),
                              Rule::sums, c));
    }
    return all;
}

std::vector<Bytes> run(const Case& one) {
    std::vector<std::unique_ptr<Buffer<u8>>> buffers;
    Arguments arguments;
    for (const Bytes& input : one.inputs) buffers.push_back(std::make_unique<Buffer<u8>>(input));
    for (const Output& output : one.outputs) buffers.push_back(std::make_unique<Buffer<u8>>(output.before));
    for (const auto& buffer : buffers) arguments.add(*buffer);
    if (one.n) arguments.add(one.n);
    launch_with(one.kernel.c_str(), {one.blocks}, arguments);
    std::vector<Bytes> got;
    for (size_t i = one.inputs.size(); i < buffers.size(); ++i) got.push_back(buffers[i]->get());
    return got;
}

// How far an `mma` may be from the exact sum: each of the 16 products and c may lose what lies below 2^-23 of
// the greatest of them, twice as products come in halves of eight: 20 x 2^-23 x (|c| + sum of |a b|).
struct Sum {
    double exact, within;
};
std::vector<Sum> sums(const Case& one) {
    const auto a = as<u16>(one.inputs[0]), b = as<u16>(one.inputs[1]);
    const auto c = as<float>(one.outputs[0].before);
    std::vector<Sum> all;
    for (u32 i = 0; i < one.blocks * 128; ++i) {
        const u32 block = i / 128, lane = i / 4 % 32, row = lane / 4 + i % 4 / 2 * 8, column = 2 * (lane % 4) + i % 2;
        double exact = c[i], size = std::fabs(c[i]);
        for (u32 k = 0; k < 16; ++k) {
            const u32 of_a = ((block * 32 + row % 8 * 4 + k % 8 / 2) * 4 + row / 8 + k / 8 * 2) * 2 + k % 2;
            const u32 of_b = ((block * 32 + column * 4 + k % 8 / 2) * 2 + k / 8) * 2 + k % 2;
            const double part = double(from_bf16(a[of_a])) * from_bf16(b[of_b]);
            exact += part;
            size += std::fabs(part);
        }
        all.push_back({exact, 20 * std::ldexp(size, -23)});
    }
    return all;
}

bool is_nan(u32 word) { return (word & 0x7fffffffu) > 0x7f800000u; }

void agree(const Case& one, size_t output, const Bytes& got, const Bytes& want) {
    const auto mine = as<u32>(got), theirs = as<u32>(want);
    const std::string what = one.name + "." + one.outputs[output].name;
    u32 differ = 0;
    for (size_t i = 0; i < mine.size(); ++i) {
        const bool both = one.outputs[output].rule == Rule::nan && is_nan(mine[i]) && is_nan(theirs[i]);
        if (mine[i] != theirs[i] && !both && differ++ == 0) printf("  %s[%zu]: %08x, %08x\n", what.c_str(), i, mine[i], theirs[i]);
    }
    compare(what + ": words that differ", {float(differ)}, {0.0}, 0, 0);
}

void within(const Case& one, const Bytes& got) {
    std::vector<Sum> all = sums(one);
    const auto values = as<float>(got);
    for (size_t i = 0; i < all.size(); ++i) {
        compare(one.name + "[" + std::to_string(i) + "]", {values[i]}, {all[i].exact}, all[i].within, 0);
    }
}

// What is no NaN, of some operations that the host has, too.
void hold(const Case& one, const std::vector<Bytes>& got) {
    const auto each = [&](size_t output, auto want) {
        std::vector<u32> words(got[output].size() / 4);
        for (u32 i = 0; i < words.size(); ++i) {
            const float value = want(i);
            memcpy(&words[i], &value, 4);
        }
        const Bytes bytes = make<u32>(u32(words.size()), [&](u32 i) { return words[i]; });
        agree(one, output, got[output], bytes);
    };
    std::vector<std::vector<float>> in;
    for (const Bytes& input : one.inputs) in.push_back(as<float>(input));
    if (one.name == "fused") {
        each(0, [&](u32 i) { return std::fma(in[0][i], in[1][i], in[2][i]); });
        each(1, [&](u32 i) { return in[0][i] * in[1][i] + in[2][i]; });
    } else if (one.name == "quotients") {
        each(0, [&](u32 i) { return std::sqrt(in[0][i]); });
        each(1, [&](u32 i) { return in[0][i] / in[1][i]; });
    } else if (one.name == "halves") {
        const auto pairs = as<u32>(one.inputs[0]);
        each(0, [&](u32 i) { return from_bf16(u16(pairs[i])); });
        each(1, [&](u32 i) { return from_bf16(u16(pairs[i] >> 16)); });
        each(2, [&](u32 i) { return is_nan(pairs[i]) ? from_bf16(0x7fff) : round_bf16(in[0][i]); });
    } else if (one.name == "bytes") {
        const auto words = as<u32>(one.inputs[0]), others = as<u32>(one.inputs[1]);
        for (u32 i = 0; i < got[0].size() / 4; ++i) {
            const u32 want = (words[i / 4] >> (8 * (i % 4)) & 0xff) + others[i / 4] / 256 * 256;
            if (as<u32>(got[0])[i] != want) compare("bytes", {float(i)}, {-1.0}, 0, 0);
        }
    } else if (one.name == "widen") {
        each(1, [&](u32 i) { return from_bf16(u16(i)); });
        each(0, [&](u32 i) {
            const u16 half = u16(i);
            return float(__builtin_bit_cast(_Float16, half));
        });
    } else if (one.name == "shuffle") {
        each(0, [&](u32 i) { return in[0][i / 1024 * 32 + (i % 32 ^ i / 32 % 32)]; });
    } else if (one.name == "streaming") {
        agree(one, 0, got[0], one.inputs[0]);
    } else if (one.name == "whole") {
        const std::vector<Sum> all = sums(one);
        each(0, [&](u32 i) { return float(all[i].exact); });
    } else if (one.outputs[0].rule == Rule::sums) {
        within(one, got[0]);
    } else if (one.name == "groups") {
        const auto sizes = as<u32>(one.inputs[1]);
        for (u32 i = 0; i < 2048; ++i) {
            const u8 first = i % 16 < sizes[i / 16] ? one.inputs[0][i] : 0;
            const u8 second = i % 16 < 16 - sizes[i / 16] ? one.inputs[0][i] : 0;
            if (got[0][i] != first || got[1][i] != second) compare("groups", {float(i)}, {-1.0}, 0, 0);
        }
    } else if (one.name == "sums") {
        for (u32 i = 0; i < 1024; ++i) {
            double of_warp = 0, of_block = 0;
            for (u32 j = 0; j < 256; ++j) {
                of_block += in[0][i / 256 * 256 + j];
                if (j < 32) of_warp += in[0][i / 32 * 32 + j];
            }
            compare("sum of a warp", {as<float>(got[0])[i]}, {of_warp}, 32 * 3 * 6e-8 * 5, 0);
            compare("sum of a block", {as<float>(got[1])[i]}, {of_block}, 256 * 3 * 6e-8 * 13, 0);
        }
    }
}

Test meanings("probe", "meanings", [] {
    for (const Case& one : cases()) hold(one, run(one));
});

// What a device gave, if one was asked: a folder per architecture.
Test goldens("probe", "goldens", [] {
    const char* const named = getenv("SREK_GOLDENS");
    const std::filesystem::path root = named ? named : "goldens";
    if (!std::filesystem::is_directory(root)) {
        printf("skipped: no goldens from a device yet\n");
        return;
    }
    for (const auto& folder : std::filesystem::directory_iterator(root)) {
        if (!folder.is_directory()) continue;
        for (const Case& one : cases()) {
            const std::vector<Bytes> mine = run(one);
            for (size_t i = 0; i < mine.size(); ++i) {
                const auto path = folder.path() / (one.name + "." + one.outputs[i].name + ".bin");
                std::ifstream file(path, std::ios::binary);
                const Bytes theirs{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
                if (theirs.size() != mine[i].size()) {
                    printf("  %s: %zu bytes, expected %zu\n", path.c_str(), theirs.size(), mine[i].size());
                    compare("bytes", {float(theirs.size())}, {double(mine[i].size())}, 0, 0);
                } else if (one.outputs[i].rule == Rule::sums) {
                    within(one, theirs);
                } else {
                    agree(one, i, mine[i], theirs);
                }
            }
        }
    }
});

}  // namespace
