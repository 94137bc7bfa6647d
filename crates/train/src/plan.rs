//! What a run will take, counted by running its own code on a backend that only counts.
//!
//! One micro-batch of the largest size, one step of the optimizer and one evaluation run on `Dry`; the
//! peak of its arenas is the run's. Beside the arenas the process holds what [`Plan::host_bytes`] says.

use crate::device::Host;
use crate::optimizer::files_buffer_bytes;
use crate::recipe::PolicyKind;
use crate::trainer::Trainer;
use crate::{DeviceProfile, Error, Job, Result, Update};
use model::{Pass, Policy, StepOptions};
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

impl Plan {
    /// Plans with the recipe's policy. `auto` keeps everything where that fits; else it offloads the
    /// lowest blocks, as few as it takes, since theirs are needed last; else it recomputes the lowest
    /// blocks, and else it does so from inputs that it offloads. `budget` is what the machine has; the
    /// recipe's own limits stand before it.
    ///
    /// # Errors
    /// When even recomputing everything does not fit, with the micro-batch that would; or when a tensor
    /// does not fit the model.
    pub fn new(job: &Job, target: Target, budget: Budget) -> Result<Plan> {
        let layers = job.spec().config.layers;
        let memory = &job.recipe().memory;
        let all = |policy| {
            let plan = Plan::with_policies(job, target, &vec![policy; layers])?;
            if plan.fits(target, budget) {
                Ok(plan)
            } else {
                Err(does_not_fit(job, target, budget)?)
            }
        };
        match memory.policy {
            PolicyKind::Keep => all(Policy::Keep),
            PolicyKind::Offload => all(Policy::Offload),
            PolicyKind::Recompute => all(Policy::Recompute),
            PolicyKind::Checkpoint => all(Policy::Checkpoint),
            PolicyKind::Auto => {
                let budget = Budget {
                    device: memory.device_mib.map(|mib| mib * MIB).or(budget.device),
                    host: memory.host_mib.map(|mib| mib * MIB).or(budget.host),
                };
                choose(job, target, budget)
            }
        }
    }

    /// Plans with these policies, one per block.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit the model.
    pub fn with_policies(job: &Job, target: Target, policies: &[Policy]) -> Result<Plan> {
        plan(job, target, &job.step_options(policies))
    }

    /// Everything the process will hold: both arenas where the host is the device, and the heap.
    /// Mapped weight files are the page cache's.
    pub fn total_bytes(&self) -> usize {
        self.size.device + self.size.pinned + self.host_bytes
    }

    /// The shortest time a step could take: for every launch the longer one of moving its bytes and of
    /// doing its arithmetic, summed over the launches. Work on the host counts where the host is the
    /// device; on others it is left out, as are copies, since both can run beside the device.
    pub fn best_step_seconds(&self, profile: &DeviceProfile) -> f64 {
        let host = match profile.host {
            Host::Same => self.host_launches.as_slice(),
            Host::Beside => &[],
        };
        let seconds = |it: &Launches| {
            let one = (it.bytes as f64 / profile.bandwidth).max(it.flops as f64 / profile.flops);
            one * it.count as f64
        };
        self.launches.iter().chain(host).map(seconds).sum()
    }

    fn fits(&self, target: Target, budget: Budget) -> bool {
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

fn choose(job: &Job, target: Target, budget: Budget) -> Result<Plan> {
    let layers = job.spec().config.layers;
    let with = |policy, count| Plan::with_policies(job, target, &lowest(policy, count, layers));
    let kept = with(Policy::Keep, 0)?;
    if kept.fits(target, budget) {
        return Ok(kept);
    }
    // From one block on, each further one only frees device memory.
    let device_fits = |count| Ok(with(Policy::Offload, count)?.device_fits(budget));
    if let Some(count) = smallest(1, layers, device_fits)? {
        let plan = with(Policy::Offload, count)?;
        if plan.fits(target, budget) {
            return Ok(plan);
        }
    }
    for policy in [Policy::Recompute, Policy::Checkpoint] {
        let fits = |count| Ok(with(policy, count)?.fits(target, budget));
        if let Some(count) = smallest(1, layers, fits)? {
            return with(policy, count);
        }
    }
    Err(does_not_fit(job, target, budget)?)
}

/// The smallest number in `first ..= last` for which `holds`, which must hold from there on.
fn smallest(
    first: usize,
    last: usize,
    holds: impl Fn(usize) -> Result<bool>,
) -> Result<Option<usize>> {
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

/// The error that names the largest micro-batch that would fit.
fn does_not_fit(job: &Job, target: Target, budget: Budget) -> Result<Error> {
    let layers = job.spec().config.layers;
    let tokens = job.recipe().batch.tokens;
    let with = |policy, tokens| {
        let options = job.step_options(&lowest(policy, layers, layers));
        let document = options.document.min(tokens);
        plan(job, target, &StepOptions { tokens, document, ..options })
    };
    let too_many = |tokens| {
        for policy in [Policy::Recompute, Policy::Checkpoint, Policy::Offload] {
            if with(policy, tokens)?.fits(target, budget) {
                return Ok(false);
            }
        }
        Ok(true)
    };
    let needed = with(Policy::Recompute, tokens)?;
    let most = smallest(1, tokens, too_many)?.map_or(tokens, |first| first - 1);
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

fn plan(job: &Job, target: Target, options: &StepOptions) -> Result<Plan> {
    let mut dry = Dry::new(target);
    let mut trainer = Trainer::layout(&mut dry, job, options)?;
    trainer.load_bound();
    if !job.held_out().is_empty() {
        trainer.exchange(&mut dry, Pass::Loss);
        trainer.run(&mut dry, 1.0);
        trainer.exchange(&mut dry, Pass::Gradients);
    }
    let before = Work::of(dry.trace());
    dry.record_events();
    trainer.run(&mut dry, 1.0);
    let run = Work::of(dry.trace());
    let events = dry.trace().events.as_ref().map_or(0, Vec::len);
    trainer.update(&mut dry, Update { step: 1, learning_rate: 1.0 })?;
    let updated = Work::of(dry.trace());
    let times = job.recipe().batch.micro_batches as u64;
    let mut prices = Prices::default();
    for (index, event) in dry.trace().events.iter().flatten().enumerate() {
        prices.add(event, if index < events { times } else { 1 });
    }
    Ok(Plan {
        size: dry.trace().peak,
        host_bytes: host_bytes(job, &trainer),
        policies: options.policies.clone(),
        step: (run - before).times(times) + (updated - run),
        launches: prices.device.list(),
        host_launches: prices.host.list(),
    })
}

/// See [`Plan::host_bytes`].
fn host_bytes(job: &Job, trainer: &Trainer) -> usize {
    let params = trainer.model().params();
    let bytes = |p: &model::Param| p.master.bytes();
    let all: usize = params.iter().map(bytes).sum();
    let largest = params.iter().map(bytes).max().unwrap_or(0);
    // A saved adapter or model exists as the bytes of its file, and a tensor of it as numbers, too.
    let saving = all + largest + files_buffer_bytes();
    let staging =
        saving.max(trainer.model().staging_bytes()).max(trainer.optimizer().staging_bytes());
    trainer.host_bytes() + staging + DOCUMENT_BYTES * job.dataset().len() + ALLOWANCE_BYTES
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
