//! What is simulated: a side of the split, a seed, and how often which kind of incident comes.

use sre::cause::Cause;

/// A side of the split between what is learned from and what is tested on. Names, shapes of call graphs,
/// sentences of logs and changes, and what is normal for a service (replicas, limits, load, work, failures,
/// use of memory and CPU) are disjoint; one dialect, some faults and incidents of two faults are in
/// [`Part::Test`] alone. Shared are the sentences of Kubernetes' own events and how strong a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// What is learned from.
    Train,
    /// What is tested on.
    Test,
}

impl Part {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// The shares of incidents that are no plain single fault, each from 0 to 1, together at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// Nothing is wrong.
    pub healthy: f64,
    /// Two faults at once; [`Part::Test`] only.
    pub two_faults: f64,
    /// A fault that is not among the causes on offer; [`Part::Test`] only.
    pub held_out_fault: f64,
    /// A fault whose telling evidence is missing.
    pub too_little_evidence: f64,
}

/// What is simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The same seed gives the same incidents.
    pub seed: u64,
    /// The side of the split.
    pub part: Part,
    /// Faults that no training incident has and that no prompt offers: the right answer to them is
    /// [`Cause::Unknown`].
    pub held_out_faults: Vec<Cause>,
    /// How often which kind of incident comes.
    pub shares: Shares,
    /// Seconds from one value of a metric to the next: 60, or less, by which 60 can be divided.
    pub step_seconds: u32,
}

impl Settings {
    /// The faults that are held out if nothing else is said.
    pub const HELD_OUT_FAULTS: [Cause; 4] = [
        Cause::ClockSkew,
        Cause::NoisyNeighbour,
        Cause::LeaderFlapping,
        Cause::BadSidecarInjection,
    ];

    /// The usual mixture of one side.
    pub fn new(seed: u64, part: Part) -> Self {
        let shares = match part {
            Part::Train => Shares {
                healthy: 0.08,
                two_faults: 0.0,
                held_out_fault: 0.0,
                too_little_evidence: 0.06,
            },
            Part::Test => Shares {
                healthy: 0.08,
                two_faults: 0.10,
                held_out_fault: 0.10,
                too_little_evidence: 0.04,
            },
        };
        let held_out_faults = Self::HELD_OUT_FAULTS.to_vec();
        Self { seed, part, held_out_faults, shares, step_seconds: 60 }
    }

    /// Values of a metric in a minute, at least 1.
    pub(crate) fn per_minute(&self) -> usize {
        (60 / self.step_seconds.clamp(1, 60)) as usize
    }

    /// The faults that can be answered.
    pub fn faults(&self) -> Vec<Cause> {
        let all = Cause::faults().iter().copied();
        all.filter(|cause| !self.held_out_faults.contains(cause)).collect()
    }

    /// The causes that prompts offer: the faults that can be answered, `none` and `unknown`.
    pub fn causes(&self) -> Vec<Cause> {
        let mut causes = self.faults();
        causes.extend([Cause::None, Cause::Unknown]);
        causes
    }
}
