//! `cargo bench -p quant`: the products at the shapes of Llama 3 1B and 8B and of sre-tiny, as a share of the peak
//! measured in the same run. Prints a table; benches/results/ keeps rows worth keeping.

use quant::gemm::{Lie, Matrix, Mode, Output, Side, Workspace, workspace};
use quant::nf4::{self, Absmax, Nf4};
use quant::{Isa, Numerics, gemm, peak};
use std::time::{Duration, Instant};

/// Name, tokens, output and input features.
const SHAPES: [(&str, usize, usize, usize); 10] = [
    ("1B gate", 512, 8192, 2048),
    ("1B down", 512, 2048, 8192),
    ("1B q", 512, 2048, 2048),
    ("8B q", 512, 4096, 4096),
    ("small", 512, 512, 512),
    ("tiny q", 2048, 384, 384),
    ("tiny gate", 2048, 1024, 384),
    ("lora A", 512, 16, 2048),
    ("lora B", 512, 2048, 16),
    ("1B gate, decode", 1, 8192, 2048),
];

fn main() {
    // Inside of a pool and in huge pages, as every command of `srek` is.
    let pool = rayon::ThreadPoolBuilder::new().build().expect("threads");
    pool.install(measure);
}

/// So many zeros in huge pages.
fn zeros<T: Clone + Default>(len: usize) -> Vec<T> {
    let mut values = Vec::with_capacity(len);
    quant::cpu::ask_for_huge_pages(values.spare_capacity_mut());
    values.resize(len, T::default());
    values
}

fn measure() {
    let isa = Isa::detect();
    let time = Duration::from_millis(300);
    for numerics in [Numerics::F32, Numerics::Bf16, Numerics::Int8] {
        for (name, n, out, inner) in SHAPES {
            if numerics == Numerics::Int8 {
                // Serving only, and weights of whole blocks.
                if let Some(peak) = peak::int8_ops(isa, time).filter(|_| inner.is_multiple_of(64)) {
                    let forward = run(isa, numerics, (n, out, inner), Side::In);
                    let share = forward * 1e11 / peak;
                    let peak = peak / 1e9;
                    println!(
                        "int8 {name:16} peak {peak:6.1} Gop/s   y = x Wᵀ {forward:6.1} ({share:3.0} %)"
                    );
                }
                continue;
            }
            let flops = match numerics {
                Numerics::F32 => peak::f32_flops(isa, time),
                _ => peak::bf16_flops(isa, time),
            };
            let forward = run(isa, numerics, (n, out, inner), Side::In);
            let backward = run(isa, numerics, (n, out, inner), Side::Out);
            println!(
                "{:4} {name:16} peak {:6.1} GFLOP/s   y = x Wᵀ {forward:6.1} ({:3.0} %)   dx = dy W {backward:6.1} ({:3.0} %)",
                numerics.name(),
                flops / 1e9,
                forward * 1e11 / flops,
                backward * 1e11 / flops,
            );
        }
    }
    println!("read bandwidth {:.1} GB/s", peak::read_bandwidth(time) / 1e9);
}

/// The median of seven, in GFLOP/s.
fn run(isa: Isa, numerics: Numerics, shape: (usize, usize, usize), side: Side) -> f64 {
    let (n, out, inner) = shape;
    let dense: Vec<f32> =
        (0..out * inner).map(|i| ((i * 7919) % 1013) as f32 / 1013.0 - 0.5).collect();
    let mut codes = zeros(nf4::code_bytes(dense.len()));
    let mut absmax = zeros(nf4::blocks(dense.len()));
    nf4::encode(&dense, &mut codes, &mut absmax).expect("finite");
    let weight = Nf4 { codes: &codes, absmax: Absmax::F32(&absmax) };
    let right = Matrix::Nf4 { weight, out, inner, side };
    let (m, k) = (right.rows(), right.cols());
    let mut x = zeros(n * k);
    x.iter_mut().enumerate().for_each(|(i, x)| *x = ((i * 31) % 17) as f32 - 8.0);
    let threads = rayon::current_num_threads();
    let mut y = zeros(n * m);
    let left = Matrix::f32(&x, n, k);
    let lie = Lie::of(&left, &right);
    let mut words = zeros(workspace(isa, numerics, [n, m, k], lie, threads));
    let mut seconds: Vec<f64> = (0..7)
        .map(|_| {
            let start = Instant::now();
            let output = Output { values: &mut y, stride: m, scale: 1.0, mode: Mode::Overwrite };
            gemm(isa, numerics, &left, &right, output, Workspace { words: &mut words, threads });
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    (2 * n * m * k) as f64 / seconds[3] / 1e9
}
