//! The suite `latency`: how long a diagnosis takes, one after another on this machine.

use super::Subject;
use super::incidents::{Laboratory, Sizes};
use crate::args::EvalArgs;
use crate::asked::Manner;
use crate::machine::Machine;
use crate::output::table;
use anyhow::Result;
use serde_json::{Value, json};
use std::time::Instant;
use text::llm::{GenerateRequest, Prompt, Sampling};

/// Incidents that are diagnosed, after one that is not counted.
const COUNTED: u64 = 20;
/// Tokens that are produced freely to see how fast that is.
const FREE: usize = 32;

/// What one model took.
struct Times {
    /// From the prompt to the first token, in seconds, sorted.
    first: Vec<f64>,
    /// For every further token.
    token: Vec<f64>,
    /// From the prompt to the distributions and the written answer.
    whole: Vec<f64>,
    prompt_tokens: usize,
}

/// Runs the suite.
pub(super) fn suite(
    args: &EvalArgs,
    machine: &Machine,
    subjects: &[Subject],
) -> Result<(String, Value)> {
    let head = [
        "model",
        "first token p50",
        "p95, ms",
        "tokens/s",
        "diagnosis p50",
        "p95, ms",
        "prompt tokens",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut json = Vec::new();
    for subject in subjects {
        let times = times(args, machine, subject)?;
        let ms = |values: &[f64], share: f64| format!("{:.1}", 1e3 * quantile(values, share));
        rows.push(vec![
            subject.name.clone(),
            ms(&times.first, 0.5),
            ms(&times.first, 0.95),
            format!("{:.0}", 1.0 / quantile(&times.token, 0.5)),
            ms(&times.whole, 0.5),
            ms(&times.whole, 0.95),
            times.prompt_tokens.to_string(),
        ]);
        json.push(json!({
            "model": subject.name,
            "first_token_seconds": [quantile(&times.first, 0.5), quantile(&times.first, 0.95)],
            "token_seconds": quantile(&times.token, 0.5),
            "diagnosis_seconds": [quantile(&times.whole, 0.5), quantile(&times.whole, 0.95)],
            "prompt_tokens": times.prompt_tokens,
            "diagnoses": times.whole.len(),
        }));
    }
    Ok((table(&rows), json.into()))
}

fn times(args: &EvalArgs, machine: &Machine, subject: &Subject) -> Result<Times> {
    let mut asked = subject.open(machine)?;
    let (budget, seed) = (args.budget, args.seed);
    let sizes = Sizes { train: 0, test: COUNTED + 1, budget, seed, train_seed: seed };
    let laboratory = Laboratory::new(&asked.voice, &sizes)?;
    let manner = Manner::plain(&laboratory.causes);
    let mut times = Times { first: vec![], token: vec![], whole: vec![], prompt_tokens: 0 };
    asked.analyst(&manner, |analyst| -> Result<()> {
        for (index, example) in laboratory.test.iter().enumerate() {
            let prompt = (analyst.frame)(&example.pack.prompt)?;
            let started = Instant::now();
            let opinion = analyst.weigh(&example.pack)?;
            let (_, (prompt_tokens, _)) = analyst.answer(&example.pack, &opinion)?;
            let whole = started.elapsed().as_secs_f64();
            let (one, _) = generated(analyst.llm, &prompt, 1)?;
            let (many, produced) = generated(analyst.llm, &prompt, FREE)?;
            if index == 0 {
                continue;
            }
            times.whole.push(whole);
            times.first.push(one);
            if produced > 1 {
                times.token.push((many - one).max(0.0) / (produced - 1) as f64);
            }
            times.prompt_tokens = times.prompt_tokens.max(prompt_tokens);
        }
        Ok(())
    })?;
    for values in [&mut times.first, &mut times.token, &mut times.whole] {
        values.sort_by(f64::total_cmp);
    }
    Ok(times)
}

/// Seconds and tokens of a completion.
fn generated(
    llm: &mut dyn text::llm::Llm,
    prompt: &Prompt,
    max_tokens: usize,
) -> Result<(f64, usize)> {
    let started = Instant::now();
    let completion = llm.generate(&GenerateRequest {
        prompt: prompt.clone(),
        max_tokens,
        sampling: Sampling::GREEDY,
        stop: Vec::new(),
        schema: None,
        deadline: None,
    })?;
    Ok((started.elapsed().as_secs_f64(), completion.completion_tokens))
}

/// The value below which this share of sorted values lies.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}
