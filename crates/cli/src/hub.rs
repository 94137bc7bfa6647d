//! Models of the Hugging Face hub, by their names.
//!
//! The cache is the one that transformers and `hf` keep, in their layout, so each uses what the
//! other has fetched. *Invariant*: what is whole in the cache is used without any network; otherwise
//! the one server that is asked is the hub's, for the repository that was named, and storage that it
//! points to. The token goes to the hub only. *Invariant*: a file is in the cache with the size and,
//! where the hub lists one, the SHA-256 that it is listed with, or not at all.
//!
//! | module | holds |
//! |---|---|
//! | `name` | what a repository may be called |
//! | `settings` | the environment: places, endpoint, token, offline |
//! | `cache` | which file lies where |
//! | `listing` | what a repository has, and what of it is wanted |
//! | `remote` | requests and what answers mean |
//! | `fetch` | files into the cache |

mod cache;
mod fetch;
mod listing;
mod name;
mod remote;
mod settings;

pub(crate) use fetch::Fetched;
pub(crate) use name::Name;

use crate::exit::usage;
use crate::output::note;
use anyhow::Result;
use cache::Cache;
use remote::Unreachable;
use settings::Settings;
use std::path::PathBuf;

/// The directory of a model for who wants to use it: as the cache has it, and fetched only where
/// something is missing there.
///
/// # Errors
/// A model that cannot be had.
pub(crate) fn directory(name: &Name) -> Result<PathBuf> {
    let settings = Settings::of_environment()?;
    let cache = Cache::of(&settings.cache, name);
    let known = cache.commit(name.revision());
    if let Some(commit) = known.as_deref().filter(|commit| cache.is_whole(commit)) {
        return Ok(cache.snapshot(commit));
    }
    if settings.offline {
        return offline(&cache, name);
    }
    // What was fetched once is completed, not replaced by what the branch has become.
    let revision = known.as_deref().unwrap_or(name.revision());
    match fetch::fetch(&settings, &cache, name, revision) {
        Ok(fetched) => Ok(fetched.directory),
        Err(error) if error.is::<Unreachable>() => {
            match offline(&cache, name) {
                Ok(directory) => {
                    let told = error.to_string();
                    let told = told.lines().next().unwrap_or_default();
                    note(&format!("warning: {told}; taken as it is in the cache"));
                    Ok(directory)
                }
                Err(_) => Err(error
                    .context(format!("{name}: there is no such directory, and the hub is away"))),
            }
        }
        Err(error) => Err(error),
    }
}

/// Fetches what is missing of the newest commit of a revision.
///
/// # Errors
/// A model that cannot be had.
pub(crate) fn download(name: &Name) -> Result<Fetched> {
    let settings = Settings::of_environment()?;
    let cache = Cache::of(&settings.cache, name);
    let pinned = cache.commit(name.revision()).filter(|commit| commit == name.revision());
    match pinned.filter(|commit| cache.is_whole(commit)) {
        Some(commit) => fetch::fetched_before(&cache, &commit),
        None if settings.offline => {
            offline(&cache, name)?;
            fetch::fetched_before(&cache, &cache.commit(name.revision()).unwrap_or_default())
        }
        None => fetch::fetch(&settings, &cache, name, name.revision()),
    }
}

/// The model as it lies in the cache, if its weights do.
fn offline(cache: &Cache, name: &Name) -> Result<PathBuf> {
    let commit = cache.commit(name.revision());
    let missing = match &commit {
        Some(commit) => cache.missing(commit)?,
        None => Some(cache.reference(name.revision())),
    };
    match (commit, missing) {
        (Some(commit), None) => Ok(cache.snapshot(&commit)),
        (_, missing) => Err(usage(format!(
            "{name}: the hub may not be asked (HF_HUB_OFFLINE), and the cache lacks {}\nhint: fetch \
             it with `srek download {name}` where the network may be used",
            missing.unwrap_or_default().display()
        ))),
    }
}
