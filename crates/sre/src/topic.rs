//! What a text of the cluster is about, in words of ours: the taint boundary. Whoever can write a log
//! line, an annotation or an alert writes into whatever quotes it; a prompt quotes nothing. It has the
//! topics that a text touches, each a word of this closed list, the kinds of values that stand in it,
//! and the services that it names, as ids of the inventory.
//!
//! The list is of what goes wrong with programs on Kubernetes, with the words that runtimes, system
//! calls and people have for it, in English and German. A text that touches none is "other".

use std::collections::BTreeSet;
use std::fmt;

mod slot;
#[cfg(test)]
mod tests;
mod words;

pub use slot::{Slot, direction, slots};

/// Most topics that are said of a text, the more special first.
const MOST_TOPICS: usize = 5;

/// Most kinds of values that are said of a text.
const MOST_SLOTS: usize = 3;

/// Most services that are said of a text.
const MOST_NAMED: usize = 2;

/// Bytes of a text that are looked at: what a line is about stands near its front.
const MOST_BYTES: usize = 2048;

/// What is said of a text where it touches none of the topics.
pub const OTHER: &str = "other";

/// The topics that a text touches, in the order of the list.
pub fn topics(text: &str) -> Vec<&'static str> {
    let spaced = spaced(front(text));
    let touches = |marks: &&str| marks.split('|').any(|mark| has(&spaced, mark));
    words::TOPICS.iter().filter(|(_, marks)| touches(marks)).map(|(topic, _)| *topic).collect()
}

/// What a prompt says of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The first few topics that it touches.
    pub topics: Vec<&'static str>,
    /// The ids of the services that it names.
    pub about: Vec<String>,
    /// Kinds of values in it.
    pub values: BTreeSet<Slot>,
}

impl Said {
    /// Of a text; `label` knows a service's id by its name.
    pub fn of(text: &str, label: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut topics = topics(text);
        topics.truncate(MOST_TOPICS);
        let text = front(text);
        let kinds: BTreeSet<Slot> = slots(text).into_iter().map(|(kind, _)| kind).collect();
        let values = kinds.into_iter().take(MOST_SLOTS).collect();
        Self { topics, about: named(text, label), values }
    }
}

/// Topics, then behind `/` the services and the kinds of values.
impl fmt::Display for Said {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.topics.as_slice() {
            [] => out.write_str(OTHER)?,
            topics => out.write_str(&topics.join(" "))?,
        }
        let services = self.about.iter().map(String::as_str);
        let behind: Vec<_> = services.chain(self.values.iter().map(|kind| kind.name())).collect();
        if behind.is_empty() { Ok(()) } else { write!(out, " / {}", behind.join(" ")) }
    }
}

/// The ids of the services that a text names, in the order in which it does. A name counts where
/// nothing that could belong to a name stands beside it, or where a host name begins with it.
fn named(text: &str, label: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.'));
    for word in words {
        let word = word.trim_matches(['.', '-']);
        let host = word.split('.').next().unwrap_or_default();
        let Some(id) = label(word).or_else(|| label(host)) else { continue };
        if !found.contains(&id) {
            found.push(id);
        }
        if found.len() == MOST_NAMED {
            break;
        }
    }
    found
}

/// The front of a text, cut between characters.
fn front(text: &str) -> &str {
    &text[..text.floor_char_boundary(MOST_BYTES)]
}

/// Words in lower case with a blank around each: what is written together (`OutOfMemoryError`,
/// `kube-probe`, `read_timeout`) becomes words of its own.
fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    out.push(' ');
    let mut before = ' ';
    for character in text.chars() {
        let word = character.is_alphanumeric();
        let humps = character.is_uppercase() && before.is_lowercase();
        if (!word || humps) && !out.ends_with(' ') {
            out.push(' ');
        }
        if word {
            out.extend(character.to_lowercase());
        }
        before = character;
    }
    if !out.ends_with(' ') {
        out.push(' ');
    }
    out
}

/// Whether one of the words begins with this mark; a mark that ends with a blank is a whole word.
fn has(spaced: &str, mark: &str) -> bool {
    spaced.match_indices(mark).any(|(at, _)| spaced[..at].ends_with(' '))
}
