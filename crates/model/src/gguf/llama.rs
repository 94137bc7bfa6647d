//! What llama.cpp calls the parts of a Llama, and how its keys describe one.

use super::{Contents, Info};
use crate::load::{EMBEDDING, HEAD, NORM, in_layer};
use crate::lora::Projection;
use crate::{Config, Result};
use ops::rope::{self, Scaling};
use quant::ggml::Rows;

/// What is said of a key without which there is no Llama.
const MISSING: &str = "is missing\nhint: convert the model again, with a recent llama.cpp";
/// The only architecture that is read.
pub(crate) const ARCHITECTURE: &str = "llama";
/// The tensor with what each rotary frequency is divided by.
pub(crate) const FREQUENCIES: &str = "rope_freqs.weight";
/// How far the factors may be from those of a scaling: they are f32 of other orders of operations.
const NEAR: f32 = 1e-4;
/// The smallest context that a model was trained on before its frequencies were scaled, as a power of
/// two, and how many of these are tried.
const ORIGINAL_CONTEXTS: std::ops::Range<u32> = 4..22;
/// What the frequencies may be divided by: as much as a `config.json` may say.
const FACTORS: std::ops::Range<f32> = 1.0..1e4;

/// The module's name in llama.cpp.
pub(crate) fn module(projection: Projection) -> &'static str {
    match projection {
        Projection::Q => "attn_q",
        Projection::K => "attn_k",
        Projection::V => "attn_v",
        Projection::O => "attn_output",
        Projection::Gate => "ffn_gate",
        Projection::Up => "ffn_up",
        Projection::Down => "ffn_down",
    }
}

/// How llama.cpp orders the rows of a projection: those that are rotated have their halves
/// interleaved (`permute` in its converter).
pub(crate) fn rows(projection: Projection, head_dim: usize) -> Rows {
    match projection {
        Projection::Q | Projection::K => Rows::Interleaved(head_dim),
        _ => Rows::Plain,
    }
}

/// Hugging Face's name of a tensor, and the order of its rows; none for what is no part of a Llama.
pub(crate) fn named(name: &str, head_dim: usize) -> Option<(String, Rows)> {
    let plain = |name: &str| Some((name.to_owned(), Rows::Plain));
    match name {
        "token_embd.weight" => return plain(EMBEDDING),
        "output_norm.weight" => return plain(NORM),
        "output.weight" => return plain(HEAD),
        _ => {}
    }
    let (layer, part) = name.strip_prefix("blk.")?.split_once('.')?;
    let number: usize = layer.parse().ok()?;
    let part = part.strip_suffix(".weight").filter(|_| number.to_string() == layer)?;
    match part {
        "attn_norm" => plain(&in_layer(number, "input_layernorm")),
        "ffn_norm" => plain(&in_layer(number, "post_attention_layernorm")),
        _ => {
            let projection = Projection::ALL.into_iter().find(|it| module(*it) == part)?;
            Some((in_layer(number, projection.path()), rows(projection, head_dim)))
        }
    }
}

/// llama.cpp's name of a tensor; none where it has none.
pub(crate) fn theirs(name: &str) -> Option<String> {
    let outside = ["token_embd", "output_norm", "output"].map(|it| format!("{it}.weight"));
    let inside = |number: &str| {
        let parts = ["attn_norm", "ffn_norm"].into_iter().chain(Projection::ALL.map(module));
        parts.map(|part| format!("blk.{number}.{part}.weight")).collect::<Vec<_>>()
    };
    let number = name.strip_prefix("model.layers.").and_then(|rest| rest.split('.').next());
    let all = outside.into_iter().chain(number.map(inside).unwrap_or_default());
    all.into_iter().find(|it| named(it, 2).is_some_and(|(ours, _)| ours == name))
}

/// Whether a file holds an adapter and no model.
pub fn is_adapter(map: &files::Map) -> bool {
    let kind =
        |contents: Contents<'_>| contents.text("general.type").ok().flatten() == Some("adapter");
    super::parse(map).is_ok_and(kind)
}

/// The shape of the Llama in a file.
///
/// # Errors
/// Another architecture, a key that is missing or out of range, or a variant that would compute
/// something else.
pub fn config(gguf: &Contents<'_>) -> Result<Config> {
    let key = |name: &str| format!("{ARCHITECTURE}.{name}");
    let architecture = gguf.text("general.architecture")?;
    if architecture != Some(ARCHITECTURE) {
        let found = architecture.map_or("missing".to_owned(), |it| format!("{it:?}"));
        let message = format!("is {found}, expected {ARCHITECTURE:?}\nhint: only Llamas are read");
        return Err(gguf.wrong("general.architecture", message));
    }
    if gguf.text("general.type")? == Some("adapter") {
        let message = "is \"adapter\": a LoRA and no model\nhint: name the model that it belongs to; an adapter is \
                       read as PEFT writes it, with --adapter DIR";
        return Err(gguf.wrong("general.type", message));
    }
    if let Some(parts) = gguf.integer("split.count")?.filter(|parts| *parts > 1) {
        let message = format!(
            "is {parts}, expected a model in one file\nhint: join them with llama.cpp's `llama-gguf-split --merge`"
        );
        return Err(gguf.wrong("split.count", message));
    }
    refuse_variants(gguf)?;
    let need = |name: &str| {
        let missing = || gguf.wrong(&key(name), MISSING);
        gguf.integer(&key(name))?.ok_or_else(missing)
    };
    let hidden = need("embedding_length")?;
    let heads = need("attention.head_count")?;
    let head_dim = gguf.integer(&key("attention.key_length"))?;
    let head_dim = head_dim.or_else(|| hidden.checked_div(heads)).unwrap_or(0);
    for name in ["rope.dimension_count", "attention.value_length"] {
        if let Some(other) = gguf.integer(&key(name))?.filter(|it| *it != head_dim) {
            let message = format!("is {other}, expected the size of a head, {head_dim}");
            return Err(gguf.wrong(&key(name), message));
        }
    }
    let rope_theta = gguf.float(&key("rope.freq_base"))?.unwrap_or(10_000.0) as f32;
    let token = |name: &str| -> Result<Option<u32>> {
        let key = format!("tokenizer.ggml.{name}_token_id");
        let id = gguf.integer(&key)?;
        let wide = |_| gguf.wrong(&key, "is no token's id");
        id.map(|id| u32::try_from(id).map_err(wide)).transpose()
    };
    let mut eos = Vec::new();
    for id in [token("eos")?, token("eot")?, token("eom")?].into_iter().flatten() {
        if !eos.contains(&id) {
            eos.push(id);
        }
    }
    let config = Config {
        hidden,
        ffn: need("feed_forward_length")?,
        layers: need("block_count")?,
        heads,
        kv_heads: gguf.integer(&key("attention.head_count_kv"))?.unwrap_or(heads),
        head_dim,
        vocab: vocab(gguf)?,
        eps: epsilon(gguf)?,
        rope_theta,
        rope_scaling: scaling(gguf, head_dim, rope_theta)?,
        tied: !gguf.tensors.contains_key("output.weight"),
        context: need("context_length")?,
        bos: token("bos")?,
        eos,
    };
    config.check().map_err(|problem| gguf.wrong(&key("*"), problem))?;
    Ok(config)
}

/// Tokens: the rows of the embedding, which may be padded.
fn vocab(gguf: &Contents<'_>) -> Result<usize> {
    match gguf.tensors.get("token_embd.weight") {
        Some(Info { shape, .. }) if shape.len() == 2 => Ok(shape[0]),
        _ => Err(gguf.wrong("token_embd.weight", "is no matrix in the file's tensors")),
    }
}

fn epsilon(gguf: &Contents<'_>) -> Result<f32> {
    let key = format!("{ARCHITECTURE}.attention.layer_norm_rms_epsilon");
    // It is written as f32, and every model means the decimal number beside that.
    gguf.float(&key)?.map(|it| it as f32).ok_or_else(|| gguf.wrong(&key, MISSING))
}

/// Refuses what runs without an error in a plain Llama and computes something else.
fn refuse_variants(gguf: &Contents<'_>) -> Result<()> {
    let key = |name: &str| format!("{ARCHITECTURE}.{name}");
    for name in ["expert_count", "attention.sliding_window", "attention.chunk_size"] {
        if let Some(count) = gguf.integer(&key(name))?.filter(|it| *it > 0) {
            return Err(gguf.wrong(&key(name), format!("is {count}, expected a dense Llama")));
        }
    }
    for name in ["logit_scale", "residual_scale", "embedding_scale", "attention.scale"] {
        if let Some(scale) = gguf.float(&key(name))?.filter(|it| *it != 0.0 && *it != 1.0) {
            return Err(gguf.wrong(&key(name), format!("is {scale}, expected 1 or none")));
        }
    }
    let kind = gguf.text(&key("rope.scaling.type"))?.unwrap_or("none");
    let factor = gguf.float(&key("rope.scaling.factor"))?.unwrap_or(1.0);
    if kind != "none" && factor != 1.0 {
        let message = format!("is {kind:?} by {factor}, expected none or that of Llama 3");
        return Err(gguf.wrong(&key("rope.scaling.type"), message));
    }
    Ok(())
}

/// Llama 3's scaling, which a file has as what each frequency is divided by. Its settings are found
/// again: `factor` is the largest divisor, the frequency bands are those of every Llama 3, and the
/// original context is a power of two.
fn scaling(gguf: &Contents<'_>, head_dim: usize, theta: f32) -> Result<Option<Scaling>> {
    let Some(info) = gguf.tensors.get(FREQUENCIES) else { return Ok(None) };
    let refuse = |problem: &str| Err(gguf.wrong(FREQUENCIES, problem));
    if !info.format.is_dense() || info.shape != [head_dim / 2] || theta < 1.0 {
        return refuse("is not one factor for each pair of a head");
    }
    let mut divisors = vec![0.0; head_dim / 2];
    info.format.decode(gguf.bytes(info), 0, &mut divisors);
    let near = |a: f32, b: f32| (a - b).abs() <= NEAR * b.abs();
    if divisors.iter().all(|it| near(*it, 1.0)) {
        return Ok(None);
    }
    let factor = divisors.iter().fold(0.0_f32, |most, it| most.max(*it));
    // Zeros, and what is no number, would otherwise fit a scaling by nothing.
    if divisors.iter().any(|it| !it.is_finite()) || !FACTORS.contains(&factor) {
        return refuse("does not divide the rotary frequencies as Llama 3 does");
    }
    let plain = rope::frequencies(head_dim, theta, None);
    for context in ORIGINAL_CONTEXTS {
        // Read back as f32: a factor that is a whole number was one.
        let factor = if near(factor, factor.round()) { factor.round() } else { factor };
        let scaling = Scaling { factor, low: 1.0, high: 4.0, original_context: 1 << context };
        let scaled = rope::frequencies(head_dim, theta, Some(scaling));
        let same = |((divisor, plain), scaled): ((&f32, _), _)| near(*divisor, plain / scaled);
        if divisors.iter().zip(&plain).zip(&scaled).all(same) {
            return Ok(Some(scaling));
        }
    }
    refuse("scales the rotary frequencies otherwise than Llama 3 does")
}
