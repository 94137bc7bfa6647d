//! What every op took of a measurement, beside what it moved and computed.

use super::Peaks;
use crate::output;
use crate::serving::Times;
use ops::{Numerics, Spent};

/// The shares of an op in the peaks of bf16, f32, int8 and memory, where these are known.
fn shares(spent: &Spent, peaks: Option<Peaks>) -> [Option<f64>; 4] {
    let rate = |amount: f64| amount / spent.seconds.max(1e-9);
    let (flops, bytes) = (spent.cost.flops as f64, (spent.cost.read + spent.cost.written) as f64);
    peaks.map_or([None; 4], |peaks| {
        [
            Some(rate(flops) / peaks.bf16_flops),
            Some(rate(flops) / peaks.f32_flops),
            peaks.int8_ops.map(|peak| rate(flops) / peak),
            Some(rate(bytes) / peaks.read_bandwidth),
        ]
    })
}

/// A table of ops, the slowest first; nothing where nothing was timed. The peak that counts is that of the numerics.
pub(super) fn table(of: &str, times: &Times, peaks: Option<Peaks>, numerics: Numerics) -> String {
    if times.is_empty() {
        return String::new();
    }
    let total: f64 = times.values().map(|it| it.seconds).sum();
    let mut ops: Vec<_> = times.iter().collect();
    ops.sort_by(|a, b| b.1.seconds.total_cmp(&a.1.seconds));
    let of_peak = format!("of {}", numerics.name());
    let heading = ["op", "launches", "ms", "share", "GFLOP", "GB", &of_peak, "of bandwidth"];
    let mut cells = vec![heading.map(str::to_owned).to_vec()];
    for (name, spent) in ops {
        let bytes = (spent.cost.read + spent.cost.written) as f64;
        let flops = spent.cost.flops as f64;
        let [bf16, f32, int8, bandwidth] = shares(spent, peaks)
            .map(|share| share.map_or("-".to_owned(), |share| format!("{:.0} %", 100.0 * share)));
        cells.push(vec![
            (*name).to_owned(),
            spent.launches.to_string(),
            format!("{:.1}", 1e3 * spent.seconds),
            format!("{:.0} %", 100.0 * spent.seconds / total.max(1e-9)),
            format!("{:.2}", flops / 1e9),
            format!("{:.2}", bytes / 1e9),
            match numerics {
                Numerics::Bf16 => bf16,
                Numerics::F32 => f32,
                Numerics::Int8 => int8,
            },
            bandwidth,
        ]);
    }
    format!("\n{of}\n{}", output::table(&cells))
}

/// The same for machines.
pub(super) fn json(times: &Times, peaks: Option<Peaks>) -> serde_json::Value {
    let ops = times.iter().map(|(name, spent)| {
        let [bf16, f32, int8, bandwidth] = shares(spent, peaks);
        serde_json::json!({
            "op": name,
            "launches": spent.launches,
            "seconds": spent.seconds,
            "flops": spent.cost.flops,
            "bytes": spent.cost.read + spent.cost.written,
            "share_of_bf16": bf16,
            "share_of_f32": f32,
            "share_of_int8": int8,
            "share_of_bandwidth": bandwidth,
        })
    });
    ops.collect()
}
