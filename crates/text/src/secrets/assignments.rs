//! Secrets that say by a name before them what they are: `password=…`, `api_key: …`, headers, URLs
//! with a password, options of commands.

use super::Finding;
use super::placeholder::{is_drawn, is_placeholder, is_reference, is_wordy};
use super::value::{Value, line_after, line_before, value_at};
use regex::{Captures, Regex};
use std::sync::LazyLock;

const PASSWORD: &str = "password";

/// Fewer bytes are no password.
const SHORTEST_PASSWORD: usize = 4;

/// Within a value of more bytes no other name is looked for.
const LONG_VALUE: usize = 1024;

/// Names of passwords: group 1 is the name from the telling word on.
const PASSWORD_NAME: &str = "(pass(?:wor[dt]s?|wd|phrase|code)?|pwd|pw|kennwort|contrase(?:ñ|n)a|\
     mot de passe|senha)";

/// Names of other secrets, likewise.
const SECRET_NAME: &str = "(secrets?|tokens?|api[ _-]?keys?|access[ _-]?keys?|account[_-]?key|\
     private[_-]?key|client[_-]?key[_-]?data|credentials?|(?:auth|signing|encryption|master|\
     shared|session|webhook|service|integration|routing|license|app|application)[_-]?key|bearer)";

/// The rest of a name, what may stand between it and its value, and the sign of assignment; behind
/// it emphasis may end, as in `**Password:** …`.
const SIGN: &str = concat!(
    r#"([A-Za-z0-9_-]{0,40})[\\"'`*\])]{0,6}[ \t\x{a0}]{0,20}"#,
    r"(=>|:=|==?|:|：|->|→|\|)(?:[*_]{1,3}[ \t])?[ \t\x{a0}\x{200b}\x{2060}\x{feff}]{0,20}",
);

/// Ends of names that hold something about a secret and not the secret.
const ABOUT: [&str; 38] = [
    "name",
    "ref",
    "path",
    "file",
    "url",
    "uri",
    "endpoint",
    "type",
    "ttl",
    "expir",
    "lifetime",
    "length",
    "policy",
    "count",
    "mount",
    "store",
    "provider",
    "class",
    "kind",
    "version",
    "rotat",
    "review",
    "request",
    "field",
    "format",
    "timeout",
    "limit",
    "usage",
    "label",
    "prefix",
    "regex",
    "valid",
    "audience",
    "issuer",
    "stdin",
    "env",
    "algorithm",
    "size",
];

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is fixed")
}

static PASSWORDS: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!("(?i){PASSWORD_NAME}{SIGN}")));
static SECRETS: LazyLock<Regex> = LazyLock::new(|| pattern(&format!("(?i){SECRET_NAME}{SIGN}")));
static OPTION: LazyLock<Regex> = LazyLock::new(|| {
    let word = "passwords?|passwd|passphrase|pwd|token|secret|api-?key";
    pattern(&format!(r"--?[A-Za-z0-9-]{{0,40}}({word})([a-z0-9-]{{0,40}})(?:=| {{1,4}})"))
});
static ENTRY: LazyLock<Regex> = LazyLock::new(|| {
    let names = "pass(?:word|wd|phrase)?|pwd|secret|token|api_?key|access_?key|private_?key";
    let name = format!(r#"name[\\"']*\s*[:=]\s*[\\"']*[A-Z0-9_.-]*({names})([A-Z0-9_.-]*)[\\"']*"#);
    pattern(&format!(r#"(?i){name}\s*,?\s*[\\"']*value[\\"']*\s*[:=][ \t]*"#))
});
static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    let scheme = "bearer|basic|token|digest|negotiate|apikey";
    pattern(&format!(r#"(?i)authorization[\\"'`]*\s*[:=,]\s*[\\"'`]*(?:{scheme})[ \t]+"#))
});
static BEARER: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\bbearer[ \t]+"));
static URL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s:/?#@"'<>`]{0,100}:([^\s"'<>`,]+)"#)
});
static LOGIN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"curl\b[^\n]{0,300}?\s(?:-u|--user|-[a-zA-Z]{1,3}u)[ =]?["']?[^\s:"']{1,100}:"#)
});
/// Without a verb: `with password X`, ``password `X` ``, `the admin password (X)`.
static GIVEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\b(?:password|passphrase|passwd|kennwort|passwort)s?[ ]+[(\[]?")
});
/// `API key X`, `the token is X`.
static KEY_SAID: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:(?:api|access|secret)[ -]?key|token|secret)s?(?: (?:is|was|as|to))?[ ]+[(\[]?",
    )
});
static NETRC: LazyLock<Regex> = LazyLock::new(|| pattern(r"\blogin\s+\S{1,100}\s+password[ \t]+"));
static SAID: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i)\b(?:password|passphrase|passwd)\b[^\n:=.`"']{0,40}\b(?:is|was|to|as|be|with)\b[ ]+"#,
    )
});

pub(super) fn find(text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut search =
        |pattern: &Regex, found: &dyn Fn(&Captures<'_>, Value) -> Option<&'static str>| {
            let mut looked_at = 0..0;
            for captures in pattern.captures_iter(text) {
                let at = captures.get(0).expect("a match is there").end();
                // Names within a long value would have it looked through once for each of them.
                if looked_at.contains(&at) && looked_at.len() > LONG_VALUE {
                    continue;
                }
                let Some(value) = value_at(text, at) else { continue };
                let range = value.range.clone();
                looked_at = range.clone();
                findings.extend(found(&captures, value).map(|kind| Finding::new(range, kind)));
            }
        };
    search(&PASSWORDS, &|name, value| {
        (is_password_name(text, name) && is_password(text, name, &value)).then_some(PASSWORD)
    });
    search(&SECRETS, &|name, value| secret(text, name, &value));
    search(&OPTION, &|name, value| option(text, name, &value));
    search(&ENTRY, &|name, value| option(text, name, &value));
    search(&HEADER, &|_, value| is_credential(&text[value.range]).then_some("authorization"));
    search(&BEARER, &|_, value| is_drawn(&text[value.range]).then_some("authorization"));
    search(&LOGIN, &|_, value| is_given(&text[value.range]).then_some(PASSWORD));
    search(&NETRC, &|_, value| is_given(&text[value.range]).then_some(PASSWORD));
    search(&SAID, &|_, value| is_said(text, &value).then_some(PASSWORD));
    search(&GIVEN, &|_, value| is_said(text, &value).then_some(PASSWORD));
    search(&KEY_SAID, &|_, value| is_drawn(&text[value.range]).then_some("secret"));
    findings.extend(below(text));
    findings.extend(URL.captures_iter(text).filter_map(|url| in_url(&url)));
    findings
}

/// Values in the line below their name, as YAML has them: `password:` or `password: |`, then the value
/// further to the right.
fn below(text: &str) -> Vec<Finding> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        let name = format!("(?im)^([ \\t]*(?:- )?)[\"']?[A-Za-z0-9_.-]{{0,40}}{PASSWORD_NAME}");
        pattern(
            &(name
                + r"([A-Za-z0-9_-]{0,40})[\x22']?:[ \t]*[|>]?[-+]?[ \t]*\r?\n([ \t]*)(\S[^\n]*)"),
        )
    });
    let value = |found: Captures<'_>| {
        let (indent, about, inner) = (found.get(1)?, found.get(3)?, found.get(4)?);
        let line = found.get(5)?;
        let value = line.as_str().trim_end().trim_matches(['"', '\'']);
        let start = line.start() + line.as_str().find(value)?;
        let is_pair = value.contains(": ") || value.ends_with(':') || value.starts_with("- ");
        let is_value = inner.len() > indent.len() && !is_pair && !value.contains(' ');
        (is_value && !is_about(about.as_str()) && is_given(value) && has_digit_or_case(value))
            .then(|| Finding::new(start..start + value.len(), PASSWORD))
    };
    NAME.captures_iter(text).filter_map(value).collect()
}

/// The password of a URL: up to the last `@` before its path.
fn in_url(url: &Captures<'_>) -> Option<Finding> {
    let rest = url.get(1)?;
    let authority = rest.as_str().split('/').next()?;
    // A password may hold a slash, though it should not; a port may not hold a letter.
    let end = authority.rfind('@').or_else(|| {
        let is_web = url[0].starts_with("http");
        let is_port = authority.bytes().all(|it| it.is_ascii_digit());
        (!is_web && !is_port).then(|| rest.as_str().rfind('@'))?
    })?;
    let password = &rest.as_str()[..end];
    let range = rest.start()..rest.start() + end;
    (!password.is_empty() && !is_placeholder(password) && !password.starts_with('$'))
        .then(|| Finding::new(range, "url-password"))
}

fn is_about(end: &str) -> bool {
    let lower = end.to_ascii_lowercase();
    let is_id = lower.ends_with("_id") || lower.ends_with("-id") || end.ends_with("Id");
    is_id || ABOUT.iter().any(|about| lower.contains(about))
}

/// `pass` is a word of its own (tests pass, bypass) and `PWD` a directory; the others are not.
fn is_password_name(text: &str, name: &Captures<'_>) -> bool {
    let (Some(word), Some(end)) = (name.get(1), name.get(2)) else { return false };
    let before = text[..word.start()].chars().next_back();
    let is_short = word.as_str().len() < "passwd".len();
    let begins = !before.is_some_and(|c| c.is_ascii_alphabetic())
        || word.as_str().starts_with('P') && before.is_some_and(|c| c.is_ascii_lowercase());
    let joined = before.is_some_and(|c| c.is_ascii_alphabetic() || "_-.".contains(c));
    let is_pwd_variable = word.as_str() == "PWD" && !joined;
    (!is_short || (begins && end.is_empty())) && !is_pwd_variable && !is_about(end.as_str())
}

/// Whether this is a password and not the next word of a sentence or a program's expression.
fn is_password(text: &str, name: &Captures<'_>, value: &Value) -> bool {
    let given = &text[value.range.clone()];
    if !is_given(given) {
        return false;
    }
    let sign = name.get(3).map_or("", |sign| sign.as_str());
    if value.is_quoted {
        return !given.contains(' ') || is_phrase(given, sign);
    }
    match sign {
        "|" => !is_wordy(given) || given.bytes().any(|it| it.is_ascii_digit()),
        // `password: changed yesterday` is prose, `password: correct` at the end of a line is not.
        ":" | "：" => !is_wordy(given) || has_digit_or_case(given) || ends_line(text, value),
        "->" | "→" => has_digit_or_case(given),
        _ => true,
    }
}

/// Whether several words in quotes are a secret: few, assigned, with a digit, and no rule about secrets.
fn is_phrase(given: &str, sign: &str) -> bool {
    const LONGEST: usize = 100;
    const MOST_WORDS: usize = 6;
    const RULES: [&str; 6] = ["must ", "at least", "characters", "should ", "expire", "invalid"];
    let lower = given.to_ascii_lowercase();
    sign != "|"
        && given.len() <= LONGEST
        && given.split(' ').count() <= MOST_WORDS
        // A line of a log behind the name of a service.
        && !given.contains(['[', ']'])
        && given.bytes().any(|it| it.is_ascii_digit())
        && !RULES.iter().any(|rule| lower.contains(rule))
}

fn has_digit_or_case(value: &str) -> bool {
    let inner = value.get(1..).unwrap_or_default();
    value.bytes().any(|it| it.is_ascii_digit()) || inner.bytes().any(|it| it.is_ascii_uppercase())
}

/// Whether nothing follows the value in its line but marks or a comment, nor anything but a name
/// stands before it.
fn ends_line(text: &str, value: &Value) -> bool {
    let after = line_after(text, value.range.end);
    let after = after.trim_start_matches(|c: char| "\"'`,;}*".contains(c)).trim();
    let before = line_before(text, value.range.start).trim();
    let before = before.trim_start_matches(['-', '*', '>', '{']);
    (after.is_empty() || after.starts_with('#')) && before.trim().split(' ').count() <= 2
}

/// A value that could be a password at all.
pub(super) fn is_given(value: &str) -> bool {
    value.len() >= SHORTEST_PASSWORD && !is_placeholder(value) && !is_reference(value)
}

fn is_credential(value: &str) -> bool {
    const SHORTEST: usize = 8;
    let is_token = |it: u8| it.is_ascii_alphanumeric() || b"+/=_.~-".contains(&it);
    value.len() >= SHORTEST && value.bytes().all(is_token) && is_given(value) && {
        let varied = has_digit_or_case(value) || value.ends_with('=');
        varied && !is_wordy(value) || is_drawn(value)
    }
}

/// The kind of secret that a name and a value make.
fn secret(text: &str, name: &Captures<'_>, value: &Value) -> Option<&'static str> {
    let (word, end) = (name.get(1)?, name.get(2)?);
    let given = &text[value.range.clone()];
    if is_about(end.as_str()) || !is_given(given) {
        return None;
    }
    let start = text[..word.start()]
        .rfind(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c)))
        .map_or(0, |at| at + 1);
    let whole = text[text.ceil_char_boundary(start)..end.end()]
        .to_ascii_lowercase()
        .replace(['_', '-', ' '], "");
    let is_base64 = given.bytes().all(|it| it.is_ascii_alphanumeric() || b"+/=".contains(&it));
    if whole.contains("clientkeydata") && is_base64 && given.len() >= 40 {
        return Some("kubernetes-client-key");
    }
    let is_aws = whole.contains("aws") || whole.contains("secretaccesskey");
    if is_aws && is_base64 && given.len() == 40 {
        return Some("aws-secret-key");
    }
    let sign = name.get(3).map_or("", |sign| sign.as_str());
    let is_phrase = value.is_quoted && given.contains(' ') && is_phrase(given, sign);
    // `token-service: "…"` is a line of a log, and not a secret in words.
    let is_announced = end.is_empty()
        && ["secret", "token"].contains(&word.as_str().to_ascii_lowercase().as_str());
    (is_drawn(given) || is_announced && is_phrase).then_some("secret")
}

/// A value behind an option or an environment variable.
fn option(text: &str, name: &Captures<'_>, value: &Value) -> Option<&'static str> {
    let (word, end) = (name.get(1)?, name.get(2)?);
    let given = &text[value.range.clone()];
    if is_about(end.as_str()) || !is_given(given) || given.starts_with('-') {
        return None;
    }
    let is_password = word.as_str().to_ascii_lowercase().starts_with('p')
        && !word.as_str().to_ascii_lowercase().starts_with("private");
    match is_password {
        true => {
            (!is_wordy(given) || has_digit_or_case(given) || value.is_quoted).then_some(PASSWORD)
        }
        false => is_drawn(given).then_some("secret"),
    }
}

/// Whether a sentence gives a password away: in quotes, or unlike any word.
fn is_said(text: &str, value: &Value) -> bool {
    const SHORTEST: usize = 8;
    let given = &text[value.range.clone()];
    let has_digit = given.bytes().any(|it| it.is_ascii_digit());
    let has_letter = given.bytes().any(|it| it.is_ascii_alphabetic());
    let is_one_word = !given.contains(' ');
    // A word with a number is one; marks that only passwords have tell it from a name.
    let has_mark = given.contains(['!', '$', '#', '%', '&', '@', '^', '*']);
    let is_unlike = has_digit && has_letter && (value.is_quoted || has_mark || !is_wordy(given));
    is_given(given) && is_one_word && given.len() >= SHORTEST && is_unlike
}
