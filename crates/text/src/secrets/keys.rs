//! Private keys in PEM: from their begin line to their end line, or as far as they go.

use super::Finding;
use regex::Regex;
use std::sync::LazyLock;

const KIND: &str = "private-key";

/// The end line is looked for within so many bytes.
const LONGEST_BYTES: usize = 1 << 16;

/// Fewer characters of base64 are an illustration, no key. An Ed25519 key has 64.
const SHORTEST_BODY: usize = 40;

/// A begin line, an end line, and base64 of a begin line, as Kubernetes and kubeconfigs hold keys.
static BEGIN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY( BLOCK)?-----"));
static END: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY( BLOCK)?-----"));
static ENCODED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        "LS0tLS1CRUdJTi(?:BQUklWQVRF|BSU0EgUFJJVkFU|BFQyBQUklWQVRF|BPUEVOU1NIIFBS|BFTkNSWVBURUQg|\
         BEU0EgUFJJVkFU|BQR1AgUFJJVkFU)[A-Za-z0-9+/=]{40,}",
    )
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is fixed")
}

pub(super) fn find(text: &str) -> Vec<Finding> {
    let begins: Vec<_> = BEGIN.find_iter(text).collect();
    let mut findings = Vec::new();
    for (number, begin) in begins.iter().enumerate() {
        let next = begins.get(number + 1).map_or(text.len(), |next| next.start());
        let mut limit = next.min(begin.end() + LONGEST_BYTES);
        while !text.is_char_boundary(limit) {
            limit -= 1;
        }
        let rest = &text[begin.end()..limit];
        let (body, end) = match END.find(rest) {
            Some(end) => (&rest[..end.start()], end.end()),
            None => {
                let body = body(rest);
                (body, body.len())
            }
        };
        let base64 = body.bytes().filter(|it| it.is_ascii_alphanumeric() || b"+/=".contains(it));
        if base64.count() >= SHORTEST_BODY && !body.contains("...") && !body.contains('<') {
            findings.push(Finding::new(begin.start()..begin.end() + end, KIND));
        }
    }
    findings.extend(ENCODED.find_iter(text).map(|key| Finding::new(key.range(), KIND)));
    findings
}

/// What belongs to a key that was cut off: lines of one long word, blank ones and headers.
fn body(rest: &str) -> &str {
    let belongs = |line: &str| {
        let line = line.trim_matches(|c: char| c.is_whitespace() || "|>\"'\\,".contains(c));
        let is_header = ["Proc-Type:", "DEK-Info:", "Version:", "Comment:"]
            .iter()
            .any(|header| line.starts_with(header));
        let is_base64 = line.bytes().all(|it| it.is_ascii_alphanumeric() || b"+/=\\".contains(&it));
        is_header || is_base64
    };
    let lines = rest.split_inclusive('\n').take_while(|line| belongs(line));
    &rest[..lines.map(str::len).sum()]
}
