//! What a CUDA backend asks of a driver: memory, copies, launches, events.
//!
//! There is one for real devices and one that emulates a device on the host (`emulated.rs`). Kernels are
//! named; a driver knows their threads, shared memory and parameters, and refuses arguments that do not
//! fit them.

use super::super::Queue;
use std::fmt::Write;

/// A kernel's argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Argument {
    /// The address of a buffer of so many bytes; (0, 0) is no buffer.
    Pointer(u64, u64),
    /// A 32-bit number.
    U32(u32),
    /// A 64-bit number.
    U64(u64),
    /// A float.
    F32(f32),
}

impl Argument {
    /// Its size among a kernel's parameters, in bytes.
    pub fn size(self) -> u32 {
        match self {
            Argument::Pointer(..) | Argument::U64(_) => 8,
            Argument::U32(_) | Argument::F32(_) => 4,
        }
    }

    /// Its bytes, as a parameter holds them.
    pub fn bytes(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        match self {
            Argument::Pointer(value, _) | Argument::U64(value) => bytes = value.to_ne_bytes(),
            Argument::U32(value) => bytes[..4].copy_from_slice(&value.to_ne_bytes()),
            Argument::F32(value) => bytes[..4].copy_from_slice(&value.to_ne_bytes()),
        }
        bytes
    }
}

/// What a device or its driver reports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DriverError(pub String);

/// Result of a driver's call.
pub(super) type Result<T> = std::result::Result<T, DriverError>;

/// A device's memory beside its context, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Nobody holds it.
    pub free: usize,
    /// All of it.
    pub total: usize,
}

/// Something for the compute queue.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// A kernel.
    Launch {
        /// Its name.
        kernel: String,
        /// Blocks in each direction.
        grid: [u32; 3],
        /// In the order of its parameters.
        arguments: Vec<Argument>,
    },
    /// As [`Driver::forget`].
    Forget {
        /// The first byte.
        at: u64,
        /// How many.
        bytes: usize,
    },
}

/// A device and its two queues. Work of a queue runs in order; what is asked for may run later.
pub trait Driver: Send + Sync {
    /// A name for messages.
    fn name(&self) -> &str;

    /// Compute capability, 86 for 8.6.
    fn sm(&self) -> u32;

    /// The device's memory; none where nobody counts it.
    ///
    /// # Errors
    /// When the device has failed.
    fn memory(&self) -> Result<Option<Memory>>;

    /// Device memory, zeroed; it stays until the driver goes.
    ///
    /// # Errors
    /// When there is no room.
    fn allocate(&mut self, bytes: usize) -> Result<u64>;

    /// Host memory that both queues copy from and to, and kernels may read, zeroed; it stays until the driver goes.
    ///
    /// # Errors
    /// When there is no room.
    fn allocate_pinned(&mut self, bytes: usize) -> Result<*mut u8>;

    /// The host wrote into a range of pinned memory what kernels will read there. Only drivers that check
    /// take notice.
    ///
    /// # Errors
    /// When the range is none of pinned memory.
    fn publish(&mut self, at: u64, bytes: usize) -> Result<()>;

    /// Copies from the host.
    ///
    /// # Errors
    /// When the range is none of the device, or the device has failed.
    ///
    /// # Safety
    /// `from` holds `bytes` readable bytes that nobody changes until the queue is done with the copy.
    unsafe fn copy_in(
        &mut self,
        queue: Queue,
        to: u64,
        from: *const u8,
        bytes: usize,
    ) -> Result<()>;

    /// Copies to the host.
    ///
    /// # Errors
    /// As [`Driver::copy_in`].
    ///
    /// # Safety
    /// `to` holds `bytes` writable bytes that nobody looks at until the queue is done with the copy.
    unsafe fn copy_out(&mut self, queue: Queue, to: *mut u8, from: u64, bytes: usize)
    -> Result<()>;

    /// Launches a kernel on the compute queue.
    ///
    /// # Errors
    /// A kernel that there is not, a grid or arguments that do not fit it, or what it did wrong.
    fn launch(&mut self, kernel: &str, grid: [u32; 3], arguments: &[Argument]) -> Result<()>;

    /// Does work in its order. The same work may come again, and often does: a driver may keep what makes
    /// it cheaper.
    ///
    /// # Errors
    /// As [`Driver::launch`].
    fn run(&mut self, work: Vec<Work>) -> Result<()> {
        work.into_iter().try_for_each(|work| match work {
            Work::Launch { kernel, grid, arguments } => self.launch(&kernel, grid, &arguments),
            Work::Forget { at, bytes } => self.forget(at, bytes),
        })
    }

    /// The point that a queue has reached when all its work so far is done.
    ///
    /// # Errors
    /// When the device has failed.
    fn record(&mut self, queue: Queue) -> Result<u64>;

    /// Lets a queue go on only after a point.
    ///
    /// # Errors
    /// When the device has failed.
    fn wait(&mut self, queue: Queue, point: u64) -> Result<()>;

    /// Waits on the host for a point.
    ///
    /// # Errors
    /// When the device has failed.
    fn wait_host(&mut self, point: u64) -> Result<()>;

    /// Waits for both queues.
    ///
    /// # Errors
    /// What failed meanwhile.
    fn finish(&mut self) -> Result<()>;

    /// What a range of device memory held must not be read any more. Only drivers that check take
    /// notice.
    ///
    /// # Errors
    /// When the range is none of the device.
    fn forget(&mut self, at: u64, bytes: usize) -> Result<()>;
}

/// The error about arguments that do not fit a kernel's parameters of these sizes, if they do not.
///
/// # Errors
/// They do not fit.
pub(super) fn check_arguments(kernel: &str, sizes: &[u32], arguments: &[Argument]) -> Result<()> {
    let given = arguments.iter().map(|it| it.size());
    if sizes.iter().copied().eq(given.clone()) {
        return Ok(());
    }
    let mut problem = format!("{kernel} takes arguments of");
    for size in sizes {
        let _ = write!(problem, " {size}");
    }
    problem.push_str(" bytes, these are of");
    for size in given {
        let _ = write!(problem, " {size}");
    }
    Err(DriverError(problem))
}
