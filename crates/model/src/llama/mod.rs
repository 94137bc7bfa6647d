//! A Llama's buffers: layout, filling, and the list of what is trained.

mod activations;
mod block;
mod device;
mod fill;
mod linear;

use activations::Tile;
pub(crate) use activations::{Extent, Kept, Saved, Temporaries};
pub(crate) use block::{Flow, Output, backward, forward, normed_head};
pub use fill::Origin;
pub(crate) use linear::Linear;

use crate::load::{Blocked, Double, EMBEDDING, HEAD, NORM, Nf4, Q8, Stored, Tensor, in_layer};
use crate::lora::{LoraConfig, Projection, tensor_name};
use crate::{Config, Error, Result};
use ops::attention::Heads;
use ops::lora::Adapter;
use ops::qlinear::{Storage, Weight};
use ops::{Backend, Buf, DType, Device, Numerics, Space, rope};
use quant::{double_quant, nf4, q8};

/// How the seven projections are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// As the checkpoint has them: dense, or in 4 bits already.
    AsStored,
    /// NF4 with f32 absmax.
    Nf4,
    /// NF4 with double-quantized absmax.
    Nf4Double,
}

impl Base {
    /// The name used in recipes, answers and recorded settings.
    pub fn name(self) -> &'static str {
        match self {
            Base::AsStored => "as-stored",
            Base::Nf4 => "nf4",
            Base::Nf4Double => "nf4-dq",
        }
    }
}

/// How the output head is stored. Where it is tied and the embedding is dense, the 8-bit form stands
/// beside the embedding; an embedding that is stored in 8 bits serves as both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// As the checkpoint has it.
    AsStored,
    /// Signed bytes with one scale per 64 weights.
    EightBit,
}

impl Head {
    /// The name used in recipes, answers and recorded settings.
    pub fn name(self) -> &'static str {
        match self {
            Head::AsStored => "as-stored",
            Head::EightBit => "q8",
        }
    }
}

/// Which memory holds the embedding. Where the host is the device, both are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Embedding {
    /// The device's.
    #[default]
    OnDevice,
    /// The host's, out of which a device reads the rows that it needs. A head that is tied cannot be there.
    OnHost,
}

/// What gets gradients.
#[derive(Clone, Debug, PartialEq)]
pub enum Trained {
    /// Nothing: serving and evaluation, with an adapter or without.
    Nothing(Option<LoraConfig>),
    /// A LoRA adapter over a frozen base.
    Adapter(LoraConfig),
    /// Every weight, all dense.
    Everything,
}

/// What to build.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Shape.
    pub config: Config,
    /// How products treat their operands.
    pub numerics: Numerics,
    /// Storage of the projections.
    pub base: Base,
    /// Storage of the head.
    pub head: Head,
    /// Where the embedding is.
    pub embedding: Embedding,
    /// What gets gradients.
    pub trained: Trained,
    /// Rows of the rotary table: the longest sequence this run can see.
    pub positions: usize,
}

/// A trained tensor.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name in the file it is saved to.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The device's copy: f32 or bf16, by numerics.
    pub value: Buf,
    /// The f32 master copy, pinned.
    pub master: Buf,
    /// f32, on the device, accumulated over the micro-batches of a step.
    pub gradient: Buf,
    /// Whether weight decay applies (not to norms).
    pub decays: bool,
    /// Whether its rows (V C) belong to tokens: the embedding and the head.
    pub by_token: bool,
}

/// One block's weights.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) norm1: Norm,
    pub(crate) norm2: Norm,
    /// In the order of [`Projection::ALL`].
    pub(crate) projections: [Linear; 7],
}

impl Layer {
    pub(crate) fn projection(&self, projection: Projection) -> &Linear {
        &self.projections[projection as usize]
    }
}

/// A norm's weight (C), and its gradient when it is trained.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm {
    pub(crate) w: Buf,
    pub(crate) dw: Option<Buf>,
}

/// A laid-out model.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) spec: Spec,
    /// (V,C), dense or in 8 bits.
    pub(crate) embedding: Storage,
    pub(crate) d_embedding: Option<Buf>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) norm: Norm,
    /// (V,C); the embedding itself when tied and stored alike.
    pub(crate) head: Weight,
    pub(crate) d_head: Option<Buf>,
    /// (P,D).
    pub(crate) rope_table: Buf,
    pub(crate) params: Vec<Param>,
}

impl Model {
    /// The model's shape.
    pub fn config(&self) -> &Config {
        &self.spec.config
    }

    /// What it was laid out for.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The trained tensors, in a fixed order.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Lays out every weight, adapter, gradient and master copy on `backend`, from the headers of
    /// `origin` alone. [`Model::fill`] must follow before the first launch.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape than the configuration says.
    pub fn layout<B: Backend>(backend: &mut B, spec: &Spec, origin: &Origin<'_>) -> Result<Model> {
        device::check(backend.target(), spec)?;
        let mut plan = Layout { backend, spec, origin, params: Vec::new() };
        let config = &spec.config;
        let (c, v) = (config.hidden, config.vocab);
        let embedding = plan.embedding([v, c])?;
        let d_embedding = plan.last_gradient();
        let mut layers = Vec::with_capacity(config.layers);
        for layer in 0..config.layers {
            layers.push(plan.layer(layer)?);
        }
        let norm = plan.norm(NORM)?;
        let (head, d_head) = plan.head(embedding, d_embedding)?;
        let table_len = spec.positions * config.head_dim;
        let rope_table = plan.backend.alloc("rope table", Space::Device, DType::F32, table_len);
        let params = plan.params;
        Ok(Model {
            spec: spec.clone(),
            embedding,
            d_embedding,
            layers,
            norm,
            head,
            d_head,
            rope_table,
            params,
        })
    }

    /// Heads and scale of the attention.
    pub(crate) fn heads(&self) -> Heads {
        let Config { heads, kv_heads, head_dim, .. } = self.spec.config;
        Heads {
            query: heads,
            key_value: kv_heads,
            dim: head_dim,
            scale: 1.0 / (head_dim as f32).sqrt(),
        }
    }

    /// The rotary table's values.
    pub(crate) fn rope_values(&self) -> Vec<f32> {
        let config = &self.spec.config;
        let frequencies =
            rope::frequencies(config.head_dim, config.rope_theta, config.rope_scaling);
        rope::table(&frequencies, self.spec.positions)
    }
}

/// The device type of trained values: what the products read.
fn value_type(numerics: Numerics) -> DType {
    ops::attention::cache_type(numerics)
}

/// A layout in progress.
struct Layout<'a, B> {
    backend: &'a mut B,
    spec: &'a Spec,
    origin: &'a Origin<'a>,
    params: Vec<Param>,
}

impl<B: Backend> Layout<'_, B> {
    fn everything(&self) -> bool {
        self.spec.trained == Trained::Everything
    }

    fn last_gradient(&self) -> Option<Buf> {
        self.everything().then(|| self.params.last().expect("just laid out").gradient)
    }

    /// A trained tensor: value, gradient and master copy.
    fn param(&mut self, name: String, shape: &[usize], label: &'static str, decays: bool) -> Buf {
        let len = shape.iter().product();
        let value = self.backend.alloc(label, Space::Device, value_type(self.spec.numerics), len);
        let gradient = self.backend.alloc("gradient", Space::Device, DType::F32, len);
        let master = self.backend.alloc("master copy", Space::Pinned, DType::F32, len);
        let (shape, by_token) = (shape.to_vec(), [EMBEDDING, HEAD].contains(&name.as_str()));
        self.params.push(Param { name, shape, value, master, gradient, decays, by_token });
        value
    }

    /// A dense tensor: trained, or used where the checkpoint has it.
    fn table(&mut self, name: &str, shape: &[usize], label: &'static str) -> Result<Buf> {
        let tensor = self.origin.tensor(name, shape)?;
        if self.everything() {
            return Ok(self.param(name.into(), shape, label, shape.len() > 1));
        }
        let tensor = tensor.expect("only training starts from random values");
        Ok(self.weights(label, &tensor))
    }

    /// A frozen dense tensor, used where the checkpoint has it.
    fn weights(&mut self, label: &'static str, tensor: &Tensor) -> Buf {
        self.backend.weights(label, Space::Device, tensor.dtype, &tensor.bytes)
    }

    fn embedding(&mut self, shape: [usize; 2]) -> Result<Storage> {
        if self.everything() {
            return Ok(Storage::Dense(self.table(EMBEDDING, &shape, "embedding")?));
        }
        let space = match self.spec.embedding {
            Embedding::OnHost if !self.spec.config.tied => Space::Pinned,
            _ => Space::Device,
        };
        match self.origin.stored(EMBEDDING, shape)? {
            Stored::Dense(it) => {
                Ok(Storage::Dense(self.backend.weights("embedding", space, it.dtype, &it.bytes)))
            }
            Stored::Q8(q8) => {
                Ok(self.stored_q8(["embedding codes", "embedding scales"], space, &q8))
            }
            Stored::Blocks(blocks) => {
                self.refuse_blocks()?;
                Ok(self.stored_blocks("embedding", &blocks))
            }
            Stored::Nf4(nf4) => Err(nf4.refuse_table()),
        }
    }

    /// A weight in 8 bits as the checkpoint has it.
    fn stored_q8(&mut self, labels: [&'static str; 2], space: Space, weight: &Q8) -> Storage {
        let mut place =
            |label, it: &Tensor| self.backend.weights(label, space, it.dtype, &it.bytes);
        let codes = place(labels[0], &weight.codes);
        Storage::Q8 { codes, scales: place(labels[1], &weight.scales) }
    }

    /// A weight in 4 bits as the checkpoint has it.
    fn stored_nf4(&mut self, weight: &Nf4) -> Storage {
        let codes = self.weights("nf4 codes", &weight.codes);
        let absmax = self.weights("absmax", &weight.absmax);
        let Some(Double { map, nested, offset }) = &weight.double else {
            return Storage::Nf4 { codes, absmax };
        };
        let map = self.weights("absmax map", map);
        let nested = self.weights("nested absmax", nested);
        Storage::Nf4Double { codes, absmax, map, nested, offset: *offset }
    }

    /// Weights in blocks of ggml are for the host.
    fn refuse_blocks(&self) -> Result<()> {
        match self.backend.target().device {
            Device::Cpu { .. } => Ok(()),
            Device::Cuda { .. } => Err(Error::Device(
                "a GPU has no kernels for the weights of a GGUF file\nhint: `srek quantize --model FILE --out DIR` \
                 makes a directory in 4 bits of it, which one can use"
                    .to_owned(),
            )),
        }
    }

    /// A weight as a GGUF file has it.
    fn stored_blocks(&mut self, label: &'static str, weight: &Blocked) -> Storage {
        let bytes = self.weights(label, &weight.bytes);
        Storage::Blocks { bytes, format: weight.format, rows: weight.rows }
    }

    fn norm(&mut self, name: &str) -> Result<Norm> {
        let w = self.table(name, &[self.spec.config.hidden], "norm")?;
        Ok(Norm { w, dw: self.last_gradient() })
    }

    fn layer(&mut self, layer: usize) -> Result<Layer> {
        let norm1 = self.norm(&in_layer(layer, "input_layernorm"))?;
        let mut projections = Vec::with_capacity(7);
        for projection in Projection::ALL {
            projections.push(self.linear(layer, projection)?);
        }
        let norm2 = self.norm(&in_layer(layer, "post_attention_layernorm"))?;
        let projections = projections.try_into().expect("seven projections");
        Ok(Layer { norm1, norm2, projections })
    }

    fn linear(&mut self, layer: usize, projection: Projection) -> Result<Linear> {
        let [out, inner] = projection.shape(&self.spec.config);
        let name = in_layer(layer, projection.path());
        let (storage, dw) = if self.everything() {
            let buf = self.table(&name, &[out, inner], "projection")?;
            (Storage::Dense(buf), self.last_gradient())
        } else {
            (self.frozen(&self.origin.stored(&name, [out, inner])?, [out, inner])?, None)
        };
        let weight = Weight { out, inner, storage };
        let adapter = self.adapter(layer, projection, [out, inner]);
        Ok(Linear {
            weight,
            dw,
            adapter: adapter.map(|(adapter, _)| adapter),
            gradients: adapter.and_then(|(_, g)| g),
        })
    }

    /// A projection that is not trained: as it is stored, or with room for what it becomes.
    fn frozen(&mut self, stored: &Stored, [out, inner]: [usize; 2]) -> Result<Storage> {
        stored.check_base(self.spec.base)?;
        match (stored, self.spec.base) {
            (Stored::Nf4(weight), _) => Ok(self.stored_nf4(weight)),
            (Stored::Q8(weight), _) => Err(weight.refuse_projection()),
            (Stored::Dense(tensor), Base::AsStored) => {
                Ok(Storage::Dense(self.weights("projection", tensor)))
            }
            (Stored::Blocks(blocks), Base::AsStored) => {
                Ok(self.stored_blocks("projection", blocks))
            }
            (Stored::Dense(_) | Stored::Blocks(_), base) => Ok(self.nf4(out * inner, base)),
        }
    }

    fn nf4(&mut self, weights: usize, base: Base) -> Storage {
        let mut alloc = |label, dtype, len| self.backend.alloc(label, Space::Device, dtype, len);
        let codes = alloc("nf4 codes", DType::U8, nf4::code_bytes(weights));
        let blocks = nf4::blocks(weights);
        if base == Base::Nf4 {
            return Storage::Nf4 { codes, absmax: alloc("absmax", DType::F32, blocks) };
        }
        Storage::Nf4Double {
            codes,
            absmax: alloc("absmax", DType::U8, blocks),
            map: alloc("absmax map", DType::F32, 256),
            nested: alloc("nested absmax", DType::F32, double_quant::blocks(blocks)),
            // `fill` knows it; a launch before that would be a mistake, and NaN shows it.
            offset: f32::NAN,
        }
    }

    /// A module's factors; with gradients [da, db] when they are trained.
    fn adapter(
        &mut self,
        layer: usize,
        projection: Projection,
        shape: [usize; 2],
    ) -> Option<(Adapter, Option<[Buf; 2]>)> {
        let spec = self.spec;
        let (lora, trained) = match &spec.trained {
            Trained::Adapter(lora) => (lora, true),
            Trained::Nothing(Some(lora)) => (lora, false),
            _ => return None,
        };
        let factor = lora.factor(layer, projection)?;
        let ([out, inner], rank) = (shape, factor.rank);
        let mut one = |letter, shape: [usize; 2]| {
            if trained {
                return self.param(tensor_name(layer, projection, letter), &shape, "adapter", true);
            }
            let dtype = value_type(spec.numerics);
            self.backend.alloc("adapter", Space::Device, dtype, shape[0] * shape[1])
        };
        let (a, b) = (one('A', [rank, inner]), one('B', [out, rank]));
        let adapter = Adapter { a, b, inner, out, rank, scale: factor.scale };
        let gradients = trained.then(|| {
            let last = &self.params[self.params.len() - 2..];
            [last[0].gradient, last[1].gradient]
        });
        Some((adapter, gradients))
    }

    fn head(
        &mut self,
        embedding: Storage,
        d_embedding: Option<Buf>,
    ) -> Result<(Weight, Option<Buf>)> {
        let Config { hidden: inner, vocab: out, tied, .. } = self.spec.config;
        let weight = |storage| Weight { out, inner, storage };
        let eight = matches!(embedding, Storage::Q8 { .. });
        if self.everything() {
            if tied {
                return Ok((weight(embedding), d_embedding));
            }
            let buf = self.table(HEAD, &[out, inner], "head")?;
            return Ok((weight(Storage::Dense(buf)), self.last_gradient()));
        }
        if tied && (eight || self.spec.head == Head::AsStored) {
            return Ok((weight(embedding), None));
        }
        let storage = match self.origin.stored(self.spec.config.head_name(), [out, inner])? {
            Stored::Q8(stored) => {
                self.stored_q8(["head codes", "head scales"], Space::Device, &stored)
            }
            Stored::Nf4(stored) => return Err(stored.refuse_table()),
            Stored::Dense(_) | Stored::Blocks(_) if self.spec.head == Head::EightBit => {
                let mut alloc =
                    |label, dtype, len| self.backend.alloc(label, Space::Device, dtype, len);
                let codes = alloc("head codes", DType::I8, out * inner);
                let scales = alloc("head scales", DType::F32, q8::blocks(out * inner));
                Storage::Q8 { codes, scales }
            }
            Stored::Dense(tensor) => Storage::Dense(self.weights("head", &tensor)),
            Stored::Blocks(blocks) => self.stored_blocks("head", &blocks),
        };
        Ok((weight(storage), None))
    }
}
