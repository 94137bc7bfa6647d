//! What the rooms' tests share: a backend with room enough, and buffers made from values.

use crate::{Backend, Buf, Cpu, DType, Element, Isa, Size, Space, Target};

/// A CPU backend for tests.
pub(crate) struct Bench {
    pub(crate) cpu: Cpu,
}

impl Bench {
    /// The fastest tier, as many threads as the pool has.
    pub(crate) fn new() -> Bench {
        Bench::on(Isa::detect())
    }

    /// A given tier.
    pub(crate) fn on(isa: Isa) -> Bench {
        let target = Target::cpu(isa, rayon::current_num_threads());
        let size = Size { device: 256 << 20, pinned: 16 << 20, mapped: 0 };
        Bench { cpu: Cpu::new(target, size) }
    }

    /// A device buffer with these values.
    pub(crate) fn put<T: Element>(&mut self, values: &[T]) -> Buf {
        let buf = self.cpu.alloc("test", Space::Device, T::DTYPE, values.len());
        self.cpu.write(buf, values);
        buf
    }

    /// A device buffer of f32.
    pub(crate) fn f32(&mut self, values: &[f32]) -> Buf {
        self.put(values)
    }

    /// A zeroed device buffer of f32.
    pub(crate) fn zeros(&mut self, len: usize) -> Buf {
        self.cpu.alloc("test", Space::Device, DType::F32, len)
    }

    /// The values of an f32 buffer.
    pub(crate) fn get(&mut self, buf: Buf) -> Vec<f32> {
        let mut values = vec![0.0; buf.len];
        self.cpu.read(buf, &mut values);
        values
    }
}
