//! One transformer block, forward and backward, as launches.
//!
//! forward:  h = norm1(x)   q, k, v = h Wq, h Wk, h Wv   rotate q, k   o = attention(q, k, v)
//!           m = x + o Wo   h = norm2(m)   g, u = h Wg, h Wu   y = m + swiglu(g, u) Wd
//! saved:    x, rstd1, q, k, v, o, lse, m, rstd2, g, u. h and swiglu(g, u) are computed again, with the
//!           same bits, from what is saved.
//! backward: d holds dy at first and dx at the end: both residual branches add into it. g and u are
//!           overwritten by their gradients.

use super::{Layer, Model};
use crate::lora::Projection as P;
use ops::attention::{self, Window};
use ops::qlinear::Mode;
use ops::rope::{Direction, Rotate};
use ops::{Backend, Buf, residual, rms_norm, swiglu};

/// What a block's backward reads (N rows each).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Saved {
    /// (N,C) input.
    pub(crate) x: Buf,
    /// (N).
    pub(crate) rstd1: Buf,
    /// (N,H,D), rotated.
    pub(crate) q: Buf,
    /// (S,Hkv,D) in the cache type, rotated: the step's own rows, or a layer of a cache.
    pub(crate) k: Buf,
    /// (S,Hkv,D) in the cache type.
    pub(crate) v: Buf,
    /// (N,H,D).
    pub(crate) o: Buf,
    /// (N,H).
    pub(crate) lse: Buf,
    /// (N,C) between the two halves.
    pub(crate) m: Buf,
    /// (N).
    pub(crate) rstd2: Buf,
    /// (N,F).
    pub(crate) gate: Buf,
    /// (N,F).
    pub(crate) up: Buf,
}

/// Scratch that lives within a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Temporaries {
    /// (N,C) normed input of the projections.
    pub(crate) h: Buf,
    /// (N,Hkv,D) k or v before it is stored; dk in the backward.
    pub(crate) kv: Buf,
    /// (N,F) swiglu(g, u).
    pub(crate) act: Buf,
    /// The backward's own.
    pub(crate) gradients: Option<Gradients>,
}

/// Scratch of the backward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gradients {
    /// (N,C).
    pub(crate) dh: Buf,
    /// (N,F).
    pub(crate) d_act: Buf,
    /// (N,H,D).
    pub(crate) d_o: Buf,
    /// (N,H,D).
    pub(crate) dq: Buf,
    /// (N,Hkv,D).
    pub(crate) dv: Buf,
}

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

/// Runs the block; `y` (N,C) gets the output, unless only the saved set is wanted.
pub(crate) fn forward<B: Backend>(
    backend: &mut B,
    model: &Model,
    layer: &Layer,
    saved: &Saved,
    (flow, temporaries): (&Flow, &Temporaries),
    y: Option<Buf>,
) {
    let (numerics, eps) = (model.spec.numerics, model.spec.config.eps);
    let &Temporaries { h, kv, act, .. } = temporaries;
    let project = |backend: &mut B, p: P, x, y, mode| {
        layer.projection(p).forward(backend, numerics, [x, y], mode)
    };
    backend.launch(rms_norm::Forward {
        x: saved.x,
        w: layer.norm1.w,
        y: h,
        rstd: saved.rstd1,
        eps,
    });
    project(backend, P::Q, h, saved.q, Mode::Overwrite);
    rotate(backend, model, flow, saved.q, Direction::Forward);
    project(backend, P::K, h, kv, Mode::Overwrite);
    rotate(backend, model, flow, kv, Direction::Forward);
    backend.launch(attention::Store { from: kv, to: saved.k, rows: flow.rows });
    project(backend, P::V, h, kv, Mode::Overwrite);
    backend.launch(attention::Store { from: kv, to: saved.v, rows: flow.rows });
    backend.launch(attention_forward(model, saved, flow));
    backend.launch(residual::Copy { from: saved.x, to: saved.m });
    project(backend, P::O, saved.o, saved.m, Mode::Add);
    backend.launch(rms_norm::Forward {
        x: saved.m,
        w: layer.norm2.w,
        y: h,
        rstd: saved.rstd2,
        eps,
    });
    project(backend, P::Gate, h, saved.gate, Mode::Overwrite);
    project(backend, P::Up, h, saved.up, Mode::Overwrite);
    let Some(y) = y else { return };
    backend.launch(swiglu::Forward { gate: saved.gate, up: saved.up, h: act });
    backend.launch(residual::Copy { from: saved.m, to: y });
    project(backend, P::Down, act, y, Mode::Add);
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
    let numerics = model.spec.numerics;
    let &Temporaries { h, kv: dk, act, gradients } = temporaries;
    let Gradients { dh, d_act, d_o, dq, dv } = gradients.expect("laid out for training");
    let project = |backend: &mut B, p: P, x, dy, dx, mode| {
        layer.projection(p).backward(backend, numerics, [x, dy, dx], mode);
    };
    let &Saved { x, rstd1, q: _, o, m, rstd2, gate, up, .. } = saved;
    // The MLP.
    backend.launch(swiglu::Forward { gate, up, h: act });
    project(backend, P::Down, act, d, d_act, Mode::Overwrite);
    backend.launch(swiglu::Backward { dh: d_act, gate, up });
    backend.launch(rms_norm::Apply { x: m, w: layer.norm2.w, rstd: rstd2, y: h });
    project(backend, P::Gate, h, gate, dh, Mode::Overwrite);
    project(backend, P::Up, h, up, dh, Mode::Add);
    let (w, dw) = (layer.norm2.w, layer.norm2.dw);
    backend.launch(rms_norm::Backward { x: m, w, rstd: rstd2, dy: dh, dx: d, dw });
    // The attention.
    project(backend, P::O, o, d, d_o, Mode::Overwrite);
    let forward = attention_forward(model, saved, flow);
    backend.launch(attention::Backward { forward, d_o, dq, dk, dv });
    rotate(backend, model, flow, dq, Direction::Backward);
    rotate(backend, model, flow, dk, Direction::Backward);
    backend.launch(rms_norm::Apply { x, w: layer.norm1.w, rstd: rstd1, y: h });
    project(backend, P::Q, h, dq, dh, Mode::Overwrite);
    project(backend, P::K, h, dk, dh, Mode::Add);
    project(backend, P::V, h, dv, dh, Mode::Add);
    let (w, dw) = (layer.norm1.w, layer.norm1.dw);
    backend.launch(rms_norm::Backward { x, w, rstd: rstd1, dy: dh, dx: d, dw });
}

/// The final norm: `h = norm(x)`.
pub(crate) fn normed_head<B: Backend>(backend: &mut B, model: &Model, x: Buf, h: Buf, rstd: Buf) {
    backend.launch(rms_norm::Forward {
        x,
        w: model.norm.w,
        y: h,
        rstd,
        eps: model.spec.config.eps,
    });
}

fn rotate<B: Backend>(backend: &mut B, model: &Model, flow: &Flow, x: Buf, direction: Direction) {
    let head_dim = model.spec.config.head_dim;
    let (positions, table) = (flow.positions, model.rope_table);
    backend.launch(Rotate { x, positions, table, head_dim, direction });
}

fn attention_forward(model: &Model, saved: &Saved, flow: &Flow) -> attention::Forward {
    attention::Forward {
        q: saved.q,
        k: saved.k,
        v: saved.v,
        window: flow.window,
        o: saved.o,
        lse: saved.lse,
        heads: model.heads(),
        numerics: model.spec.numerics,
    }
}
