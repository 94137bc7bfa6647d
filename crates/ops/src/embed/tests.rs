use super::*;
use crate::test_bench::{
    Bench, Stored, assert_close, assert_same_bits, assert_slopes, everywhere, gradients, integers,
    leaf, random, values_of, weight, wide,
};
use crate::{DType, Numerics};
use quant::ggml::{Format, Rows};

/// (V, C, N).
const SHAPES: [[usize; 3]; 6] =
    [[1, 1, 1], [3, 1, 7], [5, 3, 11], [16, 64, 8], [7, 130, 40], [2, 67, 33]];

#[test]
fn gathers_rows_of_every_type() {
    let dense = [DType::F32, DType::Bf16, DType::F16].map(Stored::Dense);
    let blocks = [Format::F16, Format::Q8_0].map(|it| Stored::Blocks(it, Rows::Plain));
    for [v, c, n] in SHAPES {
        let all = dense.into_iter().chain([Stored::Q8]).chain(blocks);
        for stored in all.filter(|it| it.fits([v, c])) {
            let ids = integers(1, n, v);
            let values = random(2, v * c);
            let [y] = everywhere(Numerics::F32, |bench| {
                let (table, _) = weight(&mut bench.cpu, stored, [v, c], &values);
                let (ids, y) = (bench.put(&ids), bench.garbage(n * c));
                bench.launch(Forward { ids, table: table.storage, y, c });
                [bench.get(y)]
            });
            let (_, decoded) = weight(&mut Bench::new().cpu, stored, [v, c], &values);
            let want: Vec<f32> =
                ids.iter().flat_map(|&id| decoded[id as usize * c..][..c].to_vec()).collect();
            assert_same_bits(&format!("{v} {c} {n} {stored:?}"), &y, &want);
        }
    }
}

#[test]
fn an_eight_bit_table_is_read_at_its_size() {
    let mut bench = Bench::new();
    let target = crate::Backend::target(&bench.cpu);
    let [dense, eight] = [Stored::Dense(DType::Bf16), Stored::Q8].map(|stored| {
        let (table, _) = weight(&mut bench.cpu, stored, [4, 128], &random(1, 512));
        let (ids, y) = (bench.put(&[3_u32, 0]), bench.zeros(256));
        Forward { ids, table: table.storage, y, c: 128 }.cost(&target)
    });
    assert_eq!((dense.read, eight.read), (2 * 256 + 8, 256 + 4 * 4 + 8));
    assert_eq!(dense.written, eight.written);
}

/// The scatter-add onto `start`.
fn scatter(bench: &mut Bench, ids: &[u32], dy: &[f32], start: &[f32], c: usize) -> Vec<f32> {
    let (ids, dy, dtable) = (bench.put(ids), bench.f32(dy), bench.f32(start));
    bench.launch(Backward { ids, dy, dtable, c });
    bench.get(dtable)
}

#[test]
fn the_backward_is_the_gradient() {
    for [v, c, n] in SHAPES {
        let what = format!("{v} {c} {n}");
        let (ids, table, dy) = (integers(1, n, v), random(2, v * c), random(3, n * c));
        let [dtable] =
            everywhere(Numerics::F32, |bench| [scatter(bench, &ids, &dy, &vec![0.0; v * c], c)]);
        let leaf = leaf(&table, (v, c));
        let index = candle_core::Tensor::from_slice(&ids, n, &candle_core::Device::Cpu).unwrap();
        let y = leaf.index_select(&index, 0).unwrap();
        let [want] = gradients(&y, &dy, [&leaf]);
        assert_close(&what, &dtable, &want, 1e-6);
        assert_eq!(values_of(&y).len(), n * c);
        let projection = |table: &[f64]| {
            let rows = ids.iter().flat_map(|&id| &table[id as usize * c..][..c]);
            rows.zip(&dy).map(|(y, &dy)| y * f64::from(dy)).sum()
        };
        assert_slopes(&what, projection, &table, &dtable);
    }
}

#[test]
fn repeated_tokens_add_in_the_order_of_the_tokens() {
    let (v, c, n) = (3, 70, 50);
    let (ids, start, dy) = (integers(4, n, v), random(5, v * c), random(6, n * c));
    let [dtable] = everywhere(Numerics::F32, |bench| [scatter(bench, &ids, &dy, &start, c)]);
    let mut want = start.clone();
    for (&id, dy) in ids.iter().zip(dy.chunks_exact(c)) {
        want[id as usize * c..][..c].iter_mut().zip(dy).for_each(|(want, dy)| *want += dy);
    }
    assert_same_bits("in order", &dtable, &want);
    // Another order gives other bits, so that the assertion above says something.
    let reversed: Vec<u32> = ids.iter().rev().copied().collect();
    let rows: Vec<f32> = dy.chunks_exact(c).rev().flatten().copied().collect();
    let other = scatter(&mut Bench::new(), &reversed, &rows, &start, c);
    assert_ne!(dtable, other);
    assert_close("reversed", &other, &wide(&dtable), 1e-6);
}

#[test]
#[should_panic(expected = "outside of the table")]
fn an_id_beyond_the_table_is_refused() {
    scatter(&mut Bench::on(crate::Isa::Scalar, 1), &[2], &[1.0; 3], &[0.0; 6], 3);
}
