//! Which keys of a `config.json` may stand there: those that are read, and those known not to change
//! what the model computes. An unknown key may name a variant of Llama, which would run without an
//! error and compute something else.
//!
//! The lists cover the published configurations of Llama 2, 3, 3.1, 3.2 and 3.3 and of TinyLlama, and
//! all that `LlamaConfig.to_dict()` of transformers 4.57 writes.

use serde_json::{Map, Value};

/// Keys that [`super::Raw`] and [`super::quantization`] read and judge.
const READ: [&str; 22] = [
    "model_type",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
    "rms_norm_eps",
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "partial_rotary_factor",
    "tie_word_embeddings",
    "max_position_embeddings",
    "bos_token_id",
    "eos_token_id",
    "attention_bias",
    "mlp_bias",
    "hidden_act",
    super::quantization::THEIRS,
    super::quantization::OURS,
];

/// Keys that say where the file comes from, how weights are stored or started, how long texts were,
/// or what labels are called.
const DESCRIPTIVE: [&str; 24] = [
    "_commit_hash",
    "_name_or_path",
    "attn_implementation",
    "_attn_implementation",
    "_attn_implementation_autoset",
    "dtype",
    "torch_dtype",
    "transformers_version",
    "unsloth_fixed",
    "unsloth_version",
    "initializer_range",
    "max_sequence_length",
    "use_cache",
    "pad_token_id",
    "sep_token_id",
    "decoder_start_token_id",
    "tokenizer_class",
    "prefix",
    "finetuning_task",
    "task_specific_params",
    "problem_type",
    "id2label",
    "label2id",
    "num_labels",
];

/// Keys that say what transformers returns, stores or converts, not what it computes.
const OF_THE_LIBRARY: [&str; 10] = [
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "return_dict",
    "return_dict_in_generate",
    "torchscript",
    "use_bfloat16",
    "tf_legacy_loss",
    "chunk_size_feed_forward",
    "remove_invalid_values",
];

/// Defaults of transformers' own `generate`; here the request has its own.
const OF_GENERATION: [&str; 22] = [
    "bad_words_ids",
    "begin_suppress_tokens",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "length_penalty",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "repetition_penalty",
    "suppress_tokens",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
];

/// Keys that change the computation, with the one value that does not.
const NEUTRAL: [(&str, &str); 8] = [
    ("attention_dropout", "0"),
    ("pretraining_tp", "1"),
    ("add_cross_attention", "false"),
    ("cross_attention_hidden_size", "null"),
    ("is_decoder", "false"),
    ("is_encoder_decoder", "false"),
    ("tie_encoder_decoder", "false"),
    ("pruned_heads", "{}"),
];

/// Refuses every key that is not known to be harmless.
pub(super) fn check(config: &Map<String, Value>) -> Result<(), String> {
    config.iter().try_for_each(|(key, value)| check_one(key, value))
}

/// Refuses models of other tasks: their heads are no language model's.
fn check_task(names: &Value) -> Result<(), String> {
    let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
    let other = |name: &&str| {
        name.split_once("For").is_some_and(|(_, task)| !task.eq_ignore_ascii_case("CausalLM"))
    };
    match names.into_iter().find(other) {
        None => Ok(()),
        Some(name) => Err(format!(
            "architectures has {name:?}, expected \"LlamaForCausalLM\"\nhint: take the language model; one \
             with another head computes something else"
        )),
    }
}

fn check_one(key: &str, value: &Value) -> Result<(), String> {
    if key == "architectures" {
        return check_task(value);
    }
    let harmless = [&READ[..], &DESCRIPTIVE, &OF_THE_LIBRARY, &OF_GENERATION];
    if harmless.iter().any(|list| list.contains(&key)) {
        return Ok(());
    }
    match NEUTRAL.iter().find(|(name, _)| *name == key) {
        Some((_, neutral)) if is(value, neutral) => Ok(()),
        Some((_, neutral)) => Err(format!("{key} is {value}, expected {neutral}")),
        None => Err(format!(
            "unknown key {key:?}\nhint: it may change what the model computes; remove it only if you \
             know that it does not"
        )),
    }
}

/// Whether a value is the one written here, numbers of both kinds alike.
fn is(value: &Value, neutral: &str) -> bool {
    match (value.as_f64(), neutral.parse::<f64>()) {
        (Some(value), Ok(neutral)) => value == neutral,
        _ => {
            let text = value.to_string();
            text == neutral
        }
    }
}
