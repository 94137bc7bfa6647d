//! Which keys of an `adapter_config.json` may stand there: those that are read, and those known not to
//! change what the adapter computes. PEFT grows new ones, and an adapter that needs one would run without
//! an error and compute something else.
//!
//! The lists cover all that `LoraConfig` of PEFT 0.18 writes.

use serde_json::{Map, Value};

/// Keys that [`super::Raw`] reads and judges.
const READ: [&str; 17] = [
    "peft_type",
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "use_rslora",
    "use_dora",
    "bias",
    "lora_bias",
    "fan_in_fan_out",
    "modules_to_save",
    "layers_to_transform",
    "exclude_modules",
    "use_qalora",
    "alora_invocation_tokens",
    "rank_pattern",
    "alpha_pattern",
];

/// Keys that say where the adapter comes from, what it is for, or how its factors were started.
const DESCRIPTIVE: [&str; 12] = [
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "inference_mode",
    "layers_pattern",
    "loftq_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
];

/// What the adapter is for, and the only value that this program computes.
const TASK: &str = "task_type";
const LANGUAGE: &str = "CAUSAL_LM";

/// Keys that must be absent or off.
const REFUSED: [&str; 5] = [
    "arrow_config",
    "layer_replication",
    "megatron_config",
    "target_parameters",
    "trainable_token_indices",
];

/// How factors were started.
const START: &str = "init_lora_weights";
/// Its values that leave the base as it was. Others (PiSSA, OLoRA, CorDA, LoftQ) take a part out of the
/// base, so that the factors are right over that other base only.
const STARTS: [&str; 3] = ["eva", "gaussian", "orthogonal"];

/// Refuses every key that is not known to be harmless.
pub(super) fn check(config: &Map<String, Value>) -> Result<(), String> {
    config.iter().try_for_each(|(key, value)| check_one(key, value))
}

fn check_one(key: &str, value: &Value) -> Result<(), String> {
    if key == START {
        return match value {
            Value::String(start) if !STARTS.contains(&start.as_str()) => Err(format!(
                "{START} is {start:?}, which changes the base, expected true, false or one of {}\nhint: \
                 let PEFT convert the adapter to plain LoRA",
                STARTS.join(", ")
            )),
            _ => Ok(()),
        };
    }
    if key == TASK {
        return match value {
            Value::Null => Ok(()),
            Value::String(task) if task == LANGUAGE => Ok(()),
            other => Err(format!(
                "{TASK} is {other}, expected {LANGUAGE:?}\nhint: an adapter for another task has another head; \
                 take one of a language model"
            )),
        };
    }
    let known = READ.contains(&key) || DESCRIPTIVE.contains(&key);
    if known || is_off(value) {
        return Ok(());
    }
    if REFUSED.contains(&key) {
        return Err(format!("{key} is set, which is not supported\nhint: retrain without it"));
    }
    Err(format!(
        "unknown key {key:?}\nhint: it may change what the adapter computes; remove it only if you know \
         that it does not"
    ))
}

/// Whether a value says that its key is not used.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_compute_something_else_is_refused() {
        let judge = |text: &str| check(&serde_json::from_str(text).expect("JSON"));
        for text in [
            r#"{"init_lora_weights": true, "layer_replication": null, "target_parameters": []}"#,
            r#"{"init_lora_weights": "gaussian", "use_something_new": false, "other": {}}"#,
            r#"{"qalora_group_size": 16, "megatron_core": "megatron.core", "r": 4}"#,
            r#"{"task_type": "CAUSAL_LM"}"#,
            r#"{"task_type": null}"#,
        ] {
            assert_eq!(judge(text), Ok(()), "{text}");
        }
        for (text, want) in [
            (r#"{"init_lora_weights": "pissa_niter_4"}"#, "init_lora_weights is \"pissa_niter_4\""),
            (r#"{"layer_replication": [[0, 4]]}"#, "layer_replication is set, which is not"),
            (
                r#"{"task_type": "SEQ_CLS"}"#,
                "task_type is \"SEQ_CLS\", expected \"CAUSAL_LM\"\nhint: ",
            ),
            (r#"{"use_something_new": true}"#, "unknown key \"use_something_new\"\nhint: "),
        ] {
            let error = judge(text).expect_err(text);
            assert!(error.starts_with(want), "{error}");
        }
    }
}
