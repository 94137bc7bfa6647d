//! Random initial values from a counter: element `i` of tensor `t` under a seed is a function of the
//! three, whatever the thread count or the order of filling.

/// SplitMix64's output function (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014) over a counter.
fn bits(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of its own for each tensor of a seed.
pub fn stream(seed: u64, tensor: &str) -> u64 {
    tensor.bytes().fold(bits(seed, 0), |state, byte| bits(state, u64::from(byte)))
}

/// Uniform in (0, 1).
fn unit(stream: u64, index: u64) -> f64 {
    ((bits(stream, index) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// Uniform in (-bound, bound): element `index` of a stream.
pub fn uniform(stream: u64, index: usize, bound: f32) -> f32 {
    ((2.0 * unit(stream, index as u64) - 1.0) * f64::from(bound)) as f32
}

/// Normal with mean 0: element `index` of a stream (Box and Muller, 1958).
pub fn normal(stream: u64, index: usize, deviation: f32) -> f32 {
    let (u, v) = (unit(stream, 2 * index as u64), unit(stream, 2 * index as u64 + 1));
    let radius = libm::sqrt(-2.0 * libm::log(u));
    (radius * libm::cos(2.0 * std::f64::consts::PI * v) * f64::from(deviation)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_right_and_streams_differ() {
        let a = stream(1, "a");
        let values: Vec<f64> = (0..100_000).map(|i| f64::from(normal(a, i, 2.0))).collect();
        let mean = values.iter().sum::<f64>() / 1e5;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.03 && (variance - 4.0).abs() < 0.08, "{mean} {variance}");
        assert_ne!(stream(1, "a"), stream(1, "b"));
        assert_ne!(stream(1, "a"), stream(2, "a"));
        assert!((0..1000).all(|i| uniform(a, i, 0.5).abs() < 0.5));
    }
}
