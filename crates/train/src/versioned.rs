//! JSON files that say their version in `version`.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Reads `text` as version `expected` of a `T`. The version counts before anything else: a file of
/// another version may have other fields.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, expected: u32) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let found: Versioned = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if found.version != expected {
        return Err(format!("version {}, expected {expected}", found.version));
    }
    serde_json::from_str(text).map_err(|e| e.to_string())
}
