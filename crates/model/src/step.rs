//! A training step over buffers laid out beforehand: forward, loss and backward of micro-batches of
//! packed documents, with each block's activations kept, offloaded or recomputed.

use crate::llama::{
    Extent, Flow, Kept, Layer, Output, Saved, Temporaries, backward, forward, normed_head,
};
use crate::{Batch, Config, Model, Result};
use ops::attention::Window;
use ops::linear_cross_entropy;
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
    /// Only the block's input is kept, in pinned host memory; the rest is computed again.
    Checkpoint,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Policy; 4] =
        [Policy::Keep, Policy::Offload, Policy::Recompute, Policy::Checkpoint];

    /// Whether the block's MLP is computed again in the backward.
    fn computes_again(self) -> bool {
        matches!(self, Policy::Recompute | Policy::Checkpoint)
    }
}

/// What a step is laid out for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepOptions {
    /// Most tokens in a micro-batch.
    pub tokens: usize,
    /// Most tokens in one document.
    pub document: usize,
    /// Rows that go through norms and the MLP at a time. Other sizes give other bits of the gradients
    /// of weights, which are sums over tiles, and of nothing else.
    pub tile: usize,
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

/// Where one block's saved set lives.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one per block, and most blocks are kept")]
enum Slot {
    Kept(Saved),
    Offloaded {
        host: Vec<Buf>,
    },
    Recomputed {
        x: Buf,
    },
    Checkpointed {
        host: Buf,
    },
    /// Without a backward: all blocks share one set, and what flows on stays where it is.
    Passing,
}

/// A laid-out step.
#[derive(Clone, Debug)]
pub struct Step {
    options: StepOptions,
    inputs: Inputs,
    slots: Vec<Slot>,
    /// Saved sets that blocks share when they are not kept; two where whole sets are offloaded, so that
    /// one is copied while the other one is computed with.
    working: Vec<Saved>,
    /// (N,C) inputs of blocks that share sets, taken in turn: for the same reason there are two where
    /// inputs are copied.
    inputs_of: Vec<Buf>,
    temporaries: Temporaries,
    /// (N,C) output of the last block: in the backward, scratch.
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
        let values = backend.target().activation();
        let inputs = Inputs::layout(backend, n);
        let trains = options.pass == Pass::Gradients;
        let mut slots = Vec::with_capacity(config.layers);
        for policy in &options.policies {
            slots.push(match policy {
                _ if !trains => Slot::Passing,
                Policy::Keep => Slot::Kept(Saved::layout(backend, model, n, Kept::Mlp)),
                Policy::Offload => Slot::Offloaded { host: Saved::pinned(backend, model, n) },
                Policy::Recompute => Slot::Recomputed {
                    x: backend.alloc("block input", Space::Device, values, n * c),
                },
                Policy::Checkpoint => Slot::Checkpointed {
                    host: backend.alloc("offloaded", Space::Pinned, values, n * c),
                },
            });
        }
        let has = |policy| trains && options.policies.contains(&policy);
        let again = !trains || options.policies.iter().any(|policy| policy.computes_again());
        let shared = if has(Policy::Offload) { 2 } else { usize::from(again) };
        let kept = match (trains, has(Policy::Offload)) {
            (false, _) => Kept::Nothing,
            (true, false) => Kept::Halves,
            (true, true) => Kept::Mlp,
        };
        let working: Vec<Saved> =
            (0..shared).map(|_| Saved::layout(backend, model, n, kept)).collect();
        let mut inputs_of: Vec<Buf> = working.iter().map(|set| set.x).collect();
        if has(Policy::Checkpoint) && shared == 1 {
            inputs_of.push(backend.alloc("block input", Space::Device, values, n * c));
        }
        let tile = options.tile.min(n);
        let extent = Extent { tokens: n, tile, with_mlp: again, pass: options.pass };
        let temporaries = Temporaries::layout(backend, config, extent);
        // Before the backward there is no dq, and afterwards no use for the last output.
        let last = match temporaries.gradients {
            Some(it) => Some(it.dq).filter(|dq| dq.len == n * c),
            None => Some(working[0].x),
        };
        let mut device = |label, dtype, len| backend.alloc(label, Space::Device, dtype, len);
        Step {
            options: StepOptions { tile, ..options.clone() },
            inputs,
            slots,
            working,
            inputs_of,
            temporaries,
            last: last.unwrap_or_else(|| device("last output", values, n * c)),
            last_rstd: device("last rstd", DType::F32, n),
            d: trains.then(|| device("residual gradient", values, n * c)),
            loss: device("loss", DType::F32, n),
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
        rows.forward(backend, model);
        rows.loss(backend, model);
        if let Some(d) = rows.d {
            rows.backward(backend, model, d);
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
        rows.forward(backend, model);
        let v = model.config().vocab;
        let mark = backend.mark();
        let chunk = self.options.chunk.min(n);
        let logits = backend.alloc("logits", Space::Device, DType::F32, chunk * v);
        let mut values = vec![0.0; chunk * v];
        for tile in rows.temporaries.tiles(n) {
            let h = tile.h();
            let (x, rstd) = (tile.rows(rows.last), tile.rows(rows.last_rstd));
            normed_head(backend, model, x, h, rstd);
            let (count, c) = (rstd.len, model.config().hidden);
            for start in (0..count).step_by(chunk) {
                let count = chunk.min(count - start);
                let (x, y) = (h.slice(start * c, count * c), logits.slice(0, count * v));
                head_logits(backend, model, x, y);
                backend.read(y, &mut values[..count * v]);
                each(&values[..count * v]);
            }
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
        let inputs = &self.step.inputs_of;
        self.cut(match &self.step.slots[layer] {
            Slot::Kept(saved) => saved.x,
            Slot::Offloaded { .. } | Slot::Checkpointed { .. } => inputs[layer % inputs.len()],
            Slot::Recomputed { x } => *x,
            Slot::Passing => inputs[0],
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

    /// Runs all blocks, up to the last output.
    fn forward<B: Backend>(&self, backend: &mut B, model: &Model) {
        let layers = model.layers.len();
        let ids = self.cut(self.step.inputs.ids);
        let first = self.input(0);
        backend.launch(embed::Forward {
            ids,
            table: model.embedding,
            y: first,
            c: model.config().hidden,
        });
        // When each shared set or input has been copied out and may be overwritten.
        let mut free: [Option<Fence>; 2] = [None; 2];
        for (index, layer) in model.layers.iter().enumerate() {
            let output = if index + 1 < layers { self.input(index + 1) } else { self.last };
            if let Some(fence) = free[index % 2].take() {
                backend.wait(Queue::Compute, fence);
            }
            // The block before may still be on its way to the host, out of where the output goes.
            let output = Output { y: output, after: free[(index + 1) % 2].take() };
            let saved = self.saved(index);
            let slot = &self.step.slots[index];
            if let Slot::Checkpointed { host } = slot {
                let copies = std::iter::once((saved.x, *host));
                free[index % 2] = Some(self.copy_out(backend, copies));
            }
            forward(backend, model, layer, &saved, (&self.flow, &self.temporaries), Some(output));
            if let Slot::Offloaded { host } = slot {
                let copies = saved.list().zip(host.iter().copied());
                free[index % 2] = Some(self.copy_out(backend, copies));
            }
        }
    }

    /// The loss; with gradients, `d` becomes that of the last output.
    fn loss<B: Backend>(&self, backend: &mut B, model: &Model) {
        if let Some(d) = self.d {
            backend.launch(residual::Zero { to: d });
        }
        let (w, dw) = (model.norm.w, model.norm.dw);
        let (targets, losses) = (self.cut(self.step.inputs.targets), self.cut(self.step.loss));
        for tile in self.temporaries.tiles(self.n) {
            let (x, rstd, h) = (tile.rows(self.last), tile.rows(self.last_rstd), tile.h());
            normed_head(backend, model, x, h, rstd);
            let d = self.d.map(|d| (tile.gradients()[0], tile.rows(d)));
            let gradients = d.map(|(dh, _)| linear_cross_entropy::Gradients {
                scale: self.step.inputs.scale,
                dx: dh,
                dhead: model.d_head,
            });
            backend.launch(linear_cross_entropy::Loss {
                x: h,
                head: model.head,
                targets: tile.rows(targets),
                loss: tile.rows(losses),
                gradients,
                chunk: self.step.options.chunk,
                numerics: model.spec.numerics,
            });
            if let Some((dy, dx)) = d {
                backend.launch(rms_norm::Backward { x, w, rstd, dy, dx, dw });
            }
        }
    }

    /// All blocks backward, from the gradient `d` of the last output.
    fn backward<B: Backend>(&self, backend: &mut B, model: &Model, d: Buf) {
        let mut arrived = self.fetch(backend, model.layers.len(), None);
        for (index, layer) in model.layers.iter().enumerate().rev() {
            let saved = self.saved(index);
            if matches!(self.step.slots[index], Slot::Offloaded { .. } | Slot::Checkpointed { .. })
            {
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
        if matches!(self.step.slots[index], Slot::Recomputed { .. } | Slot::Checkpointed { .. }) {
            forward(backend, model, layer, saved, (&self.flow, &self.temporaries), None);
        }
    }

    fn copy_out<B: Backend>(
        &self,
        backend: &mut B,
        copies: impl Iterator<Item = (Buf, Buf)>,
    ) -> Fence {
        let computed = backend.record(Queue::Compute);
        backend.wait(Queue::Copy, computed);
        for (from, to) in copies {
            backend.copy_out(Queue::Copy, from, self.cut(to));
        }
        backend.record(Queue::Copy)
    }

    /// Starts copying in what the block below `above` left on the host, if it did.
    fn fetch<B: Backend>(
        &self,
        backend: &mut B,
        above: usize,
        free: Option<Fence>,
    ) -> Option<Fence> {
        let index = above.checked_sub(1)?;
        let slot = &self.step.slots[index];
        if !matches!(slot, Slot::Offloaded { .. } | Slot::Checkpointed { .. }) {
            return None;
        }
        if let Some(fence) = free {
            backend.wait(Queue::Copy, fence);
        }
        match slot {
            Slot::Offloaded { host } => {
                for (to, from) in self.saved(index).list().zip(host) {
                    backend.copy_in(Queue::Copy, self.cut(*from), to);
                }
            }
            Slot::Checkpointed { host } => {
                backend.copy_in(Queue::Copy, self.cut(*host), self.input(index));
            }
            Slot::Kept(_) | Slot::Recomputed { .. } | Slot::Passing => {}
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
