//! What a repository has at a commit, and what of it a model needs.

use super::cache::READ;
use super::name::{Name, is_commit, is_file, is_hexadecimal};
use crate::companions;
use crate::exit::usage;
use anyhow::Result;
use serde::Deserialize;
use std::path::{Component, Path};

/// The names of weights: in one file, or the list of several.
pub(super) const SINGLE: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";
/// What is taken beside weights, by name.
const ALSO: [&str; 3] = ["README.md", "config.json", "srek.json"];
/// And by how names begin and end.
const FAMILIES: [(&str, &str); 4] =
    [("LICENSE", ""), ("NOTICE", ""), ("chat_template.", ""), ("tokenizer", ".json")];
/// The largest card that is worth its way, and the largest of the other small files.
const CARD_BYTES: u64 = 1 << 20;
const SMALL_BYTES: u64 = 64 << 20;

/// A repository at a commit.
#[derive(Debug)]
pub(super) struct Listing {
    /// The commit.
    pub(super) commit: String,
    files: Vec<Listed>,
}

/// A file of a repository, of a plain name.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// Its name.
    pub(super) name: String,
    /// Its size in bytes.
    pub(super) size: u64,
    /// What the cache calls its content: its SHA-256, or where Git has it the hash of Git.
    pub(super) etag: String,
    /// The SHA-256 of its content, where the hub knows it: of all large files.
    pub(super) sha256: Option<String>,
}

/// The answer of the hub, as far as it matters.
#[derive(Deserialize)]
struct Answer {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

impl Listing {
    /// Reads the hub's answer about a repository.
    ///
    /// # Errors
    /// What is no such answer, or lists a file outside of the repository.
    pub(super) fn parse(name: &Name, text: &str) -> Result<Listing> {
        let answer: Answer = serde_json::from_str(text)
            .map_err(|error| usage(format!("{name}: the hub's answer is no listing: {error}")))?;
        if !is_commit(&answer.sha) {
            return Err(usage(format!("{name}: the hub names {:?} as its commit", answer.sha)));
        }
        let mut files = Vec::new();
        for sibling in answer.siblings {
            let path = Path::new(&sibling.rfilename);
            if !path.components().all(|it| matches!(it, Component::Normal(_))) {
                return Err(usage(format!(
                    "{name}: the hub lists {:?}, a file outside of the repository; nothing of it is \
                     taken",
                    sibling.rfilename
                )));
            }
            // What lies in folders is the same model in other forms.
            if is_file(&sibling.rfilename) {
                files.extend(sibling.listed(name)?);
            }
        }
        Ok(Listing { commit: answer.sha, files })
    }

    /// The file of a name.
    pub(super) fn file(&self, name: &str) -> Option<&Listed> {
        self.files.iter().find(|it| it.name == name)
    }

    /// What a model has beside its weights.
    pub(super) fn companions(&self) -> impl Iterator<Item = &Listed> {
        self.files.iter().filter(|it| is_companion(&it.name) && it.size <= it.limit())
    }

    /// The weights that the index names, or the single file.
    ///
    /// # Errors
    /// The first name that is not listed.
    pub(super) fn weights(&self, name: &Name, names: &[String]) -> Result<Vec<&Listed>> {
        let listed = |weights: &String| self.file(weights).ok_or_else(|| self.lacks(name, weights));
        names.iter().map(listed).collect()
    }

    fn lacks(&self, name: &Name, weights: &str) -> anyhow::Error {
        if weights != SINGLE {
            return usage(format!("{name}: {INDEX} names {weights}, which the repository lacks"));
        }
        let is_other = |it: &&Listed| {
            [".bin", ".gguf", ".pth", ".safetensors"].iter().any(|end| it.name.ends_with(end))
        };
        let others: Vec<&str> =
            self.files.iter().filter(is_other).map(|it| it.name.as_str()).take(3).collect();
        let has = match others.as_slice() {
            [] => String::new(),
            others => format!("; it has {}", others.join(", ")),
        };
        usage(format!(
            "{name}: the repository has no {SINGLE} and no {INDEX}{has}\nhint: choose a repository with \
             the weights in safetensors"
        ))
    }

    /// Names of what is read of a model that the commit does not have.
    pub(super) fn absent(&self) -> impl Iterator<Item = &'static str> {
        READ.into_iter().filter(|name| self.file(name).is_none())
    }
}

impl Sibling {
    fn listed(self, name: &Name) -> Result<Option<Listed>> {
        let Sibling { rfilename, size, blob_id, lfs } = self;
        let (size, etag, sha256) = match lfs {
            Some(lfs) => (Some(lfs.size), Some(lfs.sha256.clone()), Some(lfs.sha256)),
            None => (size, blob_id, None),
        };
        let digits = if sha256.is_some() { 64 } else { 40 };
        match (size, etag) {
            (Some(size), Some(etag)) if etag.len() == digits && is_hexadecimal(&etag) => {
                Ok(Some(Listed { name: rfilename, size, etag, sha256 }))
            }
            _ => Err(usage(format!(
                "{name}: the hub lists {rfilename} without its size and hash\nhint: HF_ENDPOINT must \
                 lead to a hub that tells them"
            ))),
        }
    }
}

impl Listed {
    /// Whether what was received before may be its beginning: there must be a hash that tells in the
    /// end whether it was.
    pub(super) fn can_go_on_from(&self, received: u64) -> bool {
        self.sha256.is_some() && received <= self.size
    }

    fn limit(&self) -> u64 {
        if self.name == "README.md" { CARD_BYTES } else { SMALL_BYTES }
    }
}

fn is_companion(name: &str) -> bool {
    let of_family = |(first, last): &(&str, &str)| name.starts_with(first) && name.ends_with(last);
    companions::is_companion(name)
        || ALSO.contains(&name)
        || name == INDEX
        || FAMILIES.iter().any(of_family)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(siblings: &str) -> Result<Listing> {
        let name = Name::parse("a/b").expect("a name");
        let sha = "0".repeat(40);
        Listing::parse(&name, &format!(r#"{{"sha": "{sha}", "siblings": [{siblings}]}}"#))
    }

    fn small(name: &str) -> String {
        let blob = "1".repeat(40);
        format!(r#"{{"rfilename": "{name}", "size": 7, "blobId": "{blob}"}}"#)
    }

    #[test]
    fn what_a_model_needs_is_taken_and_nothing_else() {
        let names = [
            "config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "LICENSE.txt",
            "USE_POLICY.md",
            "chat_template.jinja",
            "README.md",
            "original/params.json",
            "pytorch_model.bin",
            ".gitattributes",
            "model-q4.gguf",
            "training_args.bin",
            "onnx/config.json",
            "tokenizer.py",
        ];
        let listed = listing(&names.map(small).join(",")).expect("a listing");
        let taken: Vec<_> = listed.companions().map(|it| it.name.as_str()).collect();
        assert_eq!(taken, names[..7]);
        assert_eq!(listed.absent().count(), 0);
    }

    #[test]
    fn names_that_lead_outside_are_refused() {
        for name in ["../config.json", "/etc/passwd", "a/../../b", "tokenizer/../../x.json", "./x"]
        {
            let error = listing(&small(name)).expect_err(name).to_string();
            assert!(error.contains("outside"), "{name}: {error}");
        }
        let blob = small("config.json").replace(&"1".repeat(40), "../../../x");
        assert!(listing(&blob).expect_err("blob").to_string().contains("size and hash"));
    }
}
