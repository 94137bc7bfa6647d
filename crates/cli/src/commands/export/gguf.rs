//! A model as llama.cpp and Ollama run it: `model.gguf` with its tokenizer, a `Modelfile`, and the
//! licence.

use super::{Compared, Inputs, MOST_OF_OTHER, MOST_OF_SAME, OTHER, answer, modelfile};
use crate::companions::{self, is_licence};
use crate::drift::Drift;
use crate::gguf;
use crate::machine::Machine;
use crate::output::{Answer, note, pairs};
use crate::paths;
use crate::templates;
use anyhow::Result;
use model::gguf::Key;
use model::load::GGUF_FILE;
use model::save::{self, Described, GgufForm, Share};
use model::{Config, LoraConfig};
use std::path::Path;
use text::chat::{Date, Template};
use text::tokenizer::Tokenizer;

/// What tells Ollama how to run it.
const MODELFILE: &str = "Modelfile";
/// How far the logits may be from those that are served, as a share of the largest, in 8 and in 4
/// bits: just above models of random weights, the worst case (at most 0.053 and 0.59 of those of 16 blocks,
/// `docs/formats.md`); those of sre-tiny are 0.01 and 0.03 apart. Rows of queries
/// and keys in a wrong order are 1.07 to 1.15 in such models.
const MOST_IN_8_BITS: f64 = 0.1;
const MOST_IN_4_BITS: f64 = 0.6;
/// The type of a token that no text becomes, as llama.cpp numbers it.
const UNUSED: i32 = 5;

/// Writes the directory, reads the file back and compares.
pub(super) fn write(inputs: &Inputs<'_>, form: GgufForm, machine: &Machine) -> Result<Answer> {
    let out = &inputs.args.out;
    inputs.check_out(|name| [GGUF_FILE, MODELFILE].contains(&name) || is_licence(name))?;
    let licences = companions::find(is_licence, &[&inputs.onto, &inputs.model], &inputs.beside())?;
    let served = inputs.served(machine)?;
    let base = inputs.base(&served)?;
    let other = inputs.is_other(&served, &base)?;
    let config = served.config.clone();
    let (mut described, modelfile) = described(inputs, &config)?;
    described.more.extend(gguf::licence(&inputs.onto)?);
    let compared = Compared::new(inputs, served, machine)?;
    let adapter = inputs.adapter.map(LoraConfig::read).transpose()?;
    paths::make_parent(out)?;
    let (mut drift, mut shares) = (Drift::default(), Vec::new());
    files::write_dir_atomic(out, |out| -> Result<()> {
        let adapter = adapter.as_ref().map(|(lora, adapter)| (lora, adapter));
        shares = save::model_gguf(&base, adapter, form, &described, &out.join(GGUF_FILE))?;
        let licences = licences.copy(out)?;
        let text = modelfile.text(&licences, out)?;
        files::write_atomic(out.join(MODELFILE), |file| file.write_all(text.as_bytes()))?;
        inputs.record(&base, out)?;
        drift = compared.with(out, None, machine)?;
        let most = match form {
            GgufForm::F16 => MOST_OF_SAME,
            GgufForm::Q8_0 => MOST_IN_8_BITS,
            GgufForm::Q4K => MOST_IN_4_BITS,
        };
        let most = if other { most.max(MOST_OF_OTHER) } else { most };
        drift.check(most, "take a wider format, such as --format gguf-f16")
    })?;
    if other {
        note(OTHER);
    }
    let answer = answer(&out.join(GGUF_FILE), out, &drift)?;
    Ok(said(answer, form, &shares, &modelfile.notes()))
}

/// The answer with what the file is stored in, and what of chats it leaves to be done.
fn said(mut answer: Answer, form: GgufForm, shares: &[Share], notes: &[String]) -> Answer {
    let listed = shares.iter().map(|it| format!("{} in {}", it.tensors, it.format));
    let mut rows = vec![("tensors", listed.collect::<Vec<_>>().join(", "))];
    if form == GgufForm::Q4K && shares.iter().all(|it| it.format != "Q4_K") {
        rows.push(("", "none in Q4_K, whose blocks are rows of 256".to_owned()));
    }
    rows.extend(notes.iter().map(|it| ("Modelfile", it.clone())));
    answer.text.push_str(&pairs(&rows));
    let formats = shares.iter().map(|it| {
        serde_json::json!({ "format": it.format, "tensors": it.tensors, "weights": it.weights })
    });
    let more = [("formats", formats.collect::<Vec<_>>().into()), ("modelfile", notes.into())];
    let object = answer.json.as_object_mut().expect("an object");
    object.extend(more.map(|(key, value)| (key.to_owned(), value)));
    answer
}

/// What the file says beside weights, and what Ollama is told.
fn described(inputs: &Inputs<'_>, config: &Config) -> Result<(Described, modelfile::Modelfile)> {
    let named = inputs.adapter.or(Some(&inputs.model)).and_then(Path::file_name);
    let name = named.unwrap_or_default().to_string_lossy().into_owned();
    let file = Tokenizer::file_in(&inputs.model);
    if !file.is_file() {
        note("warning: the model has no tokenizer, so the file has no tokenizer");
        let described = Described { name, more: Vec::new() };
        return Ok((described, modelfile::Modelfile::default()));
    }
    let tokenizer = Tokenizer::from_file(&file)?;
    let template = templates::of_model(&inputs.model, &tokenizer)?;
    let mut keys = keys(&tokenizer, config)?;
    keys.push(("tokenizer.chat_template".to_owned(), Key::Text(template.source().to_owned())));
    let own = Template::open(&inputs.model, Date::STANDARD)?.is_some();
    let modelfile = modelfile::Modelfile::new(&template, own, &tokenizer);
    Ok((Described { name, more: keys }, modelfile))
}

/// The tokenizer in the keys that llama.cpp reads.
fn keys(tokenizer: &Tokenizer, config: &Config) -> Result<Vec<(String, Key)>> {
    let mut parts = tokenizer.gguf_keys()?;
    // Rows of the embedding that no token has.
    for id in parts.tokens.len()..config.vocab {
        parts.tokens.push(format!("[PAD{id}]"));
        parts.token_type.push(UNUSED);
        if !parts.scores.is_empty() {
            parts.scores.push(f32::MIN);
        }
    }
    let eos = config.eos.first().copied().unwrap_or(tokenizer.eos());
    let scored = !parts.scores.is_empty();
    let pairs = [
        ("model", Some(Key::Text(parts.model))),
        ("pre", parts.pre.map(Key::Text)),
        ("tokens", Some(Key::Texts(parts.tokens))),
        ("token_type", Some(Key::Integers(parts.token_type))),
        ("scores", scored.then_some(Key::Floats(parts.scores))),
        ("merges", (!scored).then_some(Key::Texts(parts.merges))),
        ("bos_token_id", parts.bos_token_id.map(Key::U32)),
        ("eos_token_id", Some(Key::U32(eos))),
        ("eot_token_id", tokenizer.special_id("<|eot_id|>").map(Key::U32)),
        ("unknown_token_id", parts.unknown_token_id.map(Key::U32)),
        ("add_bos_token", parts.add_bos_token.map(Key::Bool)),
        ("add_space_prefix", parts.add_space_prefix.map(Key::Bool)),
    ];
    let named = pairs.into_iter().filter_map(|(name, value)| {
        let name = format!("tokenizer.ggml.{name}");
        value.map(|value| (name, value))
    });
    Ok(named.collect())
}
