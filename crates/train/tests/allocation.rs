//! After the first step, ops, model and optimizer allocate nothing; and the plan's bytes hold.

use files::memory::{CountingAllocator, count_allocations, reset_peak, statistics};
use ops::{Cpu, Isa, Target};
use std::path::Path;
use text::dataset::{BuildOptions, Vocabulary};
use train::{Budget, Job, Observer, Plan, Recipe, Resume, Site, Trainer, Update};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Asks for nothing.
struct Silent;

impl Observer for Silent {}

/// A job over a golden model with documents of different lengths.
fn job(directory: &Path, extra: &str) -> Job {
    let input = directory.join("data.jsonl");
    let line = |document: usize| {
        let ids: Vec<usize> = (0..5 + document % 15).map(|at| (at * 7 + document) % 97).collect();
        format!("{{\"input_ids\": {ids:?}, \"labels\": {ids:?}}}\n")
    };
    std::fs::write(&input, (0..40).map(line).collect::<String>()).unwrap();
    let (vocabulary, options) = (Vocabulary::Ids { vocab_size: 97 }, BuildOptions::new(24));
    let data = directory.join("data");
    text::dataset::build(&[input], vocabulary, &options, &data, &mut |_| {}).unwrap();
    let model =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/llama/narrow/model");
    let text = format!(
        "[model]\ndirectory = {model:?}\n{extra}\n[data]\ndirectory = {data:?}\nheld_out = 0.2\n\
         [batch]\ntokens = 64\nmicro_batches = 2\n[schedule]\nepochs = 2\n"
    );
    Job::open(&Recipe::parse(&text, "test").unwrap()).unwrap()
}

fn steps_allocate_nothing(extra: &str) {
    let directory = tempfile::tempdir().unwrap();
    let job = job(directory.path(), extra);
    let target = Target::cpu(Isa::detect(), 2);
    let plan = Plan::new(&job, target, Budget::default()).unwrap();
    let mut cpu = Cpu::new(target, plan.size);
    let mut trainer = Trainer::layout(&mut cpu, &job, &job.step_options(&plan.policies)).unwrap();
    trainer.fill(&mut cpu, &job, None).unwrap();
    let micro_batches = job.epoch(0).unwrap();
    let mut step = |number: u64| {
        let first = (number as usize * 2) % (micro_batches.len() - 1);
        let window = micro_batches[first..first + 2].iter().map(Vec::as_slice);
        trainer.window(&mut cpu, &job, window).unwrap();
        trainer.update(&mut cpu, Update { step: number, learning_rate: 1e-3 }).unwrap();
    };
    step(1);
    for number in 2..6 {
        let ((), allocations) = count_allocations(|| step(number));
        assert_eq!(allocations, 0, "step {number} of a run with {extra:?}");
    }
}

fn the_plan_holds(extra: &str) {
    let directory = tempfile::tempdir().unwrap();
    let job = job(directory.path(), extra);
    let target = Target::cpu(Isa::detect(), 2);
    let plan = Plan::new(&job, target, Budget::default()).unwrap();
    let baseline = reset_peak();
    let mut cpu = Cpu::new(target, plan.size);
    let run = directory.path().join("run");
    let site = Site { directory: &run, resume: Resume::Fresh, baseline_bytes: Some(baseline) };
    train::run(&mut cpu, &job, &plan, &site, &mut Silent).unwrap();
    let (measured, planned) = (statistics().peak_bytes - baseline, plan.total_bytes());
    println!("{extra:?}: measured {measured}, planned {planned}");
    assert!(measured <= planned, "measured {measured}, planned {planned}");
    assert!(planned - measured < 4 << 20, "measured {measured}, planned {planned}");
}

/// One test, since whatever else runs in this process would be counted too.
#[test]
fn steps_allocate_nothing_and_the_plan_holds() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    pool.install(|| {
        for extra in [
            "base = \"nf4-dq\"\n[lora]",
            "numerics = \"f32\"\nbase = \"nf4\"\n[lora]",
            "numerics = \"bf16\"",
            "numerics = \"f32\"",
        ] {
            steps_allocate_nothing(extra);
            the_plan_holds(extra);
        }
    });
}
