use super::*;
use crate::math::{dot, exp};
use crate::test_bench::{
    Bench, assert_close, assert_same_bits, assert_slopes, everywhere, gradients, leaf, random,
    scaled, tiers, values_of, wide,
};
use crate::{Backend, Isa, Space};
use candle_core::{Tensor, Var};
use half::bf16;
use quant::gemm::add_lanes;

const BOTH: [Numerics; 2] = [Numerics::F32, Numerics::Bf16];

/// Lengths of the packed documents, and H, Hkv, D: up to four blocks of keys, groups of 1, 2 and 4;
/// documents of more than one block start at odd places.
const CASES: [(&[usize], [usize; 3]); 9] = [
    (&[1], [1, 1, 1]),
    (&[2], [2, 2, 16]),
    (&[5, 1, 7, 3], [4, 2, 6]),
    (&[70, 1, 13], [4, 1, 20]),
    (&[130, 3, 66, 1], [2, 1, 16]),
    (&[63, 65, 1, 64], [3, 3, 8]),
    (&[200], [4, 2, 64]),
    (&[17, 1, 31], [8, 2, 72]),
    (&[11, 2], [1, 1, 256]),
];

/// Packed documents with random q, k, v and do.
#[derive(Clone)]
struct Case {
    documents: Vec<usize>,
    heads: Heads,
    numerics: Numerics,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    d_o: Vec<f32>,
}

impl Case {
    fn new(documents: &[usize], [query, key_value, dim]: [usize; 3], numerics: Numerics) -> Case {
        let n: usize = documents.iter().sum();
        Case {
            documents: documents.to_vec(),
            heads: Heads { query, key_value, dim, scale: 1.0 / (dim as f32).sqrt() },
            numerics,
            q: random(1, n * query * dim),
            k: random(2, n * key_value * dim),
            v: random(3, n * key_value * dim),
            d_o: random(4, n * query * dim),
        }
    }

    fn name(&self) -> String {
        format!("{:?} {:?} {}", self.documents, self.heads, self.numerics.name())
    }

    fn tokens(&self) -> usize {
        self.documents.iter().sum()
    }

    /// Each token's document start and place in its document.
    fn places(&self) -> Vec<(usize, usize)> {
        let starts = self.documents.iter().scan(0, |next, len| {
            let start = *next;
            *next += len;
            Some((start, *len))
        });
        starts.flat_map(|(start, len)| (0..len).map(move |place| (start, place))).collect()
    }

    /// Document `index` on its own.
    fn alone(&self, index: usize) -> Case {
        let Heads { query, key_value, dim, .. } = self.heads;
        let start: usize = self.documents[..index].iter().sum();
        let len = self.documents[index];
        let rows = |values: &[f32], heads: usize| {
            values[start * heads * dim..][..len * heads * dim].to_vec()
        };
        Case {
            documents: vec![len],
            q: rows(&self.q, query),
            k: rows(&self.k, key_value),
            v: rows(&self.v, key_value),
            d_o: rows(&self.d_o, query),
            ..*self
        }
    }

    /// Buffers as in training: k and v stored in their own rows.
    fn backward(&self, bench: &mut Bench) -> Backward {
        let Case { heads, numerics, .. } = *self;
        let (n, Heads { query, key_value, dim, .. }) = (self.tokens(), heads);
        let rows: Vec<u32> = (0..n as u32).collect();
        let rows = bench.put(&rows);
        let [k, v] = [&self.k, &self.v].map(|values| {
            let from = bench.f32(values);
            let to = bench.cpu.alloc("cache", Space::Device, cache_type(numerics), values.len());
            bench.launch(Store { from, to, rows });
            to
        });
        let places = self.places();
        let first: Vec<u32> = places.iter().map(|(start, _)| *start as u32).collect();
        let visible: Vec<u32> = places.iter().map(|(_, place)| *place as u32 + 1).collect();
        let most = self.documents.iter().copied().max().unwrap();
        let window = Window { first: bench.put(&first), visible: bench.put(&visible), most };
        let (q, d_o) = (bench.f32(&self.q), bench.f32(&self.d_o));
        let (o, lse) = (bench.garbage(n * query * dim), bench.garbage(n * query));
        let dq = bench.garbage(n * query * dim);
        let [dk, dv] = [(); 2].map(|()| bench.garbage(n * key_value * dim));
        let forward = Forward { q, k, v, window, o, lse, heads, numerics };
        Backward { forward, d_o, dq, dk, dv }
    }

    /// o, lse, dq, dk and dv.
    fn run(&self, bench: &mut Bench) -> [Vec<f32>; 5] {
        let backward = self.backward(bench);
        bench.launch(backward.forward);
        bench.launch(backward);
        let Backward { forward, dq, dk, dv, .. } = backward;
        [forward.o, forward.lse, dq, dk, dv].map(|buf| bench.get(buf))
    }

    /// The same five by candle's autograd: a full matrix of scores per head, masked.
    fn autograd(&self) -> [Vec<f64>; 5] {
        let (n, Heads { query, key_value, dim, scale }) = (self.tokens(), self.heads);
        let q = leaf(&self.q, (n, query, dim));
        let [k, v] = [&self.k, &self.v].map(|values| leaf(values, (n, key_value, dim)));
        let places = self.places();
        let seen = |n: usize, j: usize| {
            let (start, place) = places[n];
            f64::from(u8::from(start <= j && j <= start + place))
        };
        let mask: Vec<f64> = (0..n * n).map(|index| seen(index / n, index % n)).collect();
        let mask = Tensor::from_vec(mask, (n, n), q.device()).unwrap();
        let head = |x: &Var, h: usize| {
            x.narrow(1, h, 1).unwrap().squeeze(1).unwrap().contiguous().unwrap()
        };
        let (mut o, mut lse) = (Vec::new(), Vec::new());
        for h in 0..query {
            let shared = h / (query / key_value);
            let scores = head(&q, h).matmul(&head(&k, shared).t().unwrap()).unwrap();
            let e = ((scores * f64::from(scale)).unwrap().exp().unwrap() * &mask).unwrap();
            let total = e.sum_keepdim(1).unwrap();
            lse.push(total.log().unwrap());
            o.push(e.broadcast_div(&total).unwrap().matmul(&head(&v, shared)).unwrap());
        }
        let (o, lse) = (Tensor::stack(&o, 1).unwrap(), Tensor::cat(&lse, 1).unwrap());
        let [dq, dk, dv] = gradients(&o, &self.d_o, [&q, &k, &v]);
        [values_of(&o), values_of(&lse), dq, dk, dv]
    }

    /// `Σ o · do` in plain loops.
    fn project(&self, q: &[f64], k: &[f64], v: &[f64]) -> f64 {
        let Heads { query, key_value, dim, scale } = self.heads;
        let mut sum = 0.0;
        for (n, (start, place)) in self.places().into_iter().enumerate() {
            for h in 0..query {
                let own = (n * query + h) * dim;
                let of_key = |j: usize| (j * key_value + h / (query / key_value)) * dim;
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                let d_o = wide(&self.d_o[own..][..dim]);
                let (mut total, mut weighted) = (0.0, 0.0);
                for j in start..=start + place {
                    let score = dot(&q[own..][..dim], &k[of_key(j)..][..dim]) * f64::from(scale);
                    total += score.exp();
                    weighted += score.exp() * dot(&v[of_key(j)..][..dim], &d_o);
                }
                sum += weighted / total;
            }
        }
        sum
    }
}

/// The order of summation, in plain loops.
impl Case {
    /// o, lse, dq, dk and dv of all documents.
    fn specification(&self) -> [Vec<f32>; 5] {
        let Heads { query, key_value, dim: d, .. } = self.heads;
        let mut all = [&self.q, &vec![0.0; self.tokens() * query], &self.q, &self.k, &self.k]
            .map(|like| vec![0.0; like.len()]);
        for head in 0..query {
            let key_head = head * key_value / query;
            // dk and dv of this head; the heads of a group are then added in order.
            let [mut dk, mut dv] = [&self.k, &self.v].map(|like| vec![0.0; like.len()]);
            for (n, (start, place)) in self.places().into_iter().enumerate() {
                let row = n * query + head;
                let keys: Vec<usize> =
                    (start..=start + place).map(|j| (j * key_value + key_head) * d).collect();
                let (o, lse) = self.specified_output(row, &keys);
                let [p, ds] = self.specified_slopes(row, &keys, &o, lse);
                all[0][row * d..][..d].copy_from_slice(&o);
                all[1][row] = lse;
                for t in 0..d {
                    let round = |x: &[f32]| self.numerics.round(x[row * d + t]);
                    for (&key, (&p, &ds)) in keys.iter().zip(p.iter().zip(&ds)) {
                        let k = self.numerics.round(self.k[key + t]);
                        all[2][row * d + t] = ds.mul_add(k, all[2][row * d + t]);
                        dv[key + t] = p.mul_add(round(&self.d_o), dv[key + t]);
                        dk[key + t] = ds.mul_add(round(&self.q), dk[key + t]);
                    }
                }
            }
            for (sums, own) in all[3..].iter_mut().zip([dk, dv]) {
                sums.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
            }
        }
        all
    }

    /// `Σ_t a[row][t] b[key][t]` for every key, one fused sum in order.
    fn products(&self, a: &[f32], row: usize, b: &[f32], keys: &[usize]) -> Vec<f32> {
        let (d, round) = (self.heads.dim, |x: f32| self.numerics.round(x));
        let step = |key: usize| {
            move |sum: f32, t: usize| round(a[row * d + t]).mul_add(round(b[key + t]), sum)
        };
        keys.iter().map(|&key| (0..d).fold(0.0, step(key))).collect()
    }

    fn specified_output(&self, row: usize, keys: &[usize]) -> (Vec<f32>, f32) {
        let scores = self.products(&self.q, row, &self.k, keys);
        let (mut most, mut total) = (f32::NEG_INFINITY, [0.0_f32; 16]);
        let mut o = vec![0.0_f32; self.heads.dim];
        for (scores, keys) in scores.chunks(64).zip(keys.chunks(64)) {
            let scores: Vec<f32> = scores.iter().map(|s| s * self.heads.scale).collect();
            let new = scores.iter().copied().fold(most, f32::max);
            let shrink = exp(most - new);
            let mut p = [0.0; 64];
            p.iter_mut().zip(&scores).for_each(|(p, s)| *p = exp(s - new));
            for (lane, total) in total.iter_mut().enumerate() {
                let sum = (p[lane] + p[16 + lane]) + (p[32 + lane] + p[48 + lane]);
                *total = total.mul_add(shrink, sum);
            }
            for (t, o) in o.iter_mut().enumerate() {
                *o *= shrink;
                for (&key, &p) in keys.iter().zip(&p) {
                    let v = self.numerics.round(self.v[key + t]);
                    *o = self.numerics.round(p).mul_add(v, *o);
                }
            }
            most = new;
        }
        let total = add_lanes(&total);
        o.iter_mut().for_each(|o| *o /= total);
        (o, most + libm::log(f64::from(total)) as f32)
    }

    /// p and ds of a query and its keys.
    fn specified_slopes(&self, row: usize, keys: &[usize], o: &[f32], lse: f32) -> [Vec<f32>; 2] {
        let Heads { dim: d, scale, .. } = self.heads;
        let delta = dot(o, &self.d_o[row * d..][..d]);
        let e = self.products(&self.q, row, &self.k, keys);
        let e: Vec<f32> = e.into_iter().map(|s| exp(s * scale - lse)).collect();
        let dp = self.products(&self.d_o, row, &self.v, keys);
        let round = |x: f32| self.numerics.round(x);
        let ds = e.iter().zip(dp).map(|(e, dp)| round(e * (dp - delta) * scale)).collect();
        [e.iter().map(|&e| round(e)).collect(), ds]
    }
}

const NAMES: [&str; 5] = ["o", "lse", "dq", "dk", "dv"];

#[test]
fn forward_and_backward_agree_with_autograd() {
    for (documents, heads) in CASES {
        let case = Case::new(documents, heads, Numerics::F32);
        let got = everywhere(Numerics::F32, |bench| case.run(bench));
        for ((got, want), name) in got.iter().zip(case.autograd()).zip(NAMES) {
            assert_close(&format!("{name} {}", case.name()), got, &want, 2e-6);
        }
    }
}

#[test]
fn every_tier_sums_in_the_specified_order() {
    for (documents, heads) in CASES {
        for numerics in BOTH {
            let case = Case::new(documents, heads, numerics);
            let want = case.specification();
            for isa in tiers() {
                let got = case.run(&mut Bench::on(isa, 2));
                for ((got, want), name) in got.iter().zip(&want).zip(NAMES) {
                    assert_same_bits(&format!("{name} {} {}", isa.name(), case.name()), got, want);
                }
            }
        }
    }
}

#[test]
fn the_backward_is_the_slope_of_the_forward() {
    for (documents, heads) in CASES {
        let case = Case::new(documents, heads, Numerics::F32);
        let [_, _, dq, dk, dv] = case.run(&mut Bench::new());
        let [q, k, v] = [&case.q, &case.k, &case.v].map(|values| wide(values));
        let name = case.name();
        assert_slopes(&format!("dq {name}"), |q| case.project(q, &k, &v), &case.q, &dq);
        assert_slopes(&format!("dk {name}"), |k| case.project(&q, k, &v), &case.k, &dk);
        assert_slopes(&format!("dv {name}"), |v| case.project(&q, &k, v), &case.v, &dv);
    }
}

#[test]
fn bf16_stays_near_f32() {
    for (documents, heads) in CASES {
        let case = Case::new(documents, heads, Numerics::Bf16);
        let got = everywhere(Numerics::Bf16, |bench| case.run(bench));
        for ((got, want), name) in got.iter().zip(case.autograd()).zip(NAMES) {
            // A document of one token has dq = dk = 0, here as the difference of two roundings.
            let alone = case.documents.iter().all(|&len| len == 1);
            if alone && matches!(name, "dq" | "dk") {
                assert!(got.iter().all(|d| d.abs() < 0.02), "{name} {}", case.name());
            } else {
                assert_close(&format!("{name} {}", case.name()), got, &want, 1e-2);
            }
        }
    }
}

#[test]
fn steep_scores_neither_overflow_nor_vanish() {
    // Scores of some hundreds, the largest one in a later block than the first.
    let mut case = Case::new(&[150, 20], [2, 1, 16], Numerics::F32);
    case.q = scaled(30.0, case.q);
    let got = everywhere(Numerics::F32, |bench| case.run(bench));
    for ((got, want), name) in got.iter().zip(case.autograd()).zip(NAMES) {
        // A score of 300 has an error of 2e-5 in f32, and so has its exponential.
        assert_close(&format!("{name} steep"), got, &want, 1e-4);
    }
    case.q = scaled(1e6, case.q);
    everywhere(Numerics::F32, |bench| case.run(bench));
    case.numerics = Numerics::Bf16;
    everywhere(Numerics::Bf16, |bench| case.run(bench));
}

#[test]
fn a_packed_document_has_the_bits_it_has_alone() {
    for (documents, heads) in CASES {
        for numerics in BOTH {
            for isa in tiers() {
                let case = Case::new(documents, heads, numerics);
                let packed = case.run(&mut Bench::on(isa, 2));
                let mut start = 0;
                for (index, len) in documents.iter().enumerate() {
                    let alone = case.alone(index).run(&mut Bench::on(isa, 2));
                    for ((packed, alone), name) in packed.iter().zip(&alone).zip(NAMES) {
                        let width = packed.len() / case.tokens();
                        let part = &packed[start * width..][..alone.len()];
                        assert_same_bits(&format!("{name} {index} {}", case.name()), alone, part);
                    }
                    start += len;
                }
            }
        }
    }
}

/// First rows of two sequences in a cache of [`ROWS`] rows; the second one lies before the first.
const SLOTS: [usize; 2] = [101, 7];
const ROWS: usize = 260;

/// Serves the two documents of `case` from a cache: every launch stores and attends its tokens, each
/// given as document and place. Gives o and lse in the order of packing.
fn serve(bench: &mut Bench, case: &Case, launches: &[Vec<(usize, usize)>]) -> [Vec<f32>; 2] {
    let Heads { query, key_value, dim, .. } = case.heads;
    let dtype = cache_type(case.numerics);
    let [k, v] = [(); 2].map(|()| {
        let len = ROWS * key_value * dim;
        match dtype {
            DType::F32 => bench.garbage(len),
            _ => bench.put(&vec![bf16::NAN; len]),
        }
    });
    let mut served = [query * dim, query].map(|width| vec![f32::NAN; case.tokens() * width]);
    for tokens in launches {
        let packed = |&(document, place): &(usize, usize)| {
            case.documents[..document].iter().sum::<usize>() + place
        };
        let gather = |values: &[f32], width: usize| -> Vec<f32> {
            tokens
                .iter()
                .flat_map(|token| values[packed(token) * width..][..width].to_vec())
                .collect()
        };
        let mark = bench.cpu.mark();
        let number = |f: &dyn Fn(&(usize, usize)) -> usize| -> Vec<u32> {
            tokens.iter().map(|token| f(token) as u32).collect()
        };
        let rows = bench.put(&number(&|t| SLOTS[t.0] + t.1));
        for (values, to) in [(&case.k, k), (&case.v, v)] {
            let from = bench.f32(&gather(values, key_value * dim));
            bench.launch(Store { from, to, rows });
        }
        let first = bench.put(&number(&|t| SLOTS[t.0]));
        let visible = bench.put(&number(&|t| t.1 + 1));
        let window = Window { first, visible, most: ROWS };
        let q = bench.f32(&gather(&case.q, query * dim));
        let (o, lse) = (bench.garbage(q.len), bench.garbage(tokens.len() * query));
        let Case { heads, numerics, .. } = *case;
        bench.launch(Forward { q, k, v, window, o, lse, heads, numerics });
        for (values, served) in [o, lse].map(|buf| bench.get(buf)).iter().zip(&mut served) {
            let width = values.len() / tokens.len();
            for (token, row) in tokens.iter().zip(values.chunks_exact(width)) {
                served[packed(token) * width..][..width].copy_from_slice(row);
            }
        }
        bench.cpu.release(mark);
    }
    served
}

/// Launches that cut every document into chunks of these sizes, repeating the last.
fn chunked(documents: [usize; 2], sizes: &[usize]) -> Vec<Vec<(usize, usize)>> {
    let mut launches = Vec::new();
    for (document, len) in documents.into_iter().enumerate() {
        let (mut place, mut sizes) = (0, sizes.iter());
        let mut size = 0;
        while place < len {
            size = *sizes.next().unwrap_or(&size);
            let end = (place + size).min(len);
            launches.push((place..end).map(|place| (document, place)).collect());
            place = end;
        }
    }
    launches
}

#[test]
fn serving_in_any_chunks_gives_the_bits_of_training() {
    let documents = [147, 70];
    let mixed: Vec<(usize, usize)> = (0..147)
        .flat_map(|place| [(1, place), (0, place)])
        .filter(|t| t.1 < documents[t.0])
        .collect();
    let schedules = [
        ("at once", chunked(documents, &[147])),
        ("1, 7 and the rest", chunked(documents, &[1, 7, 147])),
        ("token by token", chunked(documents, &[1])),
        ("both in a batch", mixed.chunks(9).map(<[_]>::to_vec).collect()),
    ];
    for heads in [[4, 1, 20], [2, 2, 64]] {
        for numerics in BOTH {
            let case = Case::new(&documents, heads, numerics);
            for isa in tiers() {
                let [o, lse, ..] = case.run(&mut Bench::on(isa, 2));
                for (name, launches) in &schedules {
                    let served = serve(&mut Bench::on(isa, 2), &case, launches);
                    assert_same_bits(&format!("o {name} {}", case.name()), &served[0], &o);
                    assert_same_bits(&format!("lse {name} {}", case.name()), &served[1], &lse);
                }
            }
        }
    }
}

#[test]
fn rows_are_stored_in_the_type_of_the_cache() {
    let bench = &mut Bench::new();
    let from = bench.f32(&[1.0, 1.001, 3.0, -2.003]);
    let rows = bench.put(&[2_u32, 0]);
    let exact = bench.zeros(6);
    bench.launch(Store { from, to: exact, rows });
    assert_eq!(bench.get(exact), [3.0, -2.003, 0.0, 0.0, 1.0, 1.001]);
    let to = bench.put(&[bf16::ZERO; 6]);
    bench.launch(Store { from, to, rows });
    let mut values = [bf16::ZERO; 6];
    bench.cpu.read(to, &mut values);
    assert_eq!(values.map(bf16::to_f32), [3.0, -2.0, 0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn the_workspace_is_exact() {
    for (documents, heads) in CASES {
        for numerics in BOTH {
            for threads in [1, 2] {
                let bench = &mut Bench::on(Isa::detect(), threads);
                let backward = Case::new(documents, heads, numerics).backward(bench);
                bench.assert_workspace_is_exact(backward.forward);
                bench.assert_workspace_is_exact(backward);
            }
        }
    }
}

#[test]
fn the_price_counts_the_scores_of_the_longest_window() {
    let bench = &mut Bench::new();
    let backward = Case::new(&[200], [4, 2, 64], Numerics::Bf16).backward(bench);
    let target = bench.cpu.target();
    let forward = backward.forward.cost(&target);
    // Half of 200 keys on average, four heads; two products of 64 multiply-adds for each score.
    assert_eq!(forward.flops, 200 * 100 * 4 * 2 * 2 * 64);
    assert_eq!(forward.written, 4 * 200 * 4 * (64 + 1));
    assert_eq!(forward.read, 4 * 200 * 4 * 64 + 2 * 2 * 200 * 2 * 64);
    let price = backward.cost(&target);
    assert_eq!(price.flops, 200 * 100 * 4 * 5 * 2 * 64);
    assert_eq!(price.written, 4 * 200 * (4 + 2 + 2) * 64);
}
