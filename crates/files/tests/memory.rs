//! The counts under the counting allocator. They belong to the process, so this is a process of its
//! own with a single test in it.

use std::hint::black_box;
use std::thread;

use files::Map;
use files::memory::{self, CountingAllocator};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const MIB: usize = 1 << 20;

#[test]
fn heap_maps_and_peak_are_counted() {
    assert!(memory::counts_heap());
    // Whatever the test harness does meanwhile stays far below this.
    let slack = 64 << 10;
    let near = |measured: usize, expected: usize| measured.abs_diff(expected) < slack;

    let before = memory::statistics();
    let base = memory::reset_peak();
    let block = black_box(vec![1u8; 5 * MIB]);
    assert!(near(memory::statistics().heap_bytes, before.heap_bytes + 5 * MIB));
    let grown = {
        let mut block = block;
        block.reserve_exact(3 * MIB);
        black_box(block)
    };
    assert!(near(memory::statistics().heap_bytes, before.heap_bytes + 8 * MIB));

    // The peak stays when what made it is gone, until a new one is started.
    let other = black_box(vec![1u8; 4 * MIB]);
    drop(grown);
    let now = memory::statistics();
    assert!(near(now.heap_bytes, before.heap_bytes + 4 * MIB));
    assert!(near(now.peak_bytes, base + 12 * MIB), "{now:?}");
    assert!(near(memory::reset_peak(), base + 4 * MIB));
    drop(other);
    assert!(near(memory::statistics().peak_bytes, base + 4 * MIB));

    let path = std::env::current_exe().unwrap();
    let size = std::fs::metadata(&path).unwrap().len() as usize;
    let map = Map::open(&path, u64::MAX).unwrap();
    let clone = map.clone();
    assert_eq!(memory::statistics().file_mapped_bytes, size);
    drop(map);
    assert_eq!(memory::statistics().file_mapped_bytes, size);
    drop(clone);
    assert_eq!(memory::statistics().file_mapped_bytes, 0);
    assert!(Map::open(&path, 1).is_err());
    assert_eq!(memory::statistics().file_mapped_bytes, 0);

    let mut numbers = [3u32, 1, 2];
    let ((), none) = memory::count_allocations(|| numbers.sort_unstable());
    assert_eq!(none, 0);
    let thread_before = memory::thread_allocations();
    let ((), some) = memory::count_allocations(|| {
        thread::scope(|scope| {
            scope.spawn(|| (0..10).for_each(|i| drop(black_box(Box::new(i)))));
        });
    });
    assert!(some >= 10, "other threads are counted too: {some}");
    assert!(memory::thread_allocations() - thread_before < some);

    let resident = memory::vm_hwm_bytes().expect("this kernel reports VmHWM");
    assert!(resident > MIB as u64);
}
