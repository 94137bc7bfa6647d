//! `cargo bench -p ops`: attention over packed documents and over one long prompt, as a share of the
//! peak measured in the same run. Prints a table; benches/results/ keeps rows worth keeping.

use half::bf16;
use ops::attention::{Backward, Forward, Heads, Window};
use ops::{Backend, Cpu, DType, Element, Isa, Numerics, Op, Size, Space, Target};
use quant::peak;
use std::time::{Duration, Instant};

/// Name, lengths of the documents, and H, Hkv, D.
const SHAPES: [(&str, &[usize], [usize; 3]); 4] = [
    ("packed 450", &[180, 120, 90, 60], [6, 2, 64]),
    ("one of 450", &[450], [6, 2, 64]),
    ("8B, one of 512", &[512], [32, 8, 128]),
    ("1B, one of 2048", &[2048], [32, 8, 64]),
];

fn main() {
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
    let values = |len: usize| (0..len).map(|i| ((i * 7919) % 1013) as f32 / 1013.0 - 0.5);
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
    let [k, v] = [(); 2].map(|()| {
        let values = values(n * key_value * dim);
        match numerics {
            Numerics::F32 => put(cpu, &values.collect::<Vec<f32>>()),
            Numerics::Bf16 => put(cpu, &values.map(bf16::from_f32).collect::<Vec<bf16>>()),
        }
    });
    let [dk, dv] =
        [(); 2].map(|()| cpu.alloc("bench", Space::Device, DType::F32, n * key_value * dim));
    let lse = cpu.alloc("bench", Space::Device, DType::F32, n * query);
    let window = Window { first, visible, most: most.unwrap_or(0) };
    let forward = Forward { q, k, v, window, o, lse, heads, numerics };
    Backward { forward, d_o, dq, dk, dv }
}

fn put<T: Element>(cpu: &mut Cpu, values: &[T]) -> ops::Buf {
    let buf = cpu.alloc("bench", Space::Device, T::DTYPE, values.len());
    cpu.write(buf, values);
    buf
}
