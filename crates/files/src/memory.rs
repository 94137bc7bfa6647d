//! How much memory the process holds: a counting allocator, the bytes mapped through this crate,
//! and the peak of what is the process's own: its heap.
//!
//! A binary or a test counts its heap by installing the allocator:
//! ```
//! #[global_allocator]
//! static ALLOCATOR: files::memory::CountingAllocator = files::memory::CountingAllocator;
//! # fn main() { assert!(files::memory::counts_heap()); }
//! ```
//! All numbers are bytes as they were asked for; the allocator's own overhead and the rounding to
//! pages are not in them. [`vm_hwm_bytes`] is what the operating system saw, to be shown beside.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// An atomic on a cache line of its own: threads that allocate touch two of these each time.
#[repr(align(128))]
struct Line<T>(T);

/// Bytes on the heap now, and their peak.
static HEAP: Line<AtomicUsize> = Line(AtomicUsize::new(0));
static HEAP_PEAK: Line<AtomicUsize> = Line(AtomicUsize::new(0));
static ALLOCATIONS: Line<AtomicU64> = Line(AtomicU64::new(0));
static FILE_MAPPED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Without a destructor and without lazy initialisation, so the allocator itself may use it.
    static THREAD_ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system allocator with every byte counted.
pub struct CountingAllocator;

// SAFETY: every call goes to `System` unchanged; the counters allocate nothing and cannot unwind.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is that of `System`.
        let pointer = unsafe { System.alloc(layout) };
        count_allocation(pointer, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is that of `System`.
        let pointer = unsafe { System.alloc_zeroed(layout) };
        count_allocation(pointer, layout.size())
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` through this type, with this layout.
        unsafe { System.dealloc(pointer, layout) };
        shrink_heap(layout.size());
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: `pointer` came from `System` through this type, with this layout.
        let moved = unsafe { System.realloc(pointer, layout, new_size) };
        if !moved.is_null() {
            // The difference only: large blocks are remapped, so old and new do not coexist.
            shrink_heap(layout.size());
        }
        count_allocation(moved, new_size)
    }
}

/// Counts one allocation unless it failed, and hands its pointer on.
fn count_allocation(pointer: *mut u8, size_bytes: usize) -> *mut u8 {
    if !pointer.is_null() {
        ALLOCATIONS.0.fetch_add(1, Relaxed);
        // A thread that is being torn down has no counter any more; the global one still counts.
        let _ = THREAD_ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        grow_heap(size_bytes);
    }
    pointer
}

fn grow_heap(size_bytes: usize) {
    let now = HEAP.0.fetch_add(size_bytes, Relaxed) + size_bytes;
    // Most allocations are not a new peak: reading first keeps the line shared between cores.
    if now > HEAP_PEAK.0.load(Relaxed) {
        HEAP_PEAK.0.fetch_max(now, Relaxed);
    }
}

fn shrink_heap(size_bytes: usize) {
    HEAP.0.fetch_sub(size_bytes, Relaxed);
}

pub(crate) fn file_mapped(size_bytes: usize) {
    FILE_MAPPED.fetch_add(size_bytes, Relaxed);
}

pub(crate) fn file_unmapped(size_bytes: usize) {
    FILE_MAPPED.fetch_sub(size_bytes, Relaxed);
}

/// What the process holds, in bytes, and how often it allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// Heap bytes now; 0 unless the counting allocator is installed.
    pub heap_bytes: usize,
    /// Bytes of files mapped by [`Map`](crate::Map) now. They are the page cache's, not ours, and
    /// therefore in no peak.
    pub file_mapped_bytes: usize,
    /// Most heap bytes at once since the start or the last [`reset_peak`].
    pub peak_bytes: usize,
    /// Allocations on the heap so far, reallocations among them.
    pub allocations: u64,
}

/// The numbers of this moment. While other threads allocate they are close to one another, not one
/// exact instant; the peak is exact.
pub fn statistics() -> Statistics {
    Statistics {
        heap_bytes: HEAP.0.load(Relaxed),
        file_mapped_bytes: FILE_MAPPED.load(Relaxed),
        peak_bytes: HEAP_PEAK.0.load(Relaxed),
        allocations: ALLOCATIONS.0.load(Relaxed),
    }
}

/// Starts a new peak from what is held now, and returns that: the baseline in bytes.
pub fn reset_peak() -> usize {
    let now = HEAP.0.load(Relaxed);
    HEAP_PEAK.0.store(now, Relaxed);
    now
}

/// Allocations of the whole process so far.
pub fn allocations() -> u64 {
    ALLOCATIONS.0.load(Relaxed)
}

/// Allocations of the calling thread so far.
pub fn thread_allocations() -> u64 {
    THREAD_ALLOCATIONS.with(Cell::get)
}

/// Whether the counting allocator is installed in this process, found by allocating once.
pub fn counts_heap() -> bool {
    let before = thread_allocations();
    drop(black_box(Box::new(0u8)));
    thread_allocations() > before
}

/// Runs `work` and gives its result with the number of allocations that the whole process made
/// meanwhile, those of other threads included.
///
/// # Panics
/// When the counting allocator is not installed: a count of zero would then mean nothing.
pub fn count_allocations<R>(work: impl FnOnce() -> R) -> (R, u64) {
    assert!(counts_heap(), "allocations can only be counted under the counting allocator");
    let before = allocations();
    let result = work();
    (result, allocations() - before)
}

/// The highest resident set of the process so far, mapped files included, in bytes, as the
/// operating system counts it (`VmHWM`); `None` where it does not say.
pub fn vm_hwm_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
