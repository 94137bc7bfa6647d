//! Writing model and adapter directories that Hugging Face's libraries read.

mod base;
mod lora_gguf;
mod merged;
mod model_gguf;
mod rows;

pub use base::{BaseForm, base, random_base};
pub use lora_gguf::lora_gguf;
pub use merged::merged;
pub use model_gguf::{Described, GgufForm, Share, model_gguf};

use crate::{Error, LoraConfig, Model, Param, Result};
use half::bf16;
use ops::{Backend, DType, HostBytes};
use safetensors::Dtype;
use serde::Serialize;
use std::cmp::Reverse;
use std::path::Path;

/// A tensor on its way into a file.
struct Piece {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Bytes,
}

/// Takes bytes in their order.
type Sink<'a> = dyn FnMut(&[u8]) -> Result<()> + 'a;
/// Gives bytes to a sink.
type Make = dyn Fn(&mut Sink<'_>) -> Result<()>;

pub(crate) enum Bytes {
    Owned(Vec<u8>),
    /// Where it is mapped.
    Mapped(HostBytes),
    /// Made when it is written, a stretch at a time.
    Made {
        len: usize,
        make: Box<Make>,
    },
}

impl Piece {
    fn new(dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) -> Piece {
        Piece { dtype, shape, bytes: Bytes::Owned(bytes) }
    }
}

impl Bytes {
    pub(crate) fn len(&self) -> usize {
        match self {
            Bytes::Owned(bytes) => bytes.len(),
            Bytes::Mapped(bytes) => bytes.bytes().len(),
            Bytes::Made { len, .. } => *len,
        }
    }

    fn send(&self, sink: &mut Sink<'_>) -> Result<()> {
        match self {
            Bytes::Owned(bytes) => sink(bytes),
            Bytes::Mapped(bytes) => sink(bytes.bytes()),
            Bytes::Made { make, .. } => make(sink),
        }
    }
}

/// Writes a file: a head, then pieces, each padded with zeros to a multiple.
pub(crate) fn emit<'a>(
    path: &Path,
    head: &[u8],
    pieces: impl Iterator<Item = (&'a Bytes, usize)>,
) -> Result<()> {
    let mut failed = None;
    let written = files::write_atomic(path, |out| {
        out.write_all(head)?;
        for (bytes, multiple) in pieces {
            // What the disk says goes on as it is; what a piece says is kept beside it.
            let mut disk = Ok(());
            let mut sink = |bytes: &[u8]| {
                disk = out.write_all(bytes);
                let stopped = || Error::weights(path, "cannot be written");
                disk.is_ok().then_some(()).ok_or_else(stopped)
            };
            let sent = bytes.send(&mut sink);
            disk?;
            if let Err(error) = sent {
                failed = Some(error);
                return Err(std::io::ErrorKind::InvalidData.into());
            }
            let padding = bytes.len().next_multiple_of(multiple) - bytes.len();
            out.write_all(&vec![0; padding])?;
        }
        Ok(())
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(written?),
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
        let end = offset + piece.bytes.len();
        let entry = serde_json::json!({
            "dtype": piece.dtype, "shape": piece.shape, "data_offsets": [offset, end],
        });
        header.insert(name.clone(), entry);
        offset = end;
    }
    let mut header = serde_json::to_vec(&header).expect("a header is plain data");
    // The format wants the data to start at a multiple of 8; spaces may end a header.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut head = (header.len() as u64).to_le_bytes().to_vec();
    head.append(&mut header);
    emit(path, &head, sorted.iter().map(|(_, piece)| (&piece.bytes, 1)))
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
