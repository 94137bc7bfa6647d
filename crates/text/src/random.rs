//! Counter-based random numbers: the n-th number is a function of the key and n alone, so that
//! any order of work, thread count or resumed run sees the same numbers.
//!
//! The mixer is the output function of SplitMix64 (Steele, Lea, Flood: "Fast splittable
//! pseudorandom number generators", OOPSLA 2014).

#[cfg(test)]
mod tests;

/// The odd constant by which SplitMix64 advances its counter: 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A bijection of 64 bits in which every input bit reaches every output bit.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A sequence of numbers named by a key.
#[derive(Clone, Debug)]
pub struct Numbers {
    key: u64,
    counter: u64,
}

impl Numbers {
    /// The sequence that belongs to these parts of a name, for instance a seed, an epoch and a
    /// purpose. The order of the parts matters.
    pub fn named(parts: &[u64]) -> Self {
        let key = parts.iter().fold(GOLDEN, |key, &part| {
            mix(key.rotate_left(23).wrapping_add(mix(part.wrapping_add(GOLDEN))))
        });
        Self { key, counter: 0 }
    }

    /// The next number of the sequence.
    #[allow(
        clippy::should_implement_trait,
        reason = "an endless sequence is no iterator to collect"
    )]
    pub fn next(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        mix(self.key.wrapping_add(self.counter.wrapping_mul(GOLDEN)))
    }

    /// A number in `0..bound`. Its bias is at most `bound / 2^64`, far below what any epoch of
    /// shuffles could show.
    ///
    /// # Panics
    /// Where `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "there is no number below zero");
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// Puts the items in a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
