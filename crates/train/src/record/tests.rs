use super::*;
use model::{Base, Head};
use ops::Numerics;

fn hash() -> String {
    "0123456789abcdef".repeat(4)
}

/// A record as the format's description has it.
pub(crate) fn record() -> String {
    let hash = hash();
    format!(
        r#"{{
  "version": 2,
  "srek": "0.0.0",
  "commit": "08d7656",
  "files": {{
    "a": "{hash}"
  }},
  "made": {{
    "by": "quantize",
    "model": "{hash}",
    "adapter": "{hash}"
  }},
  "training": {{
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
    }},
    "template": "none",
    "recipe": "{hash}"
  }}
}}
"#
    )
}

/// One as it was written before there were hashes of files.
fn first_version() -> String {
    let text: serde_json::Value = serde_json::from_str(&record()).unwrap();
    let mut fields = text["training"].clone();
    for name in ["template", "recipe"] {
        fields.as_object_mut().unwrap().remove(name);
    }
    fields["version"] = 1.into();
    fields["srek"] = "0.0.0".into();
    fields.to_string()
}

pub(crate) fn read(text: &str) -> Result<Option<Record>> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(FILE), text).unwrap();
    Record::read(directory.path())
}

#[test]
fn what_is_written_is_read_and_lists_what_stands_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(Record::read(directory.path()).unwrap(), None);
    std::fs::write(directory.path().join("a"), "abc").unwrap();
    let found = read(&record()).unwrap().unwrap();
    // Twice: it never lists itself.
    found.write(directory.path()).unwrap();
    let files = found.write(directory.path()).unwrap();
    let written = std::fs::read_to_string(directory.path().join(FILE)).unwrap();
    let abc = files::sha256(b"abc");
    assert_eq!(written, record().replacen(&hash(), &abc, 1));
    let own = files::sha256(written.as_bytes());
    assert_eq!(files, BTreeMap::from([("a".to_owned(), abc), (FILE.to_owned(), own)]));
    let again = Record::read(directory.path()).unwrap().unwrap();
    assert_eq!(again.training(), found.training());
    assert_eq!(again.program(), "srek 0.0.0, commit 08d7656");
    let training = again.into_training().unwrap();
    let settings = (training.numerics(), training.base(), training.head());
    assert_eq!(settings, (Numerics::Bf16, Base::Nf4Double, Head::EightBit));
    assert_eq!(training.tokenizer(), None);
}

#[test]
fn the_first_version_is_read_as_one_without_files() {
    let found = read(&first_version()).unwrap().unwrap();
    assert_eq!((found.files(), &found.made), (None, &None));
    let training = found.training().unwrap();
    assert_eq!((&training.template, &training.recipe), (&None, &None));
    assert_eq!(training.base(), Base::Nf4Double);
    // What is written of it lists them.
    let directory = tempfile::tempdir().unwrap();
    let made = Made { by: Maker::Export, model: hash(), adapter: None };
    Record::made(made, Some(found)).write(directory.path()).unwrap();
    let again = Record::read(directory.path()).unwrap().unwrap();
    assert_eq!(again.files().map(BTreeMap::len), Some(0));
    for (from, to, words) in [
        ("\"srek\"", "\"sreg\"", "missing field `srek`"),
        ("\"seed\"", "\"sead\"", "unknown field `sead`"),
        ("\"version\":1", "\"version\":1,\"files\":{}", "unknown field `files`"),
    ] {
        let text = first_version();
        let changed = text.replacen(from, to, 1);
        assert_ne!(text, changed);
        let error = read(&changed).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn what_was_never_written_is_refused() {
    for (from, to, words) in [
        ("\"version\": 2", "\"version\": 3", "version 3, expected 1 or 2"),
        ("\"version\": 2", "\"version\": -1", "invalid value"),
        ("\"version\": 2", "\"version\": 1", "unknown field `"),
        ("0.0.0", "\\u001b[2J", "srek is \"\\u{1b}[2J\", which is no version"),
        ("08d7656", "\\n", "commit is \"\\n\", which is no version"),
        ("\"a\"", "\"../a\"", "files has \"../a\", which is no name of a file"),
        ("\"a\"", "\"/a\"", "files has \"/a\", which is no name"),
        ("\"a\"", "\"b/a\"", "files has \"b/a\", which is no name"),
        ("\"a\"", "\"a/\"", "files has \"a/\", which is no name"),
        ("\"a\"", "\"..\"", "files has \"..\", which is no name"),
        ("\"a\"", "\".\"", "files has \".\", which is no name"),
        ("\"a\"", "\"\"", "files has \"\", which is no name"),
        ("\"a\"", "\"srek.json\"", "files has \"srek.json\", which is no name"),
        ("\"a\"", "\"\\u001b\"", "files has \"\\u{1b}\", which is no name"),
        ("\"a\": \"0", "\"a\": \"X", "files has no SHA-256 of a"),
        ("\"model\": \"0", "\"model\": \"X", "made has a part that is no SHA-256"),
        ("quantize", "magic", "unknown variant `magic`"),
        ("\"files\"", "\"filed\"", "unknown field `filed`"),
        ("\"seed\"", "\"sead\"", "unknown field `sead`"),
        ("\"adapter\": \"new\"", "\"adaptor\": \"new\"", "unknown field `adaptor`"),
        ("\"numerics\": \"bf16\"", "\"numerics\": \"int4\"", "unknown variant `int4`"),
        ("avx2", "\\u001b[2J", "tier is \"\\u{1b}[2J\", which is none"),
        ("\"new\"", "\"NEW\"", "inputs has a part that is no SHA-256"),
        ("\"template\": \"none\"", "\"template\": \"new\"", "template is no SHA-256"),
        ("\"recipe\": \"0", "\"recipe\": \"0x", "recipe is no SHA-256"),
    ] {
        let text = record();
        let changed = text.replacen(from, to, 1);
        assert_ne!(text, changed, "{from}");
        let error = read(&changed).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("srek.json: not a record"), "{error}");
    }
}

/// Every cut and every changed byte is read as a record or refused with a hint; none is a panic.
#[test]
fn damage_is_refused_wherever_it_is() {
    for text in [record(), first_version()] {
        let refused = |text: &[u8]| {
            let Ok(text) = std::str::from_utf8(text) else { return };
            if let Err(error) = parse(text).and_then(|record| record.check()) {
                assert!(!error.is_empty());
            }
        };
        for at in 0..text.len() {
            refused(&text.as_bytes()[..at]);
            for byte in [0, b'"', b'{', b'9', b'/', b'.', 0xff, text.as_bytes()[at] ^ 1] {
                let mut changed = text.clone().into_bytes();
                changed[at] = byte;
                refused(&changed);
            }
        }
        assert!(parse(&text[..text.trim_end().len() - 1]).is_err());
    }
    let deep = "[".repeat(100_000);
    assert!(read(&format!("{{\"version\": 2, \"files\": {deep}")).is_err());
    let long = format!("{{\"version\": 2, \"srek\": \"{}\"", " ".repeat(1 << 20));
    assert!(read(&long).unwrap_err().to_string().contains("srek.json"));
}
