//! Encoding into the formats that are written: floats, `Q8_0`, `Q4_K` and `Q6_K`.
//!
//! A block of the `K` formats is found by search: for some steps around the one that spans the values,
//! the codes are rounded, the scales that fit these codes best are solved for (weighted least
//! squares, large weights counting more), and the best pair is kept; then the scales themselves are
//! rounded to 6 or 8 bits and the codes rounded once more, to what the scales decode to.

use super::{Format, GROUP};
use crate::Error;
use half::{bf16, f16};
use rayon::prelude::*;

/// Weights without blocks that one task encodes.
const STRETCH: usize = 1 << 14;
/// Steps that are tried on either side.
const TRIES: i32 = 6;
/// How far a try moves the largest code.
const TRY: f32 = 0.2;
/// Weights of a group of `Q6_K` with a scale of its own.
const SIXTEEN: usize = 16;

/// Encodes whole blocks, on all threads of the current pool, with the same bits for any number of
/// them.
///
/// # Errors
/// [`Error::NotFinite`] naming the first NaN or infinity, [`Error::TooLarge`] naming a value beyond
/// what the format can hold; `out` is then partly written.
///
/// # Panics
/// Unless `values` are whole blocks of a format that is written, and `out` has their bytes.
pub fn encode(format: Format, values: &[f32], out: &mut [u8]) -> Result<(), Error> {
    let (weights, size) = format.block();
    assert!(values.len().is_multiple_of(weights), "ggml: not whole blocks");
    assert_eq!(out.len(), values.len() / weights * size, "ggml: the bytes of the blocks");
    let bad = |value: &f32| !value.is_finite();
    if let Some(index) = values.par_iter().position_first(bad) {
        return Err(Error::NotFinite { index, value: values[index] });
    }
    // Weights without blocks are taken in stretches, which are worth a task.
    let many = if weights == 1 { STRETCH } else { 1 };
    let parts = values.par_chunks(many * weights).zip(out.par_chunks_mut(many * size));
    parts.for_each(|(values, out)| match format {
        Format::F32 => {
            for (out, value) in out.as_chunks_mut::<4>().0.iter_mut().zip(values) {
                *out = value.to_le_bytes();
            }
        }
        Format::F16 => halves(values, out, |value| f16::from_f32(value).to_le_bytes()),
        Format::Bf16 => halves(values, out, |value| bf16::from_f32(value).to_le_bytes()),
        Format::Q8_0 => q8_0(values, out),
        Format::Q4K => q4_k(values, out),
        Format::Q6K => q6_k(values, out),
        Format::Q4_0 | Format::Q4_1 | Format::Q5_0 | Format::Q5_1 | Format::Q5K => {
            panic!("ggml: {} is not written", format.name())
        }
    });
    // A half ends at 65504.
    let scales = |block: &[u8]| -> bool {
        let half = |at: usize| f16::from_le_bytes([block[at], block[at + 1]]).is_finite();
        match format {
            Format::F16 | Format::Q8_0 => half(0),
            Format::Q4K => half(0) && half(2),
            Format::Q6K => half(208),
            _ => true,
        }
    };
    match out.par_chunks(size).position_first(|block| !scales(block)) {
        None => Ok(()),
        Some(block) => {
            let first = block * weights;
            let larger = |&a: &usize, &b: &usize| values[a].abs().total_cmp(&values[b].abs());
            let index = (first..first + weights).max_by(larger).unwrap_or(first);
            Err(Error::TooLarge { index, value: values[index], format: format.name() })
        }
    }
}

fn halves(values: &[f32], out: &mut [u8], half: impl Fn(f32) -> [u8; 2]) {
    for (out, value) in out.as_chunks_mut::<2>().0.iter_mut().zip(values) {
        *out = half(*value);
    }
}

fn q8_0(values: &[f32], out: &mut [u8]) {
    let most = values.iter().fold(0.0_f32, |most, it| most.max(it.abs()));
    let d = most / 127.0;
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    out[..2].copy_from_slice(&f16::from_f32(d).to_le_bytes());
    for (out, value) in out[2..].iter_mut().zip(values) {
        *out = (value * inverse).round() as i8 as u8;
    }
}

/// What a group is rounded with: value ≈ scale · code - minimum.
#[derive(Clone, Copy, Default)]
struct Affine {
    scale: f32,
    minimum: f32,
}

impl Affine {
    /// The codes of values, of 4 bits, as floats.
    fn codes(self, values: &[f32; GROUP]) -> [f32; GROUP] {
        let inverse = if self.scale == 0.0 { 0.0 } else { 1.0 / self.scale };
        let code =
            |value: f32| ((value + self.minimum) * inverse).round_ties_even().clamp(0.0, 15.0);
        values.map(code)
    }

    /// The best found for a group.
    fn best(values: &[f32; GROUP]) -> Affine {
        let low = values.iter().fold(0.0_f32, |low, it| low.min(*it));
        let high = values.iter().fold(low, |high, it| high.max(*it));
        if high <= low {
            return Affine { scale: 0.0, minimum: -low };
        }
        let mean = (values.iter().map(|it| it * it).sum::<f32>() / values.len() as f32).sqrt();
        let weights = values.map(|value| mean + value.abs());
        let error = |affine: Affine| -> f32 {
            let mut sum = 0.0;
            for ((code, value), weight) in affine.codes(values).iter().zip(values).zip(&weights) {
                let off = affine.scale * code - affine.minimum - value;
                sum += weight * off * off;
            }
            sum
        };
        let mut best = Affine { scale: (high - low) / 15.0, minimum: -low };
        let mut least = error(best);
        for step in -TRIES..=TRIES {
            let start = Affine { scale: (high - low) / (15.0 + TRY * step as f32), minimum: -low };
            let fitted = start.fitted(values, &weights);
            let found = error(fitted);
            if found < least {
                (best, least) = (fitted, found);
            }
        }
        best
    }

    /// Scale and minimum that fit the codes of `self` best.
    fn fitted(self, values: &[f32; GROUP], weights: &[f32; GROUP]) -> Affine {
        let [mut w, mut l, mut l2, mut x, mut xl] = [0.0_f32; 5];
        for ((code, value), weight) in self.codes(values).iter().zip(values).zip(weights) {
            w += weight;
            l += weight * code;
            l2 += weight * code * code;
            x += weight * value;
            xl += weight * code * value;
        }
        let determinant = w * l2 - l * l;
        if determinant <= 0.0 {
            return self;
        }
        let scale = (w * xl - x * l) / determinant;
        let minimum = (l * xl - l2 * x) / determinant;
        match (scale > 0.0, minimum >= 0.0) {
            (true, true) => Affine { scale, minimum },
            // What is taken away cannot be negative: a line through zero then.
            (true, false) if l2 > 0.0 && xl > 0.0 => Affine { scale: xl / l2, minimum: 0.0 },
            _ => self,
        }
    }
}

/// A number of 6 bits times what it counts.
fn six_bits(value: f32, unit: f32) -> u8 {
    if unit == 0.0 { 0 } else { (value / unit).round_ties_even().clamp(0.0, 63.0) as u8 }
}

fn q4_k(values: &[f32], out: &mut [u8]) {
    let groups = values.as_chunks::<GROUP>().0;
    let found: Vec<Affine> = groups.iter().map(Affine::best).collect();
    let most = |of: fn(&Affine) -> f32| found.iter().map(of).fold(0.0, f32::max);
    let [d, m] = [most(|it| it.scale), most(|it| it.minimum)].map(|it| f16::from_f32(it / 63.0));
    out[..2].copy_from_slice(&d.to_le_bytes());
    out[2..4].copy_from_slice(&m.to_le_bytes());
    let (d, m) = (d.to_f32(), m.to_f32());
    let (head, codes) = out.split_at_mut(16);
    let packed = &mut head[4..];
    packed.fill(0);
    codes.fill(0);
    for (index, (group, affine)) in groups.iter().zip(&found).enumerate() {
        let (scale, minimum) = (six_bits(affine.scale, d), six_bits(affine.minimum, m));
        if index < 4 {
            packed[index] |= scale;
            packed[index + 4] |= minimum;
        } else {
            packed[index + 4] = (scale & 15) | minimum << 4;
            packed[index - 4] |= scale >> 4 << 6;
            packed[index] |= minimum >> 4 << 6;
        }
        let rounded = Affine { scale: d * f32::from(scale), minimum: m * f32::from(minimum) };
        let codes = &mut codes[index / 2 * GROUP..][..GROUP];
        for (byte, code) in codes.iter_mut().zip(rounded.codes(group)) {
            *byte |= (code as u8) << (index % 2 * 4);
        }
    }
}

/// The code of a value, of 6 bits.
fn signed(value: f32, scale: f32) -> i8 {
    if scale == 0.0 { 0 } else { (value / scale).round_ties_even().clamp(-32.0, 31.0) as i8 }
}

/// The best scale of a symmetric group; the code -32 is the value that is largest without its sign.
fn best_scale(values: &[f32]) -> f32 {
    let largest = values.iter().fold(0.0_f32, |a, b| if b.abs() > a.abs() { *b } else { a });
    if largest == 0.0 {
        return 0.0;
    }
    let (mut best, mut most) = (-largest / 32.0, 0.0_f32);
    for step in -TRIES..=TRIES {
        let start = -largest / (32.0 + TRY * step as f32);
        let [mut xl, mut l2] = [0.0_f32; 2];
        for &value in values {
            let (weight, code) = (value * value, f32::from(signed(value, start)));
            xl += weight * value * code;
            l2 += weight * code * code;
        }
        // The weighted error is a constant less this.
        if l2 > 0.0 && xl * xl > most * l2 {
            (best, most) = (xl / l2, xl * xl / l2);
        }
    }
    best
}

fn q6_k(values: &[f32], out: &mut [u8]) {
    let groups = values.as_chunks::<SIXTEEN>().0;
    let found: Vec<f32> = groups.iter().map(|group| best_scale(group)).collect();
    let largest = found.iter().fold(0.0_f32, |a, b| if b.abs() > a.abs() { *b } else { a });
    let d = f16::from_f32(-largest / 128.0);
    out.fill(0);
    out[208..].copy_from_slice(&d.to_le_bytes());
    let d = d.to_f32();
    for (index, (group, scale)) in groups.iter().zip(&found).enumerate() {
        let scale = if d == 0.0 { 0.0 } else { (scale / d).round_ties_even().clamp(-128.0, 127.0) };
        out[192 + index] = scale as i8 as u8;
        for (i, &value) in group.iter().enumerate() {
            let code = (signed(value, d * scale) + 32) as u8;
            let at = index * SIXTEEN + i;
            let (part, quarter, i) = (at / 128, at % 128 / GROUP, at % GROUP);
            out[part * 64 + quarter % 2 * GROUP + i] |= (code & 15) << (quarter / 2 * 4);
            out[128 + part * GROUP + i] |= code >> 4 << (quarter * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SUPER;
    use super::*;

    /// Seeded values as weights are: a normal by twelve uniforms, some of them large.
    fn weights(count: usize) -> Vec<f32> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        let normal =
            |uniform: &mut dyn FnMut() -> f32| (0..12).map(|_| uniform()).sum::<f32>() - 6.0;
        let mut values: Vec<f32> = (0..count).map(|_| 0.02 * normal(&mut uniform)).collect();
        values.iter_mut().step_by(97).for_each(|value| *value *= 6.0);
        values
    }

    fn error(format: Format, values: &[f32], bytes: &[u8]) -> f64 {
        let mut decoded = vec![0.0; values.len()];
        format.decode(bytes, 0, &mut decoded);
        values.iter().zip(&decoded).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
    }

    /// candle's encoders follow ggml's: ours are no worse.
    #[test]
    fn errors_are_no_larger_than_those_of_candle() {
        use candle_core::quantized::{GgmlDType, QTensor};
        use candle_core::{Device, Tensor};
        let values = weights(64 * SUPER);
        for (format, theirs) in [
            (Format::Q8_0, GgmlDType::Q8_0),
            (Format::Q4K, GgmlDType::Q4K),
            (Format::Q6K, GgmlDType::Q6K),
        ] {
            let mut bytes = vec![0; format.bytes([64, SUPER]).unwrap()];
            encode(format, &values, &mut bytes).unwrap();
            let tensor = Tensor::from_slice(&values, (64, SUPER), &Device::Cpu).unwrap();
            let theirs = QTensor::quantize(&tensor, theirs).unwrap().data().unwrap().into_owned();
            let (own, other) = (error(format, &values, &bytes), error(format, &values, &theirs));
            assert!(own <= 1.01 * other, "{}: {own} of {other}", format.name());
        }
    }

    #[test]
    fn odd_blocks_are_encoded_as_well_as_any() {
        for format in
            [Format::F32, Format::F16, Format::Bf16, Format::Q8_0, Format::Q4K, Format::Q6K]
        {
            for values in [
                vec![0.0; SUPER],
                vec![0.25; SUPER],
                vec![-0.25; SUPER],
                (0..SUPER).map(|i| if i == 77 { 3.0 } else { 0.0 }).collect(),
                (0..SUPER).map(|i| i as f32 * 1e-6).collect(),
                (0..SUPER).map(|i| -(i as f32)).collect(),
            ] {
                let mut bytes = vec![0; format.bytes([1, SUPER]).unwrap()];
                encode(format, &values, &mut bytes).unwrap();
                let norm = values.iter().map(|it| f64::from(*it).powi(2)).sum::<f64>().sqrt();
                let most = if format == Format::Q4K { 0.05 } else { 0.02 };
                let off = error(format, &values, &bytes);
                assert!(off <= most * norm + 1e-6, "{}: {off} of {norm}", format.name());
            }
        }
    }

    #[test]
    fn what_a_format_cannot_hold_is_refused() {
        let mut values = vec![1.0; 2 * SUPER];
        let mut bytes = vec![0; Format::Q4K.bytes([2, SUPER]).unwrap()];
        values[300] = f32::NAN;
        let refused = encode(Format::Q4K, &values, &mut bytes);
        assert!(matches!(refused, Err(Error::NotFinite { index: 300, .. })), "{refused:?}");
        values[300] = 1e30;
        let refused = encode(Format::Q4K, &values, &mut bytes);
        assert!(matches!(refused, Err(Error::TooLarge { index: 300, .. })), "{refused:?}");
    }
}
