//! `srek doctor`: what the machine has, and how fast it is, measured in about a second; or whether a model
//! is what it should be.

mod gpu;
mod model;

use crate::args::DoctorArgs;
use crate::machine::{self, Machine};
use crate::models;
use crate::output::{Answer, bytes, pairs};
use ops::Isa;
use std::path::Path;
use std::time::Duration;

/// Time of each of the three measurements.
const MEASURE: Duration = Duration::from_millis(300);

/// The yardsticks of a run, measured on the pool that the run uses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peaks {
    /// f32 multiply-adds, in FLOP/s.
    pub(crate) f32_flops: f64,
    /// bf16 multiply-adds with f32 sums, in FLOP/s.
    pub(crate) bf16_flops: f64,
    /// Multiply-adds of bytes, in operations per second, where the tier has an instruction for them.
    pub(crate) int8_ops: Option<f64>,
    /// Bytes per second read from memory.
    pub(crate) read_bandwidth: f64,
}

impl Peaks {
    /// Measures all four, each for `time`.
    pub(crate) fn measure(machine: &Machine, time: Duration) -> Peaks {
        Peaks {
            f32_flops: quant::peak::f32_flops(machine.isa, time),
            bf16_flops: quant::peak::bf16_flops(machine.isa, time),
            int8_ops: quant::peak::int8_ops(machine.isa, time),
            read_bandwidth: quant::peak::read_bandwidth(time),
        }
    }

    /// For machines.
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::json!({
            "f32_flops": self.f32_flops,
            "bf16_flops": self.bf16_flops,
            "int8_ops_per_second": self.int8_ops,
            "read_bytes_per_second": self.read_bandwidth,
        })
    }
}

/// Looks at the machine, or at a model.
pub(crate) fn run(args: &DoctorArgs, machine: &Machine) -> anyhow::Result<Answer> {
    match &args.model {
        Some(model) => model::run(args, &models::directory(model)?, machine),
        None => look(machine),
    }
}

/// Looks and measures.
fn look(machine: &Machine) -> anyhow::Result<Answer> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = machine::memory();
    let disk = machine::free_disk(Path::new("."));
    let gpus = gpu::Gpus::look();
    let processor = machine::processor();
    let peaks = Peaks::measure(machine, MEASURE);
    let unknown = || "unknown".to_owned();
    let int8 = match (peaks.int8_ops, machine.isa) {
        (Some(rate), _) => format!("{:.1} Gop/s", rate / 1e9),
        (None, Isa::Scalar) => "plain loops".to_owned(),
        (None, _) => "plain loops: --numerics int8 is slower than bf16".to_owned(),
    };
    let memory_text = memory.map_or_else(unknown, |(total, available)| {
        format!("{}, {} of it available", bytes(total), bytes(available))
    });
    let text = pairs(&[
        ("processor", processor.clone()),
        ("tier", machine.isa.name().to_owned()),
        ("cores", format!("{cores}, {} threads used", machine.threads)),
        ("memory", memory_text),
        ("disk here", disk.map_or_else(unknown, |free| format!("{} free", bytes(free)))),
        ("gpu", gpus.text()),
        ("f32 peak", format!("{:.1} GFLOP/s", peaks.f32_flops / 1e9)),
        ("bf16 peak", format!("{:.1} GFLOP/s", peaks.bf16_flops / 1e9)),
        ("int8 peak", int8),
        ("memory reads", format!("{:.1} GB/s", peaks.read_bandwidth / 1e9)),
    ]);
    let mut json = serde_json::json!({
        "processor": processor,
        "tier": machine.isa.name(),
        "cores": cores,
        "threads": machine.threads,
        "memory_bytes": memory.map(|(total, _)| total),
        "memory_available_bytes": memory.map(|(_, available)| available),
        "disk_free_bytes": disk,
        "gpu": gpus.json(),
    });
    if let (Some(all), serde_json::Value::Object(peaks)) = (json.as_object_mut(), peaks.json()) {
        all.extend(peaks);
    }
    Ok(Answer { text, json })
}
