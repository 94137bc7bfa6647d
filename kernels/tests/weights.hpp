// Weights in the formats of crates/quant, with what they decode to.
#pragma once

#include "bench.hpp"

struct Nf4Weight {
    Nf4Weight(u64 seed, u32 out, u32 inner, bool doubled);
    std::vector<float> effective;  // bf16(code x absmax)
    Buffer<u8> codes;
    Buffer<float> absmax;
    Buffer<u8> q;
    Buffer<float> map, nested;
    float offset;
    bool doubled;
    // Calls f with the six arguments that kernels take.
    template <class F>
    void with(F f) const {
        if (doubled) {
            f(codes, nullptr, q, map, nested, offset);
        } else {
            f(codes, absmax, nullptr, nullptr, nullptr, 0.0f);
        }
    }

private:
    struct Parts {
        std::vector<u8> codes, q;
        std::vector<float> absmax, map, nested, effective;
        float offset;
    };
    static Parts make(u64 seed, u32 out, u32 inner, bool doubled);
    explicit Nf4Weight(const Parts& parts, bool doubled);
};

// out (n,m) (+)= left (n,k) right (m,k)^T, and the sums of |left right| for the error bound.
struct Reference {
    std::vector<double> sums, sizes;
};
Reference multiply(const std::vector<float>& left, const std::vector<float>& right, u32 n, u32 m, u32 k);
std::vector<float> transposed(const std::vector<float>& from, u32 rows, u32 columns);

// Fails where |got - want| is above what f32 sums in any order of k terms can differ by, and where that,
// rounded once, does not give a bf16.
void compare_sums(const std::string& what, const std::vector<float>& got, const Reference& want,
                  const std::vector<float>& before, double scale = 1.0);
void compare_sums(const std::string& what, const std::vector<u16>& got, const Reference& want,
                  const std::vector<float>& before, double scale = 1.0);
