// h = silu(g) u, and dg, du over g, u. The contract is crates/ops/src/swiglu/mod.rs.
//
// Elementwise on bf16; a thread has four elements, 256 apart, so that four loads are under way. Bound: memory.

#include "common.cuh"

constexpr u32 THREADS = 256;
constexpr u32 EACH = 4;

// Calls f(i) for the elements of this thread.
template <class F>
DEVICE void elements(u64 count, F f) {
    const u64 start = (u64)blockIdx.x * (THREADS * EACH) + threadIdx.x;
    UNROLL for (u32 j = 0; j < EACH; ++j) {
        const u64 i = start + j * THREADS;
        if (seeded(bound) ? i <= count : i < count) f(i);
    }
}

KERNEL(swiglu_forward, THREADS, 4, 0, (const bf16* gate, const bf16* up, bf16* h, u64 count)) {
    elements(count, [&](u64 i) {
        const float g = widen(gate[i]);
        h[i] = to_bf16(g * sigmoid(g) * widen(up[i]));
    });
}

// du = dh g s over u, dg = dh u s (1 + g (1 - s)) over g, with s = sigmoid(g).
KERNEL(swiglu_backward, THREADS, 4, 0, (const bf16* dh, bf16* gate, bf16* up, u64 count)) {
    elements(count, [&](u64 i) {
        const float g = widen(gate[i]), u = widen(up[i]), d = widen(dh[i]);
        const float s = sigmoid(g);
        gate[i] = to_bf16(d * u * s * (1.0f + g * (1.0f - s)));
        up[i] = to_bf16(d * g * s);
    });
}
