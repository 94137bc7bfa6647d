//! Base and adapter as one model: every adapted projection becomes W + s·B A, in the type that W is
//! stored in.

use super::rows::Rows;
use super::{Bytes, Piece, file_type, json, weights};
use crate::config::quantization::{OURS, THEIRS};
use crate::load::{EMBEDDING, HEAD, NORM, Source, in_layer};
use crate::lora::Projection;
use crate::{Checkpoint, LoraConfig, Result};
use std::path::Path;

/// Merges tensor by tensor and writes the model (`config.json`, `model.safetensors`) into an existing
/// `directory`: at any time a part of one tensor is in memory. What is stored quantized becomes bf16.
///
/// As PEFT's `merge_and_unload` has it, the product of the factors is taken in f32, scaled, added to
/// W in f32, and the sum rounded once to the type of W.
///
/// # Errors
/// When a tensor is missing, not as the configurations say or not finite, the adapter holds something
/// that would be left out, or a file cannot be written.
pub fn merged(
    base: &Checkpoint,
    (lora, adapter): (&LoraConfig, &Checkpoint),
    directory: &Path,
) -> Result<()> {
    let (config, mut keys) = base.config_all()?;
    base.check_unused(&config)?;
    let was_quantized = [THEIRS, OURS].map(|key| keys.remove(key).is_some()).contains(&true);
    let mut pieces = Vec::new();
    let mut norm = |name: String| -> Result<()> {
        let tensor = base.tensor(&name, &[config.hidden])?;
        tensor.scan()?;
        let (dtype, bytes) = (file_type(tensor.dtype), Bytes::Mapped(tensor.bytes));
        pieces.push((tensor.name, Piece { dtype, shape: vec![config.hidden], bytes }));
        Ok(())
    };
    norm(NORM.to_owned())?;
    for layer in 0..config.layers {
        norm(in_layer(layer, "input_layernorm"))?;
        norm(in_layer(layer, "post_attention_layernorm"))?;
    }
    let mut piece = |name: String, rows: Rows| {
        let (dtype, shape) = (rows.dense_type(), rows.shape().to_vec());
        pieces.push((name, Piece { dtype: file_type(dtype), shape, bytes: rows.dense(dtype) }));
    };
    for name in [Some(EMBEDDING), (!config.tied).then_some(HEAD)].into_iter().flatten() {
        let shape = [config.vocab, config.hidden];
        piece(name.to_owned(), Rows::plain(base.stored(name, shape)?, shape));
    }
    let mut names = Vec::new();
    for layer in 0..config.layers {
        for projection in Projection::ALL {
            let (place, added) = ((layer, projection), Some((lora, adapter)));
            let rows = Rows::adapted(base, &config, place, added, &mut names)?;
            piece(in_layer(layer, projection.path()), rows);
        }
    }
    adapter.check_known(names.iter().map(String::as_str))?;
    if was_quantized {
        for key in ["torch_dtype", "dtype"] {
            if keys.contains_key(key) {
                keys.insert(key.into(), "bfloat16".into());
            }
        }
    }
    weights(&pieces, &directory.join("model.safetensors"))?;
    json(&keys, &directory.join("config.json"))
}
