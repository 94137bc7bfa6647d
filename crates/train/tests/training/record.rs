//! What is recorded beside every result, and what a record forbids.

use crate::bench::{Bench, Recorder, documents};
use crate::refuse::message;
use ops::{Isa, Target};
use std::collections::BTreeMap;
use train::{Provenance, Resume};

const SCHEDULE: &str = "held_out = 0.2\n[batch]\ntokens = 64\n[schedule]\nsteps = 6\n\
    learning_rate = 5e-3\n[evaluation]\nevery = 2\n[checkpoint]\nevery = 1\nkeep = 9\n";

fn json(bench: &Bench, path: &str) -> serde_json::Value {
    serde_json::from_slice(&bench.bytes(path)).unwrap()
}

#[test]
fn every_result_has_its_record() {
    let bench = Bench::new(&documents(40, 97), 97, 24);
    let rest = "held_out = 0.3\n[batch]\ntokens = 48\n[schedule]\nsteps = 14\n\
        learning_rate = 0.05\ndecay = \"constant\"\n[evaluation]\nevery = 1\n\
        [checkpoint]\nevery = 1\nkeep = 2\n";
    let model = "base = \"nf4\"\nhead = \"q8\"\n[lora]\nrank = 4\n";
    bench.fresh(&bench.recipe("narrow", model, rest), "run");
    let best = json(&bench, "run/checkpoint-14/state.json")["state"]["best"]["step"].clone();
    assert!(best.as_u64() < Some(14), "the test wants an earlier best: {best}");
    let identity = json(&bench, "run/checkpoint-14/state.json")["identity"].clone();
    let adapter = ["adapter_config.json", "adapter_model.safetensors"];
    let checkpoint = [adapter[0], adapter[1], "moments.safetensors"];
    for (place, step, files) in [
        ("adapter", best, &adapter[..]),
        ("adapter-last", 14.into(), &adapter),
        ("checkpoint-14", 14.into(), &checkpoint),
    ] {
        let hash = |name: &str| files::sha256(&bench.bytes(&format!("run/{name}")));
        let files = files.iter().map(|name| ((*name).to_owned(), hash(&format!("{place}/{name}"))));
        let expected = serde_json::json!({
            "version": 2, "srek": env!("CARGO_PKG_VERSION"),
            "files": files.collect::<BTreeMap<_, _>>(),
            "training": {
                "numerics": "bf16", "base": "nf4", "head": "q8", "tier": Isa::detect().name(),
                "seed": 7, "step": step, "inputs": identity, "template": "none",
                "recipe": hash("resolved.toml"),
            },
        });
        let mut found = json(&bench, &format!("run/{place}/srek.json"));
        // Only who builds the program can say what it was built from.
        found.as_object_mut().unwrap().remove("commit");
        assert_eq!(found, expected, "{place}");
        assert!(Provenance::read(&bench.path("run").join(place)).unwrap().is_some());
    }
    assert!(identity["model"].as_str().unwrap().len() == 64 && identity["adapter"] == "new");
}

#[test]
fn how_the_base_was_stored_is_told_by_its_files() {
    let bench = Bench::new(&documents(30, 97), 97, 24);
    let brief = "[batch]\ntokens = 64\n[schedule]\nsteps = 1\nlearning_rate = 5e-3\n";
    bench.fresh(&bench.recipe("narrow", "[lora]\nrank = 2\n", brief), "run");
    assert_eq!(json(&bench, "run/adapter/srek.json")["training"]["base"], "f32");
    bench.fresh(&bench.recipe("narrow", "", brief), "all");
    let record = &json(&bench, "all/model/srek.json")["training"];
    assert_eq!((&record["base"], &record["step"]), (&"bf16".into(), &1.into()));
}

#[test]
fn another_tier_goes_on_only_where_it_gives_the_same_bits() {
    if Isa::detect() == Isa::Scalar {
        crate::skip::skip("this machine has one tier");
        return;
    }
    let [fast, scalar] = [Isa::detect(), Isa::Scalar].map(|isa| Target::cpu(isa, 2));
    for (numerics, agrees) in [("bf16", false), ("f32", true)] {
        let bench = Bench::new(&documents(30, 97), 97, 24);
        let model = format!("base = \"nf4\"\nnumerics = {numerics:?}\n[lora]\nrank = 2\n");
        let recipe = bench.recipe("narrow", &model, SCHEDULE);
        let whole = bench.fresh(&recipe, "whole");
        let mut first = Recorder::stopping_after(3);
        bench.run_on(fast, &recipe, ("run", Resume::Fresh), &mut first).unwrap();
        let mut second = Recorder::default();
        let outcome = bench.run_on(scalar, &recipe, ("run", Resume::Latest), &mut second);
        if agrees {
            outcome.unwrap();
            assert_eq!([first.bits(), second.bits()].concat(), whole.bits());
            let adapter = "adapter/adapter_model.safetensors";
            let bytes = |run: &str| bench.bytes(&format!("{run}/{adapter}"));
            assert!(bytes("run") == bytes("whole"));
        } else {
            let fast = Isa::detect().name();
            let expected = format!(
                "test/run/checkpoint-3: was trained on the tier {fast:?}, this run is on \"scalar\", \
                 which rounds differently\nhint: resume with --tier {fast}, or start a new run"
            );
            assert_eq!(message(&bench, outcome.unwrap_err()), expected);
        }
    }
}

#[test]
fn an_adapter_starts_only_over_the_base_it_was_trained_over() {
    let bench = Bench::new(&documents(30, 97), 97, 24);
    let recipe = bench.recipe("narrow", "[lora]\nrank = 2\n", SCHEDULE);
    bench.fresh(&recipe, "run");
    let mut next = recipe.clone();
    next.model.adapter = Some(bench.path("run/adapter"));
    next.lora = None;
    bench.fresh(&next, "next");
    assert_ne!(json(&bench, "next/adapter/srek.json")["training"]["inputs"]["adapter"], "new");
    // The same shape, but other weights: a tensor apart by one bit of one number.
    let from = crate::bench::goldens().join("narrow/model");
    std::fs::create_dir(bench.path("other")).unwrap();
    std::fs::copy(from.join("config.json"), bench.path("other/config.json")).unwrap();
    let mut bytes = std::fs::read(from.join("model.safetensors")).unwrap();
    let middle = bytes.len() / 2 + 1;
    bytes[middle] ^= 1;
    std::fs::write(bench.path("other/model.safetensors"), bytes).unwrap();
    next.model.directory = Some(bench.path("other"));
    let outcome = bench.run(&next, ("third", Resume::Fresh), 2, &mut Recorder::default());
    let error = message(&bench, outcome.unwrap_err());
    assert!(
        error.starts_with("test/run/adapter: is an adapter for another base: that has"),
        "{error}"
    );
    assert!(error.ends_with("\nhint: give the base that it was trained over"), "{error}");
    // One that was changed since is refused, whatever it is used over.
    next.model.directory = recipe.model.directory.clone();
    let config = bench.path("run/adapter/adapter_config.json");
    let whole = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, whole.replacen("\"r\"", " \"r\"", 1)).unwrap();
    let outcome = bench.run(&next, ("third", Resume::Fresh), 2, &mut Recorder::default());
    let error = message(&bench, outcome.unwrap_err());
    let start = "test/run/adapter/adapter_config.json: is not what was written: its SHA-256 is ";
    assert!(error.starts_with(start) && error.contains("\nhint: `srek verify`"), "{error}");
    next.model.directory = Some(bench.path("other"));
    // Without a record nothing is known, as with PEFT's own.
    std::fs::remove_file(bench.path("run/adapter/srek.json")).unwrap();
    bench.fresh(&next, "third");
}
