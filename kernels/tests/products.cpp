// lora and linear_cross_entropy against plain loops in f64.

#include "weights.hpp"

namespace {

// A bf16 matrix whose rows are a multiple of 8 elements apart, zeros behind them.
struct Padded {
    Padded(const std::vector<float>& from, u32 rows, u32 columns)
        : stride((columns + 7) / 8 * 8), values(wider(from, rows, columns, stride)) {}
    static std::vector<float> wider(const std::vector<float>& from, u32 rows, u32 columns, u32 stride) {
        std::vector<float> to(size_t(rows) * stride);
        for (u32 i = 0; i < rows * columns; ++i) to[size_t(i / columns) * stride + i % columns] = from[i];
        return to;
    }
    u32 stride;
    Halves values;
};

Test adapter("lora", "forward and backward", [] {
    const u32 shapes[][4] = {{4, 35, 96, 136}, {40, 35, 96, 136}, {16, 159, 256, 256}};
    for (const auto [rank, n, inner, out] : shapes) {
        const float scale = 0.4f;
        const auto x = bf16_values(1, n * inner), dy = bf16_values(2, n * out);
        const auto a = bf16_values(3, rank * inner), b = bf16_values(4, out * rank);
        const auto y0 = bf16_values(5, n * out), dx0 = bf16_values(8, n * inner);
        const auto da0 = values(6, rank * inner), db0 = values(7, out * rank);
        // A rank of 4 lies in rows of 8.
        const Padded bb(b, out, rank);
        const Halves bx(x), bdy(dy), ba(a);
        const u32 stride = bb.stride;
        Halves t(n * stride), e(n * stride), y(y0), dx(dx0);
        Buffer<float> da(da0), db(db0);
        const u32 ranks = div_up(rank, 32), rows = div_up(n, 128), outs = div_up(out, 128), inners = div_up(inner, 128);
        launch("lora_down", {rows, ranks}, bx, inner, ba, inner, t, stride, n, rank, inner);
        launch("lora_up", {rows, outs}, t, stride, bb.values, bb.stride, y, scale, n, out, rank);
        launch("lora_error", {rows, ranks}, bdy, out, bb.values, bb.stride, e, stride, n, rank, out);
        launch("lora_gradient_b", {outs, ranks}, bdy, out, t, stride, db, scale, n, out, rank);
        launch("lora_gradient_a", {ranks, inners}, e, stride, bx, inner, da, scale, n, rank, inner);
        launch("lora_back", {rows, inners}, e, stride, ba, inner, dx, scale, n, inner, rank);
        // The skinny products are looked at as they were rounded, so that what follows is exact.
        std::vector<u16> narrow_t, narrow_e;
        const auto all_t = t.get(), all_e = e.get();
        for (u32 i = 0; i < n * stride; ++i) {
            if (i % stride < rank) {
                narrow_t.push_back(all_t[i]);
                narrow_e.push_back(all_e[i]);
            } else if (all_t[i] || all_e[i]) {
                compare("zeros behind a row", {1.0f}, {0.0}, 0, 0);
            }
        }
        compare_sums("t", narrow_t, multiply(x, a, n, rank, inner), {});
        compare_sums("e", narrow_e, multiply(dy, transposed(b, out, rank), n, rank, out), {});
        const auto got_t = widened(narrow_t), got_e = widened(narrow_e);
        compare_sums("y", y.get(), multiply(got_t, b, n, out, rank), y0, scale);
        compare_sums("db", db.get(), multiply(transposed(dy, n, out), transposed(got_t, n, rank), out, rank, n), db0, scale);
        compare_sums("da", da.get(), multiply(transposed(got_e, n, rank), transposed(x, n, inner), rank, inner, n), da0,
                     scale);
        compare_sums("dx", dx.get(), multiply(got_e, transposed(a, rank, inner), n, inner, rank), dx0, scale);
    }
});

// Up to three adapters of one x for few rows; one row of several gives the bits that it gives alone.
Test few("lora", "few rows", [] {
    const u32 inner = 1288, most = 8, ranks[3] = {16, 40, 0};
    const auto x = bf16_values(1, most * inner);
    const Halves bx(x);
    std::vector<u16> alone[2];
    for (u32 n : {1u, 3u, most}) {
        const auto first = bf16_values(2, ranks[0] * inner), second = bf16_values(3, ranks[1] * inner);
        const Halves a(first), b(second), t(n * ranks[0]), u(n * ranks[1]);
        launch("lora_down_few", {40, 3}, bx, inner, inner, n, a, inner, t, ranks[0], b, inner, u, ranks[1], nullptr, 0u,
               nullptr, ranks[2]);
        compare_sums("t", t.get(), multiply(x, first, n, ranks[0], inner), {});
        compare_sums("u", u.get(), multiply(x, second, n, ranks[1], inner), {});
        u32 part = 0;
        for (const Halves* buffer : {&t, &u}) {
            auto got = buffer->get();
            got.resize(ranks[part]);
            if (n == 1) alone[part] = got;
            equal_bits("alone and together", got, alone[part]);
            ++part;
        }
    }
});

// The loss by chunks, with a head of either kind. `trained` heads get their gradient, too.
void check_loss(bool eight_bits, u32 n, u32 c, u32 v, u32 chunk) {
    const u32 pitch = (v + 7) / 8 * 8;
    const float scale = 0.25f;
    const u32 stride = c + 8;
    // Small logits: where one is large, a last bit of it decides how its gradient is rounded.
    const auto x = bf16_values(1, n * c, c > 64 ? 0.25f : 1.0f), w32 = values(2, v * c, 0.5f);
    std::vector<i8> codes;
    std::vector<float> scales, w;
    for (u32 i = 0; i < v * c; ++i) {
        codes.push_back(i8(127.0f * uniform(3, i)));
        if (i % 64 == 0) scales.push_back(0.004f + 0.002f * uniform(4, i));
        w.push_back(round_bf16(eight_bits ? float(codes[i]) * scales[i / 64] : w32[i]));
    }
    std::vector<i32> targets(n, -100);
    for (u32 i = 0; i < n; ++i) {
        if (i % 3 != 1) targets[i] = i32(i * 97 % v);
    }
    const auto dw0 = values(5, v * c);
    Halves bx(x), dx(std::vector<float>(n * c, 0.0f)), bw(w), gathered(chunk * stride);
    Buffer<float> loss(std::vector<float>(n, 0.0f)), dw(dw0);
    Buffer<float> logits(chunk * pitch), bs(std::vector<float>{scale}), b_scales(scales);
    Buffer<i8> b_codes(codes);
    Buffer<i32> bt(targets);
    Buffer<u32> list(n), trained(1);
    launch("linear_cross_entropy_list", {1}, bt, list, trained, n);
    for (u32 start = 0; start < n; start += chunk) {
        launch("linear_cross_entropy_gather", {chunk}, bx, list, trained, start, chunk, gathered, stride, c);
        // The kernel reads the same memory as bf16; the bench knows it as f32.
        const Grid tiles = {div_up(chunk, 128), div_up(v, 128)}, back = {div_up(chunk, 128), div_up(c, 128)};
        if (eight_bits) {
            launch("linear_cross_entropy_logits_q8", tiles, gathered, stride, b_codes, b_scales, logits, pitch, v, c, trained,
                   start, chunk);
        } else {
            launch("linear_cross_entropy_logits_dense", tiles, gathered, stride, bw, c, logits, pitch, v, c, trained, start,
                   chunk);
        }
        launch("linear_cross_entropy_rows", {chunk}, logits, pitch, v, bt, list, trained, start, chunk, bs, loss);
        if (eight_bits) {
            launch("linear_cross_entropy_back_q8", back, logits, pitch, b_codes, b_scales, dx, v, c, list, trained, start,
                   chunk);
        } else {
            launch("linear_cross_entropy_back_dense", back, logits, pitch, bw, c, dx, v, c, list, trained, start, chunk);
            launch("linear_cross_entropy_weight_gradient", {div_up(v, 128), div_up(c, 128)}, logits, pitch, gathered, stride, dw, v, c,
                   trained, start, chunk);
        }
    }
    const auto all = multiply(x, w, n, v, c).sums;
    std::vector<double> want_loss(n), want_dx(n * c), want_dw(dw0.begin(), dw0.end());
    for (u32 r = 0; r < n; ++r) {
        if (targets[r] < 0) continue;
        double total = 0;
        for (u32 i = 0; i < v; ++i) total += std::exp(all[r * v + i]);
        want_loss[r] = std::log(total) - all[r * v + targets[r]];
        for (u32 i = 0; i < v; ++i) {
            const double p = std::exp(all[r * v + i]) / total;
            const double d = round_bf16(float(scale * (p - (i == u32(targets[r])))));
            for (u32 j = 0; j < c; ++j) {
                want_dx[r * c + j] += d * w[i * c + j];
                want_dw[i * c + j] += d * x[r * c + j];
            }
        }
    }
    compare("loss", loss.get(), want_loss, 1e-5, 1e-5);
    compare_rounded("dx", dx.get(), want_dx, 2e-5, 1e-3);
    if (!eight_bits) compare("dw", dw.get(), want_dw, 2e-5, 1e-3);
    const double rows = double(n - (n + 1) / 3);
    compare("trained", {float(trained.get()[0])}, {rows}, 0, 0);
}

Test dense_head("linear_cross_entropy", "dense head", [] {
    check_loss(false, 23, 64, 1301, 10);
    check_loss(false, 159, 256, 301, 100);
});
Test q8_head("linear_cross_entropy", "8-bit head", [] {
    check_loss(true, 23, 64, 1301, 10);
    check_loss(true, 159, 256, 301, 100);
});

}  // namespace
