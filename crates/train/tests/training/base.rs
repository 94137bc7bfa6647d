//! Adapters over bases that are stored in 4 bits.

use crate::bench::{Bench, documents, goldens};
use crate::equal::assert_same_trace;
use model::save::BaseForm;
use model::{Base, Checkpoint, Head};
use ops::{Isa, Target};
use std::path::PathBuf;
use train::{Budget, Job, Plan, Provenance, Resume};

const BRIEF: &str = "held_out = 0.2\n[batch]\ntokens = 64\nmicro_batches = 2\n\
    [schedule]\nsteps = 4\nlearning_rate = 5e-3\n[evaluation]\nevery = 2\n";

/// A golden model as `srek quantize` writes it, in the bench's directory.
fn quantized(bench: &Bench, variant: &str, double: bool, embedding: Head) -> PathBuf {
    let out = bench.path(&format!("{variant}-{double}-{embedding:?}"));
    std::fs::create_dir(&out).unwrap();
    let model = Checkpoint::open(&goldens().join(variant).join("model")).unwrap();
    model::save::base(&model, BaseForm { double, embedding }, &out, &mut |_| {}).unwrap();
    out
}

#[test]
fn losses_over_a_stored_base_are_those_of_quantizing_on_load() {
    for (variant, vocab) in [("plain", 128), ("narrow", 97)] {
        let bench = Bench::new(&documents(30, vocab), vocab as u32, 24);
        for (double, name) in [(false, "nf4"), (true, "nf4-dq")] {
            let stored = quantized(&bench, variant, double, Head::AsStored);
            for numerics in ["bf16", "f32"] {
                let model = |base| format!("base = {base:?}\nnumerics = {numerics:?}\n[lora]\n");
                let on_load = bench.recipe(variant, &model(name), BRIEF);
                let as_stored = bench.recipe_over(&stored, &model("as-stored"), BRIEF);
                let runs = [on_load, as_stored].map(|recipe| {
                    let run = format!("{variant}-{name}-{numerics}-{:?}", recipe.model.base);
                    let recorder = bench.fresh(&recipe, &run);
                    let file = format!("{run}/adapter/adapter_model.safetensors");
                    (recorder.bits(), recorder.evaluation_bits(), bench.bytes(&file))
                });
                assert_eq!((runs[0].0.len(), runs[0].1.len()), (4, 3));
                assert!(runs[0] == runs[1], "{variant} {name} {numerics}");
            }
        }
    }
}

#[test]
fn plans_over_a_stored_base_are_what_runs_take() {
    let bench = Bench::new(&documents(30, 128), 128, 24);
    let lora = "base = \"as-stored\"\n[lora]\n";
    for variant in ["plain", "plain_tied"] {
        for embedding in [Head::AsStored, Head::EightBit] {
            let stored = quantized(&bench, variant, true, embedding);
            let recipe = bench.recipe_over(&stored, lora, BRIEF);
            if variant == "plain" {
                assert_same_trace(&recipe);
            }
            let target = Target::cpu(Isa::detect(), 2);
            let plan = |recipe| {
                let job = Job::open(recipe).unwrap();
                Plan::new(&job, target, Budget::default()).unwrap()
            };
            let stored = plan(&recipe);
            let on_load = plan(&bench.recipe(variant, "base = \"nf4-dq\"\n[lora]\n", BRIEF));
            // What was in the arena is mapped; in 8 bits the tables take less than in 32.
            assert!(stored.size.device < on_load.size.device);
            let both = |plan: &Plan| plan.size.device + plan.size.mapped;
            let tables = if variant == "plain" { 2 } else { 1 } * 128 * 64 * 4;
            match embedding {
                // Alignment of the arena is all that differs.
                Head::AsStored => assert!(both(&on_load).abs_diff(both(&stored)) < 4096),
                Head::EightBit => {
                    let less = both(&on_load) - both(&stored);
                    assert!(less.abs_diff(tables - tables * 17 / 64) < 4096, "{less}");
                }
            }
        }
    }
}

#[test]
fn what_is_recorded_names_the_stored_form_and_covers_the_files() {
    let bench = Bench::new(&documents(30, 128), 128, 24);
    let stored = quantized(&bench, "plain_tied", true, Head::EightBit);
    let recipe = bench.recipe_over(&stored, "[lora]\n", BRIEF);
    bench.fresh(&recipe, "run");
    let adapter = bench.path("run/adapter");
    let record = Provenance::read(&adapter).unwrap().unwrap();
    assert_eq!((record.base(), record.head()), (Base::Nf4Double, Head::EightBit));
    let fingerprint = || train::fingerprint(&Checkpoint::open(&stored).unwrap(), "config.json");
    record.check_model(&adapter, &fingerprint().unwrap()).unwrap();
    let file = stored.join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let tensors: serde_json::Value = serde_json::from_slice(&bytes[8..header]).unwrap();
    for name in ["model.embed_tokens.weight.scales", "model.layers.0.mlp.up_proj.weight.absmax"] {
        let at = tensors[name]["data_offsets"][0].as_u64().unwrap() as usize;
        let mut changed = bytes.clone();
        changed[header + at] ^= 1;
        std::fs::write(&file, changed).unwrap();
        let error = record.check_model(&adapter, &fingerprint().unwrap()).unwrap_err();
        assert!(error.to_string().contains("is an adapter for another base"), "{error}");
    }
}

#[test]
fn a_base_of_another_kind_and_training_all_of_one_are_refused() {
    let bench = Bench::new(&documents(30, 128), 128, 24);
    let stored = quantized(&bench, "plain", true, Head::AsStored);
    let error = Job::open(&bench.recipe_over(&stored, "base = \"nf4\"\n[lora]\n", BRIEF));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("is stored as nf4-dq, nf4 was asked for\nhint: take it as"), "{error}");
    let recipe = bench.recipe_over(&stored, "", BRIEF);
    let mut recorder = crate::bench::Recorder::default();
    let error = bench.run(&recipe, ("run", Resume::Fresh), 2, &mut recorder).unwrap_err();
    let want = "is stored in 4 bits, expected F32, BF16 or F16\nhint: take the model that";
    assert!(error.to_string().contains(want), "{error}");
}
