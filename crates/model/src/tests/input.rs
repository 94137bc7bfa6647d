//! Directories that are not what they should be.

use super::*;
use std::path::Path;

/// A copy of the golden model directory to spoil.
fn copy() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        let from = golden_dir("plain").join("model").join(name);
        std::fs::copy(from, directory.path().join(name)).unwrap();
    }
    directory
}

/// The message of opening and filling, with the directory's name cut out.
fn message(directory: &Path) -> String {
    let attempt = || -> Result<()> {
        let weights = Checkpoint::open(directory)?;
        let spec = Spec {
            config: weights.config()?,
            numerics: Numerics::F32,
            base: Base::Nf4,
            head: Head::AsStored,
            embedding: Embedding::OnDevice,
            trained: Trained::Nothing(None),
            positions: 8,
        };
        let origin = Origin { weights: Some(&weights), adapter: None, seed: 0 };
        let target = Target::cpu(Isa::detect(), rayon::current_num_threads());
        let mut dry = Dry::new(target);
        Model::layout(&mut dry, &spec, &origin)?;
        let mut cpu = Cpu::new(target, dry.trace().peak);
        Model::layout(&mut cpu, &spec, &origin)?.fill(&mut cpu, &origin)
    };
    let text = attempt().expect_err("must be refused").to_string();
    text.replace(&directory.display().to_string(), "DIR")
}

fn edit_config(directory: &Path, from: &str, to: &str) {
    let path = directory.join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn a_truncated_file_is_refused() {
    let directory = copy();
    let path = directory.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for keep in [0, 4, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..keep]).unwrap();
        let text = message(directory.path());
        assert!(text.starts_with("DIR/model.safetensors: "), "{text}");
        assert!(text.contains(&format!("{keep} bytes")) && text.contains("hint: "), "{text}");
    }
}

#[test]
fn a_wrong_shape_names_tensor_and_both_shapes() {
    let directory = copy();
    edit_config(directory.path(), "\"intermediate_size\": 128", "\"intermediate_size\": 64");
    assert_eq!(
        message(directory.path()),
        "DIR/model.safetensors: tensor model.layers.0.mlp.gate_proj.weight: has shape [128, 64], expected [64, 64]"
    );
}

#[test]
fn a_missing_tensor_is_named() {
    let directory = copy();
    edit_config(directory.path(), "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4");
    assert_eq!(
        message(directory.path()),
        "DIR: tensor model.layers.3.input_layernorm.weight: is missing"
    );
}

#[test]
fn a_tensor_too_many_is_named() {
    let directory = copy();
    edit_config(directory.path(), "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2");
    let text = message(directory.path());
    assert!(text.starts_with("DIR: tensor model.layers.2."), "{text}");
    assert!(text.ends_with("belongs to nothing that config.json describes"), "{text}");
}

#[test]
fn rotations_are_read_from_either_place_and_must_agree() {
    let directory = copy();
    let read = || Config::read(directory.path());
    let theta = read().unwrap().rope_theta;
    let old = format!("\"rope_theta\": {theta:.1}");
    let scaled = "\"rope_parameters\": {\"rope_type\": \"llama3\", \"rope_theta\": 77.0, \"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 32}";
    edit_config(directory.path(), &old, scaled);
    let config = read().unwrap();
    assert_eq!((config.rope_theta, config.rope_scaling.map(|s| s.factor)), (77.0, Some(8.0)));
    edit_config(directory.path(), scaled, &format!("{scaled}, \"rope_theta\": 5.0"));
    assert!(read().unwrap_err().to_string().contains("rope_theta is 5, but 77 in rope_parameters"));
    edit_config(directory.path(), &format!("{scaled}, \"rope_theta\": 5.0"), "\"use_cache\": true");
    edit_config(directory.path(), "  \"use_cache\": true,\n", "");
    assert_eq!(read().unwrap().rope_theta, 10_000.0, "as transformers has it");
}

#[test]
fn keys_that_may_change_the_computation_are_refused() {
    for (key, want) in [
        ("\"sliding_window\": null", "unknown key \"sliding_window\"\nhint: it may change"),
        ("\"attention_dropout\": 0.1", "attention_dropout is 0.1, expected 0"),
        ("\"is_decoder\": true", "is_decoder is true, expected false"),
        (
            "\"rope_parameters\": {\"rope_type\": \"default\", \"beta_fast\": 32}",
            "unknown field `beta_fast`",
        ),
        (
            "\"rope_parameters\": {\"rope_type\": \"default\", \"partial_rotary_factor\": 0.5}",
            "partial_rotary_factor is 0.5, expected 1 or none",
        ),
    ] {
        let directory = copy();
        edit_config(directory.path(), "\"attention_dropout\": 0.0", key);
        let text = message(directory.path());
        assert!(text.starts_with("DIR/config.json: ") && text.contains(want), "{text}");
    }
}

#[test]
fn configurations_of_transformers_and_of_this_program_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    let theirs = golden_dir("../config").join("llama.json");
    std::fs::copy(theirs, &file).unwrap();
    assert_eq!(Config::read(directory.path()).unwrap().ffn, 11_008);
    for variant in ["plain", "scaled", "plain_tied", "scaled_tied", "narrow"] {
        let config = Config::read(&golden_dir(variant).join("model")).unwrap();
        std::fs::write(&file, config.to_json("float32").to_string()).unwrap();
        assert_eq!(Config::read(directory.path()).unwrap(), config);
    }
}

#[test]
fn the_first_pattern_of_the_file_holds_as_in_peft() {
    let golden = golden_dir("../config").join("patterns.json");
    let cases: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(golden).unwrap()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let weights = "adapter_model.safetensors";
    let from = golden_dir("plain").join("adapter").join(weights);
    std::fs::copy(from, directory.path().join(weights)).unwrap();
    let read = |text: &str| {
        std::fs::write(directory.path().join("adapter_config.json"), text).unwrap();
        LoraConfig::read(directory.path()).unwrap().0
    };
    for case in cases.as_array().unwrap() {
        let lora = read(case["config"].as_str().unwrap());
        let written = read(&serde_json::to_string(&lora.to_json("base")).unwrap());
        for layer in 0..2 {
            for projection in crate::lora::Projection::ALL {
                let path = format!("model.layers.{layer}.{}", projection.path());
                let want = &case["factors"][&path];
                let factor = lora.factor(layer, projection).unwrap();
                assert_eq!(want[0].as_u64(), Some(factor.rank as u64), "{path} of {lora:?}");
                let scale = want[1].as_f64().unwrap() as f32;
                assert_eq!(factor.scale, scale, "{path} of {lora:?}");
                assert_eq!(written.factor(layer, projection), Some(factor), "written and read");
            }
        }
        assert_eq!(written, lora);
        let reversed = |patterns: &crate::lora::Patterns<usize>| {
            let pairs: Vec<_> = patterns.keys().cloned().zip(patterns.values().copied()).collect();
            pairs.into_iter().rev().collect()
        };
        let other = LoraConfig { rank_pattern: reversed(&lora.rank_pattern), ..lora.clone() };
        assert_ne!(other, lora, "overlapping patterns in another order");
    }
}

#[test]
fn nan_and_infinity_are_refused_wherever_they_stand() {
    let original = golden_dir("plain").join("model/model.safetensors");
    let bytes = std::fs::read(original).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let base = bytes.as_ptr().addr();
    for (name, value) in [
        ("model.embed_tokens.weight", f32::NAN),
        ("model.layers.1.self_attn.v_proj.weight", f32::INFINITY),
        ("model.norm.weight", f32::NEG_INFINITY),
        ("lm_head.weight", f32::NAN),
    ] {
        let at = tensors.tensor(name).unwrap().data().as_ptr().addr() - base + 4 * 7;
        let mut spoiled = bytes.clone();
        spoiled[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let directory = copy();
        std::fs::write(directory.path().join("model.safetensors"), spoiled).unwrap();
        let text = message(directory.path());
        let want = format!(
            "DIR/model.safetensors: tensor {name}: element 7 is {value}, expected a finite number"
        );
        assert!(text.starts_with(&want), "{text}");
    }
}

#[test]
fn other_architectures_are_refused_by_name() {
    for (from, to, want) in [
        (
            "\"model_type\": \"llama\"",
            "\"model_type\": \"mistral\"",
            "model_type is \"mistral\", expected \"llama\"",
        ),
        (
            "\"attention_bias\": false",
            "\"attention_bias\": true",
            "attention_bias or mlp_bias is set",
        ),
        (
            "\"hidden_act\": \"silu\"",
            "\"hidden_act\": \"gelu\"",
            "hidden_act is \"gelu\", expected \"silu\"",
        ),
        (
            "\"num_key_value_heads\": 2",
            "\"num_key_value_heads\": 3",
            "num_attention_heads 4 over num_key_value_heads 3",
        ),
        ("\"hidden_size\": 64", "\"hidden_size\": 0", "hidden_size is 0, expected 1 to 65536"),
        ("\"vocab_size\": 128", "\"vocab_size\": -1", "invalid value: integer `-1`"),
    ] {
        let directory = copy();
        edit_config(directory.path(), from, to);
        let text = message(directory.path());
        assert!(text.starts_with("DIR/config.json: ") && text.contains(want), "{text}");
    }
}

#[test]
fn adapters_that_need_more_are_refused_by_name() {
    let golden = golden_dir("plain").join("adapter");
    let text = std::fs::read_to_string(golden.join("adapter_config.json")).unwrap();
    for (from, to, want) in [
        ("\"use_dora\": false", "\"use_dora\": true", "use_dora is set"),
        (
            "\"init_lora_weights\": true",
            "\"init_lora_weights\": \"pissa_niter_4\"",
            "init_lora_weights is \"pissa_niter_4\", which changes the base",
        ),
        ("\"bias\": \"none\"", "\"bias\": \"all\"", "bias is set"),
        ("\"peft_type\": \"LORA\"", "\"peft_type\": \"IA3\"", "peft_type is \"IA3\""),
        ("\"q_proj\"", "\"lm_head\"", "target module \"lm_head\""),
        ("\"exclude_modules\": null", "\"exclude_modules\": [\"q\"]", "exclude_modules is set"),
        ("\"use_qalora\": false", "\"use_qalora\": true", "use_qalora is set"),
        (
            "\"alpha_pattern\": {}",
            "\"alpha_pattern\": {\".*q_proj\": 3}",
            "pattern \".*q_proj\" is no target",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        std::fs::write(directory.path().join("adapter_config.json"), text.replace(from, to))
            .unwrap();
        let error = LoraConfig::read(directory.path()).unwrap_err().to_string();
        assert!(error.contains("adapter_config.json: ") && error.contains(want), "{error}");
    }
}

#[test]
fn an_adapter_for_more_than_the_model_has_is_refused() {
    let mut parts = Parts::with_adapter("plain", "adapter", Numerics::F32, Base::Nf4);
    let Trained::Adapter(lora) = &mut parts.spec.trained else { unreachable!() };
    lora.targets.retain(|target| target.module() != "down_proj");
    let weights = Checkpoint::open(parts.weights.as_deref().unwrap()).unwrap();
    let adapter = LoraConfig::read(parts.adapter.as_deref().unwrap()).unwrap().1;
    let origin = Origin { weights: Some(&weights), adapter: Some(&adapter), seed: 0 };
    let target = Target::cpu(Isa::detect(), rayon::current_num_threads());
    let mut dry = Dry::new(target);
    Model::layout(&mut dry, &parts.spec, &origin).unwrap();
    let mut cpu = Cpu::new(target, dry.trace().peak);
    let mut model = Model::layout(&mut cpu, &parts.spec, &origin).unwrap();
    let text = model.fill(&mut cpu, &origin).unwrap_err().to_string();
    assert!(text.contains("down_proj.lora_A.weight: belongs to no module"), "{text}");
}

#[test]
fn tokens_outside_of_the_vocabulary_are_refused() {
    let config = Config::read(&golden_dir("plain").join("model")).unwrap();
    let mut batch = Batch::default();
    let error = batch.push(&config, &[1, 128], &[1, 2]).unwrap_err();
    assert_eq!(error.to_string(), "token 1 is 128, outside of the vocabulary of 128");
    assert!(
        batch.push(&config, &[1], &[-1]).is_err() && batch.push(&config, &[1], &[128]).is_err()
    );
    assert_eq!(batch.tokens(), 0);
}
