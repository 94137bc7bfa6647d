//! Random choices for one incident, all out of one named sequence.

use text::random::Numbers;

/// A sequence of choices.
pub(crate) struct Dice(Numbers);

impl Dice {
    /// The choices that belong to these parts of a name.
    pub(crate) fn named(parts: &[u64]) -> Self {
        Self(Numbers::named(parts))
    }

    /// A number from 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number from `low` to `high`.
    pub(crate) fn between(&mut self, (low, high): (f64, f64)) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A number from `low` to `high` whose logarithm is evenly spread.
    pub(crate) fn spread(&mut self, (low, high): (f64, f64)) -> f64 {
        low * libm::pow(high / low, self.unit())
    }

    /// A whole number from `low` to `high`, both included.
    pub(crate) fn whole(&mut self, (low, high): (i64, i64)) -> i64 {
        let count = usize::try_from(high - low + 1).unwrap_or(1).max(1);
        low + i64::try_from(self.0.below(count)).unwrap_or(0)
    }

    /// A number below `bound`, which is above 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    /// Whether something of this probability happens.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of them.
    pub(crate) fn one<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.0.below(items.len())]
    }

    /// A number around 0 with variance 1: the sum of four even ones, close to a normal one and the
    /// same on every machine.
    pub(crate) fn bell(&mut self) -> f64 {
        let bits = self.0.next();
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
        // Four numbers from 0 to 65535: mean 131070, standard deviation 65536 / sqrt(3).
        (sum as f64 - 131_070.0) / 37_837.2
    }

    /// Puts the items in a random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        self.0.shuffle(items);
    }
}
