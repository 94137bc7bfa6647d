//! The backend that only counts: the planner is the model code run on this.

use super::*;

/// Counts bytes and prices for a target; executes nothing.
#[derive(Debug)]
pub struct Dry {
    target: Target,
    trace: Trace,
    fences: u64,
    maps: u32,
}

impl Dry {
    /// An empty plan for `target`.
    pub fn new(target: Target) -> Dry {
        Dry { target, trace: Trace::default(), fences: 0, maps: 0 }
    }

    /// Records every event from here on.
    pub fn record_events(&mut self) {
        self.trace.events = Some(Vec::new());
    }
}

impl Backend for Dry {
    fn target(&self) -> Target {
        self.target
    }

    fn alloc(&mut self, label: &'static str, space: Space, dtype: DType, len: usize) -> Buf {
        self.trace.alloc(&self.target, label, space, dtype, len)
    }

    fn weights(
        &mut self,
        label: &'static str,
        space: Space,
        dtype: DType,
        bytes: &HostBytes,
    ) -> Buf {
        place_weights(&self.target, &mut self.trace, &mut self.maps, (label, space, dtype), bytes)
    }

    fn mark(&self) -> Mark {
        self.trace.mark()
    }

    fn release(&mut self, mark: Mark) {
        self.trace.release(mark);
    }

    fn write<T: Element>(&mut self, to: Buf, values: &[T]) {
        assert!(to.dtype == T::DTYPE && values.len() <= to.len, "write does not fit the buffer");
    }

    fn read<T: Element>(&mut self, from: Buf, values: &mut [T]) {
        assert!(from.dtype == T::DTYPE && values.len() <= from.len, "read does not fit the buffer");
        values.fill(T::zeroed());
    }

    fn copy_out(&mut self, _queue: Queue, from: Buf, to: Buf) {
        self.trace.copy(from, to);
    }

    fn copy_in(&mut self, _queue: Queue, from: Buf, to: Buf) {
        self.trace.copy(from, to);
    }

    fn record(&mut self, _queue: Queue) -> Fence {
        self.fences += 1;
        Fence(self.fences)
    }

    fn wait(&mut self, _queue: Queue, fence: Fence) {
        assert!(fence.0 <= self.fences, "a fence of another backend");
    }

    fn wait_host(&mut self, fence: Fence) {
        assert!(fence.0 <= self.fences, "a fence of another backend");
    }

    fn launch<O: Op>(&mut self, op: O) {
        let cost = op.cost(&self.target);
        self.trace.launch(&self.target, O::NAME, cost);
    }

    fn host<O: Op>(&mut self, op: O) {
        self.launch(op);
    }

    fn finish(&mut self) -> Result<(), BackendError> {
        Ok(())
    }

    fn trace(&self) -> &Trace {
        &self.trace
    }
}

/// Weights are used in place on the CPU when the file happens to align them for their type, and take
/// arena space otherwise; Dry and the backend must decide alike.
pub(super) fn place_weights(
    target: &Target,
    trace: &mut Trace,
    maps: &mut u32,
    (label, space, dtype): (&'static str, Space, DType),
    bytes: &HostBytes,
) -> Buf {
    let bytes = bytes.bytes();
    assert!(bytes.len().is_multiple_of(dtype.size()), "weights do not divide into elements");
    let len = bytes.len() / dtype.size();
    let in_place = matches!(target.device, Device::Cpu { .. })
        && bytes.as_ptr().addr().is_multiple_of(dtype.size());
    if !in_place {
        return trace.alloc(target, label, space, dtype, len);
    }
    let buf = Buf { space: Space::Mapped(*maps), dtype, offset: 0, len };
    *maps += 1;
    trace.mapped(label, buf);
    buf
}
