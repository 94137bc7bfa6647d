//! Counter-based random numbers: the n-th number is a function of the key and n alone, so that
//! any order of work, thread count or resumed run sees the same numbers.
//!
//! The mixer is the output function of SplitMix64 (Steele, Lea, Flood: "Fast splittable
//! pseudorandom number generators", OOPSLA 2014).

/// The odd constant by which SplitMix64 advances its counter: 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A bijection of 64 bits in which every input bit reaches every output bit.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A sequence of numbers named by a key.
pub(crate) struct Numbers {
    key: u64,
    counter: u64,
}

impl Numbers {
    /// The sequence that belongs to these parts of a name, for instance a seed, an epoch and a
    /// purpose. The order of the parts matters.
    pub(crate) fn named(parts: &[u64]) -> Self {
        let key = parts.iter().fold(GOLDEN, |key, &part| {
            mix(key.rotate_left(23).wrapping_add(mix(part.wrapping_add(GOLDEN))))
        });
        Self { key, counter: 0 }
    }

    /// The next number of the sequence.
    pub(crate) fn next(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        mix(self.key.wrapping_add(self.counter.wrapping_mul(GOLDEN)))
    }

    /// A number in `0..bound`. Its bias is at most `bound / 2^64`, far below what any epoch of
    /// shuffles could show.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "there is no number below zero");
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// Puts the items in a random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64 seeded with 0 begins with these published numbers.
    #[test]
    fn mixes_as_published() {
        assert_eq!(mix(GOLDEN), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(GOLDEN.wrapping_mul(2)), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn names_differ_in_every_part_and_in_order() {
        let first = |parts: &[u64]| Numbers::named(parts).next();
        let firsts = [first(&[1, 2]), first(&[2, 1]), first(&[1, 3]), first(&[0, 2]), first(&[1])];
        for (position, number) in firsts.iter().enumerate() {
            assert!(!firsts[position + 1..].contains(number));
        }
    }

    #[test]
    fn shuffle_reaches_every_order_about_equally() {
        let mut seen = std::collections::BTreeMap::new();
        for round in 0..6000 {
            let mut items = [0, 1, 2];
            Numbers::named(&[7, round]).shuffle(&mut items);
            *seen.entry(items).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 6);
        // One in six of 6000 rounds, five standard deviations (29) on either side.
        assert!(seen.values().all(|count| (855..=1145).contains(count)), "{seen:?}");
    }
}
