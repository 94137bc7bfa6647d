//! The bytes of a shard. All numbers are little-endian, every section is aligned to its numbers.
//!
//! ```text
//! at   bytes  what
//!   0      8  magic "srekdata"
//!   8      8  version                       64     8  where the ends begin
//!  16      8  context, in tokens            72     8  where the groups begin
//!  24      8  size of the vocabulary        80     8  where the times begin
//!  32      8  documents, D                  88     8  where the ends of the sources begin
//!  40      8  tokens, N                     96     8  where the ids begin
//!  48      8  trained tokens               104     8  where the labels begin
//!  56      8  bytes of all sources, S      112     8  where the sources begin
//!                                          120     8  bytes of the file
//! 128     64  SHA-256 of the tokenizer in hexadecimal; zeros where there was none
//! 192    8 D  ends: tokens of all documents up to and including each
//!        8 D  groups: documents that stay together share theirs (first 8 bytes of a SHA-256)
//!        8 D  times: seconds since the beginning of 1970, UTC, i64; the smallest where there is none
//!        8 D  ends of the sources: bytes up to and including each
//!        4 N  ids, u32
//!        4 N  labels, i32; -100 is not trained
//!          S  sources, UTF-8 without separators
//!         64  SHA-256 of everything before, in hexadecimal
//! ```

/// The first bytes of every shard.
const MAGIC: [u8; 8] = *b"srekdata";

/// The version that is written and the only one that is read.
pub(super) const VERSION: u64 = 2;

/// Bytes before the first section.
pub(super) const HEADER_BYTES: usize = 192;

/// Bytes before the hash of the tokenizer.
const NUMBERS_BYTES: usize = HEADER_BYTES - HASH_BYTES;

/// Digits of a SHA-256 in hexadecimal.
pub(super) const HASH_BYTES: usize = 64;

// Ids and labels are read in place, as the machine has them.
const _: () = assert!(cfg!(target_endian = "little"));

/// What the header says, beside what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) context: u32,
    pub(super) vocab_size: u32,
    pub(super) documents: u64,
    pub(super) tokens: u64,
    pub(super) trained: u64,
    pub(super) sources_bytes: u64,
    pub(super) tokenizer_hash: Option<String>,
}

/// Where the sections begin, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) ends: usize,
    pub(super) groups: usize,
    pub(super) times: usize,
    pub(super) source_ends: usize,
    pub(super) ids: usize,
    pub(super) labels: usize,
    pub(super) sources: usize,
    pub(super) checksum: usize,
    pub(super) file_bytes: usize,
}

impl Header {
    /// The layout that these counts have; `None` beyond 64 bits.
    pub(super) fn layout(&self) -> Option<Layout> {
        let after = |at: usize, count: u64, bytes: usize| {
            usize::try_from(count).ok()?.checked_mul(bytes)?.checked_add(at)
        };
        let ends = HEADER_BYTES;
        let groups = after(ends, self.documents, 8)?;
        let times = after(groups, self.documents, 8)?;
        let source_ends = after(times, self.documents, 8)?;
        let ids = after(source_ends, self.documents, 8)?;
        let labels = after(ids, self.tokens, 4)?;
        let sources = after(labels, self.tokens, 4)?;
        let checksum = after(sources, self.sources_bytes, 1)?;
        let file_bytes = checksum.checked_add(HASH_BYTES)?;
        Some(Layout {
            ends,
            groups,
            times,
            source_ends,
            ids,
            labels,
            sources,
            checksum,
            file_bytes,
        })
    }

    /// The bytes of the header.
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let layout = self.layout().expect("what was built in memory fits 64 bits");
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        for (place, number) in
            bytes[8..NUMBERS_BYTES].chunks_exact_mut(8).zip(self.numbers(&layout))
        {
            place.copy_from_slice(&number.to_le_bytes());
        }
        if let Some(hash) = &self.tokenizer_hash {
            bytes[NUMBERS_BYTES..].copy_from_slice(hash.as_bytes());
        }
        bytes
    }

    /// The numbers behind the magic, in their order.
    fn numbers(&self, layout: &Layout) -> [u64; 15] {
        [
            VERSION,
            u64::from(self.context),
            u64::from(self.vocab_size),
            self.documents,
            self.tokens,
            self.trained,
            self.sources_bytes,
            layout.ends as u64,
            layout.groups as u64,
            layout.times as u64,
            layout.source_ends as u64,
            layout.ids as u64,
            layout.labels as u64,
            layout.sources as u64,
            layout.file_bytes as u64,
        ]
    }

    /// Reads the header of a file with these bytes; the error is the problem in words.
    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, Layout), String> {
        let length = bytes.len();
        let Some(head) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(format!("it has {length} bytes, a header alone has {HEADER_BYTES}"));
        };
        if head[..8] != MAGIC {
            return Err("it does not begin as a shard does (byte 0)".to_owned());
        }
        let (numbers, _) = head[8..NUMBERS_BYTES].as_chunks::<8>();
        let number = |position: usize| u64::from_le_bytes(numbers[position]);
        if number(0) != VERSION {
            let found = number(0);
            return Err(format!(
                "version {found}, expected {VERSION} (byte 8)\nhint: build the data set anew"
            ));
        }
        let small = |position: usize, what: &str| {
            u32::try_from(number(position))
                .map_err(|_| format!("{what} is beyond 32 bits (byte {})", 8 + 8 * position))
        };
        let header = Self {
            context: small(1, "the context")?,
            vocab_size: small(2, "the vocabulary")?,
            documents: number(3),
            tokens: number(4),
            trained: number(5),
            sources_bytes: number(6),
            tokenizer_hash: hash(&head[NUMBERS_BYTES..])?,
        };
        let layout = header.layout().ok_or("its counts are beyond 64 bits (byte 32)")?;
        if (0..15).any(|position| number(position) != header.numbers(&layout)[position]) {
            return Err("its sections are not where its counts put them (byte 64)".to_owned());
        }
        if layout.file_bytes != length {
            let expected = layout.file_bytes;
            return Err(format!(
                "it has {length} bytes, expected {expected} (cut off or extended)"
            ));
        }
        Ok((header, layout))
    }
}

fn hash(bytes: &[u8]) -> Result<Option<String>, String> {
    if bytes.iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if is_hash(text) => Ok(Some(text.to_owned())),
        _ => Err(format!("its tokenizer's hash is no hash (byte {NUMBERS_BYTES})")),
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == HASH_BYTES && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}
