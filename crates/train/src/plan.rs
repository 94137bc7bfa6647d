//! What a run will take, counted by running its own code on a backend that only counts.
//!
//! One micro-batch of the largest size, one step of the optimizer and one evaluation run on `Dry`; the
//! peak of its arenas is the run's. Beside the arenas the process holds what [`Plan::host_bytes`] says.

use crate::device::Host;
use crate::optimizer::files_buffer_bytes;
use crate::recipe::{OptimizerSection, PolicyKind};
use crate::trainer::Trainer;
use crate::{DeviceProfile, Error, Job, Result, Update};
use model::{Origin, Pass, Policy, Spec, StepOptions};
use ops::{Backend, Device, Dry, Event, Size, Target, Trace};
use std::collections::BTreeMap;

/// What a process holds that no formula counts: log lines, names, the library's own tables.
const ALLOWANCE_BYTES: usize = 1 << 20;
/// What a document costs in lists of lengths and orders.
const DOCUMENT_BYTES: usize = 96;
/// The op whose work is the host's.
const HOST_OP: &str = "adamw.update";
const MIB: usize = 1 << 20;

/// Memory that a run may take, in bytes; where absent there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Of the device.
    pub device: Option<usize>,
    /// Of the host; where the device is the host, for everything together.
    pub host: Option<usize>,
}

/// An amount of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Bytes that launches read at least once.
    pub read: u64,
    /// Bytes that launches write.
    pub written: u64,
    /// Floating-point operations, a multiply-add being two.
    pub flops: u64,
    /// Bytes between device and pinned memory.
    pub copied: u64,
}

/// A price of a launch on the device, and how often a step pays it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Launches {
    bytes: u64,
    flops: u64,
    count: u64,
}

/// A run's needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Peaks of the arenas and the mapped weights, in bytes.
    pub size: Size,
    /// Bytes of heap beside the arenas: batches, staging of loading or saving, lists over the
    /// documents, and an allowance of 1 MiB.
    pub host_bytes: usize,
    /// Where each block's activations stay.
    pub policies: Vec<Policy>,
    /// The work of a whole step: all micro-batches at their bound, and the optimizer.
    pub step: Work,
    launches: Vec<Launches>,
    host_launches: Vec<Launches>,
}

/// What is planned: the parts of a job that memory depends on.
#[derive(Clone, Debug)]
pub struct Needs<'a> {
    /// The model.
    pub spec: &'a Spec,
    /// Where its tensors would come from.
    pub origin: Origin<'a>,
    /// The optimizer.
    pub optimizer: &'a OptimizerSection,
    /// The step; its policies are the planner's to choose.
    pub options: StepOptions,
    /// Whether held-out documents are evaluated.
    pub evaluates: bool,
    /// Micro-batches of a step.
    pub micro_batches: u64,
    /// Documents of the data set.
    pub documents: usize,
}

impl<'a> Needs<'a> {
    /// Those of a job.
    pub fn of(job: &'a Job) -> Needs<'a> {
        Needs {
            spec: job.spec(),
            origin: job.origin(None),
            optimizer: &job.recipe().optimizer,
            options: job.step_options(&[]),
            evaluates: !job.held_out().is_empty(),
            micro_batches: job.recipe().batch.micro_batches as u64,
            documents: job.dataset().len(),
        }
    }

    /// Plans with a policy, or with what fits best: `auto` keeps everything where that fits; else it
    /// offloads the lowest blocks, as few as it takes, since theirs are needed last; else it recomputes
    /// the lowest blocks, and else it does so from inputs that it offloads.
    ///
    /// # Errors
    /// When nothing of that fits, with the micro-batch that would; or when a tensor does not fit the
    /// model.
    pub fn plan(&self, policy: PolicyKind, target: Target, budget: Budget) -> Result<Plan> {
        let all = |policy| {
            let plan = self.with(policy, self.layers(), target)?;
            if plan.fits(target, budget) {
                Ok(plan)
            } else {
                Err(self.does_not_fit(target, budget)?)
            }
        };
        match policy {
            PolicyKind::Keep => all(Policy::Keep),
            PolicyKind::Offload => all(Policy::Offload),
            PolicyKind::Recompute => all(Policy::Recompute),
            PolicyKind::Checkpoint => all(Policy::Checkpoint),
            PolicyKind::Auto => self.choose(target, budget),
        }
    }

    /// Plans with these policies, one per block.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit the model.
    pub fn with_policies(&self, target: Target, policies: &[Policy]) -> Result<Plan> {
        let options = StepOptions { policies: policies.to_vec(), ..self.options.clone() };
        count(self, target, &options)
    }

    /// Whether it fits in some way.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit the model.
    pub fn fit(&self, target: Target, budget: Budget) -> Result<bool> {
        for policy in [Policy::Checkpoint, Policy::Recompute, Policy::Offload] {
            if self.with(policy, self.layers(), target)?.fits(target, budget) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn layers(&self) -> usize {
        self.spec.config.layers
    }

    /// Plans with the lowest `count` blocks under `policy`.
    fn with(&self, policy: Policy, count: usize, target: Target) -> Result<Plan> {
        self.with_policies(target, &lowest(policy, count, self.layers()))
    }

    fn choose(&self, target: Target, budget: Budget) -> Result<Plan> {
        let layers = self.layers();
        let kept = self.with(Policy::Keep, 0, target)?;
        if kept.fits(target, budget) {
            return Ok(kept);
        }
        // From one block on, each further one only frees device memory.
        let device_fits =
            |count| Ok::<_, Error>(self.with(Policy::Offload, count, target)?.device_fits(budget));
        if let Some(count) = smallest(1, layers, device_fits)? {
            let plan = self.with(Policy::Offload, count, target)?;
            if plan.fits(target, budget) {
                return Ok(plan);
            }
        }
        for policy in [Policy::Recompute, Policy::Checkpoint] {
            let fits =
                |count| Ok::<_, Error>(self.with(policy, count, target)?.fits(target, budget));
            if let Some(count) = smallest(1, layers, fits)? {
                return self.with(policy, count, target);
            }
        }
        Err(self.does_not_fit(target, budget)?)
    }

    /// The error that names the largest micro-batch that would fit.
    fn does_not_fit(&self, target: Target, budget: Budget) -> Result<Error> {
        let tokens = self.options.tokens;
        let needed = self.with(Policy::Recompute, self.layers(), target)?;
        let fits = |tokens| {
            let document = self.options.document.min(tokens);
            let options = StepOptions { tokens, document, ..self.options.clone() };
            Needs { options, ..self.clone() }.fit(target, budget)
        };
        let most = longest(tokens, fits)?.unwrap_or(0);
        let mib = |bytes: usize| bytes.div_ceil(MIB);
        let limit = |bytes: Option<usize>| bytes.map_or("any".into(), |it| (it / MIB).to_string());
        let hint = if most == 0 {
            "not even one token would fit; take a smaller model, base or rank".to_owned()
        } else {
            format!("micro-batches of at most {most} tokens (batch.tokens, data.context) would fit")
        };
        Ok(Error::Memory(format!(
            "does not fit into {} MiB of device and {} MiB of host memory: micro-batches of {tokens} tokens take {} and {} MiB with every block recomputed\nhint: {hint}",
            limit(budget.device),
            limit(budget.host),
            mib(needed.size.device),
            mib(needed.size.pinned + needed.host_bytes),
        )))
    }
}

/// What may be used of what there is, in bytes.
fn least(mib: Option<usize>, there: Option<usize>) -> Option<usize> {
    let asked = mib.map(|mib| mib.saturating_mul(MIB));
    asked.into_iter().chain(there).min()
}

impl Plan {
    /// Plans with the recipe's policy. `budget` is what the machine has; for `auto` the recipe may allow
    /// less.
    ///
    /// # Errors
    /// As [`Needs::plan`].
    pub fn new(job: &Job, target: Target, budget: Budget) -> Result<Plan> {
        let memory = &job.recipe().memory;
        let own = Budget {
            device: least(memory.device_mib, budget.device),
            host: least(memory.host_mib, budget.host),
        };
        let budget = if memory.policy == PolicyKind::Auto { own } else { budget };
        Needs::of(job).plan(memory.policy, target, budget)
    }

    /// Plans with these policies, one per block.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit the model.
    pub fn with_policies(job: &Job, target: Target, policies: &[Policy]) -> Result<Plan> {
        Needs::of(job).with_policies(target, policies)
    }

    /// Everything the process will hold: both arenas where the host is the device, and the heap.
    /// Mapped weight files are the page cache's.
    pub fn total_bytes(&self) -> usize {
        self.size.device + self.size.pinned + self.host_bytes
    }

    /// The shortest time a step could take: for every launch the longer one of moving its bytes and of
    /// doing its arithmetic, summed over the launches. Work on the host counts where the host is the
    /// device; on others it is left out, since it can run beside the device. So can copies, but not
    /// faster than the wires: where they take longer, theirs is the time.
    pub fn best_step_seconds(&self, profile: &DeviceProfile) -> f64 {
        let host = match profile.host {
            Host::Same => self.host_launches.as_slice(),
            Host::Beside => &[],
        };
        let seconds = |it: &Launches| {
            let one = (it.bytes as f64 / profile.bandwidth).max(it.flops as f64 / profile.flops);
            one * it.count as f64
        };
        let launches: f64 = self.launches.iter().chain(host).map(seconds).sum();
        match profile.host {
            Host::Same => launches,
            Host::Beside => launches.max(self.step.copied as f64 / profile.copies),
        }
    }

    /// Whether it stays within a budget.
    pub fn fits(&self, target: Target, budget: Budget) -> bool {
        let host = match target.device {
            Device::Cpu { .. } => self.total_bytes(),
            Device::Cuda { .. } => self.size.pinned + self.host_bytes,
        };
        self.device_fits(budget) && budget.host.is_none_or(|most| host <= most)
    }

    fn device_fits(&self, budget: Budget) -> bool {
        budget.device.is_none_or(|most| self.size.device <= most)
    }
}

/// The lowest `count` of `layers` blocks under `policy`, the others kept.
fn lowest(policy: Policy, count: usize, layers: usize) -> Vec<Policy> {
    (0..layers).map(|layer| if layer < count { policy } else { Policy::Keep }).collect()
}

/// The greatest number up to `last` for which `holds`, which must hold for every smaller one; none where
/// it does not even hold for 1.
///
/// # Errors
/// What `holds` fails with.
pub fn longest<E>(
    last: usize,
    holds: impl Fn(usize) -> std::result::Result<bool, E>,
) -> std::result::Result<Option<usize>, E> {
    let first_too_long = smallest(1, last, |number| Ok(!holds(number)?))?;
    Ok(first_too_long.map_or(Some(last), |first| (first > 1).then(|| first - 1)))
}

/// The smallest number in `first ..= last` for which `holds`, which must hold from there on.
fn smallest<E>(
    first: usize,
    last: usize,
    holds: impl Fn(usize) -> std::result::Result<bool, E>,
) -> std::result::Result<Option<usize>, E> {
    if !holds(last)? {
        return Ok(None);
    }
    let (mut low, mut high) = (first, last);
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle)? {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(Some(high))
}

/// Runs a micro-batch, an evaluation and an update on the backend that counts.
fn count(needs: &Needs<'_>, target: Target, options: &StepOptions) -> Result<Plan> {
    let mut dry = Dry::new(target);
    let Needs { spec, origin, optimizer, .. } = needs;
    let mut trainer = Trainer::layout_for(&mut dry, spec, origin, optimizer, options)?;
    trainer.load_bound();
    if needs.evaluates {
        trainer.exchange(&mut dry, Pass::Loss);
        trainer.run(&mut dry, 1.0)?;
        trainer.exchange(&mut dry, Pass::Gradients);
    }
    let before = Work::of(dry.trace());
    dry.record_events();
    trainer.run(&mut dry, 1.0)?;
    let run = Work::of(dry.trace());
    let events = dry.trace().events.as_ref().map_or(0, Vec::len);
    trainer.update(&mut dry, Update { step: 1, learning_rate: 1.0 })?;
    let updated = Work::of(dry.trace());
    let times = needs.micro_batches;
    let mut prices = Prices::default();
    for (index, event) in dry.trace().events.iter().flatten().enumerate() {
        prices.add(event, if index < events { times } else { 1 });
    }
    Ok(Plan {
        size: dry.trace().peak,
        host_bytes: host_bytes(needs.documents, &trainer),
        policies: options.policies.clone(),
        step: (run - before).times(times) + (updated - run),
        launches: prices.device.list(),
        host_launches: prices.host.list(),
    })
}

/// See [`Plan::host_bytes`].
fn host_bytes(documents: usize, trainer: &Trainer) -> usize {
    let params = trainer.model().params();
    let bytes = |p: &model::Param| p.master.bytes();
    let all: usize = params.iter().map(bytes).sum();
    let largest = params.iter().map(bytes).max().unwrap_or(0);
    // A saved adapter or model exists as the bytes of its file, and a tensor of it as numbers, too.
    let saving = all + largest + files_buffer_bytes();
    let staging =
        saving.max(trainer.model().staging_bytes()).max(trainer.optimizer().staging_bytes());
    trainer.host_bytes() + staging + DOCUMENT_BYTES * documents + ALLOWANCE_BYTES
}

/// Launches by price.
#[derive(Default)]
struct Table(BTreeMap<(u64, u64), u64>);

impl Table {
    fn list(self) -> Vec<Launches> {
        self.0.into_iter().map(|((bytes, flops), count)| Launches { bytes, flops, count }).collect()
    }
}

/// Launches on the device and on the host.
#[derive(Default)]
struct Prices {
    device: Table,
    host: Table,
}

impl Prices {
    fn add(&mut self, event: &Event, times: u64) {
        let Event::Launch { name, cost, .. } = event else { return };
        let table = if *name == HOST_OP { &mut self.host } else { &mut self.device };
        *table.0.entry((cost.read + cost.written, cost.flops)).or_default() += times;
    }
}

impl Work {
    fn of(trace: &Trace) -> Work {
        let total = trace.total;
        Work { read: total.read, written: total.written, flops: total.flops, copied: trace.copied }
    }

    fn times(self, times: u64) -> Work {
        let Work { read, written, flops, copied } = self;
        Work {
            read: read * times,
            written: written * times,
            flops: flops * times,
            copied: copied * times,
        }
    }
}

impl std::ops::Add for Work {
    type Output = Work;

    fn add(self, other: Work) -> Work {
        Work {
            read: self.read + other.read,
            written: self.written + other.written,
            flops: self.flops + other.flops,
            copied: self.copied + other.copied,
        }
    }
}

impl std::ops::Sub for Work {
    type Output = Work;

    fn sub(self, other: Work) -> Work {
        Work {
            read: self.read - other.read,
            written: self.written - other.written,
            flops: self.flops - other.flops,
            copied: self.copied - other.copied,
        }
    }
}
