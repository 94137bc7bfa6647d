//! The suite `forgetting`: how well base and tuned model predict texts that tuning was not about.

use super::Subject;
use crate::args::EvalArgs;
use crate::machine::Machine;
use crate::output::table;
use anyhow::Result;
use eval::interval::Interval;
use eval::losses::{Loss, loss};
use lab::Part;
use lab::prose::{Deck, documents};
use serde_json::{Value, json};
use text::record::{Content, Limits, Sources};

/// Documents of the laboratory that are read.
const DOCUMENTS: u64 = 40;
/// Their seed: that of no corpus.
const SEED: u64 = 0x666f_7267_6574;
/// Bytes that are read at a time: within any context, and so few that even the general prose, one
/// short text, has several to compare.
const PIECE: usize = 400;

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
    Ok(findings(&losses))
}

/// By model, the losses on all sources.
fn findings(losses: &[(String, Vec<Loss>)]) -> (String, Value) {
    let head = ["nats per token", "tokens", "pieces"].map(str::to_owned);
    let models = losses.iter().map(|(name, _)| name.clone());
    let mut rows = vec![head.into_iter().chain(models).collect::<Vec<_>>()];
    let sources = losses.first().map_or(&[][..], |(_, found)| found.as_slice());
    for (index, source) in sources.iter().enumerate() {
        let numbers = [source.tokens.to_string(), source.texts.to_string()];
        let mut row = vec![source.source.clone()];
        row.extend(numbers);
        row.extend(losses.iter().map(|(_, found)| format!("{:.4}", found[index].per_token)));
        rows.push(row);
    }
    let model = |(name, found): &(String, Vec<Loss>)| json!({ "model": name, "losses": found });
    let mut json: Vec<Value> = losses.iter().map(model).collect();
    let mut text = table(&rows);
    for (name, it) in differences(losses) {
        let Interval { mean, low, high, count } = it;
        text.push_str(&format!(
            "tuned minus base, {name}, over {count} pieces: {mean:+.4} ({low:+.4} to {high:+.4})\n"
        ));
        json.push(json!({ "difference": name, "interval": it }));
    }
    (text, json.into())
}

/// By source, how much more a token costs the tuned model than the base, piece by piece.
fn differences(losses: &[(String, Vec<Loss>)]) -> Vec<(String, Interval)> {
    let of = |model: &str| losses.iter().find(|(name, _)| name == model).map(|(_, found)| found);
    let (Some(base), Some(tuned)) = (of("base"), of("tuned")) else { return Vec::new() };
    let difference =
        |(base, tuned): (&Loss, &Loss)| Some((base.source.clone(), tuned.minus(base)?));
    base.iter().zip(tuned).filter_map(difference).collect()
}

/// General prose, prose of the laboratory, and what the user names.
pub(super) fn sources(args: &EvalArgs) -> Result<Vec<(String, Vec<String>)>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use eval::losses::pieces;
    use text::llm::{Completion, GenerateRequest, Llm, LlmError, LogLikelihood, Prompt};

    /// Loses this much on every byte.
    struct Even(f64);

    impl Llm for Even {
        fn generate_streaming(
            &mut self,
            _: &GenerateRequest,
            _: &mut dyn FnMut(&str),
        ) -> Result<Completion, LlmError> {
            unreachable!("only likelihoods are asked for")
        }

        fn loglikelihood(&mut self, _: &str, text: &str) -> Result<LogLikelihood, LlmError> {
            let sum = -(text.len() as f64) * self.0;
            Ok(LogLikelihood { sum, tokens: text.len(), greedy: false })
        }

        fn distribution(&mut self, _: &Prompt, _: &str, _: &[&str]) -> Result<Vec<f64>, LlmError> {
            unreachable!("only likelihoods are asked for")
        }
    }

    #[test]
    fn the_general_prose_has_several_pieces_of_whole_sentences() {
        let cut = pieces(GENERAL, PIECE);
        assert!(cut.len() >= 8, "{}", cut.len());
        assert!(cut.iter().all(|it| it.trim_end().ends_with('.') && it.len() > PIECE / 2));
    }

    #[test]
    fn the_tuned_model_is_compared_with_the_base_piece_by_piece() {
        let texts = [GENERAL.to_owned()];
        let of = |name: &str, nats: f64| {
            let found = loss(&mut Even(nats), "general prose", &texts, PIECE).unwrap();
            (name.to_owned(), vec![found])
        };
        let (text, json) = findings(&[of("base", 1.5), of("tuned", 2.0)]);
        let pieces = pieces(GENERAL, PIECE).len();
        let said = format!("over {pieces} pieces: +0.5000 (+0.5000 to +0.5000)\n");
        assert!(text.ends_with(&said), "{text}");
        assert_eq!(json[1]["losses"][0]["texts"], pieces);
        assert_eq!(json[2]["difference"], "general prose");
        assert_eq!(json[2]["interval"]["count"], pieces);
        // A base alone is compared with nothing.
        let (text, json) = findings(&[of("base", 1.5)]);
        assert!(!text.contains("minus") && json.as_array().unwrap().len() == 1, "{text}");
    }
}
