//! `srek data build` and `srek data inspect`.

use crate::args::{DataBuildArgs, DataInspectArgs, Long, Refusal, Repeated};
use crate::exit::usage;
use crate::output::{Answer, may_colour, pairs};
use crate::progress::Progress;
use std::path::{Path, PathBuf};
use text::chat::Template;
use text::dataset::{
    self, Alike, BuildOptions, Dataset, Duplicates, LeftOut, LongDocument, Refused, Report,
    Secrets, Vocabulary,
};
use text::inspect::{self, Sample, SampleToken, Summary};
use text::record::{self, Sources};
use text::secrets::Masking;
use text::tokenizer::Tokenizer;

/// Longest documents that `inspect` names.
const LONGEST: usize = 5;
/// Refused records that are named.
const REFUSED: usize = 10;
/// Columns of the longest bar of the histogram.
const BAR_COLUMNS: u64 = 40;

/// Builds a data set, and the tokenizer first if one is to be learned.
pub(crate) fn build(args: &DataBuildArgs) -> anyhow::Result<Answer> {
    let options = options(args);
    let tokenizer = tokenizer(args, &options)?;
    let template = match &tokenizer {
        // A learned tokenizer has no template of its own; one beside its file is another's.
        Some((tokenizer, file)) => {
            let file = args.train_tokenizer.is_none().then_some(file.as_path());
            crate::templates::choose(&args.template, tokenizer, file)?
        }
        None => None,
    };
    let vocabulary = match (&tokenizer, args.vocab_size) {
        (Some((tokenizer, _)), _) => match &template {
            Some(template) => Vocabulary::Chat { tokenizer, template },
            None => Vocabulary::Tokenizer(tokenizer),
        },
        (None, Some(vocab_size)) => Vocabulary::Ids { vocab_size },
        (None, None) => {
            return Err(usage(
                "no tokenizer was given\nhint: --tokenizer FILE, --train-tokenizer VOCABULARY, or \
                 --vocab-size V for records of token ids",
            ));
        }
    };
    let mut progress = Progress::new("building", None);
    let show = &mut |report: &Report| {
        progress.at(report.documents, || format!("documents, {} tokens", report.tokens));
    };
    let report = dataset::build(&args.input, vocabulary, &options, &args.out, show)?;
    drop(progress);
    let file = tokenizer.as_ref().map(|(_, file)| file.as_path());
    let template = template.as_ref().filter(|_| report.conversations > 0);
    Ok(built(&report, args, file, template.map(Template::origin)))
}

fn options(args: &DataBuildArgs) -> BuildOptions {
    let mut options = BuildOptions::new(args.context);
    options.long_documents = match args.long {
        Long::Refuse => LongDocument::Refuse,
        Long::Split => LongDocument::Split,
    };
    options.duplicates = match args.duplicates {
        Repeated::Remove => Duplicates::Remove,
        Repeated::Keep => Duplicates::Keep,
    };
    options.refused = match args.refused {
        Refusal::Stop => Refused::Stop,
        Refusal::Skip => Refused::Skip,
    };
    options.sections = args.sections;
    if args.redact {
        options.secrets = Secrets::Redact(Masking { people: true, ip_addresses: args.redact_ips });
    }
    options
}

/// The tokenizer that the arguments name, with its file; learned and written if they say so.
fn tokenizer(
    args: &DataBuildArgs,
    options: &BuildOptions,
) -> anyhow::Result<Option<(Tokenizer, PathBuf)>> {
    let Some(vocabulary) = args.train_tokenizer else {
        let Some(file) = &args.tokenizer else { return Ok(None) };
        let file = crate::gguf::tokenizer(file)?;
        return Ok(Some((Tokenizer::from_file(&file)?, file)));
    };
    let beside = || {
        let mut name = args.out.as_os_str().to_owned();
        name.push(".tokenizer.json");
        PathBuf::from(name)
    };
    let file = args.tokenizer.clone().unwrap_or_else(beside);
    let sources = Sources::find(&args.input)?;
    let tokenizer = learn_tokenizer(&sources, options, vocabulary)?;
    crate::paths::make_parent(&file)?;
    tokenizer.save(&file)?;
    Ok(Some((tokenizer, file)))
}

/// Learns a tokenizer from these documents.
pub(crate) fn learn_tokenizer(
    sources: &Sources,
    options: &BuildOptions,
    vocabulary: usize,
) -> anyhow::Result<Tokenizer> {
    let mut progress = Progress::new("learning the tokenizer", None);
    let show = &mut |texts| progress.at(texts as u64, || "documents".to_owned());
    let texts = dataset::clean_texts(sources, options, show)?;
    Ok(Tokenizer::train_bpe(texts.into_iter().map(text::Result::Ok), vocabulary)?)
}

fn built(
    report: &Report,
    args: &DataBuildArgs,
    tokenizer: Option<&Path>,
    template: Option<&Path>,
) -> Answer {
    let mut rows = vec![
        ("documents", report.documents.to_string()),
        ("tokens", report.tokens.to_string()),
        ("trained", report.trained_tokens.to_string()),
        ("shards", report.shards.to_string()),
        ("data set", args.out.display().to_string()),
    ];
    if let Some(file) = tokenizer {
        rows.push(("tokenizer", file.display().to_string()));
    }
    if report.conversations > 0 {
        rows.push(("conversations", report.conversations.to_string()));
    }
    if let Some(template) = template {
        rows.push(("chat template", template.display().to_string()));
    }
    rows.extend(remarks(report, args));
    let text = pairs(&rows) + &first_duplicates(&report.alike) + &first_refused(&report.left_out);
    Answer { text, json: built_json(report, args, tokenizer, template) }
}

/// What is said only where there is something to say.
fn remarks(report: &Report, args: &DataBuildArgs) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    let alike = &report.alike;
    if alike.duplicates > 0 {
        let what = match args.duplicates {
            Repeated::Remove => "left out",
            Repeated::Keep => "kept, each in the group of its first",
        };
        rows.push(("duplicates", format!("{} records, {what}", alike.duplicates)));
    }
    if alike.answered_otherwise > 0 {
        let records = alike.answered_otherwise;
        let text = format!("{records} records ask what one before asks, with another answer");
        rows.push(("alike", text));
    }
    if report.left_out.records > 0 {
        rows.push(("refused", format!("{} records, left out", report.left_out.records)));
    }
    if report.split_records > 0 {
        rows.push(("split", format!("{} records longer than the context", report.split_records)));
    }
    if report.untrained_documents > 0 {
        rows.push(("untrained", format!("{} documents", report.untrained_documents)));
    }
    if !report.redacted.is_empty() {
        let kinds = report.redacted.iter().map(|(kind, count)| format!("{count} {kind}"));
        rows.push(("masked", kinds.collect::<Vec<_>>().join(", ")));
    }
    if report.unchecked_records > 0 {
        let records = report.unchecked_records;
        rows.push(("unchecked", format!("{records} records of token ids, for secrets")));
    }
    if report.ignored_files > 0 {
        rows.push((
            "left alone",
            format!(
                "{} files that are neither Markdown nor text; .jsonl files are named themselves",
                report.ignored_files
            ),
        ));
    }
    rows
}

/// A line for each of the first duplicates.
fn first_duplicates(alike: &Alike) -> String {
    if alike.first.is_empty() {
        return String::new();
    }
    let mut text = "\nduplicates, and what each repeats\n".to_owned();
    for it in &alike.first {
        let likeness = match it.similarity {
            1.0 => "the same words".to_owned(),
            share => format!("{:.0} % alike", share * 100.0),
        };
        text.push_str(&format!("  {}  {}  ({likeness})\n", it.place, it.first));
    }
    let more = alike.duplicates - alike.first.len() as u64;
    if more > 0 {
        text.push_str(&format!("  and {more} more\n"));
    }
    text
}

/// A line for each of the first records that were refused.
fn first_refused(left_out: &LeftOut) -> String {
    if left_out.first.is_empty() {
        return String::new();
    }
    let mut text = "\nrefused, and why\n".to_owned();
    for it in left_out.first.iter().take(REFUSED) {
        text.push_str(&format!("  {}: {}\n", printable(&it.source), printable(&it.reason)));
    }
    let more = left_out.records.saturating_sub(REFUSED as u64);
    if more > 0 {
        text.push_str(&format!("  and {more} more\n"));
    }
    text
}

fn built_json(
    report: &Report,
    args: &DataBuildArgs,
    tokenizer: Option<&Path>,
    template: Option<&Path>,
) -> serde_json::Value {
    let duplicate = |it: &dataset::Duplicate| {
        serde_json::json!({
            "place": it.place.to_string(),
            "first": it.first.to_string(),
            "similarity": it.similarity,
        })
    };
    serde_json::json!({
        "records": report.records,
        "documents": report.documents,
        "tokens": report.tokens,
        "trained_tokens": report.trained_tokens,
        "untrained_documents": report.untrained_documents,
        "split_records": report.split_records,
        "duplicates": report.alike.duplicates,
        "first_duplicates": report.alike.first.iter().map(duplicate).collect::<Vec<_>>(),
        "answered_otherwise": report.alike.answered_otherwise,
        "refused": report.left_out,
        "redacted": report.redacted,
        "unchecked_records": report.unchecked_records,
        "ignored_files": report.ignored_files,
        "shards": report.shards,
        "out": args.out,
        "tokenizer": tokenizer,
        "conversations": report.conversations,
        "template": template,
    })
}

/// Shows a data set in numbers, or one of its documents token by token.
pub(crate) fn inspect(args: &DataInspectArgs) -> anyhow::Result<Answer> {
    let dataset = Dataset::open(&args.directory)?;
    let Some(document) = args.document else {
        return Ok(summary(&dataset, &inspect::summarize(&dataset, LONGEST)));
    };
    let sample = match &args.tokenizer {
        Some(file) => {
            let tokenizer = Tokenizer::from_file(&crate::gguf::tokenizer(file)?)?;
            inspect::sample(&dataset, &tokenizer, document)?
        }
        None => by_ids(&dataset, document)?,
    };
    Ok(shown(document, &sample))
}

/// A document whose tokens are shown by their ids.
fn by_ids(dataset: &Dataset, document: usize) -> anyhow::Result<Sample> {
    if document >= dataset.len() {
        let last = dataset.len() - 1;
        return Err(usage(format!("document {document} was asked for, the last one is {last}")));
    }
    let doc = dataset.doc(document);
    let tokens = doc.ids.iter().zip(doc.labels).map(|(&id, &label)| SampleToken {
        id,
        text: format!("{id} "),
        special: false,
        trained: label != record::MASKED,
    });
    Ok(Sample { source: doc.source.to_owned(), tokens: tokens.collect() })
}

fn shown(document: usize, sample: &Sample) -> Answer {
    let trained = sample.tokens.iter().filter(|token| token.trained).count();
    let mut text = format!(
        "document {document}: {}\n{} tokens, {trained} of them trained; the others stand in {}, special \
         tokens in ‹marks›\n\n",
        sample.source,
        sample.tokens.len(),
        if may_colour() { "grey" } else { "⟦brackets⟧" },
    );
    let (open, close) = if may_colour() { ("\x1b[2m", "\x1b[0m") } else { ("⟦", "⟧") };
    for run in sample.tokens.chunk_by(|one, next| one.trained == next.trained) {
        let piece: String = run.iter().map(piece_of).collect();
        match run[0].trained {
            true => text.push_str(&piece),
            false => text.push_str(&format!("{open}{piece}{close}")),
        }
    }
    text.push('\n');
    let tokens: Vec<_> = sample
        .tokens
        .iter()
        .map(|token| {
            serde_json::json!({
                "id": token.id, "text": token.text, "special": token.special,
                "trained": token.trained,
            })
        })
        .collect();
    let json = serde_json::json!({
        "document": document, "source": sample.source, "tokens": tokens,
    });
    Answer { text, json }
}

/// What is shown of a token.
fn piece_of(token: &SampleToken) -> String {
    let text = printable(&token.text);
    if token.special { format!("‹{text}›") } else { text }
}

/// The text without what could steer a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c })
        .collect()
}

fn summary(dataset: &Dataset, summary: &Summary) -> Answer {
    let mut rows = vec![
        ("documents", summary.documents.to_string()),
        ("tokens", summary.tokens.to_string()),
        ("trained", summary.trained_tokens.to_string()),
        ("masked", summary.masked_tokens.to_string()),
        ("untrained", format!("{} documents", summary.untrained_documents)),
        ("context", dataset.context().to_string()),
        ("vocabulary", dataset.vocab_size().to_string()),
        ("tokenizer", dataset.tokenizer_hash().unwrap_or("none").to_owned()),
    ];
    if let Some(refused) = dataset.refused() {
        rows.push(("refused", format!("{} records, left out", refused.records)));
    }
    let mut text = pairs(&rows);
    text.push_str(&dataset.refused().map(first_refused).unwrap_or_default());
    text.push_str("\nlength in tokens, and how many documents have it\n");
    let most = summary.histogram.iter().map(|bucket| bucket.documents).max().unwrap_or(1);
    for bucket in &summary.histogram {
        let (from, to, documents) = (bucket.from, bucket.to, bucket.documents);
        text.push_str(&format!("{from:>9} to {to:<9} {documents:>8} {}\n", bar(documents, most)));
    }
    text.push_str("\nlongest documents\n");
    for longest in &summary.longest {
        let (tokens, document) = (longest.tokens, longest.document);
        text.push_str(&format!("{tokens:>9}  {document:>8}  {}\n", printable(&longest.source)));
    }
    Answer { text, json: summary_json(dataset, summary) }
}

fn summary_json(dataset: &Dataset, summary: &Summary) -> serde_json::Value {
    let histogram: Vec<_> = summary
        .histogram
        .iter()
        .map(|bucket| {
            serde_json::json!({
                "from": bucket.from,
                "to": bucket.to,
                "documents": bucket.documents,
                "tokens": bucket.tokens,
            })
        })
        .collect();
    let longest: Vec<_> = summary
        .longest
        .iter()
        .map(|it| {
            serde_json::json!({
                "document": it.document, "source": it.source, "tokens": it.tokens,
            })
        })
        .collect();
    serde_json::json!({
        "documents": summary.documents,
        "tokens": summary.tokens,
        "trained_tokens": summary.trained_tokens,
        "masked_tokens": summary.masked_tokens,
        "untrained_documents": summary.untrained_documents,
        "context": dataset.context(),
        "vocab_size": dataset.vocab_size(),
        "tokenizer_sha256": dataset.tokenizer_hash(),
        "sha256": dataset.hash(),
        "refused": dataset.refused(),
        "histogram": histogram,
        "longest": longest,
    })
}

/// A bar of eighths of a column; something of it shows wherever there is something.
fn bar(value: u64, most: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (value * BAR_COLUMNS * 8).div_ceil(most.max(1)) as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_proportional_and_never_vanish() {
        assert_eq!(bar(10, 10), "█".repeat(40));
        assert_eq!(bar(0, 10), "");
        assert_eq!(bar(1, 1_000_000), "▏");
        assert_eq!(bar(1, 80), "▌");
    }

    #[test]
    fn a_terminal_is_not_steered() {
        assert_eq!(printable("a\x1b[2J\tb\n"), "a\u{fffd}[2J\tb\n");
    }
}
