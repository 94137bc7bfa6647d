//! `cargo bench -p ops --bench adamw`: the update of a rank-16 adapter of all linear layers of an 8B Llama
//! (41,943,040 numbers in 448 tensors), as a share of the read bandwidth measured beside it. Prints a
//! line; benches/results/ keeps rows worth keeping. Rounded values go to one of two stagings in turns, as in training,
//! where they leave for the device.

use ops::adamw::{StepSize, Update};
use ops::{Backend, Buf, Cpu, DType, Isa, Op, Size, Space, Target};
use quant::peak;
use std::time::{Duration, Instant};

/// R.
const RANK: usize = 16;
/// Blocks.
const LAYERS: usize = 32;
/// in and out of the projections of a block.
const PROJECTIONS: [[usize; 2]; 7] = [
    [4096, 4096],
    [4096, 1024],
    [4096, 1024],
    [4096, 4096],
    [4096, 14_336],
    [4096, 14_336],
    [14_336, 4096],
];
const REPEATS: usize = 9;

fn main() {
    // Inside of a pool, as every command of `srek` is.
    let pool = rayon::ThreadPoolBuilder::new().build().expect("threads");
    pool.install(measure);
}

fn measure() {
    let target = Target::cpu(Isa::detect(), rayon::current_num_threads());
    let size = Size { device: 64, pinned: 1 << 30, mapped: 0 };
    let mut cpu = Cpu::new(target, size);
    let block = PROJECTIONS.into_iter().flat_map(|[inner, out]| [RANK * inner, out * RANK]);
    let lengths: Vec<usize> = (0..LAYERS).flat_map(|_| block.clone()).collect();
    let longest = *lengths.iter().max().expect("layers");
    let staging = [(); 2].map(|()| cpu.alloc("bench", Space::Pinned, DType::Bf16, longest));
    let updates: Vec<Update> = lengths
        .iter()
        .zip(staging.into_iter().cycle())
        .map(|(&len, staging)| update(&mut cpu, staging.slice(0, len)))
        .collect();
    let bytes: u64 = updates
        .iter()
        .map(|update| (update.cost(&target), update.out.bytes() as u64))
        // Stagings stay in the cache.
        .map(|(cost, staged)| cost.read + cost.written - staged)
        .sum();
    let mut seconds: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let start = Instant::now();
            updates.iter().for_each(|update| cpu.host(*update));
            start.elapsed().as_secs_f64()
        })
        .collect();
    let bandwidth = peak::read_bandwidth(Duration::from_millis(300));
    seconds.sort_by(f64::total_cmp);
    let (median, rate) = (seconds[REPEATS / 2], bytes as f64 / seconds[REPEATS / 2]);
    println!(
        "{} parameters: {:.1} ms (spread {:.0} %), {:.1} GB/s, {:.0} % of {:.1} GB/s read",
        lengths.iter().sum::<usize>(),
        median * 1e3,
        100.0 * (seconds[REPEATS - 1] - seconds[0]) / median,
        rate / 1e9,
        100.0 * rate / bandwidth,
        bandwidth / 1e9,
    );
}

/// An update that writes to `out`, over memory that was touched.
fn update(cpu: &mut Cpu, out: Buf) -> Update {
    let [w, m, v, g] = [(); 4].map(|()| cpu.alloc("bench", Space::Pinned, DType::F32, out.len));
    for (buf, value) in [(w, 0.5), (m, 0.01), (v, 0.0001), (g, 0.02)] {
        cpu.write(buf, &vec![value; out.len]);
    }
    let size = StepSize {
        lr: 1e-4,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        decay: 0.0,
        correction1: 0.5,
        root_correction2: 0.5,
        clip: 0.9,
    };
    Update { w, m, v, g, out, size }
}
