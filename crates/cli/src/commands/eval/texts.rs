//! The suite `forgetting`: how well base and tuned model predict texts that tuning was not about.

use super::Subject;
use crate::args::EvalArgs;
use crate::machine::Machine;
use crate::output::table;
use anyhow::Result;
use eval::losses::{Loss, loss};
use lab::Part;
use lab::prose::{Deck, documents};
use serde_json::{Value, json};
use text::record::{Content, Limits, Sources};

/// Documents of the laboratory that are read.
const DOCUMENTS: u64 = 40;
/// Their seed: that of no corpus.
const SEED: u64 = 0x666f_7267_6574;
/// Bytes that are read at a time: within any context.
const PIECE: usize = 3000;

/// Prose that belongs to no recipe, written for this: about anything but operations.
const GENERAL: &str = include_str!("../../../../../datasets/general.md");

/// Runs the suite.
pub(super) fn suite(
    args: &EvalArgs,
    machine: &Machine,
    subjects: &[Subject],
) -> Result<(String, Value)> {
    let sources = sources(args)?;
    let mut losses: Vec<(String, Vec<Loss>)> = Vec::new();
    for subject in subjects {
        let mut asked = subject.open(machine)?;
        let found: Vec<Loss> = asked.llm(|llm, _| {
            sources
                .iter()
                .map(|(name, texts)| loss(llm, name, texts, PIECE))
                .collect::<Result<_, _>>()
        })?;
        losses.push((subject.name.clone(), found));
    }
    let mut rows = vec![vec!["nats per token".to_owned(), "tokens".to_owned()]];
    rows[0].extend(losses.iter().map(|(name, _)| name.clone()));
    for (index, (name, _)) in sources.iter().enumerate() {
        let tokens = losses.first().map_or(0, |(_, found)| found[index].tokens);
        let mut row = vec![name.clone(), tokens.to_string()];
        row.extend(losses.iter().map(|(_, found)| format!("{:.4}", found[index].per_token)));
        rows.push(row);
    }
    let json = losses.iter().map(|(name, found)| json!({ "model": name, "losses": found }));
    Ok((table(&rows), json.collect::<Vec<_>>().into()))
}

/// General prose, prose of the laboratory, and what the user names.
fn sources(args: &EvalArgs) -> Result<Vec<(String, Vec<String>)>> {
    let corpus = documents(Deck::Texts, SEED, Part::Train, 0..DOCUMENTS);
    let mut sources = vec![
        ("general prose".to_owned(), vec![GENERAL.to_owned()]),
        ("incident prose".to_owned(), corpus.into_iter().map(|it| it.text).collect()),
    ];
    for path in &args.texts {
        let found = Sources::find(std::slice::from_ref(path))?;
        let mut texts = Vec::new();
        for record in text::record::read(&found, Limits::STANDARD) {
            if let Content::Text(text) = record?.content {
                texts.push(text);
            }
        }
        sources.push((path.display().to_string(), texts));
    }
    Ok(sources)
}
