//! What names a person: e-mail addresses, mentions, and fields such as author or assignee.

use super::Finding;
use super::value::line_after;
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// Fields whose value is a person or several, in lower case and without `-`, `_` and spaces.
const FIELDS: [&str; 47] = [
    "author",
    "authors",
    "assignee",
    "assignees",
    "assignedto",
    "reporter",
    "reporters",
    "reportedby",
    "owner",
    "owners",
    "oncall",
    "oncallengineer",
    "engineer",
    "engineers",
    "incidentcommander",
    "incidentcommanders",
    "incidentlead",
    "incidentmanager",
    "commander",
    "scribe",
    "communicationslead",
    "commslead",
    "operationslead",
    "opslead",
    "techlead",
    "technicallead",
    "teamlead",
    "responder",
    "responders",
    "respondents",
    "approver",
    "approvers",
    "approvedby",
    "reviewer",
    "reviewers",
    "reviewedby",
    "attendees",
    "participants",
    "contact",
    "writtenby",
    "createdby",
    "updatedby",
    "resolvedby",
    "handledby",
    "escalatedto",
    "maintainer",
    "maintainers",
];

/// The longest value that is taken for a list of names, in bytes.
const LONGEST_VALUE: usize = 200;

/// Words of a name at most.
const NAME_WORDS: usize = 4;

/// Mentions of everybody.
const EVERYBODY: [&str; 6] = ["here", "channel", "everyone", "all", "team", "oncall"];

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is fixed")
}

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")
});
static MENTION: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?:^|[\s(\[{,;:>|*_"'])(@[A-Za-z0-9][A-Za-z0-9_.-]{0,38})"#));
/// A line `key: value`, with the marks of lists, tables, quotes and emphasis around the key.
static FIELD: LazyLock<Regex> = LazyLock::new(|| {
    let key = r"[A-Za-z][A-Za-z _-]{1,40}?";
    let marks = r#"[\s\\"'`*_|#>{,-]*"#;
    pattern(&format!(r#"(?m)^{marks}({key})[\\"'`*_]*[ \t]*(?::|=|\||$)[\\"'`*_]*[ \t]*"#))
});
/// The same within a line of JSON or a log.
static INNER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"[\\"'{,\s]([A-Za-z][A-Za-z_-]{1,40})(?:\\?["'][ \t]*:[ \t]*\\?["']|=\\?["'])"#)
});

pub(super) fn find(text: &str) -> Vec<Finding> {
    let emails = EMAIL.find_iter(text).filter(|it| !it.as_str().starts_with("git@"));
    let mut findings: Vec<Finding> =
        emails.map(|email| Finding::new(email.range(), "email")).collect();
    let people = mentions(text).into_iter().chain(fields(text)).chain(inner_fields(text));
    findings.extend(people.map(|range| Finding::new(range, "person")));
    findings
}

fn mentions(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for captures in MENTION.captures_iter(text) {
        let mention = captures.get(1).expect("the group is in every match");
        let name = mention.as_str().trim_end_matches(['.', '-', '_']);
        let after = text[mention.start() + name.len()..].chars().next();
        // `@scope/package` and `@annotation(…)` are no persons.
        let is_code = matches!(after, Some('/' | '(' | '@' | ':'))
            && !text[mention.start() + name.len()..].starts_with(": ");
        if !is_code && !EVERYBODY.contains(&name[1..].to_ascii_lowercase().as_str()) {
            found.push(mention.start()..mention.start() + name.len());
        }
    }
    found
}

/// Values of fields that have a line for themselves, and the list below a field without a value.
fn fields(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for captures in FIELD.captures_iter(text) {
        let whole = captures.get(0).expect("a match is there");
        if !is_field(&captures[1]) {
            continue;
        }
        let at = whole.end();
        let line = line_after(text, at);
        match line.trim() {
            "" => found.extend(listed(text, at + line.len())),
            _ => found.extend(names(text, at, line)),
        }
    }
    found
}

/// Values of quoted fields anywhere.
fn inner_fields(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for captures in INNER.captures_iter(text) {
        let at = captures.get(0).expect("a match is there").end();
        if is_field(&captures[1]) {
            let value = line_after(text, at).split(['"', '\'', '\\']).next().unwrap_or_default();
            found.extend(names(text, at, value));
        }
    }
    found
}

fn is_field(key: &str) -> bool {
    let plain: String =
        key.chars().filter(|c| c.is_ascii_alphabetic()).map(|c| c.to_ascii_lowercase()).collect();
    FIELDS.contains(&plain.as_str())
}

/// The items of a list that begins in the line after `at`; blank lines may come first.
fn listed(text: &str, at: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = at + 1;
    let lines = text.get(start..).unwrap_or_default().split('\n');
    let mut before_first = true;
    for line in lines {
        let item = line.trim_start();
        let is_item = item.starts_with("- ") || item.starts_with("* ");
        if !(is_item || before_first && item.is_empty()) {
            break;
        }
        if is_item {
            before_first = false;
            let offset = line.len() - item.len() + 2;
            found.extend(names(text, start + offset, &line[offset..]));
        }
        start += line.len() + 1;
    }
    found
}

/// The value, or its part before a bracket or the end of its cell, if it reads as names.
fn names(text: &str, at: usize, value: &str) -> Option<Range<usize>> {
    let value = value.split(['|', '(', '#', '<']).next().unwrap_or(value);
    let marks = |c: char| c.is_whitespace() || "\"'`*_[]{},.;\\".contains(c);
    let start = value.len() - value.trim_start_matches(marks).len();
    let inner = value[start..].trim_end_matches(marks);
    let range = at + start..at + start + inner.len();
    debug_assert_eq!(&text[range.clone()], inner);
    let is_names = !inner.is_empty()
        && inner.len() <= LONGEST_VALUE
        && inner.split([',', '&', '/', ';', '+']).flat_map(|it| it.split(" and ")).all(is_name);
    is_names.then_some(range)
}

/// One word without a space, or a few of which the first and the last are capitalised.
fn is_name(part: &str) -> bool {
    let words: Vec<&str> =
        part.split_whitespace().map(|word| word.trim_matches(['"', '\'', '*', '`'])).collect();
    let begins_large = |word: &&str| word.starts_with(|c: char| c.is_uppercase() || c == '@');
    match words.as_slice() {
        [] => true,
        [one] => {
            let is_word = |c: char| c.is_alphanumeric() || "._-@'’".contains(c);
            one.chars().all(is_word) && one.chars().any(char::is_alphabetic) && !is_nobody(one)
        }
        [first, .., last] => {
            words.len() <= NAME_WORDS
                && begins_large(first)
                && begins_large(last)
                && !words.iter().any(|word| word.contains(|c: char| c.is_ascii_digit()))
        }
    }
}

fn is_nobody(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    ["none", "null", "nobody", "unknown", "unassigned", "true", "false", "tbd", "n-a", "root"]
        .contains(&lower.as_str())
}
