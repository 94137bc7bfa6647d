//! `srek doctor --model`: the first look at weights that were just fetched or converted. Do they speak, do
//! tokenizer, template and marks belong to them, and what did 4 bits cost?

use crate::args::DoctorArgs;
use crate::drift::{self, Drift};
use crate::machine::Machine;
use crate::output::{Answer, note, pairs, table};
use crate::progress::Progress;
use crate::serving::Serving;
use crate::weights::{Form, Source};
use crate::{models, templates, vocabulary};
use anyhow::Result;
use engine::EngineOptions;
use model::lora::Projection;
use model::{Base, Checkpoint, Config, Head, fidelity};
use ops::Numerics;
use serde_json::json;
use std::path::Path;
use text::tokenizer::Tokenizer;

/// What the model reads: written for this, so that no model knows it.
const TEXTS: [&str; 2] = [
    include_str!("../../../../../datasets/doctor.md"),
    include_str!("../../../../../datasets/general.md"),
];
/// Tokens of it that are read.
const TOKENS: usize = 2000;
/// Bits per byte of English prose, YAML and commands that a trained model of a billion parameters or more
/// needs. One that guesses among all tokens needs about four; a wrong order of rows, rotary base or
/// tokenizer more than two. By their published perplexities, models of 1 to 70 billion parameters lie at 0.5 to 0.9 on prose.
const SANE_BITS: [f64; 2] = [0.3, 1.4];
/// Below this many parameters a model may know little but its own domain: it is only expected to do better
/// than a guess by this much.
const LARGE: usize = 500_000_000;
const BETTER_THAN_A_GUESS: f64 = 0.9;
/// Relative errors of a projection in NF4 with blocks of 64 are 0.09 for normal weights, more where some
/// weights are far larger than the others.
const MOST_OFF: f64 = 0.2;

/// What was looked at, in the order of the answer, and what is wrong.
#[derive(Default)]
struct Findings {
    lines: Vec<(&'static str, String)>,
    wrong: Vec<String>,
    json: serde_json::Map<String, serde_json::Value>,
}

impl Findings {
    fn line(&mut self, name: &'static str, value: impl Into<String>) {
        self.lines.push((name, value.into()));
    }

    fn set(&mut self, name: &str, value: impl Into<serde_json::Value>) {
        self.json.insert(name.to_owned(), value.into());
    }
}

/// Looks.
///
/// # Errors
/// Weights or a tokenizer that are damaged, or what is found and cannot be right.
pub(super) fn run(args: &DoctorArgs, model: &Path, machine: &Machine) -> Result<Answer> {
    let form = Form { base: Base::AsStored, head: Head::AsStored, numerics: Numerics::Bf16 };
    let source = Source::at(model, None, form)?;
    let config = source.config.clone();
    let mut findings = Findings::default();
    findings.line("model", describe(&config));
    findings.line(
        "stored as",
        format!("base {}, head {}", source.form.base.name(), source.form.head.name()),
    );
    findings.set("parameters", config.parameters());
    findings.set("base", source.form.base.name());
    let tokenizer = words(&mut findings, model, &config)?;
    if let Some(tokenizer) = &tokenizer {
        reads(&mut findings, machine, &source, tokenizer)?;
    }
    drop(source);
    fidelity(&mut findings, args, model, machine)?;
    if machine.gpu.is_none() {
        in_bytes(&mut findings, model, machine)?;
    }
    let verdict = match findings.wrong.as_slice() {
        [] => "as it should be".to_owned(),
        wrong => wrong.join("; "),
    };
    findings.line("verdict", verdict);
    findings.set("wrong", findings.wrong.clone());
    let layers = findings.json.get("nf4_errors").and_then(|it| it.as_array()).cloned();
    let mut text = pairs(&findings.lines);
    if let Some(layers) = layers {
        text.push('\n');
        text.push_str(&errors_table(&layers));
    }
    if findings.wrong.is_empty() {
        return Ok(Answer { text, json: findings.json.into() });
    }
    crate::output::note(text.trim_end());
    Err(anyhow::anyhow!(
        "{}: {}\nhint: fetch or convert it again, and compare the tokenizer's hash with that of its source",
        model.display(),
        findings.wrong.join("; ")
    ))
}

fn describe(config: &Config) -> String {
    let billions = config.parameters() as f64 / 1e9;
    let Config { layers, hidden, heads, kv_heads, vocab, context, .. } = config;
    format!(
        "{billions:.2} billion parameters: {layers} layers of {hidden}, {heads} heads over {kv_heads}, {vocab} \
         tokens, context {context}"
    )
}

/// Tokenizer, marks and template.
fn words(findings: &mut Findings, model: &Path, config: &Config) -> Result<Option<Tokenizer>> {
    let file = Tokenizer::file_in(model);
    if !file.is_file() {
        findings.line("tokenizer", "none");
        findings.wrong.push("there is no tokenizer, so nobody can talk to it".to_owned());
        return Ok(None);
    }
    let tokenizer = Tokenizer::from_file(&file)?;
    findings.line(
        "tokenizer",
        format!("{} tokens, SHA-256 {}", tokenizer.vocab_size(), tokenizer.hash()),
    );
    findings.set("tokenizer_sha256", tokenizer.hash());
    match vocabulary::compare(config, &tokenizer) {
        Ok(warnings) => {
            let name = |id: u32| tokenizer.special_name(id).unwrap_or("?").to_owned();
            let ends: Vec<String> = tokenizer.ends().into_iter().map(name).collect();
            findings.line("begin, ends", format!("{}, {}", name(tokenizer.bos()), ends.join(" ")));
            warnings.iter().for_each(|warning| note(&format!("warning: {warning}")));
        }
        Err(problem) => findings.wrong.push(format!("tokenizer: {problem}")),
    }
    let template = templates::of_model(model, &tokenizer)?;
    findings
        .line("template", format!("{}, SHA-256 {}", template.origin().display(), template.hash()));
    findings.set("template_sha256", template.hash());
    Ok(Some(tokenizer))
}

/// The loss on the text.
fn reads(
    findings: &mut Findings,
    machine: &Machine,
    source: &Source,
    tokenizer: &Tokenizer,
) -> Result<()> {
    let mut ids = tokenizer.encode(&TEXTS.join("\n"))?;
    ids.truncate(TOKENS.min(source.config.context - 1));
    let bytes: usize =
        ids.iter().filter_map(|id| tokenizer.token_bytes(*id)).map(<[u8]>::len).sum();
    let started = std::time::Instant::now();
    let options = EngineOptions::new(1, ids.len() + 1);
    let mut serving = Serving::new(machine, source, options)?;
    let likelihood = serving.engine(None).loglikelihood_of(&[tokenizer.bos()], &ids)?;
    let nats = -likelihood.sum / ids.len() as f64;
    let bits = -likelihood.sum / std::f64::consts::LN_2 / bytes as f64;
    let guess = (source.config.vocab as f64).ln();
    let [low, mut high] = SANE_BITS;
    if source.config.parameters() < LARGE {
        high = high.max(BETTER_THAN_A_GUESS * guess * bits / nats);
    }
    findings.line(
        "loss",
        format!(
            "{nats:.3} nats a token, {bits:.3} bits a byte over {} tokens (expected {low} to {high:.2} bits; \
             a guess among all tokens has {guess:.2} nats)",
            ids.len(),
        ),
    );
    findings.line("read in", format!("{:.1} s, loading included", started.elapsed().as_secs_f64()));
    findings.set("nats_per_token", nats);
    findings.set("bits_per_byte", bits);
    findings.set("tokens", ids.len());
    if !(low..=high).contains(&bits) {
        findings.wrong.push(format!(
            "the loss is {bits:.2} bits a byte, expected {low} to {high:.2} of a trained model"
        ));
    }
    Ok(())
}

/// What 4 bits cost: of every projection, and of the logits.
fn fidelity(
    findings: &mut Findings,
    args: &DoctorArgs,
    model: &Path,
    machine: &Machine,
) -> Result<()> {
    let own = Checkpoint::open(model)?;
    let config = own.config()?;
    let stored = own.form(&config, Base::AsStored, Head::AsStored)?.0;
    let place = args.original.as_deref().map(models::directory).transpose()?;
    let original = place.as_deref().map(Checkpoint::open).transpose()?;
    let (from, to) = match (&original, stored) {
        (Some(original), _) => (original, Some(&own)),
        (None, Base::AsStored) => (&own, None),
        (None, _) => {
            findings.line("4 bits", "not compared: --original names what they were made of");
            return Ok(());
        }
    };
    let mut progress = Progress::new("comparing", Some(7 * config.layers as u64));
    let errors = fidelity::nf4_errors(from, to, &mut |done| {
        progress.at(done as u64, || "projections".to_owned());
    })?;
    drop(progress);
    let all: Vec<f64> = errors.iter().flatten().copied().collect();
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    let worst = all.iter().fold(0.0_f64, |a, b| a.max(*b));
    findings.line(
        "4 bits",
        format!(
            "projections are {:.1} % off, the worst {:.1} % (by layer below)",
            100.0 * mean,
            100.0 * worst
        ),
    );
    // Less than usual is no fault: what was in few bits before fits into 4 again.
    if mean > MOST_OFF {
        findings.wrong.push(format!("projections are {:.1} % off in 4 bits", 100.0 * mean));
    }
    findings.set("nf4_errors", json!(errors));
    let ids = drift::ids(model, config.vocab, config.context)?;
    let logits = |directory: &Path, base: Base| {
        let form = Form { base, head: Head::AsStored, numerics: Numerics::Bf16 };
        let source = Source::at(directory, None, form)?;
        drift::logits(machine, &source, std::slice::from_ref(&ids))
    };
    let (before, after) = match &place {
        Some(original) => (logits(original, Base::AsStored)?, logits(model, Base::AsStored)?),
        None => (logits(model, Base::AsStored)?, logits(model, Base::Nf4Double)?),
    };
    let drift = Drift::of(&before, &after, ids.len());
    findings.lines.extend(drift.lines());
    findings.json.extend(drift.json());
    Ok(())
}

/// What serving in 8 bits does to the logits of a model that is in 4 bits.
fn in_bytes(findings: &mut Findings, model: &Path, machine: &Machine) -> Result<()> {
    let own = Checkpoint::open(model)?;
    let config = own.config()?;
    let (base, head) = (Base::AsStored, Head::AsStored);
    if own.form(&config, base, head)?.0 == Base::AsStored {
        return Ok(());
    }
    let ids = drift::ids(model, config.vocab, config.context)?;
    let logits = |numerics| {
        let source = Source::at(model, None, Form { base, head, numerics })?;
        drift::logits(machine, &source, std::slice::from_ref(&ids))
    };
    let drift = Drift::of(&logits(Numerics::Bf16)?, &logits(Numerics::Int8)?, ids.len());
    findings.line("in int8", drift.sentence());
    findings.set("int8", drift.json());
    Ok(())
}

/// A line for each layer, in percent.
fn errors_table(layers: &[serde_json::Value]) -> String {
    let names = Projection::ALL.map(|it| it.module().to_owned());
    let mut rows =
        vec![std::iter::once("% off, layer".to_owned()).chain(names).collect::<Vec<_>>()];
    for (layer, errors) in layers.iter().enumerate() {
        let percent =
            |error: &serde_json::Value| format!("{:.2}", 100.0 * error.as_f64().unwrap_or(0.0));
        let errors = errors.as_array().into_iter().flatten().map(percent);
        rows.push(std::iter::once(layer.to_string()).chain(errors).collect());
    }
    table(&rows)
}
