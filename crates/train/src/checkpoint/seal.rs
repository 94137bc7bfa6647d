//! The seal of a `state.json`: its own hash, in its last field. Every other file of a checkpoint has its hash
//! in `srek.json`, and that one in `state.json`, which therefore cannot have one there.

use super::{LIMIT_BYTES, STATE, Saved, damaged, parse};
use crate::record;
use crate::verify::Verdict;
use std::path::Path;

/// Digits of a hash, and what stands for it while it is computed.
const DIGITS: usize = 64;
const OPEN: &str = "0";

/// What stands in the field before the file is sealed.
pub(super) fn open() -> String {
    OPEN.repeat(DIGITS)
}

/// Seals the text of a file whose field is still open.
pub(super) fn close(text: &str) -> String {
    let seal = files::sha256(text.as_bytes());
    replace(text, &open(), &seal).expect("the field is there")
}

/// Whether the text has this seal.
fn fits(text: &str, seal: &str) -> bool {
    record::is_hash(seal)
        && replace(text, seal, &open()).is_some_and(|open| files::sha256(open.as_bytes()) == seal)
}

/// Replaces what stands in the field, which is the last one.
fn replace(text: &str, from: &str, to: &str) -> Option<String> {
    let (before, after) = text.rsplit_once(from)?;
    Some([before, to, after].concat())
}

/// Refuses the text of a state that was changed since it was sealed; those of version 2 have no seal.
pub(super) fn check(saved: &Saved, text: &str, path: &Path) -> crate::Result<()> {
    match &saved.seal {
        Some(seal) if !fits(text, seal) => Err(damaged(
            &path.join(STATE),
            "is not what was written: its seal is of another content",
        )),
        _ => Ok(()),
    }
}

/// What `verify` says of the `state.json` of a checkpoint.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn verdict(directory: &Path) -> crate::Result<Verdict> {
    let file = directory.join(STATE);
    if !file.is_file() {
        return Ok(Verdict::Missing);
    }
    let text = files::read_to_string(&file, LIMIT_BYTES)?;
    let saved = match parse(&text) {
        Ok(saved) => saved,
        Err(words) => return Ok(Verdict::Changed(words)),
    };
    let Some(seal) = &saved.seal else { return Ok(Verdict::NotRecorded) };
    if !fits(&text, seal) {
        return Ok(Verdict::Changed("its seal is of another content".to_owned()));
    }
    let beside = files::sha256_file(directory.join(record::FILE))?;
    if saved.files.get(record::FILE) != Some(&beside) {
        let words = format!("it was written beside another {}", record::FILE);
        return Ok(Verdict::Changed(words));
    }
    Ok(Verdict::AsRecorded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_under_the_seal() {
        let closed = close(&format!("{{\"step\": 2, \"seal\": \"{}\"}}", open()));
        let seal = &closed[closed.len() - 2 - DIGITS..closed.len() - 2];
        assert!(fits(&closed, seal), "{closed}");
        for at in 0..closed.len() - 2 - DIGITS {
            let mut changed = closed.clone().into_bytes();
            changed[at] ^= 1;
            assert!(!fits(&String::from_utf8(changed).unwrap(), seal), "byte {at}");
        }
        assert!(!fits(&closed, &open()) && !fits(&closed, ""));
    }
}
