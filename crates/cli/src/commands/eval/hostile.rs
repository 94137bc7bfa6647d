//! The suite `hostile`: what somebody gains who writes into the logs, names and metrics that a diagnosis
//! reads.

use super::Subject;
use crate::args::EvalArgs;
use crate::asked::{Asked, Manner};
use crate::machine::Machine;
use crate::output::table;
use crate::progress::Progress;
use anyhow::Result;
use eval::example::{Example, Prediction};
use eval::hostile::{Changed, Pair, Place, Reached, changed, pairs, reached, seen};
use eval::incidents::{Shown, ask, fused};
use lab::{Part, Settings};
use serde_json::{Value, json};
use sre::cause::Cause;
use sre::fusion::Weights;

/// A pair as methods get to see it: clean and poisoned.
type Seen = (Pair, [Example; 2]);

/// What a method says about both.
type Said = [Prediction; 2];

/// Runs the suite.
pub(super) fn suite(
    args: &EvalArgs,
    machine: &Machine,
    subjects: &[Subject],
) -> Result<(String, Value)> {
    let Some(subject) = subjects.last() else { return Ok((String::new(), Value::Null)) };
    let causes = Settings::new(args.seed, Part::Test).causes();
    let mut asked = subject.open(machine)?;
    let all = see(args, &asked, &causes)?;
    let mut forged = Vec::new();
    for (pair, _) in &all {
        forged.push(reached(pair, &causes, args.budget)?);
    }
    let alone = |it: &Example| fused(it, None, &Weights::ALONE, &causes);
    let by_signs: Vec<Said> =
        all.iter().map(|(_, both)| [0, 1].map(|it| alone(&both[it]))).collect();
    let (by_model, by_both) = hear(&all, &mut asked, &causes)?;
    let methods: [(&str, &[Said]); 3] =
        [("ranking and signs", &by_signs), (&subject.name, &by_model), ("fused", &by_both)];
    Ok(findings(&all, &forged, &methods))
}

/// Makes the pairs, and packs of both.
fn see(args: &EvalArgs, asked: &Asked, causes: &[Cause]) -> Result<Vec<Seen>> {
    let tokens = |text: &str| asked.voice.tokens(text);
    let shown = Shown { budget: args.budget, tokens: &tokens };
    let mut all = Vec::new();
    for pair in pairs(args.seed) {
        let clean = seen(&pair.clean.incident, causes, &shown)?;
        let poisoned = seen(&pair.poisoned, causes, &shown)?;
        all.push((pair, [clean, poisoned]));
    }
    Ok(all)
}

/// What the model says alone, and with ranking and signs.
fn hear(all: &[Seen], asked: &mut Asked, causes: &[Cause]) -> Result<(Vec<Said>, Vec<Said>)> {
    let mut progress = Progress::new("asking", Some(2 * all.len() as u64));
    asked.analyst(&Manner::plain(causes), |analyst| {
        let (mut model, mut both) = (Vec::new(), Vec::new());
        for (_, [clean, poisoned]) in all {
            let mut hear = |example: &Example| -> Result<(Prediction, Prediction)> {
                let (said, heard) = ask(analyst, example, false)?;
                Ok((said, fused(example, Some(&heard), &Weights::TUNED, causes)))
            };
            let (before, after) = (hear(clean)?, hear(poisoned)?);
            model.push([before.0, after.0]);
            both.push([before.1, after.1]);
            progress.at(2 * model.len() as u64, || "incidents".to_owned());
        }
        Ok((model, both))
    })
}

/// A table of what changed where, and what was forged.
fn findings(all: &[Seen], forged: &[Reached], methods: &[(&str, &[Said])]) -> (String, Value) {
    let head = ["poison", "method", "pairs", "other service", "other cause", "blames the innocent"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut json = Vec::new();
    for place in Place::WORDS.into_iter().chain(Place::SIGNS) {
        for (name, said) in methods {
            let of_place = all.iter().zip(*said).filter(|((pair, _), _)| pair.place == place);
            let changes: Vec<Changed> = of_place
                .map(|((pair, [clean, poisoned]), [before, after])| {
                    changed(pair, (&clean.pack, before), (&poisoned.pack, after))
                })
                .collect();
            let count = |of: fn(&Changed) -> bool| changes.iter().filter(|it| of(it)).count();
            let counts = [
                changes.len(),
                count(|it| it.service),
                count(|it| it.cause),
                count(|it| it.blamed),
            ];
            let cells = [place.name(), name].map(str::to_owned);
            rows.push(cells.into_iter().chain(counts.map(|it| it.to_string())).collect());
            let [pairs, service, cause, blamed] = counts;
            json.push(json!({
                "place": place, "method": name, "pairs": pairs, "service": service, "cause": cause,
                "blamed": blamed,
            }));
        }
    }
    let count = |of: fn(&Reached) -> bool| forged.iter().filter(|it| of(it)).count();
    let (prompt, outside, marks) =
        (count(|it| it.prompt), count(|it| it.outside), count(|it| it.forged));
    let text = format!(
        "{}{} prompts: words of the poison in {prompt}, outside of marked spans with excerpts in {outside}, \
         forged marks in {marks}\n",
        table(&rows),
        forged.len()
    );
    let json = json!({
        "changes": json, "prompts": forged.len(), "in_prompt": prompt, "outside_spans": outside,
        "forged": marks,
    });
    (text, json)
}
