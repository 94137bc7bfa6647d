//! One backend or another, chosen when a command starts.

use super::*;

/// The host's cores or a device.
pub enum Any {
    /// The host's cores.
    Cpu(Cpu),
    /// A device.
    Cuda(Cuda),
}

macro_rules! each {
    ($any:expr, $backend:ident => $call:expr) => {
        match $any {
            Any::Cpu($backend) => $call,
            Any::Cuda($backend) => $call,
        }
    };
}

impl Any {
    /// Times every op from here on ([`Trace::spent`]), where launches run at once: not on a device.
    pub fn record_times(&mut self) {
        if let Any::Cpu(cpu) = self {
            cpu.record_times();
        }
    }
}

impl Backend for Any {
    fn target(&self) -> Target {
        each!(self, it => it.target())
    }

    fn alloc(&mut self, label: &'static str, space: Space, dtype: DType, len: usize) -> Buf {
        each!(self, it => it.alloc(label, space, dtype, len))
    }

    fn weights(
        &mut self,
        label: &'static str,
        space: Space,
        dtype: DType,
        bytes: &HostBytes,
    ) -> Buf {
        each!(self, it => it.weights(label, space, dtype, bytes))
    }

    fn mark(&self) -> Mark {
        each!(self, it => it.mark())
    }

    fn release(&mut self, mark: Mark) {
        each!(self, it => it.release(mark));
    }

    fn write<T: Element>(&mut self, to: Buf, values: &[T]) {
        each!(self, it => it.write(to, values));
    }

    fn read<T: Element>(&mut self, from: Buf, values: &mut [T]) {
        each!(self, it => it.read(from, values));
    }

    fn copy_out(&mut self, queue: Queue, from: Buf, to: Buf) {
        each!(self, it => it.copy_out(queue, from, to));
    }

    fn copy_in(&mut self, queue: Queue, from: Buf, to: Buf) {
        each!(self, it => it.copy_in(queue, from, to));
    }

    fn record(&mut self, queue: Queue) -> Fence {
        each!(self, it => it.record(queue))
    }

    fn wait(&mut self, queue: Queue, fence: Fence) {
        each!(self, it => it.wait(queue, fence));
    }

    fn wait_host(&mut self, fence: Fence) {
        each!(self, it => it.wait_host(fence));
    }

    fn launch<O: Op>(&mut self, op: O) {
        each!(self, it => it.launch(op));
    }

    fn gather(&mut self) {
        each!(self, it => it.gather());
    }

    fn go(&mut self) {
        each!(self, it => it.go());
    }

    fn host<O: Op>(&mut self, op: O) {
        each!(self, it => it.host(op));
    }

    fn finish(&mut self) -> Result<(), BackendError> {
        each!(self, it => it.finish())
    }

    fn trace(&self) -> &Trace {
        each!(self, it => it.trace())
    }
}
