#include "weights.hpp"

static const float LEVELS[16] = {-1.0f,        -0.6961928f, -0.52507305f, -0.3949175f, -0.28444138f, -0.18477343f,
                                 -0.091050036f, 0.0f,        0.0795803f,   0.1609302f,  0.2461123f,   0.33791524f,
                                 0.44070983f,  0.562617f,   0.72295684f,  1.0f};

Nf4Weight::Parts Nf4Weight::make(u64 seed, u32 out, u32 inner, bool doubled) {
    Parts parts;
    const size_t count = size_t(out) * inner, blocks = count / 64;
    for (size_t i = 0; i < count / 2; ++i) parts.codes.push_back(u8(int(127.99f * (uniform(seed, i) + 1.0f))));
    for (u32 i = 0; i < 256; ++i) parts.map.push_back(uniform(seed + 1, i));
    for (size_t i = 0; i <= blocks / 256; ++i) parts.nested.push_back(0.01f + 0.002f * uniform(seed + 2, i));
    parts.offset = 0.03f;
    for (size_t i = 0; i < blocks; ++i) {
        parts.q.push_back(u8(int(127.99f * (uniform(seed + 3, i) + 1.0f))));
        const float product = parts.map[parts.q[i]] * parts.nested[i / 256];
        parts.absmax.push_back(doubled ? product + parts.offset : 0.02f + 0.01f * uniform(seed + 4, i));
    }
    for (size_t i = 0; i < count; ++i) {
        const u8 byte = parts.codes[i / 2];
        parts.effective.push_back(round_bf16(LEVELS[i % 2 ? byte & 15 : byte >> 4] * parts.absmax[i / 64]));
    }
    return parts;
}

Nf4Weight::Nf4Weight(const Parts& parts, bool doubled)
    : effective(parts.effective), codes(parts.codes), absmax(parts.absmax), q(parts.q), map(parts.map),
      nested(parts.nested), offset(parts.offset), doubled(doubled) {}

Nf4Weight::Nf4Weight(u64 seed, u32 out, u32 inner, bool doubled) : Nf4Weight(make(seed, out, inner, doubled), doubled) {}

Reference multiply(const std::vector<float>& left, const std::vector<float>& right, u32 n, u32 m, u32 k) {
    Reference reference;
    for (u32 row = 0; row < n; ++row) {
        for (u32 column = 0; column < m; ++column) {
            double sum = 0, size = 0;
            for (u32 i = 0; i < k; ++i) {
                const double product = double(left[size_t(row) * k + i]) * right[size_t(column) * k + i];
                sum += product;
                size += std::fabs(product);
            }
            reference.sums.push_back(sum);
            reference.sizes.push_back(size * k);
        }
    }
    return reference;
}

std::vector<float> transposed(const std::vector<float>& from, u32 rows, u32 columns) {
    std::vector<float> to(from.size());
    for (u32 r = 0; r < rows; ++r) {
        for (u32 c = 0; c < columns; ++c) to[size_t(c) * rows + r] = from[size_t(r) * columns + c];
    }
    return to;
}

// The value that is expected, and how far from it f32 sums may be: k roundings of at most 2^-24 of the sum
// of the sizes would be the bound; seldom is it near.
struct Bound {
    double target, distance;
};
static Bound bound_of(const Reference& want, const std::vector<float>& before, double scale, size_t i) {
    const double target = scale * want.sums[i] + (before.empty() ? 0.0 : before[i]);
    return {target, std::fabs(scale) * want.sizes[i] * 6e-8 + 1e-6 * std::fabs(target) + 1e-9};
}

void compare_sums(const std::string& what, const std::vector<float>& got, const Reference& want,
                  const std::vector<float>& before, double scale) {
    if (got.size() != want.sums.size()) die(what + ": lengths differ");
    for (size_t i = 0; i < got.size(); ++i) {
        const Bound bound = bound_of(want, before, scale, i);
        compare(what + "[" + std::to_string(i) + "]", {got[i]}, {bound.target}, bound.distance, 0);
    }
}

void compare_sums(const std::string& what, const std::vector<u16>& got, const Reference& want,
                  const std::vector<float>& before, double scale) {
    if (got.size() != want.sums.size()) die(what + ": lengths differ");
    for (size_t i = 0; i < got.size(); ++i) {
        const Bound bound = bound_of(want, before, scale, i);
        compare_rounded(what + "[" + std::to_string(i) + "]", {got[i]}, {bound.target}, bound.distance, 0);
    }
}
