//! What the environment says about the hub, by the names that Hugging Face's own programs use.

use super::remote::origin;
use crate::exit::usage;
use anyhow::Result;
use std::path::PathBuf;

/// The hub where none is named.
const ENDPOINT: &str = "https://huggingface.co";
/// The largest token, and list of certificates, that is read.
const LIMIT_BYTES: u64 = 4 << 20;

/// Where things are and what may be done.
pub(super) struct Settings {
    /// The directory of the cache.
    pub(super) cache: PathBuf,
    /// The address of the hub, without a slash at its end.
    pub(super) endpoint: String,
    /// Whether no connection may be opened.
    pub(super) offline: bool,
    /// The directory of everything of Hugging Face's.
    home: PathBuf,
}

/// A secret that is sent to the hub and shown nowhere; so it has no `Debug`.
pub(super) struct Token {
    /// The secret.
    pub(super) secret: String,
    /// Where it was found, for messages.
    pub(super) source: String,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// No place for a cache, or an endpoint that is no address.
    pub(super) fn of_environment() -> Result<Settings> {
        let home = home()?;
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        if origin(&endpoint).is_none() {
            return Err(usage(format!(
                "HF_ENDPOINT is {endpoint:?}, expected an address such as {ENDPOINT}"
            )));
        }
        Ok(Settings {
            cache: cache.unwrap_or_else(|| home.join("hub")),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            offline: is_set("HF_HUB_OFFLINE") || is_set("TRANSFORMERS_OFFLINE"),
            home,
        })
    }

    /// The token, if there is one.
    ///
    /// # Errors
    /// A file that cannot be read, or what cannot be a token.
    pub(super) fn token(&self) -> Result<Option<Token>> {
        if is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            return Ok(None);
        }
        let (secret, source) = match text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN")) {
            Some(secret) => (secret, "HF_TOKEN".to_owned()),
            None => {
                let file = path("HF_TOKEN_PATH").unwrap_or_else(|| self.home.join("token"));
                if !file.exists() {
                    return Ok(None);
                }
                (files::read_to_string(&file, LIMIT_BYTES)?, file.display().to_string())
            }
        };
        let secret = secret.trim().to_owned();
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(usage(format!("{source}: it has characters that no token has")));
        }
        Ok((!secret.is_empty()).then_some(Token { secret, source }))
    }

    /// The certificates to trust, in PEM, where the environment names some.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn certificates() -> Result<Option<(PathBuf, Vec<u8>)>> {
        let named = path("SSL_CERT_FILE").or_else(|| path("REQUESTS_CA_BUNDLE"));
        let Some(file) = named else { return Ok(None) };
        let content = files::read(&file, LIMIT_BYTES)?;
        Ok(Some((file, content)))
    }
}

/// `HF_HOME`, else `huggingface` in the user's cache.
fn home() -> Result<PathBuf> {
    let caches = || path("XDG_CACHE_HOME").or_else(|| Some(path("HOME")?.join(".cache")));
    path("HF_HOME").or_else(|| Some(caches()?.join("huggingface"))).ok_or_else(|| {
        usage(
            "the hub has no cache: none of HF_HOME, XDG_CACHE_HOME and HOME is set\nhint: set one",
        )
    })
}

fn path(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn text(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// Whether a switch is on, as `huggingface_hub` reads it.
fn is_set(variable: &str) -> bool {
    let value = text(variable).unwrap_or_default().to_ascii_uppercase();
    ["1", "ON", "YES", "TRUE"].contains(&value.as_str())
}
