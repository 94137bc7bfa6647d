//! `srek logits`: the forward pass of training over given token ids, for comparisons with others.

use crate::args::LogitsArgs;
use crate::drift;
use crate::exit::usage;
use crate::machine::Machine;
use crate::output::{Answer, pairs};
use crate::paths;
use crate::weights::Source;
use model::Config;
use std::path::Path;

/// Largest file of token ids that is read.
const IDS_LIMIT_BYTES: u64 = 1 << 30;

/// Computes and writes the logits.
pub(crate) fn run(args: &LogitsArgs, machine: &Machine) -> anyhow::Result<Answer> {
    paths::check_file(&args.out)?;
    if let Some(model) = &args.model.model {
        paths::check_other(&args.out, ("--model", model))?;
    }
    let source = Source::open(&args.model, machine)?;
    let lists = read_ids(&args.ids, &source.config)?;
    let logits = drift::logits(machine, &source, &lists)?;
    let shape = [lists.len(), lists[0].len(), source.config.vocab];
    model::save::f32_tensors(&[("logits", &shape, &logits)], &args.out)?;
    let text = pairs(&[
        ("logits", format!("{} x {} x {}", shape[0], shape[1], shape[2])),
        ("base", source.form.base.name().to_owned()),
        ("head", source.form.head.name().to_owned()),
        ("numerics", source.form.numerics.name().to_owned()),
        ("tier", machine.tier()),
        ("file", args.out.display().to_string()),
    ]);
    let json = serde_json::json!({
        "shape": shape,
        "quant": source.form.quant(),
        "head": source.form.head.name(),
        "numerics": source.form.numerics.name(),
        "tier": machine.tier(),
        "out": args.out,
    });
    Ok(Answer { text, json })
}

/// Reads the lists and checks their form, their length and every id.
fn read_ids(path: &Path, config: &Config) -> anyhow::Result<Vec<Vec<u32>>> {
    let name = path.display();
    let bytes = files::read(path, IDS_LIMIT_BYTES)?;
    let lists: Vec<Vec<u32>> = serde_json::from_slice(&bytes).map_err(|error| {
        usage(format!("{name}: {error}\nhint: expected a JSON list of lists of token ids"))
    })?;
    let length = lists.first().map_or(0, Vec::len);
    if length == 0 {
        return Err(usage(format!("{name}: there is no token id")));
    }
    if length > config.context {
        let context = config.context;
        return Err(usage(format!(
            "{name}: list 0 has {length} ids, the model's context holds {context}"
        )));
    }
    for (index, list) in lists.iter().enumerate() {
        if list.len() != length {
            return Err(usage(format!(
                "{name}: list {index} has {} ids, list 0 has {length}\nhint: all lists have the \
                 same length",
                list.len()
            )));
        }
        if let Some(at) = list.iter().position(|&id| id as usize >= config.vocab) {
            return Err(usage(format!(
                "{name}: id {at} of list {index} is {}, outside of the vocabulary of {}",
                list[at], config.vocab
            )));
        }
    }
    Ok(lists)
}
