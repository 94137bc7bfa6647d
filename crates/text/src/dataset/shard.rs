//! One shard: put together in memory and written once, or mapped, checked and read in place.

use super::format::{HASH_BYTES, Header, Layout};
use super::{Doc, ShardEntry, shard_name, wrong_shard};
use crate::record::{MASKED, Time};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Largest shard that is opened.
const LIMIT_BYTES: u64 = 1 << 40;

/// A document ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Encoded {
    pub(super) ids: Vec<u32>,
    /// As many as ids; the first is masked.
    pub(super) labels: Vec<i32>,
    pub(super) source: String,
}

impl Encoded {
    /// Tokens that are trained.
    pub(super) fn trained(&self) -> u64 {
        trained(&self.labels)
    }

    /// Bytes that it adds to a shard.
    pub(super) fn size_bytes(&self) -> usize {
        8 * self.ids.len() + self.source.len() + 32
    }
}

/// What a document belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Membership {
    /// What is shared by the documents that stay on one side of a split.
    pub(super) group: u64,
    /// When it happened.
    pub(super) time: Option<Time>,
}

/// Written where there is no time.
const NO_TIME: i64 = i64::MIN;

fn trained(labels: &[i32]) -> u64 {
    labels.iter().filter(|&&label| label != MASKED).count() as u64
}

/// A shard that is being put together.
#[derive(Debug, Default)]
pub(super) struct Draft {
    ends: Vec<u64>,
    groups: Vec<u64>,
    times: Vec<i64>,
    source_ends: Vec<u64>,
    ids: Vec<u32>,
    labels: Vec<i32>,
    sources: Vec<u8>,
    trained: u64,
}

impl Draft {
    pub(super) fn push(&mut self, document: &Encoded, membership: Membership) {
        assert_eq!(document.ids.len(), document.labels.len(), "every token has a label");
        self.ids.extend_from_slice(&document.ids);
        self.labels.extend_from_slice(&document.labels);
        self.sources.extend_from_slice(document.source.as_bytes());
        self.ends.push(self.ids.len() as u64);
        self.source_ends.push(self.sources.len() as u64);
        self.groups.push(membership.group);
        self.times.push(membership.time.map_or(NO_TIME, Time::seconds));
        self.trained += document.trained();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Writes the shard as number `number` in `directory`. Of `kind`, the counts are replaced.
    pub(super) fn write(
        &self,
        directory: &Path,
        number: usize,
        kind: &Header,
    ) -> Result<ShardEntry> {
        let header = Header {
            documents: self.ends.len() as u64,
            tokens: self.ids.len() as u64,
            trained: self.trained,
            sources_bytes: self.sources.len() as u64,
            ..kind.clone()
        };
        let head = header.encode();
        let sections: [&[u8]; 8] = [
            &head,
            bytemuck::cast_slice(&self.ends),
            bytemuck::cast_slice(&self.groups),
            bytemuck::cast_slice(&self.times),
            bytemuck::cast_slice(&self.source_ends),
            bytemuck::cast_slice(&self.ids),
            bytemuck::cast_slice(&self.labels),
            &self.sources,
        ];
        let mut hash = files::Sha256::new();
        sections.iter().for_each(|section| hash.update(section));
        let checksum = hash.clone().finish();
        hash.update(checksum.as_bytes());
        let file = shard_name(number);
        files::write_atomic(directory.join(&file), |out| {
            sections.iter().try_for_each(|section| out.write_all(section))?;
            out.write_all(checksum.as_bytes())
        })?;
        Ok(ShardEntry {
            file,
            documents: header.documents,
            tokens: header.tokens,
            trained_tokens: header.trained,
            sha256: hash.finish(),
        })
    }
}

/// A shard that was opened and found whole.
#[derive(Debug)]
pub(super) struct Shard {
    map: files::Map,
    header: Header,
    layout: Layout,
    sha256: String,
}

impl Shard {
    /// Maps a shard and checks every byte of it.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let map = files::Map::open(path, LIMIT_BYTES)?;
        let wrong = |problem: String| wrong_shard(path, problem);
        let (header, layout) = Header::decode(&map).map_err(wrong)?;
        let (content, checksum) = map.split_at(layout.checksum);
        debug_assert_eq!(checksum.len(), HASH_BYTES);
        let mut hash = files::Sha256::new();
        hash.update(content);
        let found = hash.clone().finish();
        if found.as_bytes() != checksum {
            let expected = String::from_utf8_lossy(checksum);
            return Err(wrong(format!(
                "it is damaged: its SHA-256 is {found}, it should be {expected} (byte {})\nhint: \
                 build the data set anew",
                layout.checksum
            )));
        }
        hash.update(checksum);
        let shard = Self { sha256: hash.finish(), map, header, layout };
        shard.check().map_err(|problem| wrong_shard(path, problem))?;
        Ok(shard)
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn sha256(&self) -> &str {
        &self.sha256
    }

    pub(super) fn len(&self) -> usize {
        self.header.documents as usize
    }

    /// The document at `index`, which is below `len`.
    pub(super) fn doc(&self, index: usize) -> Doc<'_> {
        let tokens = range(self.ends(), index);
        let source = &self.sources()[range(self.source_ends(), index)];
        Doc {
            ids: &self.ids()[tokens.clone()],
            labels: &self.labels()[tokens],
            source: std::str::from_utf8(source).expect("checked when the shard was opened"),
        }
    }

    /// For every document the number that it shares with its copies and other parts.
    pub(super) fn groups(&self) -> &[u64] {
        self.section(self.layout.groups, self.len())
    }

    /// For every document its time.
    pub(super) fn times(&self) -> impl Iterator<Item = Option<Time>> {
        self.seconds().iter().map(|&seconds| Time::from_seconds(seconds))
    }

    fn seconds(&self) -> &[i64] {
        self.section(self.layout.times, self.len())
    }

    fn ends(&self) -> &[u64] {
        self.section(self.layout.ends, self.len())
    }

    fn source_ends(&self) -> &[u64] {
        self.section(self.layout.source_ends, self.len())
    }

    fn ids(&self) -> &[u32] {
        self.section(self.layout.ids, self.header.tokens as usize)
    }

    fn labels(&self) -> &[i32] {
        self.section(self.layout.labels, self.header.tokens as usize)
    }

    fn sources(&self) -> &[u8] {
        &self.map[self.layout.sources..self.layout.checksum]
    }

    /// Numbers in the map. Maps begin at a page and sections at a multiple of their numbers' size.
    fn section<T: bytemuck::Pod>(&self, at: usize, count: usize) -> &[T] {
        bytemuck::cast_slice(&self.map[at..at + count * size_of::<T>()])
    }

    /// A checksum says that a shard is as it was written, not that it was written well: nothing
    /// that could lead a reader astray may pass. The error is the problem in words.
    fn check(&self) -> std::result::Result<(), String> {
        check_ends(self.ends(), self.header.tokens, "tokens", Empty::Refused)?;
        check_ends(self.source_ends(), self.header.sources_bytes, "sources", Empty::Allowed)?;
        let is_time = |it: i64| it == NO_TIME || Time::from_seconds(it).is_some();
        if let Some(document) = self.seconds().iter().position(|&it| !is_time(it)) {
            let seconds = self.seconds()[document];
            return Err(format!("the time of document {document} is {seconds} s, which is none"));
        }
        let vocab_size = self.header.vocab_size;
        let fits = |id: u32| id < vocab_size && i32::try_from(id).is_ok();
        if let Some(token) = self.ids().iter().position(|&id| !fits(id)) {
            let id = self.ids()[token];
            return Err(format!("token {token} has the id {id}, the vocabulary is {vocab_size}"));
        }
        let is_label = |label: i32| label == MASKED || u32::try_from(label).is_ok_and(fits);
        if let Some(token) = self.labels().iter().position(|&label| !is_label(label)) {
            let label = self.labels()[token];
            return Err(format!("token {token} has the label {label}"));
        }
        for document in 0..self.len() {
            let tokens = range(self.ends(), document);
            let length = tokens.len();
            if length > self.header.context as usize {
                let context = self.header.context;
                return Err(format!("document {document} has {length} tokens of {context}"));
            }
            if self.labels()[tokens.start] != MASKED {
                return Err(format!("the first token of document {document} is trained"));
            }
            if std::str::from_utf8(&self.sources()[range(self.source_ends(), document)]).is_err() {
                return Err(format!("the source of document {document} is not UTF-8"));
            }
        }
        let (found, expected) = (trained(self.labels()), self.header.trained);
        if found != expected {
            return Err(format!("{found} tokens are trained, {expected} are announced"));
        }
        Ok(())
    }
}

/// Whether a part may have nothing in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Empty {
    Allowed,
    Refused,
}

fn check_ends(
    ends: &[u64],
    total: u64,
    what: &str,
    empty: Empty,
) -> std::result::Result<(), String> {
    let mut before = 0;
    for (document, &end) in ends.iter().enumerate() {
        if end < before || end > total || (end == before && empty == Empty::Refused) {
            return Err(format!("the {what} of document {document} end at {end} after {before}"));
        }
        before = end;
    }
    if before != total {
        return Err(format!("the {what} of all documents are {before}, {total} are announced"));
    }
    Ok(())
}

/// What belongs to the document at `index`.
fn range(ends: &[u64], index: usize) -> std::ops::Range<usize> {
    let start = index.checked_sub(1).map_or(0, |before| ends[before] as usize);
    start..ends[index] as usize
}

/// Writes documents into shards of about one size, in the order in which they come.
#[derive(Debug)]
pub(super) struct Writer {
    directory: PathBuf,
    kind: Header,
    shard_bytes: usize,
    draft: Draft,
    draft_bytes: usize,
    written: Vec<ShardEntry>,
}

impl Writer {
    /// A writer into an empty directory. Of `kind`, the counts do not matter.
    pub(super) fn new(directory: &Path, kind: Header, shard_bytes: usize) -> Self {
        Self {
            directory: directory.to_owned(),
            kind,
            shard_bytes,
            draft: Draft::default(),
            draft_bytes: 0,
            written: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, document: &Encoded, membership: Membership) -> Result<()> {
        let size_bytes = document.size_bytes();
        if !self.draft.is_empty() && self.draft_bytes + size_bytes > self.shard_bytes {
            self.write_draft()?;
        }
        self.draft.push(document, membership);
        self.draft_bytes += size_bytes;
        Ok(())
    }

    /// Writes what is left; gives all shards in their order.
    pub(super) fn finish(mut self) -> Result<Vec<ShardEntry>> {
        if !self.draft.is_empty() {
            self.write_draft()?;
        }
        Ok(self.written)
    }

    fn write_draft(&mut self) -> std::result::Result<(), Error> {
        let entry = self.draft.write(&self.directory, self.written.len(), &self.kind)?;
        self.written.push(entry);
        self.draft = Draft::default();
        self.draft_bytes = 0;
        Ok(())
    }
}
