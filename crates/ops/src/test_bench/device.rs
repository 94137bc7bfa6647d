//! Every op on a device beside the CPU: on the emulated device's checked build, or on a GPU where
//! `SREK_DEVICE=nvidia` asks for one, at sizes of real models.
//!
//! A case is written once against [`Backend`]; its values are such as bf16 holds, so that both start
//! from the same. On the device activations are rounded to bf16 where the CPU keeps f32: bounds, not bits.
//! Twice the same launch is the same bits.

mod attention;
mod products;
mod rows;

use crate::test_bench::{assert_close, assert_same_bits, put, rounded, wide};
use crate::test_device::{Turn, on_gpu, test_device};
use crate::{Backend, Buf, Cpu, Cuda, DType, Dry, Isa, Op, Target};
use half::bf16;

/// What rounding activations to bf16 once makes of a result, as relative L2: 2⁻⁹ at most, and a little
/// for sums in another order.
const ONCE: f64 = 3e-3;
/// The same where results go through several roundings.
const SEVERAL: f64 = 1e-2;

/// Launches on any backend.
trait Case {
    /// What it is, for messages.
    fn name(&self) -> String;

    /// Runs it and reads its results.
    fn run<B: Backend>(&self, on: &mut On<'_, B>) -> Vec<Vec<f32>>;
}

/// A backend, with buffers of its type of activations.
struct On<'a, B> {
    backend: &'a mut B,
}

impl<B: Backend> On<'_, B> {
    /// Activations.
    fn values(&mut self, values: &[f32]) -> Buf {
        match self.backend.target().activation() {
            DType::F32 => put(self.backend, &rounded(values)),
            _ => self.half(values),
        }
    }

    /// Activations that an op has to overwrite.
    fn nothing(&mut self, len: usize) -> Buf {
        self.values(&vec![f32::NAN; len])
    }

    /// bf16 on every backend.
    fn half(&mut self, values: &[f32]) -> Buf {
        let values: Vec<bf16> = values.iter().map(|&value| bf16::from_f32(value)).collect();
        put(self.backend, &values)
    }

    /// f32 on every backend.
    fn floats(&mut self, values: &[f32]) -> Buf {
        put(self.backend, values)
    }

    fn numbers(&mut self, values: &[u32]) -> Buf {
        put(self.backend, values)
    }

    /// f32 that hold nothing, on every backend.
    fn garbage(&mut self, len: usize) -> Buf {
        self.floats(&vec![f32::NAN; len])
    }

    fn launch<O: Op>(&mut self, op: O) {
        self.backend.launch(op);
    }

    fn get(&mut self, buf: Buf) -> Vec<f32> {
        if buf.dtype == DType::F32 {
            let mut values = vec![0.0; buf.len];
            self.backend.read(buf, &mut values);
            return values;
        }
        let mut values = vec![bf16::ZERO; buf.len];
        self.backend.read(buf, &mut values);
        values.into_iter().map(bf16::to_f32).collect()
    }
}

/// Numbers of rows: few, odd, and more than a tile has.
fn rows() -> &'static [usize] {
    if on_gpu() { &[1, 3, 8, 9, 512, 2049] } else { &[1, 3, 8, 9, 160] }
}

fn device() -> Option<Turn> {
    test_device("checked")
}

fn planned(case: &impl Case, target: Target) -> Dry {
    let mut dry = Dry::new(target);
    case.run(&mut On { backend: &mut dry });
    dry
}

/// Runs a case on both and compares.
fn agree(case: &impl Case, tolerance: f64) {
    let Some((driver, _turn)) = device() else { return };
    let target = Target::cpu(Isa::detect(), rayon::current_num_threads());
    let mut cpu = Cpu::new(target, planned(case, target).trace().peak);
    let want = case.run(&mut On { backend: &mut cpu });
    let size = planned(case, Target::cuda(driver.sm())).trace().peak;
    let mut cuda = Cuda::new(driver, size).expect("room on the device");
    let mark = cuda.mark();
    let got = case.run(&mut On { backend: &mut cuda });
    cuda.release(mark);
    let again = case.run(&mut On { backend: &mut cuda });
    let name = case.name();
    cuda.finish().unwrap_or_else(|error| panic!("{name}: {error}"));
    for (index, (got, (again, want))) in got.iter().zip(again.iter().zip(&want)).enumerate() {
        let what = format!("{name}, output {index}");
        assert_same_bits(&what, got, again);
        assert_close(&what, got, &wide(want), tolerance);
    }
}
