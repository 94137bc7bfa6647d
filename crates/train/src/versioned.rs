//! JSON files that say their version in `version`.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Reads `text` as version `expected` of a `T`. The version counts before anything else: a file of
/// another version may have other fields.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, expected: u32) -> Result<T, String> {
    let found = version(text)?;
    if found != expected {
        return Err(format!("version {found}, expected {expected}"));
    }
    serde_json::from_str(text).map_err(|e| e.to_string())
}

/// The version that a file says.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn version(text: &str) -> Result<u32, String> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let found: Versioned = serde_json::from_str(text).map_err(|e| e.to_string())?;
    Ok(found.version)
}
