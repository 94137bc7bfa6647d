//! Records that cannot become documents: they stop the build, or are left out and listed.

use crate::record::Sources;
use crate::secrets;
use crate::{Error, Place, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Refusals that are listed; the others are counted.
const LISTED: usize = 1000;

/// Characters of a reason: some repeat what the input says, and that may be long.
const REASON_CHARS: usize = 300;

/// What happens to records that are too long, have secrets or are malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// They are an error.
    Stop,
    /// They are left out.
    Skip,
}

/// A record that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Its file as a data set calls it, and its line.
    pub source: String,
    /// Why, in one line.
    pub reason: String,
}

/// Which records were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// How many.
    pub records: u64,
    /// The first 1000 of them, in their order.
    pub first: Vec<Refusal>,
}

/// Takes what is refused.
#[derive(Debug)]
pub(super) struct Refusals {
    mode: Refused,
    /// What a data set calls a file.
    names: BTreeMap<PathBuf, String>,
    pub(super) left_out: LeftOut,
    /// Reported where nothing is left.
    first: Option<Error>,
}

impl Refusals {
    pub(super) fn new(mode: Refused, sources: &Sources) -> Self {
        let names = sources.files.iter().map(|it| (it.path.clone(), it.name.clone())).collect();
        Self { mode, names, left_out: LeftOut::default(), first: None }
    }

    /// Lists what is wrong with a record, or gives it back as the error that it is. Every error
    /// about a record goes through here, and none keeps a secret: what cannot be read as a record
    /// was not looked through.
    pub(super) fn take(&mut self, error: Error) -> Result<()> {
        let error = masked(error);
        let reason = match (self.mode, reason(&error)) {
            (Refused::Skip, Some(reason)) => reason,
            _ => return Err(error),
        };
        self.left_out.records += 1;
        if self.left_out.first.len() < LISTED {
            let (place, reason) = reason;
            let source = secrets::masked(&self.name(&place));
            self.left_out.first.push(Refusal { source, reason: clipped(&reason) });
        }
        self.first.get_or_insert(error);
        Ok(())
    }

    /// The first error, where all records were left out.
    pub(super) fn check(&mut self, documents: u64) -> Result<()> {
        match self.first.take() {
            Some(error) if documents == 0 => Err(error),
            _ => Ok(()),
        }
    }

    fn name(&self, place: &Place) -> String {
        let name = self.names.get(&place.path).cloned();
        let name = name.unwrap_or_else(|| place.path.display().to_string());
        match place.line {
            Some(line) => format!("{name}:{line}"),
            None => name,
        }
    }
}

/// The error with what it quotes of a record masked.
fn masked(error: Error) -> Error {
    match error {
        Error::Record { place, problem } => {
            Error::Record { place, problem: secrets::masked(&problem) }
        }
        other => other,
    }
}

/// Where the record stands and what is wrong with it, without hints; none where the error is not
/// about a record.
fn reason(error: &Error) -> Option<(Place, String)> {
    match error {
        Error::Record { place, problem } => {
            let problem = problem.split("\nhint: ").next().unwrap_or_default();
            Some((place.clone(), problem.replace('\n', " ")))
        }
        Error::DocumentTooLong { place, tokens, context } => {
            let problem = format!("the document has {tokens} tokens, the context holds {context}");
            Some((place.clone(), problem))
        }
        Error::File(files::Error::NotUtf8 { path, offset_bytes }) => {
            Some((Place::file(path), format!("byte {offset_bytes} is not UTF-8")))
        }
        Error::File(files::Error::TooLarge { path, size_bytes, limit_bytes, .. }) => {
            let problem =
                format!("it holds {size_bytes} bytes, more than the limit of {limit_bytes}");
            Some((Place::file(path), problem))
        }
        _ => None,
    }
}

fn clipped(reason: &str) -> String {
    match reason.char_indices().nth(REASON_CHARS) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}
