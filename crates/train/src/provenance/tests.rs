use super::*;

/// A record as the format's description has it.
fn record() -> String {
    let hash = "0123456789abcdef".repeat(4);
    format!(
        r#"{{
  "version": 1,
  "srek": "0.0.0",
  "numerics": "bf16",
  "base": "nf4-dq",
  "head": "q8",
  "tier": "avx2",
  "seed": 7,
  "step": 40,
  "inputs": {{
    "model": "{hash}",
    "adapter": "new",
    "tokenizer": "none",
    "dataset": "{hash}"
  }}
}}
"#
    )
}

fn read(text: &str) -> Result<Option<Provenance>> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(FILE), text).unwrap();
    Provenance::read(directory.path())
}

#[test]
fn what_is_written_is_read() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(Provenance::read(directory.path()).unwrap(), None);
    let text = record();
    let found = read(&text).unwrap().unwrap();
    found.write(directory.path()).unwrap();
    assert_eq!(std::fs::read_to_string(directory.path().join(FILE)).unwrap(), text);
    assert_eq!(Provenance::read(directory.path()).unwrap(), Some(found.clone()));
    let settings = (found.numerics(), found.base(), found.head());
    assert_eq!(settings, (Numerics::Bf16, Base::Nf4Double, Head::EightBit));
    assert_eq!(found.tokenizer(), None);
}

#[test]
fn what_was_never_written_is_refused() {
    for (from, to, words) in [
        ("\"version\": 1", "\"version\": 2", "version 2, expected 1"),
        ("\"version\": 1", "\"version\": -1", "invalid value"),
        ("\"seed\"", "\"sead\"", "unknown field `sead`"),
        ("\"adapter\"", "\"adaptor\"", "unknown field `adaptor`"),
        ("\"numerics\": \"bf16\"", "\"numerics\": \"int4\"", "unknown variant `int4`"),
        ("avx2", "\\u001b[2J", "tier is \"\\u{1b}[2J\", which is none"),
        ("\"new\"", "\"NEW\"", "no SHA-256"),
        ("40,\n", "40,", "EOF"),
    ] {
        let text = record();
        let changed = text.replacen(from, to, 1);
        assert_ne!(text, changed);
        let changed = if words == "EOF" { &changed[..changed.len() / 2] } else { &changed };
        let error = read(changed).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("srek.json: not a record"), "{error}");
    }
}

#[test]
fn differences_are_named_with_both_values() {
    let found = read(&record()).unwrap().unwrap();
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
