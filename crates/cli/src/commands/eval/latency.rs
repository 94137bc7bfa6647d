//! The suite `latency`: how long a diagnosis takes, one after another on this machine.
//!
//! An engine keeps what it has read, and does not read again what a later prompt begins with. So
//! times are taken on new engines, but for the one of a prompt that comes again.

use super::Subject;
use super::incidents::{Laboratory, Sizes};
use crate::args::EvalArgs;
use crate::asked::Manner;
use crate::machine::Machine;
use crate::output::table;
use anyhow::Result;
use serde_json::{Value, json};
use sre::analyst::Analyst;
use sre::evidence::Pack;
use sre::fusion::Suspects;
use std::time::Instant;
use text::llm::{GenerateRequest, Llm, Prompt, Sampling};

#[cfg(test)]
mod tests;

/// Most incidents that are diagnosed, after one that is not counted.
const COUNTED: u64 = 20;
/// Tokens that are produced freely to see how fast that is.
const FREE: usize = 32;

/// What one model took, in seconds, each list sorted.
#[derive(Default)]
struct Times {
    /// From a prompt of which nothing was read to the first token.
    cold: Vec<f64>,
    /// From the same prompt, when the engine still holds it, to the first token.
    warm: Vec<f64>,
    /// For every further token.
    token: Vec<f64>,
    /// From a prompt of which nothing was read to the distributions and the written answer.
    whole: Vec<f64>,
    /// Of the longest prompt.
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
        "prompt again p50",
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
        rows.push(times.row(&subject.name));
        json.push(times.json(&subject.name));
    }
    Ok((table(&rows), json.into()))
}

fn times(args: &EvalArgs, machine: &Machine, subject: &Subject) -> Result<Times> {
    let mut asked = subject.open(machine)?;
    let (budget, seed) = (args.budget, args.seed);
    let test = 1 + COUNTED.min(args.count);
    let sizes = Sizes { train: 0, test, budget, seed, train_seed: seed, held_out: 0 };
    let laboratory = Laboratory::new(&asked.voice, &sizes)?;
    let manner = Manner::plain(&laboratory.causes);
    let mut times = Times::default();
    for (index, example) in laboratory.test.iter().enumerate() {
        let prompt = asked.voice.prompt(&[], &example.pack.prompt)?;
        // Each of these asks an engine of its own.
        let read = asked.llm(|llm, _| timed(llm, &prompt))?;
        let whole = asked.analyst(&manner, |analyst| diagnosed(analyst, &example.pack))?;
        // The first one also brings the weights into memory.
        if index > 0 {
            times.add(&read, whole);
        }
    }
    times.sort();
    Ok(times)
}

impl Times {
    fn add(&mut self, read: &Read, (seconds, prompt_tokens): (f64, usize)) {
        self.cold.push(read.cold);
        self.warm.push(read.warm);
        self.token.extend(read.token);
        self.whole.push(seconds);
        self.prompt_tokens = self.prompt_tokens.max(prompt_tokens);
    }

    fn sort(&mut self) {
        for values in [&mut self.cold, &mut self.warm, &mut self.token, &mut self.whole] {
            values.sort_by(f64::total_cmp);
        }
    }

    fn row(&self, name: &str) -> Vec<String> {
        let ms = |values: &[f64]| typical(values).map(|it| format!("{:.1}", 1e3 * it));
        let mut row = vec![name.to_owned()];
        row.extend(ms(&self.cold));
        row.extend(ms(&self.warm));
        row.push(format!("{:.0}", 1.0 / quantile(&self.token, 0.5)));
        row.extend(ms(&self.whole));
        row.push(self.prompt_tokens.to_string());
        row
    }

    fn json(&self, name: &str) -> Value {
        json!({
            "model": name,
            "first_token_cold_seconds": typical(&self.cold),
            "first_token_warm_seconds": typical(&self.warm),
            "token_seconds": quantile(&self.token, 0.5),
            "diagnosis_seconds": typical(&self.whole),
            "prompt_tokens": self.prompt_tokens,
            "diagnoses": self.whole.len(),
        })
    }
}

/// What one prompt took, in seconds.
struct Read {
    cold: f64,
    warm: f64,
    /// For every token after the first; `None` where the answer had no other.
    token: Option<f64>,
}

/// Times the answers to a prompt of which the model has read nothing.
fn timed(llm: &mut dyn Llm, prompt: &Prompt) -> Result<Read> {
    // Nothing may come before the first of these: it would find the prompt read.
    let (cold, _) = generated(llm, prompt, 1)?;
    let (warm, _) = generated(llm, prompt, 1)?;
    let (many, produced) = generated(llm, prompt, FREE)?;
    let token = (produced > 1).then(|| (many - warm).max(0.0) / (produced - 1) as f64);
    Ok(Read { cold, warm, token })
}

/// Seconds of a diagnosis by a model that has read nothing of it, and the tokens of its prompt.
fn diagnosed(analyst: &mut Analyst<'_>, pack: &Pack) -> Result<(f64, usize)> {
    let started = Instant::now();
    let opinion = analyst.weigh(pack, &Suspects::default())?;
    let (_, (prompt_tokens, _)) = analyst.answer(pack, &opinion, &[])?;
    Ok((started.elapsed().as_secs_f64(), prompt_tokens))
}

/// Seconds and tokens of a completion.
fn generated(llm: &mut dyn Llm, prompt: &Prompt, max_tokens: usize) -> Result<(f64, usize)> {
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

/// The median and what 95 of 100 stay below.
fn typical(sorted: &[f64]) -> [f64; 2] {
    [0.5, 0.95].map(|share| quantile(sorted, share))
}

/// The value below which this share of sorted values lies.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}
