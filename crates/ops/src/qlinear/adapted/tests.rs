use super::*;
use crate::test_bench::{Bench, Stored, assert_same_bits, everywhere, random, scaled, weight};

const N: usize = 5;
const OUT: usize = 24;
/// Short, and long enough to have weights decoded into the cache.
const INNER: [usize; 2] = [128, 320];
const RANK: usize = 3;

fn part(bench: &mut Bench, inner: usize, (seed, adapted): (u64, bool), start: &[f32]) -> Part {
    let shape = [OUT, inner];
    let values = scaled(0.3, random(seed, OUT * inner));
    let (weight, _) = weight(&mut bench.cpu, Stored::Nf4Double, shape, &values);
    let mut factor = |seed, len| bench.f32(&scaled(0.2, random(seed, len)));
    let (a, b) = (factor(seed + 1, RANK * inner), factor(seed + 2, OUT * RANK));
    let adapter = Adapter { a, b, inner, out: OUT, rank: RANK, scale: 0.5 };
    Part { weight, adapter: adapted.then_some(adapter), y: bench.f32(start) }
}

/// The products are those of the ops one after another, bit for bit.
#[test]
fn products_of_one_input_are_the_ops_one_by_one() {
    let all = [Numerics::F32, Numerics::Bf16, Numerics::Int8];
    for (numerics, inner) in all.into_iter().flat_map(|it| INNER.map(|inner| (it, inner))) {
        let start = random(9, N * OUT);
        let run = |bench: &mut Bench, together: bool| {
            let x = bench.f32(&random(1, N * inner));
            let parts = [(20, true), (30, false)].map(|it| part(bench, inner, it, &start));
            let [gate, up] = [(40, true), (50, true)].map(|it| part(bench, inner, it, &start));
            let h = bench.garbage(N * OUT);
            let sum = Adapted { x, parts, mode: Mode::Add, numerics };
            let gated = Gated { x, gate, up, h, numerics };
            if together {
                bench.launch(sum);
                bench.launch(gated);
            } else {
                for (product, lora) in sum.ops().chain(gated.parts().ops()) {
                    bench.launch(product);
                    lora.into_iter().for_each(|lora| bench.launch(lora));
                }
                bench.launch(gated.product());
            }
            [parts[0].y, parts[1].y, h].map(|buf| bench.get(buf))
        };
        let together = everywhere(numerics, |bench| run(bench, true));
        for (one, other) in together.iter().zip(&everywhere(numerics, |bench| run(bench, false))) {
            assert_same_bits(numerics.name(), one, other);
        }
    }
}

#[test]
fn the_workspace_is_what_the_greatest_of_them_needs() {
    for inner in INNER {
        let mut bench = Bench::new();
        let x = bench.f32(&random(1, N * inner));
        let parts = [part(&mut bench, inner, (20, true), &random(9, N * OUT))];
        let alone = [part(&mut bench, inner, (30, false), &random(9, N * OUT))];
        for parts in [parts, alone] {
            let op = Adapted { x, parts, mode: Mode::Add, numerics: Numerics::Int8 };
            bench.assert_workspace_is_exact(op);
        }
        let op = Adapted { x, parts, mode: Mode::Add, numerics: Numerics::Bf16 };
        bench.assert_workspace_is_exact(op);
        // On a device the t of all parts stand beside each other.
        let cost = op.cost(&Target::cuda(86));
        assert_eq!(cost.workspace, 2 * N * RANK);
    }
}
