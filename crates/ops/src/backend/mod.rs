//! What the model code may ask of a machine.

mod any;
mod arena;
mod cpu;
pub mod cuda;
mod dry;

#[cfg(test)]
mod tests;

pub use any::Any;
pub use arena::{Event, Size, Spent, Trace};
pub use cpu::{Access, Cpu};
pub use cuda::{Cuda, Launches};
pub use dry::Dry;

use quant::Isa;
use std::sync::Arc;

/// Element types of buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit float.
    F32,
    /// bfloat16.
    Bf16,
    /// IEEE half precision.
    F16,
    /// Byte.
    U8,
    /// Signed byte.
    I8,
    /// Unsigned 32-bit integer: token ids, row indices, lengths.
    U32,
    /// Signed 32-bit integer: labels, -100 for masked.
    I32,
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            DType::F32 | DType::U32 | DType::I32 => 4,
            DType::Bf16 | DType::F16 => 2,
            DType::U8 | DType::I8 => 1,
        }
    }
}

/// A Rust type that a buffer's elements can be viewed as.
pub trait Element: bytemuck::Pod + Send + Sync {
    /// The type a buffer must have.
    const DTYPE: DType;
}

macro_rules! elements {
    ($($rust:ty => $dtype:ident),*) => { $(impl Element for $rust { const DTYPE: DType = DType::$dtype; })* };
}
elements!(f32 => F32, half::bf16 => Bf16, half::f16 => F16, u8 => U8, i8 => I8, u32 => U32, i32 => I32);

/// Where a buffer lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// The device's arena.
    Device,
    /// Host memory that both queues can copy to and from.
    Pinned,
    /// Read-only weights in a mapped file (backends whose kernels can read host memory).
    Mapped(u32),
}

/// A buffer: a typed range of a space. A plain value; the memory belongs to the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buf {
    /// Where it lives.
    pub space: Space,
    /// Element type.
    pub dtype: DType,
    /// Bytes from the start of the space.
    pub offset: usize,
    /// Number of elements.
    pub len: usize,
}

impl Buf {
    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.len * self.dtype.size()
    }

    /// The `len` elements from element `start`.
    ///
    /// # Panics
    /// When the range leaves the buffer.
    pub fn slice(&self, start: usize, len: usize) -> Buf {
        assert!(start + len <= self.len, "slice {start}+{len} of a buffer of {}", self.len);
        Buf { offset: self.offset + start * self.dtype.size(), len, ..*self }
    }
}

/// Read-only bytes that outlive the backend: a range of a mapped file.
#[derive(Clone)]
pub struct HostBytes {
    owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    start: usize,
    len: usize,
}

impl HostBytes {
    /// Bytes `start .. start + len` of `owner`.
    ///
    /// # Panics
    /// When the range leaves the owner's bytes.
    pub fn new(owner: Arc<dyn AsRef<[u8]> + Send + Sync>, start: usize, len: usize) -> Self {
        assert!(start + len <= (*owner).as_ref().len(), "range outside of the mapped bytes");
        HostBytes { owner, start, len }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &(*self.owner).as_ref()[self.start..self.start + self.len]
    }
}

/// The two queues; each runs its work in order, fences order them against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Launches.
    Compute,
    /// Copies between device and pinned memory.
    Copy,
}

/// A point in a queue, made by [`Backend::record`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence(u64);

/// The machine a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Processor and tier.
    pub device: Device,
    /// Every buffer starts at a multiple of this many bytes.
    pub alignment: usize,
}

/// Processor and tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// This host's cores.
    Cpu {
        /// Instruction set.
        isa: Isa,
        /// Threads of the pool that runs the ops.
        threads: usize,
    },
    /// An NVIDIA GPU.
    Cuda {
        /// Compute capability, 86 for 8.6.
        sm: u32,
    },
}

impl Target {
    /// A CPU target of this tier and thread count.
    pub fn cpu(isa: Isa, threads: usize) -> Target {
        Target { device: Device::Cpu { isa, threads }, alignment: 64 }
    }

    /// The type of activations and of their gradients: what products read. Sums are f32 everywhere.
    pub fn activation(&self) -> DType {
        match self.device {
            Device::Cpu { .. } => DType::F32,
            Device::Cuda { .. } => DType::Bf16,
        }
    }
}

/// The price of one launch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Scratch bytes that the launch gets, and the only ones it can get.
    pub workspace: usize,
    /// Bytes read from buffers at least once.
    pub read: u64,
    /// Bytes written to buffers.
    pub written: u64,
    /// Floating-point operations, a multiply-add being two.
    pub flops: u64,
}

impl Cost {
    /// Adds that of a launch that comes after, in the same workspace.
    pub(crate) fn follow(&mut self, next: Cost) {
        self.workspace = self.workspace.max(next.workspace);
        self.read += next.read;
        self.written += next.written;
        self.flops += next.flops;
    }
}

/// An op with its arguments: checked shapes, a price, and how to run on each backend.
pub trait Op {
    /// The room's name and, behind a dot, the direction: `rms_norm.forward`.
    const NAME: &'static str;

    /// The price on `target`. Sizes that depend on data enter as their bounds.
    fn cost(&self, target: &Target) -> Cost;

    /// Runs on host memory. `workspace` has exactly the bytes that `cost` asked for.
    fn cpu(&self, memory: &mut Access<'_>, workspace: Buf);

    /// Launches kernels. `workspace` has exactly the bytes that `cost` asked for; what they hold is
    /// somebody else's.
    fn cuda(&self, on: &mut Launches<'_>, workspace: Buf);
}

/// Memory, two queues and launches.
///
/// Buffers are laid out before the first step, in stack order: what is allocated after a
/// [`mark`](Backend::mark) is given back by its [`release`](Backend::release), and a launch's
/// workspace stands on top for as long as the launch. Peak use is therefore known exactly by running
/// the same calls on [`Dry`]. A backend that fails at run time (a device error) reports it at
/// [`finish`](Backend::finish).
pub trait Backend {
    /// The machine that the ops run on.
    fn target(&self) -> Target;

    /// A buffer of `len` elements; device buffers start zeroed.
    fn alloc(&mut self, label: &'static str, space: Space, dtype: DType, len: usize) -> Buf;

    /// Frozen weights: used where they are if the backend can, else copied to `space`. What is pinned,
    /// kernels of gathers read from the host's memory.
    fn weights(
        &mut self,
        label: &'static str,
        space: Space,
        dtype: DType,
        bytes: &HostBytes,
    ) -> Buf;

    /// The present height of the stack of buffers.
    fn mark(&self) -> Mark;

    /// Gives back every buffer allocated since `mark`.
    fn release(&mut self, mark: Mark);

    /// Copies host values into the start of a buffer, in order with the compute queue.
    fn write<T: Element>(&mut self, to: Buf, values: &[T]);

    /// Copies the start of a buffer to the host after all work of the compute queue.
    fn read<T: Element>(&mut self, from: Buf, values: &mut [T]);

    /// Device to pinned, on `queue`.
    fn copy_out(&mut self, queue: Queue, from: Buf, to: Buf);

    /// Pinned to device, on `queue`.
    fn copy_in(&mut self, queue: Queue, from: Buf, to: Buf);

    /// The point that `queue` has reached when all its work so far is done.
    fn record(&mut self, queue: Queue) -> Fence;

    /// Lets `queue` go on only after `fence`.
    fn wait(&mut self, queue: Queue, fence: Fence);

    /// Waits on the host for `fence`; after it, pinned memory copied before it may be read.
    fn wait_host(&mut self, fence: Fence);

    /// Launches on the compute queue.
    fn launch<O: Op>(&mut self, op: O);

    /// Gathers what follows, which are launches alone, until [`go`](Backend::go): where the same launches
    /// come again and again, a device can keep them.
    fn gather(&mut self) {}

    /// Does what was gathered.
    fn go(&mut self) {}

    /// Runs an op on pinned memory, on the host's cores, at once.
    fn host<O: Op>(&mut self, op: O);

    /// Waits for both queues and reports what failed.
    fn finish(&mut self) -> Result<(), BackendError>;

    /// Bytes and price so far.
    fn trace(&self) -> &Trace;
}

/// The height of the stack of buffers in both spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    device: usize,
    pinned: usize,
}

/// A device failed.
#[derive(Debug, thiserror::Error)]
#[error("{backend} failed in {op}: {message}")]
pub struct BackendError {
    /// Which backend.
    pub backend: &'static str,
    /// The op or copy that reported it.
    pub op: &'static str,
    /// The device's message.
    pub message: String,
}
