//! Names of repositories and revisions.

use std::fmt;

/// Longest part of a name, as the hub has it.
const MOST_CHARACTERS: usize = 96;
/// The revision where none is named.
const MAIN: &str = "main";

/// A repository of models and perhaps a revision of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// Whose it is, and its name: `org/name`.
    pub(crate) repository: String,
    /// A branch, a tag or a commit, if one was named.
    pub(crate) revision: Option<String>,
}

impl Name {
    /// Reads `org/name` or `org/name@revision`; none where it cannot be one.
    pub(crate) fn parse(text: &str) -> Option<Name> {
        let (repository, revision) = match text.split_once('@') {
            Some((repository, revision)) => (repository, Some(revision)),
            None => (text, None),
        };
        let (owner, name) = repository.split_once('/')?;
        let valid = is_part(owner) && is_part(name) && revision.is_none_or(is_revision);
        valid.then(|| Name {
            repository: repository.to_owned(),
            revision: revision.map(str::to_owned),
        })
    }

    /// With this revision.
    pub(crate) fn at(self, revision: &str) -> Option<Name> {
        is_revision(revision).then(|| Name { revision: Some(revision.to_owned()), ..self })
    }

    /// The revision that is meant.
    pub(crate) fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(MAIN)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.repository)?;
        self.revision.as_ref().map_or(Ok(()), |revision| write!(out, "@{revision}"))
    }
}

/// Letters that names are made of: none of them means anything in a path or an address.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&character)
}

/// An owner or a name. The cache joins the two by `--`, so neither may hold it.
fn is_part(text: &str) -> bool {
    (1..=MOST_CHARACTERS).contains(&text.len())
        && text.chars().all(is_plain)
        && !text.contains("--")
        && !text.contains("..")
        && !text.starts_with(['.', '-'])
        && !text.ends_with(['.', '-'])
}

/// A revision: such as `main`, `v1.0`, `refs/pr/3` or a commit.
fn is_revision(text: &str) -> bool {
    text.len() <= 2 * MOST_CHARACTERS
        && text.split('/').all(|part| is_file(part) && !part.ends_with(".lock"))
}

/// A file name that stays in its directory and is visible there.
pub(super) fn is_file(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('.') && text.chars().all(is_plain)
}

/// A commit: 40 hexadecimal digits.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && is_hexadecimal(text)
}

/// Lower-case hexadecimal digits.
pub(super) fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_an_owner_and_perhaps_a_revision() {
        let name = Name::parse("meta-llama/Llama-3.2-1B").expect("a name");
        assert_eq!(
            (name.repository.as_str(), name.revision()),
            ("meta-llama/Llama-3.2-1B", "main")
        );
        let name = Name::parse("a/b@refs/pr/3").expect("a name");
        assert_eq!((name.revision(), name.to_string().as_str()), ("refs/pr/3", "a/b@refs/pr/3"));
    }

    #[test]
    fn paths_and_addresses_are_no_names() {
        for text in [
            "",
            "llama",
            "a/b/c",
            "/a/b",
            "./a",
            "../a",
            "a/..",
            "a/.b",
            "a/",
            "/a",
            "a/b@",
            "a b/c",
            "a/b@..",
            "a/b@/x",
            "a/b@x/../y",
            "a/b?c",
            "a/b%2e",
            "a--b/c",
            "http://a/b",
            "~/a",
            "a/é",
        ] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }
}
