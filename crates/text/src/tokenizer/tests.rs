use super::*;
use proptest::prelude::*;
use std::sync::LazyLock;

mod formats;

/// Incident prose with what byte-level vocabularies must carry: accents, symbols, a code block.
pub(super) const TEXTS: [&str; 4] = [
    "The pod was evicted because the node ran out of memory. The pod was restarted twice.",
    "Déploiement annulé à 14:05 → la mémoire du nœud était épuisée 🔥 (error=OOMKilled).",
    "```\nkubectl rollout undo deployment/checkout --namespace=shop\n```\n\n\n  - then wait\t5 min",
    "The node ran out of memory. The node ran out of disk. The node was drained and restarted.",
];

pub(super) static TOKENIZER: LazyLock<Tokenizer> =
    LazyLock::new(|| Tokenizer::train_bpe(TEXTS.iter().map(Ok), 320).unwrap());

fn refusal(bytes: &[u8]) -> String {
    Tokenizer::from_bytes(bytes).unwrap_err().to_string()
}

/// The trained tokenizer's file after a change to its JSON.
pub(super) fn changed(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut json = serde_json::from_slice(&TOKENIZER.file).unwrap();
    change(&mut json);
    serde_json::to_vec(&json).unwrap()
}

#[test]
fn texts_come_back_and_merges_were_learned() {
    for text in TEXTS {
        let ids = TOKENIZER.encode(text).unwrap();
        assert_eq!(TOKENIZER.decode(&ids), text);
        assert!(ids.len() < text.len());
    }
    assert!(TOKENIZER.vocab_size() > SMALLEST_VOCABULARY && TOKENIZER.vocab_size() <= 320);
    assert_eq!((TOKENIZER.bos(), TOKENIZER.eos()), (0, 1));
    assert!(TOKENIZER.encode("").unwrap().is_empty());
}

#[test]
fn what_looks_like_a_mark_stays_text() {
    for text in [BEGIN_OF_TEXT, "a<|end_of_text|>b", "<|end_of_text|><|begin_of_text|>"] {
        let ids = TOKENIZER.encode(text).unwrap();
        assert!(ids.iter().all(|&id| TOKENIZER.special_name(id).is_none()), "{text}: {ids:?}");
        assert_eq!(TOKENIZER.decode(&ids), text);
    }
    // Even where the model could reach the mark by whole words, it is refused and never returned.
    let sly = changed(|json| {
        json["model"]["ignore_merges"] = true.into();
        json["pre_tokenizer"]["use_regex"] = false.into();
    });
    let sly = Tokenizer::from_bytes(&sly).unwrap();
    let error = sly.encode(END_OF_TEXT).unwrap_err().to_string();
    assert_eq!(
        error,
        "text of 15 bytes cannot be encoded: it would become the special token <|end_of_text|>"
    );
}

#[test]
fn marks_are_no_text() {
    let ids = [TOKENIZER.bos(), TOKENIZER.encode("x").unwrap()[0], TOKENIZER.eos()];
    assert_eq!(TOKENIZER.decode(&ids), "x");
    assert_eq!(TOKENIZER.special_name(TOKENIZER.eos()), Some(END_OF_TEXT));
    assert_eq!(TOKENIZER.token_bytes(TOKENIZER.bos()), None);
    assert_eq!(TOKENIZER.token_bytes(ids[1]), Some(&b"x"[..]));
}

#[test]
fn training_is_the_same_for_every_thread_count() {
    let train = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Tokenizer::train_bpe(TEXTS.iter().map(Ok), 400).unwrap().file)
    };
    let once = train(1);
    for threads in [1, 2, 7, 32] {
        assert!(once == train(threads), "{threads} threads give another vocabulary");
    }
}

#[test]
fn saved_is_read_back_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokenizer.json");
    TOKENIZER.save(&path).unwrap();
    let read = Tokenizer::from_file(&path).unwrap();
    assert_eq!(read.hash(), TOKENIZER.hash());
    assert_eq!(read.hash(), files::sha256(&std::fs::read(&path).unwrap()));
    assert_eq!(read.encode(TEXTS[1]).unwrap(), TOKENIZER.encode(TEXTS[1]).unwrap());
    assert_eq!(read.pieces, TOKENIZER.pieces);
}

#[test]
fn stream_holds_back_half_characters() {
    // Without merges every byte is its own token.
    let plain = Tokenizer::train_bpe([Ok("x")].into_iter(), SMALLEST_VOCABULARY).unwrap();
    let ids = plain.encode("é🔥!").unwrap();
    let mut stream = plain.stream();
    let pieces: Vec<_> = ids.iter().map(|&id| stream.push(id)).collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(pieces, [None, text("é"), None, None, None, text("🔥"), text("!")]);
    assert_eq!(stream.finish(), None);

    assert_eq!(stream.push(ids[0]), None);
    assert_eq!(stream.push(ids[6]), text("\u{fffd}!"));
    assert_eq!(stream.push(ids[2]), None);
    assert_eq!(stream.push(plain.eos()), text("\u{fffd}"));
    assert_eq!(stream.push(70_000), text("\u{fffd}"));
    assert_eq!(stream.push(ids[3]), text("\u{fffd}"));
    assert_eq!(stream.push(ids[2]), None);
    assert_eq!(stream.finish(), text("\u{fffd}"));
}

proptest! {
    #[test]
    fn any_text_comes_back(text in any::<String>()) {
        prop_assert_eq!(TOKENIZER.decode(&TOKENIZER.encode(&text).unwrap()), text);
    }

    /// Any bytes at all: the pieces together are the lossy text of the whole.
    #[test]
    fn stream_is_the_lossy_text(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let ids: Vec<u32> = bytes
            .iter()
            .map(|&byte| (0..).find(|&id| TOKENIZER.token_bytes(id) == Some(&[byte])).unwrap())
            .collect();
        prop_assert_eq!(TOKENIZER.decode(&ids), String::from_utf8_lossy(&bytes));
    }

    /// One wrong byte anywhere in the file: an error or a tokenizer, never a panic.
    #[test]
    fn a_damaged_file_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = TOKENIZER.file.clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(tokenizer) = Tokenizer::from_bytes(&bytes) {
            let _ = tokenizer.encode(TEXTS[1]);
        }
    }

    #[test]
    fn a_truncated_file_is_refused(at in any::<prop::sample::Index>()) {
        let length = at.index(TOKENIZER.file.len());
        prop_assert!(Tokenizer::from_bytes(&TOKENIZER.file[..length]).is_err());
    }
}

#[test]
fn damaged_files_are_named() {
    type Change = fn(&mut serde_json::Value);
    let cases: [(Change, &str); 14] = [
        (
            |json| json["model"]["type"] = "Unigram".into(),
            "its model is \"Unigram\", expected \"BPE\"",
        ),
        (
            |json| json["decoder"]["type"] = "Metaspace".into(),
            "its decoder is \"Metaspace\", expected \"ByteLevel\" or the \"Sequence\" of Llama 2",
        ),
        (
            |json| json["model"]["dropout"] = 0.5.into(),
            "it drops merges at random (dropout), expected none",
        ),
        (
            |json| json["model"]["continuing_subword_prefix"] = "##".into(),
            "it marks the parts of words with a prefix or suffix, expected none",
        ),
        (
            |json| json["model"]["merges"][0] = serde_json::json!(["a", "zq"]),
            "merge 0 needs \"zq\", which is no token",
        ),
        (
            |json| json["model"]["merges"][0] = serde_json::json!(["z", "q"]),
            "merge 0 needs \"zq\", which is no token",
        ),
        (
            |json| json["model"]["vocab"]["zz"] = 4_000_000_000_u32.into(),
            "a token has the id 4000000000, expected less than 4738",
        ),
        (
            |json| {
                json["model"]["vocab"].as_object_mut().unwrap().remove("Ā");
            },
            "no token stands for the byte 0x00, so not all text fits",
        ),
        (
            |json| json["added_tokens"][1]["special"] = false.into(),
            "there is no special token <|end_of_text|>",
        ),
        (
            |json| json["added_tokens"][1]["id"] = 300.into(),
            "added token \"<|end_of_text|>\" has id 300, but reads Some(1)",
        ),
        (
            |json| json["normalizer"] = serde_json::json!({ "type": "Lowercase" }),
            "it changes text before it is cut (normalizer \"Lowercase\"), expected none",
        ),
        (
            |json| json["pre_tokenizer"]["type"] = "Whitespace".into(),
            "it cuts text into words by Whitespace, expected ByteLevel, perhaps behind Split, Digits or Punctuation",
        ),
        (
            |json| {
                let split = serde_json::json!({
                    "type": "Split", "pattern": { "String": " " }, "behavior": "Removed"
                });
                let words = [split, json["pre_tokenizer"].clone()];
                json["pre_tokenizer"] =
                    serde_json::json!({ "type": "Sequence", "pretokenizers": words });
            },
            "it leaves text out (Split with the behavior \"Removed\")",
        ),
        (
            |json| json["pre_tokenizer"]["add_prefix_space"] = true.into(),
            "it puts a space in front of a text (add_prefix_space), expected none",
        ),
    ];
    for (change, problem) in cases {
        assert_eq!(refusal(&changed(change)), format!("tokenizer in memory: {problem}"));
    }
    let twice = String::from_utf8(TOKENIZER.file.clone()).unwrap();
    let twice = twice.replacen("\"vocab\": {", "\"vocab\": {\"a\": 7,", 1);
    let found = refusal(twice.as_bytes());
    assert!(found.contains("the token \"a\" is there twice at line "), "{found}");
    assert!(refusal(b"{}").starts_with("tokenizer in memory: not a byte-level BPE tokenizer: "));
    let missing = Tokenizer::from_file(Path::new("nowhere/tokenizer.json")).unwrap_err();
    assert!(missing.to_string().contains("nowhere/tokenizer.json"), "{missing}");
}

#[test]
fn truncation_and_padding_in_the_file_are_ignored() {
    let bytes = changed(|json| {
        json["truncation"] = serde_json::json!({
            "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0
        });
        json["padding"] = serde_json::json!({
            "strategy": {"Fixed": 400}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 1, "pad_type_id": 0, "pad_token": "<|end_of_text|>"
        });
    });
    let tokenizer = Tokenizer::from_bytes(&bytes).unwrap();
    assert_eq!(tokenizer.encode(TEXTS[0]).unwrap(), TOKENIZER.encode(TEXTS[0]).unwrap());
}

/// The form of the files that come with Llama 3: marks outside the model and behind it, whole
/// words before merges, an own pattern for words, and a begin mark that encoding must not add.
#[test]
fn fields_of_a_model_that_nobody_knows_are_passed_over() {
    let json = String::from_utf8(changed(|_| {})).unwrap();
    for fields in [r#""model":{"x":[1],"#, r#""model":{"type":"\u0042PE","#] {
        let json = json.replacen("\"type\":\"BPE\",", "", 1).replacen("\"model\":{", fields, 1);
        let read = Tokenizer::from_bytes(json.as_bytes()).unwrap();
        for text in TEXTS {
            assert_eq!(read.encode(text).unwrap(), TOKENIZER.encode(text).unwrap());
        }
    }
}

#[test]
fn the_form_of_llama_3_is_read() {
    let bytes = changed(|json| {
        let vocabulary = json["model"]["vocab"].as_object_mut().unwrap();
        vocabulary.retain(|token, _| !LEARNED_MARKS.contains(&token.as_str()));
        for id in vocabulary.values_mut() {
            *id = (id.as_u64().unwrap() - LEARNED_MARKS.len() as u64).into();
        }
        let size = vocabulary.len();
        json["model"]["ignore_merges"] = true.into();
        for mark in 0..LEARNED_MARKS.len() {
            json["added_tokens"][mark]["id"] = (size + mark).into();
        }
        let byte_level = json["pre_tokenizer"].clone();
        let split = serde_json::json!({
            "type": "Split", "pattern": {"Regex": "\\p{N}{1,3}|\\P{N}+"},
            "behavior": "Isolated", "invert": false
        });
        json["pre_tokenizer"] = serde_json::json!({
            "type": "Sequence", "pretokenizers": [split, byte_level]
        });
        json["pre_tokenizer"]["pretokenizers"][1]["use_regex"] = false.into();
        json["post_processor"]["special_tokens"][BEGIN_OF_TEXT]["ids"][0] = size.into();
    });
    let tokenizer = Tokenizer::from_bytes(&bytes).unwrap();
    assert_eq!(tokenizer.vocab_size(), TOKENIZER.vocab_size());
    assert_eq!(tokenizer.bos() as usize, tokenizer.vocab_size() - LEARNED_MARKS.len());
    assert_eq!(tokenizer.bos() + 1, tokenizer.eos());
    for text in TEXTS.into_iter().chain(["a<|begin_of_text|>12345"]) {
        let ids = tokenizer.encode(text).unwrap();
        assert!(ids.iter().all(|&id| id < tokenizer.bos()));
        assert_eq!(tokenizer.decode(&ids), text);
    }
}

#[test]
fn training_refuses_what_it_cannot_learn_from() {
    let train = |texts: Vec<Result<String>>, size| {
        Tokenizer::train_bpe(texts.into_iter(), size).unwrap_err().to_string()
    };
    assert_eq!(
        train(vec![Ok("a".to_owned())], 257),
        "tokenizer training: a vocabulary of 257 tokens was asked for, the bytes and marks alone \
         are 261"
    );
    assert_eq!(train(vec![], 300), "tokenizer training: there is no text to learn from");
    let failure = Error::Pack { problem: "told so".to_owned() };
    assert_eq!(train(vec![Ok("a".to_owned()), Err(failure)], 300), "cannot pack: told so");
}

#[test]
fn the_alphabet_is_that_of_the_library() {
    let ours: std::collections::BTreeSet<char> = (0..=255).map(file::character_of).collect();
    let theirs: std::collections::BTreeSet<char> = ByteLevel::alphabet().into_iter().collect();
    assert_eq!(ours, theirs);
}

#[test]
fn long_texts_are_learned_from_in_pieces() {
    let text = format!("{}\n{}é{}", "a".repeat(70), "b".repeat(99), "c".repeat(150));
    let pieces: Vec<&str> = pieces(&text, 100).collect();
    assert_eq!(pieces.concat(), text);
    assert_eq!(pieces.iter().map(|it| it.len()).collect::<Vec<_>>(), [71, 99, 100, 52]);
    assert_eq!(super::pieces("", 100).count(), 0);
}
