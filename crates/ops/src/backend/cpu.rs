//! The host's cores: two arenas of host memory, queues that run at once and in order.

use super::dry::place_weights;
use super::*;
use std::cell::Cell;
use std::time::Instant;

/// Runs ops on host memory, inside the bytes of a plan.
pub struct Cpu {
    target: Target,
    isa: Isa,
    trace: Trace,
    fences: u64,
    memory: Memory,
    maps: u32,
}

/// Both arenas and the mapped weights.
pub(super) struct Memory {
    pub(super) device: Region,
    pub(super) pinned: Region,
    pub(super) mapped: Vec<HostBytes>,
}

/// Bytes from which on a region asks for huge pages, of 2 MiB: first touches and the translation of
/// addresses cost a step several per cent otherwise.
const LARGE: usize = 16 << 20;

/// Zeroed host memory, aligned; the system gives pages out as they are touched.
pub(super) struct Region {
    base: *mut u8,
    len: usize,
    /// Owns the memory behind `base`, unless somebody else does; never touched through itself.
    _bytes: Vec<u8>,
}

// SAFETY: the region owns its memory, and only the backend that owns the region reaches it.
unsafe impl Send for Region {}
// SAFETY: shared access goes through `Access`, which hands out no overlapping writable slices.
unsafe impl Sync for Region {}

impl Region {
    pub(super) fn new(len: usize, alignment: usize) -> Region {
        let mut bytes = vec![0_u8; len + alignment];
        let start = bytes.as_ptr().align_offset(alignment);
        let region = &mut bytes[start..start + len];
        let base = region.as_mut_ptr();
        if len >= LARGE {
            // SAFETY: what is initialized may be looked at as if it were not; nothing is written.
            let region = unsafe { std::slice::from_raw_parts_mut(base.cast(), region.len()) };
            quant::cpu::ask_for_huge_pages::<u8>(region);
        }
        Region { base, len, _bytes: bytes }
    }

    /// No memory.
    pub(super) fn empty() -> Region {
        Region::new(0, 1)
    }

    /// Somebody else's memory.
    ///
    /// # Safety
    /// `base` holds `len` bytes that outlive the region and that nobody else touches, but for copies
    /// that the region's owner orders.
    pub(super) unsafe fn borrowed(base: *mut u8, len: usize) -> Region {
        Region { base, len, _bytes: Vec::new() }
    }

    /// The place of `bytes` bytes.
    ///
    /// # Panics
    /// When they leave the region.
    pub(super) fn at(&self, offset: usize, bytes: usize) -> *mut u8 {
        assert!(offset + bytes <= self.len, "buffer outside of its arena");
        // SAFETY: the offset lies inside the region.
        unsafe { self.base.add(offset) }
    }
}

impl Cpu {
    /// A backend with room for exactly `size`, as a [`Dry`] run of the same calls found.
    ///
    /// # Panics
    /// When the target is not a CPU, or its tier is not available here.
    pub fn new(target: Target, size: Size) -> Cpu {
        let Device::Cpu { isa, .. } = target.device else { panic!("not a CPU target: {target:?}") };
        assert!(isa.available(), "tier {} is not available on this machine", isa.name());
        let memory = Memory {
            device: Region::new(size.device, target.alignment),
            pinned: Region::new(size.pinned, target.alignment),
            mapped: Vec::new(),
        };
        Cpu { target, isa, trace: Trace::default(), fences: 0, memory, maps: 0 }
    }

    /// Records every event from here on.
    pub fn record_events(&mut self) {
        self.trace.events = Some(Vec::new());
    }

    /// Times every op from here on, from nothing.
    pub fn record_times(&mut self) {
        self.trace.spent = Some(std::collections::BTreeMap::new());
    }

    fn access(&mut self) -> Access<'_> {
        let Device::Cpu { isa, threads } = self.target.device else {
            unreachable!("checked by new")
        };
        debug_assert_eq!(isa, self.isa);
        Access::new(&self.memory, isa, threads)
    }

    fn check(&self) {
        let peak = self.trace.peak;
        assert!(peak.device <= self.memory.device.len, "the device arena's plan was exceeded");
        assert!(peak.pinned <= self.memory.pinned.len, "the pinned arena's plan was exceeded");
    }

    fn run<O: Op>(&mut self, op: &O) {
        let cost = op.cost(&self.target);
        let workspace = self.trace.launch(&self.target, O::NAME, cost);
        self.check();
        let started = self.trace.spent.is_some().then(Instant::now);
        op.cpu(&mut self.access(), workspace);
        if let (Some(started), Some(spent)) = (started, &mut self.trace.spent) {
            let spent = spent.entry(O::NAME).or_default();
            spent.launches += 1;
            spent.seconds += started.elapsed().as_secs_f64();
            spent.cost.follow(cost);
        }
    }

    fn copy(&mut self, from: Buf, to: Buf) {
        self.trace.copy(from, to);
        let access = self.access();
        access.write_bytes(to).copy_from_slice(access.read_bytes(from));
    }
}

impl Backend for Cpu {
    fn target(&self) -> Target {
        self.target
    }

    fn alloc(&mut self, label: &'static str, space: Space, dtype: DType, len: usize) -> Buf {
        let buf = self.trace.alloc(&self.target, label, space, dtype, len);
        self.check();
        buf
    }

    fn weights(
        &mut self,
        label: &'static str,
        space: Space,
        dtype: DType,
        bytes: &HostBytes,
    ) -> Buf {
        let buf = place_weights(
            &self.target,
            &mut self.trace,
            &mut self.maps,
            (label, space, dtype),
            bytes,
        );
        self.check();
        if let Space::Mapped(_) = buf.space {
            self.memory.mapped.push(bytes.clone());
        } else {
            self.access().write_bytes(buf).copy_from_slice(bytes.bytes());
        }
        buf
    }

    fn mark(&self) -> Mark {
        self.trace.mark()
    }

    fn release(&mut self, mark: Mark) {
        self.trace.release(mark);
    }

    fn write<T: Element>(&mut self, to: Buf, values: &[T]) {
        self.access().write(to)[..values.len()].copy_from_slice(values);
    }

    fn read<T: Element>(&mut self, from: Buf, values: &mut [T]) {
        values.copy_from_slice(&self.access().read(from)[..values.len()]);
    }

    fn copy_out(&mut self, _queue: Queue, from: Buf, to: Buf) {
        assert_eq!(
            (from.space, to.space),
            (Space::Device, Space::Pinned),
            "copy_out goes to pinned memory"
        );
        self.copy(from, to);
    }

    fn copy_in(&mut self, _queue: Queue, from: Buf, to: Buf) {
        assert_eq!(
            (from.space, to.space),
            (Space::Pinned, Space::Device),
            "copy_in comes from pinned memory"
        );
        self.copy(from, to);
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
        self.run(&op);
    }

    fn host<O: Op>(&mut self, op: O) {
        self.run(&op);
    }

    fn finish(&mut self) -> Result<(), BackendError> {
        Ok(())
    }

    fn trace(&self) -> &Trace {
        &self.trace
    }
}

/// Most buffers that one launch may look at.
const TAKEN: usize = 32;

/// A launch's view of host memory. Buffers become slices through it, and it refuses to hand out a
/// writable range that overlaps another one, so that the slices of one launch never alias.
pub struct Access<'m> {
    memory: &'m Memory,
    isa: Isa,
    threads: usize,
    taken: Cell<[Option<Taken>; TAKEN]>,
}

#[derive(Clone, Copy)]
struct Taken {
    space: Space,
    start: usize,
    end: usize,
    writable: bool,
}

impl<'m> Access<'m> {
    pub(super) fn new(memory: &'m Memory, isa: Isa, threads: usize) -> Access<'m> {
        Access { memory, isa, threads, taken: Cell::new([None; TAKEN]) }
    }
}

impl Access<'_> {
    /// Begins a launch that follows within this one: nothing is taken any more.
    pub(crate) fn renew(&mut self) {
        self.taken.set([None; TAKEN]);
    }

    /// The tier to run on.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Threads that workspaces were sized for.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The buffer's elements.
    ///
    /// # Panics
    /// When the type differs, or the range overlaps one that is being written.
    pub fn read<T: Element>(&self, buf: Buf) -> &[T] {
        assert_eq!(buf.dtype, T::DTYPE, "buffer viewed as another type");
        self.typed(self.read_bytes(buf))
    }

    /// The buffer's elements, writable.
    ///
    /// # Panics
    /// When the type differs, the space is read-only, or the range overlaps any other taken one.
    pub fn write<T: Element>(&self, buf: Buf) -> &mut [T] {
        assert_eq!(buf.dtype, T::DTYPE, "buffer viewed as another type");
        bytemuck::cast_slice_mut(self.write_bytes(buf))
    }

    /// The workspace as 4-byte words.
    pub fn scratch(&self, workspace: Buf) -> &mut [f32] {
        let whole = workspace.len / 4 * 4;
        bytemuck::cast_slice_mut(&mut self.write_bytes(workspace)[..whole])
    }

    fn typed<'a, T: Element>(&'a self, bytes: &'a [u8]) -> &'a [T] {
        bytemuck::cast_slice(bytes)
    }

    fn read_bytes(&self, buf: Buf) -> &[u8] {
        self.take(buf, false);
        match buf.space {
            Space::Mapped(index) => {
                &self.memory.mapped[index as usize].bytes()[buf.offset..buf.offset + buf.bytes()]
            }
            // SAFETY: `start` checked the range, and `take` that no writable slice overlaps it.
            _ => unsafe { std::slice::from_raw_parts(self.start(buf), buf.bytes()) },
        }
    }

    #[expect(clippy::mut_from_ref, reason = "`take` proves that the range is handed out once")]
    fn write_bytes(&self, buf: Buf) -> &mut [u8] {
        self.take(buf, true);
        // SAFETY: `start` checked the range, and `take` that no other slice overlaps it.
        unsafe { std::slice::from_raw_parts_mut(self.start(buf), buf.bytes()) }
    }

    fn start(&self, buf: Buf) -> *mut u8 {
        let region = match buf.space {
            Space::Device => &self.memory.device,
            Space::Pinned => &self.memory.pinned,
            Space::Mapped(_) => panic!("mapped weights are read-only"),
        };
        region.at(buf.offset, buf.bytes())
    }

    fn take(&self, buf: Buf, writable: bool) {
        let new =
            Taken { space: buf.space, start: buf.offset, end: buf.offset + buf.bytes(), writable };
        let mut taken = self.taken.get();
        for slot in &mut taken {
            match slot {
                Some(old) => {
                    let apart =
                        old.space != new.space || old.end <= new.start || new.end <= old.start;
                    assert!(
                        apart || !(old.writable || writable),
                        "a launch's buffers overlap: {buf:?}"
                    );
                }
                None => {
                    *slot = Some(new);
                    self.taken.set(taken);
                    return;
                }
            }
        }
        panic!("a launch looks at more than {TAKEN} buffers");
    }
}
