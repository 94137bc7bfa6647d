//! Base and adapter as one model: every adapted projection becomes W + s·B A, in the type that W is
//! stored in.

use super::{Bytes, Piece, file_type, json, weights};
use crate::config::quantization::{OURS, THEIRS};
use crate::load::{EMBEDDING, HEAD, NORM, Stored, Tensor, in_layer};
use crate::lora::{Projection, tensor_name};
use crate::{Checkpoint, Config, LoraConfig, Result};
use half::{bf16, f16};
use ops::DType;
use quant::gemm::{Dense, Lie, Matrix, Mode, Output, Values, Workspace, gemm, workspace};
use quant::{Isa, Numerics};
use std::path::Path;

/// Merges tensor by tensor and writes the model (`config.json`, `model.safetensors`) into an existing
/// `directory`: at any time one tensor is in memory. What is stored quantized becomes bf16.
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
    let (config, mut keys) = Config::read_all(base.directory())?;
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
    for name in [Some(EMBEDDING), (!config.tied).then_some(HEAD)].into_iter().flatten() {
        let shape = [config.vocab, config.hidden];
        let merged = Merged { stored: base.stored(name, shape)?, shape, adapter: None };
        pieces.push((name.to_owned(), merged.piece()));
    }
    let mut names = Vec::new();
    for layer in 0..config.layers {
        for projection in Projection::ALL {
            let (name, shape) = (in_layer(layer, projection.path()), projection.shape(&config));
            let [out, inner] = shape;
            let mut added = None;
            if let Some(factor) = lora.factor(layer, projection) {
                let mut read = |letter, shape: [usize; 2]| {
                    names.push(tensor_name(layer, projection, letter));
                    adapter.tensor(&tensor_name(layer, projection, letter), &shape)
                };
                let a = read('A', [factor.rank, inner])?;
                let b = read('B', [out, factor.rank])?;
                added = Some(Added { a, b, rank: factor.rank, scale: factor.scale });
            }
            let merged = Merged { stored: base.stored(&name, shape)?, shape, adapter: added };
            pieces.push((name, merged.piece()));
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

/// A weight of the result, made when it is written.
struct Merged {
    stored: Stored,
    /// (out, in).
    shape: [usize; 2],
    adapter: Option<Added>,
}

/// s·B A.
struct Added {
    /// (R, in).
    a: Tensor,
    /// (out, R).
    b: Tensor,
    rank: usize,
    scale: f32,
}

impl Merged {
    fn piece(self) -> Piece {
        let dtype = match &self.stored {
            Stored::Dense(tensor) => tensor.dtype,
            Stored::Nf4(_) | Stored::Q8(_) => DType::Bf16,
        };
        let shape = self.shape.to_vec();
        let len = shape[0] * shape[1] * dtype.size();
        let make = move || -> Result<Vec<u8>> {
            let mut values = self.stored.to_f32(self.shape[0] * self.shape[1])?;
            if let Some(added) = &self.adapter {
                added.add(&mut values, self.shape)?;
            }
            Ok(rounded(&values, dtype))
        };
        Piece { dtype: file_type(dtype), shape, bytes: Bytes::Made { len, make: Box::new(make) } }
    }
}

impl Added {
    fn add(&self, values: &mut [f32], [out, inner]: [usize; 2]) -> Result<()> {
        let (a, b) = (self.a.to_f32()?, self.b.to_f32()?);
        let left = Matrix::f32(&b, out, self.rank);
        let right = Matrix::Dense(Dense::new(Values::F32(&a), self.rank, inner).transposed());
        let (isa, numerics) = (Isa::detect(), Numerics::F32);
        let threads = rayon::current_num_threads();
        let shape = [out, inner, self.rank];
        let mut words = vec![0.0; workspace(isa, numerics, shape, Lie::Rows, threads)];
        let output = Output { values, stride: inner, scale: self.scale, mode: Mode::Add };
        gemm(isa, numerics, &left, &right, output, Workspace { words: &mut words, threads });
        Ok(())
    }
}

/// The bytes of values in a type.
fn rounded(values: &[f32], dtype: DType) -> Vec<u8> {
    match dtype {
        DType::Bf16 => {
            let values: Vec<bf16> = values.iter().map(|it| bf16::from_f32(*it)).collect();
            bytemuck::cast_slice(&values).to_vec()
        }
        DType::F16 => {
            let values: Vec<f16> = values.iter().map(|it| f16::from_f32(*it)).collect();
            bytemuck::cast_slice(&values).to_vec()
        }
        _ => bytemuck::cast_slice(values).to_vec(),
    }
}
