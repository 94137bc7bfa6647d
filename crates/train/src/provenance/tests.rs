use super::*;

/// The training of a record as the format's description has it.
fn training() -> Provenance {
    let hash = "0123456789abcdef".repeat(4);
    serde_json::from_value(serde_json::json!({
        "numerics": "bf16", "base": "nf4-dq", "head": "q8", "tier": "avx2", "seed": 7, "step": 40,
        "inputs": { "model": hash, "adapter": "new", "tokenizer": "none", "dataset": hash },
        "template": "none", "recipe": hash,
    }))
    .unwrap()
}

#[test]
fn differences_are_named_with_both_values() {
    let found = training();
    let same = (Numerics::Bf16, Base::Nf4Double, Head::EightBit);
    assert!(found.differences(same, "avx2").is_empty());
    assert_eq!(
        found.differences((Numerics::Bf16, Base::AsStored, Head::AsStored), "scalar"),
        [
            "trained with base nf4-dq, used with as-stored",
            "trained with head q8, used with as-stored",
            "trained with tier avx2, used with scalar",
        ]
    );
    let exact = (Numerics::F32, Base::Nf4Double, Head::EightBit);
    let expected = ["trained with numerics bf16, used with f32"];
    assert_eq!(found.differences(exact, "scalar"), expected);
}

#[test]
fn in_f32_the_cpu_has_one_tier() {
    assert!(tiers_agree(Numerics::F32, "scalar", "avx512"));
    assert!(!tiers_agree(Numerics::F32, "scalar", "cuda-sm86"));
    assert!(!tiers_agree(Numerics::Bf16, "scalar", "avx2"));
    assert!(tiers_agree(Numerics::Bf16, "cuda-sm86", "cuda-sm86"));
    let target = |device| tier(Target { device, alignment: 64 });
    assert_eq!(target(Device::Cuda { sm: 86 }), "cuda-sm86");
    assert_eq!(target(Device::Cpu { isa: Isa::Avx2, threads: 3 }), "avx2");
}
