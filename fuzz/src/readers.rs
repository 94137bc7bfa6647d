//! The seven readers of foreign bytes, each as a function of bytes: what the fuzzer and
//! `tests/readers.rs` call. A reader may refuse whatever it likes; it may not panic, and its heap may not
//! grow above [`GROWTH`] times its input and [`CONSTANT_BYTES`].

#![forbid(unsafe_code)]

mod whole;

use files::{Map, memory};
use model::{Checkpoint, LoraConfig, fidelity, gguf};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use text::dataset::Dataset;
use text::record::{self, Format, Limits, Source, Sources};
use text::tokenizer::{GgufKeys, Llama3, Tokenizer, tiktoken};

/// How often a reader may hold its input in memory.
pub const GROWTH: usize = 4;
/// The same for those whose inputs can be lists of parts of a few bytes, of which each is kept as a text, a
/// number and a place in a table: by the library that reads safetensors, by the maps of JSON.
const DENSE_GROWTH: usize = 16;
/// What it may hold beside, whatever the input: buffers and tables of bytes.
pub const CONSTANT_BYTES: usize = 1 << 20;
/// The same where an error about a key masks secrets in it: the expressions that do keep automata, which grow
/// with what they meet, to 2 MiB each.
const MASKING_BYTES: usize = 16 << 20;
/// The same for tokenizers: the tables of the library that encodes.
const ENCODING_BYTES: usize = 8 << 20;
/// What one of the expressions that cut text into words may take while it is compiled; there are few.
const EXPRESSION_BYTES: usize = 18 << 20;
const EXPRESSIONS: usize = 8;

/// Reads with a limit, as all callers do.
const LIMIT_BYTES: u64 = 1 << 30;
/// What a tokenizer that was accepted has to encode and decode.
const TEXT: &str = "The pager went off at 3:07 \u{2014} disk full.\n\n  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\u{1F525}";

/// What reads the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A GGUF file with a Llama.
    Gguf,
    /// Weights in safetensors, or the index of their shards.
    Safetensors,
    /// What bitsandbytes writes beside a weight in 4 bits.
    QuantState,
    /// PEFT's description of an adapter.
    AdapterConfig,
    /// Tokenizers in three formats.
    Tokenizer,
    /// Lines of records.
    Jsonl,
    /// Data sets.
    Shard,
}

impl Reader {
    /// All of them, each by the name of its target and corpus.
    pub const ALL: [(&str, Reader); 7] = [
        ("gguf", Reader::Gguf),
        ("safetensors", Reader::Safetensors),
        ("quant_state", Reader::QuantState),
        ("adapter_config", Reader::AdapterConfig),
        ("tokenizer", Reader::Tokenizer),
        ("jsonl", Reader::Jsonl),
        ("shard", Reader::Shard),
    ];

    /// The reader of that name.
    ///
    /// # Panics
    /// Where there is none.
    pub fn of(name: &str) -> Reader {
        let found = Reader::ALL.into_iter().find(|(it, _)| *it == name);
        found.unwrap_or_else(|| panic!("no reader is called {name}")).1
    }

    /// How often it may hold its input in memory.
    pub fn growth(self) -> usize {
        match self {
            Reader::Gguf | Reader::QuantState | Reader::Shard => GROWTH,
            _ => DENSE_GROWTH,
        }
    }

    fn limit(self, input: &[u8]) -> usize {
        let constant = match self {
            Reader::Jsonl => MASKING_BYTES,
            Reader::Tokenizer => {
                let cuts = input.windows(5).filter(|word| *word == b"Split").count();
                ENCODING_BYTES + cuts.min(EXPRESSIONS) * EXPRESSION_BYTES
            }
            _ => CONSTANT_BYTES,
        };
        self.growth() * input.len() + constant
    }
}

/// A directory with what stands beside the file that is read.
pub struct Room {
    directory: tempfile::TempDir,
}

impl Room {
    /// A directory in memory where the system has such, because every input is a file in it.
    ///
    /// # Panics
    /// Where nothing can be written.
    pub fn new() -> Room {
        let memory = Path::new("/dev/shm");
        let directory =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let room = Room { directory: directory.expect("a temporary directory") };
        room.write("llama/config.json", whole::CONFIG.as_bytes());
        room.write("four/config.json", whole::CONFIG.as_bytes());
        room.write("llama/model.safetensors", &whole::weights());
        room.write("adapter/adapter_model.safetensors", &whole::adapter());
        room
    }

    /// The same, after the reader has made what it makes once, such as threads and compiled expressions: that
    /// is no input's.
    ///
    /// # Panics
    /// As [`Room::new`].
    pub fn warm(reader: Reader) -> Room {
        let room = Room::new();
        for sample in whole::samples(reader) {
            room.read(reader, &sample);
        }
        room
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// Feeds bytes to a reader; whether it took them.
    pub fn read(&self, reader: Reader, bytes: &[u8]) -> bool {
        match reader {
            Reader::Gguf => self.gguf(bytes),
            Reader::Safetensors => self.safetensors(bytes),
            Reader::QuantState => self.quant_state(bytes),
            Reader::AdapterConfig => self.adapter_config(bytes),
            Reader::Tokenizer => tokenizer(bytes),
            Reader::Jsonl => self.jsonl(bytes),
            Reader::Shard => self.shard(bytes),
        }
    }

    /// The same, and the heap that was held meanwhile at most.
    ///
    /// # Panics
    /// When the heap grows above the limit.
    pub fn read_within_limits(&self, reader: Reader, bytes: &[u8]) -> usize {
        let before = memory::reset_peak();
        self.read(reader, bytes);
        let held = memory::statistics().peak_bytes - before;
        let limit = reader.limit(bytes);
        assert!(held <= limit, "{reader:?}: {held} bytes for {} of input", bytes.len());
        held
    }

    fn gguf(&self, bytes: &[u8]) -> bool {
        let path = self.write("gguf/model.gguf", bytes);
        let map = Map::open(&path, LIMIT_BYTES).expect("it is there");
        let Ok(contents) = gguf::parse(&map) else { return false };
        for key in contents.keys.keys() {
            let _ = contents.texts(key);
            let _ = contents.floats(key);
            let _ = contents.integers(key);
            let _ = contents.integer(key);
        }
        for info in contents.tensors.values() {
            assert_eq!(contents.bytes(info).len(), info.range.len());
        }
        let directory = path.parent().expect("a parent");
        Checkpoint::open(directory)
            .is_ok_and(|it| fidelity::nf4_errors(&it, None, &mut |_| {}).is_ok())
    }

    fn safetensors(&self, bytes: &[u8]) -> bool {
        // An index is JSON; a file of weights begins with the length of its header.
        let directory = self.directory.path().join("llama");
        let (index, weights) = ("llama/model.safetensors.index.json", "llama/model.safetensors");
        if bytes.first() == Some(&b'{') {
            let path = self.write(index, bytes);
            let read = Checkpoint::open(&directory);
            std::fs::remove_file(path).expect("it was written");
            return read.is_ok();
        }
        self.write(weights, bytes);
        let read = Checkpoint::open(&directory);
        let read = read.is_ok_and(|it| fidelity::nf4_errors(&it, None, &mut |_| {}).is_ok());
        self.write(weights, &whole::weights());
        read
    }

    fn quant_state(&self, bytes: &[u8]) -> bool {
        // The first byte says whether the scales are themselves quantized.
        let Some((first, state)) = bytes.split_first() else { return false };
        let path = self.write("four/model.safetensors", &whole::four_bits(first % 2 == 1, state));
        let weights = Checkpoint::open(path.parent().expect("a parent")).expect("it is whole");
        fidelity::nf4_errors(&weights, None, &mut |_| {}).is_ok()
    }

    fn adapter_config(&self, bytes: &[u8]) -> bool {
        let path = self.write("adapter/adapter_config.json", bytes);
        let Ok((lora, _)) = LoraConfig::read(path.parent().expect("a parent")) else {
            return false;
        };
        for projection in model::lora::Projection::ALL {
            if let Some(factor) = lora.factor(0, projection) {
                assert!((1..=model::lora::MAX_RANK).contains(&factor.rank));
                assert!(factor.scale.is_finite());
            }
        }
        true
    }

    fn jsonl(&self, bytes: &[u8]) -> bool {
        let path = self.write("records.jsonl", bytes);
        let source = Source { path, name: "records.jsonl".into(), format: Format::Lines };
        let sources = Sources { files: vec![source], ignored_files: 0 };
        let limits = Limits { document_bytes: 1 << 14, line_bytes: 1 << 15, file_bytes: 1 << 30 };
        record::read(&sources, limits).all(|record| record.is_ok())
    }

    /// The first byte says what the others are: a shard as it is, a shard whose checksum is made to fit,
    /// so that what it says is looked at, or the description.
    fn shard(&self, bytes: &[u8]) -> bool {
        let Some((first, rest)) = bytes.split_first() else { return false };
        let (shard, manifest) = match first % 3 {
            0 => (rest.to_vec(), None),
            1 => (whole::sealed(rest), None),
            _ => (whole::shard(), Some(rest.to_vec())),
        };
        let manifest = manifest.unwrap_or_else(|| whole::manifest(&shard));
        self.write("set/data-00000.shard", &shard);
        let path = self.write("set/dataset.json", &manifest);
        let Ok(set) = Dataset::open(path.parent().expect("a parent")) else { return false };
        for doc in set.docs() {
            assert!(!doc.ids.is_empty() && doc.ids.len() == doc.labels.len());
            assert!(doc.ids.iter().all(|id| *id < set.vocab_size()), "an id beyond the vocabulary");
        }
        true
    }
}

impl Default for Room {
    fn default() -> Room {
        Room::new()
    }
}

/// The first byte says the format: a file as it is named on the command line, the older of the two
/// `tokenizer.model` of Llama 3, or the keys of a GGUF file.
fn tokenizer(bytes: &[u8]) -> bool {
    let Some((first, rest)) = bytes.split_first() else { return false };
    let file = match first {
        b'0' => tiktoken(rest, Llama3::V3_0).ok(),
        b'1' => keys(rest).and_then(|keys| keys.tokenizer_json().ok()),
        _ => Some(bytes.to_vec()),
    };
    let Some(read) = file.and_then(|file| Tokenizer::from_bytes(&file).ok()) else { return false };
    if let Ok(ids) = read.encode(TEXT) {
        assert!(
            ids.iter().all(|id| (*id as usize) < read.vocab_size()),
            "an id beyond the vocabulary"
        );
        read.decode(&ids);
    }
    true
}

/// Keys of a GGUF file, as lines: model and word rule, three ids, then tokens and merges.
fn keys(bytes: &[u8]) -> Option<GgufKeys> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.lines();
    let (model, pre) = lines.next()?.split_once(' ')?;
    let mut ids = lines.next()?.split(' ').map(|id| id.parse().ok());
    let mut keys = GgufKeys {
        model: model.to_owned(),
        pre: Some(pre.to_owned()).filter(|pre| !pre.is_empty()),
        bos_token_id: ids.next().flatten(),
        eos_token_id: ids.next().flatten(),
        unknown_token_id: ids.next().flatten(),
        ..GgufKeys::default()
    };
    for line in lines {
        let mut parts = line.splitn(3, '\t');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(kind), Some(score), Some(token)) => {
                keys.token_type.push(kind.parse().unwrap_or(1));
                keys.scores.push(score.parse().unwrap_or(0.0));
                keys.tokens.push(token.to_owned());
            }
            _ => keys.merges.push(line.to_owned()),
        }
    }
    Some(keys)
}

/// Feeds one input of the fuzzer to a reader.
///
/// # Panics
/// When the reader does, or holds too much.
pub fn once(reader: Reader, bytes: &[u8]) {
    static ROOM: OnceLock<Mutex<Room>> = OnceLock::new();
    let room = ROOM.get_or_init(|| Mutex::new(Room::warm(reader)));
    room.lock().unwrap_or_else(PoisonError::into_inner).read_within_limits(reader, bytes);
}
