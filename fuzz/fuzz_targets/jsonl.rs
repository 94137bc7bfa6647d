#![no_main]

use files::memory::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::once(fuzz::Reader::of("jsonl"), bytes));
