// The instructions of common.cuh by their definition, and the checks of the emulated driver.

#include "weights.hpp"

#include <ctime>

namespace {

void expect(const std::string& what, double got, double want) {
    if (got != want) compare(what, {float(got)}, {want}, 0, 0);
}

Test order("probe", "order, masks, copies", [] {
    Buffer<u32> warp(64), blocks(4), barrier(64);
    Buffer<float> mask(1), place(32);
    std::vector<u8> bytes(512);
    for (u32 i = 0; i < 512; ++i) bytes[i] = u8(i * 11 + 3);
    Buffer<u8> from(bytes), to(512);
    launch("probe_warp", {1}, warp);
    launch("probe_blocks", {4}, blocks);
    launch("probe_barrier", {1}, barrier);
    launch("probe_mask", {1}, mask);
    launch("probe_copy", {1}, from, to);
    launch("probe_place", {1}, place);
    Buffer<u8> pairs(512);
    launch("probe_vector", {1}, from, pairs);
    for (u32 i = 0; i < 512; ++i) {
        const u32 at = i % 16 < 8 ? i / 16 * 8 + i % 16 : i / 16 * 16 + i % 16 - 8;
        expect("vector", pairs.get()[i], bytes[at]);
    }
    for (u32 i = 0; i < 64; ++i) expect("warp", warp.get()[i], i ^ 1);
    for (u32 i = 0; i < 4; ++i) expect("blocks", blocks.get()[i], i);
    expect("mask", mask.get()[0], 120);
    expect("place", place.get()[20], 2);
    // A copy's length is 0 to 16, the rest is zero.
    for (u32 i = 0; i < 512; ++i) expect("copy", to.get()[i], i % 16 < i / 16 % 17 ? bytes[i] : 0);
});

// What was forgotten, or never written, is found when it is read (checked build), and nothing else is.
Test memory("probe", "forgotten bytes", [] {
    Buffer<float> x(std::vector<float>(8, 1.0f)), e(8), l(8);
    Buffer<u32> bits(8);
    must(driver->forget(static_cast<float*>(x.at_) + 5, 4));
    launch("probe_numbers", {1}, x, e, l, bits, 5u);
    expect("findings", std::string(driver->findings()).empty(), 1);
    launch("probe_numbers", {1}, x, e, l, bits, 6u);
    const bool found = std::string(driver->findings()).find("uninitialised read") != std::string::npos;
    expect("found", found, driver->is_checked());
    driver->clear();
});

Test fragments("probe", "fragments", [] {
    std::vector<u16> matrices(256);
    for (u32 i = 0; i < 256; ++i) matrices[i] = u16(uniform(1, i) * 32767);
    Buffer<u32> plain(128), turned(128);
    launch("probe_fragments", {1}, Buffer<u16>(matrices), plain, turned);
    for (u32 lane = 0; lane < 32; ++lane) {
        for (u32 matrix = 0; matrix < 4; ++matrix) {
            const auto at = [&](u32 row, u32 column) { return u32(matrices[(8 * matrix + row) * 8 + column]); };
            const u32 g = lane / 4, t = 2 * (lane % 4);
            expect("plain", plain.get()[lane * 4 + matrix], at(g, t) | at(g, t + 1) << 16);
            expect("turned", turned.get()[lane * 4 + matrix], at(t, g) | at(t + 1, g) << 16);
        }
    }
});

Test multiply_adds("probe", "multiply-add", [] {
    const auto a = rounded(values(1, 256)), b = rounded(values(2, 128)), c = values(3, 128);
    std::vector<u32> left(128), right(64);
    std::vector<float> sums(128), want(128);
    const auto pair = [](float low, float high) { return u32(bf16_bits(low)) | u32(bf16_bits(high)) << 16; };
    for (u32 lane = 0; lane < 32; ++lane) {
        const u32 g = lane / 4, t = 2 * (lane % 4);
        for (u32 i = 0; i < 4; ++i) {
            const u32 at = (g + 8 * (i % 2)) * 16 + t + 8 * (i / 2);
            left[lane * 4 + i] = pair(a[at], a[at + 1]);
            const u32 row = g + 8 * (i / 2), column = t + i % 2;
            sums[lane * 4 + i] = want[lane * 4 + i] = c[row * 8 + column];
            for (u32 k = 0; k < 16; ++k) {
                want[lane * 4 + i] = std::fma(a[row * 16 + k], b[k * 8 + column], want[lane * 4 + i]);
            }
        }
        for (u32 i = 0; i < 2; ++i) right[lane * 2 + i] = pair(b[(t + 8 * i) * 8 + g], b[(t + 8 * i + 1) * 8 + g]);
    }
    Buffer<float> out(sums);
    launch("probe_multiply", {1}, Buffer<u32>(left), Buffer<u32>(right), out);
    equal("c", out.get(), want);
});

Test numbers("probe", "exponential, logarithm, rounding", [] {
    std::vector<float> x;
    for (int i = -870; i < 887; ++i) x.push_back(0.1f * float(i) + 0.0173f);
    // Rounding to bf16: ties, to the even one below and above.
    for (float tie : {1.00390625f, 1.01171875f, -2.5078125f}) x.push_back(tie);
    const u32 n = u32(x.size());
    Buffer<float> e(n), l(n);
    Buffer<u32> packed(n);
    launch("probe_numbers", {1}, Buffer<float>(x), e, l, packed, n);
    std::vector<double> want_e, want_l;
    for (u32 i = 0; i < n; ++i) {
        want_e.push_back(std::exp(double(x[i])));
        want_l.push_back(std::log(std::fabs(double(x[i]))));
        expect("packed", packed.get()[i], u32(bf16_bits(x[i])) | u32(bf16_bits(-x[i])) << 16);
    }
    expect("ties", packed.get()[n - 3] & 0xffff, 0x3f80);
    expect("ties", packed.get()[n - 2] & 0xffff, 0x3f82);
    expect("ties", packed.get()[n - 1] & 0xffff, 0xc020);
    compare("e^x", e.get(), want_e, 0, 2.5e-7);
    compare("ln x", l.get(), want_l, 0, 6.1e-8);
    Buffer<float> far(4), none(4);
    Buffer<u32> bits(4);
    const float infinity = INFINITY;
    launch("probe_numbers", {1}, Buffer<float>(std::vector<float>{-infinity, infinity, 89.0f, -88.0f}), far, none, bits, 4u);
    equal("e^x at its ends", far.get(), {0.0f, infinity, infinity, 0.0f});
    expect("infinity", bits.get()[1], 0xff807f80u);
});

Test time_of("probe", "time", [] {
    const u32 repeats = driver->is_checked() ? 200 : 5000;
    Buffer<float> to(128);
    const std::clock_t start = std::clock();
    launch("probe_time", {1}, to, repeats);
    const double seconds = double(std::clock() - start) / CLOCKS_PER_SEC;
    expect("sum", to.get()[0], 64.0 * repeats);
    printf("%.2f us of processor time per emulated m16n8k16\n", 1e6 * seconds / (16.0 * repeats));
});

}  // namespace
