//! Runs that must be the same, to the bit or within what rounding explains.

use crate::bench::{Bench, Recorder, documents, goldens};
use model::Policy;
use ops::{Backend, Cpu, Dry, Isa, Target};
use train::recipe::PolicyKind;
use train::{Budget, Job, Plan, Recipe, Resume, Trainer, Update};

const BRIEF: &str = "[batch]\ntokens = 64\nmicro_batches = 2\n[schedule]\nsteps = 4\n\
    learning_rate = 5e-3\n";

#[test]
fn one_thread_and_two_give_the_same_bits() {
    for numerics in ["bf16", "f32"] {
        let bench = Bench::new(&documents(30, 97), 97, 24);
        let model = format!("base = \"nf4\"\nnumerics = {numerics:?}\n[lora]\n");
        let recipe = bench.recipe("narrow", &model, BRIEF);
        let runs = [1, 2].map(|threads| {
            let (name, mut recorder) = (format!("run-{threads}"), Recorder::default());
            bench.run(&recipe, (&name, Resume::Fresh), threads, &mut recorder).unwrap();
            (recorder.bits(), bench.bytes(&format!("{name}/adapter/adapter_model.safetensors")))
        });
        assert!(runs[0] == runs[1], "{numerics}");
    }
}

#[test]
fn kept_offloaded_and_recomputed_give_the_same_bits() {
    for (numerics, base) in [("bf16", "nf4-dq"), ("f32", "as-stored")] {
        let bench = Bench::new(&documents(30, 128), 128, 24);
        let model = format!("base = {base:?}\nnumerics = {numerics:?}\n[lora]\n");
        let mut recipe = bench.recipe("plain", &model, BRIEF);
        let policies =
            [PolicyKind::Keep, PolicyKind::Offload, PolicyKind::Recompute, PolicyKind::Checkpoint];
        let runs = policies.map(|policy| {
            recipe.memory.policy = policy;
            let name = format!("{policy:?}");
            let recorder = bench.fresh(&recipe, &name);
            (recorder.bits(), bench.bytes(&format!("{name}/adapter/adapter_model.safetensors")))
        });
        assert!(runs.iter().all(|run| *run == runs[0]), "{numerics}");
    }
}

/// The gradients after one window whose micro-batches hold at most `documents` documents.
fn gradients(bench: &Bench, numerics: &str, documents: usize, sizes: (usize, usize)) -> Vec<f32> {
    let rest = format!(
        "order = \"file\"\n[batch]\ntokens = {}\ndocuments = {documents}\nmicro_batches = {}\n\
         [schedule]\nsteps = 1\n",
        sizes.0, sizes.1
    );
    let adapter = goldens().join("plain/adapter");
    let model = format!("numerics = {numerics:?}\nadapter = {adapter:?}\n");
    let job = Job::open(&bench.recipe("plain", &model, &rest)).unwrap();
    let target = Target::cpu(Isa::detect(), 2);
    let plan = Plan::new(&job, target, Budget::default()).unwrap();
    let mut cpu = Cpu::new(target, plan.size);
    let options = job.step_options(&plan.policies);
    let mut trainer = Trainer::layout(&mut cpu, &job, &options).unwrap();
    trainer.fill(&mut cpu, &job, None).unwrap();
    let micro_batches = job.epoch(0).unwrap();
    let window = &micro_batches[..sizes.1.min(micro_batches.len())];
    assert_eq!(window.iter().map(Vec::len).sum::<usize>(), 12, "all documents in one window");
    trainer.window(&mut cpu, &job, window.iter().map(Vec::as_slice)).unwrap();
    let mut all = Vec::new();
    for param in trainer.model().params() {
        let mut values = vec![0.0_f32; param.gradient.len];
        cpu.read(param.gradient, &mut values);
        all.extend(values);
    }
    all
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let difference = square(&mut a.iter().zip(b).map(|(a, b)| f64::from(a - b)));
    (difference / square(&mut b.iter().map(|b| f64::from(*b)))).sqrt()
}

#[test]
fn micro_batches_add_up_to_one_batch() {
    for (numerics, most) in [("f32", 1e-6), ("bf16", 1e-3)] {
        let bench = Bench::new(&documents(12, 128), 128, 24);
        let one = gradients(&bench, numerics, 12, (400, 1));
        for (documents, micro_batches) in [(6, 2), (4, 3), (1, 12)] {
            let parts = gradients(&bench, numerics, documents, (400, micro_batches));
            let distance = distance(&parts, &one);
            println!("{numerics}, {micro_batches} micro-batches: {distance:.2e}");
            assert!(distance <= most, "{numerics}, {micro_batches} micro-batches: {distance}");
        }
    }
}

/// All that a step does, on any backend.
fn whole_step<B: Backend>(backend: &mut B, job: &Job, policies: &[Policy]) {
    let mut trainer = Trainer::layout(backend, job, &job.step_options(policies)).unwrap();
    trainer.fill(backend, job, None).unwrap();
    let micro_batches = job.epoch(0).unwrap();
    let window = micro_batches[..2].iter().map(Vec::as_slice);
    trainer.window(backend, job, window).unwrap();
    trainer.update(backend, Update { step: 1, learning_rate: 1e-3 }).unwrap();
    trainer.evaluate(backend, job, job.held_out()).unwrap();
}

#[test]
fn the_plan_and_the_run_leave_the_same_trace() {
    let bench = Bench::new(&documents(30, 128), 128, 24);
    let rest = format!("held_out = 0.2\n{BRIEF}");
    assert_same_trace(&bench.recipe("plain", "base = \"nf4-dq\"\n[lora]\n", &rest));
}

pub(crate) fn assert_same_trace(recipe: &Recipe) {
    let job = Job::open(recipe).unwrap();
    let target = Target::cpu(Isa::detect(), 2);
    let mixed = [Policy::Offload, Policy::Recompute, Policy::Keep];
    let uniform = Policy::ALL.map(|policy| [policy; 3]);
    for policies in uniform.into_iter().chain([mixed]) {
        let plan = Plan::with_policies(&job, target, &policies).unwrap();
        let mut dry = Dry::new(target);
        dry.record_events();
        whole_step(&mut dry, &job, &policies);
        let mut cpu = Cpu::new(target, plan.size);
        cpu.record_events();
        whole_step(&mut cpu, &job, &policies);
        let (dry, cpu) = (dry.trace(), cpu.trace());
        assert!(dry.events.as_ref().unwrap().len() > 100);
        assert!(dry.events == cpu.events, "{policies:?}");
        assert_eq!((dry.peak, dry.total, dry.copied), (cpu.peak, cpu.total, cpu.copied));
        assert!(dry.peak.device <= plan.size.device && dry.peak.pinned <= plan.size.pinned);
    }
}
