//! Four-bit and eight-bit block formats and the matrix products that run on them.
//!
//! Slices in, slices out: this crate knows bytes, not tensors, and does no IO. The products promise
//! bits: every output is summed over `k` in the one order that [`gemm`](mod@gemm) documents, whatever the
//! batch size, the blocking or the number of threads.

pub mod cpu;
pub mod double_quant;
mod error;
pub mod gemm;
pub mod ggml;
pub mod nf4;
pub mod peak;
pub mod q8;

pub use cpu::Isa;
pub use error::Error;
pub use gemm::{Numerics, gemm};

#[cfg(test)]
mod golden;
#[cfg(test)]
#[path = "../../../tests/skip.rs"]
mod skip;
