//! Texts that differ in a word or two are one template: `user anna left` and `user otto left`. Found by
//! Drain (He et al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017) among the
//! texts of one service and level that touch the same topics, so that `backup failed` and `backup done`
//! stay two.

use super::{Level, Text, join};
use drain3::{Config, Matcher};
use sre::topic::topics;
use std::collections::BTreeMap;

/// The share of words that have to be the same. Drain's own 0.4 makes one of two lines of two words that
/// have the first in common.
const ALIKE: f64 = 0.7;

/// Service, level and what is the same in all lines of a text.
type Key = (String, Level, String);

/// Service, level and topics: what templates have in common.
type Group = (String, Level, Vec<&'static str>);

/// The texts of one template as one, under the key of the first.
pub(super) fn merged(texts: BTreeMap<Key, Text>) -> BTreeMap<Key, Text> {
    let mut groups: BTreeMap<Group, Vec<(Key, Text)>> = BTreeMap::new();
    for (key, text) in texts {
        let group = (key.0.clone(), key.1, topics(&key.2));
        groups.entry(group).or_default().push((key, text));
    }
    groups.into_values().flat_map(templates).collect()
}

/// The templates of a group, in whose order the result does not depend on that of the lines.
fn templates(group: Vec<(Key, Text)>) -> Vec<(Key, Text)> {
    let config = Config::builder().similarity_threshold(ALIKE).build();
    let mut matcher = Matcher::new(config);
    let mut found: Vec<(Key, Text)> = Vec::new();
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    for (key, text) in group {
        // What it cannot read, for its length say, stays as it is.
        let id = matcher.add_log_message(&key.2).ok().map(|template| template.id());
        match id.and_then(|id| places.get(&id)) {
            Some(place) => join(&mut found[*place].1, text),
            None => {
                if let Some(id) = id {
                    places.insert(id, found.len());
                }
                found.push((key, text));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of lines that came once each, as the counts of their templates.
    fn counts(lines: &[&str]) -> Vec<(String, u64)> {
        let mut texts = BTreeMap::new();
        for line in lines {
            let key = ("web".to_owned(), Level::Info, super::super::same(line));
            let first = (false, jiff::Timestamp::UNIX_EPOCH, (*line).to_owned());
            let text = texts.entry(key).or_insert(Text { first, count: 0, before: 1 });
            text.count += 1;
        }
        merged(texts).into_values().map(|text| (text.first.2, text.count)).collect()
    }

    #[test]
    fn a_word_that_differs_makes_no_template_of_its_own() {
        let users: Vec<String> = ["anna", "otto", "maria"]
            .map(|name| format!("session of user {name} was closed by peer"))
            .into();
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        assert_eq!(counts(&users), [("session of user anna was closed by peer".to_owned(), 3)]);
        let mut turned = users.clone();
        turned.reverse();
        assert_eq!(counts(&turned), counts(&users));
    }

    #[test]
    fn what_touches_other_topics_or_is_short_stays_apart() {
        assert_eq!(counts(&["backup failed", "backup done"]).len(), 2);
        assert_eq!(
            counts(&["nightly copy of the books failed", "nightly copy of the books started"])
                .len(),
            2
        );
        assert_eq!(counts(&["alpha one", "alpha two", "beta"]).len(), 3);
    }

    #[test]
    fn hostile_lines_are_counted_and_lose_nothing() {
        let long = "word ".repeat(5_000);
        let lines =
            ["<*> <*> <*>", "<*>", "", " ", "\u{0}", "((((", long.as_str(), "\\ \\ \\", "ä ö ü ß"];
        let total: u64 = counts(&lines).iter().map(|(_, count)| count).sum();
        assert_eq!(total, lines.len() as u64);
    }
}
