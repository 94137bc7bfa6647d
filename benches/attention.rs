//! `cargo bench -p ops`: attention over packed documents and over one long prompt, as a share of the
//! peak measured in the same run, and of one token behind many, as a share of the read bandwidth.
//! Prints a table; benches/results/ keeps rows worth keeping.

use half::bf16;
use ops::attention::{Backward, Forward, Heads, Window};
use ops::{Backend, Buf, Cpu, DType, Element, Isa, Numerics, Op, Size, Space, Target};
use quant::peak;
use std::time::{Duration, Instant};

/// Name, lengths of the documents, and H, Hkv, D.
const SHAPES: [(&str, &[usize], [usize; 3]); 4] = [
    ("packed 450", &[180, 120, 90, 60], [6, 2, 64]),
    ("one of 450", &[450], [6, 2, 64]),
    ("8B, one of 512", &[512], [32, 8, 128]),
    ("1B, one of 2048", &[2048], [32, 8, 64]),
];

/// Name, rows of the cache, and H, Hkv, D.
const DECODED: [(&str, usize, [usize; 3]); 2] =
    [("8B behind 4096", 4096, [32, 8, 128]), ("1B behind 16384", 16_384, [32, 8, 64])];

fn main() {
    // Inside of a pool, as every command of `srek` is.
    let pool = rayon::ThreadPoolBuilder::new().build().expect("threads");
    pool.install(measure);
}

fn measure() {
    for numerics in [Numerics::F32, Numerics::Bf16] {
        for (name, documents, heads) in SHAPES {
            let flops = peak::f32_flops(Isa::detect(), Duration::from_millis(300));
            let [forward, backward] = run(numerics, documents, heads);
            println!(
                "{:4} {name:16} peak {:6.1} GFLOP/s   forward {:6.1} ({:3.0} %)   backward {:6.1} ({:3.0} %)",
                numerics.name(),
                flops / 1e9,
                forward / 1e9,
                forward * 100.0 / flops,
                backward / 1e9,
                backward * 100.0 / flops,
            );
        }
        for (name, rows, heads) in DECODED {
            let bandwidth = peak::read_bandwidth(Duration::from_millis(300));
            let bytes = decode(numerics, rows, heads);
            println!(
                "{:4} {name:16} read {:6.1} GB/s   decode {:6.1} ({:3.0} %)",
                numerics.name(),
                bandwidth / 1e9,
                bytes / 1e9,
                bytes * 100.0 / bandwidth,
            );
        }
    }
}

/// FLOP/s of both passes: the median of seven.
fn run(numerics: Numerics, documents: &[usize], heads: [usize; 3]) -> [f64; 2] {
    let target = Target::cpu(Isa::detect(), rayon::current_num_threads());
    let mut cpu = Cpu::new(target, Size { device: 512 << 20, pinned: 0, mapped: 0 });
    let op = backward(&mut cpu, numerics, documents, heads);
    let pairs: usize = documents.iter().map(|len| len * (len + 1) / 2).sum();
    let flops = (4 * pairs * heads[0] * heads[2]) as f64;
    [flops / seconds(&mut cpu, op.forward), flops * 2.5 / seconds(&mut cpu, op)]
}

/// Bytes per second of a cache, which one token of each of sixteen layers reads in turn: far more than any
/// processor keeps near.
fn decode(numerics: Numerics, rows: usize, [query, key_value, dim]: [usize; 3]) -> f64 {
    const LAYERS: usize = 16;
    let target = Target::cpu(Isa::detect(), rayon::current_num_threads());
    let mut cpu = Cpu::new(target, Size { device: 1100 << 20, pinned: 0, mapped: 0 });
    let layers: Vec<Forward> = (0..LAYERS)
        .map(|_| {
            let heads = Heads { query, key_value, dim, scale: 1.0 / (dim as f32).sqrt() };
            let [k, v] = [(); 2].map(|()| cache(&mut cpu, numerics, rows * key_value * dim));
            let [first, visible] = [0, rows as u32].map(|value| put(&mut cpu, &[value]));
            let [q, o] = [(); 2].map(|()| put(&mut cpu, &vec![0.25_f32; query * dim]));
            let lse = cpu.alloc("bench", Space::Device, DType::F32, query);
            let window = Window { first, visible, most: rows };
            Forward { q, k, v, window, o, lse, heads, numerics }
        })
        .collect();
    let mut seconds = |layer: &Forward| {
        let start = Instant::now();
        cpu.launch(*layer);
        start.elapsed().as_secs_f64()
    };
    let mut all: Vec<f64> = (0..5).map(|_| layers.iter().map(&mut seconds).sum()).collect();
    all.sort_by(f64::total_cmp);
    layers.iter().map(|layer| layer.k.bytes() + layer.v.bytes()).sum::<usize>() as f64 / all[2]
}

/// Values of the cache's type.
fn cache(cpu: &mut Cpu, numerics: Numerics, len: usize) -> Buf {
    let values = values(len);
    match numerics {
        Numerics::F32 => put(cpu, &values.collect::<Vec<f32>>()),
        Numerics::Bf16 | Numerics::Int8 => {
            put(cpu, &values.map(bf16::from_f32).collect::<Vec<bf16>>())
        }
    }
}

fn values(len: usize) -> impl Iterator<Item = f32> {
    (0..len).map(|i| ((i * 7919) % 1013) as f32 / 1013.0 - 0.5)
}

fn seconds<O: Op + Copy>(cpu: &mut Cpu, op: O) -> f64 {
    let mut seconds: Vec<f64> = (0..7)
        .map(|_| {
            let start = Instant::now();
            cpu.launch(op);
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[3]
}

fn backward(
    cpu: &mut Cpu,
    numerics: Numerics,
    documents: &[usize],
    [query, key_value, dim]: [usize; 3],
) -> Backward {
    let heads = Heads { query, key_value, dim, scale: 1.0 / (dim as f32).sqrt() };
    let (n, most) = (documents.iter().sum::<usize>(), documents.iter().max().copied());
    let ends = documents.iter().scan(0, |end, len| {
        *end += len;
        Some((*end, *len))
    });
    let places: Vec<(usize, usize)> =
        ends.flat_map(|(end, len)| (0..len).map(move |place| (end - len, place))).collect();
    let index = |cpu: &mut Cpu, f: &dyn Fn(&(usize, usize)) -> usize| {
        put(cpu, &places.iter().map(|place| f(place) as u32).collect::<Vec<_>>())
    };
    let first = index(cpu, &|place| place.0);
    let visible = index(cpu, &|place| place.1 + 1);
    let [q, o, d_o, dq] =
        [(); 4].map(|()| put(cpu, &values(n * query * dim).collect::<Vec<f32>>()));
    let [k, v] = [(); 2].map(|()| cache(cpu, numerics, n * key_value * dim));
    let [dk, dv] =
        [(); 2].map(|()| cpu.alloc("bench", Space::Device, DType::F32, n * key_value * dim));
    let lse = cpu.alloc("bench", Space::Device, DType::F32, n * query);
    let window = Window { first, visible, most: most.unwrap_or(0) };
    let forward = Forward { q, k, v, window, o, lse, heads, numerics };
    Backward { forward, d_o, dq, dk, dv }
}

fn put<T: Element>(cpu: &mut Cpu, values: &[T]) -> Buf {
    let buf = cpu.alloc("bench", Space::Device, T::DTYPE, values.len());
    cpu.write(buf, values);
    buf
}
