//! What must not be trained on: secrets are refused or masked, before anything is tokenized.

use super::refusals::Refused;
use crate::record::{Content, Record};
use crate::secrets::{self, Counts, Masking};
use crate::{Error, Place, Result};
use rayon::prelude::*;

/// Secrets that an error lists; the others are counted.
const LISTED: usize = 20;

/// What happens to secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// They are an error, which names all of them.
    Refuse,
    /// They are masked, and personal data with them.
    Redact(Masking),
}

/// Looks through records, and remembers what was found in them.
#[derive(Debug)]
pub(super) struct Cleaner {
    secrets: Secrets,
    /// With [`Refused::Skip`], a record with secrets is refused by itself.
    mode: Refused,
    /// A line for each of the first findings.
    refused: Vec<String>,
    refused_count: usize,
    /// What was masked.
    pub(super) redacted: Counts,
    /// Records of token ids: nobody knows what they say.
    pub(super) unchecked_records: u64,
}

/// What one record had.
#[derive(Default)]
struct Cleaned {
    refused: Vec<String>,
    redacted: Counts,
}

impl Cleaner {
    pub(super) fn new(secrets: Secrets, mode: Refused) -> Self {
        let (refused, redacted) = (Vec::new(), Counts::new());
        Self { secrets, mode, refused, refused_count: 0, redacted, unchecked_records: 0 }
    }

    /// Masks what is to be masked, in parallel over the records.
    pub(super) fn clean(&mut self, records: &mut [Result<Record>]) {
        let secrets = self.secrets;
        let clean = |record: &mut Result<Record>| {
            // What an error quotes of its record is masked where errors are taken (`refusals`).
            record.as_mut().map_or_else(|_| Cleaned::default(), |record| clean(record, secrets))
        };
        let cleaned: Vec<Cleaned> = records.par_iter_mut().with_max_len(1).map(clean).collect();
        for (record, Cleaned { refused, redacted }) in records.iter_mut().zip(cleaned) {
            if self.mode == Refused::Skip
                && let Ok(Record { place, .. }) = record
                && let Some(error) = of_one(place, &refused)
            {
                *record = Err(error);
                continue;
            }
            self.refused_count += refused.len();
            self.refused.extend(refused);
            self.refused.truncate(LISTED);
            for (kind, count) in redacted {
                *self.redacted.entry(kind).or_default() += count;
            }
        }
        let is_tokenized = |record: &&Record| matches!(record.content, Content::Tokens { .. });
        self.unchecked_records += records.iter().flatten().filter(is_tokenized).count() as u64;
    }

    /// Whether there was a secret to refuse.
    pub(super) fn has_refused(&self) -> bool {
        self.refused_count > 0
    }

    /// The error about all that was refused.
    pub(super) fn check(self) -> Result<()> {
        if self.refused_count == 0 {
            return Ok(());
        }
        let mut list = self.refused.join("\n  ");
        if self.refused_count > self.refused.len() {
            list.push_str(&format!("\n  and {} more", self.refused_count - self.refused.len()));
        }
        Err(Error::Secrets { count: self.refused_count, list })
    }
}

/// The error about the secrets of one record.
fn of_one(place: &Place, refused: &[String]) -> Option<Error> {
    let first = refused.first()?;
    let first = first.strip_prefix(&place.to_string()).unwrap_or(first);
    let first = first.trim_start_matches([':', ',', ' ']);
    let problem = match refused.len() {
        1 => format!("a secret: {first}"),
        count => format!("{count} secrets, the first: {first}"),
    };
    Some(Error::Record { place: place.clone(), problem })
}

fn clean(record: &mut Record, secrets: Secrets) -> Cleaned {
    let mut cleaned = Cleaned::default();
    let place = record.place.clone();
    let texts = record.content.texts_mut();
    for text in texts.into_iter().chain([&mut record.source]).chain(&mut record.group) {
        match secrets {
            Secrets::Refuse => cleaned.refused.extend(secrets::find(text).iter().map(|finding| {
                let (line, kind) = (finding.line(text), finding.kind);
                let place = match place.line {
                    Some(_) => format!("{place}, line {line} of the text"),
                    None => format!("{place}:{line}"),
                };
                format!("{place}: {kind} ({}…)", finding.beginning(text).escape_debug())
            })),
            Secrets::Redact(masking) => {
                let Some((masked, counts)) = secrets::redact(text, masking) else { continue };
                *text = masked;
                for (kind, count) in counts {
                    *cleaned.redacted.entry(kind).or_default() += count;
                }
            }
        }
    }
    cleaned
}
