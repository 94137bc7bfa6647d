//! How long a ranking takes: `cargo run --release -p sre --example rank_speed -- [services] [metrics]
//! [samples]`, by default 200, 20 and 720. Prints the median of five, in milliseconds, and the largest
//! memory of the process.

use sre::rank::change_point::change_points;
use sre::rank::{Target, Window, rank};
use std::time::Instant;
use text::random::Numbers;

const METRICS: [&str; 20] = [
    "latency mean",
    "latency p50",
    "latency p90",
    "latency p99",
    "requests",
    "errors ratio",
    "cpu",
    "memory",
    "restarts",
    "throttled",
    "connections",
    "waiting",
    "queue",
    "open_fds",
    "disk",
    "replicas ready",
    "cache hit ratio",
    "dns seconds",
    "retries",
    "packets dropped",
];

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|it| it.parse().ok()).collect();
    let size = |index: usize, usual: usize| numbers.get(index).copied().unwrap_or(usual);
    let (services, metrics, samples) = (size(0, 200), size(1, 20), size(2, 720));
    let mut noise = Numbers::named(&[1]);
    let mut window = Window::new(samples as f64 * 0.75);
    for service in 0..services {
        let index = window.service(&format!("service-{service}")).expect("few services");
        for callee in [2 * service + 1, 2 * service + 2].into_iter().filter(|it| *it < services) {
            window.call(&format!("service-{service}"), &format!("service-{callee}")).expect("few");
        }
        for metric in 0..metrics {
            let slow = if service == services / 2 { 1.0 } else { 0.0 };
            let value = |row: usize, noise: f64| {
                1.0 + 0.1 * noise + if row * 4 >= samples * 3 { slow } else { 0.0 }
            };
            let rows =
                (0..samples).map(|row| (row as f64, value(row, noise.below(1000) as f64 / 1e3)));
            window.track(index, METRICS[metric % METRICS.len()], rows).expect("few samples");
        }
    }
    window.target = window.find("service-0").map(|service| Target { service, signal: None });
    let median = |of: &dyn Fn()| {
        let mut times: Vec<f64> = (0..5)
            .map(|_| {
                let start = Instant::now();
                of();
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times[2]
    };
    let ranked = median(&|| {
        std::hint::black_box(rank(&window));
    });
    let two: Vec<Vec<f64>> =
        window.series[..2].iter().map(|it| it.samples().iter().map(|it| it.1).collect()).collect();
    let found = median(&|| {
        std::hint::black_box(change_points(&two));
    });
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: unknown");
    println!("{services} services x {metrics} metrics x {samples} samples");
    println!("ranking {ranked:.1} ms, change points of two series {found:.1} ms, {peak}");
}
