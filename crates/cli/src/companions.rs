//! What lies beside the weights of a model and goes with them: what it needs to be used, and its
//! licence.

use anyhow::Result;
use std::path::Path;

/// Their names.
pub(crate) const COMPANIONS: [&str; 13] = [
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
    "NOTICE",
    "USE_POLICY.md",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
];

/// Those of them that say what may be done with the weights.
pub(crate) const LICENCES: [&str; 5] =
    ["LICENSE", "LICENSE.md", "LICENSE.txt", "NOTICE", "USE_POLICY.md"];

/// The largest file that is copied.
const LIMIT_BYTES: u64 = 64 << 20;

/// Copies the files of these names from the first of the directories that has them; gives those that
/// were there, sorted.
///
/// # Errors
/// A file that cannot be read or written, or that is larger than any of its kind.
pub(crate) fn copy<'a>(
    names: impl IntoIterator<Item = &'a str>,
    from: &[&Path],
    to: &Path,
) -> Result<Vec<&'a str>> {
    let mut copied = Vec::new();
    for name in names {
        let mut places = from.iter().map(|directory| directory.join(name));
        let Some(place) = places.find(|place| place.is_file()) else { continue };
        let content = files::read(&place, LIMIT_BYTES)?;
        files::write_atomic(to.join(name), |out| out.write_all(&content))?;
        copied.push(name);
    }
    copied.sort_unstable();
    Ok(copied)
}
