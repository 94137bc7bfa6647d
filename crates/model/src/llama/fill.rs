//! Filling a laid-out model: from a checkpoint, an adapter, or random values; stretch by stretch, so
//! that loading needs no more host memory than [`Model::staging_bytes`] says.

use super::{Model, Trained};
use crate::init::{normal, stream, uniform};
use crate::load::{Tensor, Wide};
use crate::lora::{Projection, tensor_name};
use crate::{Checkpoint, Error, Result};
use half::bf16;
use ops::qlinear::Storage;
use ops::{Backend, Buf, DType};
use quant::{double_quant, nf4, q8};
use rayon::prelude::*;
use std::path::Path;

/// Elements handled at a time: whole blocks and whole nested blocks.
const STRETCH: usize = 16 * nf4::BLOCK * double_quant::BLOCK;
/// Standard deviation of random weights (as GPT-2 and Llama start).
const DEVIATION: f32 = 0.02;

/// Where the values come from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The base; random when absent.
    pub weights: Option<&'a Checkpoint>,
    /// The adapter; PEFT's fresh start (A uniform, B zero) when absent.
    pub adapter: Option<&'a Checkpoint>,
    /// Seed of everything random.
    pub seed: u64,
}

impl Origin<'_> {
    /// The tensor, if there is a checkpoint; its shape is checked.
    pub(super) fn check(&self, name: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        self.weights.map(|weights| weights.tensor(name, shape)).transpose()
    }
}

/// A random tensor.
struct Random {
    stream: u64,
    kind: Kind,
}

enum Kind {
    Normal(f32),
    Uniform(f32),
    Constant(f32),
}

impl Wide for Random {
    fn widen(&self, first: usize, out: &mut [f32]) {
        out.par_iter_mut().enumerate().with_min_len(1024).for_each(|(i, out)| {
            *out = match self.kind {
                Kind::Normal(deviation) => normal(self.stream, first + i, deviation),
                Kind::Uniform(bound) => uniform(self.stream, first + i, bound),
                Kind::Constant(value) => value,
            };
        });
    }
}

impl Model {
    /// Host bytes that [`Model::fill`] needs beside the backend's own.
    pub fn staging_bytes(&self) -> usize {
        let config = self.config();
        let shapes = Projection::ALL.map(|p| p.shape(config)[0] * p.shape(config)[1]);
        let largest = shapes.into_iter().max().unwrap_or(0);
        let stretch = STRETCH.min(largest.max(config.vocab * config.hidden));
        let table = self.rope_table.bytes();
        (stretch * 8).max(table) + nf4::blocks(largest) * 6
    }

    /// Fills every buffer that [`Model::layout`] made on the same backend.
    ///
    /// # Errors
    /// When a weight is not finite, an adapter does not fit, or a tensor of the adapter is unknown.
    pub fn fill<B: Backend>(&mut self, backend: &mut B, origin: &Origin<'_>) -> Result<()> {
        backend.write(self.rope_table, &self.rope_values());
        self.fill_trained(backend, origin)?;
        let Some(weights) = origin.weights else { return Ok(()) };
        self.check_unused(weights)?;
        if self.spec.trained == Trained::Everything {
            return Ok(());
        }
        self.fill_base(backend, weights)?;
        if let (Trained::Nothing(Some(_)), Some(adapter)) = (&self.spec.trained, origin.adapter) {
            self.fill_frozen_adapter(backend, adapter)?;
        }
        Ok(())
    }

    /// Refuses a base that holds something this program would leave out.
    fn check_unused(&self, weights: &Checkpoint) -> Result<()> {
        let layers = self.spec.config.layers;
        let known = |name: &str| {
            let Some(rest) = name.strip_prefix("model.layers.") else {
                return matches!(
                    name,
                    "model.embed_tokens.weight" | "model.norm.weight" | "lm_head.weight"
                );
            };
            let Some((layer, part)) = rest.split_once('.') else { return false };
            // Older exports store the frequencies, which follow from the configuration.
            let module = part.strip_suffix(".weight").unwrap_or(part);
            let norms =
                ["input_layernorm", "post_attention_layernorm", "self_attn.rotary_emb.inv_freq"];
            layer.parse::<usize>().is_ok_and(|layer| layer < layers)
                && (norms.contains(&module) || Projection::ALL.iter().any(|p| p.path() == module))
                && (part.ends_with(".weight") || part.ends_with(".inv_freq"))
        };
        match weights.names().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => {
                let message = "belongs to nothing that config.json describes";
                Err(Error::tensor(weights.directory(), name, message))
            }
        }
    }

    fn fill_trained<B: Backend>(&self, backend: &mut B, origin: &Origin<'_>) -> Result<()> {
        let adapts = matches!(self.spec.trained, Trained::Adapter(_));
        let source = if adapts { origin.adapter } else { origin.weights };
        if let (true, Some(adapter)) = (adapts, source) {
            let known = self.params.iter().map(|p| p.name.as_str());
            check_known(adapter, known)?;
        }
        for param in &self.params {
            let len = param.value.len;
            if let Some(source) = source {
                let tensor = source.tensor(&param.name, &param.shape)?;
                stretches(len, |first, values| {
                    tensor.widen(first, values);
                    tensor.check_finite(values, first)?;
                    write_param(backend, param.master, param.value, first, values);
                    Ok(())
                })?;
            } else {
                let random = self.random(origin.seed, &param.name, &param.shape);
                stretches(len, |first, values| {
                    random.widen(first, values);
                    write_param(backend, param.master, param.value, first, values);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// The start of a trained tensor: norms at one; weights normal, those that end a residual branch
    /// scaled down by √(2 L) (Radford et al., 2019); LoRA as PEFT, A uniform in ±1/√in and B zero.
    fn random(&self, seed: u64, name: &str, shape: &[usize]) -> Random {
        let layers = self.spec.config.layers as f32;
        let kind = if name.contains("lora_A") {
            Kind::Uniform(1.0 / (shape[1] as f32).sqrt())
        } else if name.contains("lora_B") {
            Kind::Constant(0.0)
        } else if shape.len() == 1 {
            Kind::Constant(1.0)
        } else if name.contains("o_proj") || name.contains("down_proj") {
            Kind::Normal(DEVIATION / (2.0 * layers).sqrt())
        } else {
            Kind::Normal(DEVIATION)
        };
        Random { stream: stream(seed, name), kind }
    }

    fn fill_base<B: Backend>(&mut self, backend: &mut B, weights: &Checkpoint) -> Result<()> {
        let config = self.spec.config.clone();
        let (c, v) = (config.hidden, config.vocab);
        scan(&weights.tensor("model.embed_tokens.weight", &[v, c])?)?;
        scan(&weights.tensor("model.norm.weight", &[c])?)?;
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let name = |part: &str| format!("model.layers.{index}.{part}.weight");
            scan(&weights.tensor(&name("input_layernorm"), &[c])?)?;
            scan(&weights.tensor(&name("post_attention_layernorm"), &[c])?)?;
            for (linear, projection) in layer.projections.iter_mut().zip(Projection::ALL) {
                let shape = projection.shape(&config);
                let tensor = weights.tensor(&name(projection.path()), &shape)?;
                fill_storage(backend, &mut linear.weight.storage, &tensor)?;
            }
        }
        let head = if config.tied { "model.embed_tokens.weight" } else { "lm_head.weight" };
        fill_storage(backend, &mut self.head.storage, &weights.tensor(head, &[v, c])?)
    }

    fn fill_frozen_adapter<B: Backend>(&self, backend: &mut B, weights: &Checkpoint) -> Result<()> {
        let mut names = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            for (linear, projection) in layer.projections.iter().zip(Projection::ALL) {
                let Some(adapter) = linear.adapter else { continue };
                let (rank, inner, out) = (adapter.rank, adapter.inner, adapter.out);
                for (letter, buf, shape) in
                    [('A', adapter.a, [rank, inner]), ('B', adapter.b, [out, rank])]
                {
                    let name = tensor_name(index, projection, letter);
                    let tensor = weights.tensor(&name, &shape)?;
                    stretches(buf.len, |first, values| {
                        tensor.widen(first, values);
                        tensor.check_finite(values, first)?;
                        write_rounded(backend, buf, first, values);
                        Ok(())
                    })?;
                    names.push(name);
                }
            }
        }
        check_known(weights, names.iter().map(String::as_str))
    }
}

/// Refuses an adapter that holds something this program would leave out.
fn check_known<'a>(adapter: &Checkpoint, known: impl Iterator<Item = &'a str>) -> Result<()> {
    let known: std::collections::BTreeSet<&str> = known.collect();
    let path: &Path = adapter.directory();
    match adapter.names().find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(name) => {
            let message = "belongs to no module that adapter_config.json adapts in this model";
            Err(Error::tensor(path, name, message))
        }
    }
}

/// Calls `each` with the first element and a buffer for every stretch of `len` elements.
fn stretches(len: usize, mut each: impl FnMut(usize, &mut [f32]) -> Result<()>) -> Result<()> {
    let mut values = vec![0.0; len.min(STRETCH)];
    for first in (0..len).step_by(STRETCH) {
        let count = STRETCH.min(len - first);
        each(first, &mut values[..count])?;
    }
    Ok(())
}

fn write_param<B: Backend>(backend: &mut B, master: Buf, value: Buf, first: usize, values: &[f32]) {
    backend.write(master.slice(first, values.len()), values);
    write_rounded(backend, value, first, values);
}

/// Writes f32 values into an f32 or bf16 buffer.
pub(crate) fn write_rounded<B: Backend>(backend: &mut B, to: Buf, first: usize, values: &[f32]) {
    let to = to.slice(first, values.len());
    match to.dtype {
        DType::F32 => backend.write(to, values),
        DType::Bf16 => {
            let rounded: Vec<bf16> = values.iter().map(|v| bf16::from_f32(*v)).collect();
            backend.write(to, &rounded);
        }
        other => panic!("a parameter of {other:?}"),
    }
}

/// Refuses a mapped tensor that is not finite.
fn scan(tensor: &Tensor) -> Result<()> {
    let len = tensor.bytes.bytes().len() / tensor.dtype.size();
    stretches(len, |first, values| {
        tensor.widen(first, values);
        tensor.check_finite(values, first)
    })
}

fn fill_storage<B: Backend>(backend: &mut B, storage: &mut Storage, tensor: &Tensor) -> Result<()> {
    match storage {
        Storage::Dense(_) => scan(tensor),
        Storage::Q8 { codes, scales } => fill_q8(backend, *codes, *scales, tensor),
        Storage::Nf4 { codes, absmax } => {
            let values = encode_nf4(backend, *codes, tensor)?;
            backend.write(*absmax, &values);
            Ok(())
        }
        Storage::Nf4Double { codes, absmax, map, nested, offset } => {
            let values = encode_nf4(backend, *codes, tensor)?;
            let (mut q, mut scales) = (vec![0; absmax.len], vec![0.0; nested.len]);
            *offset = double_quant::encode(&values, &mut q, &mut scales)
                .map_err(|e| Error::tensor(&tensor.path, &tensor.name, e.to_string()))?;
            backend.write(*absmax, &q);
            backend.write(*map, double_quant::map());
            backend.write(*nested, &scales);
            Ok(())
        }
    }
}

/// Quantizes stretch by stretch; returns all absmax.
fn encode_nf4<B: Backend>(backend: &mut B, codes: Buf, tensor: &Tensor) -> Result<Vec<f32>> {
    let len = tensor.bytes.bytes().len() / tensor.dtype.size();
    let mut absmax = vec![0.0; nf4::blocks(len)];
    let mut bytes = vec![0; nf4::code_bytes(len.min(STRETCH))];
    stretches(len, |first, values| {
        tensor.widen(first, values);
        let bytes = &mut bytes[..nf4::code_bytes(values.len())];
        let absmax = &mut absmax[first / nf4::BLOCK..][..nf4::blocks(values.len())];
        nf4::encode(values, bytes, absmax).map_err(|e| located(tensor, first, e))?;
        backend.write(codes.slice(first / 2, bytes.len()), bytes);
        Ok(())
    })?;
    Ok(absmax)
}

fn fill_q8<B: Backend>(backend: &mut B, codes: Buf, scales: Buf, tensor: &Tensor) -> Result<()> {
    let mut bytes = vec![0; codes.len.min(STRETCH)];
    let mut factors = vec![0.0; q8::blocks(bytes.len())];
    stretches(codes.len, |first, values| {
        tensor.widen(first, values);
        let bytes = &mut bytes[..values.len()];
        let factors = &mut factors[..q8::blocks(values.len())];
        q8::encode(values, bytes, factors).map_err(|e| located(tensor, first, e))?;
        backend.write(codes.slice(first, bytes.len()), bytes);
        backend.write(scales.slice(first / q8::BLOCK, factors.len()), factors);
        Ok(())
    })
}

/// The encoder's complaint with the tensor's name and the element's place in the whole tensor.
fn located(tensor: &Tensor, first: usize, error: quant::Error) -> Error {
    match error {
        quant::Error::NotFinite { index, value } => tensor.not_finite(first + index, value),
        other => Error::tensor(&tensor.path, &tensor.name, other.to_string()),
    }
}
