//! Checkpoints that were changed after they were written are refused, file by file and number by
//! number, also where the hashes were made to agree.

use crate::bench::{Bench, Recorder, documents};
use crate::refuse::message;
use std::path::PathBuf;
use train::{Recipe, Resume};

const HINT: &str =
    "\nhint: remove this checkpoint to go on from the one before it, or start a new run";
const MOMENTS: &str = "moments.safetensors";
const ADAPTER: &str = "adapter_model.safetensors";

/// A run that was stopped after its second step.
struct Stopped {
    bench: Bench,
    recipe: Recipe,
    path: PathBuf,
}

impl Stopped {
    fn new() -> Stopped {
        let bench = Bench::new(&documents(30, 97), 97, 24);
        let rest = "held_out = 0.2\n[batch]\ntokens = 64\n[schedule]\nsteps = 4\n\
            learning_rate = 5e-3\n[evaluation]\nevery = 1\n";
        let recipe = bench.recipe("narrow", "[lora]\nrank = 2\n", rest);
        let mut recorder = Recorder::stopping_after(2);
        bench.run(&recipe, ("run", Resume::Fresh), 2, &mut recorder).unwrap();
        let path = bench.path("run/checkpoint-2");
        Stopped { bench, recipe, path }
    }

    fn resume(&self) -> String {
        let mut recorder = Recorder::default();
        let outcome = self.bench.run(&self.recipe, ("run", Resume::Latest), 2, &mut recorder);
        let error = outcome.expect_err("it must be refused");
        assert!(recorder.steps.is_empty());
        message(&self.bench, error)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path.join(name)).unwrap()
    }

    fn state(&self) -> String {
        String::from_utf8(self.read("state.json")).unwrap()
    }

    /// Changes a file, and its hash in `state.json` with it.
    fn forge(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.read(name);
        let before = files::sha256(&bytes);
        change(&mut bytes);
        std::fs::write(self.path.join(name), &bytes).unwrap();
        self.write_sealed(self.state().replace(&before, &files::sha256(&bytes)));
    }

    /// Writes a `state.json` with the seal of what it says.
    fn write_sealed(&self, text: String) {
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let (before, after) = text.rsplit_once(value["seal"].as_str().unwrap()).unwrap();
        let seal = files::sha256([before, &"0".repeat(64), after].concat().as_bytes());
        std::fs::write(self.path.join("state.json"), [before, &seal, after].concat()).unwrap();
    }
}

#[test]
fn a_file_that_was_cut_changed_or_removed() {
    let run = Stopped::new();
    for name in ["state.json", MOMENTS, ADAPTER, "adapter_config.json", "srek.json"] {
        let (whole, file) = (run.read(name), run.path.join(name));
        for len in [0, 7, whole.len() / 2, whole.len() - 1] {
            // The last byte of a JSON file may be the end of its line.
            std::fs::write(&file, &whole[..len]).unwrap();
            let error = run.resume();
            assert!(error.starts_with(&format!("test/run/checkpoint-2/{name}: ")), "{error}");
            assert!(error.ends_with(HINT), "{error}");
        }
        if name != "state.json" {
            let mut changed = whole.clone();
            let middle = changed.len() * 2 / 3;
            changed[middle] ^= 1;
            std::fs::write(&file, &changed).unwrap();
            let (found, expected) = (files::sha256(&changed), files::sha256(&whole));
            let words = format!(
                "test/run/checkpoint-2/{name}: is not what was written: its SHA-256 is {found}, \
                 expected {expected}{HINT}"
            );
            assert_eq!(run.resume(), words);
            std::fs::remove_file(&file).unwrap();
            assert_eq!(run.resume(), format!("test/run/checkpoint-2/{name}: is missing{HINT}"));
        }
        std::fs::write(&file, &whole).unwrap();
    }
    run.bench.run(&run.recipe, ("run", Resume::Latest), 2, &mut Recorder::default()).unwrap();
}

#[test]
fn a_state_that_cannot_be() {
    let run = Stopped::new();
    let (state, file) = (run.state(), run.path.join("state.json"));
    for (from, to, words) in [
        ("\"version\": 3", "\"version\": 1", "not a run's state: version 1, expected 3"),
        ("\"version\": 3", "\"version\": 2", "not a run's state: unknown field `seal`"),
        ("\"seal\": \"", "\"seal\": \"0", "is not what was written: its seal"),
        ("\"trained_tokens\": ", "\"trained_tokens\":  ", "is not what was written: its seal"),
        ("\"version\"", "\"versions\"", "not a run's state: missing field `version`"),
        ("\"step\": 2", "\"step\": 3", "is at step 3, unlike its directory's name"),
        (
            "\"cursor\": 2",
            "\"cursor\": 1",
            "is at micro-batch 1 of epoch 0, but step 2 ends at micro-batch 2 of epoch 0",
        ),
        (
            "\"epoch\": 0",
            "\"epoch\": 18446744073709551615",
            "is at micro-batch 2 of epoch 18446744073709551615, but step 2 ends at micro-batch 2 of epoch 0",
        ),
        ("\"stale\": 0", "\"stale\": 9", "had 9 evaluations without a new best in 2 steps"),
        ("\"tokens\": ", "\"tokens\": 0, \"x\": ", "not a run's state: unknown field `x`"),
        ("\"initial\": \"", "\"initial\": \"-inf\", \"\": \"", "not a run's state: unknown field"),
        (
            "\"moments.safetensors\"",
            "\"moment\"",
            "lists the file \"moment\", which no checkpoint has",
        ),
    ] {
        let changed = state.replacen(from, to, 1);
        assert_ne!(changed, state, "{from}");
        std::fs::write(&file, changed).unwrap();
        let error = run.resume();
        assert!(
            error.starts_with(&format!("test/run/checkpoint-2/state.json: {words}")),
            "{error}"
        );
        assert!(error.ends_with(HINT), "{error}");
    }
    let mut value: serde_json::Value = serde_json::from_str(&state).unwrap();
    let mut refused = |key: &str, new: serde_json::Value, words: &str| {
        let before = std::mem::replace(&mut value["state"][key], new);
        std::fs::write(&file, value.to_string()).unwrap();
        value["state"][key] = before;
        assert_eq!(run.resume(), format!("test/run/checkpoint-2/state.json: {words}{HINT}"));
    };
    refused("trained_tokens", 1_000_000.into(), &{
        let tokens = serde_json::from_str::<serde_json::Value>(&state).unwrap();
        format!("trained 1000000 of {} tokens", tokens["state"]["tokens"])
    });
    let best = |step: u64, loss: &str| serde_json::json!({ "step": step, "loss": loss });
    refused("best", best(3, "1.0"), "has its best loss at step 3, but is at step 2");
    let words = "has a held-out loss of NaN, expected a finite number";
    refused("best", best(1, "NaN"), words);
    refused("initial", "NaN".into(), words);
    refused("held_out", "inf".into(), "has a held-out loss of inf, expected a finite number");
}

#[test]
fn a_state_of_before_there_were_seals() {
    let run = Stopped::new();
    let mut value: serde_json::Value = serde_json::from_str(&run.state()).unwrap();
    let fields = value.as_object_mut().unwrap();
    fields.remove("seal");
    std::fs::write(run.path.join("state.json"), serde_json::to_string(fields).unwrap()).unwrap();
    let words = "not a run's state: missing field `seal`";
    assert_eq!(run.resume(), format!("test/run/checkpoint-2/state.json: {words}{HINT}"));
    fields.insert("version".to_owned(), 2.into());
    std::fs::write(run.path.join("state.json"), serde_json::to_string(fields).unwrap()).unwrap();
    run.bench.run(&run.recipe, ("run", Resume::Latest), 2, &mut Recorder::default()).unwrap();
}

#[test]
fn a_checkpoint_that_was_renamed() {
    let run = Stopped::new();
    std::fs::rename(&run.path, run.bench.path("run/checkpoint-3")).unwrap();
    let words = "is at step 2, unlike its directory's name";
    assert_eq!(run.resume(), format!("test/run/checkpoint-3/state.json: {words}{HINT}"));
}

#[test]
fn a_best_checkpoint_that_is_gone_or_changed() {
    let run = Stopped::new();
    let mut value: serde_json::Value = serde_json::from_str(&run.state()).unwrap();
    value["state"]["best"] = serde_json::json!({ "step": 1, "loss": "0.5" });
    run.write_sealed(value.to_string());
    let adapter = run.bench.path("run/checkpoint-1").join(ADAPTER);
    let whole = std::fs::read(&adapter).unwrap();
    std::fs::write(&adapter, &whole[1..]).unwrap();
    let error = run.resume();
    assert!(
        error.starts_with("test/run/checkpoint-1/adapter_model.safetensors: is not"),
        "{error}"
    );
    std::fs::remove_dir_all(run.bench.path("run/checkpoint-1")).unwrap();
    let error = run.resume();
    assert!(error.contains("test/run/checkpoint-1/state.json: no such file"), "{error}");
}

/// Offset of a tensor's first element in a safetensors file.
fn start(bytes: &[u8], tensor: &str) -> usize {
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let value: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    8 + header + value[tensor]["data_offsets"][0].as_u64().unwrap() as usize
}

#[test]
fn numbers_that_cannot_be() {
    let name = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight";
    for (file, tensor, value, words) in [
        (MOMENTS, format!("v.{name}"), -1e-9, "element 5 is -0.000000001, expected 0 or more"),
        (MOMENTS, format!("v.{name}"), f32::INFINITY, "element 5 is inf, expected a finite number"),
        (MOMENTS, format!("m.{name}"), f32::NAN, "element 5 is NaN, expected a finite number"),
        (
            ADAPTER,
            name.to_owned(),
            f32::NEG_INFINITY,
            "element 5 is -inf, expected a finite number",
        ),
    ] {
        let run = Stopped::new();
        run.forge(file, |bytes| {
            let at = start(bytes, &tensor) + 4 * 5;
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        });
        let place = format!("test/run/checkpoint-2/{file}: tensor {tensor}");
        assert_eq!(run.resume(), format!("{place}: {words}{HINT}"));
    }
}
