//! The buffers that a block computes in: what its backward reads, and scratch.
//!
//! Rows go through norms and the MLP in tiles, so that what is wide (F) or read once (a normed input)
//! exists for a tile of rows only. Every tile is the same launches on other rows: all results but the
//! gradients of weights, which are added tile by tile, are independent of its size.

use super::Model;
use crate::Config;
use crate::step::Pass;
use ops::attention::cache_type;
use ops::{Backend, Buf, DType, Space};

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
    /// (N,H,D); in the backward, scratch once the attention is done.
    pub(crate) o: Buf,
    /// (N,H).
    pub(crate) lse: Buf,
    /// (N,C) between the two halves; in the backward, scratch once the MLP is done. Without a backward the
    /// place of x.
    pub(crate) m: Buf,
    /// (N).
    pub(crate) rstd2: Buf,
    /// (N,F) gate and up; where they are not saved, the backward computes them tile by tile.
    pub(crate) mlp: Option<[Buf; 2]>,
}

/// How much of a block there is a backward for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// None: what flows on may take the place of what it came from.
    Nothing,
    /// All but gate and up.
    Halves,
    /// All of it.
    Mlp,
}

impl Saved {
    /// Lays out a set of `n` rows.
    pub(crate) fn layout<B: Backend>(
        backend: &mut B,
        model: &Model,
        n: usize,
        kept: Kept,
    ) -> Saved {
        let kv = sizes(model.config(), n).kv;
        let cache = cache_type(model.spec.numerics);
        let mut alloc = |dtype, len| backend.alloc("activations", Space::Device, dtype, len);
        let [k, v] = [alloc(cache, kv), alloc(cache, kv)];
        Saved::layout_around(backend, model.config(), n, [k, v], kept)
    }

    /// Lays out a set of `n` rows whose k and v live elsewhere.
    pub(crate) fn layout_around<B: Backend>(
        backend: &mut B,
        config: &Config,
        n: usize,
        [k, v]: [Buf; 2],
        kept: Kept,
    ) -> Saved {
        let values = backend.target().activation();
        let mut alloc = |dtype, len| backend.alloc("activations", Space::Device, dtype, len);
        let Sizes { c, q, f, heads, .. } = sizes(config, n);
        let x = alloc(values, c);
        Saved {
            x,
            rstd1: alloc(DType::F32, n),
            q: alloc(values, q),
            k,
            v,
            o: alloc(values, q),
            lse: alloc(DType::F32, heads),
            m: if kept == Kept::Nothing { x } else { alloc(values, c) },
            rstd2: alloc(DType::F32, n),
            mlp: (kept == Kept::Mlp).then(|| [alloc(values, f), alloc(values, f)]),
        }
    }

    /// Its buffers, in the order of [`Saved::pinned`].
    pub(crate) fn list(&self) -> impl Iterator<Item = Buf> {
        let Saved { x, rstd1, q, k, v, o, lse, m, rstd2, mlp } = *self;
        [x, rstd1, q, k, v, o, lse, m, rstd2].into_iter().chain(mlp.into_iter().flatten())
    }

    pub(crate) fn map(&self, f: impl Fn(Buf) -> Buf) -> Saved {
        let Saved { x, rstd1, q, k, v, o, lse, m, rstd2, mlp } = *self;
        let [x, rstd1, q, k, v, o, lse, m, rstd2] = [x, rstd1, q, k, v, o, lse, m, rstd2].map(&f);
        Saved { x, rstd1, q, k, v, o, lse, m, rstd2, mlp: mlp.map(|pair| pair.map(&f)) }
    }

    /// Pinned copies of a whole set of `n` rows.
    pub(crate) fn pinned<B: Backend>(backend: &mut B, model: &Model, n: usize) -> Vec<Buf> {
        let values = backend.target().activation();
        let cache = cache_type(model.spec.numerics);
        let Sizes { c, q, f, kv, heads } = sizes(model.config(), n);
        let order = [
            (values, c),
            (DType::F32, n),
            (values, q),
            (cache, kv),
            (cache, kv),
            (values, q),
            (DType::F32, heads),
            (values, c),
            (DType::F32, n),
            (values, f),
            (values, f),
        ];
        order.map(|(dtype, len)| backend.alloc("offloaded", Space::Pinned, dtype, len)).to_vec()
    }
}

/// Scratch that lives within a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Temporaries {
    /// Rows of a tile.
    tile: usize,
    /// (tile,C) normed input of the projections.
    h: Buf,
    /// (tile,Hkv,D) k before it is stored; with gradients (N,Hkv,D), dk in the backward.
    pub(crate) kv: Buf,
    /// (tile,Hkv,D) v before it is stored; none with gradients, where it takes the place of dv.
    v: Option<Buf>,
    /// (tile,F) swiglu(g, u).
    act: Buf,
    /// (tile,F) gate and up of blocks that do not save them.
    mlp: Option<[Buf; 2]>,
    /// The backward's own.
    pub(crate) gradients: Option<Gradients>,
}

/// Scratch of the backward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gradients {
    /// (tile,C).
    dh: Buf,
    /// (tile,F).
    d_act: Buf,
    /// (N,H,D); none where it has the size of [`Saved::m`], whose place it takes.
    pub(crate) d_o: Option<Buf>,
    /// (N,H,D).
    pub(crate) dq: Buf,
    /// (N,Hkv,D).
    pub(crate) dv: Buf,
}

/// What scratch is laid out for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// N.
    pub(crate) tokens: usize,
    /// Rows of a tile, at most N.
    pub(crate) tile: usize,
    /// Whether there are blocks that do not save gate and up.
    pub(crate) with_mlp: bool,
    pub(crate) pass: Pass,
}

impl Temporaries {
    /// Lays out a block's scratch.
    pub(crate) fn layout<B: Backend>(
        backend: &mut B,
        config: &Config,
        extent: Extent,
    ) -> Temporaries {
        let Extent { tokens, tile, with_mlp, pass } = extent;
        let (all, part) = (sizes(config, tokens), sizes(config, tile));
        let values = backend.target().activation();
        let mut alloc = |len| backend.alloc("temporaries", Space::Device, values, len);
        let trains = pass == Pass::Gradients;
        Temporaries {
            tile,
            h: alloc(part.c),
            kv: alloc(if trains { all.kv } else { part.kv }),
            v: (!trains).then(|| alloc(part.kv)),
            act: alloc(part.f),
            mlp: with_mlp.then(|| [alloc(part.f), alloc(part.f)]),
            gradients: trains.then(|| Gradients {
                dh: alloc(part.c),
                d_act: alloc(part.f),
                d_o: (all.q != all.c).then(|| alloc(all.q)),
                dq: alloc(all.q),
                dv: alloc(all.kv),
            }),
        }
    }

    /// The same with what has N rows cut by `f`.
    pub(crate) fn cut(&self, f: &impl Fn(Buf) -> Buf) -> Temporaries {
        let gradients =
            self.gradients.map(|g| Gradients { d_o: g.d_o.map(f), dq: f(g.dq), dv: f(g.dv), ..g });
        let kv = if gradients.is_some() { f(self.kv) } else { self.kv };
        Temporaries { kv, gradients, ..*self }
    }

    /// The tiles of `n` rows, in order.
    pub(crate) fn tiles(&self, n: usize) -> impl Iterator<Item = Tile> + use<> {
        let temporaries = *self;
        (0..n).step_by(self.tile).map(move |start| {
            let count = temporaries.tile.min(n - start);
            Tile { temporaries, n, start, count }
        })
    }
}

/// Some of the rows, and scratch for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile {
    temporaries: Temporaries,
    /// All rows.
    n: usize,
    start: usize,
    count: usize,
}

impl Tile {
    /// Its rows of a buffer of all rows.
    pub(crate) fn rows(&self, buf: Buf) -> Buf {
        let row = buf.len / self.n;
        buf.slice(self.start * row, self.count * row)
    }

    fn scratch(&self, buf: Buf) -> Buf {
        buf.slice(0, buf.len / self.temporaries.tile * self.count)
    }

    /// (count,C).
    pub(crate) fn h(&self) -> Buf {
        self.scratch(self.temporaries.h)
    }

    /// (count,Hkv,D) k and v, of rows of `row` elements.
    pub(crate) fn kv(&self, row: usize) -> [Buf; 2] {
        let Temporaries { kv, v, gradients, .. } = self.temporaries;
        let v = v.or(gradients.map(|it| it.dv)).expect("laid out with or without gradients");
        [kv, v].map(|buf| buf.slice(0, self.count * row))
    }

    /// (count,F).
    pub(crate) fn act(&self) -> Buf {
        self.scratch(self.temporaries.act)
    }

    /// (count,F) gate and up: saved ones, or scratch.
    pub(crate) fn mlp(&self, saved: &Saved) -> [Buf; 2] {
        match (saved.mlp, self.temporaries.mlp) {
            (Some(pair), _) => pair.map(|buf| self.rows(buf)),
            (None, Some(pair)) => pair.map(|buf| self.scratch(buf)),
            (None, None) => unreachable!("laid out for blocks that do not save them"),
        }
    }

    /// (count,C) dh and (count,F) d_act.
    pub(crate) fn gradients(&self) -> [Buf; 2] {
        let gradients = self.temporaries.gradients.expect("laid out for training");
        [gradients.dh, gradients.d_act].map(|buf| self.scratch(buf))
    }
}

/// Elements of `n` rows.
struct Sizes {
    /// (N,C).
    c: usize,
    /// (N,H,D).
    q: usize,
    /// (N,F).
    f: usize,
    /// (N,Hkv,D).
    kv: usize,
    /// (N,H).
    heads: usize,
}

fn sizes(config: &Config, n: usize) -> Sizes {
    let Config { hidden, ffn, heads, kv_heads, head_dim, .. } = *config;
    Sizes {
        c: n * hidden,
        q: n * heads * head_dim,
        f: n * ffn,
        kv: n * kv_heads * head_dim,
        heads: n * heads,
    }
}
