//! `srek lab corpus`: documents about simulated incidents that a small model learns to read from.

use crate::args::{DeckName, LabCorpusArgs};
use crate::exit::usage;
use crate::output::{Answer, pairs};
use crate::progress::Progress;
use lab::Part;
use lab::prose::{Deck, Document, documents};
use serde_json::{Value, json};

/// Documents that are made before they are written.
const CHUNK: u64 = 256;

/// Writes the documents, one JSON object per line.
pub(crate) fn run(args: &LabCorpusArgs) -> anyhow::Result<Answer> {
    if args.documents == 0 {
        return Err(usage("--documents 0: there is nothing to write\nhint: --documents 10000"));
    }
    crate::paths::make_parent(&args.out)?;
    let deck = match args.deck {
        DeckName::Texts => Deck::Texts,
        DeckName::Growing => Deck::Growing { documents: args.documents },
        DeckName::Conversations => Deck::Conversations,
    };
    let mut progress = Progress::new("writing", Some(args.documents));
    let mut bytes = 0;
    files::write_atomic(&args.out, |out| {
        for first in (0..args.documents).step_by(CHUNK as usize) {
            let numbers = first..args.documents.min(first + CHUNK);
            for document in documents(deck, args.seed, Part::Train, numbers.clone()) {
                bytes += document.text.len() as u64;
                let line = line(&document);
                writeln!(out, "{line}")?;
            }
            progress.at(numbers.end, || "documents".to_owned());
        }
        Ok(())
    })?;
    Ok(answer(args, bytes))
}

/// A text, or a conversation as messages.
fn line(document: &Document) -> Value {
    if document.turns.is_empty() {
        return json!({"group": document.group, "text": document.text});
    }
    let message = |role: &str, content: &String| json!({"role": role, "content": content});
    let turns = document.turns.iter();
    let messages: Vec<_> = turns
        .flat_map(|(asked, said)| [message("user", asked), message("assistant", said)])
        .collect();
    json!({"group": document.group, "messages": messages})
}

fn answer(args: &LabCorpusArgs, bytes: u64) -> Answer {
    let rows = [
        ("documents", args.documents.to_string()),
        ("text", format!("{bytes} bytes")),
        ("written to", args.out.display().to_string()),
    ];
    let json = json!({
        "documents": args.documents,
        "bytes": bytes,
        "out": args.out,
    });
    Answer { text: pairs(&rows), json }
}
