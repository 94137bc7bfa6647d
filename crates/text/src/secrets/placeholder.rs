//! What stands for a secret and is none, and what looks as if a machine had drawn it.

/// Parts that only placeholders have, in lower case.
const PARTS: [&str; 15] = [
    "example",
    "redacted",
    "changeme",
    "change-me",
    "change_me",
    "placeholder",
    "xxxx",
    "****",
    "....",
    "…",
    "your-",
    "your_",
    "yourp",
    "insert-",
    "replace-",
];

/// Words that say that there is a value and not which, in lower case.
const WORDS: [&str; 34] = [
    "null",
    "none",
    "nil",
    "true",
    "false",
    "undefined",
    "unset",
    "empty",
    "unknown",
    "string",
    "str",
    "bytes",
    "text",
    "required",
    "optional",
    "pass",
    "passwd",
    "password",
    "passphrase",
    "secret",
    "token",
    "hidden",
    "masked",
    "omitted",
    "removed",
    "n/a",
    "default",
    "dummy",
    "foo",
    "bar",
    "value",
    "key",
    "yes",
    "no",
];

/// Whether this stands for a secret: a word such as `password`, a variable, something in brackets,
/// or crosses.
pub(super) fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    PARTS.iter().any(|part| lower.contains(part))
        || WORDS.contains(&lower.as_str())
        || lower.bytes().all(|byte| b"x*.-_#?0".contains(&byte))
        || lower.bytes().all(|byte| byte == lower.as_bytes()[0])
        || lower.chars().all(|c| c == '•' || c == '●')
        || is_bracketed(value)
        || is_variable(value)
}

/// `<password>`, `[secret]`, `{{ token }}`.
fn is_bracketed(value: &str) -> bool {
    let bracket = |open, close| value.starts_with(open) && value.contains(close);
    bracket('<', '>') || bracket('[', ']') || bracket('{', '}') || value.starts_with("{{")
}

/// `$TOKEN`, `${token}`, `$(cat token)`, `%TOKEN%`, `@token@`, `$db_password`.
fn is_variable(value: &str) -> bool {
    if value.starts_with("${") || value.starts_with("$(") || value.starts_with("$$(") {
        return true;
    }
    let is_name = |name: &str| name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
    if let Some(name) = value.strip_prefix('$') {
        let lower = name.to_ascii_lowercase();
        let says_so = ["pass", "pwd", "secret", "token", "key"].iter().any(|it| lower.contains(it));
        let is_shouted = name.bytes().all(|it| it.is_ascii_uppercase() || it == b'_');
        return is_name(name) && (says_so || is_shouted);
    }
    ['%', '@'].into_iter().any(|mark| {
        let inner = value.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
        inner.is_some_and(|name| !name.is_empty() && is_name(name))
    })
}

/// Whether a program's text refers to a value instead of giving it: `config.password`,
/// `os.environ["TOKEN"]`, `getPassword()`, `/run/secrets/token`.
pub(super) fn is_reference(value: &str) -> bool {
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')
    };
    let called = value.split(['(', '[']).next().unwrap_or(value);
    let is_call = called.len() < value.len() && called.split(['.', ':']).all(is_name);
    let is_path = (value.starts_with('/') || value.starts_with("./") || value.starts_with("~/"))
        && !value.split('/').any(is_drawn);
    let is_member = value.contains('.') && value.split('.').all(|it| is_name(it) && !is_drawn(it));
    is_call || is_path || is_member || value.contains("://")
}

/// Whether a value is made of words and small numbers, as names are: `checkout-api-2`, `v1.35.0`,
/// `tls_cert_2024`, `camelCaseName`.
pub(super) fn is_wordy(value: &str) -> bool {
    let pieces = value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|it| !it.is_empty());
    pieces.into_iter().all(|piece| {
        let letters = piece.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = piece.len() - letters.len();
        let few_digits = letters.is_empty() && digits <= 8 || digits <= 4;
        few_digits && letters.bytes().all(|it| it.is_ascii_alphabetic()) && !is_zigzag(letters)
    })
}

/// Whether letters change between upper and lower case more often than words do.
fn is_zigzag(letters: &str) -> bool {
    let bytes = letters.as_bytes();
    let rises =
        bytes.windows(2).filter(|it| it[0].is_ascii_lowercase() && it[1].is_ascii_uppercase());
    letters.len() >= 12 && rises.count() * 6 > letters.len()
}

/// Whether a value looks drawn at random: long enough, letters and digits (or letters in wild
/// case), and not made of words.
pub(super) fn is_drawn(value: &str) -> bool {
    const SHORTEST: usize = 12;
    /// Bits per character; sixteen random hexadecimal digits have about 3.
    const ENTROPY: f64 = 2.6;
    let is_token =
        value.bytes().all(|it| it.is_ascii_alphanumeric() || b"+/=_.~:!@#%^-".contains(&it));
    let has_letter = value.bytes().any(|it| it.is_ascii_alphabetic());
    value.len() >= SHORTEST
        && is_token
        && has_letter
        && !is_wordy(value)
        && entropy(value) >= ENTROPY
}

/// Shannon's entropy of the bytes, in bits for each.
fn entropy(value: &str) -> f64 {
    let mut counts = [0_u32; 256];
    value.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let length = value.len() as f64;
    let share = |count: u32| f64::from(count) / length;
    // No result depends on more than two digits of it, so any logarithm will do.
    counts.into_iter().filter(|&count| count > 0).map(|it| -share(it) * share(it).log2()).sum()
}
