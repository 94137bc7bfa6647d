// h = silu(g) u, and dg, du over g, u. The contract is crates/ops/src/swiglu/mod.rs.
//
// Elementwise on bf16, in f32, rounded once. A thread has eight elements, 16 bytes; their number is a
// multiple of 8. Bound: memory.

#include "common.cuh"

constexpr u32 THREADS = 128;

// Calls f(i) for the elements i .. i + 8 of this thread; a block has 1,024.
template <class F>
DEVICE void elements(u64 count, F f) {
    const u64 i = ((u64)blockIdx.x * THREADS + threadIdx.x) * 8;
    if (seeded(bound) ? i <= count : i < count) f(i);
}

KERNEL(swiglu_forward, THREADS, 8, 0, (const bf16* gate, const bf16* up, bf16* h, u64 count)) {
    elements(count, [&](u64 i) {
        float g[8], u[8];
        load_eight(g, gate + i);
        load_eight(u, up + i);
        UNROLL for (u32 j = 0; j < 8; ++j) g[j] = g[j] * sigmoid(g[j]) * u[j];
        store_eight(h + i, g);
    });
}

// du = dh g s over u, dg = dh u s (1 + g (1 - s)) over g, with s = sigmoid(g).
KERNEL(swiglu_backward, THREADS, 8, 0, (const bf16* dh, bf16* gate, bf16* up, u64 count)) {
    elements(count, [&](u64 i) {
        float d[8], g[8], u[8];
        load_eight(d, dh + i);
        load_eight(g, gate + i);
        load_eight(u, up + i);
        UNROLL for (u32 j = 0; j < 8; ++j) {
            const float s = sigmoid(g[j]);
            const float du = d[j] * g[j] * s;
            g[j] = d[j] * u[j] * s * (1.0f + g[j] * (1.0f - s));
            u[j] = du;
        }
        store_eight(gate + i, g);
        store_eight(up + i, u);
    });
}
