//! What the rooms' tests share: a backend on any tier with any number of threads, random values,
//! weights in every storage, and two independent oracles.

mod device;
mod oracle;
mod values;
mod weights;

pub(crate) use oracle::{assert_slopes, constant, gradients, leaf, product, values_of};
pub(crate) use values::{assert_close, assert_same_bits, integers, random, rounded, scaled, wide};
pub(crate) use weights::{Stored, storages, weight};

use crate::{Access, Backend, Buf, Cost, Cpu, DType, Element, Isa, Numerics, Op, Size, Space};
use crate::{Device, Launches, Target};
use half::{bf16, f16};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

/// A CPU backend for tests, and the threads that run its ops.
pub(crate) struct Bench {
    pub(crate) cpu: Cpu,
    threads: usize,
}

impl Bench {
    /// The fastest tier and two threads.
    pub(crate) fn new() -> Bench {
        Bench::on(Isa::detect(), 2)
    }

    /// A given tier with one or two threads.
    pub(crate) fn on(isa: Isa, threads: usize) -> Bench {
        let size = Size { device: 64 << 20, pinned: 16 << 20, mapped: 0 };
        Bench { cpu: Cpu::new(Target::cpu(isa, threads), size), threads }
    }

    /// The tier and the threads, for messages.
    pub(crate) fn name(&self) -> String {
        let Device::Cpu { isa, threads } = self.cpu.target().device else { unreachable!() };
        format!("{} with {threads} threads", isa.name())
    }

    /// A device buffer with these values.
    pub(crate) fn put<T: Element>(&mut self, values: &[T]) -> Buf {
        put(&mut self.cpu, values)
    }

    /// A device buffer of f32.
    pub(crate) fn f32(&mut self, values: &[f32]) -> Buf {
        self.put(values)
    }

    /// As [`stored`].
    pub(crate) fn stored(&mut self, dtype: DType, values: &[f32]) -> (Buf, Vec<f32>) {
        stored(&mut self.cpu, dtype, values)
    }

    /// A pinned buffer of f32.
    pub(crate) fn pinned(&mut self, values: &[f32]) -> Buf {
        let buf = self.cpu.alloc("test", Space::Pinned, DType::F32, values.len());
        self.cpu.write(buf, values);
        buf
    }

    /// A zeroed device buffer of f32.
    pub(crate) fn zeros(&mut self, len: usize) -> Buf {
        self.cpu.alloc("test", Space::Device, DType::F32, len)
    }

    /// A device buffer of f32 that holds NaN: what an op overwrites must not depend on it.
    pub(crate) fn garbage(&mut self, len: usize) -> Buf {
        self.f32(&vec![f32::NAN; len])
    }

    /// The values of an f32 buffer.
    pub(crate) fn get(&mut self, buf: Buf) -> Vec<f32> {
        let mut values = vec![0.0; buf.len];
        self.cpu.read(buf, &mut values);
        values
    }

    /// Launches on this bench's threads, over a workspace that holds NaN: no op may count on what is
    /// there.
    pub(crate) fn launch<O: Op + Send>(&mut self, op: O) {
        let words = op.cost(&self.cpu.target()).workspace.div_ceil(4);
        let mark = self.cpu.mark();
        self.garbage(words);
        self.cpu.release(mark);
        let cpu = &mut self.cpu;
        pool(self.threads).install(|| cpu.launch(op));
    }

    /// Asserts that `op` asks for a workspace and cannot do with four bytes less.
    pub(crate) fn assert_workspace_is_exact<O: Op + Send + Copy>(&mut self, op: O) {
        let name = format!("{} on {}", O::NAME, self.name());
        assert!(op.cost(&self.cpu.target()).workspace >= 4, "{name} asks for no workspace");
        self.launch(op);
        let short = catch_unwind(AssertUnwindSafe(|| self.launch(Short(op))));
        assert!(short.is_err(), "{name} asks for more workspace than it needs");
    }
}

/// A device buffer with these values.
pub(crate) fn put<T: Element>(backend: &mut impl Backend, values: &[T]) -> Buf {
    let buf = backend.alloc("test", Space::Device, T::DTYPE, values.len());
    backend.write(buf, values);
    buf
}

/// A device buffer of `dtype`, and the values as they are stored there.
pub(crate) fn stored(backend: &mut impl Backend, dtype: DType, values: &[f32]) -> (Buf, Vec<f32>) {
    match dtype {
        DType::F32 => (put(backend, values), values.to_vec()),
        DType::Bf16 => {
            let values: Vec<bf16> = values.iter().map(|&v| bf16::from_f32(v)).collect();
            (put(backend, &values), values.iter().map(|v| v.to_f32()).collect())
        }
        DType::F16 => {
            let values: Vec<f16> = values.iter().map(|&v| f16::from_f32(v)).collect();
            (put(backend, &values), values.iter().map(|v| v.to_f32()).collect())
        }
        other => panic!("no float type: {other:?}"),
    }
}

/// An op that gets one word of workspace too little.
struct Short<O>(O);

impl<O: Op> Op for Short<O> {
    const NAME: &'static str = O::NAME;

    fn cost(&self, target: &Target) -> Cost {
        let cost = self.0.cost(target);
        Cost { workspace: cost.workspace - 4, ..cost }
    }

    fn cpu(&self, memory: &mut Access<'_>, workspace: Buf) {
        self.0.cpu(memory, workspace);
    }

    fn cuda(&self, on: &mut Launches<'_>, workspace: Buf) {
        self.0.cuda(on, workspace);
    }
}

fn pool(threads: usize) -> &'static ThreadPool {
    static POOLS: LazyLock<[ThreadPool; 2]> = LazyLock::new(|| {
        [1, 2].map(|threads| ThreadPoolBuilder::new().num_threads(threads).build().unwrap())
    });
    &POOLS[threads - 1]
}

/// The tiers of this machine; those that it has not are reported as skipped.
pub(crate) fn tiers() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| {
        if !isa.available() {
            crate::skip::skip(&format!("no {} on this machine", isa.name()));
        }
        isa.available()
    })
}

/// Runs on every tier of this machine with one and with two threads, and asserts what is promised:
/// the same bits for any number of threads, and between tiers the same bits in `f32` numerics and
/// next to the same values in `bf16` (denormals may be flushed or kept). Gives the common result.
pub(crate) fn everywhere<const OUTPUTS: usize>(
    numerics: Numerics,
    run: impl Fn(&mut Bench) -> [Vec<f32>; OUTPUTS],
) -> [Vec<f32>; OUTPUTS] {
    let mut common: Option<[Vec<f32>; OUTPUTS]> = None;
    for isa in tiers() {
        let [one, two] = [1, 2].map(|threads| run(&mut Bench::on(isa, threads)));
        for (index, (one, two)) in one.iter().zip(&two).enumerate() {
            let what = format!("output {index} on {}, one and two threads", isa.name());
            assert!(one.iter().all(|v| v.is_finite()), "{what}: a value is not finite");
            assert_same_bits(&what, one, two);
        }
        for (index, (here, before)) in one.iter().zip(common.iter().flatten()).enumerate() {
            let what = format!("output {index} on {} and the tier before", isa.name());
            match numerics {
                Numerics::F32 => assert_same_bits(&what, here, before),
                _ => assert_close(&what, here, &wide(before), 1e-6),
            }
        }
        common = Some(one);
    }
    common.expect("the scalar tier is always there")
}
