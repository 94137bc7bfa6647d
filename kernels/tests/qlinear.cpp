// Products against plain loops in f64 on the operands that the kernels see.

#include "weights.hpp"

namespace {

void check_nf4(u32 n, u32 out, u32 inner, bool doubled, u32 add) {
    const Nf4Weight w(1, out, inner, doubled);
    const auto x = values(2, size_t(n) * inner), dy = values(3, size_t(n) * out);
    const auto y_before = rounded(values(4, size_t(n) * out)), dx_before = rounded(values(5, size_t(n) * inner));
    const Half bx(x, n, inner), bdy(dy, n, out);
    Activations y(y_before), dx(dx_before);
    w.with([&](const auto&... parts) {
        launch("qlinear_nf4_forward", {div_up(n, 128), div_up(out, 128)}, bx.values, bx.stride, parts..., out, inner, y,
               n, add);
        launch("qlinear_nf4_backward", {div_up(n, 128), div_up(inner, 128)}, bdy.values, bdy.stride, parts..., out, inner,
               dx, n, add);
    });
    const std::vector<float> none;
    compare_results("y", y.get(), multiply(rounded(x), w.effective, n, out, inner), add ? y_before : none);
    const auto columns = transposed(w.effective, out, inner);
    compare_results("dx", dx.get(), multiply(rounded(dy), columns, n, inner, out), add ? dx_before : none);
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
    check_nf4(37, 70, 64, true, 0);
    check_nf4(130, 129, 192, true, 1);
    check_nf4(5, 33, 128, false, 0);
});

Test eight_bits("qlinear", "8 bits", [] {
    const u32 n = 21, out = 77, inner = 128;
    const Q8Weight w(1, out, inner);
    const auto x = values(2, n * inner), dy = values(3, n * out);
    const Half bx(x, n, inner), bdy(dy, n, out);
    Buffer<i8> codes(w.codes);
    Buffer<float> scales(w.scales), wide(n * out);
    Activations y(n * out), dx(n * inner);
    launch("qlinear_q8_forward", {1, 1}, bx.values, bx.stride, codes, scales, out, inner, y, n, 0u);
    launch("qlinear_q8_forward", {1, 1}, bx.values, bx.stride, codes, scales, out, inner, wide, n, 2u);
    launch("qlinear_q8_backward", {1, 1}, bdy.values, bdy.stride, codes, scales, out, inner, dx, n, 0u);
    compare_results("y", y.get(), multiply(rounded(x), w.effective, n, out, inner), {});
    compare_sums("y in f32", wide.get(), multiply(rounded(x), w.effective, n, out, inner), {});
    compare_results("dx", dx.get(), multiply(rounded(dy), transposed(w.effective, out, inner), n, inner, out), {});
});

Test dense("qlinear", "dense", [] {
    const u32 n = 45, out = 101, inner = 83;
    const auto x = values(2, n * inner), dy = values(3, n * out), w = values(4, out * inner), before = values(5, out * inner);
    const Half bx(x, n, inner), bdy(dy, n, out), bw(w, out, inner);
    Activations y(n * out), dx(n * inner);
    Buffer<float> dw(before);
    launch("qlinear_dense_forward", {1, 1}, bx.values, bx.stride, bw.values, bw.stride, out, inner, y, n, 0u);
    launch("qlinear_dense_backward", {1, 1}, bdy.values, bdy.stride, bw.values, bw.stride, out, inner, dx, n, 0u);
    launch("qlinear_weight_gradient", {1, 1}, bdy.values, bdy.stride, bx.values, bx.stride, dw, out, inner, n);
    const auto rw = rounded(w), rx = rounded(x), rdy = rounded(dy);
    compare_results("y", y.get(), multiply(rx, rw, n, out, inner), {});
    compare_results("dx", dx.get(), multiply(rdy, transposed(rw, out, inner), n, inner, out), {});
    compare_sums("dw", dw.get(), multiply(transposed(rdy, n, out), transposed(rx, n, inner), out, inner, n), before);
});

// One vector of several gives the bits that it gives alone.
Test vectors("qlinear", "few rows", [] {
    const u32 out = 37, inner = 2240, most = 7;
    const Nf4Weight w(1, out, inner, true);
    const Q8Weight w8(2, out, inner);
    const auto x = values(3, most * inner), before = rounded(values(4, most * out)), dense = values(5, out * inner);
    const u32 rank = 33;
    const float scale = 0.5f;
    const auto b = values(6, out * rank), t = values(7, most * rank);
    const Half bx(x, most, inner), bw(dense, out, inner), bb(b, out, rank);
    const Activations bt(t);
    Buffer<i8> codes(w8.codes);
    Buffer<float> scales(w8.scales);
    Reference want[] = {multiply(rounded(x), w.effective, most, out, inner),
                              multiply(rounded(x), w8.effective, most, out, inner),
                              multiply(rounded(x), rounded(dense), most, out, inner)};
    const Reference part = multiply(rounded(t), rounded(b), most, out, rank);
    for (u32 i = 0; i < most * out; ++i) {
        want[0].sums[i] += scale * part.sums[i];
        want[0].sizes[i] += scale * part.sizes[i];
    }
    std::vector<float> first[3];
    for (u32 n : {1u, 2u, 3u, 7u}) {
        const std::string size = std::to_string(n == 3 ? 4 : n == 7 ? 8 : n);
        // Rows behind the n-th are not written.
        const std::vector<float> nothing(most * out);
        Activations y(before), y8(nothing), y16(nothing);
        const Grid grid = {div_up(out, n == 7 ? 16 : 32)};
        w.with([&](const auto&... parts) {
            launch(("qlinear_nf4_vector_" + size).c_str(), grid, bx.values, bx.stride, parts..., out, inner, y, n, 1u,
                   bb.values, bb.stride, bt, rank, scale);
        });
        launch(("qlinear_q8_vector_" + size).c_str(), grid, bx.values, bx.stride, codes, scales, out, inner, y8, n, 0u);
        launch(("qlinear_dense_vector_" + size).c_str(), grid, bx.values, bx.stride, bw.values, bw.stride, out, inner, y16,
               n, 0u);
        u32 format = 0;
        for (const Activations* buffer : {&y, &y8, &y16}) {
            auto got = buffer->get();
            got.resize(n * out);
            Reference part = {{want[format].sums.begin(), want[format].sums.begin() + n * out},
                              {want[format].sizes.begin(), want[format].sizes.begin() + n * out}};
            compare_results("y of format " + std::to_string(format), got, part, format == 0 ? before : std::vector<float>());
            if (n == 1) first[format] = got;
            got.resize(out);
            equal("alone and together", got, first[format]);
            ++format;
        }
    }
});

}  // namespace
