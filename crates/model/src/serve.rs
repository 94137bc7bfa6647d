//! Serving passes over a KV cache: prefill in any chunks, decode of several sequences, or both at
//! once. The same block as in training, and so the same bits.

use crate::llama::{Extent, Flow, Kept, Output, Saved, Temporaries, forward, normed_head};
use crate::step::{Pass, head_logits};
use crate::{Model, Result};
use ops::attention::{Window, cache_type};
use ops::qlinear::Storage;
use ops::{Backend, Buf, DType, Space, embed, residual};

/// Keys and values of every sequence: per block (slots · context, Hkv, D) in the cache type.
#[derive(Clone, Debug)]
pub struct Cache {
    layers: Vec<[Buf; 2]>,
    slots: usize,
    context: usize,
}

impl Cache {
    /// Lays out room for `slots` sequences of at most `context` tokens.
    pub fn layout<B: Backend>(
        backend: &mut B,
        model: &Model,
        slots: usize,
        context: usize,
    ) -> Cache {
        assert!(context <= model.spec.positions, "the rotary table covers the context");
        let config = model.config();
        let len = slots * context * config.kv_heads * config.head_dim;
        let dtype = cache_type(model.spec.numerics);
        let layers = (0..config.layers)
            .map(|_| [0, 1].map(|_| backend.alloc("kv cache", Space::Device, dtype, len)))
            .collect();
        Cache { layers, slots, context }
    }

    /// Gives slot `to` the first `tokens` tokens of slot `from`, as if it had read them itself.
    ///
    /// # Panics
    /// When a slot or the tokens lie outside of the cache.
    pub fn copy<B: Backend>(&self, backend: &mut B, from: u32, to: u32, tokens: usize) {
        assert!(tokens <= self.context && from.max(to) < self.slots as u32, "{from} to {to}");
        if tokens == 0 || from == to {
            return;
        }
        for &buf in self.layers.iter().flatten() {
            let row = buf.len / (self.slots * self.context);
            let rows = |slot: u32| buf.slice(slot as usize * self.context * row, tokens * row);
            backend.launch(residual::Copy { from: rows(from), to: rows(to) });
        }
    }

    /// Sequences that it holds.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Tokens per sequence.
    pub fn context(&self) -> usize {
        self.context
    }
}

/// One token of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: u32,
    /// Its sequence's slot in the cache.
    pub slot: u32,
    /// Its position; every earlier one is in the cache, or earlier in the same pass.
    pub position: u32,
}

/// A laid-out serving pass.
#[derive(Clone, Debug)]
pub struct Serve {
    tokens: usize,
    wanted: usize,
    /// (5 T + W) u32, written at once: ids, positions, rows, first and visible rows of T tokens, and last the W picks.
    numbers: Buf,
    ids: Buf,
    flow: Flow,
    saved: Saved,
    temporaries: Temporaries,
    /// (W) u32: tokens whose logits are wanted.
    picks: Buf,
    /// (W,C).
    picked: Buf,
    /// (W,C).
    normed: Buf,
    /// (W).
    rstd: Buf,
    /// (W,V).
    logits: Buf,
    /// The numbers on their way to the device, kept so that passes allocate nothing.
    host: Vec<u32>,
}

/// Numbers of a token.
const NUMBERS: usize = 5;

impl Serve {
    /// Lays out passes of at most `tokens` tokens, of which the logits of at most `wanted` are asked.
    pub fn layout<B: Backend>(
        backend: &mut B,
        model: &Model,
        cache: &Cache,
        tokens: usize,
        wanted: usize,
    ) -> Serve {
        let config = model.config();
        let (c, v) = (config.hidden, config.vocab);
        let saved = Saved::layout_around(backend, config, tokens, cache.layers[0], Kept::Nothing);
        let extent = Extent { tokens, tile: tokens, with_mlp: true, pass: Pass::Loss };
        let temporaries = Temporaries::layout(backend, config, extent);
        let values = backend.target().activation();
        let mut alloc = |label, dtype, len| backend.alloc(label, Space::Device, dtype, len);
        let numbers = alloc("numbers of a pass", DType::U32, NUMBERS * tokens + wanted);
        let part = |index| numbers.slice(index * tokens, tokens);
        let flow = Flow {
            positions: part(1),
            rows: part(2),
            window: Window { first: part(3), visible: part(4), most: cache.context },
        };
        Serve {
            tokens,
            wanted,
            numbers,
            ids: part(0),
            flow,
            saved,
            temporaries,
            picks: numbers.slice(NUMBERS * tokens, wanted),
            picked: alloc("picked", values, wanted * c),
            normed: alloc("picked, normed", values, wanted * c),
            rstd: alloc("rstd", DType::F32, wanted),
            logits: alloc("logits", DType::F32, wanted * v),
            host: vec![0; NUMBERS * tokens + wanted],
        }
    }

    /// Most tokens of a pass.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Most logits rows of a pass.
    pub fn wanted(&self) -> usize {
        self.wanted
    }

    /// Runs `tokens` and writes the logits (W,V) after the tokens at indices `picks` to `logits`.
    ///
    /// # Errors
    /// What the backend reports.
    ///
    /// # Panics
    /// When the pass is larger than the layout, or a token lies outside of the cache or vocabulary.
    pub fn run<B: Backend>(
        &mut self,
        backend: &mut B,
        model: &Model,
        cache: &Cache,
        tokens: &[Token],
        (picks, logits): (&[u32], &mut [f32]),
    ) -> Result<()> {
        let (n, w) = (tokens.len(), picks.len());
        assert!(n > 0 && n <= self.tokens && w <= self.wanted, "a pass of {n} tokens, {w} wanted");
        self.gather(model, cache, tokens, picks);
        backend.write(self.numbers, &self.host);
        let cut = |buf: Buf| buf.slice(0, buf.len / self.tokens * n);
        let flow = Flow {
            positions: cut(self.flow.positions),
            rows: cut(self.flow.rows),
            window: Window {
                first: cut(self.flow.window.first),
                visible: cut(self.flow.window.visible),
                most: cache.context,
            },
        };
        let temporaries = self.temporaries.cut(&cut);
        let (c, v) = (model.config().hidden, model.config().vocab);
        let pick = |buf: Buf| buf.slice(0, buf.len / self.wanted * w);
        backend.gather();
        let x = cut(self.saved.x);
        backend.launch(embed::Forward { ids: cut(self.ids), table: model.embedding, y: x, c });
        for (layer, [k, v]) in model.layers.iter().zip(&cache.layers) {
            let around = Saved { k: self.ids, v: self.ids, ..self.saved };
            let saved = Saved { k: *k, v: *v, ..around.map(cut) };
            let output = Output { y: x, after: None };
            forward(backend, model, layer, &saved, (&flow, &temporaries), Some(output));
        }
        if w > 0 {
            let (ids, y, normed) = (pick(self.picks), pick(self.picked), pick(self.normed));
            // A gather of rows is an embedding whose table is the residual stream.
            backend.launch(embed::Forward { ids, table: Storage::Dense(x), y, c });
            normed_head(backend, model, y, normed, pick(self.rstd));
            head_logits(backend, model, normed, pick(self.logits));
        }
        backend.go();
        if w > 0 {
            backend.read(self.logits, &mut logits[..w * v]);
        }
        backend.finish()?;
        Ok(())
    }

    /// Puts a pass's numbers in their places.
    fn gather(&mut self, model: &Model, cache: &Cache, tokens: &[Token], picks: &[u32]) {
        let (rows, most) = (cache.context as u32, self.tokens);
        for (index, token) in tokens.iter().enumerate() {
            let Token { id, slot, position } = *token;
            assert!((id as usize) < model.config().vocab, "token id {id}");
            assert!(position < rows && (slot as usize) < cache.slots, "{token:?}");
            let start = slot * rows;
            let numbers = [id, position, start + position, start, position + 1];
            for (kind, number) in numbers.into_iter().enumerate() {
                self.host[kind * most + index] = number;
            }
        }
        self.host[NUMBERS * most..][..picks.len()].copy_from_slice(picks);
    }
}
