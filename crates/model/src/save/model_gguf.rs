//! Base and adapter as one GGUF file, which llama.cpp and Ollama run. Names, keys and the order of rows:
//! `docs/formats.md`.

use super::lora_gguf::ordered;
use super::rows::Rows;
use super::{Bytes, Sink};
use crate::gguf::{self, ARCHITECTURE, FREQUENCIES, Key, Written, module};
use crate::load::{EMBEDDING, HEAD, NORM, in_layer};
use crate::lora::Projection;
use crate::{Checkpoint, Config, LoraConfig, Result};
use ops::rope;
use quant::ggml::{self, Format};
use std::path::Path;

/// Version of the block formats, as ggml counts them.
const QUANTIZATION_VERSION: u32 = 2;

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GgufForm {
    /// IEEE half precision.
    F16,
    /// 8.5 bits a weight.
    Q8_0,
    /// The mixture that llama.cpp calls `Q4_K_M`: `Q4_K`, and `Q6_K` for the output and half of the
    /// values and down-projections.
    Q4K,
}

impl GgufForm {
    /// The format of a weight; rows that are no whole blocks take the next wider format that has none.
    fn format(self, better: bool, inner: usize) -> Format {
        let wanted = match self {
            GgufForm::F16 => Format::F16,
            GgufForm::Q8_0 => Format::Q8_0,
            GgufForm::Q4K if better => Format::Q6K,
            GgufForm::Q4K => Format::Q4K,
        };
        let fits = |it: &Format| it.bytes([1, inner]).is_some();
        [wanted, Format::Q8_0].into_iter().find(fits).unwrap_or(Format::F16)
    }
}

/// What of a file is in one format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its name.
    pub format: &'static str,
    /// How many tensors.
    pub tensors: usize,
    /// How many weights these have.
    pub weights: usize,
}

/// The formats of these tensors, that of most weights first.
fn shares(tensors: &[Written]) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    for tensor in tensors {
        let (format, weights) = (tensor.format.name(), tensor.shape.iter().product::<usize>());
        match shares.iter_mut().find(|it| it.format == format) {
            Some(share) => {
                share.tensors += 1;
                share.weights += weights;
            }
            None => shares.push(Share { format, tensors: 1, weights }),
        }
    }
    shares.sort_by_key(|it| (std::cmp::Reverse(it.weights), it.format));
    shares
}

/// The number of the whole file's type (`llama_ftype`): that of most weights.
fn file_type(shares: &[Share]) -> u32 {
    match shares.first().map_or("", |it| it.format) {
        "Q4_K" => 15,
        "Q6_K" => 18,
        "Q8_0" => 7,
        "F32" => 0,
        _ => 1,
    }
}

/// What the file says beside weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Described {
    /// Of the model.
    pub name: String,
    /// Keys of its tokenizer and licence.
    pub more: Vec<(String, Key)>,
}

/// Writes the file, a part of one tensor at a time in memory. Gives what of it is in which format: rows that
/// are no whole blocks take another one than was asked for.
///
/// # Errors
/// When a tensor is missing, not as the configurations say, not finite or too large for the format, the
/// adapter holds something that would be left out, or the file cannot be written.
pub fn model_gguf(
    base: &Checkpoint,
    adapter: Option<(&LoraConfig, &Checkpoint)>,
    form: GgufForm,
    described: &Described,
    path: &Path,
) -> Result<Vec<Share>> {
    let config = base.config()?;
    base.check_unused(&config)?;
    let mut tensors = Vec::new();
    if let Some(divisors) = divisors(&config) {
        tensors.push(floats(FREQUENCIES.to_owned(), divisors));
    }
    let table = [config.vocab, config.hidden];
    for (name, own, better) in [
        (Some(EMBEDDING), "token_embd.weight", config.tied),
        ((!config.tied).then_some(HEAD), "output.weight", true),
    ] {
        let Some(name) = name else { continue };
        let rows = Rows::plain(base.stored(name, table)?, table);
        tensors.push(blocks(own.to_owned(), rows, form, better, ggml::Rows::Plain));
    }
    let mut norm = |name: &str, own: String| -> Result<()> {
        tensors.push(floats(own, base.tensor(name, &[config.hidden])?.to_f32()?));
        Ok(())
    };
    norm(NORM, "output_norm.weight".to_owned())?;
    for layer in 0..config.layers {
        norm(&in_layer(layer, "input_layernorm"), format!("blk.{layer}.attn_norm.weight"))?;
        norm(&in_layer(layer, "post_attention_layernorm"), format!("blk.{layer}.ffn_norm.weight"))?;
    }
    let mut names = Vec::new();
    for layer in 0..config.layers {
        for projection in Projection::ALL {
            let rows = Rows::adapted(base, &config, (layer, projection), adapter, &mut names)?;
            let mixed = matches!(projection, Projection::V | Projection::Down);
            let better = mixed && more_bits(layer, config.layers);
            let order = gguf::rows(projection, config.head_dim);
            let name = format!("blk.{layer}.{}.weight", module(projection));
            tensors.push(blocks(name, rows, form, better, order));
        }
    }
    if let Some((_, adapter)) = adapter {
        adapter.check_known(names.iter().map(String::as_str))?;
    }
    let shares = shares(&tensors);
    gguf::write(&keys(&config, file_type(&shares), described), &tensors, path)?;
    Ok(shares)
}

/// The layers whose values and down-projections matter most, as llama.cpp chooses them for `Q4_K_M`.
fn more_bits(layer: usize, layers: usize) -> bool {
    let eighth = layers / 8;
    layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
}

fn floats(name: String, values: Vec<f32>) -> Written {
    let bytes = Bytes::Owned(bytemuck::cast_slice(&values).to_vec());
    Written { name, format: Format::F32, shape: vec![values.len()], bytes }
}

fn blocks(name: String, rows: Rows, form: GgufForm, better: bool, order: ggml::Rows) -> Written {
    let shape @ [_, inner] = rows.shape();
    let format = form.format(better, inner);
    let len = format.bytes(shape).expect("a format whose blocks fit");
    let unit = match order {
        ggml::Rows::Plain => 1,
        ggml::Rows::Interleaved(head) => head,
    };
    let make = move |sink: &mut Sink<'_>| {
        let mut first = 0;
        rows.each(unit, |values| {
            let mut bytes = vec![0; format.bytes([values.len() / inner, inner]).unwrap_or(0)];
            let ordered = ordered(values, order, inner);
            ggml::encode(format, &ordered, &mut bytes)
                .map_err(|error| rows.stored().tensor().located(first, error))?;
            first += values.len();
            sink(&bytes)
        })
    };
    Written {
        name,
        format,
        shape: shape.to_vec(),
        bytes: Bytes::Made { len, make: Box::new(make) },
    }
}

/// What each rotary frequency is divided by; none where nothing is scaled.
fn divisors(config: &Config) -> Option<Vec<f32>> {
    let of = |scaling| rope::frequencies(config.head_dim, config.rope_theta, scaling);
    config.rope_scaling?;
    Some(of(None).iter().zip(of(config.rope_scaling)).map(|(plain, it)| plain / it).collect())
}

fn keys(config: &Config, file_type: u32, described: &Described) -> Vec<(String, Key)> {
    let text = |key: &str, value: &str| (key.to_owned(), Key::Text(value.to_owned()));
    let number =
        |key: &str, value: usize| (format!("{ARCHITECTURE}.{key}"), Key::U32(value as u32));
    let float = |key: &str, value: f32| (format!("{ARCHITECTURE}.{key}"), Key::F32(value));
    let mut keys = vec![
        text("general.architecture", ARCHITECTURE),
        text("general.type", "model"),
        text("general.name", &described.name),
        ("general.file_type".to_owned(), Key::U32(file_type)),
        ("general.quantization_version".to_owned(), Key::U32(QUANTIZATION_VERSION)),
        number("vocab_size", config.vocab),
        number("context_length", config.context),
        number("embedding_length", config.hidden),
        number("block_count", config.layers),
        number("feed_forward_length", config.ffn),
        number("attention.head_count", config.heads),
        number("attention.head_count_kv", config.kv_heads),
        number("attention.key_length", config.head_dim),
        number("attention.value_length", config.head_dim),
        number("rope.dimension_count", config.head_dim),
        float("rope.freq_base", config.rope_theta),
        float("attention.layer_norm_rms_epsilon", config.eps),
    ];
    keys.extend(described.more.iter().cloned());
    keys
}
