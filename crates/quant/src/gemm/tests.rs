use super::*;
use crate::Isa;
use crate::cpu::tiers;
use crate::gemm::block::{Mode, Workspace};
use crate::gemm::ints::tests::Four;

/// A generator that needs no state beyond a counter.
fn noise(seed: u64, index: usize) -> f32 {
    let mut z = seed.wrapping_add((index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z >> 40) as f32 / (1 << 24) as f32 - 0.5) * 4.0
}

pub(super) fn values(seed: u64, count: usize) -> Vec<f32> {
    (0..count).map(|i| noise(seed, i)).collect()
}

pub(super) fn product(
    isa: Isa,
    numerics: Numerics,
    left: &Matrix<'_>,
    right: &Matrix<'_>,
    threads: usize,
) -> Vec<f32> {
    let (n, m) = (left.rows(), right.rows());
    let mut out = vec![0.0; n * m];
    let mut words =
        vec![
            f32::NAN;
            workspace(isa, numerics, [n, m, left.cols()], Lie::of(left, right), threads)
        ];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let output = Output { values: &mut out, stride: m, scale: 1.0, mode: Mode::Overwrite };
        gemm(isa, numerics, left, right, output, Workspace { words: &mut words, threads });
    });
    out
}

pub(super) fn check_equal(isa: Isa, numerics: Numerics, left: &Matrix<'_>, right: &Matrix<'_>) {
    let (n, m) = (left.rows(), right.rows());
    let one = product(isa, numerics, left, right, 1);
    assert!(
        one.iter()
            .zip(&product(isa, numerics, left, right, 2))
            .all(|(a, b)| a.to_bits() == b.to_bits())
    );
    for row in (0..n).step_by((n / 5).max(1)).chain([n - 1]) {
        // An odd step, as some kernels treat even and odd rows apart; and the last one, of a group that is not full.
        for column in (0..m).step_by((m / 7) | 1).chain([m - 1]) {
            let want = specification(isa, numerics, left, right, row, column);
            let got = one[row * m + column];
            assert_eq!(
                got.to_bits(),
                want.to_bits(),
                "{isa:?} {numerics:?} ({row},{column}): {got} {want}"
            );
        }
    }
}

/// N, M, K: ones, primes, odd lengths, more than one panel, stretch and block in each direction.
const SHAPES: [[usize; 3]; 13] = [
    [9, 35, 4],
    [33, 100, 16],
    [2, 17, 37],
    [1, 1, 1],
    [1, 33, 64],
    [2, 5, 65],
    [7, 3, 127],
    [13, 97, 192],
    [13, 99, 192],
    [129, 40, 320],
    [509, 31, 70],
    [3, 130, 513],
    [64, 16, 1024],
];

#[test]
fn dense_products_equal_the_specification() {
    for isa in tiers() {
        for numerics in [Numerics::F32, Numerics::Bf16] {
            for [n, m, k] in SHAPES {
                let (x, w) = (values(1, n * k), values(2, m * k));
                let left = Matrix::f32(&x, n, k);
                check_equal(isa, numerics, &left, &Matrix::f32(&w, m, k));
                let columns = Matrix::Dense(Dense::new(Values::F32(&w), k, m).transposed());
                check_equal(isa, numerics, &left, &columns);
                let left = Matrix::Dense(Dense::new(Values::F32(&x), k, n).transposed());
                check_equal(isa, numerics, &left, &columns);
            }
        }
    }
}

#[test]
fn half_types_equal_the_specification() {
    for isa in tiers() {
        for numerics in [Numerics::F32, Numerics::Bf16] {
            for [n, m, k] in [[5, 37, 200], [12, 64, 128], [7, 96, 200], [1, 37, 256]] {
                let x = values(3, n * k);
                let w16: Vec<half::bf16> =
                    values(4, m * k).into_iter().map(half::bf16::from_f32).collect();
                let h16: Vec<half::f16> =
                    values(4, m * k).into_iter().map(half::f16::from_f32).collect();
                let left = Matrix::f32(&x, n, k);
                for values in [Values::Bf16(&w16), Values::F16(&h16)] {
                    let rows = Matrix::Dense(Dense::new(values, m, k));
                    let columns = Matrix::Dense(Dense::new(values, k, m).transposed());
                    check_equal(isa, numerics, &left, &rows);
                    check_equal(isa, numerics, &left, &columns);
                }
            }
        }
    }
}

/// Several panels of `k`: for a left side in one part and in two whose sums are kept, with more than a task holds
/// decoded, in two stretches.
#[test]
fn products_over_a_long_k_equal_the_specification() {
    for isa in tiers() {
        for numerics in [Numerics::F32, Numerics::Bf16] {
            for [n, m, k] in [[11, 70, 8_300], [134, 7, 4_200], [134, 3, 8_300], [540, 3, 16_500]] {
                let (x, w) = (values(3, n * k), values(4, m * k));
                let turned = Dense::new(Values::F32(&x), k, n).transposed();
                // In rows few of the right side would be nobody's work here.
                let left = if m < 64 { Matrix::Dense(turned) } else { Matrix::f32(&x, n, k) };
                check_equal(isa, numerics, &left, &Matrix::f32(&w, m, k));
            }
        }
    }
}

/// The second panel of weights in 4 bits that are read in lines.
#[test]
fn long_products_across_four_bits_equal_the_specification() {
    let [n, out, inner] = [11, 8_300, 128];
    let (y, dense) = (values(7, n * out), values(5, out * inner));
    let double = Four::of(&dense, true);
    let Matrix::Nf4 { weight, .. } = double.matrix(out, inner) else { unreachable!("it is NF4") };
    let across = Matrix::Nf4 { weight, out, inner, side: Side::Out };
    for isa in tiers() {
        for numerics in [Numerics::F32, Numerics::Bf16] {
            check_equal(isa, numerics, &Matrix::f32(&y, n, out), &across);
        }
    }
}

#[test]
fn blocks_of_ggml_equal_the_specification_on_both_sides() {
    use crate::ggml::{Blocks, Format, Rows};
    let golden = crate::golden::Golden::read("ggml.safetensors");
    for format in Format::ALL {
        // 1,024 weights of any bytes.
        let bytes = golden.u8(&format!("{}.bytes", format.name()));
        let inner = if format.block().0 == 256 { 256 } else { 32 };
        let out = 1024 / inner;
        let weight = Blocks { bytes: &bytes, format, rows: Rows::Interleaved(4), inner };
        let [x, dy] = [values(8, 5 * inner), values(9, 5 * out)];
        for isa in tiers() {
            for numerics in [Numerics::F32, Numerics::Bf16] {
                let forward = Matrix::Blocks { weight, out, side: Side::In };
                check_equal(isa, numerics, &Matrix::f32(&x, 5, inner), &forward);
                let backward = Matrix::Blocks { weight, out, side: Side::Out };
                check_equal(isa, numerics, &Matrix::f32(&dy, 5, out), &backward);
            }
        }
    }
}

#[test]
fn four_bit_products_equal_the_specification_on_both_sides() {
    for isa in tiers() {
        for numerics in [Numerics::F32, Numerics::Bf16] {
            for [n, out, inner] in [
                [1, 64, 64],
                [1, 37, 256],
                [2, 37, 128],
                [8, 33, 192],
                [5, 70, 128],
                [130, 40, 192],
                [9, 200, 192],
                [4, 9, 96],
                [3, 7, 33],
            ] {
                let dense = values(5, out * inner);
                let mut codes = vec![0; (out * inner).div_ceil(2)];
                let mut absmax = vec![0.0; (out * inner).div_ceil(64)];
                crate::nf4::encode(&dense, &mut codes, &mut absmax).unwrap();
                let weight =
                    crate::nf4::Nf4 { codes: &codes, absmax: crate::nf4::Absmax::F32(&absmax) };
                let x = values(6, n * inner);
                let y = values(7, n * out);
                let forward = Matrix::Nf4 { weight, out, inner, side: Side::In };
                let backward = Matrix::Nf4 { weight, out, inner, side: Side::Out };
                check_equal(isa, numerics, &Matrix::f32(&x, n, inner), &forward);
                check_equal(isa, numerics, &Matrix::f32(&y, n, out), &backward);
                // The weight on the left, as nobody has it.
                check_equal(isa, numerics, &backward, &Matrix::f32(&y, n, out));
                let turned = Dense::new(Values::F32(&y), out, n).transposed();
                check_equal(isa, numerics, &backward, &Matrix::Dense(turned));
            }
        }
    }
}

#[test]
fn few_rows_of_every_storage_equal_the_specification() {
    // Scales that are looked up sixteen at a time, rests behind four blocks, and rows of several panels.
    for [n, out, inner] in [
        [1, 21, 1024],
        [3, 9, 2048],
        [1, 13, 448],
        [4, 10, 448],
        [8, 7, 704],
        [5, 37, 1024],
        [6, 33, 2176],
        [7, 5, 8384],
        [13, 35, 1024],
        [9, 3, 9216],
    ] {
        let (x, dense) = (values(1, n * inner), values(2, out * inner));
        let left = Matrix::f32(&x, n, inner);
        let halves: Vec<half::bf16> = dense.iter().copied().map(half::bf16::from_f32).collect();
        let codes: Vec<i8> = dense.iter().map(|value| (value * 63.0) as i8).collect();
        let scales = values(3, out * inner / 64);
        let (codes, scales) = (&codes[..], &scales[..]);
        let [double, plain] = [true, false].map(|is_double| Four::of(&dense, is_double));
        for isa in tiers() {
            for numerics in [Numerics::F32, Numerics::Bf16] {
                for right in [
                    double.matrix(out, inner),
                    plain.matrix(out, inner),
                    Matrix::Q8 { codes, scales, out, inner, side: Side::In },
                    Matrix::f32(&dense, out, inner),
                    Matrix::Dense(Dense::new(Values::Bf16(&halves), out, inner)),
                ] {
                    check_equal(isa, numerics, &left, &right);
                }
            }
        }
    }
}

#[test]
fn eight_bit_products_equal_the_specification_on_both_sides() {
    for isa in tiers() {
        for numerics in [Numerics::F32, Numerics::Bf16] {
            for [n, out, inner] in [[5, 70, 128], [130, 100, 192], [4, 9, 96], [3, 7, 33]] {
                let codes: Vec<i8> =
                    values(5, out * inner).iter().map(|value| (value * 63.0) as i8).collect();
                let mut scales = values(6, (out * inner).div_ceil(64));
                // None, and one with which a code in other steps would lose bits.
                scales[..2].copy_from_slice(&[0.0, 3.1e-37]);
                let (x, y) = (values(7, n * inner), values(8, n * out));
                let weight = |side| Matrix::Q8 { codes: &codes, scales: &scales, out, inner, side };
                check_equal(isa, numerics, &Matrix::f32(&x, n, inner), &weight(Side::In));
                check_equal(isa, numerics, &Matrix::f32(&y, n, out), &weight(Side::Out));
            }
        }
    }
}

/// One side of few rows: ranks that fill a group of sixteen and that do not, several groups, every way
/// that operands can lie, K of several panels and with a rest.
#[test]
fn skinny_products_equal_the_specification() {
    for isa in tiers() {
        for numerics in [Numerics::F32, Numerics::Bf16] {
            for [wide, rank, k] in [
                [90, 16, 2055],
                [33, 8, 130],
                [70, 64, 100],
                [41, 33, 65],
                [1100, 16, 300],
                [413, 20, 321],
            ] {
                let (x, e) = (values(1, wide * k), values(2, rank * k));
                let turned = |values, rows| {
                    Matrix::Dense(Dense::new(Values::F32(values), k, rows).transposed())
                };
                let right = [Matrix::f32(&e, rank, k), turned(&e, rank)];
                for left in [Matrix::f32(&x, wide, k), turned(&x, wide)] {
                    for right in &right {
                        check_equal(isa, numerics, &left, right);
                        check_equal(isa, numerics, right, &left);
                    }
                }
            }
        }
    }
}

#[test]
fn skinny_products_are_scaled_and_added() {
    for isa in tiers() {
        let [wide, rank, k] = [40, 16, 130];
        let (x, e) = (values(1, wide * k), values(2, rank * k));
        let (x, e) = (Dense::new(Values::F32(&x), k, wide), Dense::new(Values::F32(&e), k, rank));
        let (x, e) = (Matrix::Dense(x.transposed()), Matrix::Dense(e.transposed()));
        for (left, right) in [(&x, &e), (&e, &x)] {
            let (n, m) = (left.rows(), right.rows());
            let plain = product(isa, Numerics::Bf16, left, right, 1);
            let mut out = vec![1.0; n * (m + 2)];
            let mut words = vec![0.0; workspace(isa, Numerics::Bf16, [n, m, k], Lie::Columns, 2)];
            rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap().install(|| {
                let output =
                    Output { values: &mut out, stride: m + 2, scale: 0.5, mode: Mode::Add };
                let workspace = Workspace { words: &mut words, threads: 2 };
                gemm(isa, Numerics::Bf16, left, right, output, workspace);
            });
            for (row, out) in out.chunks(m + 2).enumerate() {
                let want = plain[row * m..][..m].iter().map(|value| 1.0 + 0.5 * value);
                assert!(out.iter().copied().eq(want.chain([1.0, 1.0])), "{isa:?} {n} {m} {row}");
            }
        }
    }
}

#[test]
fn one_row_has_the_bits_of_many() {
    for isa in tiers() {
        let [n, m, k] = [131, 70, 320];
        let (x, w) = (values(8, n * k), values(9, m * k));
        let right = Matrix::f32(&w, m, k);
        let all = product(isa, Numerics::Bf16, &Matrix::f32(&x, n, k), &right, 2);
        for row in [0, 1, 64, 130] {
            let alone =
                product(isa, Numerics::Bf16, &Matrix::f32(&x[row * k..][..k], 1, k), &right, 1);
            assert_eq!(alone, all[row * m..][..m]);
        }
    }
}

#[test]
fn scaled_and_added() {
    let (x, w) = (values(1, 3 * 64), values(2, 5 * 64));
    let (left, right) = (Matrix::f32(&x, 3, 64), Matrix::f32(&w, 5, 64));
    let plain = product(Isa::detect(), Numerics::F32, &left, &right, 1);
    let mut out = vec![1.0; 3 * 7];
    let mut words = vec![0.0; workspace(Isa::detect(), Numerics::F32, [3, 5, 64], Lie::Rows, 8)];
    rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| {
        let output = Output { values: &mut out, stride: 7, scale: 0.5, mode: Mode::Add };
        gemm(
            Isa::detect(),
            Numerics::F32,
            &left,
            &right,
            output,
            Workspace { words: &mut words, threads: 8 },
        );
    });
    for row in 0..3 {
        for column in 0..7 {
            let want = if column < 5 { 1.0 + 0.5 * plain[row * 5 + column] } else { 1.0 };
            assert_eq!(out[row * 7 + column], want);
        }
    }
}

/// The scalar specification against the instruction, on everything a float can be.
#[test]
fn specification_is_vdpbf16ps() {
    if !Isa::Avx512.available() {
        crate::skip::skip("no AVX-512 BF16 on this machine");
        return;
    }
    let special = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        3.0e38,
        -3.0e38,
        1.0e-38,
        1.0e-40,
        -1.0e-40,
        f32::MIN_POSITIVE,
        1.0e-20,
        -1.0e-20,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        0.333,
        1.0e19,
        -1.0e-19,
    ];
    let pick = |seed: u64, i: usize| {
        let raw = noise(seed, i).to_bits();
        if raw.is_multiple_of(3) {
            special[(raw >> 4) as usize % special.len()]
        } else {
            noise(seed + 9, i)
        }
    };
    for trial in 0..2000 {
        let x: Vec<f32> = (0..64).map(|i| pick(trial, i)).collect();
        let w: Vec<f32> = (0..64).map(|i| pick(trial + 77_777, i)).collect();
        let (left, right) = (Matrix::f32(&x, 1, 64), Matrix::f32(&w, 1, 64));
        let got = product(Isa::Avx512, Numerics::Bf16, &left, &right, 1)[0];
        let want = specification(Isa::Avx512, Numerics::Bf16, &left, &right, 0, 0);
        let same = got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
        assert!(same, "trial {trial}: {got} {want}");
    }
}

/// The special cases that need no AVX-512 machine to be stated.
#[test]
fn pairs_flush_denormals_and_take_the_odd_element_first() {
    let tiny = f32::from_bits(0x0001_0000);
    assert_eq!(dot_bf16_pairs(0.0, [tiny, 0.0], [1.0, 0.0]), 0.0);
    assert_eq!(dot_bf16_pairs(-tiny, [0.0, 0.0], [0.0, 0.0]).to_bits(), 0.0_f32.to_bits());
    assert_eq!(dot_bf16_pairs(0.0, [1.0e-20, 0.0], [1.0e-20, 0.0]), 0.0);
    assert!(dot_bf16_pairs(0.0, [f32::INFINITY, 0.0], [0.0, 1.0]).is_nan());
    let large = 16_777_216.0;
    assert_eq!(dot_bf16_pairs(0.0, [1.0, large], [1.0, 1.0]), large);
    assert_eq!(dot_bf16_pairs(-large, [1.0, large], [1.0, 1.0]), 1.0);
}

#[test]
fn bf16_rounding_equals_the_half_crate() {
    for i in 0..200_000_usize {
        let value = f32::from_bits((i as u32).wrapping_mul(21_474_837));
        let want = half::bf16::from_f32(value).to_f32();
        assert!(round_bf16(value).to_bits() == want.to_bits(), "{value} {want}");
    }
}
