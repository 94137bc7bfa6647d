//! Building a data set: records are read one after another, a window of them is tokenized on all
//! cores, and the documents are written in the order of the input, while the next window is tokenized.
//! A window is bounded in records and in bytes and does not depend on the cores, so neither memory nor
//! output does.

use super::clean::{Cleaner, Secrets};
use super::encode::{Encoder, LongDocument, Vocabulary};
use super::format::Header;
use super::refusals::{LeftOut, Refusals, Refused};
use super::shard::{Encoded, Membership, Writer};
use super::similar::{Alike, Deduplicator, Duplicates};
use super::{MANIFEST, MANIFEST_LIMIT_BYTES, MANIFEST_VERSION, Manifest, ShardEntry};
use crate::duplicates::Fingerprint;
use crate::record::{self, Content, Limits, Record, Sources, Time};
use crate::secrets::Counts;
use crate::{Error, Place, Result};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// Most records of a window; one is read, one tokenized and one written at a time.
const WINDOW_RECORDS: usize = 256;

/// Most bytes of a window's records, beyond one record.
const WINDOW_BYTES: usize = 4 << 20;

/// How a data set is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildOptions {
    /// Most tokens of a document, at least 1.
    pub context: u32,
    /// What happens to documents that have more.
    pub long_documents: LongDocument,
    /// What happens to secrets.
    pub secrets: Secrets,
    /// What happens to records that say the same as one before.
    pub duplicates: Duplicates,
    /// What happens to records that are too long, have secrets or are malformed.
    pub refused: Refused,
    /// Whether Markdown that is longer than the context is cut at its headings; each piece then begins
    /// with the headings that it stands under, which are not trained.
    pub sections: bool,
    /// A shard has about this many bytes at most; only a single document may have more.
    pub shard_bytes: usize,
    /// How much is read at once.
    pub limits: Limits,
}

impl BuildOptions {
    /// Stops at long documents and secrets, removes duplicates, and has shards of 64 MiB. Building
    /// takes memory for the shard that is being put together, and to tell duplicates about 1.3 KiB
    /// and 4 bytes a word for every record, of which at most 16 384 words count.
    pub fn new(context: u32) -> Self {
        Self {
            context,
            long_documents: LongDocument::Refuse,
            secrets: Secrets::Refuse,
            duplicates: Duplicates::Remove,
            refused: Refused::Stop,
            sections: false,
            shard_bytes: 64 << 20,
            limits: Limits::STANDARD,
        }
    }
}

/// What was built, or what was built so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Records that were read.
    pub records: u64,
    /// Those that are conversations.
    pub conversations: u64,
    /// Documents that came out of them.
    pub documents: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Tokens that are trained.
    pub trained_tokens: u64,
    /// Documents without a trained token: they cost time and teach nothing.
    pub untrained_documents: u64,
    /// Records that were split or cut at headings because they are longer than the context.
    pub split_records: u64,
    /// How many secrets and personal data were masked, by kind.
    pub redacted: Counts,
    /// Records that came as token ids: nobody could look for secrets in them.
    pub unchecked_records: u64,
    /// Records that are like one before.
    pub alike: Alike,
    /// Records that were left out because they are too long, have secrets or are malformed.
    pub left_out: LeftOut,
    /// Files in the input directories that are neither Markdown nor plain text.
    pub ignored_files: u64,
    /// Shards that were written.
    pub shards: u64,
}

impl Report {
    fn add(&mut self, documents: &[Encoded]) {
        self.split_records += u64::from(documents.len() > 1);
        for document in documents {
            let trained = document.trained();
            self.documents += 1;
            self.tokens += document.ids.len() as u64;
            self.trained_tokens += trained;
            self.untrained_documents += u64::from(trained == 0);
        }
    }
}

/// Builds a data set from files and directories. `progress` is told the counts so far, often. The
/// directory `out` appears at the end and whole, or not at all; an older data set in its place is
/// replaced then. The same inputs give the same bytes, whatever the number of threads.
///
/// # Errors
/// Inputs that cannot be read or are no documents, a document that is too long, no document or no
/// trained token at all, or an `out` that cannot be written or holds anything but a data set.
pub fn build(
    inputs: &[PathBuf],
    vocabulary: Vocabulary<'_>,
    options: &BuildOptions,
    out: &Path,
    progress: &mut dyn FnMut(&Report),
) -> Result<Report> {
    if options.context == 0 {
        let problem = "a context of 0 tokens holds no document".to_owned();
        return Err(Error::Output { path: out.to_owned(), problem });
    }
    let sources = Sources::find(inputs)?;
    // What stands there will be replaced.
    let is_shard = |name: &str| name.starts_with("data-") && name.ends_with(".shard");
    files::check_replaceable(out, "a data set", |name| name == MANIFEST || is_shard(name))?;
    if let Some(parent) = out.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        files::create_dir_all(parent)?;
    }
    let BuildOptions { context, long_documents, sections, .. } = *options;
    let encoder = Encoder { vocabulary, context, long_documents, sections };
    let mut report = Report { ignored_files: sources.ignored_files, ..Report::default() };
    files::write_dir_atomic(out, |directory| {
        let mut records = record::read(&sources, options.limits);
        let mut cleaner = Cleaner::new(options.secrets, options.refused);
        let mut store = Store {
            writer: Writer::new(directory, kind(&encoder), options.shard_bytes),
            refusals: Refusals::new(options.refused, &sources),
            deduplicator: Deduplicator::new(options.duplicates),
            report: &mut report,
        };
        tokenize(&mut records, &encoder, &mut cleaner, &mut store, progress)?;
        let Store { writer, mut refusals, deduplicator, .. } = store;
        report.redacted = std::mem::take(&mut cleaner.redacted);
        report.unchecked_records = cleaner.unchecked_records;
        report.alike = deduplicator.alike;
        cleaner.check()?;
        refusals.check(report.documents)?;
        report.left_out = refusals.left_out;
        refuse_useless(&report, inputs)?;
        let shards = writer.finish()?;
        report.shards = shards.len() as u64;
        let manifest = Manifest {
            joined_groups: deduplicator.joined,
            ..manifest(&encoder, &report, options, shards)
        };
        write_manifest(directory, manifest)
    })?;
    progress(&report);
    Ok(report)
}

/// Tokenizes all records: while a window is tokenized, the one before it is written and the next one is read.
fn tokenize(
    records: &mut record::Records<'_>,
    encoder: &Encoder<'_>,
    cleaner: &mut Cleaner,
    store: &mut Store<'_>,
    progress: &mut dyn FnMut(&Report),
) -> Result<()> {
    let (mut window, mut failure) = next_window(records);
    let mut encoded = Vec::new();
    loop {
        let last = window.is_empty();
        cleaner.clean(&mut window);
        // Behind the first secret nothing is written any more, but all of them are found.
        let has_refused = cleaner.has_refused();
        if has_refused {
            window.clear();
        }
        let (now, next) = rayon::join(
            || encode(window, encoder),
            || store.add(encoded).map(|()| next_window(records)),
        );
        (encoded, (window, failure)) = match (next?, failure.filter(|_| !has_refused)) {
            // What stands before the failure may itself be wrong; the first error is reported.
            (_, Some(failure)) => return store.add(now).and(Err(failure)),
            (next, None) => (now, next),
        };
        progress(store.report);
        if last {
            break;
        }
    }
    Ok(())
}

/// The texts of these sources, in order and as [`build()`] would tokenize them: what a vocabulary is
/// learned from. `progress` is told how many there are so far.
///
/// # Errors
/// Sources that cannot be read, or what [`build()`] would stop at in them.
pub fn clean_texts(
    sources: &Sources,
    options: &BuildOptions,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<String>> {
    let mut records = record::read(sources, options.limits);
    let mut cleaner = Cleaner::new(options.secrets, options.refused);
    let mut refusals = Refusals::new(options.refused, sources);
    let mut texts = Vec::new();
    loop {
        let (mut window, failure) = next_window(&mut records);
        if window.is_empty() && failure.is_none() {
            break;
        }
        cleaner.clean(&mut window);
        for record in window {
            match record {
                Ok(mut record) => {
                    texts.extend(record.content.texts_mut().into_iter().map(std::mem::take));
                }
                Err(_) if cleaner.has_refused() => {}
                Err(error) => refusals.take(error)?,
            }
        }
        if !cleaner.has_refused() {
            failure.map_or(Ok(()), Err)?;
        }
        progress(texts.len());
    }
    cleaner.check()?;
    Ok(texts)
}

/// The header that all shards share.
fn kind(encoder: &Encoder<'_>) -> Header {
    Header {
        context: encoder.context,
        vocab_size: encoder.vocabulary.size(),
        documents: 0,
        tokens: 0,
        trained: 0,
        sources_bytes: 0,
        tokenizer_hash: encoder.vocabulary.hash(),
    }
}

/// The next records, each or what is wrong with it, and the error that ended them early.
fn next_window(records: &mut record::Records<'_>) -> (Vec<Result<Record>>, Option<Error>) {
    let mut window = Vec::new();
    let mut window_bytes = 0;
    while window.len() < WINDOW_RECORDS && window_bytes < WINDOW_BYTES {
        match records.next() {
            Some(Ok(record)) => {
                window_bytes += record.content.size_bytes();
                window.push(Ok(record));
            }
            Some(Err(error)) if records.can_go_on() => window.push(Err(error)),
            Some(Err(error)) => return (window, Some(error)),
            None => break,
        }
    }
    (window, None)
}

/// A record that was tokenized and can be looked up.
struct Prepared {
    place: Place,
    group: Option<String>,
    time: Option<Time>,
    is_conversation: bool,
    fingerprint: Fingerprint,
    documents: Vec<Encoded>,
}

/// Tokenizes a window. One record at a time and no larger pieces: their sizes differ by orders of
/// magnitude.
fn encode(window: Vec<Result<Record>>, encoder: &Encoder<'_>) -> Vec<Result<Prepared>> {
    let prepare = |record: Result<Record>| {
        let record = record?;
        Ok(Prepared {
            place: record.place.clone(),
            group: record.group.clone(),
            time: record.time,
            is_conversation: matches!(record.content, Content::Messages(_)),
            fingerprint: Fingerprint::of(&record.content),
            documents: encoder.encode(record)?,
        })
    };
    window.into_par_iter().with_max_len(1).map(prepare).collect()
}

/// Where tokenized records go.
struct Store<'a> {
    writer: Writer,
    refusals: Refusals,
    deduplicator: Deduplicator,
    report: &'a mut Report,
}

impl Store<'_> {
    /// Counts and writes records, those that are to stay.
    fn add(&mut self, records: Vec<Result<Prepared>>) -> Result<()> {
        for record in records {
            self.report.records += 1;
            match record {
                Ok(record) => self.write(record)?,
                Err(error) => self.refusals.take(error)?,
            }
        }
        Ok(())
    }

    fn write(&mut self, record: Prepared) -> Result<()> {
        let Prepared { place, group, time, is_conversation, fingerprint, documents } = record;
        let Some(group) = self.deduplicator.sift(&place, group.as_deref(), fingerprint) else {
            return Ok(());
        };
        self.report.conversations += u64::from(is_conversation);
        self.report.add(&documents);
        let membership = Membership { group, time };
        documents.iter().try_for_each(|document| self.writer.push(document, membership))
    }
}

fn refuse_useless(report: &Report, inputs: &[PathBuf]) -> Result<()> {
    let inputs = record::listed(inputs);
    if report.documents == 0 {
        return Err(Error::NoDocuments { inputs });
    }
    if report.trained_tokens == 0 {
        let &Report { documents, tokens, .. } = report;
        return Err(Error::NothingTrained { from: inputs, documents, tokens });
    }
    Ok(())
}

fn manifest(
    encoder: &Encoder<'_>,
    report: &Report,
    options: &BuildOptions,
    shards: Vec<ShardEntry>,
) -> Manifest {
    let removes = options.duplicates == Duplicates::Remove;
    Manifest {
        version: MANIFEST_VERSION,
        context: encoder.context,
        vocab_size: encoder.vocabulary.size(),
        tokenizer_sha256: encoder.vocabulary.hash(),
        template_sha256: encoder.vocabulary.template_hash(),
        documents: report.documents,
        tokens: report.tokens,
        trained_tokens: report.trained_tokens,
        redacted: (options.secrets != Secrets::Refuse).then(|| {
            report.redacted.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect()
        }),
        unchecked_records: report.unchecked_records,
        removed_duplicates: removes.then_some(report.alike.duplicates),
        joined_groups: Vec::new(),
        refused: (options.refused == Refused::Skip).then(|| report.left_out.clone()),
        shards,
        sha256: String::new(),
    }
}

fn write_manifest(directory: &Path, mut manifest: Manifest) -> Result<()> {
    manifest.sha256 = manifest.checksum();
    let mut text = serde_json::to_string_pretty(&manifest).expect("counts and names are JSON");
    text.push('\n');
    let path = directory.join(MANIFEST);
    if text.len() as u64 > MANIFEST_LIMIT_BYTES {
        let groups = manifest.joined_groups.len();
        let problem = format!(
            "it would have {} bytes, at most {MANIFEST_LIMIT_BYTES} are read ({groups} groups are \
             joined because records in them are alike)\nhint: build several data sets",
            text.len()
        );
        return Err(Error::Dataset { path: MANIFEST.into(), problem });
    }
    Ok(files::write_atomic(path, |out| out.write_all(text.as_bytes()))?)
}
