//! What would make a comparison worth nothing: answers that can be read off a prompt, and test
//! incidents that are known from training.

use anyhow::{Result, anyhow};
use eval::example::Example;
use eval::incidents::{duplicates, leaks};

/// What was counted among training incidents and those of the test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Overlap {
    /// Training incidents that were looked at.
    pub(super) train: usize,
    /// Incidents of either side whose prompts name a cause outside of the options.
    pub(super) leaks: usize,
    /// Test incidents that are nearly the same as one of training.
    pub(super) near_duplicates: usize,
}

impl Overlap {
    /// Counts.
    pub(super) fn of(train: &[Example], test: &[Example]) -> Overlap {
        Overlap {
            train: train.len(),
            leaks: leaks(train).len() + leaks(test).len(),
            near_duplicates: duplicates(train, test).len(),
        }
    }

    /// Refuses a comparison that would be worth nothing.
    ///
    /// # Errors
    /// Any leak or near duplicate.
    pub(super) fn checked(self) -> Result<Overlap> {
        let Overlap { train, leaks, near_duplicates } = self;
        if leaks + near_duplicates == 0 {
            return Ok(self);
        }
        Err(anyhow!(
            "a comparison on these incidents would be worth nothing: prompts that name a cause \
             outside of the options: {leaks}, test prompts that are nearly one of {train} of \
             training: {near_duplicates}; both must be 0\nhint: in `srek eval` another --seed \
             makes other incidents, and a larger --budget shows more of what tells them apart"
        ))
    }

    /// What was counted with further training incidents.
    pub(super) fn and(self, further: Overlap) -> Overlap {
        Overlap {
            train: self.train + further.train,
            leaks: self.leaks + further.leaks,
            near_duplicates: self.near_duplicates + further.near_duplicates,
        }
    }
}
