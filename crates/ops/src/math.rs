//! Elementary functions and sums with one definition, and so the same bits, on every tier.

use quant::gemm::{LANES, add_lanes};

/// Adding and subtracting it rounds to an integer (1.5 · 2^23).
const ROUND: f32 = 12_582_912.0;
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// Of the polynomial, from the seventh power on.
const TAYLOR: [f32; 8] =
    [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
/// Below, `e^x` is 0, so that it is always a normal number.
const LEAST: f32 = -87.3;
/// Above, `e^x` is infinite.
const GREATEST: f32 = 88.72;

/// `e^x` to about 2 units in the last place; below -87.3 it is 0, above 88.7 infinite, NaN for NaN.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`, and the Taylor polynomial of `e^r` to the seventh
/// power, whose remainder there is below 6e-9 relative.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Where x is far outside, everything up to the last lines is nothing, and not looked at.
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let mut p = TAYLOR[0];
    for c in &TAYLOR[1..] {
        p = p.mul_add(r, *c);
    }
    // The sum's low bits are n, and go into the exponent: the result is a normal number.
    let y = f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23));
    if x < LEAST {
        0.0
    } else if x <= GREATEST {
        y
    } else {
        x + f32::INFINITY
    }
}

/// [`exp`] of sixteen numbers, where the compiler would not find the instructions by itself.
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    use super::{GREATEST, LEAST, LN_2_HIGH, LN_2_LOW, ROUND, TAYLOR};
    use std::arch::x86_64::*;

    /// With the bits of the plain one.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn exp(x: __m512) -> __m512 {
        let round = _mm512_set1_ps(ROUND);
        let scaled = _mm512_mul_ps(x, _mm512_set1_ps(std::f32::consts::LOG2_E));
        let shifted = _mm512_add_ps(scaled, round);
        let n = _mm512_sub_ps(shifted, round);
        let r = _mm512_fmadd_ps(n, _mm512_set1_ps(-LN_2_HIGH), x);
        let r = _mm512_fmadd_ps(n, _mm512_set1_ps(-LN_2_LOW), r);
        let mut p = _mm512_set1_ps(TAYLOR[0]);
        for c in &TAYLOR[1..] {
            p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(*c));
        }
        let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
        let y = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), exponent));
        let inside = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(x, _mm512_set1_ps(GREATEST));
        let beyond = _mm512_add_ps(x, _mm512_set1_ps(f32::INFINITY));
        let y = _mm512_mask_mov_ps(beyond, inside, y);
        let vanishes = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, _mm512_set1_ps(LEAST));
        _mm512_mask_mov_ps(y, vanishes, _mm512_setzero_ps())
    }
}

/// The logistic function.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The sum of `f` of the elements at `i` of all `slices`, which are equally long: sixteen running sums,
/// element `i` in lane `i % 16`, added pairwise at the end.
#[inline(always)]
pub fn sum<const S: usize>(slices: [&[f32]; S], f: impl Fn([f32; S]) -> f32) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let split = slices.map(|slice| slice.as_chunks::<LANES>());
    for chunk in 0..split[0].0.len() {
        let lines = split.map(|(lines, _)| &lines[chunk]);
        for lane in 0..LANES {
            sums[lane] += f(lines.map(|line| line[lane]));
        }
    }
    for i in 0..split[0].1.len() {
        sums[i] += f(split.map(|(_, rest)| rest[i]));
    }
    add_lanes(&sums)
}

/// `Σ a[i] b[i]` by fused multiply-adds in sixteen lanes, as [`sum`] orders them.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
        }
    }
    for (lane, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] = a.mul_add(*b, sums[lane]);
    }
    add_lanes(&sums)
}

/// The greatest value, in sixteen lanes; NaN is passed over (it shows in every sum anyway).
#[inline(always)]
pub fn max(values: &[f32]) -> f32 {
    let mut most = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            most[lane] = if chunk[lane] > most[lane] { chunk[lane] } else { most[lane] };
        }
    }
    let all = most.into_iter().chain(rest.iter().copied());
    all.fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_everywhere() {
        for i in -8_720..8_870 {
            let x = i as f32 * 0.01 + 0.001_7;
            let want = f64::from(x).exp();
            let error = (f64::from(exp(x)) - want).abs() / want;
            assert!(error < 2.5e-7, "exp({x}): relative error {error}");
        }
        assert_eq!([exp(0.0), exp(f32::NEG_INFINITY), exp(-1e30)], [1.0, 0.0, 0.0]);
        assert_eq!([exp(f32::INFINITY), exp(1e30)], [f32::INFINITY; 2]);
        // Whatever a NaN carries in its low bits.
        assert!(
            [f32::NAN, -f32::NAN, f32::from_bits(0x7fc0_01ff)].map(exp).iter().all(|e| e.is_nan())
        );
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn sixteen_exponentials_have_the_bits_of_one() {
        use std::arch::x86_64::{_mm512_loadu_ps, _mm512_storeu_ps};
        if !crate::Isa::Avx512.available() {
            crate::skip::skip("no avx512 on this machine");
            return;
        }
        // Every 65,537th number, of both signs.
        let all: Vec<f32> = (0..=u32::MAX / 65_537).map(|i| f32::from_bits(i * 65_537)).collect();
        for values in all.as_chunks::<LANES>().0 {
            let mut got = [0.0; LANES];
            // SAFETY: the tier is there, and sixteen numbers are read.
            let x = unsafe { _mm512_loadu_ps(values.as_ptr()) };
            // SAFETY: the tier is there.
            let y = unsafe { x86::exp(x) };
            // SAFETY: the tier is there, and sixteen numbers are written.
            unsafe { _mm512_storeu_ps(got.as_mut_ptr(), y) };
            for (x, got) in values.iter().zip(got) {
                let want = exp(*x);
                assert!(
                    got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(),
                    "exp({x}): {got}, not {want}"
                );
            }
        }
    }

    #[test]
    fn sums_of_any_length() {
        for len in [0, 1, 15, 16, 17, 100] {
            let values: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let want = values.iter().sum::<f32>();
            assert_eq!(sum([&values], |[value]| value), want);
            assert_eq!(dot(&values, &vec![1.0; len]), want);
            assert_eq!(max(&values), if len == 0 { f32::NEG_INFINITY } else { len as f32 - 1.0 });
        }
    }
}
