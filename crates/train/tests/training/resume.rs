//! A run that is stopped and resumed is the run that was not.

use crate::bench::{Bench, Recorder, documents};
use train::{Outcome, Recipe, Resume};

const SCHEDULE: &str = "held_out = 0.2\n[batch]\ntokens = 48\ndocuments = 3\nmicro_batches = 2\n\
    [schedule]\nepochs = 2\nlearning_rate = 5e-3\nwarmup_steps = 2\n\
    [optimizer]\nweight_decay = 0.1\nmax_grad_norm = 1.0\n[evaluation]\nevery = 2\n";

/// What a finished run leaves that must not depend on how it got there.
fn remains(bench: &Bench, name: &str, files: &[&str]) -> Vec<Vec<u8>> {
    files.iter().map(|file| bench.bytes(&format!("{name}/{file}"))).collect()
}

/// Stops after every step in turn, resumes, and compares everything with the uninterrupted run.
fn stop_everywhere(bench: &Bench, recipe: &Recipe, result: &[&str]) {
    let whole = bench.fresh(recipe, "whole");
    let total = whole.steps.len() as u64;
    assert!(total >= 5, "{total} steps");
    let moments = format!("checkpoint-{total}/moments.safetensors");
    let files: Vec<&str> = result.iter().copied().chain([moments.as_str()]).collect();
    let expected = remains(bench, "whole", &files);
    for stop in 1..total {
        let name = format!("stopped-{stop}");
        let mut first = Recorder::stopping_after(stop);
        let outcome = bench.run(recipe, (&name, Resume::Fresh), 2, &mut first).unwrap();
        let Outcome::Interrupted { state, checkpoint } = outcome else { panic!("{outcome:?}") };
        assert_eq!(state.step, stop);
        assert!(checkpoint.ends_with(format!("checkpoint-{stop}")));
        let mut second = Recorder::default();
        let outcome = bench.run(recipe, (&name, Resume::Latest), 1, &mut second).unwrap();
        assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
        assert_eq!([first.bits(), second.bits()].concat(), whole.bits(), "stopped after {stop}");
        let evaluations = [first.evaluation_bits(), second.evaluation_bits()].concat();
        assert_eq!(evaluations, whole.evaluation_bits(), "stopped after {stop}");
        assert!(remains(bench, &name, &files) == expected, "stopped after {stop}: other bytes");
        assert_eq!(logged(bench, &name), logged(bench, "whole"), "stopped after {stop}");
    }
}

/// (event, step, loss) of every line of a log.
fn logged(bench: &Bench, name: &str) -> Vec<(String, u64, String)> {
    let text = String::from_utf8(bench.bytes(&format!("{name}/log.jsonl"))).unwrap();
    text.lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let event = value["event"].as_str().unwrap().to_owned();
            let loss = if event == "step" { &value["loss"] } else { &value["held_out_loss"] };
            (event, value["step"].as_u64().unwrap(), loss.to_string())
        })
        .collect()
}

#[test]
fn an_adapter_resumes_bit_for_bit_after_every_step() {
    for numerics in ["bf16", "f32"] {
        let bench = Bench::new(&documents(30, 97), 97, 24);
        let model = format!("base = \"nf4-dq\"\nnumerics = {numerics:?}\n[lora]\nrank = 3\n");
        let recipe = bench.recipe("narrow", &model, SCHEDULE);
        stop_everywhere(&bench, &recipe, &["adapter/adapter_model.safetensors"]);
    }
}

#[test]
fn a_new_model_resumes_bit_for_bit_after_every_step() {
    for optimizer in ["[optimizer]\n", "[optimizer]\ncoupled_embedding = true\n"] {
        let bench = Bench::new(&documents(30, 40), 40, 24);
        let recipe = new_model(&bench, &SCHEDULE.replace("[optimizer]\n", optimizer));
        stop_everywhere(&bench, &recipe, &["model/model.safetensors", "model/config.json"]);
    }
}

/// A recipe that starts a small model from random values.
fn new_model(bench: &Bench, rest: &str) -> Recipe {
    let text = format!(
        "seed = 3\n[model.new]\nhidden = 24\nffn = 40\nlayers = 2\nheads = 3\nkv_heads = 1\n\
         context = 24\n[data]\ndirectory = {:?}\n{rest}",
        bench.path("data")
    );
    Recipe::parse(&text, "test").unwrap()
}

#[test]
fn a_killed_run_goes_on_from_its_last_checkpoint() {
    let bench = Bench::new(&documents(30, 97), 97, 24);
    let rest = format!("{SCHEDULE}[checkpoint]\nevery = 2\nkeep = 1\n");
    let recipe = bench.recipe("narrow", "[lora]\nrank = 2\n", &rest);
    let whole = bench.fresh(&recipe, "whole");
    // What a kill after step 3 leaves: the checkpoint of step 2, and a log that is ahead of it.
    let mut first = Recorder::stopping_after(3);
    bench.run(&recipe, ("killed", Resume::Fresh), 2, &mut first).unwrap();
    let run = bench.path("killed");
    std::fs::remove_dir_all(run.join("checkpoint-3")).unwrap();
    assert!(!run.join("checkpoint-2").exists() || run.join("checkpoint-2/state.json").exists());
    let left = train::checkpoints(&run).unwrap();
    let from = left.last().expect("a checkpoint before step 3").0;
    let mut second = Recorder::default();
    bench.run(&recipe, ("killed", Resume::Latest), 2, &mut second).unwrap();
    assert_eq!(second.bits(), whole.bits()[from as usize..]);
    assert_eq!(logged(&bench, "killed"), logged(&bench, "whole"));
    let adapter = "adapter/adapter_model.safetensors";
    assert!(remains(&bench, "killed", &[adapter]) == remains(&bench, "whole", &[adapter]));
}

#[test]
fn only_the_newest_checkpoints_and_the_best_are_kept() {
    let bench = Bench::new(&documents(40, 97), 97, 24);
    // So high a rate that the loss soon rises again.
    let rest = "held_out = 0.3\n[batch]\ntokens = 48\n[schedule]\nsteps = 14\n\
        learning_rate = 0.05\ndecay = \"constant\"\n[evaluation]\nevery = 1\n\
        [checkpoint]\nevery = 1\nkeep = 2\n";
    let recipe = bench.recipe("narrow", "[lora]\nrank = 4\n", rest);
    let mut recorder = Recorder::default();
    let outcome = bench.run(&recipe, ("run", Resume::Fresh), 2, &mut recorder).unwrap();
    let Outcome::Finished { state, output } = outcome else { panic!("{outcome:?}") };
    let best = state.best.unwrap();
    let lowest =
        recorder.evaluations[1..].iter().map(|it| it.held_out_loss).fold(f64::MAX, f64::min);
    assert_eq!(best.loss.to_bits(), lowest.to_bits());
    assert!(best.step < 13, "the test wants a best step among the old ones: {best:?}");
    let run = bench.path("run");
    let kept: Vec<u64> = train::checkpoints(&run).unwrap().iter().map(|(step, _)| *step).collect();
    assert_eq!(kept, [best.step, 13, 14]);
    let file = "adapter_model.safetensors";
    let of = |path: String| bench.bytes(&path);
    assert_eq!(
        of(format!("run/adapter/{file}")),
        of(format!("run/checkpoint-{}/{file}", best.step))
    );
    assert_eq!(of(format!("run/adapter-last/{file}")), of(format!("run/checkpoint-14/{file}")));
    assert_eq!(output, run.join("adapter"));
}

#[test]
fn the_best_model_is_what_was_measured_and_patience_ends_the_run() {
    let bench = Bench::new(&documents(40, 40), 40, 24);
    let rest = "held_out = 0.3\n[batch]\ntokens = 48\n[schedule]\nsteps = 60\n\
        learning_rate = 0.1\ndecay = \"constant\"\n[evaluation]\nevery = 1\npatience = 3\n";
    let recipe = new_model(&bench, rest);
    let mut recorder = Recorder::default();
    let outcome = bench.run(&recipe, ("run", Resume::Fresh), 2, &mut recorder).unwrap();
    let Outcome::StoppedEarly { state, output } = outcome else { panic!("{outcome:?}") };
    let best = state.best.unwrap();
    assert_eq!((state.stale, state.step), (3, best.step + 3));
    // Trained further from the best model at no rate worth speaking of, the first evaluation is its.
    let text = format!(
        "seed = 3\n[model]\ndirectory = {output:?}\n[data]\ndirectory = {:?}\nheld_out = 0.3\n\
         [batch]\ntokens = 48\n[schedule]\nsteps = 1\nlearning_rate = 1e-9\n",
        bench.path("data")
    );
    let again = bench.fresh(&Recipe::parse(&text, "test").unwrap(), "again");
    assert_eq!(again.evaluations[0].held_out_loss.to_bits(), best.loss.to_bits());
    let mut resumed = Recorder::default();
    let outcome = bench.run(&recipe, ("run", Resume::Latest), 2, &mut resumed).unwrap();
    assert!(matches!(outcome, Outcome::StoppedEarly { .. }) && resumed.steps.is_empty());
}

#[test]
fn held_out_losses_by_source_belong_to_their_documents() {
    let named = |lines: Vec<&str>| {
        let named = lines.into_iter().map(|line| {
            let length = line.split(']').next().unwrap().matches(',').count();
            line.replacen('{', &format!("{{\"id\": \"length{length}x\", "), 1) + "\n"
        });
        Bench::new(&named.collect::<String>(), 97, 24)
    };
    let losses = |bench: Bench| {
        let rest = "held_out = 0.5\n[batch]\ntokens = 48\n[schedule]\nsteps = 1\n";
        let recorder = bench.fresh(&bench.recipe("narrow", "[lora]\nrank = 4\n", rest), "run");
        recorder.evaluations[0].by_source.clone()
    };
    // Nine documents of different lengths are packed otherwise when they come the other way round.
    let documents = documents(9, 97);
    let there = losses(named(documents.lines().collect()));
    let back = losses(named(documents.lines().rev().collect()));
    let both: Vec<_> = there.keys().filter(|name| back.contains_key(*name)).collect();
    assert!(both.len() >= 2, "{there:?} {back:?}");
    for name in both {
        assert_eq!(there[name].to_bits(), back[name].to_bits(), "{name}");
    }
    let mut different: Vec<_> = there.values().map(|loss| loss.to_bits()).collect();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), there.len());
}
