// Attention against plain loops in f64 on the rounded operands.

#include "bench.hpp"

#include "weights.hpp"

namespace {

struct Case {
    u32 d, h, hkv;
    std::vector<u32> first, visible;
};

// Documents of these lengths, packed.
Case packed(u32 d, u32 h, u32 hkv, std::vector<u32> lengths) {
    Case c = {d, h, hkv, {}, {}};
    u32 start = 0;
    for (u32 length : lengths) {
        for (u32 i = 0; i < length; ++i) {
            c.first.push_back(start);
            c.visible.push_back(i + 1);
        }
        start += length;
    }
    return c;
}

struct Loops {
    std::vector<double> o, lse, dq, dk, dv;
};

Loops loops(const Case& c, const std::vector<float>& q, const std::vector<float>& k, const std::vector<float>& v,
            const std::vector<float>& d_o, u32 rows) {
    const u32 n = u32(c.first.size()), group = c.h / c.hkv, d = c.d;
    const double scale = 1.0 / std::sqrt(double(d));
    Loops out = {std::vector<double>(n * c.h * d), std::vector<double>(n * c.h), std::vector<double>(n * c.h * d),
                 std::vector<double>(rows * c.hkv * d), std::vector<double>(rows * c.hkv * d)};
    for (u32 i = 0; i < n * c.h; ++i) {
        const u32 query = i / c.h, head = i % c.h / group;
        const auto at = [&](u32 j) { return ((c.first[query] + j) * c.hkv + head) * d; };
        std::vector<double> p(c.visible[query]);
        double total = 0, delta = 0;
        for (u32 j = 0; j < p.size(); ++j) {
            double s = 0;
            for (u32 e = 0; e < d; ++e) s += double(q[i * d + e]) * k[at(j) + e];
            total += p[j] = std::exp(s * scale);
        }
        out.lse[i] = std::log(total);
        for (u32 j = 0; j < p.size(); ++j) {
            p[j] /= total;
            for (u32 e = 0; e < d; ++e) out.o[i * d + e] += p[j] * v[at(j) + e];
        }
        for (u32 e = 0; e < d; ++e) delta += double(d_o[i * d + e]) * out.o[i * d + e];
        for (u32 j = 0; j < p.size(); ++j) {
            double dp = 0;
            for (u32 e = 0; e < d; ++e) dp += double(d_o[i * d + e]) * v[at(j) + e];
            const double ds = p[j] * (dp - delta) * scale;
            for (u32 e = 0; e < d; ++e) {
                out.dv[at(j) + e] += p[j] * d_o[i * d + e];
                out.dq[i * d + e] += ds * k[at(j) + e];
                out.dk[at(j) + e] += ds * q[i * d + e];
            }
        }
    }
    return out;
}

void check(const Case& c, u32 rows, bool backward) {
    const u32 n = u32(c.first.size()), width = c.h * c.d, narrow = c.hkv * c.d;
    const auto q = bf16_values(1, n * width, 2.0f), k = bf16_values(2, rows * narrow, 2.0f);
    const auto v = bf16_values(3, rows * narrow), d_o = bf16_values(4, n * width);
    const Loops want = loops(c, q, k, v, d_o, rows);
    Halves bq(q), bk(k), bv(v), bd(d_o), o(n * width);
    Buffer<u32> first(c.first), visible(c.visible);
    Buffer<float> lse(n * c.h);
    const float scale = float(1.0 / std::sqrt(double(c.d)));
    const std::string d = std::to_string(c.d);
    launch(("attention_forward_" + d).c_str(), {div_up(n, 64), c.h}, bq, bk, bv, first, visible, o, lse, n, c.h, c.hkv,
           scale);
    compare_rounded("o", o.get(), want.o, 4e-3, 4e-3);
    compare("lse", lse.get(), want.lse, 1e-5, 1e-5);
    if (!backward) return;
    Buffer<float> delta(n * c.h);
    Halves dq(n * width), dk(n * narrow), dv(n * narrow);
    launch("attention_delta", {div_up(n * c.h, 8)}, bd, o, delta, u64(n * c.h), c.d);
    // Of o as it was rounded.
    const auto got_o = widened(o.get());
    std::vector<double> want_delta(n * c.h);
    for (u32 i = 0; i < n * width; ++i) want_delta[i / c.d] += double(d_o[i]) * got_o[i];
    compare("delta", delta.get(), want_delta, 2e-6, 0);
    launch(("attention_backward_queries_" + d).c_str(), {div_up(n, 64), c.h}, bq, bk, bv, first, visible, bd, lse, delta,
           dq, n, c.h, c.hkv, scale);
    launch(("attention_backward_keys_" + d).c_str(), {div_up(n, 64), c.hkv}, bq, bk, bv, first, visible, bd, lse, delta,
           dk, dv, n, c.h, c.hkv, scale);
    // p and ds are rounded to bf16: 2^-9 of each term; so is o in delta.
    compare_rounded("dq", dq.get(), want.dq, 6e-3, 6e-3);
    compare_rounded("dk", dk.get(), want.dk, 1.2e-2, 8e-3);
    compare_rounded("dv", dv.get(), want.dv, 1.2e-2, 8e-3);
}

Test documents("attention", "packed documents", [] {
    check(packed(64, 4, 2, {3, 70, 1, 9}), 83, true);
    check(packed(128, 2, 1, {67}), 67, true);
    check(packed(64, 4, 2, {90, 1, 33, 35}), 159, true);
    check(packed(128, 2, 2, {31, 128}), 159, true);
});

// Queries at the end of what a cache holds, in two slots.
Test slots("attention", "slots of a cache", [] {
    Case c = {64, 2, 2, {}, {}};
    for (u32 i = 0; i < 5; ++i) {
        c.first.push_back(i < 3 ? 100 : 4);
        c.visible.push_back(i < 3 ? 66 + i : 12 + i);
    }
    check(c, 180, false);
});

// One query per slot against many rows; alone it has the same bits.
Test decode("decode", "queries of a cache", [] {
    for (u32 d : {64u, 128u}) {
        Case c = {d, 6, 2, {7, 330, 0}, {300, 256, 1}};
        const u32 rows = 600, n = 3, width = c.h * d, parts = 2;
        const auto q = bf16_values(1, n * width, 2.0f), k = bf16_values(2, rows * c.hkv * d, 2.0f);
        const auto v = bf16_values(3, rows * c.hkv * d);
        const Loops want = loops(c, q, k, v, std::vector<float>(n * width), rows);
        Halves bq(q), bk(k), bv(v), o(n * width), alone(width);
        Buffer<u32> first(c.first), visible(c.visible);
        const float scale = float(1.0 / std::sqrt(double(d)));
        const std::string name = std::to_string(d);
        Buffer<float> lse(n * c.h), alone_lse(c.h);
        Buffer<float> space(n * c.h * parts * (d + 2)), more(c.h * 5 * (d + 2));
        launch(("attention_decode_" + name).c_str(), {parts, c.hkv, n}, bq, bk, bv, first, visible, space, c.h, c.hkv, scale);
        launch(("attention_add_parts_" + name).c_str(), {n * c.h}, space, visible, o, lse, c.h, parts);
        compare_rounded("o", o.get(), want.o, 4e-3, 4e-3);
        compare("lse", lse.get(), want.lse, 1e-5, 1e-5);
        launch(("attention_decode_" + name).c_str(), {5, c.hkv, 1}, bq, bk, bv, first, visible, more, c.h, c.hkv, scale);
        launch(("attention_add_parts_" + name).c_str(), {c.h}, more, visible, alone, alone_lse, c.h, 5u);
        auto together = o.get();
        together.resize(width);
        equal_bits("alone and together", alone.get(), together);
    }
});

Test store("attention", "store", [] {
    const auto from = values(1, 3 * 40);
    Halves to(std::vector<float>(5 * 40, 9.0f));
    launch("attention_store", {3}, Halves(from), to, Buffer<u32>(std::vector<u32>{4, 0, 2}), 40u);
    auto want = bf16_of(std::vector<float>(5 * 40, 9.0f));
    for (u32 i = 0; i < 40; ++i) {
        want[160 + i] = bf16_bits(from[i]);
        want[i] = bf16_bits(from[40 + i]);
        want[80 + i] = bf16_bits(from[80 + i]);
    }
    equal_bits("rows", to.get(), want);
});

}  // namespace
