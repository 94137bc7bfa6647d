//! An adapter for llama.cpp: one GGUF file with the factors of every adapted projection.
//!
//! llama.cpp multiplies B A by alpha / R, with one alpha for all and R read off the tensor, so what a
//! module's own scale differs from that is put into its B. The rows of its queries and keys stand in
//! another order than Hugging Face's: the two halves that a rotation pairs lie interleaved, not one
//! behind the other (`permute` in llama.cpp's converter; `docs/formats.md` has the file).

use crate::gguf::{self, Gguf, Tensor, Value};
use crate::lora::{Projection, tensor_name};
use crate::{Checkpoint, Config, Error, LoraConfig, Result};
use std::path::Path;

/// Writes the adapter as a file, reads it back and compares.
///
/// # Errors
/// When a factor is missing, not as the configurations say or not finite, the adapter holds something
/// that would be left out, the file cannot be written, or does not hold what it should.
pub fn lora_gguf(
    (lora, adapter): (&LoraConfig, &Checkpoint),
    config: &Config,
    name: &str,
    path: &Path,
) -> Result<()> {
    let mut gguf = Gguf::default();
    for (key, value) in [
        ("general.architecture", "llama"),
        ("general.type", "adapter"),
        ("general.name", name),
        ("adapter.type", "lora"),
    ] {
        gguf.keys.insert(key.into(), Value::Text(value.into()));
    }
    gguf.keys.insert("adapter.lora.alpha".into(), Value::F32(lora.alpha));
    let mut names = Vec::new();
    for layer in 0..config.layers {
        for projection in Projection::ALL {
            let Some(factor) = lora.factor(layer, projection) else { continue };
            let [out, inner] = projection.shape(config);
            let mut read = |letter, shape: [usize; 2]| -> Result<Tensor> {
                names.push(tensor_name(layer, projection, letter));
                let tensor = adapter.tensor(&tensor_name(layer, projection, letter), &shape)?;
                Ok(Tensor { shape, values: tensor.to_f32()? })
            };
            let a = read('A', [factor.rank, inner])?;
            let mut b = read('B', [out, factor.rank])?;
            let usual = lora.alpha / factor.rank as f32;
            if usual != factor.scale {
                let more = factor.scale / usual;
                b.values.iter_mut().for_each(|value| *value *= more);
            }
            if let Some(heads) = heads(projection, config) {
                b.values = interleaved(&b.values, heads, config.head_dim, factor.rank);
            }
            let base = format!("blk.{layer}.{}.weight", module(projection));
            gguf.tensors.insert(format!("{base}.lora_a"), a);
            gguf.tensors.insert(format!("{base}.lora_b"), b);
        }
    }
    adapter.check_known(names.iter().map(String::as_str))?;
    if lora.alpha == 0.0
        || gguf.tensors.values().flat_map(|it| &it.values).any(|it| !it.is_finite())
    {
        let message = "its alpha and scales cannot be told to llama.cpp";
        return Err(Error::config(&adapter.directory().join("adapter_config.json"), message));
    }
    gguf::write(&gguf, path)?;
    if gguf::read(path)? != gguf {
        return Err(Error::weights(
            path,
            "does not hold what was written; the disk may be at fault",
        ));
    }
    Ok(())
}

/// The module's name in llama.cpp.
fn module(projection: Projection) -> &'static str {
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

/// How many heads a projection has whose rows are rotated.
fn heads(projection: Projection, config: &Config) -> Option<usize> {
    match projection {
        Projection::Q => Some(config.heads),
        Projection::K => Some(config.kv_heads),
        _ => None,
    }
}

/// Rows (heads · D, R) with the two halves of each head interleaved: row `2j + p` of a head is row
/// `j` of its half `p`.
fn interleaved(values: &[f32], heads: usize, head_dim: usize, rank: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for head in 0..heads {
        for row in 0..head_dim {
            let from = head * head_dim + row % 2 * (head_dim / 2) + row / 2;
            out.extend_from_slice(&values[from * rank..][..rank]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_heads_are_interleaved() {
        let rows: Vec<f32> = (0..8).map(|row| row as f32).collect();
        assert_eq!(interleaved(&rows, 2, 4, 1), [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
    }
}
