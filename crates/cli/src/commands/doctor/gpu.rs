//! What `srek doctor` says of GPUs.

use crate::commands::plan::longest_of;
use crate::machine;
use crate::output::bytes;
use ops::Target;
use ops::backend::cuda::{DeviceMemory, Driver, DriverError, Gpu, Nvidia, gpus};
use serde_json::{Value, json};
use train::Budget;

/// A GPU, and what was found when it was opened.
struct Seen {
    gpu: Gpu,
    opened: Result<Opened, DriverError>,
}

/// Memory in bytes.
struct Opened {
    /// Free once the context stands.
    free: usize,
    total: usize,
    /// What it took, where the driver tells.
    context: Option<usize>,
}

/// The GPUs of the machine, in words and for programs.
pub(super) struct Gpus(Result<Vec<Seen>, DriverError>);

impl Gpus {
    /// Looks for them, and opens each.
    pub(super) fn look() -> Gpus {
        let seen = |gpu: Gpu| {
            let opened = Nvidia::open(gpu.ordinal).and_then(|device| {
                let DeviceMemory { free, total } = device
                    .memory()?
                    .unwrap_or(DeviceMemory { free: gpu.memory, total: gpu.memory });
                Ok(Opened { free, total, context: device.context_bytes() })
            });
            Seen { gpu, opened }
        };
        Gpus(gpus().map(|gpus| gpus.into_iter().map(seen).collect()))
    }

    pub(super) fn text(&self) -> String {
        match &self.0 {
            Err(error) => first_line(error),
            Ok(seen) => seen.iter().map(Seen::text).collect::<Vec<_>>().join("; "),
        }
    }

    pub(super) fn json(&self) -> Value {
        match &self.0 {
            Err(error) => json!({ "found": [], "problem": error.to_string() }),
            Ok(seen) => json!({ "found": seen.iter().map(Seen::json).collect::<Vec<_>>() }),
        }
    }
}

fn first_line(error: &DriverError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// What the plan is asked for: the mission's model.
const SHAPE: &str = "llama3.1-8b";
/// Rank of its adapter.
const RANK: usize = 16;

impl Seen {
    /// The longest document of the shape that could be tuned in what is free.
    fn longest(&self) -> Option<usize> {
        let free = self.opened.as_ref().ok()?.free;
        let host = machine::memory().map(|(_, available)| available as usize);
        let budget = Budget { device: Some(free), host };
        longest_of(SHAPE, RANK, Target::cuda(self.gpu.sm), budget).ok()?
    }

    fn text(&self) -> String {
        let Gpu { name, sm, memory, driver, .. } = &self.gpu;
        let opened = match &self.opened {
            Ok(it) => format!(
                "{} of {} free beside the context{}; {}",
                bytes(it.free as u64),
                bytes(it.total as u64),
                it.context.map_or(String::new(), |it| format!(" of {}", bytes(it as u64))),
                match self.longest() {
                    Some(longest) => format!(
                        "could tune {SHAPE} at rank {RANK} on documents up to {longest} tokens"
                    ),
                    None => format!("too little to tune {SHAPE}"),
                }
            ),
            Err(error) => first_line(error),
        };
        format!(
            "{name}, {}, compute capability {}.{}, driver for CUDA {}.{}: {opened}",
            bytes(*memory as u64),
            sm / 10,
            sm % 10,
            driver / 1000,
            driver % 1000 / 10,
        )
    }

    fn json(&self) -> Value {
        let Gpu { ordinal, name, sm, memory, driver } = &self.gpu;
        let (free, problem) = match &self.opened {
            Ok(it) => (Some(it.free), None),
            Err(error) => (None, Some(error.to_string())),
        };
        json!({
            "ordinal": ordinal,
            "name": name,
            "sm": sm,
            "memory_bytes": memory,
            "cuda_version": driver,
            "free_bytes": free,
            "context_bytes": self.opened.as_ref().ok().and_then(|it| it.context),
            "longest_tuning_tokens": self.longest(),
            "problem": problem,
        })
    }
}
