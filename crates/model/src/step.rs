//! A training step over buffers laid out beforehand: forward, loss and backward of micro-batches of
//! packed documents, with each block's activations kept, offloaded or recomputed.

use crate::llama::{Flow, Saved, Temporaries, backward, forward, normed_head};
use crate::llama::{Gradients, Layer};
use crate::{Config, Model, Result};
use ops::attention::{Window, cache_type};
use ops::linear_cross_entropy::{self, IGNORED};
use ops::{Backend, Buf, DType, Fence, Queue, Space, embed, residual, rms_norm};

/// Where a block's activations are between its forward and its backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// They stay on the device.
    Keep,
    /// They go to pinned host memory and come back.
    Offload,
    /// Only the block's input stays; the rest is computed again.
    Recompute,
}

/// What a step is laid out for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepOptions {
    /// Most tokens in a micro-batch.
    pub tokens: usize,
    /// Most tokens in one document.
    pub document: usize,
    /// One policy per block.
    pub policies: Vec<Policy>,
    /// Rows of logits at a time.
    pub chunk: usize,
    /// Whether there is a backward (evaluation has none).
    pub pass: Pass,
}

/// Loss alone, or loss and gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Evaluation.
    Loss,
    /// Training.
    Gradients,
}

/// A micro-batch: whole documents, one after another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// (N) token ids.
    pub ids: Vec<u32>,
    /// (N) position of each token in its document.
    pub positions: Vec<u32>,
    /// (N) row of the document's first token.
    pub first: Vec<u32>,
    /// (N) rows that each token sees: its position + 1.
    pub visible: Vec<u32>,
    /// (N) the token to predict at each place, or -100.
    pub targets: Vec<i32>,
}

/// A document that cannot be part of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Place {
    /// An id or label outside of the vocabulary.
    #[error("token {index} is {value}, outside of the vocabulary of {vocab}")]
    Token {
        /// Position in the document.
        index: usize,
        /// What stands there.
        value: i64,
        /// V.
        vocab: usize,
    },
}

impl Batch {
    /// Appends a document. `labels` are those of the tokens themselves, -100 where not trained on; the
    /// token at place t predicts label t + 1, and the last one nothing.
    ///
    /// # Errors
    /// When an id or label lies outside of the vocabulary; the batch is unchanged.
    pub fn push(
        &mut self,
        config: &Config,
        ids: &[u32],
        labels: &[i32],
    ) -> std::result::Result<(), Place> {
        assert_eq!(ids.len(), labels.len(), "one label per token");
        let vocab = config.vocab;
        for (index, (&id, &label)) in ids.iter().zip(labels).enumerate() {
            let wrong = if id as usize >= vocab {
                Some(i64::from(id))
            } else if label != IGNORED && !(0..vocab as i64).contains(&i64::from(label)) {
                Some(i64::from(label))
            } else {
                None
            };
            if let Some(value) = wrong {
                return Err(Place::Token { index, value, vocab });
            }
        }
        let start = self.ids.len() as u32;
        self.ids.extend_from_slice(ids);
        self.positions.extend(0..ids.len() as u32);
        self.first.extend(std::iter::repeat_n(start, ids.len()));
        self.visible.extend(1..=ids.len() as u32);
        self.targets.extend(labels.iter().skip(1).chain([&IGNORED]).take(ids.len()));
        Ok(())
    }

    /// N.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Tokens with a target.
    pub fn trained(&self) -> usize {
        self.targets.iter().filter(|t| **t != IGNORED).count()
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        let Batch { ids, positions, first, visible, targets } = self;
        for list in [ids, positions, first, visible] {
            list.clear();
        }
        targets.clear();
    }
}

/// Where one block's saved set lives.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one per block, and most blocks are kept")]
enum Slot {
    Kept(Saved),
    Offloaded { host: Vec<Buf> },
    Recomputed { x: Buf },
}

/// A laid-out step.
#[derive(Clone, Debug)]
pub struct Step {
    options: StepOptions,
    inputs: Inputs,
    slots: Vec<Slot>,
    /// Saved sets that blocks share when they are not kept; two, so that one is copied while the
    /// other one is computed with.
    working: Vec<Saved>,
    temporaries: Temporaries,
    /// (N,C) output of the last block, then scratch.
    last: Buf,
    /// (N).
    last_rstd: Buf,
    /// (N,C) gradient of the residual stream.
    d: Option<Buf>,
    loss: Buf,
}

/// Per-step parameters in device buffers.
#[derive(Clone, Copy, Debug)]
struct Inputs {
    ids: Buf,
    positions: Buf,
    first: Buf,
    visible: Buf,
    rows: Buf,
    targets: Buf,
    scale: Buf,
}

impl Step {
    /// Lays out a step on top of a laid-out model.
    pub fn layout<B: Backend>(backend: &mut B, model: &Model, options: &StepOptions) -> Step {
        assert_eq!(options.policies.len(), model.layers.len(), "one policy per block");
        let config = model.config();
        let (n, c) = (options.tokens, config.hidden);
        let inputs = Inputs::layout(backend, n);
        let mut slots = Vec::with_capacity(config.layers);
        for policy in &options.policies {
            slots.push(match (policy, options.pass) {
                (Policy::Keep, Pass::Gradients) => Slot::Kept(Saved::layout(backend, model, n)),
                (Policy::Offload, Pass::Gradients) => {
                    Slot::Offloaded { host: pinned(backend, model, n) }
                }
                _ => Slot::Recomputed {
                    x: backend.alloc("block input", Space::Device, DType::F32, n * c),
                },
            });
        }
        let shared = match options.pass {
            Pass::Loss => 1,
            Pass::Gradients if options.policies.contains(&Policy::Offload) => 2,
            Pass::Gradients => usize::from(options.policies.contains(&Policy::Recompute)),
        };
        let working = (0..shared).map(|_| Saved::layout(backend, model, n)).collect();
        let temporaries = Temporaries::layout(backend, config, n, options.pass);
        let mut device = |label, len| backend.alloc(label, Space::Device, DType::F32, len);
        Step {
            options: options.clone(),
            inputs,
            slots,
            working,
            temporaries,
            last: device("last output", n * c),
            last_rstd: device("last rstd", n),
            d: (options.pass == Pass::Gradients).then(|| device("residual gradient", n * c)),
            loss: device("loss", n),
        }
    }

    /// What it was laid out for.
    pub fn options(&self) -> &StepOptions {
        &self.options
    }

    /// Forward and loss of one micro-batch; with [`Pass::Gradients`] the backward too, adding
    /// `scale · d loss` into the gradients of everything trained. The losses are in
    /// [`Step::losses`] afterwards.
    ///
    /// # Panics
    /// When the batch is empty or larger than the layout.
    pub fn run<B: Backend>(&self, backend: &mut B, model: &Model, batch: &Batch, scale: f32) {
        let n = batch.tokens();
        assert!(n > 0 && n <= self.options.tokens, "a micro-batch of {n} tokens");
        self.inputs.write(backend, batch, scale);
        let rows = self.rows(n, model.config());
        let out = rows.forward(backend, model);
        rows.loss(backend, model, out);
        if rows.d.is_some() {
            rows.backward(backend, model);
        }
    }

    /// The loss of each token of the last micro-batch of `losses.len()` tokens, 0 where masked.
    pub fn losses<B: Backend>(&self, backend: &mut B, losses: &mut [f32]) {
        backend.read(self.loss.slice(0, losses.len()), losses);
    }

    /// Forward alone; hands out the logits (N,V) row block by row block, in order.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn logits<B: Backend>(
        &self,
        backend: &mut B,
        model: &Model,
        batch: &Batch,
        mut each: impl FnMut(&[f32]),
    ) -> Result<()> {
        let n = batch.tokens();
        assert!(n > 0 && n <= self.options.tokens, "a micro-batch of {n} tokens");
        self.inputs.write(backend, batch, 1.0);
        let rows = self.rows(n, model.config());
        let out = rows.forward(backend, model);
        let h = rows.temporaries.h;
        normed_head(backend, model, out, h, rows.last_rstd);
        let (c, v) = (model.config().hidden, model.config().vocab);
        let mark = backend.mark();
        let chunk = self.options.chunk.min(n);
        let logits = backend.alloc("logits", Space::Device, DType::F32, chunk * v);
        let mut values = vec![0.0; chunk * v];
        for start in (0..n).step_by(chunk) {
            let count = chunk.min(n - start);
            let (x, y) = (h.slice(start * c, count * c), logits.slice(0, count * v));
            head_logits(backend, model, x, y);
            backend.read(y, &mut values[..count * v]);
            each(&values[..count * v]);
        }
        backend.release(mark);
        backend.finish()?;
        Ok(())
    }

    /// The same step, every buffer cut to `n` rows.
    fn rows(&self, n: usize, config: &Config) -> Rows<'_> {
        let cut = |buf: Buf| buf.slice(0, buf.len / self.options.tokens * n);
        let flow = Flow {
            positions: cut(self.inputs.positions),
            rows: cut(self.inputs.rows),
            window: Window {
                first: cut(self.inputs.first),
                visible: cut(self.inputs.visible),
                most: self.options.document.min(n),
            },
        };
        debug_assert_eq!(self.last.len, self.options.tokens * config.hidden);
        Rows {
            step: self,
            n,
            flow,
            temporaries: self.temporaries.cut(&cut),
            last: cut(self.last),
            last_rstd: cut(self.last_rstd),
            d: self.d.map(cut),
        }
    }
}

/// y = h Wᵀ of the head.
pub(crate) fn head_logits<B: Backend>(backend: &mut B, model: &Model, x: Buf, y: Buf) {
    let (weight, numerics) = (model.head, model.spec.numerics);
    let mode = ops::qlinear::Mode::Overwrite;
    backend.launch(ops::qlinear::Forward { x, weight, y, mode, numerics });
}

/// A step cut to the rows of one micro-batch.
struct Rows<'a> {
    step: &'a Step,
    n: usize,
    flow: Flow,
    temporaries: Temporaries,
    last: Buf,
    last_rstd: Buf,
    d: Option<Buf>,
}

impl Rows<'_> {
    fn cut(&self, buf: Buf) -> Buf {
        buf.slice(0, buf.len / self.step.options.tokens * self.n)
    }

    /// The shared set that block `layer` computes in.
    fn shared(&self, layer: usize) -> usize {
        layer % self.step.working.len()
    }

    /// Where block `layer` reads its input.
    fn input(&self, layer: usize) -> Buf {
        self.cut(match &self.step.slots[layer] {
            Slot::Kept(saved) => saved.x,
            Slot::Offloaded { .. } => self.step.working[self.shared(layer)].x,
            Slot::Recomputed { x } => *x,
        })
    }

    /// The set that block `layer` computes in.
    fn saved(&self, layer: usize) -> Saved {
        let saved = match &self.step.slots[layer] {
            Slot::Kept(saved) => *saved,
            _ => self.step.working[self.shared(layer)],
        };
        let mut saved = saved.map(|buf| self.cut(buf));
        saved.x = self.input(layer);
        saved
    }

    /// Runs all blocks; returns the last output (N,C).
    fn forward<B: Backend>(&self, backend: &mut B, model: &Model) -> Buf {
        let layers = model.layers.len();
        let ids = self.cut(self.step.inputs.ids);
        let first = self.input(0);
        backend.launch(embed::Forward {
            ids,
            table: model.embedding,
            y: first,
            c: model.config().hidden,
        });
        // When each shared set has been copied out and may be overwritten.
        let mut free: [Option<Fence>; 2] = [None; 2];
        for (index, layer) in model.layers.iter().enumerate() {
            let output = if index + 1 < layers { self.input(index + 1) } else { self.last };
            for set in [index, index + 1] {
                if let Some(fence) =
                    free.get_mut(set % self.step.working.len().max(1)).and_then(Option::take)
                {
                    backend.wait(Queue::Compute, fence);
                }
            }
            let saved = self.saved(index);
            forward(backend, model, layer, &saved, (&self.flow, &self.temporaries), Some(output));
            if let Slot::Offloaded { host } = &self.step.slots[index] {
                free[self.shared(index)] = Some(self.copy_out(backend, &saved, host));
            }
        }
        self.last
    }

    fn loss<B: Backend>(&self, backend: &mut B, model: &Model, out: Buf) {
        let h = self.temporaries.h;
        normed_head(backend, model, out, h, self.last_rstd);
        let gradients = self.temporaries.gradients.map(|g| linear_cross_entropy::Gradients {
            scale: self.step.inputs.scale,
            dx: g.dh,
            dhead: model.d_head,
        });
        backend.launch(linear_cross_entropy::Loss {
            x: h,
            head: model.head,
            targets: self.cut(self.step.inputs.targets),
            loss: self.cut(self.step.loss),
            gradients,
            chunk: self.step.options.chunk,
            numerics: model.spec.numerics,
        });
    }

    fn backward<B: Backend>(&self, backend: &mut B, model: &Model) {
        let (Some(d), Some(gradients)) = (self.d, self.temporaries.gradients) else { return };
        backend.launch(residual::Zero { to: d });
        let (w, dw) = (model.norm.w, model.norm.dw);
        let (x, rstd, dy) = (self.last, self.last_rstd, gradients.dh);
        backend.launch(rms_norm::Backward { x, w, rstd, dy, dx: d, dw });
        let mut arrived = self.fetch(backend, model.layers.len(), None);
        for (index, layer) in model.layers.iter().enumerate().rev() {
            let saved = self.saved(index);
            if matches!(self.step.slots[index], Slot::Offloaded { .. }) {
                let fence = arrived.take().expect("fetched ahead");
                backend.wait(Queue::Compute, fence);
            }
            // The other shared set is free: the block above is done with it.
            let done = backend.record(Queue::Compute);
            if arrived.is_none() {
                arrived = self.fetch(backend, index, Some(done));
            }
            self.recompute(backend, model, index, layer, &saved);
            backward(backend, model, layer, &saved, (&self.flow, &self.temporaries), d);
        }
        if let Some(dtable) = model.d_embedding {
            let (ids, c) = (self.cut(self.step.inputs.ids), model.config().hidden);
            backend.launch(embed::Backward { ids, dy: d, dtable, c });
        }
    }

    fn recompute<B: Backend>(
        &self,
        backend: &mut B,
        model: &Model,
        index: usize,
        layer: &Layer,
        saved: &Saved,
    ) {
        if matches!(self.step.slots[index], Slot::Recomputed { .. }) {
            forward(backend, model, layer, saved, (&self.flow, &self.temporaries), None);
        }
    }

    fn copy_out<B: Backend>(&self, backend: &mut B, saved: &Saved, host: &[Buf]) -> Fence {
        let computed = backend.record(Queue::Compute);
        backend.wait(Queue::Copy, computed);
        for (from, to) in saved.list().into_iter().zip(host) {
            backend.copy_out(Queue::Copy, from, self.cut(*to));
        }
        backend.record(Queue::Copy)
    }

    /// Starts copying in the set of the block below `above`, if it was offloaded.
    fn fetch<B: Backend>(
        &self,
        backend: &mut B,
        above: usize,
        free: Option<Fence>,
    ) -> Option<Fence> {
        let index = above.checked_sub(1)?;
        let Slot::Offloaded { host } = &self.step.slots[index] else { return None };
        if let Some(fence) = free {
            backend.wait(Queue::Copy, fence);
        }
        for (to, from) in self.saved(index).list().into_iter().zip(host) {
            backend.copy_in(Queue::Copy, self.cut(*from), to);
        }
        Some(backend.record(Queue::Copy))
    }
}

impl Inputs {
    fn layout<B: Backend>(backend: &mut B, n: usize) -> Inputs {
        let mut alloc = |label, dtype, len| backend.alloc(label, Space::Device, dtype, len);
        let inputs = Inputs {
            ids: alloc("ids", DType::U32, n),
            positions: alloc("positions", DType::U32, n),
            first: alloc("first rows", DType::U32, n),
            visible: alloc("visible rows", DType::U32, n),
            rows: alloc("rows", DType::U32, n),
            targets: alloc("targets", DType::I32, n),
            scale: alloc("loss scale", DType::F32, 1),
        };
        // Row n of k and v is token n, in every step.
        backend.write(inputs.rows, &(0..n as u32).collect::<Vec<_>>());
        inputs
    }

    fn write<B: Backend>(&self, backend: &mut B, batch: &Batch, scale: f32) {
        backend.write(self.ids, &batch.ids);
        backend.write(self.positions, &batch.positions);
        backend.write(self.first, &batch.first);
        backend.write(self.visible, &batch.visible);
        backend.write(self.targets, &batch.targets);
        backend.write(self.scale, &[scale]);
    }
}

impl Saved {
    /// Lays out a set of `n` rows.
    pub(crate) fn layout<B: Backend>(backend: &mut B, model: &Model, n: usize) -> Saved {
        let kv = Saved::sizes(model.config(), n)[3];
        let cache = cache_type(model.spec.numerics);
        let mut alloc = |dtype, len| backend.alloc("activations", Space::Device, dtype, len);
        let [k, v] = [alloc(cache, kv), alloc(cache, kv)];
        Saved::layout_around(backend, model.config(), n, [k, v])
    }

    /// Lays out a set of `n` rows whose k and v live elsewhere.
    pub(crate) fn layout_around<B: Backend>(
        backend: &mut B,
        config: &Config,
        n: usize,
        kv: [Buf; 2],
    ) -> Saved {
        let mut alloc = |len| backend.alloc("activations", Space::Device, DType::F32, len);
        let [c, q, f, _, heads] = Saved::sizes(config, n);
        Saved {
            x: alloc(c),
            rstd1: alloc(n),
            q: alloc(q),
            k: kv[0],
            v: kv[1],
            o: alloc(q),
            lse: alloc(heads),
            m: alloc(c),
            rstd2: alloc(n),
            gate: alloc(f),
            up: alloc(f),
        }
    }

    /// Elements of (N,C), (N,H,D), (N,F), (N,Hkv,D) and (N,H).
    fn sizes(config: &Config, n: usize) -> [usize; 5] {
        let Config { hidden, ffn, heads, kv_heads, head_dim, .. } = *config;
        [n * hidden, n * heads * head_dim, n * ffn, n * kv_heads * head_dim, n * heads]
    }

    fn list(&self) -> [Buf; 11] {
        let Saved { x, rstd1, q, k, v, o, lse, m, rstd2, gate, up } = *self;
        [x, rstd1, q, k, v, o, lse, m, rstd2, gate, up]
    }

    pub(crate) fn map(&self, f: impl Fn(Buf) -> Buf) -> Saved {
        let [x, rstd1, q, k, v, o, lse, m, rstd2, gate, up] = self.list().map(f);
        Saved { x, rstd1, q, k, v, o, lse, m, rstd2, gate, up }
    }
}

/// Pinned copies of a saved set.
fn pinned<B: Backend>(backend: &mut B, model: &Model, n: usize) -> Vec<Buf> {
    let [c, q, f, kv, heads] = Saved::sizes(model.config(), n);
    let cache = cache_type(model.spec.numerics);
    let f32s = DType::F32;
    let order = [
        (f32s, c),
        (f32s, n),
        (f32s, q),
        (cache, kv),
        (cache, kv),
        (f32s, q),
        (f32s, heads),
        (f32s, c),
        (f32s, n),
        (f32s, f),
        (f32s, f),
    ];
    order.map(|(dtype, len)| backend.alloc("offloaded", Space::Pinned, dtype, len)).to_vec()
}

impl Temporaries {
    /// Lays out a block's scratch for `n` rows.
    pub(crate) fn layout<B: Backend>(
        backend: &mut B,
        config: &Config,
        n: usize,
        pass: Pass,
    ) -> Temporaries {
        let [c, q, f, kv, _] = Saved::sizes(config, n);
        let mut alloc = |len| backend.alloc("temporaries", Space::Device, DType::F32, len);
        let (h, kv_values, act) = (alloc(c), alloc(kv), alloc(f));
        let gradients = (pass == Pass::Gradients).then(|| Gradients {
            dh: alloc(c),
            d_act: alloc(f),
            d_o: alloc(q),
            dq: alloc(q),
            dv: alloc(kv),
        });
        Temporaries { h, kv: kv_values, act, gradients }
    }

    pub(crate) fn cut(&self, f: &impl Fn(Buf) -> Buf) -> Temporaries {
        Temporaries {
            h: f(self.h),
            kv: f(self.kv),
            act: f(self.act),
            gradients: self.gradients.map(|g| Gradients {
                dh: f(g.dh),
                d_act: f(g.d_act),
                d_o: f(g.d_o),
                dq: f(g.dq),
                dv: f(g.dv),
            }),
        }
    }
}
