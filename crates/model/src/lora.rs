//! LoRA adapters and PEFT's directory format (`adapter_config.json`, `adapter_model.safetensors`).

use crate::load::check_adapter;
use crate::{Checkpoint, Config, Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

mod keys;
mod pattern;

pub use pattern::Patterns;

/// The largest `adapter_config.json` that is read.
const CONFIG_LIMIT_BYTES: u64 = 1 << 20;
/// The largest rank.
pub const MAX_RANK: usize = 1024;

/// The seven projections, in the order of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Projection {
    /// Queries.
    Q,
    /// Keys.
    K,
    /// Values.
    V,
    /// Attention output.
    O,
    /// Gate of the MLP.
    Gate,
    /// Up-projection of the MLP.
    Up,
    /// Down-projection of the MLP.
    Down,
}

impl Projection {
    /// All seven.
    pub const ALL: [Projection; 7] = [
        Projection::Q,
        Projection::K,
        Projection::V,
        Projection::O,
        Projection::Gate,
        Projection::Up,
        Projection::Down,
    ];

    /// The module's name in Hugging Face's Llama.
    pub fn module(self) -> &'static str {
        match self {
            Projection::Q => "q_proj",
            Projection::K => "k_proj",
            Projection::V => "v_proj",
            Projection::O => "o_proj",
            Projection::Gate => "gate_proj",
            Projection::Up => "up_proj",
            Projection::Down => "down_proj",
        }
    }

    /// The module's path inside a block.
    pub fn path(self) -> &'static str {
        match self {
            Projection::Q => "self_attn.q_proj",
            Projection::K => "self_attn.k_proj",
            Projection::V => "self_attn.v_proj",
            Projection::O => "self_attn.o_proj",
            Projection::Gate => "mlp.gate_proj",
            Projection::Up => "mlp.up_proj",
            Projection::Down => "mlp.down_proj",
        }
    }

    /// (out, in).
    pub fn shape(self, config: &Config) -> [usize; 2] {
        let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        match self {
            Projection::Q => [q, config.hidden],
            Projection::K | Projection::V => [kv, config.hidden],
            Projection::O => [config.hidden, q],
            Projection::Gate | Projection::Up => [config.ffn, config.hidden],
            Projection::Down => [config.hidden, config.ffn],
        }
    }
}

/// What to adapt, and how strongly.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraConfig {
    /// R where `rank_pattern` says nothing.
    pub rank: usize,
    /// alpha where `alpha_pattern` says nothing.
    pub alpha: f32,
    /// Whether the scale is alpha/√R instead of alpha/R.
    pub rslora: bool,
    /// Which projections.
    pub targets: Vec<Projection>,
    /// R of modules by PEFT pattern: a module name, a path suffix or the whole path.
    pub rank_pattern: Patterns<usize>,
    /// alpha of modules by PEFT pattern.
    pub alpha_pattern: Patterns<f32>,
    /// Dropout it was trained with; serving has none, and training refuses any but 0.
    pub dropout: f32,
}

/// The factors' size and scale for one module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factor {
    /// R.
    pub rank: usize,
    /// s.
    pub scale: f32,
}

/// The fields of `adapter_config.json` that decide what the adapter computes.
#[derive(Debug, Deserialize)]
struct Raw {
    peft_type: String,
    r: usize,
    lora_alpha: f32,
    #[serde(default)]
    lora_dropout: f32,
    target_modules: Targets,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    lora_bias: bool,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    modules_to_save: Option<Vec<String>>,
    #[serde(default)]
    layers_to_transform: Option<serde_json::Value>,
    #[serde(default)]
    exclude_modules: Option<serde_json::Value>,
    #[serde(default)]
    use_qalora: bool,
    #[serde(default)]
    alora_invocation_tokens: Option<serde_json::Value>,
    #[serde(default)]
    rank_pattern: Patterns<usize>,
    #[serde(default)]
    alpha_pattern: Patterns<f32>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "target_modules is neither a name nor a list of names")]
enum Targets {
    One(String),
    Many(Vec<String>),
}

/// The tensor name of a factor, as PEFT writes it.
pub fn tensor_name(layer: usize, projection: Projection, factor: char) -> String {
    format!("base_model.model.model.layers.{layer}.{}.lora_{factor}.weight", projection.path())
}

impl LoraConfig {
    /// R and s of a module.
    pub fn factor(&self, layer: usize, projection: Projection) -> Option<Factor> {
        if !self.targets.contains(&projection) {
            return None;
        }
        let path = format!("model.layers.{layer}.{}", projection.path());
        let rank = *self.rank_pattern.first(&path).unwrap_or(&self.rank);
        let alpha = *self.alpha_pattern.first(&path).unwrap_or(&self.alpha);
        let divisor = if self.rslora { (rank as f32).sqrt() } else { rank as f32 };
        Some(Factor { rank, scale: alpha / divisor })
    }

    /// Checks ranks, scales and targets.
    ///
    /// # Errors
    /// The rule that is violated, in words.
    pub fn check(&self) -> std::result::Result<(), String> {
        if self.targets.is_empty() {
            return Err("no target module".into());
        }
        for pattern in self.rank_pattern.keys().chain(self.alpha_pattern.keys()) {
            self.check_pattern(pattern)?;
        }
        for rank in self.rank_pattern.values().chain([&self.rank]) {
            if !(1..=MAX_RANK).contains(rank) {
                return Err(format!("rank is {rank}, expected 1 to {MAX_RANK}"));
            }
        }
        if !(0.0..=1.0).contains(&self.dropout) {
            return Err(format!("lora_dropout is {}, expected 0 to 1", self.dropout));
        }
        for alpha in self.alpha_pattern.values().chain([&self.alpha]) {
            if !alpha.is_finite() {
                return Err(format!("alpha is {alpha}, expected a finite number"));
            }
        }
        Ok(())
    }

    /// Refuses a pattern that PEFT would read as a regular expression, or that means no target.
    fn check_pattern(&self, pattern: &str) -> std::result::Result<(), String> {
        let plain = pattern.chars().all(|c| c.is_ascii_alphanumeric() || "._".contains(c));
        let means = |target: &Projection| {
            let (module, path) = (target.module(), target.path());
            pattern == module || pattern == path || pattern.ends_with(&format!(".{path}"))
        };
        if plain && self.targets.iter().any(means) {
            return Ok(());
        }
        Err(format!(
            "pattern {pattern:?} is no target module's name or path\nhint: write q_proj, self_attn.q_proj or model.layers.0.self_attn.q_proj"
        ))
    }

    /// Reads `adapter_config.json` and maps `adapter_model.safetensors`.
    ///
    /// # Errors
    /// When a file is missing or damaged, or the adapter needs what is not supported: it is named.
    pub fn read(directory: &Path) -> Result<(LoraConfig, Checkpoint)> {
        check_adapter(directory)?;
        let path = directory.join("adapter_config.json");
        let text = files::read_to_string(&path, CONFIG_LIMIT_BYTES)?;
        let raw: Raw =
            serde_json::from_str(&text).map_err(|e| Error::config(&path, e.to_string()))?;
        let all = serde_json::from_str(&text).map_err(|e| Error::config(&path, e.to_string()))?;
        let config = raw.validate().and_then(|config| keys::check(&all).map(|()| config));
        let config = config.map_err(|message| Error::config(&path, message))?;
        let weights = Checkpoint::open_files(directory, &["adapter_model.safetensors".into()])?;
        Ok((config, weights))
    }

    /// The `adapter_config.json` that PEFT reads, its patterns in their order.
    pub fn to_json(&self, base: &str) -> impl Serialize {
        // By name, as PEFT writes them.
        #[derive(Serialize)]
        struct Out<'a> {
            alpha_pattern: &'a Patterns<f32>,
            base_model_name_or_path: String,
            bias: &'a str,
            fan_in_fan_out: bool,
            inference_mode: bool,
            init_lora_weights: bool,
            lora_alpha: f32,
            lora_dropout: f32,
            modules_to_save: Option<()>,
            peft_type: &'a str,
            r: usize,
            rank_pattern: &'a Patterns<usize>,
            target_modules: Vec<&'a str>,
            task_type: &'a str,
            use_dora: bool,
            use_rslora: bool,
        }
        Out {
            alpha_pattern: &self.alpha_pattern,
            base_model_name_or_path: base.to_owned(),
            bias: "none",
            fan_in_fan_out: false,
            inference_mode: true,
            init_lora_weights: true,
            lora_alpha: self.alpha,
            lora_dropout: self.dropout,
            modules_to_save: None,
            peft_type: "LORA",
            r: self.rank,
            rank_pattern: &self.rank_pattern,
            target_modules: self.targets.iter().map(|t| t.module()).collect(),
            task_type: "CAUSAL_LM",
            use_dora: false,
            use_rslora: self.rslora,
        }
    }
}

/// The projections that these module names mean; `all-linear` is all seven.
///
/// # Errors
/// A name that is none of the seven.
pub fn targets(names: &[String]) -> std::result::Result<Vec<Projection>, String> {
    if let [one] = names
        && one == "all-linear"
    {
        return Ok(Projection::ALL.to_vec());
    }
    let mut found = Vec::new();
    for name in names {
        let projection =
            Projection::ALL.into_iter().find(|p| p.module() == name || p.path() == name);
        found.push(projection.ok_or(format!(
            "target module {name:?} is not one of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj"
        ))?);
    }
    found.sort();
    found.dedup();
    Ok(found)
}

impl Raw {
    fn validate(self) -> std::result::Result<LoraConfig, String> {
        if self.peft_type != "LORA" {
            return Err(format!("peft_type is {:?}, expected \"LORA\"", self.peft_type));
        }
        let refused = [
            (self.use_dora, "use_dora"),
            (self.bias.is_some_and(|bias| bias != "none"), "bias"),
            (self.lora_bias, "lora_bias"),
            (self.fan_in_fan_out, "fan_in_fan_out"),
            (self.modules_to_save.is_some_and(|m| !m.is_empty()), "modules_to_save"),
            (self.layers_to_transform.is_some(), "layers_to_transform"),
            (self.exclude_modules.is_some(), "exclude_modules"),
            (self.use_qalora, "use_qalora"),
            (self.alora_invocation_tokens.is_some(), "alora_invocation_tokens"),
        ];
        if let Some((_, name)) = refused.into_iter().find(|(set, _)| *set) {
            return Err(format!("{name} is set, which is not supported\nhint: retrain without it"));
        }
        let names = match self.target_modules {
            Targets::One(name) => vec![name],
            Targets::Many(names) => names,
        };
        let config = LoraConfig {
            rank: self.r,
            alpha: self.lora_alpha,
            rslora: self.use_rslora,
            targets: targets(&names)?,
            rank_pattern: self.rank_pattern,
            alpha_pattern: self.alpha_pattern,
            dropout: self.lora_dropout,
        };
        config.check()?;
        Ok(config)
    }
}
