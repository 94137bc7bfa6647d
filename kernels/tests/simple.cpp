// rms_norm, rope, swiglu, residual, embed, adamw against plain loops in f64.

#include "bench.hpp"

static double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

static Test norm("rms_norm", "forward, apply, backward", [] {
    const u32 shapes[][2] = {{3, 96}, {3, 264}, {3, 2056}, {159, 256}};
    for (const auto [n, c] : shapes) {
        const float eps = 1e-5f;
        const auto x = bf16_values(1, n * c), dy = bf16_values(3, n * c), before = bf16_values(4, n * c);
        const auto w = values(2, c);
        Halves bx(x), by(n * c), again(n * c), bdy(dy), bdx(before), bw(w);
        Buffer<float> rstd(n), bdw(w), bw32(w);
        launch("rms_norm_forward_bf16", {n}, bx, bw, by, rstd, c, eps);
        launch("rms_norm_apply_bf16", {n}, bx, bw, rstd, again, c);
        launch("rms_norm_backward_f32", {n}, bx, bw32, rstd, bdy, bdx, c);
        launch("rms_norm_weight_gradient", {div_up(c, 64)}, bx, rstd, bdy, bdw, n, c);
        std::vector<double> y(n * c), dx(n * c), dw(w.begin(), w.end()), inverse(n);
        for (u32 r = 0; r < n; ++r) {
            double squares = 0, mean = 0;
            for (u32 i = 0; i < c; ++i) squares += double(x[r * c + i]) * x[r * c + i];
            const double scale = inverse[r] = 1.0 / std::sqrt(squares / c + eps);
            for (u32 i = 0; i < c; ++i) mean += double(dy[r * c + i]) * w[i] * x[r * c + i] * scale / c;
            for (u32 i = 0; i < c; ++i) {
                const u32 at = r * c + i;
                y[at] = x[at] * scale * round_bf16(w[i]);
                dx[at] = before[at] + scale * (double(dy[at]) * w[i] - x[at] * scale * mean);
                dw[i] += dy[at] * x[at] * scale;
            }
        }
        compare_rounded("y", by.get(), y, 0, 1e-6);
        equal_bits("y again", again.get(), by.get());
        compare("rstd", rstd.get(), inverse, 0, 1e-6);
        compare_rounded("dx", bdx.get(), dx, 1e-6, 1e-6);
        compare("dw", bdw.get(), dw, 1e-6 * n, 1e-5);
    }
});

static Test halves("rms_norm", "weights in f16", [] {
    const u32 c = 64;
    // 1, -2, 0.5, the smallest denormal, 65504.
    const u16 bits[] = {0x3c00, 0xc000, 0x3800, 0x0001, 0x7bff};
    const double of_bits[] = {1, -2, 0.5, 5.9604644775390625e-8, 65504};
    std::vector<u16> w(c);
    std::vector<double> want(c);
    const auto x = bf16_values(5, c);
    for (u32 i = 0; i < c; ++i) w[i] = bits[i % 5];
    Halves bx(x), y(c);
    Buffer<float> rstd(std::vector<float>{2.0f});
    launch("rms_norm_apply_f16", {1}, bx, Buffer<u16>(w), rstd, y, c);
    for (u32 i = 0; i < c; ++i) want[i] = x[i] * 2.0 * of_bits[i % 5];
    compare_rounded("y", y.get(), want, 0, 0);
});

static Test rotation("rope", "there and back", [] {
    const u32 shapes[][3] = {{5, 3, 12}, {5, 3, 64}, {159, 4, 64}};
    for (const auto [n, heads, d] : shapes) {
        const u32 most = n + 4;
        const auto x = bf16_values(1, n * heads * d), table = values(2, most * d);
        std::vector<u32> positions = {0, 1, 8, 3, 0};
        for (u32 i = 5; i < n; ++i) positions.push_back(i % 70 + i / 70);
        Halves bx(x);
        Buffer<float> bt(table);
        Buffer<u32> bp(positions);
        const u64 pairs = n * heads * d / 2;
        std::vector<double> want(x.size());
        auto turn = [&](const std::vector<float>& from, float sign) {
            launch("rope_rotate", {div_up(pairs, 256)}, bx, bp, bt, pairs, heads, d, sign);
            for (u32 head = 0; head < n * heads; ++head) {
                for (u32 i = 0; i < d / 2; ++i) {
                    const float* row = &table[positions[head / heads] * d];
                    const double a = from[head * d + i], b = from[head * d + d / 2 + i];
                    want[head * d + i] = a * row[i] - b * sign * row[d / 2 + i];
                    want[head * d + d / 2 + i] = b * row[i] + a * sign * row[d / 2 + i];
                }
            }
            // Two products of at most 1 may cancel.
            compare_rounded(sign > 0 ? "y" : "dx", bx.get(), want, 2e-7, 0);
        };
        turn(x, 1.0f);
        turn(widened(bx.get()), -1.0f);
    }
});

static Test placing("rope", "in place and into a cache", [] {
    for (u32 d : {12u, 64u, 128u}) {
        const u32 n = 3, heads = 5, key_heads = 2, most = 9, slots = 7;
        const auto q = bf16_values(1, n * heads * d), k = bf16_values(2, n * key_heads * d), v = bf16_values(3, n * key_heads * d);
        const auto table = values(4, most * d), before = bf16_values(5, slots * key_heads * d);
        const Buffer<u32> positions(std::vector<u32>{8, 0, 3}), rows(std::vector<u32>{6, 0, 2});
        const Buffer<float> bt(table);
        // One by one, by the kernels that are compared with loops above.
        Halves q1(q), k1(k);
        const u64 wide = n * heads * d / 2, narrow = n * key_heads * d / 2;
        launch("rope_rotate", {div_up(wide, 256)}, q1, positions, bt, wide, heads, d, 1.0f);
        launch("rope_rotate", {div_up(narrow, 256)}, k1, positions, bt, narrow, key_heads, d, 1.0f);
        Halves q2(q), k2(k), v2(v), keys2(before), values2(before);
        launch("rope_place", {n, div_up(heads + 2 * key_heads, 4)}, q2, k2, v2, positions, bt, rows, keys2, values2, heads,
               key_heads, d);
        const auto turned = widened(k1.get());
        auto keys = before, stored = before;
        const u32 place[] = {6, 0, 2}, width = key_heads * d;
        for (u32 i = 0; i < n * width; ++i) {
            keys[place[i / width] * width + i % width] = turned[i];
            stored[place[i / width] * width + i % width] = v[i];
        }
        auto same = [](const std::string& what, const Halves& got, const std::vector<float>& want) {
            compare(what, widened(got.get()), std::vector<double>(want.begin(), want.end()), 0, 0);
        };
        same("q", q2, widened(q1.get()));
        same("keys", keys2, keys);
        same("values", values2, stored);
    }
});

static Test gates("swiglu", "forward and backward", [] {
    for (u64 count : {8ull, 1016ull, 2504ull, 159 * 256ull}) {
        const auto g = bf16_values(1, count, 20.0f), u = bf16_values(2, count), dh = bf16_values(3, count);
        Halves bg(g), bu(u), bd(dh), bh(count);
        launch("swiglu_forward", {div_up(count, 1024)}, bg, bu, bh, count);
        launch("swiglu_backward", {div_up(count, 1024)}, bd, bg, bu, count);
        std::vector<double> h, dg, du;
        for (u64 i = 0; i < count; ++i) {
            const double s = sigmoid(g[i]);
            h.push_back(g[i] * s * u[i]);
            dg.push_back(dh[i] * u[i] * s * (1 + g[i] * (1 - s)));
            du.push_back(dh[i] * g[i] * s);
        }
        compare_rounded("h", bh.get(), h, 0, 2e-6);
        // 1 + g (1 - s) may cancel.
        compare_rounded("dg", bg.get(), dg, 2e-6, 2e-6);
        compare_rounded("du", bu.get(), du, 0, 2e-6);
    }
});

static Test moves("residual", "copy and zero", [] {
    for (size_t count : {1, 15, 1000, 4099}) {
        std::vector<u8> bytes(count);
        for (size_t i = 0; i < count; ++i) bytes[i] = u8(i * 7 + 1);
        Buffer<u8> from(bytes), to(count), zero(bytes);
        launch("residual_copy", {2}, from, to, u64(count));
        launch("residual_zero", {2}, zero, u64(count));
        if (to.get() != bytes) compare("copy", {1.0f}, {0.0}, 0, 0);
        if (zero.get() != std::vector<u8>(count, 0)) compare("zero", {1.0f}, {0.0}, 0, 0);
    }
});

static Test rows("embed", "gather and scatter", [] {
    // The last has more tokens than the backward lists at a time.
    const u32 shapes[][3] = {{5, 48, 7}, {5, 2104, 7}, {159, 256, 53}, {1101, 8, 7}};
    for (const auto [n, c, v] : shapes) {
        std::vector<u32> ids = {3, 0, 6, 3, 3};
        for (u32 i = 5; i < n; ++i) ids.push_back((i * i + i / 7) % v);
        const auto table = values(1, v * c), dy = bf16_values(2, n * c), scales = values(3, v * c / 64 + 1);
        std::vector<i8> codes(v * c);
        for (u32 i = 0; i < v * c; ++i) codes[i] = i8(i * 37);
        Buffer<u32> bi(ids);
        Buffer<float> bt(table), dtable(table);
        // The bits of bf16 are those of an f16, too; finite ones.
        std::vector<u16> half_bits(v * c);
        for (u32 i = 0; i < v * c; ++i) half_bits[i] = u16(i * 523 & 0xbfff);
        Halves y(n * c), y16(n * c), y_half(n * c), y8(n * c), bd(dy);
        launch("embed_forward_f32", {n}, bi, bt, y, c);
        launch("embed_forward_bf16", {n}, bi, Halves(table), y16, c);
        launch("embed_forward_f16", {n}, bi, Buffer<u16>(half_bits), y_half, c);
        launch("embed_forward_q8", {n}, bi, Buffer<i8>(codes), Buffer<float>(scales), y8, c);
        launch("embed_backward", {div_up(c, 64)}, bi, bd, dtable, n, c);
        std::vector<float> want, want_half, want8;
        std::vector<double> sums(table.begin(), table.end());
        for (u32 r = 0; r < n; ++r) {
            for (u32 i = 0; i < c; ++i) {
                const u32 at = ids[r] * c + i;
                want.push_back(table[at]);
                _Float16 half;
                memcpy(&half, &half_bits[at], 2);
                want_half.push_back(float(half));
                want8.push_back(float(codes[at]) * scales[at / 64]);
                sums[at] += dy[r * c + i];
            }
        }
        equal_bits("y of f32", y.get(), bf16_of(want));
        equal_bits("y of bf16", y16.get(), bf16_of(want));
        equal_bits("y of f16", y_half.get(), bf16_of(want_half));
        equal_bits("y of 8 bits", y8.get(), bf16_of(want8));
        compare("dtable", dtable.get(), sums, 1e-6 * n, 1e-6);
    }
});

static Test squares("adamw", "squared norm", [] {
    for (u64 count : {1ull, 4096ull, 9001ull, 159 * 256ull}) {
        const auto g = values(1, count, 3.0f);
        Buffer<float> partial(div_up(count, 4096));
        launch("adamw_squared_norm", {div_up(count, 4096)}, Buffer<float>(g), partial, count);
        std::vector<double> want(div_up(count, 4096));
        for (u64 i = 0; i < count; ++i) want[i / 4096] += double(g[i]) * g[i];
        // 16 squares in a thread, 5 steps between lanes, 8 warps.
        compare("partial", partial.get(), want, 0, 29 * 6e-8);
    }
});
