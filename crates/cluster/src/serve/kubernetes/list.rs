//! Pages of lists, and how a watch begins.

use super::resource::Kind;
use super::status::Status;
use crate::serve::request::Params;
use serde_json::{Value, json};

/// Seconds that a watch stays open where nothing is said, and at most.
const USUAL_SECONDS: u64 = 1_800;
const MOST_SECONDS: u64 = 3_600;

/// What a token of `continue` begins with; the number of objects before the page follows.
const TOKEN: &str = "after-";

/// A part of a list.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) from: usize,
    pub(super) to: usize,
    of: usize,
    /// Whether anything selects: then servers do not say how many are left.
    selective: bool,
}

impl Page {
    /// The page that is asked for, of so many objects.
    pub(super) fn read(params: &Params, of: usize) -> Result<Self, Status> {
        let limit = match params.get("limit") {
            None | Some("0") => usize::MAX,
            Some(text) => {
                text.parse().map_err(|_| Status::bad(format!("limit {text:?} is not a number")))?
            }
        };
        let from = match params.get("continue") {
            None => 0,
            Some(token) => {
                let number = token.strip_prefix(TOKEN).and_then(|it| it.parse().ok());
                let known = number.filter(|it| *it <= of);
                known.ok_or_else(|| {
                    Status::bad("continue key is not valid: it is not one of ours")
                })?
            }
        };
        let selective = params.get("labelSelector").or(params.get("fieldSelector")).is_some();
        Ok(Self { from, to: from.saturating_add(limit).min(of), of, selective })
    }

    /// The metadata of the list.
    pub(super) fn metadata(&self, version: u64) -> Value {
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if self.to < self.of {
            metadata["continue"] = format!("{TOKEN}{}", self.to).into();
            if !self.selective {
                metadata["remainingItemCount"] = (self.of - self.to).into();
            }
        }
        metadata
    }
}

/// How a watch begins.
#[derive(Debug)]
pub(super) struct Begin {
    /// With the objects that there are.
    pub(super) objects: bool,
    /// And a mark where they end.
    pub(super) marks_end: bool,
    /// With bookmarks now and then.
    pub(super) bookmarks: bool,
    pub(super) seconds: u64,
}

impl Begin {
    /// As it is asked for.
    pub(super) fn read(params: &Params, version: u64) -> Result<Self, Status> {
        let asked = match params.get("resourceVersion") {
            None => 0,
            Some(text) => text
                .parse::<u64>()
                .map_err(|_| Status::bad(format!("resourceVersion {text:?} is not a number")))?,
        };
        let initial = params.is_set("sendInitialEvents");
        let seconds = match params.get("timeoutSeconds") {
            None | Some("0") => USUAL_SECONDS,
            Some(text) => text
                .parse()
                .map_err(|_| Status::bad(format!("timeoutSeconds {text:?} is not a number")))?,
        };
        let bookmarks = params.is_set("allowWatchBookmarks");
        Ok(Self {
            // Everything has one version: who knows it, or a later one, knows all there is.
            objects: initial || asked < version,
            marks_end: initial && bookmarks,
            bookmarks,
            seconds: seconds.min(MOST_SECONDS),
        })
    }
}

/// The object of a bookmark.
pub(super) fn bookmark(kind: &Kind, version: u64, ends_first: bool) -> Value {
    let mut metadata = json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
    if ends_first {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    json!({"kind": kind.kind, "apiVersion": kind.api_version(), "metadata": metadata})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str, of: usize) -> Result<Page, Status> {
        let mut params = Params::default();
        params.add(text);
        Page::read(&params, of)
    }

    #[test]
    fn pages_follow_each_other() {
        let first = page("limit=2", 5).unwrap();
        assert_eq!((first.from, first.to), (0, 2));
        assert_eq!(
            first.metadata(7),
            json!({"resourceVersion": "7", "continue": "after-2", "remainingItemCount": 3})
        );
        let last = page("limit=2&continue=after-4", 5).unwrap();
        assert_eq!((last.from, last.to), (4, 5));
        assert_eq!(last.metadata(7), json!({"resourceVersion": "7"}));
        let all = page(&format!("limit={}", usize::MAX), 5).unwrap();
        assert_eq!((all.from, all.to), (0, 5));
        for bad in ["limit=x", "limit=-1", "continue=after-6", "continue=6", "continue=after-"] {
            assert!(page(bad, 5).is_err(), "{bad}");
        }
    }
}
