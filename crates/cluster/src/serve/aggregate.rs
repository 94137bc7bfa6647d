//! Series that are made one: `sum by (service)` and its like, for both query languages.

use super::matcher::{Labels, NAME};
use super::scan::Words;

/// What is made of the values of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Sum,
    Avg,
    Max,
    Min,
    Count,
}

impl Operation {
    /// Of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "sum" => Self::Sum,
            "avg" => Self::Avg,
            "max" => Self::Max,
            "min" => Self::Min,
            "count" => Self::Count,
            _ => return None,
        })
    }
}

/// Which labels a group keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Grouping {
    labels: Vec<String>,
    /// All but those.
    without: bool,
}

impl Grouping {
    /// `by (…)` or `without (…)`, if it comes.
    pub(super) fn read(words: &mut Words) -> Result<Option<Self>, String> {
        let without = words.take_name("without");
        if !without && !words.take_name("by") {
            return Ok(None);
        }
        Ok(Some(Self { labels: words.names()?, without }))
    }

    fn kept(&self, labels: &Labels) -> Labels {
        let keeps = |name: &String| match self.without {
            true => name != NAME && !self.labels.contains(name),
            false => self.labels.contains(name),
        };
        labels.iter().filter(|(name, _)| keeps(name)).map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}

/// Which series belong together.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    /// The labels of each group.
    pub(super) labels: Vec<Labels>,
    /// The group of each series.
    of: Vec<usize>,
}

impl Groups {
    /// The groups of these series.
    pub(super) fn new(grouping: &Grouping, series: &[Labels]) -> Self {
        let kept: Vec<Labels> = series.iter().map(|labels| grouping.kept(labels)).collect();
        let mut labels = kept.clone();
        labels.sort();
        labels.dedup();
        let of = kept.iter().map(|it| labels.binary_search(it).unwrap_or(0)).collect();
        Self { labels, of }
    }

    /// One value for each group, of those that its series have.
    pub(super) fn fold(&self, operation: Operation, values: &[Option<f64>]) -> Vec<Option<f64>> {
        let mut out: Vec<Option<(f64, f64)>> = vec![None; self.labels.len()];
        for (group, value) in self.of.iter().zip(values) {
            let Some(value) = *value else { continue };
            let folded = match out[*group] {
                None => (value, 1.0),
                Some((so_far, count)) => {
                    let value = match operation {
                        Operation::Max => so_far.max(value),
                        Operation::Min => so_far.min(value),
                        _ => so_far + value,
                    };
                    (value, count + 1.0)
                }
            };
            out[*group] = Some(folded);
        }
        let result = |(value, count): (f64, f64)| match operation {
            Operation::Avg => value / count,
            Operation::Count => count,
            _ => value,
        };
        out.into_iter().map(|it| it.map(result)).collect()
    }
}
