//! A backend that takes the time of another one's launches, by op group, and changes no bit.

use ops::backend::{BackendError, Mark};
use ops::{Backend, Buf, DType, Element, Fence, HostBytes, Op, Queue, Space, Target, Trace};
use std::time::Instant;

/// Most groups; there are fewer op rooms.
const GROUPS: usize = 24;

/// Wall time by op group: the part of an op's name before the dot, and `copy` for all traffic between
/// host and device. A table of fixed size, so that counting allocates nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    groups: [(&'static str, f64); GROUPS],
    used: usize,
}

impl Times {
    fn add(&mut self, group: &'static str, seconds: f64) {
        let known = self.groups[..self.used].iter_mut().find(|(name, _)| *name == group);
        match known {
            Some((_, total)) => *total += seconds,
            None => {
                assert!(self.used < GROUPS, "more op groups than the table holds");
                self.groups[self.used] = (group, seconds);
                self.used += 1;
            }
        }
    }

    /// (group, seconds) in the order of first use.
    pub fn groups(&self) -> &[(&'static str, f64)] {
        &self.groups[..self.used]
    }
}

/// Wraps a backend. On one that launches asynchronously the times are those of the launching thread.
#[derive(Debug)]
pub struct Timed<'a, B> {
    inner: &'a mut B,
    times: Times,
}

impl<'a, B: Backend> Timed<'a, B> {
    /// Starts with nothing counted.
    pub fn new(inner: &'a mut B) -> Self {
        Timed { inner, times: Times::default() }
    }

    /// What was counted since the last call; starts anew.
    pub fn take(&mut self) -> Times {
        std::mem::take(&mut self.times)
    }

    fn timed<R>(&mut self, group: &'static str, work: impl FnOnce(&mut B) -> R) -> R {
        let start = Instant::now();
        let result = work(self.inner);
        self.times.add(group, start.elapsed().as_secs_f64());
        result
    }
}

/// The room of an op.
fn group(name: &'static str) -> &'static str {
    name.split_once('.').map_or(name, |(room, _)| room)
}

impl<B: Backend> Backend for Timed<'_, B> {
    fn target(&self) -> Target {
        self.inner.target()
    }

    fn alloc(&mut self, label: &'static str, space: Space, dtype: DType, len: usize) -> Buf {
        self.inner.alloc(label, space, dtype, len)
    }

    fn weights(
        &mut self,
        label: &'static str,
        space: Space,
        dtype: DType,
        bytes: &HostBytes,
    ) -> Buf {
        self.inner.weights(label, space, dtype, bytes)
    }

    fn mark(&self) -> Mark {
        self.inner.mark()
    }

    fn release(&mut self, mark: Mark) {
        self.inner.release(mark);
    }

    fn write<T: Element>(&mut self, to: Buf, values: &[T]) {
        self.timed("copy", |inner| inner.write(to, values));
    }

    fn read<T: Element>(&mut self, from: Buf, values: &mut [T]) {
        self.timed("copy", |inner| inner.read(from, values));
    }

    fn copy_out(&mut self, queue: Queue, from: Buf, to: Buf) {
        self.timed("copy", |inner| inner.copy_out(queue, from, to));
    }

    fn copy_in(&mut self, queue: Queue, from: Buf, to: Buf) {
        self.timed("copy", |inner| inner.copy_in(queue, from, to));
    }

    fn record(&mut self, queue: Queue) -> Fence {
        self.inner.record(queue)
    }

    fn wait(&mut self, queue: Queue, fence: Fence) {
        self.inner.wait(queue, fence);
    }

    fn wait_host(&mut self, fence: Fence) {
        self.timed("copy", |inner| inner.wait_host(fence));
    }

    fn launch<O: Op>(&mut self, op: O) {
        self.timed(group(O::NAME), |inner| inner.launch(op));
    }

    fn host<O: Op>(&mut self, op: O) {
        self.timed(group(O::NAME), |inner| inner.host(op));
    }

    fn gather(&mut self) {
        self.inner.gather();
    }

    fn go(&mut self) {
        self.inner.go();
    }

    fn finish(&mut self) -> Result<(), BackendError> {
        self.inner.finish()
    }

    fn trace(&self) -> &Trace {
        self.inner.trace()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ops::{Cpu, Dry, Isa, residual};

    fn program<B: Backend>(backend: &mut B) {
        let [a, b] = ["a", "b"].map(|l| backend.alloc(l, Space::Device, DType::F32, 3));
        backend.write(a, &[1.0_f32, 2.0, 3.0]);
        backend.launch(residual::Copy { from: a, to: b });
        backend.launch(residual::Zero { to: a });
        let mut values = [0.0_f32; 3];
        backend.read(b, &mut values);
    }

    #[test]
    fn launches_are_counted_by_room_and_pass_through_unchanged() {
        let target = Target::cpu(Isa::detect(), 1);
        let mut dry = Dry::new(target);
        dry.record_events();
        program(&mut dry);
        let mut cpu = Cpu::new(target, dry.trace().peak);
        cpu.record_events();
        let mut timed = Timed::new(&mut cpu);
        program(&mut timed);
        let times = timed.take();
        let names: Vec<&str> = times.groups().iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["copy", "residual"]);
        assert!(times.groups().iter().all(|(_, seconds)| *seconds > 0.0));
        assert!(timed.take().groups().is_empty(), "taking starts anew");
        assert_eq!(cpu.trace().events, dry.trace().events);
    }
}
