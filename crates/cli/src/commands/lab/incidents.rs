//! `srek lab incidents`: simulated incidents as prompts with the right answers, their truth, and the
//! first of them as incident files.

use crate::args::LabIncidentsArgs;
use crate::exit::usage;
use crate::output::{Answer, pairs};
use crate::progress::Progress;
use lab::{Settings, Simulated};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use text::tokenizer::Tokenizer;

/// Most incidents at once: their lines, some kilobytes each, are kept until all are there.
const MOST: u64 = 1_000_000;

/// Incidents that are simulated before their lines are written.
const CHUNK: u64 = 512;

/// Bytes of a token where no tokenizer was given: fewer than of any that knows English.
const BYTES_PER_TOKEN: usize = 3;

/// What is kept of an incident.
struct Made {
    record: String,
    truth: String,
    /// The incident itself, for the first of them.
    file: Option<String>,
    tokens: usize,
    cause: &'static str,
}

/// What came out in all.
#[derive(Default)]
struct Totals {
    tokens: usize,
    longest: usize,
    causes: BTreeMap<&'static str, u64>,
}

/// What stands in the directory of a result.
const PARTS: [&str; 3] = ["incidents", "records.jsonl", "truth.jsonl"];

/// Simulates and writes.
pub(crate) fn run(args: &LabIncidentsArgs) -> anyhow::Result<Answer> {
    if args.count == 0 {
        return Err(usage("--count 0: there is nothing to simulate\nhint: --count 1000"));
    }
    if args.count > MOST {
        return Err(usage(format!(
            "--count {}: at most {MOST} at once\nhint: other seeds give other incidents",
            args.count
        )));
    }
    // What stands there will be replaced.
    files::check_replaceable(&args.out, "simulated incidents", |name| PARTS.contains(&name))?;
    let tokenizer = args.tokenizer.as_deref().map(Tokenizer::from_file).transpose()?;
    let maker = Maker {
        settings: Settings::new(args.seed, args.part.part()),
        tokenizer,
        budget: args.budget,
        files: args.files,
    };
    let mut totals = Totals::default();
    crate::paths::make_parent(&args.out)?;
    files::write_dir_atomic(&args.out, |directory| {
        write(&maker, args.count, directory, &mut totals)
    })?;
    Ok(answer(args, &totals))
}

/// Writes the files of a result into an empty directory.
fn write(maker: &Maker, count: u64, directory: &Path, totals: &mut Totals) -> anyhow::Result<()> {
    let mut progress = Progress::new("simulating", Some(count));
    if maker.files > 0 {
        files::create_dir_all(directory.join("incidents"))?;
    }
    let (mut records, mut truths) = (Vec::new(), Vec::new());
    for first in (0..count).step_by(CHUNK as usize) {
        let numbers = first..count.min(first + CHUNK);
        let made = lab::many(&maker.settings, numbers.clone(), |simulated| maker.make(&simulated));
        for (number, made) in numbers.zip(made) {
            let made = made?;
            writeln!(records, "{}", made.record)?;
            writeln!(truths, "{}", made.truth)?;
            if let Some(file) = made.file {
                let path = directory.join(format!("incidents/{number:05}.json"));
                files::write_atomic(path, |out| out.write_all(file.as_bytes()))?;
            }
            totals.tokens += made.tokens;
            totals.longest = totals.longest.max(made.tokens);
            *totals.causes.entry(made.cause).or_default() += 1;
        }
        progress.at(first, || "incidents".to_owned());
    }
    files::write_atomic(directory.join("records.jsonl"), |out| out.write_all(&records))?;
    files::write_atomic(directory.join("truth.jsonl"), |out| out.write_all(&truths))?;
    Ok(())
}

/// Makes lines out of incidents.
struct Maker {
    settings: Settings,
    tokenizer: Option<Tokenizer>,
    budget: usize,
    files: u64,
}

impl Maker {
    fn tokens(&self, text: &str) -> text::Result<usize> {
        match &self.tokenizer {
            Some(tokenizer) => Ok(tokenizer.encode(text)?.len()),
            None => Ok(text.len().div_ceil(BYTES_PER_TOKEN)),
        }
    }

    fn make(&self, simulated: &Simulated) -> anyhow::Result<Made> {
        let causes = self.settings.causes();
        let tokens = |text: &str| self.tokens(text);
        let pack = sre::analyst::pack(&simulated.incident, self.budget, &causes, false, &tokens)?;
        let said = simulated.record(&pack);
        let (id, truth) = (&simulated.incident.id, &simulated.truth);
        let record = json!({
            "id": id, "group": id, "prompt": pack.prompt, "completion": said.text(),
        });
        let second = truth.second.as_ref();
        let truth = json!({
            "id": id,
            "dialect": simulated.dialect,
            "service": truth.service,
            "cause": truth.cause,
            "fault": truth.fault,
            "second": second.map(|(service, cause)| json!({"service": service, "fault": cause})),
            "evidence": truth.evidence,
            "telling": truth.telling,
            "action": truth.action,
        });
        let wanted = simulated.number < self.files;
        let file = wanted.then(|| serde_json::to_string(&simulated.incident)).transpose()?;
        let tokens = self.tokens(&pack.prompt)?;
        let (record, truth) = (record.to_string(), truth.to_string());
        Ok(Made { record, truth, file, tokens, cause: said.cause.name() })
    }
}

fn answer(args: &LabIncidentsArgs, totals: &Totals) -> Answer {
    let mean = totals.tokens as f64 / args.count as f64;
    let rows = [
        ("incidents", args.count.to_string()),
        ("causes", totals.causes.len().to_string()),
        ("prompt tokens", format!("{mean:.0} on average, {} at most", totals.longest)),
        ("written to", args.out.display().to_string()),
    ];
    let json = json!({
        "incidents": args.count,
        "causes": totals.causes,
        "mean_prompt_tokens": mean,
        "most_prompt_tokens": totals.longest,
        "out": args.out,
    });
    Answer { text: pairs(&rows), json }
}
