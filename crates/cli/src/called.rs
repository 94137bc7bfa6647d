//! What messages call the directories that GGUF files have in the cache: by the file that the user named.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Directories, and the files that were named.
static NAMES: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// From here on, messages name the file instead of the directory.
pub(crate) fn remember(directory: &Path, file: &Path) {
    let pair = (directory.display().to_string(), file.display().to_string());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.retain(|(directory, _)| *directory != pair.0);
    names.push(pair);
}

/// The text with the files in place of their directories and of what was unpacked in these.
pub(crate) fn by_name(text: &str) -> String {
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.iter().fold(text.to_owned(), |text, (directory, file)| renamed(&text, directory, file))
}

fn renamed(text: &str, directory: &str, file: &str) -> String {
    let mut parts = text.split(directory);
    let mut renamed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let inside = |rest: &str| {
            let plain = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
            rest.len() - rest.trim_start_matches(plain).len()
        };
        let skipped = part.strip_prefix('/').map_or(0, |rest| 1 + inside(rest));
        renamed.push_str(file);
        renamed.push_str(&part[skipped..]);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stand_for_their_directories() {
        let text = "a /c/m-1/tokenizer.json: b, /c/m-1: d\n/c/m-1";
        assert_eq!(renamed(text, "/c/m-1", "x.gguf"), "a x.gguf: b, x.gguf: d\nx.gguf");
        assert_eq!(renamed("none", "/c/m-1", "x.gguf"), "none");
    }
}
