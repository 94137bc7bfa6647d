//! What tells one model or adapter from another: a hash over its configuration and every byte of its
//! weight files, in pieces that all cores hash at once.
//!
//! It is the SHA-256 of, in hexadecimal digits, the SHA-256 of the configuration file, which a GGUF file
//! does without; then for every weight file that is used, in the order of their names, the name, a zero
//! byte, the length in bytes as a little-endian u64, and the SHA-256 of each 4 MiB of it, again in
//! hexadecimal digits.

use crate::Result;
use files::Sha256;
use model::Checkpoint;
use rayon::prelude::*;

/// Bytes of a piece.
const PIECE_BYTES: usize = 4 << 20;
/// Pieces between two words about how far it is: a quarter of a second or so of one core.
const TOLD_PIECES: usize = 64;

/// The fingerprint of opened weights and the configuration file of that name beside them. Nothing is
/// remembered: every call reads everything.
///
/// # Errors
/// When the configuration cannot be read.
pub fn fingerprint(weights: &Checkpoint, config: &str) -> Result<String> {
    fingerprint_watched(weights, config, &mut |_| {})
}

/// The same; `watch` is told now and then how many bytes of the weights were read so far.
///
/// # Errors
/// As [`fingerprint()`].
pub fn fingerprint_watched(
    weights: &Checkpoint,
    config: &str,
    watch: &mut dyn FnMut(u64),
) -> Result<String> {
    let mut hash = Sha256::new();
    let mut maps: Vec<_> = weights.files().iter().collect();
    // A GGUF file has its configuration inside, whether somebody wrote it beside it or not.
    if weights.own_config().is_none() {
        let file = weights.directory().join(config);
        hash.update(files::sha256_file(file)?.as_bytes());
    }
    maps.sort_by_key(|map| map.path());
    let mut done = 0;
    for map in maps {
        hash.update(map.path().file_name().unwrap_or_default().as_encoded_bytes());
        hash.update(&[0]);
        hash.update(&(map.len() as u64).to_le_bytes());
        for part in map.chunks(TOLD_PIECES * PIECE_BYTES) {
            let pieces: Vec<String> = part.par_chunks(PIECE_BYTES).map(files::sha256).collect();
            pieces.iter().for_each(|piece| hash.update(piece.as_bytes()));
            done += part.len() as u64;
            watch(done);
        }
    }
    Ok(hash.finish())
}

#[cfg(test)]
mod tests;
