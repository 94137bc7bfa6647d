//! What the fuzzer of `fuzz/` runs, without it: every reader of foreign bytes on its corpus, and on many
//! files that are nearly one of these. A binary of its own, because it counts the heap of its process.
#![forbid(unsafe_code)]

use files::memory::CountingAllocator;
use readers::{Reader, Room};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::new_without_default,
    reason = "it is the library of the fuzzer, of which this takes a part"
)]
#[path = "../fuzz/src/readers.rs"]
mod readers;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Changed files that are made of each file of a corpus.
const CHANGES: u64 = 300;
/// Numbers at which readers have their limits.
const LIMITS: [u64; 12] =
    [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 1 << 20, 1 << 31, 1 << 32, 1 << 40, 1 << 63, u64::MAX];

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let entries = std::fs::read_dir(directory).expect("a corpus");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).expect("a file of the corpus");
        (path, bytes)
    };
    paths.into_iter().map(read).collect()
}

/// Numbers that follow from a seed (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// The bytes with a few changes; `other` is another file of the corpus.
fn changed(bytes: &[u8], other: &[u8], seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut bytes = bytes.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len());
        let end = (at + 1 + numbers.below(16)).min(bytes.len());
        match numbers.below(8) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << numbers.below(8),
            1 if !bytes.is_empty() => bytes[at] = numbers.below(256) as u8,
            2 => bytes.insert(at, numbers.below(256) as u8),
            3 if !bytes.is_empty() => drop(bytes.drain(at..end)),
            4 if !bytes.is_empty() => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece.repeat(1 + numbers.below(40)));
            }
            5 => {
                let number = LIMITS[numbers.below(LIMITS.len())].to_le_bytes();
                let width = [1, 2, 4, 8][numbers.below(4)].min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&number[..width]);
            }
            6 => {
                let number = LIMITS[numbers.below(LIMITS.len())].to_string();
                bytes.splice(at..end.max(at).min(bytes.len()), number.into_bytes());
            }
            _ => {
                let from = numbers.below(other.len());
                let piece = &other[from..(from + 1 + numbers.below(64)).min(other.len())];
                bytes.splice(at..end.max(at).min(bytes.len()), piece.to_vec());
            }
        }
    }
    bytes
}

/// The heap is counted for the whole process, so one test at a time may use it.
static ALONE: Mutex<()> = Mutex::new(());

/// No reader panics, and none holds much more than its input.
#[test]
fn readers_bear_their_corpora_and_what_is_like_them() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, reader) in Reader::ALL {
        let (room, corpus) = (Room::warm(reader), corpus(name));
        assert!(!corpus.is_empty(), "{name} has no corpus");
        let mut taken = 0;
        for (index, (path, bytes)) in corpus.iter().enumerate() {
            let other = &corpus[(index + 1) % corpus.len()].1;
            for seed in 0..=CHANGES {
                let input = if seed == 0 { bytes.clone() } else { changed(bytes, other, seed) };
                let read = || room.read_within_limits(reader, &input);
                if catch_unwind(AssertUnwindSafe(read)).is_err() {
                    panic!("{name}: change {seed} of {}", path.display());
                }
            }
            taken += usize::from(room.read(reader, bytes));
        }
        assert!(taken > 0, "no file of the corpus of {name} is taken, so little of it is read");
    }
}

/// Large inputs whose parts are as small as they can be, so that what is kept for each
/// part weighs most.
fn dense(reader: Reader) -> Vec<Vec<u8>> {
    let repeated = |head: &str, part: &dyn Fn(usize) -> String, count: usize, tail: &str| {
        let parts: Vec<String> = (0..count).map(part).collect();
        format!("{head}{}{tail}", parts.join(",")).into_bytes()
    };
    match reader {
        Reader::Gguf => vec![gguf_of_tensors(4096), gguf_of_texts(200_000)],
        Reader::Safetensors => {
            let info = |it: usize| {
                format!("\"{it:x}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}")
            };
            let header = repeated("{", &info, 20_000, "}");
            let index = |it: usize| format!("\"{it:x}\":\"{it:x}\"");
            vec![
                [&(header.len() as u64).to_le_bytes()[..], &header].concat(),
                repeated("{\"weight_map\":{", &index, 80_000, "}}"),
            ]
        }
        Reader::AdapterConfig => {
            let rank = |it: usize| format!("\"{it:x}\":1");
            let head = "{\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":1,\"target_modules\":[],\
                        \"rank_pattern\":{";
            vec![repeated(head, &rank, 80_000, "}}")]
        }
        Reader::Tokenizer => {
            let token = |it: usize| format!("\"{it:x}\":{it}");
            let merge = |_: usize| "\"0 1\"".to_owned();
            let head = "{\"decoder\":{\"type\":\"ByteLevel\"},\"pre_tokenizer\":{\"type\":\
                        \"ByteLevel\"},\"model\":{\"merges\":[],\"vocab\":{";
            let merges = "{\"model\":{\"vocab\":{},\"merges\":[";
            vec![repeated(head, &token, 80_000, "}}}"), repeated(merges, &merge, 200_000, "]}}")]
        }
        Reader::Jsonl => {
            // Lines have a limit here, so the parts are in one line of that length.
            let number = |_: usize| "1".to_owned();
            let turn = |_: usize| "{\"role\":\"\",\"content\":\"\"}".to_owned();
            vec![
                repeated("{\"input_ids\":[", &number, 16_000, "]}"),
                repeated("{\"messages\":[", &turn, 1_100, "]}"),
                repeated("{\"prompt\":[", &turn, 1_100, "]}"),
            ]
        }
        // The one is small by its limit, the other is mapped and read in place.
        Reader::QuantState | Reader::Shard => Vec::new(),
    }
}

fn gguf_of_tensors(count: u64) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend([count, 0].iter().flat_map(|it| it.to_le_bytes()));
    for number in 0..count {
        let name = format!("{number:x}");
        bytes.extend((name.len() as u64).to_le_bytes());
        bytes.extend(name.into_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(0_u64.to_le_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(32) + 32, 0);
    bytes
}

fn gguf_of_texts(count: u64) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend([0, 1, 1].iter().flat_map(|it: &u64| it.to_le_bytes()));
    bytes.push(b'k');
    bytes.extend([9, 8].iter().flat_map(|it: &u32| it.to_le_bytes()));
    bytes.extend(count.to_le_bytes());
    bytes.resize(bytes.len() + 8 * count as usize, 0);
    bytes
}

/// What a reader holds of the densest inputs, as a share of their size.
#[test]
fn what_is_dense_is_held_in_a_few_times_its_size() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, reader) in Reader::ALL {
        let room = Room::warm(reader);
        for input in dense(reader) {
            let held = room.read_within_limits(reader, &input);
            let times = held as f64 / input.len() as f64;
            assert!(
                held <= reader.growth() * input.len() + readers::CONSTANT_BYTES,
                "{name}: {held}"
            );
            println!("{name}: {held} bytes of {}, {times:.2} times", input.len());
        }
    }
}
