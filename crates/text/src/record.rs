//! Documents, one after another, out of files: Markdown and plain text, raw JSONL, and JSONL that
//! is tokenized already.
//!
//! - A `.md` or `.txt` file is one document. A directory gives all of them in it, at any depth, in
//!   the order of their paths.
//! - A line of a `.jsonl` file is `{"text": …}`, `{"input_ids": […], "labels": […]}`, or a
//!   conversation in one of the forms of `record/turns.rs`, each with an optional `"id"`, `"group"`
//!   (records of one incident share it) and `"time"`. Lines of all forms may follow each other, a
//!   key of none of them is an error, and blank lines are passed over. Labels follow the Hugging
//!   Face convention: `labels[t]` belongs to `input_ids[t]` (whoever trains shifts by one), -100
//!   masks.
//!
//! Files are opened one at a time and lines read one at a time; both have size limits.

use crate::chat::Conversation;
use crate::{Error, Place, Result};
use std::path::{Path, PathBuf};

mod lines;
mod sources;
#[cfg(test)]
mod tests;
mod time;
mod turns;

pub(crate) use sources::listed;
pub use sources::{Format, Source, Sources};
pub use time::Time;

use lines::Lines;

/// The label of a token that is not trained.
pub const MASKED: i32 = -100;

/// How much is read at once at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a document's text. Encoding takes about 160 bytes of memory for each.
    pub document_bytes: u64,
    /// Bytes of a line in a `.jsonl` file.
    pub line_bytes: u64,
    /// Bytes of a `.jsonl` file.
    pub file_bytes: u64,
}

impl Limits {
    /// 4 MiB of text in a document (about a million tokens), 16 MiB in a line, 256 GiB in a file
    /// of lines.
    pub const STANDARD: Self =
        Self { document_bytes: 4 << 20, line_bytes: 16 << 20, file_bytes: 256 << 30 };
}

/// What a document holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text, to be encoded.
    Text(String),
    /// Tokens, as many ids as labels and at least one. Neither is checked against a vocabulary.
    Tokens {
        /// The token ids.
        ids: Vec<u32>,
        /// For each its label, or [`MASKED`].
        labels: Vec<i64>,
    },
    /// A conversation, at least one message. None that is trained is silent.
    Messages(Conversation),
}

impl Content {
    /// All texts in it, to be looked through; none where it is tokenized already.
    pub(crate) fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::Text(text) => vec![text],
            Self::Tokens { .. } => Vec::new(),
            Self::Messages(conversation) => conversation.texts_mut(),
        }
    }

    /// Bytes that it takes in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Tokens { ids, labels } => size_of_val(&ids[..]) + size_of_val(&labels[..]),
            Self::Messages(conversation) => conversation.size_bytes(),
        }
    }

    /// Its text within this limit; token ids are limited by their line.
    fn check_size(&self, limit: u64) -> std::result::Result<(), String> {
        let bytes = self.size_bytes() as u64;
        if matches!(self, Self::Tokens { .. }) || bytes <= limit {
            return Ok(());
        }
        Err(format!("the text has {bytes} bytes, at most {limit} go into a document"))
    }
}

/// One document and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What the data set calls it: its `id`, or else file and line. Never an absolute path.
    pub source: String,
    /// Where it stands, for errors.
    pub place: Place,
    /// The incident that it belongs to: records of one group stay on one side of a split.
    pub group: Option<String>,
    /// When that happened, if it says so.
    pub time: Option<Time>,
    /// What it holds.
    pub content: Content,
}

/// The documents of these sources, in order. Behind an error about one document come the others; behind
/// any other error comes nothing.
pub fn read(sources: &Sources, limits: Limits) -> Records<'_> {
    Records { sources: sources.files.iter(), lines: None, limits, failed: false }
}

/// An iterator over documents; see [`read`].
#[derive(Debug)]
pub struct Records<'a> {
    sources: std::slice::Iter<'a, Source>,
    /// The `.jsonl` file that is being read.
    lines: Option<(&'a Source, Lines)>,
    limits: Limits,
    failed: bool,
}

impl Iterator for Records<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        self.advance().unwrap_or_else(|error| {
            self.failed = true;
            Some(Err(error))
        })
    }
}

impl Records<'_> {
    /// Whether the last error, if there was any, was about one document.
    pub(crate) fn can_go_on(&self) -> bool {
        !self.failed
    }

    /// The next document or what is wrong with it, or an error behind which nothing can be read.
    fn advance(&mut self) -> Result<Option<Result<Record>>> {
        loop {
            if let Some((source, lines)) = &mut self.lines {
                match lines.next_line()? {
                    Some((number, line)) => {
                        let place = Place::line(&source.path, number);
                        let limit_bytes = self.limits.document_bytes;
                        let record = line
                            .and_then(|line| lines::parse(&source.name, place, line, limit_bytes));
                        return Ok(Some(record));
                    }
                    None => self.lines = None,
                }
            }
            let Some(source) = self.sources.next() else {
                return Ok(None);
            };
            match source.format {
                Format::Document => {
                    let document = document(source, self.limits.document_bytes);
                    return match document {
                        Err(error) if !is_about_content(&error) => Err(error),
                        document => Ok(Some(document)),
                    };
                }
                Format::Lines => {
                    self.lines = Some((source, Lines::open(&source.path, self.limits)?));
                }
            }
        }
    }
}

fn document(source: &Source, limit_bytes: u64) -> Result<Record> {
    let text = files::read_to_string(&source.path, limit_bytes)?;
    let place = Place::file(&source.path);
    refuse_empty(&text, &place)?;
    let time = Time::of_document(&source.name, &text);
    let (source, content) = (source.name.clone(), Content::Text(text));
    Ok(Record { source, place, group: None, time, content })
}

/// Whether a file could be read and holds what cannot be a document.
fn is_about_content(error: &Error) -> bool {
    use files::Error::{NotUtf8, TooLarge};
    matches!(error, Error::Record { .. } | Error::File(NotUtf8 { .. } | TooLarge { .. }))
}

fn refuse_empty(text: &str, place: &Place) -> Result<()> {
    if text.trim().is_empty() {
        let problem = "the document is empty\nhint: remove it".to_owned();
        return Err(Error::Record { place: place.clone(), problem });
    }
    Ok(())
}

/// The last part of a path as text, for names.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// An error about a whole file.
fn wrong_file(path: &Path, problem: impl Into<String>) -> Error {
    Error::Record { place: Place::file(path), problem: problem.into() }
}

/// An error of the operating system while reading.
fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path: PathBuf = path.to_owned();
    move |error| files::Error::io(files::Operation::Read, path)(error).into()
}
