//! An adapter for llama.cpp: one GGUF file with the factors of every adapted projection.
//!
//! llama.cpp multiplies B A by alpha / R, with one alpha for all and R read off the tensor, so what a
//! module's own scale differs from that is put into its B. The rows of its queries and keys stand in
//! another order than Hugging Face's: the two halves that a rotation pairs lie interleaved, not one
//! behind the other (`permute` in llama.cpp's converter; `docs/formats.md` has the file).

use super::Bytes;
use crate::gguf::{self, ARCHITECTURE, Key, Written, module};
use crate::lora::{Projection, tensor_name};
use crate::{Checkpoint, Config, Error, LoraConfig, Result};
use files::Map;
use quant::ggml::{Format, Rows};
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
    let text = |key: &str, value: &str| (key.to_owned(), Key::Text(value.to_owned()));
    let keys = [
        text("general.architecture", ARCHITECTURE),
        text("general.type", "adapter"),
        text("general.name", name),
        text("adapter.type", "lora"),
        ("adapter.lora.alpha".to_owned(), Key::F32(lora.alpha)),
    ];
    let (mut names, mut tensors, mut finite) = (Vec::new(), Vec::new(), lora.alpha != 0.0);
    for layer in 0..config.layers {
        for projection in Projection::ALL {
            let Some(factor) = lora.factor(layer, projection) else { continue };
            let [out, inner] = projection.shape(config);
            let mut read = |letter, shape: [usize; 2]| -> Result<Vec<f32>> {
                names.push(tensor_name(layer, projection, letter));
                adapter.tensor(&tensor_name(layer, projection, letter), &shape)?.to_f32()
            };
            let a = read('A', [factor.rank, inner])?;
            let mut b = read('B', [out, factor.rank])?;
            let usual = lora.alpha / factor.rank as f32;
            if usual != factor.scale {
                let more = factor.scale / usual;
                b.iter_mut().for_each(|value| *value *= more);
            }
            let b = ordered(&b, gguf::rows(projection, config.head_dim), factor.rank);
            finite &= a.iter().chain(&b).all(|it| it.is_finite());
            let base = format!("blk.{layer}.{}.weight", module(projection));
            for (letter, shape, values) in
                [('a', [factor.rank, inner], a), ('b', [out, factor.rank], b)]
            {
                let bytes = Bytes::Owned(bytemuck::cast_slice(&values).to_vec());
                let (name, shape) = (format!("{base}.lora_{letter}"), shape.to_vec());
                tensors.push(Written { name, format: Format::F32, shape, bytes });
            }
        }
    }
    adapter.check_known(names.iter().map(String::as_str))?;
    if !finite {
        let message = "its alpha and scales cannot be told to llama.cpp";
        return Err(Error::config(&adapter.directory().join("adapter_config.json"), message));
    }
    gguf::write(&keys, &tensors, path)?;
    check(&tensors, path)
}

/// Compares what is in the file with what was to be written.
fn check(tensors: &[Written], path: &Path) -> Result<()> {
    let map = Map::open(path, u64::MAX)?;
    let found = gguf::parse(&map)?;
    let same = |tensor: &Written| match (&tensor.bytes, found.tensors.get(tensor.name.as_str())) {
        (Bytes::Owned(bytes), Some(info)) => {
            info.shape == tensor.shape && found.bytes(info) == bytes.as_slice()
        }
        _ => false,
    };
    if found.tensors.len() == tensors.len() && tensors.iter().all(same) {
        return Ok(());
    }
    Err(Error::weights(path, "does not hold what was written; the disk may be at fault"))
}

/// Rows of `width` values, in the order in which they are stored.
pub(super) fn ordered(values: &[f32], rows: Rows, width: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for (row, values) in values.chunks(width).enumerate() {
        out[rows.stored(row) * width..][..width].copy_from_slice(values);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_heads_are_interleaved() {
        let rows: Vec<f32> = (0..8).map(|row| row as f32).collect();
        assert_eq!(
            ordered(&rows, Rows::Interleaved(4), 1),
            [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]
        );
    }
}
