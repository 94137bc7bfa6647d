//! `srek lab corpus`: documents about simulated incidents that a small model learns to read from.

use crate::args::LabCorpusArgs;
use crate::exit::usage;
use crate::output::{Answer, pairs};
use crate::progress::Progress;
use lab::Part;
use lab::prose::{DECK, many_documents};
use serde_json::json;

/// Incidents whose documents are made before they are written.
const CHUNK: u64 = 256;

/// Writes the documents, one JSON object per line.
pub(crate) fn run(args: &LabCorpusArgs) -> anyhow::Result<Answer> {
    if args.documents == 0 {
        return Err(usage("--documents 0: there is nothing to write\nhint: --documents 10000"));
    }
    let mut progress = Progress::new("writing", Some(args.documents));
    let mut bytes = 0;
    let incidents = args.documents.div_ceil(DECK.len() as u64);
    files::write_atomic(&args.out, |out| {
        let mut left = args.documents;
        for first in (0..incidents).step_by(CHUNK as usize) {
            let numbers = first..incidents.min(first + CHUNK);
            for document in many_documents(args.seed, Part::Train, numbers) {
                if left > 0 {
                    bytes += document.text.len() as u64;
                    let line = json!({"group": document.group, "text": document.text});
                    writeln!(out, "{line}")?;
                    left -= 1;
                }
            }
            progress.at(args.documents - left, || "documents".to_owned());
        }
        Ok(())
    })?;
    Ok(answer(args, incidents, bytes))
}

fn answer(args: &LabCorpusArgs, incidents: u64, bytes: u64) -> Answer {
    let rows = [
        ("documents", args.documents.to_string()),
        ("incidents", incidents.to_string()),
        ("text", format!("{bytes} bytes")),
        ("written to", args.out.display().to_string()),
    ];
    let json = json!({
        "documents": args.documents,
        "incidents": incidents,
        "bytes": bytes,
        "out": args.out,
    });
    Answer { text: pairs(&rows), json }
}
