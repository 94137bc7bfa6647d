//! A CUDA device, or its emulation: one allocation for the arena, pinned host memory, and launches of the
//! kernels in `kernels/`.
//!
//! The first failure is kept and everything after it left out, until [`Backend::finish`] reports it: a
//! device that failed once says nothing true any more.

mod driver;
mod emulated;
mod gpu;
mod images;
mod nvidia;
mod nvml;

pub use driver::{Argument, Driver, DriverError, Memory as DeviceMemory, Work};
pub use emulated::Emulated;
pub use gpu::{Gpu, gpus};
pub use nvidia::Nvidia;

use super::cpu::{Memory, Region};
use super::dry::place_weights;
use super::*;
use quant::{Isa, Numerics};

/// Alignment of buffers, in bytes: what copies and vector loads want.
pub const ALIGNMENT: usize = 256;

/// Runs ops on a device, inside the bytes of a plan.
pub struct Cuda {
    driver: Box<dyn Driver>,
    target: Target,
    trace: Trace,
    maps: u32,
    size: Size,
    /// Where the arena begins on the device.
    base: u64,
    /// The pinned arena, for ops on the host.
    host: Memory,
    /// What of the arena has been in use: below, a new buffer stands where another one stood.
    used: usize,
    /// Launches that are to go together.
    gathered: Option<Vec<Work>>,
    failed: Option<(&'static str, DriverError)>,
}

impl Target {
    /// A GPU of this compute capability, 86 for 8.6.
    pub fn cuda(sm: u32) -> Target {
        Target { device: Device::Cuda { sm }, alignment: ALIGNMENT }
    }
}

impl Cuda {
    /// A backend with room for exactly `size`, as a [`Dry`] run of the same calls found.
    ///
    /// # Errors
    /// When the device or the host has no room.
    pub fn new(mut driver: Box<dyn Driver>, size: Size) -> Result<Cuda, BackendError> {
        let target = Target::cuda(driver.sm());
        let none = |error| reported("allocation", error);
        let base = driver.allocate(size.device.max(1)).map_err(none)?;
        let pinned = driver.allocate_pinned(size.pinned.max(1)).map_err(none)?;
        // SAFETY: the driver's memory holds these bytes, zeroed, and stays as long as the driver, which
        // this backend owns beside it.
        let pinned = unsafe { Region::borrowed(pinned, size.pinned) };
        let host = Memory { device: Region::empty(), pinned, mapped: Vec::new() };
        let (trace, failed) = (Trace::default(), None);
        let (maps, used, gathered) = (0, 0, None);
        Ok(Cuda { driver, target, trace, maps, size, base, host, used, gathered, failed })
    }

    /// Records every event from here on.
    pub fn record_events(&mut self) {
        self.trace.events = Some(Vec::new());
    }

    /// Does something on the device, at once, unless it has failed before.
    fn attempt<T>(
        &mut self,
        op: &'static str,
        what: impl FnOnce(&mut dyn Driver) -> driver::Result<T>,
    ) -> Option<T> {
        assert!(self.gathered.is_none(), "{op}: only launches go together");
        if self.failed.is_some() {
            return None;
        }
        match what(&mut *self.driver) {
            Ok(value) => Some(value),
            Err(error) => {
                self.failed = Some((op, error));
                None
            }
        }
    }

    /// Does something on the compute queue, or gathers it with what it goes together with.
    fn work(&mut self, op: &'static str, work: Work) {
        match &mut self.gathered {
            Some(gathered) => gathered.push(work),
            None => _ = self.attempt(op, |driver| driver.run(vec![work])),
        }
    }

    fn address(&self, buf: Buf) -> u64 {
        assert!(buf.space == Space::Device, "a kernel looks at {:?}", buf.space);
        assert!(buf.offset + buf.bytes() <= self.size.device, "buffer outside of the arena");
        self.base + buf.offset as u64
    }

    fn check(&self) {
        let peak = self.trace.peak;
        assert!(peak.device <= self.size.device, "the device arena's plan was exceeded");
        assert!(peak.pinned <= self.size.pinned, "the pinned arena's plan was exceeded");
    }

    /// Marks a range of the arena as somebody else's from now on.
    fn renew(&mut self, buf: Buf) {
        let (start, end) = (buf.offset, buf.offset + buf.bytes());
        let stale = end.min(self.used).saturating_sub(start);
        self.used = self.used.max(end);
        if stale > 0 {
            self.work("allocation", Work::Forget { at: self.base + start as u64, bytes: stale });
        }
    }

    fn access(&mut self) -> Access<'_> {
        Access::new(&self.host, Isa::detect(), rayon::current_num_threads())
    }

    /// Copies from the host and waits for it.
    fn upload(&mut self, to: Buf, bytes: &[u8]) {
        assert!(bytes.len() <= to.bytes(), "write does not fit the buffer");
        let at = self.address(to);
        self.attempt("copy", |driver| {
            // SAFETY: `bytes` outlives the wait.
            unsafe { driver.copy_in(Queue::Compute, at, bytes.as_ptr(), bytes.len()) }?;
            let copied = driver.record(Queue::Compute)?;
            driver.wait_host(copied)
        });
    }

    /// The first byte of a pinned buffer.
    fn pinned(&self, buf: Buf) -> *mut u8 {
        assert!(buf.space == Space::Pinned, "copies go between device and pinned memory");
        self.host.pinned.at(buf.offset, buf.bytes())
    }
}

fn reported(op: &'static str, error: DriverError) -> BackendError {
    BackendError { backend: "cuda", op, message: error.0 }
}

/// A launch's view of the device.
pub struct Launches<'a> {
    cuda: &'a mut Cuda,
    op: &'static str,
}

impl Launches<'_> {
    /// The address of a device buffer, as an argument.
    ///
    /// # Panics
    /// When it is not on the device.
    pub fn at(&self, buf: Buf) -> Argument {
        Argument::Pointer(self.cuda.address(buf), buf.bytes() as u64)
    }

    /// The same where it may be in the host's memory, which kernels see under the same address.
    pub fn anywhere(&self, buf: Buf) -> Argument {
        match buf.space {
            Space::Pinned => Argument::Pointer(self.cuda.pinned(buf) as u64, buf.bytes() as u64),
            _ => self.at(buf),
        }
    }

    /// The same where there may be none.
    pub fn at_or_null(&self, buf: Option<Buf>) -> Argument {
        buf.map_or(Argument::Pointer(0, 0), |buf| self.at(buf))
    }

    /// Launches a kernel.
    pub fn launch(&mut self, kernel: &str, grid: [usize; 3], arguments: &[Argument]) {
        let (grid, arguments) = (grid.map(|size| size as u32), arguments.to_vec());
        self.cuda.work(self.op, Work::Launch { kernel: kernel.to_owned(), grid, arguments });
    }

    /// Whether there are kernels for these numerics; refused where there are none, since they would take
    /// f32 for bf16.
    pub fn takes(&mut self, numerics: Numerics) -> bool {
        let is_known = numerics == Numerics::Bf16;
        if !is_known {
            self.refuse(format!(
                "there are no kernels for {} numerics\nhint: numerics = \"bf16\", or without --gpu",
                numerics.name()
            ));
        }
        is_known
    }

    /// Refuses what there is no kernel for.
    pub fn refuse(&mut self, problem: String) {
        self.cuda.failed.get_or_insert((self.op, DriverError(problem)));
    }
}

/// What kernels over floats of this type are called at their end.
///
/// # Panics
/// For other types.
pub(crate) fn float_suffix(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "f32",
        DType::Bf16 => "bf16",
        DType::F16 => "f16",
        other => panic!("no float type: {other:?}"),
    }
}

/// Tiles of `size` that cover `count`.
pub(crate) fn tiles(count: usize, size: usize) -> usize {
    count.div_ceil(size)
}

impl Backend for Cuda {
    fn target(&self) -> Target {
        self.target
    }

    fn alloc(&mut self, label: &'static str, space: Space, dtype: DType, len: usize) -> Buf {
        let buf = self.trace.alloc(&self.target, label, space, dtype, len);
        self.check();
        if space == Space::Device {
            self.renew(buf);
        }
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
        if space == Space::Device {
            self.renew(buf);
            self.upload(buf, bytes.bytes());
            return buf;
        }
        self.access()
            .write::<u8>(Buf { dtype: DType::U8, len: buf.bytes(), ..buf })
            .copy_from_slice(bytes.bytes());
        let at = self.pinned(buf) as u64;
        self.attempt("weights", |driver| driver.publish(at, buf.bytes()));
        buf
    }

    fn mark(&self) -> Mark {
        self.trace.mark()
    }

    fn release(&mut self, mark: Mark) {
        self.trace.release(mark);
    }

    fn write<T: Element>(&mut self, to: Buf, values: &[T]) {
        assert_eq!(to.dtype, T::DTYPE, "buffer viewed as another type");
        match to.space {
            Space::Pinned => self.access().write(to)[..values.len()].copy_from_slice(values),
            _ => self.upload(to, bytemuck::cast_slice(values)),
        }
    }

    fn read<T: Element>(&mut self, from: Buf, values: &mut [T]) {
        assert_eq!(from.dtype, T::DTYPE, "buffer viewed as another type");
        if from.space == Space::Pinned {
            values.copy_from_slice(&self.access().read(from)[..values.len()]);
            return;
        }
        let at = self.address(from);
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(values);
        assert!(bytes.len() <= from.bytes(), "read does not fit the buffer");
        let done = self.attempt("copy", |driver| {
            // SAFETY: `bytes` outlives the wait, and nobody else sees it.
            unsafe { driver.copy_out(Queue::Compute, bytes.as_mut_ptr(), at, bytes.len()) }?;
            let copied = driver.record(Queue::Compute)?;
            driver.wait_host(copied)
        });
        if done.is_none() {
            values.fill(T::zeroed());
        }
    }

    fn copy_out(&mut self, queue: Queue, from: Buf, to: Buf) {
        self.trace.copy(from, to);
        let (at, host) = (self.address(from), self.pinned(to));
        self.attempt("copy", |driver| {
            // SAFETY: pinned memory lives as long as the driver, and is read only behind a fence that
            // waited for this copy.
            unsafe { driver.copy_out(queue, host, at, from.bytes()) }
        });
    }

    fn copy_in(&mut self, queue: Queue, from: Buf, to: Buf) {
        self.trace.copy(from, to);
        let (at, host) = (self.address(to), self.pinned(from));
        self.attempt("copy", |driver| {
            // SAFETY: pinned memory lives as long as the driver, and is written again only behind a
            // fence that waited for this copy.
            unsafe { driver.copy_in(queue, at, host, from.bytes()) }
        });
    }

    fn record(&mut self, queue: Queue) -> Fence {
        Fence(self.attempt("fence", |driver| driver.record(queue)).unwrap_or(0))
    }

    fn wait(&mut self, queue: Queue, fence: Fence) {
        self.attempt("fence", |driver| driver.wait(queue, fence.0));
    }

    fn wait_host(&mut self, fence: Fence) {
        self.attempt("fence", |driver| driver.wait_host(fence.0));
    }

    fn launch<O: Op>(&mut self, op: O) {
        let cost = op.cost(&self.target);
        let workspace = self.trace.launch(&self.target, O::NAME, cost);
        self.check();
        self.renew(workspace);
        op.cuda(&mut Launches { cuda: self, op: O::NAME }, workspace);
    }

    fn gather(&mut self) {
        assert!(self.gathered.is_none(), "gathering within gathering");
        self.gathered = Some(Vec::new());
    }

    fn go(&mut self) {
        if let Some(gathered) = self.gathered.take() {
            self.attempt("launch", |driver| driver.run(gathered));
        }
    }

    fn host<O: Op>(&mut self, op: O) {
        let cost = op.cost(&self.target);
        let workspace = self.trace.launch(&self.target, O::NAME, cost);
        assert_eq!(cost.workspace, 0, "ops on the host have no workspace on the device");
        op.cpu(&mut self.access(), workspace);
    }

    fn finish(&mut self) -> Result<(), BackendError> {
        if let Some((op, error)) = &self.failed {
            return Err(reported(op, error.clone()));
        }
        self.driver.finish().map_err(|error| reported("finish", error))
    }

    fn trace(&self) -> &Trace {
        &self.trace
    }
}
