//! Writing model and adapter directories that Hugging Face's libraries read.

mod base;
mod lora_gguf;
mod merged;

pub use base::{BaseForm, base};
pub use lora_gguf::lora_gguf;
pub use merged::merged;

use crate::{LoraConfig, Model, Param, Result};
use half::bf16;
use ops::{Backend, DType, HostBytes};
use safetensors::Dtype;
use serde::Serialize;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::path::Path;

/// A tensor on its way into a file.
struct Piece {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Bytes,
}

enum Bytes {
    Owned(Vec<u8>),
    /// Where it is mapped.
    Mapped(HostBytes),
    /// Made when it is written.
    Made {
        len: usize,
        make: Box<dyn Fn() -> Result<Vec<u8>>>,
    },
}

impl Piece {
    fn new(dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) -> Piece {
        Piece { dtype, shape, bytes: Bytes::Owned(bytes) }
    }

    fn len(&self) -> usize {
        match &self.bytes {
            Bytes::Owned(bytes) => bytes.len(),
            Bytes::Mapped(bytes) => bytes.bytes().len(),
            Bytes::Made { len, .. } => *len,
        }
    }

    fn bytes(&self) -> Result<Cow<'_, [u8]>> {
        Ok(match &self.bytes {
            Bytes::Owned(bytes) => Cow::Borrowed(bytes.as_slice()),
            Bytes::Mapped(bytes) => Cow::Borrowed(bytes.bytes()),
            Bytes::Made { make, .. } => Cow::Owned(make()?),
        })
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

fn masters<B: Backend>(backend: &mut B, params: &[Param], dtype: DType) -> Vec<(String, Piece)> {
    let mut read = |param: &Param| {
        let mut values = vec![0.0_f32; param.master.len];
        backend.read(param.master, &mut values);
        let shape = param.shape.clone();
        let piece = match dtype {
            DType::Bf16 => {
                let rounded: Vec<bf16> = values.iter().map(|v| bf16::from_f32(*v)).collect();
                Piece::new(Dtype::BF16, shape, bytemuck::cast_slice(&rounded).to_vec())
            }
            _ => Piece::new(Dtype::F32, shape, bytemuck::cast_slice(&values).to_vec()),
        };
        (param.name.clone(), piece)
    };
    params.iter().map(&mut read).collect()
}

/// Writes a safetensors file piece by piece. Tensors of wide elements come first, so that all are
/// aligned where the file is mapped; those of one type in the order of their names.
fn weights(pieces: &[(String, Piece)], path: &Path) -> Result<()> {
    let mut sorted: Vec<&(String, Piece)> = pieces.iter().collect();
    sorted.sort_by_key(|(name, piece)| (Reverse(piece.dtype.bitsize()), name));
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), serde_json::json!({ "format": "pt" }));
    let mut offset = 0;
    for (name, piece) in &sorted {
        let end = offset + piece.len();
        let entry = serde_json::json!({
            "dtype": piece.dtype, "shape": piece.shape, "data_offsets": [offset, end],
        });
        header.insert(name.clone(), entry);
        offset = end;
    }
    let mut header = serde_json::to_vec(&header).expect("a header is plain data");
    // The format wants the data to start at a multiple of 8; spaces may end a header.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut failed = None;
    let written = files::write_atomic(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        sorted.iter().try_for_each(|(_, piece)| match piece.bytes() {
            Ok(bytes) => out.write_all(&bytes),
            Err(error) => {
                failed = Some(error);
                Err(std::io::ErrorKind::InvalidData.into())
            }
        })
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(written?),
    }
}

/// The type of a dense tensor as safetensors names it.
fn file_type(dtype: DType) -> Dtype {
    match dtype {
        DType::Bf16 => Dtype::BF16,
        DType::F16 => Dtype::F16,
        _ => Dtype::F32,
    }
}

/// Writes f32 tensors under their names: logits, golden values, states.
///
/// # Errors
/// When the file cannot be written.
pub fn f32_tensors(tensors: &[(&str, &[usize], &[f32])], path: &Path) -> Result<()> {
    let pieces: Vec<(String, Piece)> = tensors
        .iter()
        .map(|(name, shape, values)| {
            let bytes = bytemuck::cast_slice(values).to_vec();
            (name.to_string(), Piece::new(Dtype::F32, shape.to_vec(), bytes))
        })
        .collect();
    weights(&pieces, path)
}

fn json(value: &impl Serialize, path: &Path) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).expect("plain values serialize");
    text.push('\n');
    files::write_atomic(path, |w| w.write_all(text.as_bytes()))?;
    Ok(())
}
