//! The suite `reading`: whether a model's words depend on what it was shown. Each explanation of a
//! group of incidents is scored under the evidence of each: a model that reads finds its own the
//! likeliest of the group, one that only knows how explanations sound finds it no more often than
//! chance.

use super::{Subject, share};
use crate::args::EvalArgs;
use crate::asked::Asked;
use crate::machine::Machine;
use crate::output::table;
use crate::progress::Progress;
use anyhow::Result;
use eval::interval::Interval;
use lab::Part;
use lab::prose::{Deck, DocumentKind, documents};
use serde_json::{Value, json};

/// Incidents whose explanations are mixed up.
const GROUP: usize = 8;
/// The seed of the incidents: that of no corpus.
const SEED: u64 = 0x7265_6164;

/// Where questions are from: a name for it, a deck, and a side of the laboratory.
type From = (&'static str, Deck, Part);

/// A few lines, whole packs, and whole packs in words that were held out.
const SOURCES: [From; 3] = [
    ("two lines", Deck::Growing { documents: u64::MAX }, Part::Train),
    ("whole packs", Deck::Conversations, Part::Train),
    ("whole packs, held-out words", Deck::Conversations, Part::Test),
];

/// Runs the suite.
pub(super) fn suite(
    args: &EvalArgs,
    machine: &Machine,
    subjects: &[Subject],
) -> Result<(String, Value)> {
    let groups = args.count.div_ceil(GROUP as u64);
    let sources = SOURCES.map(|source| (source.0, turns(source, groups as usize * GROUP)));
    let mut rows = vec![vec!["own explanation found".to_owned(), "model".to_owned()]];
    rows[0].push(format!("share (chance {:.3})", 1.0 / GROUP as f64));
    rows[0].push(format!("-ln p (chance {:.2})", (GROUP as f64).ln()));
    let mut json = Vec::new();
    for subject in subjects {
        let mut asked = subject.open(machine)?;
        for (name, turns) in &sources {
            let own = own(&mut asked, turns)?;
            let found: Vec<f64> = own.iter().map(|(first, _)| f64::from(*first)).collect();
            let nats: Vec<f64> = own.iter().map(|(_, nats)| *nats).collect();
            let (found, nats) = (Interval::of(&found, args.seed), Interval::of(&nats, args.seed));
            let cells = [*name, &subject.name].map(str::to_owned);
            rows.push(
                cells.into_iter().chain([share(found.as_ref()), share(nats.as_ref())]).collect(),
            );
            json.push(json!({
                "model": subject.name, "source": name, "found": found, "nats": nats,
            }));
        }
    }
    Ok((table(&rows), json.into()))
}

/// Questions with their explanations, each about another incident.
fn turns((_, deck, part): From, count: usize) -> Vec<(String, String)> {
    let mut turns = Vec::with_capacity(count);
    let mut from = 0;
    while turns.len() < count {
        // A deck has other kinds, too, in a part of its documents.
        let next = from + count as u64;
        let hints = documents(deck, SEED, part, from..next).into_iter();
        let hints = hints.filter(|it| it.kind == DocumentKind::Hint);
        turns.extend(hints.flat_map(|it| it.turns));
        from = next;
    }
    turns.truncate(count);
    turns
}

/// Of each question: whether its own answer fits best among its group's, and -ln p of it among them.
fn own(asked: &mut Asked, turns: &[(String, String)]) -> Result<Vec<(bool, f64)>> {
    let mut progress = Progress::new("asking", Some(turns.len() as u64));
    let mut found = Vec::with_capacity(turns.len());
    for group in turns.chunks(GROUP) {
        let answers: Vec<&str> = group.iter().map(|(_, answer)| answer.as_str()).collect();
        let mut likelihoods: Vec<Vec<f64>> = Vec::with_capacity(group.len());
        for (question, _) in group {
            let shares = asked
                .llm(|llm, voice| llm.distribution(&voice.prompt(&[], question)?, "", &answers))?;
            likelihoods.push(shares.iter().map(|it| it.max(f64::MIN_POSITIVE).ln()).collect());
            progress.at((found.len() + likelihoods.len()) as u64, || "questions".to_owned());
        }
        found.extend(fits(&likelihoods));
    }
    Ok(found)
}

/// Of a square of ln p (a row per question, a column per answer): how well the answer on the diagonal
/// fits, once what an answer has under all questions is taken off. Otherwise common words would win.
fn fits(likelihoods: &[Vec<f64>]) -> Vec<(bool, f64)> {
    let count = likelihoods.len() as f64;
    let mean = |answer: usize| likelihoods.iter().map(|row| row[answer]).sum::<f64>() / count;
    let common: Vec<f64> = (0..likelihoods.len()).map(mean).collect();
    let row = |(own, row): (usize, &Vec<f64>)| {
        let gain: Vec<f64> = row.iter().zip(&common).map(|(it, common)| it - common).collect();
        let first = (0..gain.len()).all(|k| k == own || gain[k] < gain[own]);
        let all: f64 = gain.iter().map(|it| (it - gain[own]).exp()).sum();
        (first, all.ln())
    };
    likelihoods.iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn an_answer_that_is_common_under_all_questions_wins_none() {
        let (often, rare) = (-1.0, -9.0);
        let unread = fits(&[vec![often, rare], vec![often, rare]]);
        assert!(unread.iter().all(|(first, nats)| !first && (nats - 2f64.ln()).abs() < 1e-12));
        // The second answer is rarer everywhere, but less so under its own question.
        let read = fits(&[vec![often, rare], vec![often - 1.0, rare + 1.0]]);
        // Each gains 0.5 under its own question and loses as much under the other.
        let nats = (1.0 + (-1f64).exp()).ln();
        assert!(read.iter().all(|(first, it)| *first && (it - nats).abs() < 1e-12), "{read:?}");
    }
}
