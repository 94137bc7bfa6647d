//! One transformer block, forward and backward, as launches.
//!
//! forward:  h = norm1(x)   q, k, v = h Wq, h Wk, h Wv   rotate q, k   o = attention(q, k, v)
//!           m = x + o Wo   h = norm2(m)   g, u = h Wg, h Wu   y = m + swiglu(g, u) Wd
//! saved:    x, rstd1, q, k, v, o, lse, m, rstd2, perhaps g, u. h and swiglu(g, u) are computed again,
//!           with the same bits, from what is saved.
//! backward: d holds dy at first and dx at the end: both residual branches add into it. g and u are
//!           overwritten by their gradients, and m by that of o.

use super::{Layer, Model, Saved, Temporaries, Tile};
use crate::lora::Projection as P;
use ops::attention::{self, Window};
use ops::qlinear::{Adapted, Gated, Mode, Part};
use ops::rope::{Direction, Place, Rotate};
use ops::{Backend, Buf, Fence, Queue, residual, rms_norm, swiglu};

/// How tokens flow: which rows they take and see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    /// (N) u32: position in its document.
    pub(crate) positions: Buf,
    /// (N) u32: row of k and v that each token takes.
    pub(crate) rows: Buf,
    /// Rows that each token sees.
    pub(crate) window: Window,
}

/// A block and what its launches share.
struct Block<'a> {
    model: &'a Model,
    layer: &'a Layer,
    saved: &'a Saved,
    flow: &'a Flow,
}

/// Where a block's output goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// (N,C).
    pub(crate) y: Buf,
    /// When it may be written.
    pub(crate) after: Option<Fence>,
}

/// Runs the block, unless only the saved set is wanted.
pub(crate) fn forward<B: Backend>(
    backend: &mut B,
    model: &Model,
    layer: &Layer,
    saved: &Saved,
    (flow, temporaries): (&Flow, &Temporaries),
    mut output: Option<Output>,
) {
    let block = Block { model, layer, saved, flow };
    let n = flow.rows.len;
    for tile in temporaries.tiles(n) {
        block.project_in(backend, &tile);
    }
    backend.launch(block.attention());
    for tile in temporaries.tiles(n) {
        let m = tile.rows(saved.m);
        copy(backend, tile.rows(saved.x), m);
        block.project(backend, P::O, [tile.rows(saved.o), m]);
        match (saved.mlp, output) {
            (Some(_), _) => block.widen(backend, &tile),
            // They are of no use afterwards: the backward computes them again.
            (None, Some(_)) => block.gate(backend, &tile),
            (None, None) => {}
        }
        if let Some(Output { y, after }) = &mut output {
            let (h, y) = (tile.act(), tile.rows(*y));
            if saved.mlp.is_some() {
                let [gate, up] = tile.mlp(saved);
                backend.launch(swiglu::Forward { gate, up, h });
            }
            if let Some(fence) = after.take() {
                backend.wait(Queue::Compute, fence);
            }
            copy(backend, m, y);
            block.project(backend, P::Down, [h, y]);
        }
    }
}

/// Copies the residual stream on, unless it stays where it is.
fn copy<B: Backend>(backend: &mut B, from: Buf, to: Buf) {
    if from != to {
        backend.launch(residual::Copy { from, to });
    }
}

/// Turns `d` (N,C) from the gradient of the block's output into that of its input.
pub(crate) fn backward<B: Backend>(
    backend: &mut B,
    model: &Model,
    layer: &Layer,
    saved: &Saved,
    (flow, temporaries): (&Flow, &Temporaries),
    d: Buf,
) {
    let block = Block { model, layer, saved, flow };
    let gradients = temporaries.gradients.expect("laid out for training");
    let n = flow.rows.len;
    for tile in temporaries.tiles(n) {
        block.mlp_backward(backend, &tile, d);
    }
    let (dq, dk, dv) = (gradients.dq, temporaries.kv, gradients.dv);
    let d_o = gradients.d_o.unwrap_or(saved.m);
    block.project_back(backend, P::O, [saved.o, d, d_o], Mode::Overwrite);
    backend.launch(attention::Backward { forward: block.attention(), d_o, dq, dk, dv });
    block.turn_back(backend, dq);
    block.turn_back(backend, dk);
    let (w, dw) = (layer.norm1.w, layer.norm1.dw);
    for tile in temporaries.tiles(n) {
        let ([dh, _], h) = (tile.gradients(), tile.h());
        let (x, rstd) = (tile.rows(saved.x), tile.rows(saved.rstd1));
        backend.launch(rms_norm::Apply { x, w, rstd, y: h });
        block.project_back(backend, P::Q, [h, tile.rows(dq), dh], Mode::Overwrite);
        block.project_back(backend, P::K, [h, tile.rows(dk), dh], Mode::Add);
        block.project_back(backend, P::V, [h, tile.rows(dv), dh], Mode::Add);
        backend.launch(rms_norm::Backward { x, w, rstd, dy: dh, dx: tile.rows(d), dw });
    }
}

impl Block<'_> {
    fn part(&self, p: P, y: Buf) -> Part {
        self.layer.projection(p).part(y)
    }

    /// Writes the projections of x.
    fn write<B: Backend, const N: usize>(&self, backend: &mut B, x: Buf, parts: [Part; N]) {
        let numerics = self.model.spec.numerics;
        backend.launch(Adapted { x, parts, mode: Mode::Overwrite, numerics });
    }

    /// Adds the projection of x to y.
    fn project<B: Backend>(&self, backend: &mut B, p: P, [x, y]: [Buf; 2]) {
        let (parts, numerics) = ([self.part(p, y)], self.model.spec.numerics);
        backend.launch(Adapted { x, parts, mode: Mode::Add, numerics });
    }

    /// `buffers` are x, dy and dx.
    fn project_back<B: Backend>(&self, backend: &mut B, p: P, buffers: [Buf; 3], mode: Mode) {
        self.layer.projection(p).backward(backend, self.model.spec.numerics, buffers, mode);
    }

    /// Turns a gradient back to where x was before it was turned.
    fn turn_back<B: Backend>(&self, backend: &mut B, x: Buf) {
        let (head_dim, table) = (self.model.spec.config.head_dim, self.model.rope_table);
        let (positions, direction) = (self.flow.positions, Direction::Backward);
        backend.launch(Rotate { x, positions, table, head_dim, direction });
    }

    fn attention(&self) -> attention::Forward {
        let &Saved { q, k, v, o, lse, .. } = self.saved;
        let (heads, numerics) = (self.model.heads(), self.model.spec.numerics);
        attention::Forward { q, k, v, window: self.flow.window, o, lse, heads, numerics }
    }

    /// q, k and v of a tile from the block's input.
    fn project_in<B: Backend>(&self, backend: &mut B, tile: &Tile) {
        let (saved, config) = (self.saved, &self.model.spec.config);
        let (x, y, rstd) = (tile.rows(saved.x), tile.h(), tile.rows(saved.rstd1));
        backend.launch(rms_norm::Forward { x, w: self.layer.norm1.w, y, rstd, eps: config.eps });
        let (positions, rows) = (tile.rows(self.flow.positions), tile.rows(self.flow.rows));
        let (q, [k, v]) = (tile.rows(saved.q), tile.kv(config.kv_heads * config.head_dim));
        self.write(backend, y, [self.part(P::Q, q), self.part(P::K, k), self.part(P::V, v)]);
        let (head_dim, table) = (config.head_dim, self.model.rope_table);
        let (keys, values) = (saved.k, saved.v);
        backend.launch(Place { q, k, v, positions, table, rows, keys, values, head_dim });
    }

    /// The MLP's input of a tile, from between the halves.
    fn norm2<B: Backend>(&self, backend: &mut B, tile: &Tile) -> Buf {
        let (x, y, rstd) = (tile.rows(self.saved.m), tile.h(), tile.rows(self.saved.rstd2));
        let eps = self.model.spec.config.eps;
        backend.launch(rms_norm::Forward { x, w: self.layer.norm2.w, y, rstd, eps });
        y
    }

    /// Gate and up of a tile from between the halves.
    fn widen<B: Backend>(&self, backend: &mut B, tile: &Tile) {
        let x = self.norm2(backend, tile);
        let [gate, up] = tile.mlp(self.saved);
        self.write(backend, x, [self.part(P::Gate, gate)]);
        self.write(backend, x, [self.part(P::Up, up)]);
    }

    /// swiglu of gate and up of a tile from between the halves.
    fn gate<B: Backend>(&self, backend: &mut B, tile: &Tile) {
        let (x, h, numerics) = (self.norm2(backend, tile), tile.act(), self.model.spec.numerics);
        let [gate, up] = tile.mlp(self.saved);
        let (gate, up) = (self.part(P::Gate, gate), self.part(P::Up, up));
        backend.launch(Gated { x, gate, up, h, numerics });
    }

    /// The gradient `d` through the MLP of a tile.
    fn mlp_backward<B: Backend>(&self, backend: &mut B, tile: &Tile, d: Buf) {
        let ([dh, d_act], [gate, up]) = (tile.gradients(), tile.mlp(self.saved));
        let (act, d, h) = (tile.act(), tile.rows(d), tile.h());
        let (x, rstd) = (tile.rows(self.saved.m), tile.rows(self.saved.rstd2));
        let (w, dw) = (self.layer.norm2.w, self.layer.norm2.dw);
        match self.saved.mlp {
            Some(_) => backend.launch(rms_norm::Apply { x, w, rstd, y: h }),
            None => self.widen(backend, tile),
        }
        backend.launch(swiglu::Forward { gate, up, h: act });
        self.project_back(backend, P::Down, [act, d, d_act], Mode::Overwrite);
        backend.launch(swiglu::Backward { dh: d_act, gate, up });
        self.project_back(backend, P::Gate, [h, gate, dh], Mode::Overwrite);
        self.project_back(backend, P::Up, [h, up, dh], Mode::Add);
        backend.launch(rms_norm::Backward { x, w, rstd, dy: dh, dx: d, dw });
    }
}

/// The final norm: `h = norm(x)`.
pub(crate) fn normed_head<B: Backend>(backend: &mut B, model: &Model, x: Buf, h: Buf, rstd: Buf) {
    let (w, eps) = (model.norm.w, model.spec.config.eps);
    backend.launch(rms_norm::Forward { x, w, y: h, rstd, eps });
}
