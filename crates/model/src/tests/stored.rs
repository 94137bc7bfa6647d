//! Bases in 4 and 8 bits that are not what they should be.

use super::base::{Parts4, quantized, read_tensors, write_tensors};
use super::*;
use safetensors::Dtype;
use std::path::Path;

const NAME: &str = "model.layers.1.mlp.up_proj.weight";
const STATE: &str = "model.layers.1.mlp.up_proj.weight.quant_state.bitsandbytes__nf4";

/// The message of opening and filling, with the directory's name cut out.
fn message(directory: &Path, spec: impl FnOnce(&mut Spec)) -> String {
    let attempt = || -> Result<()> {
        let weights = Checkpoint::open(directory)?;
        let mut wanted = Spec {
            config: weights.config()?,
            numerics: Numerics::F32,
            base: Base::AsStored,
            head: Head::AsStored,
            embedding: Embedding::OnDevice,
            trained: Trained::Nothing(None),
            positions: 8,
        };
        spec(&mut wanted);
        let origin = Origin { weights: Some(&weights), adapter: None, seed: 0 };
        let target = Target::cpu(Isa::detect(), rayon::current_num_threads());
        let mut dry = Dry::new(target);
        Model::layout(&mut dry, &wanted, &origin)?;
        let mut cpu = Cpu::new(target, dry.trace().peak);
        Model::layout(&mut cpu, &wanted, &origin)?.fill(&mut cpu, &origin)
    };
    let text = attempt().expect_err("must be refused").to_string();
    text.replace(&directory.display().to_string(), "DIR")
}

/// Changes the tensors of a quantized model and checks the refusal.
fn refused(double: bool, embedding: Head, change: impl FnOnce(&mut Parts4), want: &str) {
    let directory = quantized("plain", double, embedding);
    let mut tensors = read_tensors(directory.path());
    change(&mut tensors);
    write_tensors(directory.path(), &tensors);
    let text = message(directory.path(), |_| {});
    assert!(text.starts_with("DIR") && text.contains(want), "{text}\nexpected: {want}");
}

fn part(suffix: &str) -> String {
    format!("{NAME}{suffix}")
}

#[test]
fn a_missing_part_is_named() {
    for suffix in [".absmax", ".quant_map", ".nested_quant_map"] {
        let want = format!("DIR: tensor {NAME}{suffix}: is missing");
        refused(true, Head::AsStored, |it| drop(it.remove(&part(suffix))), &want);
    }
    let both = "but not both, expected both or neither\nhint: quantize the original again";
    refused(true, Head::AsStored, |it| drop(it.remove(&part(".nested_absmax"))), both);
    refused(true, Head::AsStored, |it| drop(it.remove(NAME)), "up_proj.weight: is missing");
    refused(
        true,
        Head::AsStored,
        |it| drop(it.remove(STATE)),
        "is U8, but model.layers.1.mlp.up_proj.weight.quant_state.bitsandbytes__nf4 is missing",
    );
    refused(
        true,
        Head::EightBit,
        |it| drop(it.remove("model.embed_tokens.weight.scales")),
        "tensor model.embed_tokens.weight: is stored in bitsandbytes' 8 bits (int8)",
    );
}

#[test]
fn parts_of_another_form_are_refused() {
    type Change = fn(&mut (Dtype, Vec<usize>, Vec<u8>));
    let cut: Change = |(_, shape, bytes)| {
        let size = bytes.len() / shape[0];
        shape[0] -= 1;
        bytes.truncate(bytes.len() - size);
    };
    let retype: Change = |(dtype, _, _)| {
        *dtype = if *dtype == Dtype::F32 { Dtype::U32 } else { Dtype::I8 };
    };
    let cases: [(&str, Change, &str); 10] = [
        ("", cut, "up_proj.weight: has shape [4095, 1], expected [4096, 1]"),
        ("", retype, "up_proj.weight: is I8, expected U8, BF16, F16 or F32"),
        ("", |it| it.1 = vec![4096], "has shape [4096], expected [4096, 1]"),
        (".absmax", cut, "up_proj.weight.absmax: has shape [127], expected [128]"),
        (".absmax", retype, "up_proj.weight.absmax: is I8, expected U8"),
        (".quant_map", cut, "quant_map: has shape [15], expected [16]"),
        (".quant_map", |it| it.2[5] ^= 1, "quant_map: has other levels than NF4's\nhint: "),
        (".nested_absmax", retype, "nested_absmax: is U32, expected F32"),
        (".nested_quant_map", cut, "nested_quant_map: has shape [255], expected [256]"),
        (".nested_quant_map", |it| it.2.swap(3, 1023), "is not 256 ascending levels from -1 to 1"),
    ];
    for (suffix, change, want) in cases {
        refused(true, Head::AsStored, |it| change(it.get_mut(&part(suffix)).unwrap()), want);
    }
    let embedding = "model.embed_tokens.weight";
    let scales = format!("{embedding}.scales");
    let cases: [(&str, Change, &str); 4] = [
        (&scales, cut, "scales: has shape [127], expected [128]"),
        (&scales, retype, "scales: is U32, expected F32"),
        (embedding, cut, "embed_tokens.weight: has shape [127, 64], expected [128, 64]"),
        (embedding, |it| it.0 = Dtype::U8, "embed_tokens.weight: is U8, expected I8"),
    ];
    for (name, change, want) in cases {
        refused(true, Head::EightBit, |it| change(it.get_mut(name).unwrap()), want);
    }
}

#[test]
fn a_state_that_says_something_else_is_refused() {
    let long = format!("{{\"quant_type\": \"{}\"}}", "n".repeat(5000));
    let say = |key: &str, value: &str| {
        let mut state = serde_json::json!({
            "quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [128, 64],
            "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.25,
        });
        state[key] = serde_json::from_str(value).unwrap();
        state.to_string()
    };
    let cases = [
        (String::new(), "is not the JSON of bitsandbytes: EOF"),
        ("\u{1}\u{2}".into(), "is not the JSON of bitsandbytes: expected value"),
        ("[1, 2".into(), "is not the JSON of bitsandbytes: "),
        ("[".repeat(4000), "is not the JSON of bitsandbytes: "),
        (long, "has 5018 bytes, expected at most 4096"),
        (say("quant_type", "\"fp4\""), "quant_type is \"fp4\", expected \"nf4\""),
        (say("blocksize", "128"), "blocksize is 128, expected 64"),
        (say("blocksize", "-1"), "invalid value: integer `-1`"),
        (say("dtype", "\"int8\""), "dtype is \"int8\", expected float32, bfloat16 or float16"),
        (say("shape", "[64, 128]"), "shape is [64, 128], expected [128, 64]"),
        (say("shape", "null"), "invalid type: null"),
        (say("nested_blocksize", "64"), "are Some(64), Some(\"float32\") and Some(0.25), expected"),
        (say("nested_dtype", "\"bfloat16\""), "expected 256, \"float32\" and a finite number"),
        (say("nested_offset", "1e300"), "expected 256, \"float32\" and a finite number"),
        (say("nested_offset", "null"), "expected 256, \"float32\" and a finite number"),
        (say("zero_point", "1"), "unknown field `zero_point`"),
        (say("quant_type", "\"nf4\"").replace("0.25", "NaN"), "is not the JSON of bitsandbytes: "),
    ];
    for (state, want) in cases {
        let change = |it: &mut Parts4| {
            it.insert(STATE.into(), (Dtype::U8, vec![state.len()], state.into_bytes()));
        };
        refused(true, Head::AsStored, change, want);
    }
}

#[test]
fn scales_that_give_no_numbers_are_refused() {
    let put = |name: String, at: usize, value: f32| {
        move |it: &mut Parts4| {
            it.get_mut(&name).unwrap().2[4 * at..4 * at + 4].copy_from_slice(&value.to_le_bytes());
        }
    };
    let nan = "element 5 is NaN, expected a finite number";
    refused(false, Head::AsStored, put(part(".absmax"), 5, f32::NAN), nan);
    let nested = "element 0 is inf, expected a finite number";
    refused(true, Head::AsStored, put(part(".nested_absmax"), 0, f32::INFINITY), nested);
    let map = "nested_quant_map: element 7 is NaN, expected a finite number";
    refused(true, Head::AsStored, put(part(".nested_quant_map"), 7, f32::NAN), map);
    let scales = "model.embed_tokens.weight.scales".to_owned();
    let large = "scales: element 9 is 300000000000000000000000000000000000000, expected a finite";
    refused(true, Head::EightBit, put(scales, 9, 3e38), large);
}

#[test]
fn other_quantizations_are_refused_by_name() {
    let rename = |it: &mut Parts4| {
        let state = it.remove(STATE).unwrap();
        it.insert(STATE.replace("nf4", "fp4"), state);
    };
    let want = "up_proj.weight: is stored as fp4, expected nf4\nhint: quantize the original";
    refused(true, Head::AsStored, rename, want);
    let int8 = |it: &mut Parts4| {
        it.retain(|name, _| !name.starts_with(NAME));
        it.insert(NAME.into(), (Dtype::I8, vec![128, 64], vec![0; 8192]));
        it.insert(NAME.replace("weight", "SCB"), (Dtype::F32, vec![128], vec![0; 512]));
    };
    let want = "up_proj.weight: is stored in bitsandbytes' 8 bits (int8), expected nf4";
    refused(true, Head::AsStored, int8, want);
    let float8 = |it: &mut Parts4| {
        it.retain(|name, _| !name.starts_with(NAME));
        it.insert(NAME.into(), (Dtype::F8_E4M3, vec![128, 64], vec![0; 8192]));
    };
    refused(true, Head::AsStored, float8, "up_proj.weight: is F8_E4M3, expected F32, BF16 or F16");
    let stranger = |it: &mut Parts4| {
        it.insert(part(".bias"), (Dtype::F32, vec![1], vec![0; 4]));
    };
    refused(true, Head::AsStored, stranger, "belongs to nothing that config.json describes");
    let swapped = |it: &mut Parts4| {
        let codes = (Dtype::I8, vec![128, 64], vec![1; 8192]);
        it.retain(|name, _| !name.starts_with(NAME));
        it.insert(NAME.into(), codes);
        it.insert(part(".scales"), (Dtype::F32, vec![128], vec![0; 512]));
    };
    refused(true, Head::AsStored, swapped, "is stored in 8 bits, expected it dense or in 4 bits");
    let table = |it: &mut Parts4| {
        let parts: Vec<_> = it
            .iter()
            .filter(|(name, _)| name.starts_with(NAME))
            .map(|(n, t)| (n.clone(), t.clone()))
            .collect();
        for (name, tensor) in parts {
            it.insert(name.replace(NAME, "lm_head.weight"), tensor);
        }
    };
    let want = "lm_head.weight: is stored in 4 bits, expected it dense or in 8 bits";
    refused(true, Head::AsStored, table, want);
}

#[test]
fn another_format_than_the_stored_one_is_refused() {
    let directory = quantized("plain", true, Head::AsStored);
    let text = message(directory.path(), |spec| spec.base = Base::Nf4);
    let want = "tensor model.layers.0.self_attn.q_proj.weight: is stored as nf4-dq, nf4 was asked for\nhint: take it as stored, or quantize the original as nf4 with srek quantize";
    assert!(text.ends_with(want), "{text}");
    let weights = Checkpoint::open(directory.path()).unwrap();
    let error = weights.form(&weights.config().unwrap(), Base::Nf4, Head::AsStored).unwrap_err();
    assert!(error.to_string().ends_with(want), "{error}");
    let text = message(directory.path(), |spec| spec.trained = Trained::Everything);
    let want = "is stored in 4 bits, expected F32, BF16 or F16\nhint: take the model that it was quantized from";
    assert!(text.ends_with(want), "{text}");
}

#[test]
fn configurations_of_other_quantizations_are_refused_by_name() {
    let cases = [
        ("\"quantization_config\": []", "quantization_config is [], expected an object"),
        ("\"quantization_config\": {}", "quantization_config.load_in_4bit is not true\nhint: "),
        (
            "\"quantization_config\": {\"quant_method\": \"gptq\", \"bits\": 4}",
            "quantization_config.quant_method is \"gptq\", expected \"bitsandbytes\"\nhint: ",
        ),
        (
            "\"quantization_config\": {\"quant_method\": \"bitsandbytes\", \"load_in_8bit\": true}",
            "quantization_config.load_in_8bit is set (int8), expected load_in_4bit with nf4",
        ),
        (
            "\"quantization_config\": {\"load_in_4bit\": true, \"bnb_4bit_quant_type\": \"fp4\"}",
            "quantization_config.bnb_4bit_quant_type is \"fp4\", expected \"nf4\"",
        ),
        (
            "\"quantization_config\": {\"load_in_4bit\": true}",
            "quantization_config.bnb_4bit_quant_type is \"fp4\", expected \"nf4\"",
        ),
        (
            "\"quantization_config\": {\"load_in_4bit\": true, \"bnb_4bit_quant_type\": \"nf4\", \"desc_act\": true}",
            "unknown key \"desc_act\" in quantization_config",
        ),
        (
            "\"srek_quantization\": {\"version\": 2}",
            "srek_quantization is {\"version\":2}, expected",
        ),
        (
            "\"srek_quantization\": {}, \"quantization_config\": {}",
            "quantization_config and srek_quantization are both there, expected one",
        ),
    ];
    for (key, want) in cases {
        let directory = quantized("plain", true, Head::AsStored);
        let golden = golden_dir("plain").join("model/config.json");
        let text = std::fs::read_to_string(golden).unwrap();
        let text = text.replace("\"attention_dropout\": 0.0", key);
        std::fs::write(directory.path().join("config.json"), text).unwrap();
        let text = message(directory.path(), |_| {});
        assert!(text.starts_with("DIR/config.json: ") && text.contains(want), "{text}");
    }
}

#[test]
fn only_a_dense_whole_and_finite_model_is_quantized() {
    let attempt = |change: &dyn Fn(&mut Parts4, &mut String)| {
        let directory = tempfile::tempdir().unwrap();
        let model = golden_dir("plain").join("model");
        let mut config = std::fs::read_to_string(model.join("config.json")).unwrap();
        let mut tensors = read_tensors(&model);
        change(&mut tensors, &mut config);
        write_tensors(directory.path(), &tensors);
        std::fs::write(directory.path().join("config.json"), config).unwrap();
        let out = tempfile::tempdir().unwrap();
        let model = Checkpoint::open(directory.path()).unwrap();
        let form = save::BaseForm { double: true, embedding: Head::AsStored };
        let error = save::base(&model, form, out.path(), &mut |_| {}).unwrap_err();
        assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0, "nothing is written");
        error.to_string()
    };
    let nan = |name: &'static str| {
        attempt(&move |it, _| {
            it.get_mut(name).unwrap().2[40..44].copy_from_slice(&f32::NAN.to_le_bytes());
        })
    };
    for name in ["model.embed_tokens.weight", "model.norm.weight", NAME] {
        assert!(nan(name).contains(&format!("{name}: element 10 is NaN, expected a finite")));
    }
    let error = attempt(&|it, _| drop(it.remove(NAME)));
    assert!(error.ends_with("up_proj.weight: is missing"), "{error}");
    let error = attempt(&|it, _| {
        let tensor = it[NAME].clone();
        it.insert("model.layers.9.mlp.up_proj.weight".into(), tensor);
    });
    assert!(error.contains("belongs to nothing"), "{error}");
    let directory = quantized("plain", true, Head::EightBit);
    let model = Checkpoint::open(directory.path()).unwrap();
    let form = save::BaseForm { double: false, embedding: Head::AsStored };
    let error = save::base(&model, form, directory.path(), &mut |_| {}).unwrap_err().to_string();
    let want = "srek_quantization is there, expected a model that is not quantized\nhint: quantize the original";
    assert!(error.ends_with(want), "{error}");
}

#[test]
fn a_head_that_is_no_copy_of_its_tied_embedding_is_refused() {
    const HEAD: &str = "lm_head.weight";
    let attempt = |change: &dyn Fn(&mut Parts4)| {
        let directory = quantized("plain_tied", true, Head::AsStored);
        let mut tensors = read_tensors(directory.path());
        tensors.insert(HEAD.into(), tensors["model.embed_tokens.weight"].clone());
        change(&mut tensors);
        write_tensors(directory.path(), &tensors);
        directory
    };
    let differs = "DIR/model.safetensors: tensor lm_head.weight: differs from model.embed_tokens.weight, but \
                   config.json has tie_word_embeddings true, expected a copy or none\nhint: where the model \
                   has a head of its own, set tie_word_embeddings to false in config.json";
    // The last byte of the last value, and a value in another type.
    let other = attempt(&|it| *it.get_mut(HEAD).unwrap().2.last_mut().unwrap() ^= 1);
    assert_eq!(message(other.path(), |_| {}), differs);
    let rounded = attempt(&|it| {
        let (dtype, _, bytes) = it.get_mut(HEAD).unwrap();
        let values = bytes.as_chunks::<4>().0.iter().map(|it| f32::from_le_bytes(*it));
        *bytes = values.flat_map(|it| half::bf16::from_f32(it).to_le_bytes()).collect();
        *dtype = Dtype::BF16;
    });
    assert_eq!(message(rounded.path(), |_| {}), differs);
    let shorter = attempt(&|it| {
        let (_, shape, bytes) = it.get_mut(HEAD).unwrap();
        shape[0] -= 1;
        bytes.truncate(bytes.len() - 4 * shape[1]);
    });
    assert!(message(shorter.path(), |_| {}).contains("lm_head.weight: has shape"));
    // A copy is no harm.
    let copy = attempt(&|_| {});
    let weights = Checkpoint::open(copy.path()).unwrap();
    weights.check_unused(&weights.config().unwrap()).unwrap();
}

#[test]
fn a_head_that_would_be_dropped_is_not_quantized_away() {
    for (other, refused) in [(false, false), (true, true)] {
        let directory = tempfile::tempdir().unwrap();
        let model = golden_dir("plain_tied").join("model");
        let mut tensors = read_tensors(&model);
        let mut head = tensors["model.embed_tokens.weight"].clone();
        head.2[2] ^= u8::from(other);
        tensors.insert("lm_head.weight".into(), head);
        write_tensors(directory.path(), &tensors);
        std::fs::copy(model.join("config.json"), directory.path().join("config.json")).unwrap();
        let out = tempfile::tempdir().unwrap();
        let model = Checkpoint::open(directory.path()).unwrap();
        let form = save::BaseForm { double: true, embedding: Head::EightBit };
        let done = save::base(&model, form, out.path(), &mut |_| {});
        let said = done.map_err(|error| error.to_string());
        assert_eq!(
            said.as_ref().is_err_and(|it| it.contains("tie_word_embeddings")),
            refused,
            "{said:?}"
        );
        let form = save::GgufForm::Q8_0;
        let file = out.path().join("model.gguf");
        let done = save::model_gguf(&model, None, form, &save::Described::default(), &file);
        assert_eq!(done.is_err(), refused);
    }
}
