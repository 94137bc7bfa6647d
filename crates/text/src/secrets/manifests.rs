//! Secrets of Kubernetes: whatever a manifest of the kind `Secret` holds is one, whatever its name
//! and its form are.

use super::Finding;
use super::placeholder::is_placeholder;
use regex::Regex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

const KIND: &str = "kubernetes-secret";

/// The fields of a `Secret` with its values.
const FIELDS: [&str; 2] = ["data", "stringData"];

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is fixed")
}

/// A line of YAML: its indentation with the dash of a list, its key, and what follows.
static PAIR: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"^([ \t]*(?:- +)?)["']?([A-Za-z0-9_./-]+)["']?:(?:[ \t]+(.*))?$"#));
static FLOW: LazyLock<Regex> = LazyLock::new(|| pattern(r#":[ \t]*["']?([^\s,"'{}]+)"#));
/// What the structure of JSON is made of: strings, with a colon where they are names, and braces.
static TOKEN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#""((?:[^"\\\n]|\\.)*)"[ \t\r\n]*(:)?|[{}]"#));
/// Likewise of JSON in a string of JSON: the manifest that `kubectl apply` keeps in an annotation.
static NESTED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"\\"([^"\\\n]*)\\"[ \t\r\n]*(:)?|[{}]"#));

pub(super) fn find(text: &str) -> Vec<Finding> {
    // Most texts have none, and need not be taken apart.
    if !text.contains("Secret") {
        return Vec::new();
    }
    let json = [&*TOKEN, &*NESTED].into_iter().flat_map(|tokens| in_json(text, tokens));
    let values = in_yaml(text).into_iter().chain(json);
    let given = values.filter(|range| !is_placeholder(&text[range.clone()]));
    given.map(|range| Finding::new(range, KIND)).collect()
}

struct Line<'a> {
    start: usize,
    text: &'a str,
    /// White space, and the dash of a list with its space.
    indent: usize,
    /// Whether it begins an item of a list.
    is_item: bool,
    pair: Option<(&'a str, &'a str)>,
}

impl<'a> Line<'a> {
    fn new(start: usize, line: &'a str) -> Self {
        let text = line.trim_end();
        let bare = text.trim_start();
        let pair = PAIR.captures(text);
        let indent = match &pair {
            Some(pair) => pair.get(1).map_or(0, |it| it.len()),
            None => text.len() - bare.len(),
        };
        let part = |pair: &regex::Captures<'a>, at| pair.get(at).map_or("", |it| it.as_str());
        let pair = pair.map(|it| (part(&it, 2), part(&it, 3)));
        Self { start, text, indent, is_item: bare.starts_with("- "), pair }
    }

    fn is_blank(&self) -> bool {
        self.text.is_empty()
    }

    /// Between documents, and around the block of code that holds one.
    fn is_border(&self) -> bool {
        let bare = self.text.trim_start();
        self.text == "---" || bare.starts_with("```") || bare.starts_with("~~~")
    }

    fn is_secret(&self) -> bool {
        let plain = |value: &str| value.split(" #").next().unwrap_or_default().trim() == "Secret";
        self.pair
            .is_some_and(|(key, value)| key == "kind" && plain(&value.replace(['"', '\''], "")))
    }
}

/// A line without the marks of a quotation in Markdown.
fn unquoted(mut line: &str) -> &str {
    while let Some(rest) = line.strip_prefix('>') {
        line = rest.strip_prefix(' ').unwrap_or(rest);
    }
    line
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut start = 0;
    let line = |line| {
        let body = unquoted(line);
        let found = Line::new(start + line.len() - body.len(), body);
        start += line.len();
        found
    };
    text.split_inclusive('\n').map(line).collect()
}

fn in_yaml(text: &str) -> Vec<Range<usize>> {
    let lines = lines(text);
    let mut found = Vec::new();
    // Where the last object of each indentation ends: a second kind in it says nothing new, and
    // would have it looked through again.
    let mut ends = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        if !line.is_secret() || ends.get(&line.indent).is_some_and(|&end| at < end) {
            continue;
        }
        let object = object(&lines, at);
        ends.insert(line.indent, object.end);
        for number in object.clone() {
            let Line { start, text, pair: Some((key, value)), indent, .. } = lines[number] else {
                continue;
            };
            if !FIELDS.contains(&key) || indent != line.indent {
                continue;
            }
            if value.is_empty() || value.starts_with('#') {
                found.extend(values(&lines[number + 1..object.end], indent));
            } else if value.starts_with('{') {
                found.extend(inline(value, start + text.len() - value.len()));
            }
        }
    }
    found
}

/// The values of pairs in one line: `{user: a, password: b}`.
fn inline(value: &str, at: usize) -> Vec<Range<usize>> {
    let inner = FLOW.captures_iter(value).filter_map(|pair| pair.get(1));
    inner.map(|it| at + it.start()..at + it.end()).collect()
}

/// The lines of the object that has the key of the line `at`.
fn object(lines: &[Line<'_>], at: usize) -> Range<usize> {
    let indent = lines[at].indent;
    let is_outside = |line: &Line<'_>| line.is_border() || !line.is_blank() && line.indent < indent;
    let begins = |line: &Line<'_>| line.is_item && line.indent == indent;
    let mut start = at;
    while start > 0 && !begins(&lines[start]) && !is_outside(&lines[start - 1]) {
        start -= 1;
    }
    let after = lines[at + 1..].iter().take_while(|line| !is_outside(line) && !begins(line));
    start..at + 1 + after.count()
}

/// The values of the pairs that are further to the right than their field.
fn values(lines: &[Line<'_>], field: usize) -> Vec<Range<usize>> {
    let inside = lines.iter().take_while(|line| line.is_blank() || line.indent > field).count();
    let lines = &lines[..inside];
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut key = None;
    for line in lines.iter().filter(|line| !line.is_blank()) {
        let key_indent = *key.get_or_insert(line.indent);
        let end = line.start + line.text.len();
        match line.pair {
            Some((_, value)) if line.indent <= key_indent => {
                found.push(scalar(value, end - value.len()));
            }
            // A value goes on in the lines that are further to the right.
            _ if line.indent > key_indent => {
                let begin = line.start + line.text.len() - line.text.trim_start().len();
                if let Some(last) = found.last_mut() {
                    let begin = if last.start == last.end { begin } else { last.start };
                    *last = begin..end;
                }
            }
            _ => {}
        }
    }
    found.retain(|range| !range.is_empty());
    found
}

/// A value without its quotes and its comment; nothing where it only begins a block.
fn scalar(value: &str, at: usize) -> Range<usize> {
    if value.starts_with(['|', '>', '#']) {
        return at..at;
    }
    for quote in ['"', '\''] {
        let inner = value.strip_prefix(quote).and_then(|rest| rest.rfind(quote));
        if let Some(end) = inner {
            return at + 1..at + 1 + end;
        }
    }
    at..at + value.split(" #").next().unwrap_or_default().trim_end().len()
}

/// An object of JSON that is not closed yet.
#[derive(Default)]
struct Object<'a> {
    name: Option<&'a str>,
    is_secret: bool,
    strings: Vec<Range<usize>>,
    /// What its fields hold, which is secret if it is.
    held: Vec<Range<usize>>,
}

fn in_json(text: &str, tokens: &Regex) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut open: Vec<Object<'_>> = Vec::new();
    let mut name = None;
    for token in tokens.captures_iter(text) {
        match (token.get(1), &token[0]) {
            (Some(string), _) if token.get(2).is_some() => name = Some(string.as_str()),
            (Some(string), _) => {
                if let Some(object) = open.last_mut() {
                    object.is_secret |= name == Some("kind") && string.as_str() == "Secret";
                    object.strings.push(string.range());
                }
                name = None;
            }
            (None, "{") => open.push(Object { name: name.take(), ..Object::default() }),
            _ => close(&mut open, &mut found),
        }
    }
    // Where a manifest was cut off, what there is of it counts.
    while !open.is_empty() {
        close(&mut open, &mut found);
    }
    found.retain(|range| !range.is_empty());
    found
}

fn close(open: &mut Vec<Object<'_>>, found: &mut Vec<Range<usize>>) {
    let Some(object) = open.pop() else { return };
    if object.is_secret {
        found.extend(object.held);
    }
    if let (Some(name), Some(outer)) = (object.name, open.last_mut())
        && FIELDS.contains(&name)
    {
        outer.held.extend(object.strings);
    }
}
