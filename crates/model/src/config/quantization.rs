//! What `config.json` may say about quantization: bitsandbytes' NF4, or this program's own mark.
//!
//! The weight files say how each weight is stored; here only other formats are refused by name, and
//! the two blocks are written.

use crate::{Base, Head};
use serde_json::{Map, Value, json};

/// The key of transformers.
pub(crate) const THEIRS: &str = "quantization_config";
/// The key of this program, in place of the other one where an embedding has 8 bits: transformers
/// would read that as if it were dense, and without its own key it refuses the 4-bit weights.
pub(crate) const OURS: &str = "srek_quantization";
/// Version of what stands under [`OURS`].
const VERSION: u64 = 1;

/// Keys under [`THEIRS`] that this check, or no one here, reads.
const KNOWN: [&str; 14] = [
    "_load_in_4bit",
    "_load_in_8bit",
    "bnb_4bit_blocksize",
    "bnb_4bit_compute_dtype",
    "bnb_4bit_quant_storage",
    "bnb_4bit_quant_type",
    "bnb_4bit_use_double_quant",
    "llm_int8_enable_fp32_cpu_offload",
    "llm_int8_has_fp16_weight",
    "llm_int8_skip_modules",
    "llm_int8_threshold",
    "load_in_4bit",
    "load_in_8bit",
    "quant_method",
];

const HINT: &str = "hint: quantize the original with srek quantize";

/// Refuses formats that cannot be read.
pub(super) fn check(config: &Map<String, Value>) -> Result<(), String> {
    match (config.get(THEIRS), config.get(OURS)) {
        (Some(_), Some(_)) => Err(format!("{THEIRS} and {OURS} are both there, expected one")),
        (Some(Value::Null), None) | (None, None) => Ok(()),
        (Some(theirs), None) => check_theirs(theirs),
        (None, Some(ours)) => check_ours(ours),
    }
}

fn check_theirs(value: &Value) -> Result<(), String> {
    let Some(config) = value.as_object() else {
        return Err(format!("{THEIRS} is {value}, expected an object"));
    };
    let text = |key: &str, absent: &'static str| match config.get(key) {
        None => absent.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let set = |key: &str| config.get(key).is_some_and(|value| *value != Value::Bool(false));
    let method = text("quant_method", "bitsandbytes");
    if method != "bitsandbytes" {
        return Err(format!(
            "{THEIRS}.quant_method is {method:?}, expected \"bitsandbytes\"\n{HINT}"
        ));
    }
    if set("load_in_8bit") || set("_load_in_8bit") {
        return Err(format!(
            "{THEIRS}.load_in_8bit is set (int8), expected load_in_4bit with nf4\n{HINT}"
        ));
    }
    if config.get("load_in_4bit") != Some(&Value::Bool(true)) {
        return Err(format!("{THEIRS}.load_in_4bit is not true\n{HINT}"));
    }
    // transformers takes fp4 where nothing is said.
    let kind = text("bnb_4bit_quant_type", "fp4");
    if kind != "nf4" {
        return Err(format!("{THEIRS}.bnb_4bit_quant_type is {kind:?}, expected \"nf4\"\n{HINT}"));
    }
    match config.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(format!("unknown key {key:?} in {THEIRS}\n{HINT}")),
    }
}

fn check_ours(value: &Value) -> Result<(), String> {
    let allowed = [Base::Nf4, Base::Nf4Double].map(|base| ours(base, Head::EightBit));
    if allowed.contains(value) {
        return Ok(());
    }
    Err(format!(
        "{OURS} is {value}, expected {} or {}\nhint: a newer srek may have written it",
        allowed[0], allowed[1]
    ))
}

/// The key and what to write under it, for projections and embedding in this storage.
pub(crate) fn block(base: Base, embedding: Head, compute: &str) -> (&'static str, Value) {
    if embedding == Head::EightBit {
        return (OURS, ours(base, embedding));
    }
    let theirs = json!({
        "quant_method": "bitsandbytes",
        "load_in_4bit": true,
        "load_in_8bit": false,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": base == Base::Nf4Double,
        "bnb_4bit_compute_dtype": compute,
        "bnb_4bit_quant_storage": "uint8",
        "llm_int8_skip_modules": ["lm_head"],
    });
    (THEIRS, theirs)
}

fn ours(base: Base, embedding: Head) -> Value {
    json!({ "version": VERSION, "base": base.name(), "embedding": embedding.name() })
}
