use super::*;
use model::Checkpoint;
use ops::{Cpu, Dry, Isa, Size, Target};

/// Parameters without a model: lengths around the stretch of a norm, one that does not decay, one of
/// tokens.
fn params<B: Backend>(backend: &mut B) -> Vec<Param> {
    let vector = |len, decays| (vec![len], decays, false);
    let sizes = [
        vector(7, true),
        vector(NORM_STRETCH + 5, true),
        vector(NORM_STRETCH, false),
        vector(1, true),
        (vec![50, 100], true, true),
    ];
    let param = |(index, (shape, decays, by_token)): (usize, (Vec<usize>, bool, bool))| {
        let mut alloc = |space| backend.alloc("test", space, DType::F32, shape.iter().product());
        let (value, gradient) = (alloc(Space::Device), alloc(Space::Device));
        let master = alloc(Space::Pinned);
        Param { name: format!("p{index}"), shape, value, master, gradient, decays, by_token }
    };
    sizes.into_iter().enumerate().map(param).collect()
}

fn settings(max_grad_norm: f64) -> OptimizerSection {
    OptimizerSection { weight_decay: 0.1, max_grad_norm, ..OptimizerSection::default() }
}

fn coupled() -> OptimizerSection {
    OptimizerSection { coupled_embedding: true, ..settings(1.0) }
}

/// Some value for element `at` of parameter `param`.
fn value(param: usize, at: usize, step: u64) -> f32 {
    let mixed = (param * 7919 + at * 104_729) as u64 + step * 1_299_709;
    (mixed % 2003) as f32 / 1001.5 - 1.0
}

fn values(param: usize, len: usize, step: u64) -> Vec<f32> {
    (0..len).map(|at| value(param, at, step)).collect()
}

/// A backend with parameters that hold the values of step 0, and their optimizer.
fn bench(settings: &OptimizerSection) -> (Cpu, Vec<Param>, Optimizer) {
    let target = Target::cpu(Isa::detect(), 2);
    let mut dry = Dry::new(target);
    let planned = params(&mut dry);
    Optimizer::layout(&mut dry, &planned, settings);
    let mut cpu = Cpu::new(target, dry.trace().peak);
    let params = params(&mut cpu);
    let optimizer = Optimizer::layout(&mut cpu, &params, settings);
    for (index, param) in params.iter().enumerate() {
        let values = values(index, param.value.len, 0);
        cpu.write(param.master, &values);
        cpu.write(param.value, &values);
    }
    (cpu, params, optimizer)
}

fn write_gradients(cpu: &mut Cpu, params: &[Param], step: u64) {
    for (index, param) in params.iter().enumerate() {
        cpu.write(param.gradient, &values(index, param.gradient.len, step));
    }
}

fn read(cpu: &mut Cpu, buf: Buf) -> Vec<f32> {
    let mut values = vec![0.0; buf.len];
    cpu.read(buf, &mut values);
    values
}

/// One number's journey in f64, as PyTorch's documentation of AdamW writes it.
#[derive(Clone, Copy)]
struct Number {
    w: f64,
    m: f64,
    v: f64,
}

impl Number {
    fn step(&mut self, g: f64, (lr, decay): (f64, f64), step: i32) {
        let (beta1, beta2): (f64, f64) = (0.9, 0.999);
        self.w -= lr * decay * self.w;
        self.m = beta1 * self.m + (1.0 - beta1) * g;
        self.v = beta2 * self.v + (1.0 - beta2) * g * g;
        let m = self.m / (1.0 - beta1.powi(step));
        let v = self.v / (1.0 - beta2.powi(step));
        self.w -= lr * m / (v.sqrt() + 1e-8);
    }
}

#[test]
fn five_steps_follow_the_formulas() {
    for max_grad_norm in [0.0, 1.0, 1e9] {
        let (mut cpu, params, mut optimizer) = bench(&settings(max_grad_norm));
        let mut expected: Vec<Vec<Number>> = (0..params.len())
            .map(|index| {
                let values = values(index, params[index].value.len, 0);
                values.into_iter().map(|w| Number { w: w.into(), m: 0.0, v: 0.0 }).collect()
            })
            .collect();
        for step in 1..=5 {
            write_gradients(&mut cpu, &params, step);
            let update = Update { step, learning_rate: 0.01 };
            let found = optimizer.step(&mut cpu, &params, update).unwrap();
            let all = || (0..params.len()).flat_map(|p| values(p, params[p].value.len, step));
            let norm = all().map(|g| f64::from(g).powi(2)).sum::<f64>().sqrt();
            assert!((found - norm).abs() < 1e-6 * norm, "{found} {norm}");
            let clip =
                if max_grad_norm == 0.0 { 1.0 } else { (max_grad_norm / (norm + 1e-6)).min(1.0) };
            for (index, numbers) in expected.iter_mut().enumerate() {
                let decay = if params[index].decays { 0.1 } else { 0.0 };
                for (at, number) in numbers.iter_mut().enumerate() {
                    let g = f64::from(value(index, at, step)) * clip;
                    number.step(g, (0.01, decay), step as i32);
                }
            }
        }
        for (param, numbers) in params.iter().zip(&expected) {
            let (master, value) = (read(&mut cpu, param.master), read(&mut cpu, param.value));
            assert_eq!(master, value, "the new values went up");
            for (found, expected) in master.iter().zip(numbers) {
                let away = (f64::from(*found) - expected.w).abs();
                assert!(away < 2e-6, "clip {max_grad_norm}: {found} is not {}", expected.w);
            }
            assert!(
                read(&mut cpu, param.gradient).iter().all(|g| *g == 0.0),
                "gradients are clear"
            );
        }
    }
}

#[test]
fn a_norm_that_is_not_finite_changes_nothing() {
    for bad in [f32::NAN, f32::INFINITY] {
        let (mut cpu, params, mut optimizer) = bench(&settings(1.0));
        write_gradients(&mut cpu, &params, 1);
        optimizer.step(&mut cpu, &params, Update { step: 1, learning_rate: 0.01 }).unwrap();
        write_gradients(&mut cpu, &params, 2);
        cpu.write(params[1].gradient.slice(NORM_STRETCH + 2, 1), &[bad]);
        let state = |cpu: &mut Cpu, optimizer: &Optimizer| -> Vec<Vec<f32>> {
            let moments = optimizer.moments.iter().flatten().copied();
            let params = params.iter().flat_map(|p| [p.master, p.value]);
            params.chain(moments).map(|buf| read(cpu, buf)).collect()
        };
        let before = state(&mut cpu, &optimizer);
        let update = Update { step: 2, learning_rate: 0.01 };
        let norm = optimizer.step(&mut cpu, &params, update).unwrap();
        assert!(!norm.is_finite(), "{bad}: {norm}");
        assert!(before == state(&mut cpu, &optimizer), "{bad}");
    }
}

#[test]
fn only_tokens_share_their_second_moment_and_only_on_request() {
    let both = [settings(1.0), coupled()].map(|settings| {
        let (mut cpu, params, mut optimizer) = bench(&settings);
        write_gradients(&mut cpu, &params, 1);
        // A token whose gradient is a thousandth of the others'.
        let rare: Vec<f32> = values(4, 100, 1).iter().map(|g| g / 1000.0).collect();
        cpu.write(params[4].gradient.slice(0, 100), &rare);
        optimizer.step(&mut cpu, &params, Update { step: 1, learning_rate: 0.01 }).unwrap();
        let lengths: Vec<usize> = optimizer.moments.iter().map(|[_, v]| v.len).collect();
        let masters: Vec<Vec<f32>> = params.iter().map(|p| read(&mut cpu, p.master)).collect();
        (lengths, masters)
    });
    let [(own, alone), (shared, together)] = both;
    assert_eq!(own[4], 5000);
    assert_eq!((&shared[..4], shared[4]), (&own[..4], 100));
    assert_eq!(alone[..4], together[..4]);
    let moved = |masters: &[Vec<f32>]| {
        let start = values(4, 100, 0);
        let kept = |w: f32| w * (1.0 - 0.01 * 0.1);
        let moved = masters[4].iter().zip(&start).map(|(new, old)| (new - kept(*old)).abs());
        moved.fold(0.0, f32::max)
    };
    assert!((moved(&alone) - 0.01).abs() < 1e-4, "{}", moved(&alone));
    assert!(moved(&together) < 1e-4, "{}", moved(&together));
}

#[test]
fn moments_survive_the_file() {
    for settings in [settings(1.0), coupled()] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("moments.safetensors");
        let (mut cpu, params, mut optimizer) = bench(&settings);
        for step in 1..4 {
            write_gradients(&mut cpu, &params, step);
            optimizer.step(&mut cpu, &params, Update { step, learning_rate: 0.01 }).unwrap();
        }
        optimizer.save(&mut cpu, &params, &path).unwrap();
        let file = ["moments.safetensors".into()];
        let file = Checkpoint::open_files(directory.path(), &file).unwrap();
        let (mut other, other_params, fresh) = bench(&settings);
        fresh.load(&mut other, &other_params, &file).unwrap();
        for (from, to) in optimizer.moments.iter().flatten().zip(fresh.moments.iter().flatten()) {
            let values = read(&mut cpu, *from);
            assert!(values.iter().any(|v| *v != 0.0));
            assert_eq!(values, read(&mut other, *to));
        }
        let mut renamed = other_params;
        renamed[2].name = "another".into();
        let error = fresh.load(&mut other, &renamed, &file).unwrap_err().to_string();
        assert!(error.ends_with("tensor m.another: is missing"), "{error}");
    }
}

#[test]
fn staging_is_two_of_the_largest() {
    let (cpu, params, _) = bench(&settings(1.0));
    let padded = |p: &Param| p.value.bytes().next_multiple_of(64);
    let all: usize = params.iter().map(padded).sum();
    let largest = params.iter().map(padded).max().unwrap();
    // Master copies, both moments, two gradients and two values.
    let expected = Size { pinned: 3 * all + 4 * largest, ..cpu.trace().peak };
    assert_eq!(cpu.trace().peak, expected);
}
