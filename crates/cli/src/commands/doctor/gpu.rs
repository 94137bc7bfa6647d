//! What `srek doctor` says of GPUs.

use crate::output::bytes;
use ops::backend::cuda::{DriverError, Gpu, Nvidia, gpus};
use serde_json::{Value, json};

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
}

/// The GPUs of the machine, in words and for programs.
pub(super) struct Gpus(Result<Vec<Seen>, DriverError>);

impl Gpus {
    /// Looks for them, and opens each.
    pub(super) fn look() -> Gpus {
        let seen = |gpu: Gpu| {
            let opened = Nvidia::open(gpu.ordinal).and_then(|device| device.memory());
            Seen { gpu, opened: opened.map(|(free, total)| Opened { free, total }) }
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

impl Seen {
    fn text(&self) -> String {
        let Gpu { name, sm, memory, driver, .. } = &self.gpu;
        let opened = match &self.opened {
            Ok(it) => format!(
                "{} of {} free beside the context",
                bytes(it.free as u64),
                bytes(it.total as u64)
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
            "problem": problem,
        })
    }
}
