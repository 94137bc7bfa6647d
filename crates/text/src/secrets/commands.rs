//! Secrets at fixed places of commands, statements and headers: `mysql -p…`, `["--password", "…"]`,
//! `IDENTIFIED BY '…'`, `Cookie: session=…`.

use super::Finding;
use super::placeholder::{is_placeholder, is_reference, is_wordy};
use super::value::{line_after, value_at};
use regex::Regex;
use std::sync::LazyLock;

/// Fewer bytes are no secret.
const SHORTEST: usize = 4;

/// Fewer bytes are no session.
const SHORTEST_SESSION: usize = 8;

/// So far before a literal the command is looked for that it belongs to.
const COMMAND_BYTES: usize = 1 << 10;

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is fixed")
}

/// What stands right before a password in a command.
static OPTION: LazyLock<Regex> = LazyLock::new(|| {
    let mysql = r"(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;&]{0,300}?\s-p";
    let redis = r"redis-cli\b[^\n|;&]{0,300}?\s(?:-a|--pass)[ =]{1,4}";
    let login =
        r"(?:docker|podman|helm registry|mongo|mongosh|mongodump)\b[^\n|;&]{0,300}?\s-p[ =]{1,4}";
    let ldap = r"ldap(?:search|modify|add)\b[^\n|;&]{0,300}?\s-w[ =]{1,4}";
    let htpasswd = r"htpasswd\b[^\n|;&]{0,80}?\s-[a-zA-Z]*b[a-zA-Z]*[ ]+\S{1,100}[ ]+\S{1,60}[ ]+";
    pattern(&format!(
        r"\b(?:{mysql}|sshpass[ \t]+-p[ \t]{{0,4}}|{redis}|{login}|{ldap}|{htpasswd})"
    ))
});
/// The same where a command is a list: `["mysql", "--password", "…"]`.
static LISTED: LazyLock<Regex> = LazyLock::new(|| {
    let name = r"--[a-z0-9-]{0,40}(?:password|passwd|token|secret|api-?key)";
    pattern(&format!(r#"\\?["'](?i:{name})\\?["']\s*,\s*"#))
});
/// The same in SQL. In small letters `identified by` is a phrase of prose too.
static SQL: LazyLock<Regex> = LazyLock::new(|| {
    let begin = r"(?i:\b(?:create|alter|grant|set)\s(?:[^\n;]{0,300}?\s)?)";
    let name = r"(?i:password|identified\s+(?:with\s+\S{1,40}\s+)?by)";
    pattern(&format!(r"(?:{begin}{name}|\bIDENTIFIED BY|\bWITH PASSWORD)\s+"))
});
static LITERAL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"--from-literal[= ]["']?[A-Za-z0-9_.-]{1,64}="#));
static DOCKER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?:\.dockerconfigjson|\.dockercfg|["']auth)\\?["']?\s*:[ \t]*"#));
static ELEMENT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)<[a-z0-9_.:-]{0,40}(?:password|passwd)>([^<>\n]{1,200})</[a-z0-9_.:-]{1,60}>")
});
static COOKIES: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?i)\bcookie[\\"'`]{0,3}:[ \t]*"#));
static SESSION: LazyLock<Regex> = LazyLock::new(|| {
    let name = r"[a-z0-9_.-]{0,40}(?:sess|sid|auth|token|jwt|login)[a-z0-9_.-]{0,40}";
    pattern(&format!(r#"(?i){name}=([^\s;,"'`\\]+)"#))
});

pub(super) fn find(text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut search = |pattern: &Regex, kind, is_secret: &dyn Fn(usize, &str) -> bool| {
        for place in pattern.find_iter(text) {
            let Some(value) = value_at(text, place.end()) else { continue };
            let given = &text[value.range.clone()];
            if is_given(given) && is_secret(place.end(), given) {
                findings.push(Finding::new(value.range, kind));
            }
        }
    };
    search(&OPTION, "password", &|_, given| !given.starts_with('-') && !is_port(given));
    search(&LISTED, "password", &|_, given| !given.starts_with('-'));
    search(&SQL, "password", &|at, _| text[at..].starts_with(['\'', '"']));
    search(&LITERAL, "kubernetes-secret", &|at, _| makes_secret(text, at));
    search(&DOCKER, "docker-auth", &|_, given| is_base64(given));
    let elements = ELEMENT.captures_iter(text).filter_map(|element| element.get(1));
    let given = elements.filter(|value| is_given(value.as_str()));
    findings.extend(given.map(|value| Finding::new(value.range(), "password")));
    findings.extend(sessions(text));
    findings
}

fn is_given(value: &str) -> bool {
    value.len() >= SHORTEST && !is_placeholder(value) && !is_reference(value)
}

/// `docker run mysql -p3306:3306` publishes a port.
fn is_port(value: &str) -> bool {
    value.contains(':') && value.bytes().all(|it| it.is_ascii_digit() || b":.".contains(&it))
}

/// Whether the command that has this literal makes a secret; most of them make a ConfigMap.
fn makes_secret(text: &str, at: usize) -> bool {
    let before = &text[text.floor_char_boundary(at.saturating_sub(COMMAND_BYTES))..at];
    let command = before.rsplit_once("create ").map(|(_, command)| command.trim_start());
    command.is_some_and(|command| command.starts_with("secret"))
}

/// Base64 as it is drawn by whoever encodes a name and a password, unlike a word.
fn is_base64(value: &str) -> bool {
    let has = |is: fn(&u8) -> bool| value.as_bytes().iter().any(is);
    value.len() >= 8
        && value.len().is_multiple_of(4)
        && value.bytes().all(|it| it.is_ascii_alphanumeric() || b"+/=".contains(&it))
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && (has(u8::is_ascii_digit) || value.ends_with('='))
}

/// The cookies of a header that stand for a login.
fn sessions(text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut end = 0;
    for header in COOKIES.find_iter(text) {
        // A header within a header was looked through with it.
        if header.end() < end {
            continue;
        }
        let line = line_after(text, header.end());
        end = header.end() + line.len();
        for value in SESSION.captures_iter(line).filter_map(|pair| pair.get(1)) {
            let given = value.as_str();
            if given.len() >= SHORTEST_SESSION && is_given(given) && !is_wordy(given) {
                let start = header.end() + value.start();
                found.push(Finding::new(start..start + given.len(), "session-cookie"));
            }
        }
    }
    found
}
