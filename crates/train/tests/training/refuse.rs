//! What is refused, with its words.

use crate::bench::{Bench, Recorder, documents, goldens};
use train::{Error, Job, Recipe, Resume};

const BRIEF: &str = "[batch]\ntokens = 64\n[schedule]\nsteps = 4\nlearning_rate = 5e-3\n";

fn bench() -> Bench {
    Bench::new(&documents(30, 97), 97, 24)
}

/// The error's text with the test's own paths cut out.
pub(crate) fn message(bench: &Bench, error: Error) -> String {
    let text = error.to_string().replace(&bench.directory.path().display().to_string(), "test");
    text.replace(&goldens().display().to_string(), "goldens")
}

fn refused(bench: &Bench, recipe: &Recipe) -> String {
    message(bench, Job::open(recipe).expect_err("it must be refused"))
}

#[test]
fn a_checkpoint_of_another_run_is_refused_by_name() {
    let bench = bench();
    let recipe = bench.recipe("narrow", "[lora]\nrank = 2\n", BRIEF);
    let mut recorder = Recorder::stopping_after(2);
    bench.run(&recipe, ("run", Resume::Fresh), 2, &mut recorder).unwrap();
    let resume = |recipe: &Recipe| {
        let outcome = bench.run(recipe, ("run", Resume::Latest), 2, &mut Recorder::default());
        message(&bench, outcome.expect_err("it must be refused"))
    };
    let mut other = recipe.clone();
    other.schedule.learning_rate = 1e-3;
    other.seed = 8;
    assert_eq!(
        resume(&other),
        "test/run/checkpoint-2: belongs to another recipe: schedule.learning_rate was 0.005, is \
         0.001; seed was 7, is 8\nhint: resume with the recipe it was trained with, or start a new run"
    );
    bench.build("other", &documents(31, 97), (97, 24));
    let mut other = recipe.clone();
    other.data.directory = bench.path("other");
    other.model.adapter = None;
    assert_eq!(
        resume(&other),
        "test/run/checkpoint-2: belongs to another run, which has another data set\nhint: resume with the \
         inputs it was trained on, or start a new run"
    );
    let mut other = recipe.clone();
    other.model.directory = Some(bench.path("model"));
    copy_model(&bench, "narrow", |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    assert!(resume(&other).contains("which has another model\n"), "{}", resume(&other));
    let again = bench.run(&recipe, ("run", Resume::Fresh), 2, &mut Recorder::default());
    assert_eq!(
        message(&bench, again.unwrap_err()),
        "test/run: a run has left a checkpoint of step 2 here\nhint: resume it, or take another \
         directory"
    );
    let none = bench.run(&recipe, ("none", Resume::Latest), 2, &mut Recorder::default());
    assert_eq!(
        message(&bench, none.unwrap_err()),
        "test/none: there is no checkpoint to resume from\nhint: start without resuming"
    );
    // How often it is written, and where activations stay, may change.
    let mut same = recipe;
    same.checkpoint.every = Some(1);
    same.memory.policy = train::recipe::PolicyKind::Recompute;
    let mut recorder = Recorder::default();
    bench.run(&same, ("run", Resume::Latest), 2, &mut recorder).unwrap();
    assert_eq!(recorder.checkpoints, [3, 4]);
}

/// Copies a golden model to `model`, with its weight file changed.
fn copy_model(bench: &Bench, variant: &str, change: impl Fn(&mut Vec<u8>)) {
    let (from, to) = (goldens().join(variant).join("model"), bench.path("model"));
    std::fs::create_dir_all(&to).unwrap();
    std::fs::copy(from.join("config.json"), to.join("config.json")).unwrap();
    let mut bytes = std::fs::read(from.join("model.safetensors")).unwrap();
    change(&mut bytes);
    std::fs::write(to.join("model.safetensors"), bytes).unwrap();
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint() {
    let bench = bench();
    let rest = format!("{BRIEF}decay = \"constant\"\n[checkpoint]\nevery = 1\n");
    let mut recipe = bench.recipe("narrow", "numerics = \"f32\"\n[lora]\nrank = 2\n", &rest);
    recipe.schedule.learning_rate = 999.0;
    recipe.schedule.steps = Some(50);
    recipe.optimizer.max_grad_norm = 0.0;
    recipe.optimizer.beta1 = 0.0;
    recipe.optimizer.weight_decay = 900.0;
    let mut recorder = Recorder::default();
    let outcome = bench.run(&recipe, ("run", Resume::Fresh), 2, &mut recorder);
    let Err(Error::NotFinite { step, sources, .. }) = outcome else { panic!("{outcome:?}") };
    assert!(sources.contains(".jsonl"), "{sources}");
    assert_eq!(recorder.steps.len() as u64, step - 1);
    let last = train::checkpoints(&bench.path("run")).unwrap().pop().unwrap();
    assert_eq!(last.0, step - 1);
    assert!(bench.bytes(&format!("run/checkpoint-{}/state.json", last.0)).len() > 100);
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let bench = bench();
    let mut recipe = bench.recipe("narrow", "[lora]\n", BRIEF);
    recipe.data.context = Some(20);
    assert_eq!(
        refused(&bench, &recipe),
        format!(
            "test/data: document {} tokens, the context holds 20\nhint: build the data set for a \
             context of 20, or raise data.context",
            longest(&bench)
        ),
    );
    let small = BRIEF.replace("64", "16");
    let recipe = bench.recipe("narrow", "[lora]\n", &small);
    assert!(refused(&bench, &recipe).contains("a micro-batch holds 16"));
    bench.build("wide", &documents(30, 150), (150, 24));
    let mut recipe = bench.recipe("narrow", "[lora]\n", BRIEF);
    recipe.data.directory = bench.path("wide");
    assert_eq!(
        refused(&bench, &recipe),
        "test/wide: its token ids go up to 149, the model's vocabulary has 97\nhint: build the data \
         set with the model's tokenizer"
    );
    let mut recipe = bench.recipe("narrow", "", BRIEF);
    recipe.model.adapter = Some(goldens().join("narrow/adapter"));
    recipe.lora = Some(train::recipe::LoraSection { rank: 5, ..Default::default() });
    assert_eq!(
        refused(&bench, &recipe),
        "goldens/narrow/adapter: its adapter_config.json differs from [lora]\nhint: leave [lora] out"
    );
}

/// The first document of more than 20 tokens, as the message names it.
fn longest(bench: &Bench) -> String {
    let dataset = text::dataset::Dataset::open(&bench.path("data")).unwrap();
    let doc = dataset.docs().find(|doc| doc.ids.len() > 20).unwrap();
    let root = bench.directory.path().display().to_string();
    format!("{} has {}", doc.source.replace(&root, "test"), doc.ids.len())
}

#[test]
fn a_run_that_cannot_write_says_so() {
    let bench = bench();
    let recipe = bench.recipe("narrow", "[lora]\n", BRIEF);
    std::fs::write(bench.path("run"), "a file stands here").unwrap();
    let outcome = bench.run(&recipe, ("run", Resume::Fresh), 2, &mut Recorder::default());
    let error = message(&bench, outcome.unwrap_err());
    assert!(error.contains("test/run"), "{error}");
}

#[test]
fn a_directory_that_is_not_a_free_run_is_refused() {
    let bench = bench();
    let recipe = bench.recipe("narrow", "[lora]\nrank = 2\n", BRIEF);
    let attempt = || {
        let outcome = bench.run(&recipe, ("mine", Resume::Fresh), 1, &mut Recorder::default());
        message(&bench, outcome.expect_err("it must be refused"))
    };
    let adapter = bench.path("mine").join("adapter");
    std::fs::create_dir_all(&adapter).unwrap();
    std::fs::write(adapter.join("kept"), "by hand").unwrap();
    assert_eq!(
        attempt(),
        "test/mine/adapter: is in the way, and no run wrote it\nhint: choose another --out"
    );
    assert_eq!(std::fs::read_to_string(adapter.join("kept")).unwrap(), "by hand");
    std::fs::remove_dir_all(&adapter).unwrap();
    let lock = files::Lock::take(bench.path("mine").join(".lock")).unwrap();
    assert_eq!(
        attempt(),
        "test/mine: another run is writing here\nhint: choose another --out, or wait for it"
    );
    drop(lock);
}

#[test]
fn a_policy_that_does_not_fit_is_refused_before_anything_is_allocated() {
    let bench = bench();
    let sections = "[batch]\ntokens = 16777216\n[memory]\npolicy = \"keep\"\n[schedule]\nsteps = 1\nlearning_rate = 5e-3\n";
    let recipe = bench.recipe("narrow", "[lora]\nrank = 2\n", sections);
    let job = Job::open(&recipe).unwrap();
    let target = ops::Target::cpu(ops::Isa::detect(), 2);
    let budget = train::Budget { device: None, host: Some(1 << 30) };
    let text = train::Plan::new(&job, target, budget).unwrap_err().to_string();
    assert!(text.starts_with("does not fit into any MiB of device and 1024 MiB of host"), "{text}");
}
