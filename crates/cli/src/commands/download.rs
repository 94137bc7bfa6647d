//! `srek download`: a model of the hub into its cache.

use crate::args::DownloadArgs;
use crate::exit::usage;
use crate::hub::{self, Fetched, Name};
use crate::output::{Answer, bytes, pairs};
use anyhow::Result;
use serde_json::json;

/// The largest card whose licence is read.
const CARD_BYTES: u64 = 1 << 20;

/// Fetches what is missing, and says what is there.
pub(crate) fn run(args: &DownloadArgs) -> Result<Answer> {
    let name = name(args)?;
    let fetched = hub::download(&name)?;
    let size: u64 = fetched.files.iter().map(|(_, size)| size).sum();
    let (licence, documents) = (licence(&fetched), documents(&fetched));
    let text = pairs(&[
        ("model", name.repository.clone()),
        ("revision", format!("{}, commit {}", name.revision(), fetched.commit)),
        ("size", format!("{} in {} files", bytes(size), fetched.files.len())),
        (
            "received",
            if fetched.received == 0 {
                "nothing, it was there".into()
            } else {
                bytes(fetched.received)
            },
        ),
        ("licence", terms(licence.as_deref(), &documents)),
        ("directory", fetched.directory.display().to_string()),
    ]);
    let files: serde_json::Map<_, _> =
        fetched.files.iter().map(|(name, size)| (name.clone(), json!(size))).collect();
    let json = json!({
        "model": name.repository,
        "revision": name.revision(),
        "commit": fetched.commit,
        "bytes": size,
        "received_bytes": fetched.received,
        "files": files,
        "licence": licence,
        "licence_files": documents,
        "directory": fetched.directory,
    });
    Ok(Answer { text, json })
}

/// What was typed, as a name.
fn name(args: &DownloadArgs) -> Result<Name> {
    let typed = &args.name;
    let name = Name::parse(typed).ok_or_else(|| {
        usage(format!(
            "{typed:?} is no name of a model on the hub, expected ORG/NAME or ORG/NAME@REVISION\nhint: \
             such as meta-llama/Llama-3.2-1B"
        ))
    })?;
    match &args.revision {
        None => Ok(name),
        Some(_) if name.revision.is_some() => {
            Err(usage(format!("{typed}: with --revision there are two revisions, expected one")))
        }
        Some(revision) => {
            name.at(revision).ok_or_else(|| usage(format!("--revision {revision:?} is none")))
        }
    }
}

/// The licence that the model's card names.
fn licence(fetched: &Fetched) -> Option<String> {
    let card = files::read_to_string(fetched.directory.join("README.md"), CARD_BYTES).ok()?;
    let head = card.strip_prefix("---")?.split("\n---").next()?;
    let line = head.lines().find_map(|line| line.strip_prefix("license:"))?;
    let value = line.trim().trim_matches(['"', '\'']);
    // One line of it; what else a card says there goes to no terminal.
    let plain = value.chars().all(|it| it.is_ascii_graphic() || it == ' ');
    (!value.is_empty() && plain).then(|| value.to_owned())
}

/// The files that hold it.
fn documents(fetched: &Fetched) -> Vec<&str> {
    let is_document = |name: &&str| {
        ["LICENSE", "NOTICE", "USE_POLICY"].iter().any(|first| name.starts_with(first))
    };
    fetched.files.iter().map(|(name, _)| name.as_str()).filter(is_document).collect()
}

fn terms(licence: Option<&str>, documents: &[&str]) -> String {
    match (licence, documents) {
        (None, []) => "none found: look at the model's page before you use it".to_owned(),
        (Some(licence), []) => licence.to_owned(),
        (None, documents) => documents.join(", "),
        (Some(licence), documents) => format!("{licence}: {}", documents.join(", ")),
    }
}
