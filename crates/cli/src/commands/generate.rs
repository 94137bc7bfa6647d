//! `srek generate`: one prompt, one or several continuations, as they come.

use crate::args::GenerateArgs;
use crate::exit::usage;
use crate::machine::Machine;
use crate::output::{Answer, Format, bytes, note, print};
use crate::serving::Serving;
use crate::templates;
use crate::weights::Source;
use anyhow::{Context, Result};
use engine::{Engine, EngineOptions, Event, RequestId};
use ops::Any;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use text::grammar::{Grammar, Vocabulary};
use text::llm::{Completion, FinishReason, GenerateRequest, Prompt, Sampling};
use text::tokenizer::Tokenizer;

/// Largest prompt file that is read.
const PROMPT_LIMIT_BYTES: u64 = 16 << 20;
/// Largest schema file that is read.
const SCHEMA_LIMIT_BYTES: u64 = 4 << 20;
/// Most completions at once.
const MOST_COMPLETIONS: usize = 64;

/// Generates; a single completion is printed while it grows.
pub(crate) fn run(args: &GenerateArgs, machine: &Machine, format: Format) -> Result<Answer> {
    if !(1..=MOST_COMPLETIONS).contains(&args.completions) {
        let found = args.completions;
        return Err(usage(format!("--n is {found}, expected 1 to {MOST_COMPLETIONS}")));
    }
    let source = Source::open(&args.model, machine)?;
    let (tokenizer, file) = tokenizer(args)?;
    source.check_tokenizer(&tokenizer, &file)?;
    let mut request = request(args)?;
    if let (true, Prompt::Text(text)) = (args.chat, &request.prompt) {
        let template = templates::of_model(&args.model.directory()?, &tokenizer)?;
        request.prompt = templates::framed(&template, &tokenizer, &[], text)?;
    }
    request.schema = schema(args, &tokenizer)?;
    request.check().map_err(engine::Error::Request)?;
    let prompt_tokens = match &request.prompt {
        Prompt::Text(text) => tokenizer.encode(text)?.len() + 1,
        Prompt::Ids(ids) => ids.len(),
    };
    let wanted = prompt_tokens.saturating_add(args.max_tokens).max(2);
    let options = EngineOptions::new(args.completions, wanted.min(source.config.context));
    let mut serving = Serving::new(machine, &source, options)?;
    let planned = serving.size.device + serving.size.pinned + serving.host_bytes;

    let requests: Vec<GenerateRequest> = (0..args.completions as u64)
        .map(|index| {
            let mut request = request.clone();
            request.sampling.seed = request.sampling.seed.wrapping_add(index);
            request
        })
        .collect();
    let streamed = format == Format::Text && requests.len() == 1;
    let started = Instant::now();
    let completions = generate(&mut serving.engine(Some(&tokenizer)), &requests, streamed)?;
    let seconds = started.elapsed().as_secs_f64();
    if streamed {
        print("\n")?;
    }
    let tokens: usize = completions.iter().map(|it| it.completion_tokens).sum();
    if format == Format::Text {
        note(&format!(
            "{prompt_tokens} prompt tokens, {tokens} produced, {:.1} tokens/s, {} planned",
            tokens as f64 / seconds,
            bytes(planned as u64)
        ));
        note(&source.form.describe(machine));
    }
    let text = if streamed { String::new() } else { listed(&completions) };
    let json = serde_json::json!({
        "prompt_tokens": prompt_tokens,
        "completion_tokens": tokens,
        "seconds": seconds,
        "planned_bytes": planned,
        "mapped_bytes": serving.size.mapped,
        "quant": source.form.quant(),
        "head": source.form.head.name(),
        "numerics": source.form.numerics.name(),
        "tier": machine.tier(),
        "completions": completions.iter().map(as_json).collect::<Vec<_>>(),
    });
    Ok(Answer { text, json })
}

fn tokenizer(args: &GenerateArgs) -> Result<(Tokenizer, PathBuf)> {
    let file = match &args.tokenizer {
        Some(file) => crate::gguf::tokenizer(file)?,
        None => Tokenizer::file_in(&args.model.directory()?),
    };
    if args.tokenizer.is_none() && !file.exists() {
        let directory = args.model.directory()?;
        let directory = directory.display();
        return Err(usage(format!(
            "{directory}: there is no tokenizer.json\nhint: name one with --tokenizer"
        )));
    }
    Ok((Tokenizer::from_file(&file)?, file))
}

fn request(args: &GenerateArgs) -> Result<GenerateRequest> {
    let prompt = match (&args.prompt, &args.prompt_file) {
        (Some(text), _) => text.clone(),
        (None, Some(file)) => files::read_to_string(file, PROMPT_LIMIT_BYTES)?,
        (None, None) => unreachable!("one of the two is required"),
    };
    Ok(GenerateRequest {
        prompt: Prompt::Text(prompt),
        max_tokens: args.max_tokens,
        sampling: Sampling {
            temperature: args.temperature,
            top_k: args.top_k,
            top_p: args.top_p,
            min_p: args.min_p,
            repetition_penalty: args.repetition_penalty,
            seed: args.seed,
        },
        stop: args.stop.clone(),
        schema: None,
        deadline: args.deadline.map(Duration::from_millis),
    })
}

/// The schema, compiled for the tokenizer.
fn schema(args: &GenerateArgs, tokenizer: &Tokenizer) -> Result<Option<Arc<Grammar>>> {
    let Some(file) = &args.schema else { return Ok(None) };
    let text = files::read_to_string(file, SCHEMA_LIMIT_BYTES)?;
    let name = file.display();
    let schema = serde_json::from_str(&text)
        .map_err(|error| usage(format!("{name}: {error}\nhint: expected a JSON schema")))?;
    let grammar = Grammar::json(&schema, &Vocabulary::of(tokenizer)?);
    Ok(Some(grammar.with_context(|| name.to_string())?))
}

/// Runs all requests to their ends. Printing happens between passes, so that a reader who went
/// away ends the run.
fn generate(
    engine: &mut Engine<'_, Any>,
    requests: &[GenerateRequest],
    streamed: bool,
) -> Result<Vec<Completion>> {
    let ids: Vec<RequestId> =
        requests.iter().map(|request| engine.submit(request)).collect::<engine::Result<_>>()?;
    let mut completions: Vec<Option<Completion>> = vec![None; ids.len()];
    while !engine.is_idle() {
        for event in engine.step()? {
            match event {
                Event::Token { .. } => {}
                Event::Text { text, .. } if streamed => print(&text)?,
                Event::Text { .. } => {}
                Event::Finished { request, completion } => {
                    let index = ids.iter().position(|&id| id == request);
                    completions[index.expect("one of ours")] = Some(completion);
                }
                Event::Failed { error, .. } => return Err(error.into()),
            }
        }
    }
    Ok(completions.into_iter().map(|it| it.expect("every request ends")).collect())
}

fn listed(completions: &[Completion]) -> String {
    let one = |(index, completion): (usize, &Completion)| {
        format!("--- {} of {}\n{}\n", index + 1, completions.len(), completion.text)
    };
    completions.iter().enumerate().map(one).collect()
}

fn as_json(completion: &Completion) -> serde_json::Value {
    let reason = match completion.finish_reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::EndOfText => "end_of_text",
        FinishReason::Complete => "complete",
        FinishReason::Closed => "closed",
    };
    serde_json::json!({
        "text": completion.text,
        "tokens": completion.completion_tokens,
        "finish_reason": reason,
    })
}
