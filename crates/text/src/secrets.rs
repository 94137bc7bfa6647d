//! Secrets and personal data in text: found before anything is learned from it, or masked.
//!
//! [`find`] looks for what must never be trained on: private keys, tokens and passwords, by their
//! form (`tokens`, `keys`), by the name that they are assigned to (`assignments`) or by their place
//! in a command, a manifest or a table (`commands`, `manifests`, `tables`). [`redact`] masks them, and with them
//! what names a person (`people`) and, if asked, addresses of machines (`addresses`), as
//! `[REDACTED:kind]`. What only stands for a secret, such as `<password>` or `${TOKEN}`, is none
//! (`placeholder`).
//!
//! Every scanner takes time linear in the text. None of them can know a password that nothing
//! announces; a reader's eye is not replaced.

use regex::Regex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

mod addresses;
mod assignments;
mod commands;
mod keys;
mod manifests;
mod people;
mod placeholder;
mod tables;
#[cfg(test)]
pub(crate) mod tests;
mod tokens;
mod value;

/// What begins every mask.
const MASK: &str = "[REDACTED:";

/// Most characters of a value that a message quotes; the longest masks fit.
const QUOTED_CHARS: usize = 32;

/// How many of each kind.
pub type Counts = BTreeMap<&'static str, u64>;

/// A place in a text that should not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The bytes of the text that are to be masked.
    pub range: Range<usize>,
    /// What it is, such as `github-token`.
    pub kind: &'static str,
}

impl Finding {
    fn new(range: Range<usize>, kind: &'static str) -> Self {
        Self { range, kind }
    }

    /// The line on which it begins, counted from 1.
    pub fn line(&self, text: &str) -> u64 {
        1 + text.as_bytes()[..self.range.start].iter().filter(|&&byte| byte == b'\n').count() as u64
    }

    /// Its first characters, at most 4 and never a third of it, to be found again by.
    pub fn beginning<'a>(&self, text: &'a str) -> &'a str {
        let secret = &text[self.range.clone()];
        let shown = (secret.chars().count() / 3).min(4);
        let end = secret.char_indices().nth(shown).map_or(secret.len(), |(at, _)| at);
        &secret[..end]
    }
}

/// What is masked beside secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masking {
    /// Whether e-mail addresses and persons are.
    pub people: bool,
    /// Whether IP addresses are, other than those of every machine (`127.0.0.1`).
    pub ip_addresses: bool,
}

impl Masking {
    /// Secrets alone.
    pub const SECRETS: Self = Self { people: false, ip_addresses: false };
    /// Secrets and persons.
    pub const PERSONAL: Self = Self { people: true, ip_addresses: false };
    /// All that is known here.
    pub const EVERYTHING: Self = Self { people: true, ip_addresses: true };
}

/// All secrets of a text, in order and apart from each other.
pub fn find(text: &str) -> Vec<Finding> {
    apart(text, secrets(text))
}

/// The text with all that is to be masked masked, and what was; `None` where there is nothing to
/// mask. A text that was masked stays as it is.
pub fn redact(text: &str, masking: Masking) -> Option<(String, Counts)> {
    let mut counts = Counts::new();
    let mut masked: Option<String> = None;
    // A mask may bring to light what stood in its secret's shadow, so it ends when nothing is left.
    // Every round masks some of what is not a mask yet, so it does end.
    loop {
        let text = masked.as_deref().unwrap_or(text);
        let mut findings = secrets(text);
        if masking.people {
            findings.extend(people::find(text));
        }
        if masking.ip_addresses {
            findings.extend(addresses::find(text));
        }
        let findings = apart(text, findings);
        if findings.is_empty() {
            return masked.map(|text| (text, counts));
        }
        for finding in &findings {
            *counts.entry(finding.kind).or_default() += 1;
        }
        masked = Some(mask(text, &findings));
    }
}

/// A text for messages, with everything masked that is known here: messages are logged, copied and
/// kept beside data sets, whatever those may hold.
pub fn masked(text: &str) -> String {
    redact(text, Masking::EVERYTHING).map_or_else(|| text.to_owned(), |(masked, _)| masked)
}

/// What a message quotes of a value of the input: its beginning, masked and without characters that
/// steer a terminal.
pub(crate) fn quoted(value: &str) -> String {
    // Masked before it is cut: nobody knows a secret by its beginning.
    let text = masked(value);
    // Where nothing announces a secret, how it looks is all that there is to go by.
    if text == value && placeholder::is_drawn(value) {
        return format!("{MASK}secret]");
    }
    match text.char_indices().nth(QUOTED_CHARS) {
        Some((end, _)) => format!("{}…", text[..end].escape_debug()),
        None => text.escape_debug().to_string(),
    }
}

/// The most telling scanner comes first: of overlapping findings it names the kind.
fn secrets(text: &str) -> Vec<Finding> {
    let mut findings = keys::find(text);
    findings.extend(tokens::find(text));
    findings.extend(manifests::find(text));
    findings.extend(assignments::find(text));
    findings.extend(commands::find(text));
    findings.extend(tables::find(text));
    findings
}

/// Findings in the order of the text, overlapping ones as one, and none on what is masked already.
fn apart(text: &str, findings: Vec<Finding>) -> Vec<Finding> {
    static MASKED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\[REDACTED:[a-z0-9-]{1,40}\]").expect("the pattern is fixed")
    });
    let masks: Vec<Range<usize>> = MASKED.find_iter(text).map(|mask| mask.range()).collect();
    let is_masked = |range: &Range<usize>| {
        let next = masks.partition_point(|mask| mask.end <= range.start);
        masks.get(next).is_some_and(|mask| mask.start < range.end)
    };
    let mut ranked: Vec<(usize, Finding)> = findings
        .into_iter()
        .filter(|finding| !finding.range.is_empty() && !is_masked(&finding.range))
        .enumerate()
        .collect();
    ranked.sort_by_key(|(rank, finding)| (finding.range.start, *rank));
    let mut apart: Vec<(usize, Finding)> = Vec::new();
    for (rank, finding) in ranked {
        match apart.last_mut() {
            Some((first, last)) if finding.range.start < last.range.end => {
                last.range.end = last.range.end.max(finding.range.end);
                if rank < *first {
                    (*first, last.kind) = (rank, finding.kind);
                }
            }
            _ => apart.push((rank, finding)),
        }
    }
    apart.into_iter().map(|(_, finding)| finding).collect()
}

fn mask(text: &str, findings: &[Finding]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for finding in findings {
        masked.push_str(&text[end..finding.range.start]);
        masked.push_str(MASK);
        masked.push_str(finding.kind);
        masked.push(']');
        end = finding.range.end;
    }
    masked.push_str(&text[end..]);
    masked
}
