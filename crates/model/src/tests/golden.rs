use super::*;
use serde_json::Value;

const VARIANTS: [&str; 5] = ["plain", "scaled", "plain_tied", "scaled_tied", "narrow"];
const BASES: [(Base, &str); 3] =
    [(Base::AsStored, "f32"), (Base::Nf4, "nf4"), (Base::Nf4Double, "nf4_dq")];

/// The reference values of a variant.
pub(super) struct Golden {
    file: Checkpoint,
    scalars: Value,
    pub(super) batch: Batch,
    config: Config,
}

impl Golden {
    pub(super) fn open(variant: &str) -> Golden {
        let directory = golden_dir(variant);
        let config = Config::read(&directory.join("model")).unwrap();
        let file = Checkpoint::open_files(&directory, &["golden.safetensors".into()]).unwrap();
        let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
        let scalars = serde_json::from_str(&read("golden.json")).unwrap();
        let mut batch = Batch::default();
        for line in read("batches.jsonl").lines().take(2) {
            let record: Value = serde_json::from_str(line).unwrap();
            let list = |key: &str| {
                record[key]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|v| v.as_i64().unwrap() as i32)
                    .collect::<Vec<_>>()
            };
            let ids: Vec<u32> = list("input_ids").into_iter().map(|id| id as u32).collect();
            batch.push(&config, &ids, &list("labels")).unwrap();
        }
        Golden { file, scalars, batch, config }
    }

    fn values(&self, name: &str, shape: &[usize]) -> Vec<f32> {
        self.file.tensor(name, shape).unwrap().to_f32().unwrap()
    }

    pub(super) fn logits(&self, key: &str) -> Vec<f32> {
        self.values(&format!("{key}logits"), &[2, self.batch.tokens() / 2, self.config.vocab])
    }

    fn loss(&self, key: &str) -> f64 {
        self.scalars["loss"][key].as_f64().unwrap()
    }
}

fn mean(losses: &[f32], batch: &Batch) -> f64 {
    losses.iter().map(|l| f64::from(*l)).sum::<f64>() / batch.trained() as f64
}

/// Loss, logits and every gradient against the reference, relative to `tolerance`.
fn check_trained(parts: &Parts, golden: &Golden, key: &str, tolerance: f64) {
    let (isa, mut rig) = (parts.isa, parts.build());
    let scale = 1.0 / golden.batch.trained() as f32;
    let loss = mean(&rig.run(&golden.batch, scale), &golden.batch);
    let error = (loss - golden.loss(key)).abs() / golden.loss(key);
    assert!(error < tolerance, "{isa:?} {key}: loss {loss}, expected {}", golden.loss(key));
    for index in 0..rig.model.params().len() {
        let param = rig.model.params()[index].clone();
        let want = golden.values(&format!("{key}.grad.{}", param.name), &param.shape);
        let error = relative(&rig.gradient(index), &want);
        let name = param.name;
        assert!(error < tolerance, "{isa:?} {key}: gradient of {name}: relative error {error}");
    }
}

#[test]
fn logits_in_f32_equal_pytorch() {
    for variant in VARIANTS {
        let golden = Golden::open(variant);
        for (base, key) in BASES {
            let parts = Parts::golden(variant, Numerics::F32, base, Trained::Nothing(None));
            let want = golden.logits(&format!("{key}."));
            for isa in tiers() {
                let error = relative(&parts.clone().on(isa).build().logits(&golden.batch), &want);
                assert!(error < 1e-5, "{isa:?} {variant} {key}: relative error {error}");
            }
        }
    }
}

#[test]
fn a_long_sequence_with_scaled_rotations_equals_pytorch() {
    let golden = Golden::open("scaled");
    let directory = golden_dir("scaled");
    let bytes = std::fs::read(directory.join("golden.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let ids: Vec<u32> =
        tensors.tensor("long.ids").unwrap().data().chunks(8).map(|b| u32::from(b[0])).collect();
    let mut batch = Batch::default();
    batch.push(&golden.config, &ids, &vec![-100; ids.len()]).unwrap();
    let parts = Parts::golden("scaled", Numerics::F32, Base::AsStored, Trained::Nothing(None));
    let want = golden.values("f32.long.logits", &[1, ids.len(), golden.config.vocab]);
    for isa in tiers() {
        let error = relative(&parts.clone().on(isa).build().logits(&batch), &want);
        assert!(error < 1e-5, "{isa:?}: relative error {error}");
    }
}

#[test]
fn adapters_in_f32_equal_peft() {
    for variant in VARIANTS {
        let golden = Golden::open(variant);
        let adapters = BASES.map(|(base, key)| (base, "adapter", format!("{key}.adapter")));
        let mixed = (Base::Nf4, "adapter_mixed", "nf4.mixed".to_owned());
        for (base, adapter, key) in adapters.into_iter().chain([mixed]) {
            let parts = Parts::with_adapter(variant, adapter, Numerics::F32, base);
            let want = golden.logits(&format!("{key}."));
            for isa in tiers() {
                let parts = parts.clone().on(isa);
                let error = relative(&parts.build().logits(&golden.batch), &want);
                assert!(error < 1e-5, "{isa:?} {variant} {key}: relative error {error}");
                check_trained(&parts, &golden, &key, 1e-4);
            }
        }
    }
}

#[test]
fn a_frozen_adapter_computes_what_a_trained_one_does() {
    let golden = Golden::open("plain");
    let mut trained = Parts::with_adapter("plain", "adapter", Numerics::Bf16, Base::Nf4);
    let Trained::Adapter(lora) = trained.spec.trained.clone() else { unreachable!() };
    let want = trained.build().logits(&golden.batch);
    trained.spec.trained = Trained::Nothing(Some(lora));
    assert_eq!(trained.build().logits(&golden.batch), want);
}

#[test]
fn gradients_of_all_parameters_equal_pytorch() {
    for variant in ["plain_tied", "narrow"] {
        let golden = Golden::open(variant);
        let parts = Parts::golden(variant, Numerics::F32, Base::AsStored, Trained::Everything);
        for isa in tiers() {
            check_trained(&parts.clone().on(isa), &golden, "f32.dense", 1e-4);
        }
    }
}

/// PyTorch's own distance between bf16 and f32 is the yardstick for ours.
#[test]
fn bf16_is_as_close_to_f32_as_pytorch_is() {
    for variant in VARIANTS {
        let golden = Golden::open(variant);
        for (base, key) in BASES {
            let parts = Parts::with_adapter(variant, "adapter", Numerics::Bf16, base);
            let key = format!("{key}.adapter");
            for isa in tiers() {
                check_bf16(&parts.clone().on(isa), &golden, &key);
            }
        }
    }
}

/// Logits, and all gradients together.
fn check_bf16(parts: &Parts, golden: &Golden, key: &str) {
    let (isa, mut rig) = (parts.isa, parts.build());
    let exact = golden.logits(&format!("{key}."));
    let ours = relative(&rig.logits(&golden.batch), &exact);
    let theirs = relative(&golden.logits(&format!("bf16.{key}.")), &exact);
    assert!(ours < theirs, "{isa:?} {key}: logits {ours}, PyTorch {theirs}");
    rig.run(&golden.batch, 1.0 / golden.batch.trained() as f32);
    let (mut exact, mut torch) = (Vec::new(), Vec::new());
    for param in rig.model.params() {
        let values = |of: &str| golden.values(&format!("{of}.grad.{}", param.name), &param.shape);
        exact.extend(values(key));
        torch.extend(values(&format!("bf16.{key}")));
    }
    let ours = relative(&rig.gradients(), &exact);
    let theirs = relative(&torch, &exact);
    assert!(ours < theirs, "{isa:?} {key}: gradients {ours}, PyTorch {theirs}");
}
