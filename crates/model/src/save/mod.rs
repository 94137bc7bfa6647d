//! Writing model and adapter directories that Hugging Face's libraries read.

use crate::{Error, LoraConfig, Model, Param, Result};
use half::bf16;
use ops::{Backend, DType};
use safetensors::{Dtype, View};
use serde::Serialize;
use std::borrow::Cow;
use std::path::Path;

/// A tensor on its way into a file.
struct Owned {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for &Owned {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes the trained adapter's f32 master copies as a PEFT directory, into an existing `directory`.
///
/// # Errors
/// When a file cannot be written.
pub fn adapter<B: Backend>(
    backend: &mut B,
    model: &Model,
    lora: &LoraConfig,
    base: &str,
    directory: &Path,
) -> Result<()> {
    let tensors = masters(backend, model.params(), DType::F32);
    weights(&tensors, &directory.join("adapter_model.safetensors"))?;
    json(&lora.to_json(base), &directory.join("adapter_config.json"))
}

/// Writes every trained weight as a model directory (`config.json`, `model.safetensors`) in `dtype`,
/// into an existing `directory`.
///
/// # Errors
/// When a file cannot be written.
pub fn model<B: Backend>(
    backend: &mut B,
    model: &Model,
    dtype: DType,
    directory: &Path,
) -> Result<()> {
    let tensors = masters(backend, model.params(), dtype);
    weights(&tensors, &directory.join("model.safetensors"))?;
    let name = if dtype == DType::Bf16 { "bfloat16" } else { "float32" };
    json(&model.config().to_json(name), &directory.join("config.json"))
}

fn masters<B: Backend>(backend: &mut B, params: &[Param], dtype: DType) -> Vec<(String, Owned)> {
    let mut read = |param: &Param| {
        let mut values = vec![0.0_f32; param.master.len];
        backend.read(param.master, &mut values);
        let (dtype, bytes) = match dtype {
            DType::Bf16 => (
                Dtype::BF16,
                values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
            ),
            _ => (Dtype::F32, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        };
        (param.name.clone(), Owned { dtype, shape: param.shape.clone(), bytes })
    };
    params.iter().map(&mut read).collect()
}

fn weights(tensors: &[(String, Owned)], path: &Path) -> Result<()> {
    let views = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
    let metadata = [("format".to_string(), "pt".to_string())].into_iter().collect();
    let bytes = safetensors::serialize(views, Some(metadata))
        .map_err(|e| Error::weights(path, format!("cannot be serialized: {e}")))?;
    files::write_atomic(path, |w| w.write_all(&bytes))?;
    Ok(())
}

/// Writes f32 tensors under their names: logits, golden values, states.
///
/// # Errors
/// When the file cannot be written.
pub fn f32_tensors(tensors: &[(&str, &[usize], &[f32])], path: &Path) -> Result<()> {
    let owned: Vec<(String, Owned)> = tensors
        .iter()
        .map(|(name, shape, values)| {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            (name.to_string(), Owned { dtype: Dtype::F32, shape: shape.to_vec(), bytes })
        })
        .collect();
    weights(&owned, path)
}

fn json(value: &impl Serialize, path: &Path) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).expect("plain values serialize");
    text.push('\n');
    files::write_atomic(path, |w| w.write_all(text.as_bytes()))?;
    Ok(())
}
