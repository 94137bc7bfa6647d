//! Backends and the ops that run on them.
//!
//! A backend is memory, two queues and the launch of an op; an op is a room of this crate: its
//! contract and price in `mod.rs`, its CPU version in `cpu.rs`, its launches on a device in `cuda.rs`, its
//! tests beside them. Where a room says f32 of activations and their gradients, that is the CPU: on a
//! device they are bf16 ([`Target::activation`]). The model code
//! above is written once against [`Backend`]: run on [`Dry`] it is the plan, run on [`Cpu`] it is the
//! program.

pub mod adamw;
pub mod attention;
pub mod backend;
pub mod embed;
pub mod linear_cross_entropy;
pub mod lora;
pub mod math;
pub mod qlinear;
pub mod residual;
pub mod rms_norm;
pub mod rope;
pub mod swiglu;

#[cfg(test)]
extern crate self as ops;

#[cfg(test)]
#[path = "../../../tests/skip.rs"]
mod skip;
#[cfg(test)]
mod test_bench;
#[cfg(test)]
#[path = "../../../tests/test_device.rs"]
mod test_device;

pub use backend::{
    Access, Any, Backend, Buf, Cost, Cpu, Cuda, DType, Device, Dry, Element, Event, Fence,
    HostBytes, Launches, Op, Queue, Size, Space, Spent, Target, Trace,
};
pub use quant::{Isa, Numerics};
