use super::*;
use crate::Backend;
use crate::test_bench::Bench;

#[test]
fn copies_and_clears() {
    let mut bench = Bench::new();
    let from = bench.f32(&[1.0, 2.0, 3.0]);
    let to = bench.f32(&[0.0; 3]);
    bench.cpu.launch(Copy { from, to });
    assert_eq!(bench.get(to), [1.0, 2.0, 3.0]);
    bench.cpu.launch(Zero { to: to.slice(1, 1) });
    assert_eq!(bench.get(to), [1.0, 0.0, 3.0]);
}
