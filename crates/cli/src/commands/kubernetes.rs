//! `srek data kubernetes`: the Kubernetes schema as JSONL for `data build`.

use crate::args::DataKubernetesArgs;
use crate::exit::usage;
use crate::output::{Answer, pairs};
use anyhow::Result;
use std::path::Path;
use text::kubernetes::{HoldOut, PairOptions, Schema, Side};

/// Writes questions and answers, or plain documents with `--text`.
pub(crate) fn write(args: &DataKubernetesArgs) -> Result<Answer> {
    if args.records == Some(0) {
        return Err(usage("--records 0: there is nothing to write\nhint: --records 10000"));
    }
    let schema = match args.schema.as_str() {
        "embedded" => Schema::embedded()?,
        file => {
            crate::paths::check_other(&args.out, ("--schema", Path::new(file)))?;
            Schema::from_file(Path::new(file))?
        }
    };
    let options = PairOptions {
        seed: args.seed,
        hold_out: hold_out(args.hold_out_kinds.as_deref())?,
        side: if args.held_out { Side::HeldOut } else { Side::Training },
    };
    let mut lines = match args.text {
        true => documents(&schema, &options)?,
        false => questions(&schema, &options)?,
    };
    let all = lines.len();
    lines.truncate(args.records.unwrap_or(all));
    if lines.is_empty() {
        return Err(usage("the schema gives nothing to write for these kinds"));
    }
    crate::paths::make_parent(&args.out)?;
    files::write_atomic(&args.out, |out| {
        lines.iter().try_for_each(|line| writeln!(out, "{line}"))
    })?;
    let rows = [
        ("records", format!("{} of {all}", lines.len())),
        ("schema", schema.version().to_owned()),
        ("file", args.out.display().to_string()),
    ];
    let json = serde_json::json!({
        "records": lines.len(), "all": all, "schema": schema.version(), "out": args.out,
    });
    Ok(Answer { text: pairs(&rows), json })
}

fn questions(schema: &Schema, options: &PairOptions) -> Result<Vec<serde_json::Value>> {
    let line = |it: text::kubernetes::Pair| {
        serde_json::json!({
            "id": it.id, "group": it.group, "prompt": it.prompt, "completion": it.completion,
        })
    };
    Ok(schema.pairs(options)?.into_iter().map(line).collect())
}

fn documents(schema: &Schema, options: &PairOptions) -> Result<Vec<serde_json::Value>> {
    let line =
        |it: text::kubernetes::TypeDocument| serde_json::json!({ "id": it.id, "text": it.text });
    Ok(schema.documents(options)?.into_iter().map(line).collect())
}

/// `10%`, or `Deployment,Pod`.
fn hold_out(text: Option<&str>) -> Result<HoldOut> {
    let Some(text) = text else { return Ok(HoldOut::Nothing) };
    match text.strip_suffix('%') {
        Some(percent) => percent.parse().map(HoldOut::Percent).map_err(|_| {
            usage(format!("--hold-out-kinds is {text:?}, expected 10%, or Deployment,Pod"))
        }),
        None => Ok(HoldOut::Kinds(text.split(',').map(|it| it.trim().to_owned()).collect())),
    }
}
