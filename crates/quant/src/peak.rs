//! What this machine can do at most, measured now: the yardsticks for every share of a peak.
//!
//! The machines this runs on may be shared, so a share is only worth something against a peak that
//! was measured in the same run.

use crate::Isa;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// f32 multiply-adds of the tier on all threads of the current pool, in FLOP/s (two per multiply-add).
pub fn f32_flops(isa: Isa, time: Duration) -> f64 {
    rate(time, move || match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => x86::avx2_singles(),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Amx => x86::avx512_singles(),
        _ => scalar(),
    })
}

/// bf16 multiply-adds with f32 sums, in FLOP/s; where the tier has no such instruction, its f32 rate,
/// since the products then run on f32 operands.
pub fn bf16_flops(isa: Isa, time: Duration) -> f64 {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => rate(time, x86::avx512_pairs),
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        Isa::Amx => rate(time, crate::gemm::burst_of_tiles),
        _ => f32_flops(isa, time),
    }
}

/// Multiply-adds of bytes with 32-bit sums, in operations per second (two per multiply-add), as products in
/// `int8` use them; none where there is no such instruction, and plain loops do it.
pub fn int8_ops(isa: Isa, time: Duration) -> Option<f64> {
    crate::cpu::Vnni::of(isa)?;
    #[cfg(target_arch = "x86_64")]
    return Some(rate(time, x86::avx512_bytes));
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// Bytes per second that all threads of the current pool can read from memory together.
pub fn read_bandwidth(time: Duration) -> f64 {
    /// Of all threads: far beyond any cache, and not beyond the memory of a small machine.
    const MOST: usize = 1 << 29;
    let threads = rayon::current_num_threads();
    let words = (MOST / threads).min(1 << 24);
    let mut buffers: Vec<Vec<u64>> = (0..threads).map(|_| Vec::with_capacity(words)).collect();
    for (index, buffer) in buffers.iter_mut().enumerate() {
        // In huge pages, as weights and buffers are: of small ones it would be the translation that is
        // measured.
        crate::cpu::ask_for_huge_pages(buffer.spare_capacity_mut());
        buffer.resize(words, index as u64 + 1);
    }
    let start = Instant::now();
    let passes: usize = rayon::broadcast(|context| {
        let buffer = &buffers[context.index()];
        let mut passes = 0;
        while start.elapsed() < time {
            let mut sums = [0_u64; 32];
            for chunk in black_box(buffer).as_chunks::<32>().0 {
                for (sum, word) in sums.iter_mut().zip(chunk) {
                    *sum ^= word;
                }
            }
            black_box(sums);
            passes += 1;
        }
        passes
    })
    .into_iter()
    .sum();
    (passes * words * 8) as f64 / start.elapsed().as_secs_f64()
}

/// Calls `burst`, which returns the operations it did, on every thread until `time` is over.
fn rate(time: Duration, burst: impl Fn() -> u64 + Sync) -> f64 {
    let start = Instant::now();
    let operations: u64 = rayon::broadcast(|_| {
        let mut operations = 0;
        while start.elapsed() < time {
            operations += burst();
        }
        operations
    })
    .into_iter()
    .sum();
    operations as f64 / start.elapsed().as_secs_f64()
}

/// Multiply-adds per accumulator and burst.
const ROUNDS: u64 = 4096;

fn scalar() -> u64 {
    let (x, w) = (black_box(0.999_f32), black_box(1.001_f32));
    let mut sums = [0.0_f32; 12];
    for _ in 0..ROUNDS / 16 {
        sums.iter_mut().for_each(|sum| *sum = x.mul_add(w, *sum));
    }
    black_box(sums);
    2 * 12 * (ROUNDS / 16)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::ROUNDS;
    use crate::cpu::{Avx2, Avx512, Vnni};
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// Independent sums: more than latency times units on every core that has the tier.
    const SUMS: usize = 12;

    macro_rules! burst {
        ($name:ident, $inner:ident, $token:ty, $features:literal, $per_step:literal, $zero:ident, $set:ident, $step:expr) => {
            pub(super) fn $name() -> u64 {
                <$token>::detect().expect("the tier was chosen but not detected");
                // SAFETY: the line above proves the features.
                unsafe { $inner() };
                2 * $per_step * SUMS as u64 * ROUNDS
            }

            #[target_feature(enable = $features)]
            fn $inner() {
                let (x, w) = ($set(black_box(0.999)), $set(black_box(1.001)));
                let mut sums = [$zero(); SUMS];
                for _ in 0..ROUNDS {
                    for sum in &mut sums {
                        *sum = $step(*sum, x, w);
                    }
                }
                black_box(sums);
            }
        };
    }
    burst!(
        avx2_singles,
        avx2_inner,
        Avx2,
        "avx2,fma",
        8,
        _mm256_setzero_ps,
        _mm256_set1_ps,
        |s, x, w| { _mm256_fmadd_ps(x, w, s) }
    );
    burst!(
        avx512_singles,
        avx512_inner,
        Avx512,
        "avx512f",
        16,
        _mm512_setzero_ps,
        _mm512_set1_ps,
        |s, x, w| { _mm512_fmadd_ps(x, w, s) }
    );
    burst!(
        avx512_pairs,
        pairs_inner,
        Avx512,
        "avx512f,avx512bf16",
        32,
        _mm512_setzero_ps,
        _mm512_set1_ps,
        |s, x, w| {
            // SAFETY: both types are 512 bits, and every bit pattern is a value of either.
            let x = unsafe { std::mem::transmute::<__m512, __m512bh>(x) };
            // SAFETY: as above.
            let w = unsafe { std::mem::transmute::<__m512, __m512bh>(w) };
            _mm512_dpbf16_ps(s, x, w)
        }
    );
    burst!(
        avx512_bytes,
        bytes_inner,
        Vnni,
        "avx512f,avx512vnni",
        64,
        _mm512_setzero_si512,
        set_bytes,
        |s, x, w| { _mm512_dpbusd_epi32(s, x, w) }
    );

    #[target_feature(enable = "avx512f")]
    fn set_bytes(value: f64) -> __m512i {
        _mm512_set1_epi8((value * 3.0) as i8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_available_tier_measures_something() {
        let time = Duration::from_millis(20);
        for isa in crate::cpu::tiers() {
            assert!(f32_flops(isa, time) > 1e7 && bf16_flops(isa, time) > 1e7, "{isa:?}");
            assert!(int8_ops(isa, time).is_none_or(|rate| rate > 1e7), "{isa:?}");
        }
        assert!(read_bandwidth(time) > 1e7);
    }
}
