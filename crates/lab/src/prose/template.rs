//! Sentences with places to fill and words to choose: `"The [pods|containers] of {service} were
//! killed."` A place that nothing is known for makes the whole pattern unusable, so that what is
//! said is always backed by the incident.

use crate::dice::Dice;
use crate::settings::Part;
use std::collections::BTreeMap;

/// What can be filled in, by name.
pub(crate) type Slots = BTreeMap<&'static str, String>;

/// The patterns of a statement, one pool per side of the split.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pool {
    pub(crate) train: &'static [&'static str],
    pub(crate) test: &'static [&'static str],
}

impl Pool {
    /// The patterns of one side.
    pub(crate) fn of(self, part: Part) -> &'static [&'static str] {
        match part {
            Part::Train => self.train,
            Part::Test => self.test,
        }
    }

    /// A sentence from a pattern that can be filled, or `None` where none can.
    pub(crate) fn say(self, dice: &mut Dice, part: Part, slots: &Slots) -> Option<String> {
        let patterns = self.of(part);
        let first = dice.below(patterns.len());
        let turned = patterns[first..].iter().chain(&patterns[..first]);
        turned.filter_map(|pattern| begin(pattern, fill(dice, pattern, slots)?)).next()
    }
}

/// A filled pattern with a capital where a word of ours, not a name, stands first.
fn begin(pattern: &str, mut text: String) -> Option<String> {
    if ["{when}", "{what}"].iter().any(|place| pattern.starts_with(place)) {
        text.get_mut(..1)?.make_ascii_uppercase();
    }
    Some(text)
}

/// The pattern with its choices made and its places filled, or `None` where a place is empty.
pub(crate) fn fill(dice: &mut Dice, pattern: &str, slots: &Slots) -> Option<String> {
    let mut out = String::with_capacity(2 * pattern.len());
    walk(dice, pattern, slots, &mut out)?;
    Some(out)
}

fn walk(dice: &mut Dice, pattern: &str, slots: &Slots, out: &mut String) -> Option<()> {
    let mut rest = pattern;
    while let Some(at) = rest.find(['[', '{']) {
        out.push_str(&rest[..at]);
        let inside = &rest[at + 1..];
        if rest.as_bytes()[at] == b'{' {
            let end = inside.find('}')?;
            out.push_str(slots.get(&inside[..end])?);
            rest = &inside[end + 1..];
        } else {
            let (choices, end) = choices(inside)?;
            let choice = *dice.one(&choices);
            walk(dice, choice, slots, out)?;
            rest = &inside[end + 1..];
        }
    }
    out.push_str(rest);
    Some(())
}

/// What stands between `|` up to the bracket that closes, and where that is.
fn choices(inside: &str) -> Option<(Vec<&str>, usize)> {
    let (mut depth, mut begin) = (0, 0);
    let mut choices = Vec::new();
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' if depth > 0 => depth -= 1,
            b'|' if depth == 0 => {
                choices.push(&inside[begin..at]);
                begin = at + 1;
            }
            b']' => {
                choices.push(&inside[begin..at]);
                return Some((choices, at));
            }
            _ => {}
        }
    }
    None
}
