//! What every op took of a measurement, beside what it moved and computed.

use super::Peaks;
use crate::output;
use crate::serving::Times;

/// A table of ops, the slowest first; nothing where nothing was timed.
pub(super) fn table(of: &str, times: &Times, peaks: Option<Peaks>) -> String {
    if times.is_empty() {
        return String::new();
    }
    let total: f64 = times.values().map(|it| it.seconds).sum();
    let mut ops: Vec<_> = times.iter().collect();
    ops.sort_by(|a, b| b.1.seconds.total_cmp(&a.1.seconds));
    let heading = ["op", "launches", "ms", "share", "GFLOP", "GB", "of bf16", "of bandwidth"]
        .map(str::to_owned);
    let mut cells = vec![heading.to_vec()];
    for (name, spent) in ops {
        let bytes = (spent.cost.read + spent.cost.written) as f64;
        let flops = spent.cost.flops as f64;
        let share = |amount: f64, peak: Option<f64>| {
            let rate = amount / spent.seconds.max(1e-9);
            peak.map_or("-".to_owned(), |peak| format!("{:.0} %", 100.0 * rate / peak))
        };
        cells.push(vec![
            (*name).to_owned(),
            spent.launches.to_string(),
            format!("{:.1}", 1e3 * spent.seconds),
            format!("{:.0} %", 100.0 * spent.seconds / total.max(1e-9)),
            format!("{:.2}", flops / 1e9),
            format!("{:.2}", bytes / 1e9),
            share(flops, peaks.map(|it| it.bf16_flops)),
            share(bytes, peaks.map(|it| it.read_bandwidth)),
        ]);
    }
    format!("\n{of}\n{}", output::table(&cells))
}

/// The same for machines.
pub(super) fn json(times: &Times) -> serde_json::Value {
    let ops = times.iter().map(|(name, spent)| {
        serde_json::json!({
            "op": name,
            "launches": spent.launches,
            "seconds": spent.seconds,
            "flops": spent.cost.flops,
            "bytes": spent.cost.read + spent.cost.written,
        })
    });
    ops.collect()
}
