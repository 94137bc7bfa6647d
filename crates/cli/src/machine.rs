//! The machine that a command runs on: its tier, its threads, and what can be found out about it.

use crate::args::MachineArgs;
use crate::device::Gpu;
use crate::exit::usage;
use ops::{Isa, Target};
use std::path::Path;

/// The variable that chooses the tier where no argument does.
const TIER_VARIABLE: &str = "SREK_TIER";

/// Most threads that can be asked for.
const MOST_THREADS: usize = 1024;

/// The settings that all commands share, checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// The tier of the products.
    pub(crate) isa: Isa,
    /// Threads of the pool.
    pub(crate) threads: usize,
    /// Where it is not the processor that trains and serves.
    pub(crate) gpu: Option<Gpu>,
}

impl Machine {
    /// Checks what was asked for.
    ///
    /// # Errors
    /// A tier that has no such name or that this machine cannot run, or a number of threads that
    /// makes no sense.
    pub(crate) fn new(args: &MachineArgs) -> anyhow::Result<Machine> {
        let variable = std::env::var(TIER_VARIABLE).ok().filter(|value| !value.is_empty());
        let isa = match (&args.tier, variable) {
            (Some(name), _) => tier(name, "--tier")?,
            (None, Some(name)) => tier(&name, TIER_VARIABLE)?,
            (None, None) => Isa::detect(),
        };
        let threads = match args.threads {
            None => std::thread::available_parallelism().map_or(1, usize::from),
            Some(threads) if (1..=MOST_THREADS).contains(&threads) => threads,
            Some(threads) => {
                return Err(usage(format!(
                    "--threads is {threads}, expected 1 to {MOST_THREADS}\nhint: without it every core has one"
                )));
            }
        };
        let gpu = args.gpu.map(Gpu::find).transpose()?;
        Ok(Machine { isa, threads, gpu })
    }

    /// The pool that the whole command runs in.
    ///
    /// # Errors
    /// When the system starts no more threads.
    pub(crate) fn pool(&self) -> anyhow::Result<rayon::ThreadPool> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .thread_name(|index| format!("srek-{index}"))
            .build()?;
        Ok(pool)
    }

    /// What plans and backends are made for.
    pub(crate) fn target(&self) -> Target {
        self.gpu.map_or(Target::cpu(self.isa, self.threads), Gpu::target)
    }

    /// What gives the bits of a result: the tier of the processor, or the device.
    pub(crate) fn tier(&self) -> String {
        train::tier(self.target())
    }
}

fn tier(name: &str, from: &str) -> anyhow::Result<Isa> {
    let Some(isa) = Isa::from_name(name) else {
        let names = Isa::ALL.map(Isa::name).join(", ");
        return Err(usage(format!(
            "{from} is {name:?}, expected one of {names}\nhint: without it the fastest of this machine is taken"
        )));
    };
    if !isa.available() {
        let best = Isa::detect().name();
        return Err(usage(format!(
            "{from} is {name}, which this machine cannot run\nhint: its fastest tier is {best}"
        )));
    }
    Ok(isa)
}

/// The processor's name.
pub(crate) fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    line.and_then(|rest| rest.split_once(':'))
        .map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}

/// A backend with room for `size`, if this machine has that much memory to give.
///
/// # Errors
/// How much is needed and how much is available.
pub(crate) fn backend(machine: &Machine, size: ops::Size) -> anyhow::Result<ops::Any> {
    let on_host = if machine.gpu.is_some() { 0 } else { size.device };
    let needed = on_host.saturating_add(size.pinned) as u64;
    if let Some((_, available)) = memory().filter(|(_, available)| needed > *available) {
        let mib = |bytes: u64| bytes >> 20;
        return Err(crate::exit::usage(format!(
            "needs {} MiB of memory, {} MiB are available\nhint: take a shorter context, fewer sequences at once or a 4-bit base",
            mib(needed),
            mib(available),
        )));
    }
    let Some(gpu) = machine.gpu else {
        return Ok(ops::Any::Cpu(ops::Cpu::new(machine.target(), size)));
    };
    let opened = gpu.open()?;
    if let Some(free) = opened.free.filter(|free| size.device > *free) {
        return Err(crate::exit::usage(format!(
            "needs {} MiB of the GPU's memory, {} MiB are free\nhint: close what else uses it, take a shorter context or fewer sequences at once, or a 4-bit base",
            size.device.div_ceil(1 << 20),
            free >> 20,
        )));
    }
    opened.backend(size)
}

/// Bytes of memory in all and available now.
pub(crate) fn memory() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    Some((of("MemTotal:")?, of("MemAvailable:")?))
}

/// Bytes free on the disk that holds this directory, as `df` tells them.
pub(crate) fn free_disk(directory: &Path) -> Option<u64> {
    let output = std::process::Command::new("df").arg("-Pk").arg("--").arg(directory).output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let line = text.lines().nth(1)?;
    // From the right: the name of a device may have spaces in it.
    line.split_whitespace().rev().nth(2)?.parse::<u64>().ok()?.checked_mul(1024)
}
