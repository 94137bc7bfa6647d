// Products against plain loops in f64 on the operands that the kernels see.

#include "weights.hpp"

#include <memory>

namespace {

void check_nf4(u32 n, u32 out, u32 inner, bool doubled, u32 add) {
    const Nf4Weight w(1, out, inner, doubled);
    const auto x = bf16_values(2, size_t(n) * inner), dy = bf16_values(3, size_t(n) * out);
    const auto y_before = bf16_values(4, size_t(n) * out), dx_before = bf16_values(5, size_t(n) * inner);
    Halves bx(x), bdy(dy), y(y_before), dx(dx_before);
    w.with([&](const auto&... parts) {
        launch("qlinear_nf4_forward", {div_up(n, 128), div_up(out, 128)}, bx, inner, parts..., out, inner, y, n, add);
        launch("qlinear_nf4_backward", {div_up(n, 128), div_up(inner, 128)}, bdy, out, parts..., out, inner, dx, n, add);
    });
    const std::vector<float> none;
    compare_sums("y", y.get(), multiply(x, w.effective, n, out, inner), add ? y_before : none);
    const auto columns = transposed(w.effective, out, inner);
    compare_sums("dx", dx.get(), multiply(dy, columns, n, inner, out), add ? dx_before : none);
}

struct Q8Weight {
    Q8Weight(u64 seed, u32 out, u32 inner) {
        for (size_t i = 0; i < size_t(out) * inner; ++i) {
            codes.push_back(i8(127.0f * uniform(seed, i)));
            if (i % 64 == 0) scales.push_back(0.01f + 0.005f * uniform(seed + 1, i));
            effective.push_back(round_bf16(float(codes[i]) * scales[i / 64]));
        }
    }
    std::vector<i8> codes;
    std::vector<float> scales, effective;
};

Test large("qlinear", "nf4", [] {
    check_nf4(37, 72, 64, true, 0);
    check_nf4(130, 136, 192, true, 1);
    check_nf4(5, 40, 128, false, 0);
    check_nf4(159, 256, 256, true, 1);
});

Test eight_bits("qlinear", "8 bits", [] {
    const u32 shapes[][3] = {{21, 88, 128}, {159, 256, 256}};
    for (const auto [n, out, inner] : shapes) {
        const Grid along = {div_up(n, 128), div_up(out, 128)}, back = {div_up(n, 128), div_up(inner, 128)};
        const Q8Weight w(1, out, inner);
        const auto x = bf16_values(2, n * inner), dy = bf16_values(3, n * out), before = bf16_values(4, n * out);
        Buffer<i8> codes(w.codes);
        Buffer<float> scales(w.scales);
        Halves bx(x), bdy(dy), y(before), dx(n * inner);
        launch("qlinear_q8_forward", along, bx, inner, codes, scales, out, inner, y, n, 1u);
        launch("qlinear_q8_backward", back, bdy, out, codes, scales, out, inner, dx, n, 0u);
        compare_sums("y", y.get(), multiply(x, w.effective, n, out, inner), before);
        compare_sums("dx", dx.get(), multiply(dy, transposed(w.effective, out, inner), n, inner, out), {});
    }
});

Test dense("qlinear", "dense", [] {
    const u32 shapes[][3] = {{45, 104, 88}, {159, 256, 256}};
    for (const auto [n, out, inner] : shapes) {
        const Grid along = {div_up(n, 128), div_up(out, 128)}, back = {div_up(n, 128), div_up(inner, 128)};
        const auto x = bf16_values(2, n * inner), dy = bf16_values(3, n * out), w = bf16_values(4, out * inner);
        const auto before = values(5, out * inner), dx_before = bf16_values(6, n * inner);
        Halves bx(x), bdy(dy), bw(w), y(n * out), dx(dx_before);
        Buffer<float> dw(before);
        launch("qlinear_dense_forward", along, bx, inner, bw, inner, out, inner, y, n, 0u);
        launch("qlinear_dense_backward", back, bdy, out, bw, inner, out, inner, dx, n, 1u);
        launch("qlinear_weight_gradient", {div_up(out, 128), div_up(inner, 128)}, bdy, out, bx, inner, dw, out, inner, n);
        compare_sums("y", y.get(), multiply(x, w, n, out, inner), {});
        compare_sums("dx", dx.get(), multiply(dy, transposed(w, out, inner), n, inner, out), dx_before);
        compare_sums("dw", dw.get(), multiply(transposed(dy, n, out), transposed(x, n, inner), out, inner, n), before);
    }
});

// A head's logits stay in f32, and a vocabulary may be odd.
Test logits("qlinear", "f32 outputs", [] {
    const u32 n = 7, out = 131, inner = 128;
    const Nf4Weight w(1, out, inner, true);
    const Q8Weight w8(2, out, inner);
    const auto x = bf16_values(3, n * inner), dense = bf16_values(4, out * inner);
    const Halves bx(x), bw(dense);
    Buffer<i8> codes(w8.codes);
    Buffer<float> scales(w8.scales);
    const Grid tiles = {1, 2}, warps = {div_up(out, 16)};
    for (const bool few : {false, true}) {
        Buffer<float> y(n * out), y8(n * out), y16(n * out);
        w.with([&](const auto&... parts) {
            if (few) {
                launch("qlinear_nf4_vector_8", warps, bx, inner, parts..., out, inner, y, n, 2u, nullptr, 0u, nullptr, 0u,
                       0.0f);
            } else {
                launch("qlinear_nf4_forward", tiles, bx, inner, parts..., out, inner, y, n, 2u);
            }
        });
        const Grid grid = few ? warps : tiles;
        launch(few ? "qlinear_q8_vector_8" : "qlinear_q8_forward", grid, bx, inner, codes, scales, out, inner, y8, n, 2u);
        launch(few ? "qlinear_dense_vector_8" : "qlinear_dense_forward", grid, bx, inner, bw, inner, out, inner, y16, n,
               2u);
        compare_sums("y", y.get(), multiply(x, w.effective, n, out, inner), {});
        compare_sums("y of 8 bits", y8.get(), multiply(x, w8.effective, n, out, inner), {});
        compare_sums("y of dense", y16.get(), multiply(x, dense, n, out, inner), {});
    }
});

// One vector of several gives the bits that it gives alone. A dense row ends within a lane's 32 weights.
Test vectors("qlinear", "few rows", [] {
    const u32 out = 40, inner = 2240, dense_inner = 2248, most = 7;
    const Nf4Weight w(1, out, inner, true);
    const Q8Weight w8(2, out, inner);
    const u32 rank = 40;
    const float scale = 0.5f;
    const auto x = bf16_values(3, most * inner), before = bf16_values(4, most * out);
    const auto dense = bf16_values(5, out * dense_inner), dense_x = bf16_values(8, most * dense_inner);
    const auto b = bf16_values(6, out * rank), t = bf16_values(7, most * rank);
    const Halves bx(x), bw(dense), bdx(dense_x), bb(b), bt(t);
    Buffer<i8> codes(w8.codes);
    Buffer<float> scales(w8.scales);
    Reference want[] = {multiply(x, w.effective, most, out, inner), multiply(x, w8.effective, most, out, inner),
                        multiply(dense_x, dense, most, out, dense_inner)};
    const Reference part = multiply(t, b, most, out, rank);
    for (u32 i = 0; i < most * out; ++i) {
        want[0].sums[i] += scale * part.sums[i];
        want[0].sizes[i] += scale * part.sizes[i];
    }
    std::vector<u16> first[3];
    for (u32 n : {1u, 2u, 3u, 7u}) {
        const std::string size = std::to_string(n == 3 ? 4 : n == 7 ? 8 : n);
        // No more than is written, or what memory held before would count as a result.
        const std::vector<float> y_before(before.begin(), before.begin() + n * out);
        Halves y(y_before), y8(n * out), y16(n * out);
        const Grid grid = {div_up(out, n == 7 ? 16 : 32)};
        w.with([&](const auto&... parts) {
            launch(("qlinear_nf4_vector_" + size).c_str(), grid, bx, inner, parts..., out, inner, y, n, 1u, bb, rank, bt,
                   rank, scale);
        });
        launch(("qlinear_q8_vector_" + size).c_str(), grid, bx, inner, codes, scales, out, inner, y8, n, 0u);
        launch(("qlinear_dense_vector_" + size).c_str(), grid, bdx, dense_inner, bw, dense_inner, out, dense_inner, y16, n,
               0u);
        u32 format = 0;
        for (const Halves* buffer : {&y, &y8, &y16}) {
            auto got = buffer->get();
            Reference part = {{want[format].sums.begin(), want[format].sums.begin() + n * out},
                              {want[format].sizes.begin(), want[format].sizes.begin() + n * out}};
            compare_sums("y of format " + std::to_string(format), got, part, format == 0 ? y_before : std::vector<float>());
            if (n == 1) first[format] = got;
            got.resize(out);
            equal_bits("alone and together", got, first[format]);
            ++format;
        }
    }
});

// Several weights in one launch give the bits that they give one by one.
Test together("qlinear", "several weights", [] {
    const u32 inner = 128, most = 5, outs[3] = {88, 40, 24}, ranks[3] = {16, 0, 8};
    const auto x = bf16_values(1, most * inner);
    const Halves bx(x);
    const Nf4Weight weights[3] = {{2, outs[0], inner, true}, {3, outs[1], inner, false}, {4, outs[2], inner, true}};
    const Nf4Weight up(5, outs[0], inner, true);
    const float scale = 0.5f;
    for (u32 n : {1u, 2u, 4u, most}) {
        const std::string size = std::to_string(n == most ? 8 : n);
        const u32 rows = n == most ? 16 : 32;
        Arguments three, gated;
        for (Arguments* arguments : {&three, &gated}) {
            arguments->add(bx);
            arguments->add(inner);
            if (arguments == &gated) arguments->add(outs[0]);
            arguments->add(inner);
            arguments->add(n);
        }
        std::vector<std::unique_ptr<Halves>> kept;
        std::vector<std::vector<u16>> want;
        // The arguments of a part; what the part alone gives.
        const auto add = [&](Arguments& to, const Nf4Weight& weight, u32 seed, u32 out, u32 rank) -> const Halves& {
            const auto b = bf16_values(10 + seed, out * 16), t = bf16_values(20 + seed, n * 16);
            kept.push_back(std::make_unique<Halves>(b));
            const Halves& bb = *kept.back();
            kept.push_back(std::make_unique<Halves>(t));
            const Halves& bt = *kept.back();
            kept.push_back(std::make_unique<Halves>(n * out));
            const Halves& y = *kept.back();
            weight.with([&](const auto&... parts) {
                launch(("qlinear_nf4_vector_" + size).c_str(), {div_up(out, rows)}, bx, inner, parts..., out, inner, y, n,
                       0u, bb, 16u, bt, rank, scale);
                (to.add(parts), ...);
            });
            to.add(bb);
            to.add(16u);
            to.add(bt);
            to.add(rank);
            to.add(scale);
            return y;
        };
        std::vector<std::unique_ptr<Halves>> results;
        for (u32 part = 0; part < 3; ++part) {
            want.push_back(add(three, weights[part], part, outs[part], ranks[part]).get());
            three.add(outs[part]);
            results.push_back(std::make_unique<Halves>(n * outs[part]));
            three.add(*results.back());
        }
        launch_with(("qlinear_nf4_three_vector_" + size).c_str(), {div_up(outs[0], rows), 3}, three);
        for (u32 part = 0; part < 3; ++part) equal_bits("part", results[part]->get(), want[part]);

        const auto gates = widened(add(gated, weights[0], 3, outs[0], 16).get());
        const auto ups = widened(add(gated, up, 4, outs[0], 8).get());
        Halves h(n * outs[0]);
        gated.add(h);
        launch_with(("qlinear_nf4_gated_vector_" + size).c_str(), {div_up(2 * outs[0], rows)}, gated);
        std::vector<double> want_h;
        for (u32 i = 0; i < n * outs[0]; ++i) want_h.push_back(gates[i] / (1.0 + std::exp(-double(gates[i]))) * ups[i]);
        compare_rounded("h", h.get(), want_h, 0, 2e-6);
    }
});

}  // namespace
