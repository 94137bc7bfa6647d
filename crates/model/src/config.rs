//! The shape of a Llama, from and to Hugging Face's `config.json`.

use crate::{Error, Result};
use ops::attention::MAX_HEAD_DIM;
use ops::rope::Scaling;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::Path;

mod keys;
mod known;
pub(crate) mod quantization;

/// The largest `config.json` that is read.
const CONFIG_LIMIT_BYTES: u64 = 1 << 20;

/// A validated configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// C.
    pub hidden: usize,
    /// F.
    pub ffn: usize,
    /// Number of blocks.
    pub layers: usize,
    /// H.
    pub heads: usize,
    /// Hkv, a divisor of H.
    pub kv_heads: usize,
    /// D.
    pub head_dim: usize,
    /// V.
    pub vocab: usize,
    /// eps of the norms.
    pub eps: f32,
    /// Base of the rotary frequencies.
    pub rope_theta: f32,
    /// llama3 scaling of the rotary frequencies.
    pub rope_scaling: Option<Scaling>,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// Longest sequence, in tokens.
    pub context: usize,
    /// First token of every document.
    pub bos: Option<u32>,
    /// Tokens that end a text.
    pub eos: Vec<u32>,
}

/// The base of the rotary frequencies where the file names none, as in the first files of Llama 2:
/// what transformers takes then.
const DEFAULT_ROPE_THETA: f32 = 10_000.0;

/// The fields of `config.json` that decide what is computed; [`keys`] judges all others.
#[derive(Debug, Deserialize)]
struct Raw {
    model_type: String,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    vocab_size: usize,
    rms_norm_eps: f32,
    rope_theta: Option<f32>,
    rope_scaling: Option<RawScaling>,
    /// Where transformers 5 puts both.
    rope_parameters: Option<RawScaling>,
    /// Rotations of a part of each head: not Llama.
    partial_rotary_factor: Option<f32>,
    #[serde(default)]
    tie_word_embeddings: bool,
    max_position_embeddings: usize,
    bos_token_id: Option<u32>,
    eos_token_id: Option<OneOrMany>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    hidden_act: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScaling {
    rope_type: Option<String>,
    /// The older name of `rope_type`.
    r#type: Option<String>,
    rope_theta: Option<f32>,
    partial_rotary_factor: Option<f32>,
    factor: Option<f32>,
    low_freq_factor: Option<f32>,
    high_freq_factor: Option<f32>,
    original_max_position_embeddings: Option<usize>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged, expecting = "eos_token_id is neither a token's id nor a list of such")]
enum OneOrMany {
    One(u32),
    Many(Vec<u32>),
}

impl Config {
    /// Reads and validates `config.json` of a model directory.
    ///
    /// # Errors
    /// When the file is missing, not JSON, lacks a field, describes something that is not a Llama this
    /// program can run, or has a key that might.
    pub fn read(directory: &Path) -> Result<Config> {
        Ok(Config::read_all(directory)?.0)
    }

    /// As [`Config::read`], with everything that the file says.
    pub(crate) fn read_all(directory: &Path) -> Result<(Config, Map<String, Value>)> {
        let path = directory.join("config.json");
        let text = files::read_to_string(&path, CONFIG_LIMIT_BYTES)?;
        let raw: Raw =
            serde_json::from_str(&text).map_err(|e| Error::config(&path, e.to_string()))?;
        let all: Map<String, Value> =
            serde_json::from_str(&text).map_err(|e| Error::config(&path, e.to_string()))?;
        let checked = || {
            let config = raw.validate()?;
            quantization::check(&all)?;
            keys::check(&all)?;
            Ok(config)
        };
        let config = checked().map_err(|message: String| Error::config(&path, message))?;
        Ok((config, all))
    }

    /// G = H / Hkv, query heads per key head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Checks that every size is one that the ops can run.
    ///
    /// # Errors
    /// The rule that is violated, in words.
    pub fn check(&self) -> std::result::Result<(), String> {
        let Config { hidden, ffn, layers, heads, kv_heads, head_dim, vocab, context, .. } = *self;
        let sizes = [
            ("hidden_size", hidden, 1 << 16),
            ("intermediate_size", ffn, 1 << 18),
            ("num_hidden_layers", layers, 1 << 10),
            ("num_attention_heads", heads, 1 << 10),
            ("num_key_value_heads", kv_heads, 1 << 10),
            ("vocab_size", vocab, 1 << 22),
            ("max_position_embeddings", context, 1 << 24),
            ("head_dim", head_dim, MAX_HEAD_DIM),
        ];
        for (name, value, most) in sizes {
            if !(1..=most).contains(&value) {
                return Err(format!("{name} is {value}, expected 1 to {most}"));
            }
        }
        if !heads.is_multiple_of(kv_heads) || heads / kv_heads > 16 {
            return Err(format!(
                "num_attention_heads {heads} over num_key_value_heads {kv_heads}: expected a whole ratio of at most 16"
            ));
        }
        if !head_dim.is_multiple_of(2) {
            return Err(format!("head_dim is {head_dim}, expected an even number"));
        }
        if !(self.eps > 0.0
            && self.eps < 1.0
            && self.rope_theta >= 1.0
            && self.rope_theta.is_finite())
        {
            return Err(format!(
                "rms_norm_eps {} or rope_theta {} is out of range",
                self.eps, self.rope_theta
            ));
        }
        if let Some(&id) = self.bos.iter().chain(&self.eos).find(|&&id| id as usize >= vocab) {
            return Err(format!("token id {id} is outside of the vocabulary of {vocab}"));
        }
        Ok(())
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        let Config { hidden: c, ffn, heads, kv_heads, head_dim, vocab, .. } = *self;
        let attention = c * head_dim * (2 * heads + 2 * kv_heads);
        let block = attention + 3 * c * ffn + 2 * c;
        let head = if self.tied { 0 } else { vocab * c };
        self.layers * block + vocab * c + head + c
    }

    /// The `config.json` that transformers reads.
    pub fn to_json(&self, dtype: &str) -> serde_json::Value {
        let scaling = self.rope_scaling.map(|s| {
            serde_json::json!({
                "rope_type": "llama3",
                "factor": s.factor,
                "low_freq_factor": s.low,
                "high_freq_factor": s.high,
                "original_max_position_embeddings": s.original_context,
            })
        });
        let eos = match self.eos.as_slice() {
            [] => None,
            [one] => Some(OneOrMany::One(*one)),
            many => Some(OneOrMany::Many(many.to_vec())),
        };
        serde_json::json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.hidden,
            "intermediate_size": self.ffn,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "vocab_size": self.vocab,
            "rms_norm_eps": self.eps,
            "rope_theta": self.rope_theta,
            "rope_scaling": scaling,
            "tie_word_embeddings": self.tied,
            "max_position_embeddings": self.context,
            "bos_token_id": self.bos,
            "eos_token_id": eos,
            "attention_bias": false,
            "mlp_bias": false,
            "hidden_act": "silu",
            "torch_dtype": dtype,
        })
    }
}

impl Raw {
    fn validate(self) -> std::result::Result<Config, String> {
        if self.model_type != "llama" {
            return Err(format!("model_type is {:?}, expected \"llama\"", self.model_type));
        }
        if self.attention_bias || self.mlp_bias {
            return Err(
                "attention_bias or mlp_bias is set, expected linear layers without bias".into()
            );
        }
        if let Some(act) = self.hidden_act.filter(|act| act != "silu") {
            return Err(format!("hidden_act is {act:?}, expected \"silu\""));
        }
        if self.num_attention_heads == 0 {
            return Err("num_attention_heads is 0".into());
        }
        let scalings = self.rope_scaling.iter().chain(&self.rope_parameters);
        let partial = scalings.filter_map(|scaling| scaling.partial_rotary_factor);
        if let Some(factor) =
            self.partial_rotary_factor.into_iter().chain(partial).find(|f| *f != 1.0)
        {
            return Err(format!("partial_rotary_factor is {factor}, expected 1 or none"));
        }
        let inside = self.rope_parameters.as_ref().and_then(|p| p.rope_theta);
        let rope_theta = match (self.rope_theta, inside) {
            (Some(a), Some(b)) if a != b => {
                return Err(format!("rope_theta is {a}, but {b} in rope_parameters"));
            }
            (a, b) => a.or(b).unwrap_or(DEFAULT_ROPE_THETA),
        };
        let scaling = |raw: Option<RawScaling>| {
            raw.map(RawScaling::validate).transpose().map(Option::flatten)
        };
        let both = self.rope_scaling.is_some() && self.rope_parameters.is_some();
        let (old, new) = (scaling(self.rope_scaling)?, scaling(self.rope_parameters)?);
        if both && old != new {
            return Err("rope_scaling and rope_parameters differ".into());
        }
        let config = Config {
            hidden: self.hidden_size,
            ffn: self.intermediate_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            kv_heads: self.num_key_value_heads.unwrap_or(self.num_attention_heads),
            head_dim: self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads),
            vocab: self.vocab_size,
            eps: self.rms_norm_eps,
            rope_theta,
            rope_scaling: new.or(old),
            tied: self.tie_word_embeddings,
            context: self.max_position_embeddings,
            bos: self.bos_token_id,
            eos: match self.eos_token_id {
                None => Vec::new(),
                Some(OneOrMany::One(id)) => vec![id],
                Some(OneOrMany::Many(ids)) => ids,
            },
        };
        config.check()?;
        Ok(config)
    }
}

impl RawScaling {
    fn validate(self) -> std::result::Result<Option<Scaling>, String> {
        let kind = match (self.rope_type, self.r#type) {
            (Some(a), Some(b)) if a != b => {
                return Err(format!("rope_type is {a:?}, but type is {b:?}"));
            }
            (a, b) => a.or(b).ok_or("rope_type is missing")?,
        };
        match kind.as_str() {
            "default" => Ok(None),
            "llama3" => {
                let need = |value: Option<f32>, name: &str| {
                    value
                        .filter(|v| v.is_finite() && *v > 0.0)
                        .ok_or(format!("rope_scaling.{name} is missing or not positive"))
                };
                let scaling = Scaling {
                    factor: need(self.factor, "factor")?,
                    low: need(self.low_freq_factor, "low_freq_factor")?,
                    high: need(self.high_freq_factor, "high_freq_factor")?,
                    original_context: self
                        .original_max_position_embeddings
                        .ok_or("rope_scaling.original_max_position_embeddings is missing")?,
                };
                if !(1..=1 << 24).contains(&scaling.original_context)
                    || !(1.0..1e4).contains(&scaling.factor)
                {
                    return Err(format!(
                        "rope_scaling has factor {} and original_max_position_embeddings {}, which are out of range",
                        scaling.factor, scaling.original_context
                    ));
                }
                if scaling.high <= scaling.low {
                    return Err("rope_scaling.high_freq_factor must exceed low_freq_factor".into());
                }
                Ok(Some(scaling))
            }
            other => {
                Err(format!("rope_scaling type is {other:?}, expected \"llama3\" or \"default\""))
            }
        }
    }
}
