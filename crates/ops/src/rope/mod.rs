//! Rotary positions, half-split: for i < D/2, with the angle θ = p · f_i of position p,
//! ```text
//!   y[i]       = x[i] cos θ - x[i + D/2] sin θ
//!   y[i + D/2] = x[i + D/2] cos θ + x[i] sin θ
//! ```
//!
//! x (N,H,D) f32, in place · positions (N) u32 · table (P,D) f32: cos of the D/2 angles, then sin.
//! backward: the rotation by -θ. Bound: memory.
//! [`Place`] turns q and k, and puts k and v into their rows of the cache (S,Hkv,D), in its type.
//!
//! f_i = base^(-2i/D); with llama3 scaling, wavelengths beyond `original / low` are divided by
//! `factor`, those below `original / high` stay, and between them a linear blend (Llama 3.1 release,
//! as in transformers' `rope_utils`).

mod cpu;
mod cuda;

#[cfg(test)]
mod tests;

use crate::attention::Store;
use crate::{Access, Buf, Cost, Launches, Op, Target};

/// The llama3 scaling of frequencies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// Divisor of the low frequencies.
    pub factor: f32,
    /// Wavelengths above `original_context / low` are scaled.
    pub low: f32,
    /// Wavelengths below `original_context / high` are not.
    pub high: f32,
    /// Tokens of context the model was first trained with.
    pub original_context: usize,
}

/// Which way to turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// By θ.
    Forward,
    /// By -θ: the backward pass.
    Backward,
}

/// The rotation, in place.
#[derive(Clone, Copy, Debug)]
pub struct Rotate {
    /// (N,H,D) f32.
    pub x: Buf,
    /// (N) u32, each below P.
    pub positions: Buf,
    /// (P,D) f32 from [`table`].
    pub table: Buf,
    /// D.
    pub head_dim: usize,
    /// Which way.
    pub direction: Direction,
}

/// q turned in place; k turned and v as it is, each in its row of the cache. What k holds then is nobody's.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// (N,H,D) f32.
    pub q: Buf,
    /// (N,Hkv,D) f32.
    pub k: Buf,
    /// (N,Hkv,D) f32.
    pub v: Buf,
    /// (N) u32, each below P.
    pub positions: Buf,
    /// (P,D) f32 from [`table`].
    pub table: Buf,
    /// (N) u32: the row of each token.
    pub rows: Buf,
    /// (S,Hkv,D) in the cache type.
    pub keys: Buf,
    /// (S,Hkv,D) in the cache type.
    pub values: Buf,
    /// D.
    pub head_dim: usize,
}

impl Place {
    fn turns(&self) -> [Rotate; 2] {
        let Place { positions, table, head_dim, .. } = *self;
        let direction = Direction::Forward;
        [self.q, self.k].map(|x| Rotate { x, positions, table, head_dim, direction })
    }

    fn stores(&self) -> [Store; 2] {
        let Place { k, v, rows, keys, values, .. } = *self;
        [(k, keys), (v, values)].map(|(from, to)| Store { from, to, rows })
    }
}

impl Op for Place {
    const NAME: &'static str = "rope.place";

    fn cost(&self, target: &Target) -> Cost {
        let mut total = self.stores()[1].cost(target);
        self.turns().iter().for_each(|turn| total.follow(turn.cost(target)));
        total
    }

    fn cpu(&self, memory: &mut Access<'_>, workspace: Buf) {
        for turn in self.turns() {
            turn.cpu(memory, workspace);
            memory.renew();
        }
        for store in self.stores() {
            store.cpu(memory, workspace);
            memory.renew();
        }
    }

    fn cuda(&self, on: &mut Launches<'_>, _workspace: Buf) {
        cuda::place(self, on);
    }
}

impl Op for Rotate {
    const NAME: &'static str = "rope.rotate";

    fn cost(&self, _target: &Target) -> Cost {
        let bytes = self.x.bytes() as u64;
        Cost { read: bytes, written: bytes, flops: 3 * self.x.len as u64, ..Cost::default() }
    }

    fn cpu(&self, memory: &mut Access<'_>, _workspace: Buf) {
        cpu::rotate(self, memory);
    }

    fn cuda(&self, on: &mut Launches<'_>, _workspace: Buf) {
        cuda::rotate(self, on);
    }
}

/// The D/2 frequencies, in f32 as transformers computes them.
pub fn frequencies(head_dim: usize, base: f32, scaling: Option<Scaling>) -> Vec<f32> {
    let plain = (0..head_dim / 2).map(|i| {
        let exponent = (2 * i) as f32 / head_dim as f32;
        1.0 / libm::pow(f64::from(base), f64::from(exponent)) as f32
    });
    let Some(Scaling { factor, low, high, original_context }) = scaling else {
        return plain.collect();
    };
    let original = original_context as f32;
    let scaled = plain.map(|f| {
        let wavelength = 2.0 * std::f32::consts::PI / f;
        if wavelength > original / low {
            f / factor
        } else if wavelength < original / high {
            f
        } else {
            let smooth = (original / wavelength - low) / (high - low);
            (1.0 - smooth) * (f / factor) + smooth * f
        }
    });
    scaled.collect()
}

/// The table (P,D) of `positions` rows: cos of the D/2 angles, then their sin.
///
/// The angle is an f32 product, as in transformers; its cosine and sine are rounded once from f64.
pub fn table(frequencies: &[f32], positions: usize) -> Vec<f32> {
    let mut table = Vec::with_capacity(positions * frequencies.len() * 2);
    for p in 0..positions {
        let angles = frequencies.iter().map(|f| f64::from(p as f32 * f));
        table.extend(angles.clone().map(|angle| libm::cos(angle) as f32));
        table.extend(angles.map(|angle| libm::sin(angle) as f32));
    }
    table
}
