use super::shard::{Draft, Encoded, Membership};
use super::*;
use crate::chat::{Date, Template};
use crate::record::{self, Limits, MASKED, Sources};
use crate::tokenizer::Tokenizer;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;
use tempfile::TempDir;

mod conversations;
mod duplicates;
mod refusals;
mod secrets;
mod sections;
mod times;

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
    let texts = (0..40).map(|number| Ok(prose(number)));
    Tokenizer::train_bpe(texts, 400).unwrap()
});

/// Text that differs with the number, in length too.
fn prose(number: usize) -> String {
    let mut text = format!("# Incident {number}\n\nThe pod api-{number} was evicted — mémoire.\n");
    for step in 0..number % 7 {
        text.push_str(&format!("- step {step}: restart node-{}\n", number * step));
    }
    text
}

/// An input directory with these files.
fn inputs(files: &[(String, String)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(directory.path().join(name), content).unwrap();
    }
    directory
}

fn prose_files(count: usize) -> Vec<(String, String)> {
    (0..count).map(|number| (format!("{number:04}.md"), prose(number))).collect()
}

/// Builds into a fresh place and gives it with the report or the error without temporary paths.
fn try_build(
    input: &Path,
    vocabulary: Vocabulary<'_>,
    options: &BuildOptions,
) -> std::result::Result<(TempDir, Report), String> {
    let out = tempfile::tempdir().unwrap();
    build(&[input.to_owned()], vocabulary, options, &out.path().join("set"), &mut |_| {})
        .map(|report| (out, report))
        .map_err(|error| error.to_string().replace(&input.display().to_string(), "input"))
}

fn build_lines(lines: &str, vocab_size: u32) -> std::result::Result<(TempDir, Report), String> {
    let directory = inputs(&[("data.jsonl".to_owned(), lines.to_owned())]);
    let input = directory.path().join("data.jsonl");
    try_build(&input, Vocabulary::Ids { vocab_size }, &BuildOptions::new(8))
}

fn open(out: &TempDir) -> Dataset {
    Dataset::open(&out.path().join("set")).unwrap()
}

fn files_of(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn documents_come_back_as_they_were() {
    let files = prose_files(30);
    let input = inputs(&files);
    let options = BuildOptions { shard_bytes: 2000, ..BuildOptions::new(256) };
    let (out, report) =
        try_build(input.path(), Vocabulary::Tokenizer(&TOKENIZER), &options).unwrap();
    let dataset = open(&out);
    assert!(report.shards > 3, "the test wants several shards, there are {}", report.shards);
    assert_eq!((report.records, report.documents, dataset.len()), (30, 30, 30));
    assert_eq!(dataset.tokenizer_hash(), Some(TOKENIZER.hash()));
    assert_eq!((dataset.context(), dataset.vocab_size() as usize), (256, TOKENIZER.vocab_size()));
    for (index, ((name, text), doc)) in files.iter().zip(dataset.docs()).enumerate() {
        assert_eq!(doc, dataset.doc(index));
        assert!(doc.source.ends_with(&format!("/{name}")));
        assert_eq!(TOKENIZER.decode(doc.ids), *text);
        assert_eq!(doc.ids[0], TOKENIZER.bos());
        assert_eq!(doc.ids.last(), Some(&TOKENIZER.eos()));
        assert_eq!(doc.labels[0], MASKED);
        assert!(doc.ids[1..].iter().zip(&doc.labels[1..]).all(|(&id, &label)| id as i32 == label));
    }
    let tokens: usize = dataset.docs().map(|doc| doc.ids.len()).sum();
    assert_eq!((dataset.total_tokens(), report.tokens), (tokens as u64, tokens as u64));
    assert_eq!(dataset.trained_tokens(), tokens as u64 - 30);
    assert_eq!(dataset.lengths().iter().map(|&it| it as usize).sum::<usize>(), tokens);
    let hash = files::sha256(&fs::read(out.path().join("set").join(MANIFEST)).unwrap());
    assert_eq!(dataset.hash(), hash);
}

#[test]
fn bytes_do_not_depend_on_the_threads() {
    // More records than a window holds, and documents of very different lengths.
    let mut files = prose_files(600);
    files[17].1 = prose(6).repeat(500);
    let input = inputs(&files);
    let options = BuildOptions {
        shard_bytes: 30_000,
        long_documents: LongDocument::Split,
        ..BuildOptions::new(512)
    };
    let built = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (out, report) = pool
            .install(|| try_build(input.path(), Vocabulary::Tokenizer(&TOKENIZER), &options))
            .unwrap();
        (files_of(&out.path().join("set")), report)
    };
    let once = built(1);
    assert!(once.0.len() > 5);
    for threads in [2, 32] {
        assert!(built(threads) == once, "{threads} threads write other bytes");
    }
}

#[test]
fn tokenized_lines_keep_ids_and_labels() {
    let (out, report) = build_lines(
        "{\"input_ids\": [5, 6, 7], \"labels\": [5, -100, 9], \"id\": \"a\"}\n\
         {\"input_ids\": [1], \"labels\": [1]}\n",
        10,
    )
    .unwrap();
    let dataset = open(&out);
    // The first label is masked whatever it was: nothing precedes its token.
    let first = Doc { ids: &[5, 6, 7], labels: &[-100, -100, 9], source: "a" };
    let second = Doc { ids: &[1], labels: &[-100], source: "data.jsonl:2" };
    assert_eq!(dataset.docs().collect::<Vec<_>>(), [first, second]);
    assert_eq!((dataset.total_tokens(), dataset.trained_tokens()), (4, 1));
    assert_eq!(dataset.tokenizer_hash(), None);
    assert_eq!((report.untrained_documents, report.unchecked_records), (1, 2));
}

#[test]
fn long_documents_are_split_when_asked() {
    let text = prose(6);
    let ids = TOKENIZER.encode(&text).unwrap();
    let input = inputs(&[("x.md".to_owned(), text.clone())]);
    let options = BuildOptions { long_documents: LongDocument::Split, ..BuildOptions::new(7) };
    let (out, report) =
        try_build(input.path(), Vocabulary::Tokenizer(&TOKENIZER), &options).unwrap();
    let dataset = open(&out);
    let expected = (ids.len() + 2).div_ceil(7);
    assert!(expected > 2);
    assert_eq!((report.documents, report.split_records), (expected as u64, 1));
    let joined: Vec<u32> = dataset.docs().flat_map(|doc| doc.ids).copied().collect();
    assert_eq!(joined[1..joined.len() - 1], ids);
    for (index, doc) in dataset.docs().enumerate() {
        assert!(doc.source.ends_with(&format!("/x.md#{}", index + 1)), "{}", doc.source);
        assert_eq!(doc.labels[0], MASKED);
        assert!(index + 1 == expected || doc.ids.len() == 7);
    }
    // All parts are one document: nothing could be held out without seeing its other parts.
    let error = dataset.split(0.5, 1).unwrap_err().to_string();
    assert_eq!(error, "cannot split the data set: there is only one document, or copies of one");
}

#[test]
fn a_failed_build_leaves_the_old_data_set() {
    let good = inputs(&prose_files(3));
    let bad = inputs(&[("x.jsonl".to_owned(), "{\"text\": \"a\"}\nx".to_owned())]);
    let out = tempfile::tempdir().unwrap();
    let set = out.path().join("deeper/set");
    let run = |input: &Path| {
        let vocabulary = Vocabulary::Tokenizer(&TOKENIZER);
        let options = BuildOptions::new(256);
        build(&[input.to_owned()], vocabulary, &options, &set, &mut |_| {})
    };
    run(good.path()).unwrap();
    let before = files_of(&set);
    run(&bad.path().join("x.jsonl")).unwrap_err();
    assert_eq!(files_of(&set), before);
    assert_eq!(fs::read_dir(set.parent().unwrap()).unwrap().count(), 1, "something was left over");
    // A good build replaces it.
    let other = inputs(&prose_files(5));
    run(other.path()).unwrap();
    assert_eq!(Dataset::open(&set).unwrap().len(), 5);
    // Anything else in its place is not ours to replace.
    fs::write(set.join("thesis.txt"), "years of work").unwrap();
    let error = run(good.path()).unwrap_err().to_string();
    assert!(error.contains("it holds \"thesis.txt\", which is no part of a data set"), "{error}");
    assert_eq!(fs::read_to_string(set.join("thesis.txt")).unwrap(), "years of work");
}

#[test]
fn a_split_leaks_nothing() {
    // Every text twice, under two names.
    let mut files = prose_files(50);
    files.extend((0..50).map(|number| (format!("copy-{number:04}.md"), prose(number))));
    let input = inputs(&files);
    let vocabulary = Vocabulary::Tokenizer(&TOKENIZER);
    let options = BuildOptions { duplicates: Duplicates::Keep, ..BuildOptions::new(256) };
    let (out, _) = try_build(input.path(), vocabulary, &options).unwrap();
    let dataset = open(&out);
    let split = dataset.split(0.2, 7).unwrap();
    assert_eq!((split.train.len(), split.held_out.len()), (80, 20));
    let mut all = [split.train.clone(), split.held_out.clone()].concat();
    all.sort_unstable();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
    for &held_out in &split.held_out {
        assert!(split.train.iter().all(|&it| dataset.doc(it).ids != dataset.doc(held_out).ids));
    }
    assert_eq!(split, dataset.split(0.2, 7).unwrap());
    assert_ne!(split, dataset.split(0.2, 8).unwrap());
    assert_eq!(dataset.split(0.001, 7).unwrap().held_out.len(), 2);
    for fraction in [0.0, 1.0, -0.1, f64::NAN] {
        let error = dataset.split(fraction, 7).unwrap_err().to_string();
        assert!(error.contains("expected above 0 and below 1"), "{error}");
    }
}

#[test]
fn a_named_group_stays_on_one_side() {
    let line = |number: u32| {
        let group = number % 5;
        format!(
            "{{\"input_ids\": [{number}, 2], \"labels\": [0, 2], \"group\": \"INC-{group}\"}}\n"
        )
    };
    let (out, _) = build_lines(&(0..40).map(line).collect::<String>(), 40).unwrap();
    let dataset = open(&out);
    let split = dataset.split(0.2, 3).unwrap();
    let group = |&document: &usize| dataset.doc(document).ids[0] % 5;
    let held_out: BTreeSet<u32> = split.held_out.iter().map(group).collect();
    assert_eq!((held_out.len(), split.held_out.len()), (1, 8));
}

#[test]
fn a_split_with_an_untrained_side_is_refused() {
    let (out, _) = build_lines(
        "{\"input_ids\": [1, 2], \"labels\": [1, 2]}\n{\"input_ids\": [3], \"labels\": [3]}\n",
        10,
    )
    .unwrap();
    let error = open(&out).split(0.5, 1).unwrap_err().to_string();
    assert!(error.ends_with("side has a trained token"), "{error}");
}

/// A small data set of two shards and its files.
struct Built {
    _input: TempDir,
    out: TempDir,
}

impl Built {
    fn new() -> Self {
        let input = inputs(&prose_files(6));
        let options = BuildOptions { shard_bytes: 1500, ..BuildOptions::new(256) };
        let vocabulary = Vocabulary::Tokenizer(&TOKENIZER);
        let (out, report) = try_build(input.path(), vocabulary, &options).unwrap();
        assert!(report.shards >= 2);
        Self { _input: input, out }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.out.path().join("set").join(name)
    }

    fn error(&self) -> String {
        let error = Dataset::open(&self.out.path().join("set")).unwrap_err().to_string();
        error.replace(&self.out.path().display().to_string(), "out")
    }
}

#[test]
fn files_that_are_missing_or_exchanged_are_named() {
    let built = Built::new();
    let [first, second] = ["data-00000.shard", "data-00001.shard"].map(|name| built.path(name));
    let bytes = fs::read(&first).unwrap();

    fs::copy(&second, &first).unwrap();
    let problem = "it is whole, but not the shard that dataset.json describes";
    assert_eq!(built.error(), format!("out/set/data-00000.shard: {problem}"));

    fs::write(&first, &bytes[..bytes.len() - 3]).unwrap();
    let (found, expected) = (bytes.len() - 3, bytes.len());
    assert_eq!(
        built.error(),
        format!(
            "out/set/data-00000.shard: it has {found} bytes, expected {expected} (cut off or \
             extended)"
        )
    );

    fs::remove_file(&first).unwrap();
    assert_eq!(built.error(), "cannot map out/set/data-00000.shard: no such file or directory");

    fs::remove_file(built.path(MANIFEST)).unwrap();
    assert_eq!(built.error(), "cannot read out/set/dataset.json: no such file or directory");
}

#[test]
fn descriptions_that_lie_are_refused() {
    type Change = fn(&mut Manifest);
    let cases: [(Change, &str); 6] = [
        (
            |it| it.version = 99,
            "dataset.json: version 99, expected 5\nhint: build the data set anew",
        ),
        (|it| it.shards.clear(), "dataset.json: it names no shard"),
        (
            |it| it.shards[1].file = "../../secret".to_owned(),
            "dataset.json: shard 1 is \"../../secret\", expected data-00001.shard",
        ),
        (|it| it.shards[0].tokens = u64::MAX, "dataset.json: its counts are beyond 64 bits"),
        (
            |it| it.context = 300,
            "data-00000.shard: it is whole, but not the shard that dataset.json describes",
        ),
        (
            |it| it.tokenizer_sha256 = None,
            "data-00000.shard: it is whole, but not the shard that dataset.json describes",
        ),
    ];
    let built = Built::new();
    let text = fs::read(built.path(MANIFEST)).unwrap();
    for (change, problem) in cases {
        let mut manifest: Manifest = serde_json::from_slice(&text).unwrap();
        change(&mut manifest);
        manifest.sha256 = manifest.checksum();
        fs::write(built.path(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
        assert_eq!(built.error(), format!("out/set/{problem}"));
    }
}

#[test]
fn a_changed_count_and_an_older_description_are_told_apart() {
    let built = Built::new();
    let text = fs::read_to_string(built.path(MANIFEST)).unwrap();
    let changed = text.replace("\"unchecked_records\": ", "\"unchecked_records\": 1");
    assert_ne!(changed, text);
    fs::write(built.path(MANIFEST), changed).unwrap();
    assert!(built.error().contains("it was changed after it was written"), "{}", built.error());
    fs::write(built.path(MANIFEST), "{\"version\": 1, \"shards\": []}").unwrap();
    assert!(built.error().contains("version 1, expected 5"), "{}", built.error());
}

const MEMBERSHIP: Membership = Membership { group: 7, time: None };

/// The bytes of a small shard.
fn shard_bytes(documents: &[Encoded]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let mut draft = Draft::default();
    documents.iter().for_each(|document| draft.push(document, MEMBERSHIP));
    let kind = format::Header {
        context: 8,
        vocab_size: 50,
        documents: 0,
        tokens: 0,
        trained: 0,
        sources_bytes: 0,
        tokenizer_hash: Some("5".repeat(64)),
    };
    let entry = draft.write(directory.path(), 0, &kind).unwrap();
    let bytes = fs::read(directory.path().join(&entry.file)).unwrap();
    assert_eq!(entry.sha256, files::sha256(&bytes));
    bytes
}

static SHARD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let document = |ids: &[u32], source: &str| Encoded {
        ids: ids.to_vec(),
        labels: ids
            .iter()
            .enumerate()
            .map(|(at, &id)| if at == 0 { -100 } else { id as i32 })
            .collect(),
        source: source.to_owned(),
    };
    shard_bytes(&[document(&[1, 2, 3], "ä"), document(&[4], ""), document(&[9, 49], "x.md:3")])
});

/// Opens these bytes as a shard and reads all documents.
fn read_shard(bytes: &[u8]) -> Result<usize> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let shard = Shard::open(file.path())?;
    let read = (0..shard.len()).map(|index| shard.doc(index));
    Ok(read.map(|doc| doc.ids.len() + doc.labels.len() + doc.source.len()).sum())
}

/// Makes the checksum right again after a change.
fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(content) = bytes.len().checked_sub(64) {
        let checksum = files::sha256(&bytes[..content]);
        bytes[content..].copy_from_slice(checksum.as_bytes());
    }
    bytes
}

proptest! {
    #[test]
    fn a_changed_byte_is_always_found(
        at in any::<prop::sample::Index>(),
        change in 1..=255u8,
    ) {
        let mut bytes = SHARD.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert!(read_shard(&bytes).is_err());
    }

    /// Whoever changes a shard can also compute its checksum: an error or a sound shard.
    #[test]
    fn a_signed_change_never_leads_astray(
        at in any::<prop::sample::Index>(),
        word in prop_oneof![any::<u64>(), 0..300u64, Just(u64::MAX)],
    ) {
        let mut bytes = SHARD.clone();
        let at = at.index(bytes.len() / 8 - 8) * 8;
        bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        let _ = read_shard(&signed(bytes));
    }

    #[test]
    fn another_length_is_always_found(length in 0..2000usize) {
        let mut bytes = SHARD.clone();
        prop_assume!(length != bytes.len());
        bytes.resize(length, 0);
        prop_assert!(read_shard(&bytes).is_err());
        prop_assert!(read_shard(&signed(bytes)).is_err());
    }

    /// A description with a changed byte: refused, or it still says the same.
    #[test]
    fn a_changed_description_is_found(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        static BUILT: LazyLock<(Vec<u8>, Manifest, Built)> = LazyLock::new(|| {
            let built = Built::new();
            let text = fs::read(built.path(MANIFEST)).unwrap();
            (text.clone(), serde_json::from_slice(&text).unwrap(), built)
        });
        let (text, manifest, built) = &*BUILT;
        let mut changed = text.clone();
        changed[at.index(text.len())] = byte;
        fs::write(built.path(MANIFEST), &changed).unwrap();
        if let Ok(dataset) = Dataset::open(&built.out.path().join("set")) {
            prop_assert_eq!(&dataset.manifest, manifest);
        }
    }

    #[test]
    fn any_documents_come_back(
        documents in prop::collection::vec(
            (prop::collection::vec((0..50u32, prop_oneof![Just(-100), 0..50i32]), 1..=8), any::<String>()),
            1..20,
        ),
    ) {
        let documents: Vec<Encoded> = documents
            .into_iter()
            .map(|(tokens, source)| {
                let (ids, mut labels): (Vec<u32>, Vec<i32>) = tokens.into_iter().unzip();
                labels[0] = -100;
                Encoded { ids, labels, source }
            })
            .collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), shard_bytes(&documents)).unwrap();
        let shard = Shard::open(file.path()).unwrap();
        prop_assert_eq!(shard.len(), documents.len());
        for (index, document) in documents.iter().enumerate() {
            let expected =
                Doc { ids: &document.ids, labels: &document.labels, source: &document.source };
            prop_assert_eq!(shard.doc(index), expected);
        }
    }
}

#[test]
fn signed_lies_are_named() {
    let layout = format::Header::decode(&SHARD).unwrap().1;
    let cases: [(usize, &[u8], &str); 10] = [
        (0, b"X", "it does not begin as a shard does (byte 0)"),
        (8, &[9], "version 9, expected 2 (byte 8)\nhint: build the data set anew"),
        (37, &[1], "its sections are not where its counts put them (byte 64)"),
        (48, &[9], "3 tokens are trained, 9 are announced"),
        (128, b"g", "its tokenizer's hash is no hash (byte 128)"),
        (
            layout.times + 15,
            &[0x7f],
            "the time of document 1 is 9151314442816847872 s, which is none",
        ),
        (layout.ends, &[4], "the tokens of document 1 end at 4 after 4"),
        (layout.ids + 8, &[50], "token 2 has the id 50, the vocabulary is 50"),
        (layout.labels, &[1, 0, 0, 0], "the first token of document 0 is trained"),
        (layout.sources, b"\xff", "the source of document 0 is not UTF-8"),
    ];
    for (at, change, problem) in cases {
        let mut bytes = SHARD.clone();
        bytes[at..at + change.len()].copy_from_slice(change);
        let error = read_shard(&signed(bytes)).unwrap_err().to_string();
        assert_eq!(error.split_once(": ").unwrap().1, problem);
    }
}

/// The whole way over real post-mortems and runbooks, where they are at hand.
#[test]
fn real_documents_come_back_through_their_own_vocabulary() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let paths = ["postmortems", "runbooks"].map(|name| data.join(name));
    if !paths.iter().all(|path| path.is_dir()) {
        crate::skip::skip("the shared data is not at hand");
        return;
    }
    let sources = Sources::find(&paths).unwrap();
    let texts: Vec<String> = record::read(&sources, Limits::STANDARD)
        .map(|record| match record.unwrap().content {
            record::Content::Text(text) => text,
            other => panic!("Markdown gave {other:?}"),
        })
        .collect();
    assert!(texts.len() > 100);
    let tokenizer = Tokenizer::train_bpe(texts.iter().map(Ok), 4096).unwrap();
    assert_eq!(tokenizer.vocab_size(), 4096);
    let built: Vec<_> = [1, 2, 32]
        .into_iter()
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let out = tempfile::tempdir().unwrap();
            let set = out.path().join("set");
            let options = BuildOptions { shard_bytes: 1 << 18, ..BuildOptions::new(32_768) };
            let vocabulary = Vocabulary::Tokenizer(&tokenizer);
            pool.install(|| build(&paths, vocabulary, &options, &set, &mut |_| {})).unwrap();
            let dataset = Dataset::open(&set).unwrap();
            assert_eq!(dataset.len(), texts.len());
            for (text, doc) in texts.iter().zip(dataset.docs()) {
                assert!(tokenizer.decode(doc.ids) == *text, "{} came back changed", doc.source);
            }
            files_of(&set)
        })
        .collect();
    assert!(built[0].len() > 2);
    assert!(built[0] == built[1] && built[0] == built[2]);
}
