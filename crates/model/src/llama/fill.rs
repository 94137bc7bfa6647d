//! Filling a laid-out model: from a checkpoint, an adapter, or random values; stretch by stretch, so
//! that loading needs no more host memory than [`Model::staging_bytes`] says.

use super::{Model, Trained};
use crate::init::{normal, stream, uniform};
use crate::load::{EMBEDDING, NORM, STRETCH, Source, Stored, Tensor, Wide, in_layer, stretches};
use crate::lora::{Projection, tensor_name};
use crate::{Checkpoint, Result};
use half::bf16;
use ops::qlinear::Storage;
use ops::{Backend, Buf, DType};
use quant::{double_quant, nf4, q8};
use rayon::prelude::*;

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
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        self.weights.map(|weights| weights.tensor(name, shape)).transpose()
    }

    /// The weight of a base, however it is stored.
    pub(super) fn stored(&self, name: &str, shape: [usize; 2]) -> Result<Stored> {
        self.weights.expect("only training starts from random values").stored(name, shape)
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
        weights.check_unused(&self.spec.config)?;
        if self.spec.trained == Trained::Everything {
            return Ok(());
        }
        self.fill_base(backend, weights)?;
        if let (Trained::Nothing(Some(_)), Some(adapter)) = (&self.spec.trained, origin.adapter) {
            self.fill_frozen_adapter(backend, adapter)?;
        }
        Ok(())
    }

    fn fill_trained<B: Backend>(&self, backend: &mut B, origin: &Origin<'_>) -> Result<()> {
        let adapts = matches!(self.spec.trained, Trained::Adapter(_));
        let source = if adapts { origin.adapter } else { origin.weights };
        if let (true, Some(adapter)) = (adapts, source) {
            let known = self.params.iter().map(|p| p.name.as_str());
            adapter.check_known(known)?;
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
        let embedding = weights.stored(EMBEDDING, [v, c])?;
        fill_storage(backend, &mut self.embedding, &embedding)?;
        weights.tensor(NORM, &[c])?.scan()?;
        for (index, layer) in self.layers.iter_mut().enumerate() {
            for norm in ["input_layernorm", "post_attention_layernorm"] {
                weights.tensor(&in_layer(index, norm), &[c])?.scan()?;
            }
            for (linear, projection) in layer.projections.iter_mut().zip(Projection::ALL) {
                let name = in_layer(index, projection.path());
                let stored = weights.stored(&name, projection.shape(&config))?;
                fill_storage(backend, &mut linear.weight.storage, &stored)?;
            }
        }
        let head = weights.stored(config.head_name(), [v, c])?;
        fill_storage(backend, &mut self.head.storage, &head)
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
        weights.check_known(names.iter().map(String::as_str))
    }
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

/// Quantizes what is not in the files as it is here; checks what is used as the files have it.
fn fill_storage<B: Backend>(backend: &mut B, storage: &mut Storage, stored: &Stored) -> Result<()> {
    match stored {
        Stored::Nf4(_) | Stored::Q8(_) => stored.check(),
        Stored::Dense(tensor) => fill_from(backend, storage, tensor),
        Stored::Blocks(blocks) => fill_from(backend, storage, blocks),
    }
}

fn fill_from<B: Backend>(
    backend: &mut B,
    storage: &mut Storage,
    source: &impl Source,
) -> Result<()> {
    match storage {
        Storage::Dense(_) | Storage::Blocks { .. } => source.scan(),
        Storage::Q8 { codes, scales } => source.encode_q8(|first, bytes, factors| {
            backend.write(codes.slice(first, bytes.len()), bytes);
            backend.write(scales.slice(first / q8::BLOCK, factors.len()), factors);
        }),
        Storage::Nf4 { codes, absmax } => {
            let values = encode_nf4(backend, *codes, source)?;
            backend.write(*absmax, &values);
            Ok(())
        }
        Storage::Nf4Double { codes, absmax, map, nested, offset } => {
            let values = encode_nf4(backend, *codes, source)?;
            let encoded = source.encode_nested(&values)?;
            *offset = encoded.offset;
            backend.write(*absmax, &encoded.q);
            backend.write(*map, double_quant::map());
            backend.write(*nested, &encoded.scales);
            Ok(())
        }
    }
}

/// Quantizes stretch by stretch; returns all absmax.
fn encode_nf4<B: Backend>(backend: &mut B, codes: Buf, source: &impl Source) -> Result<Vec<f32>> {
    source.encode_nf4(|first, bytes| backend.write(codes.slice(first, bytes.len()), bytes))
}
