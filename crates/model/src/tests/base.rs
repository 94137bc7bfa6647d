//! Bases that are stored in 4 bits: those of bitsandbytes and our own.

use super::bits::{assert_same_trace, batch_of, bits, documents};
use super::golden::Golden;
use super::*;
use crate::load::{Stored, widen_into};
use crate::save::BaseForm;
use ops::DType;
use ops::qlinear::Storage;
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

/// A tensor of a file: type, shape, bytes.
pub(super) type Parts4 = BTreeMap<String, (safetensors::Dtype, Vec<usize>, Vec<u8>)>;

/// What transformers and bitsandbytes wrote: case, variant, whether the absmax is double-quantized.
const CASES: [(&str, &str, bool); 2] = [("nf4_dq", "narrow", true), ("nf4", "plain_tied", false)];

pub(super) fn base_dir(case: &str) -> PathBuf {
    golden_dir("../base").join(case)
}

pub(super) fn read_tensors(directory: &Path) -> Parts4 {
    let bytes = std::fs::read(directory.join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let own = |view: safetensors::tensor::TensorView<'_>| {
        (view.dtype(), view.shape().to_vec(), view.data().to_vec())
    };
    file.tensors().into_iter().map(|(name, view)| (name, own(view))).collect()
}

pub(super) fn write_tensors(directory: &Path, tensors: &Parts4) {
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        let view = safetensors::tensor::TensorView::new(*dtype, shape.clone(), bytes);
        (name, view.unwrap())
    });
    let bytes = safetensors::serialize(views, None).unwrap();
    std::fs::write(directory.join("model.safetensors"), bytes).unwrap();
}

/// A golden model as `srek quantize` writes it.
pub(super) fn quantized(variant: &str, double: bool, embedding: Head) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let model = Checkpoint::open(&golden_dir(variant).join("model")).unwrap();
    let mut projections = Vec::new();
    let form = BaseForm { double, embedding };
    save::base(&model, form, directory.path(), &mut |done| projections.push(done)).unwrap();
    let layers = model.config().unwrap().layers;
    assert_eq!(projections, (1..=7 * layers).collect::<Vec<_>>());
    directory
}

#[test]
fn every_byte_is_that_of_bitsandbytes() {
    for (case, variant, double) in CASES {
        let ours = quantized(variant, double, Head::AsStored);
        let (ours, theirs) = (read_tensors(ours.path()), read_tensors(&base_dir(case)));
        assert!(ours.keys().eq(theirs.keys()), "{case}: {:?}", ours.keys());
        for (name, tensor) in &ours {
            assert!(*tensor == theirs[name], "{case}: {name}");
        }
    }
}

#[test]
fn bases_of_bitsandbytes_have_the_logits_of_pytorch() {
    for (case, variant, double) in CASES {
        let golden = Golden::open(variant);
        let nothing = Trained::Nothing(None);
        let mut parts = Parts::golden(variant, Numerics::F32, Base::AsStored, nothing);
        parts.weights = Some(base_dir(case));
        assert_eq!(Config::read(&base_dir(case)).unwrap(), parts.spec.config);
        let error =
            relative(&parts.build().logits(&golden.batch), &golden.logits(&format!("{case}.")));
        assert!(error < 1e-5, "{case}: relative error {error}");
        let weights = Checkpoint::open(&base_dir(case)).unwrap();
        let kind = if double { Base::Nf4Double } else { Base::Nf4 };
        for asked in [Base::AsStored, kind] {
            let form = weights.form(&parts.spec.config, asked, Head::AsStored).unwrap();
            assert_eq!(form, (kind, Head::AsStored), "{case}");
        }
    }
}

#[test]
fn a_stored_base_gives_the_bits_of_quantizing_on_load() {
    for variant in ["plain", "narrow", "plain_tied"] {
        for (double, base) in [(false, Base::Nf4), (true, Base::Nf4Double)] {
            let directory = quantized(variant, double, Head::AsStored);
            for numerics in [Numerics::F32, Numerics::Bf16] {
                let mut parts = Parts::with_adapter(variant, "adapter", numerics, base);
                let batch = batch_of(&parts.spec.config, &documents(parts.spec.config.vocab));
                let run = |parts: &Parts| {
                    let mut rig = parts.build();
                    let mut got = bits(&rig.run(&batch, 0.1));
                    got.extend(bits(&rig.gradients()));
                    got.extend(bits(&rig.logits(&batch)));
                    got
                };
                let want = run(&parts);
                parts.weights = Some(directory.path().into());
                assert!(run(&parts) == want, "{variant} {base:?} {numerics:?}, asked for");
                parts.spec.base = Base::AsStored;
                assert!(run(&parts) == want, "{variant} {base:?} {numerics:?}, as stored");
            }
        }
    }
}

/// A model directory like a golden one whose tables hold what the 8 bits of `stored` decode to.
fn decoded(variant: &str, stored: &Path) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let model = golden_dir(variant).join("model");
    std::fs::copy(model.join("config.json"), directory.path().join("config.json")).unwrap();
    let (mut tensors, eight) = (read_tensors(&model), read_tensors(stored));
    let mut found = 0;
    for name in ["model.embed_tokens.weight", "lm_head.weight"] {
        let Some((_, _, codes)) = eight.get(name) else { continue };
        let mut scales = vec![0.0; quant::q8::blocks(codes.len())];
        widen_into(DType::F32, &eight[&format!("{name}.scales")].2, 0, &mut scales);
        let mut values = vec![0.0_f32; codes.len()];
        quant::q8::decode(bytemuck::cast_slice(codes), &scales, &mut values);
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        tensors.get_mut(name).unwrap().2 = bytes;
        found += 1;
    }
    assert!(found > 0);
    write_tensors(directory.path(), &tensors);
    directory
}

/// Tied and untied, with blocks of 64 that cross rows in `narrow`.
#[test]
fn an_embedding_in_eight_bits_computes_what_it_decodes_to() {
    for variant in ["plain", "narrow", "plain_tied"] {
        let directory = quantized(variant, true, Head::EightBit);
        let dense = decoded(variant, directory.path());
        for numerics in [Numerics::F32, Numerics::Bf16] {
            let mut parts = Parts::with_adapter(variant, "adapter", numerics, Base::Nf4Double);
            let batch = batch_of(&parts.spec.config, &documents(parts.spec.config.vocab));
            let mut run = |weights: &TempDir, base| {
                (parts.weights, parts.spec.base) = (Some(weights.path().into()), base);
                let mut rig = parts.build();
                let mut got = rig.run(&batch, 0.1);
                got.extend(rig.gradients());
                got.extend(rig.logits(&batch));
                bits(&got)
            };
            let want = run(&dense, Base::Nf4Double);
            assert!(run(&directory, Base::AsStored) == want, "{variant} {numerics:?}");
        }
    }
}

#[test]
fn a_tied_head_reads_the_bytes_of_the_embedding() {
    let directory = quantized("plain_tied", true, Head::EightBit);
    let nothing = Trained::Nothing(None);
    let mut parts = Parts::golden("plain_tied", Numerics::Bf16, Base::AsStored, nothing);
    parts.weights = Some(directory.path().into());
    for head in [Head::AsStored, Head::EightBit] {
        parts.spec.head = head;
        let rig = parts.build();
        let Storage::Q8 { codes, scales } = rig.model.embedding else { panic!("not in 8 bits") };
        let Storage::Q8 { codes: c, scales: s } = rig.model.head.storage else { panic!("dense") };
        assert_eq!((codes, scales), (c, s), "{head:?}");
    }
    let weights = Checkpoint::open(directory.path()).unwrap();
    let form = weights.form(&parts.spec.config, Base::AsStored, Head::AsStored).unwrap();
    assert_eq!(form, (Base::Nf4Double, Head::EightBit));
}

/// The arenas of a stored base hold no weight, and the plan knows; in a file that does not align its
/// numbers they hold those that must be aligned.
#[test]
fn plans_of_stored_bases_count_what_is_used() {
    use Policy::{Keep, Offload, Recompute};
    for embedding in [Head::AsStored, Head::EightBit] {
        let directory = quantized("plain", true, embedding);
        let mut parts = Parts::with_adapter("plain", "adapter", Numerics::Bf16, Base::Nf4Double);
        let batch = batch_of(&parts.spec.config, &documents(parts.spec.config.vocab));
        parts.weights = Some(directory.path().into());
        parts.options.policies = vec![Keep, Offload, Recompute];
        assert_same_trace(&parts);
        let mut rig = parts.build();
        let (aligned, want) = (rig.cpu.trace().peak, bits(&rig.logits(&batch)));
        let file = directory.path().join("model.safetensors");
        let mut bytes = std::fs::read(&file).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        bytes[..8].copy_from_slice(&(header + 1).to_le_bytes());
        bytes.insert(8 + header as usize, b' ');
        std::fs::write(&file, bytes).unwrap();
        assert_same_trace(&parts);
        let mut rig = parts.build();
        assert!(bits(&rig.logits(&batch)) == want);
        let moved = rig.cpu.trace().peak;
        assert!(moved.device > aligned.device && moved.mapped < aligned.mapped);
    }
}

/// What bitsandbytes calls another storage type is the same bytes under another name.
#[test]
fn codes_are_bytes_whatever_type_they_are_stored_as() {
    let golden = Golden::open("narrow");
    let directory = quantized("narrow", true, Head::AsStored);
    let mut tensors = read_tensors(directory.path());
    for (name, (dtype, shape, bytes)) in &mut tensors {
        if name.ends_with("proj.weight") {
            (*dtype, *shape) = (safetensors::Dtype::BF16, vec![bytes.len() / 2, 1]);
        }
    }
    write_tensors(directory.path(), &tensors);
    let nothing = Trained::Nothing(None);
    let mut parts = Parts::golden("narrow", Numerics::F32, Base::AsStored, nothing);
    parts.weights = Some(directory.path().into());
    let error = relative(&parts.build().logits(&golden.batch), &golden.logits("nf4_dq."));
    assert!(error < 1e-5, "relative error {error}");
}

/// One projection left dense, as `llm_int8_skip_modules` can do.
#[test]
fn a_base_may_be_in_four_bits_in_part() {
    let directory = quantized("plain", true, Head::AsStored);
    let name = "model.layers.1.mlp.down_proj.weight";
    let dense = read_tensors(&golden_dir("plain").join("model")).remove(name).unwrap();
    let mut tensors = read_tensors(directory.path());
    tensors.retain(|other, _| !other.starts_with(name));
    tensors.insert(name.into(), dense);
    write_tensors(directory.path(), &tensors);
    let nothing = Trained::Nothing(None);
    let mut parts = Parts::golden("plain", Numerics::F32, Base::AsStored, nothing);
    parts.weights = Some(directory.path().into());
    let golden = Golden::open("plain");
    let weights = Checkpoint::open(directory.path()).unwrap();
    let form = |base| weights.form(&parts.spec.config, base, Head::AsStored).unwrap().0;
    assert_eq!(form(Base::AsStored), Base::AsStored, "no one name says it");
    assert_eq!(form(Base::Nf4Double), Base::Nf4Double);
    let Stored::Dense(_) = weights.stored(name, [64, 128]).unwrap() else { panic!("not dense") };
    let mixed = parts.build().logits(&golden.batch);
    parts.spec.base = Base::Nf4Double;
    let error = relative(&parts.build().logits(&golden.batch), &golden.logits("nf4_dq."));
    assert!(error < 1e-5, "the dense one is quantized on load: relative error {error}");
    assert!(relative(&mixed, &golden.logits("nf4_dq.")) > 1e-4);
}
