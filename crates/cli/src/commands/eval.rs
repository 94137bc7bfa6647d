//! `srek eval`: what a model is worth, beside its base and beside methods without a model.

mod hostile;
mod incidents;
mod latency;
mod postmortems;
mod reading;
mod seeds;
mod texts;
mod words;

pub(crate) use incidents::{Incidents, Laboratory, Sizes};

use crate::args::{EvalArgs, SuiteName};
use crate::asked::Asked;
use crate::chart::Figure;
use crate::chart::bars::{Group, bars};
use crate::chart::reliability::reliability;
use crate::exit::usage;
use crate::machine::Machine;
use crate::models;
use crate::output::{Answer, duration};
use crate::report::{Report, Sample};
use crate::weights::{Form, Source};
use anyhow::Result;
use eval::incidents::Score;
use eval::interval::Interval;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;
use train::Provenance;

/// A model that is compared with others.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// What it is called.
    pub(crate) name: String,
    /// The directory of the base.
    pub(crate) base: PathBuf,
    /// What was tuned over it.
    pub(crate) adapter: Option<PathBuf>,
    /// How the base is held: as the adapter was trained.
    pub(crate) form: Form,
}

impl Subject {
    /// The base, and with an adapter the tuned model, both in the form that the adapter was trained
    /// in.
    ///
    /// # Errors
    /// A record beside the adapter that is damaged.
    pub(crate) fn pair(base: &Path, adapter: Option<&Path>) -> Result<Vec<Subject>> {
        let record = adapter.map(Provenance::read).transpose()?.flatten();
        let form = Form::recorded(record.as_ref());
        let subject = |name: &str, adapter: Option<&Path>| Subject {
            name: name.to_owned(),
            base: base.to_owned(),
            adapter: adapter.map(Path::to_owned),
            form,
        };
        let tuned = adapter.map(|adapter| subject("tuned", Some(adapter)));
        Ok([subject("base", None)].into_iter().chain(tuned).collect())
    }

    /// Loads it.
    ///
    /// # Errors
    /// Weights, an adapter or a tokenizer that are damaged or do not belong together.
    pub(crate) fn open(&self, machine: &Machine) -> Result<Asked> {
        let source = Source::checked(&self.base, self.adapter.as_deref(), self.form, machine)?;
        Asked::open(machine, &source, &self.base)
    }
}

/// What came out, for people and for programs.
#[derive(Debug, Default)]
struct Findings {
    /// By suite, its tables.
    texts: Vec<(SuiteName, String)>,
    /// By the name of the suite.
    json: serde_json::Map<String, Value>,
    figures: Vec<Figure>,
}

impl Findings {
    fn add(&mut self, suite: SuiteName, (text, json): (String, Value)) {
        self.texts.push((suite, text));
        self.json.insert(suite.to_string(), json);
    }
}

/// Bars of right answers, and how far confidence can be trusted.
pub(crate) fn figures(scores: &[Score]) -> Vec<Figure> {
    let group = |measure: &str, of: &dyn Fn(&Score) -> Option<Interval>| Group {
        measure: measure.to_owned(),
        bars: scores.iter().filter_map(|it| Some((it.method.clone(), of(it)?))).collect(),
    };
    let known = |score: &Score| score.known.clone();
    let groups = [
        group("cause, likeliest", &|it| Some(known(it)?.cause_top1)),
        group("cause, three likeliest", &|it| Some(known(it)?.cause_top3)),
        group("service, likeliest", &|it| Some(known(it)?.service_top1)),
    ];
    let trusted: Vec<_> = scores
        .iter()
        .filter(|it| it.method.starts_with("base") || it.method.starts_with("tuned"))
        .map(|it| (it.method.clone(), it.calibration.clone()))
        .collect();
    vec![
        bars(
            "Right answers",
            "Share of test incidents with one fault of a known kind; whiskers are 95 % intervals.",
            &groups,
        ),
        reliability(
            "Can its confidence be trusted?",
            "On the diagonal, answers are right as often as the model is sure of them.",
            &trusted,
        ),
    ]
}

/// Runs the suites.
pub(crate) fn run(args: &EvalArgs, machine: &Machine) -> Result<Answer> {
    if args.count == 0 || args.train == 0 {
        return Err(usage("--count and --train are numbers of incidents, expected at least 1"));
    }
    if args.calibrate.is_some() && (args.held_out == 0 || !(0.0..=1.0).contains(&args.precision)) {
        return Err(usage(
            "--held-out is a number of incidents, expected at least 1, and --precision a share, 0 to 1",
        ));
    }
    let base = models::directory_or_embedded(args.base.as_deref())?;
    let dense = args.dense.as_deref().map(models::directory).transpose()?;
    let adapter = args.adapter.as_deref().map(|adapter| ("--adapter", adapter));
    let inputs = [("--base", base.as_path())].into_iter().chain(adapter);
    crate::paths::check_directory(&args.out, inputs)?;
    files::check_replaceable(&args.out, "comparison", is_part)?;
    check_inputs(args, dense.as_deref())?;
    if args.seeds.is_some() {
        return seeds::run(args, (&base, dense.as_deref()), machine);
    }
    let started = Instant::now();
    let mut subjects = Subject::pair(&base, args.adapter.as_deref())?;
    subjects.retain(|subject| !args.tuned_only || subject.adapter.is_some());
    let mut findings = Findings::default();
    for suite in SuiteName::ALL.into_iter().filter(|suite| args.suites.contains(suite)) {
        let found = match suite {
            SuiteName::Incidents => {
                let asked = incidents::suite(args, machine, &subjects)?;
                findings.figures = figures(&asked.scores());
                asked.findings()
            }
            SuiteName::Commands => words::suite(args, machine, &subjects)?,
            SuiteName::Postmortems => match &args.postmortems {
                Some(directory) => postmortems::suite(args, directory, machine, &subjects)?,
                None => {
                    let hint = "--postmortems DIR names the documents that \
                                datasets/labels/dfds.jsonl labels";
                    (format!("left out: {hint}\n"), Value::Null)
                }
            },
            SuiteName::Reading => reading::suite(args, machine, &subjects)?,
            SuiteName::Hostile => hostile::suite(args, machine, &subjects)?,
            SuiteName::Forgetting => texts::suite(args, machine, &subjects)?,
            SuiteName::Latency => latency::suite(args, machine, &subjects)?,
        };
        findings.add(suite, found);
    }
    let seconds = started.elapsed().as_secs_f64();
    findings.json.insert("seconds".into(), seconds.into());
    findings.json.insert("peak_rss_bytes".into(), json!(files::memory::vm_hwm_bytes()));
    finish(findings, &args.out, seconds)
}

/// Reads everything that is needed late, so that a mistake is told before hours of work and not after.
fn check_inputs(args: &EvalArgs, dense: Option<&Path>) -> Result<()> {
    if let Some(adapter) = &args.adapter {
        model::LoraConfig::read(adapter)?;
    }
    if let Some(dense) = dense {
        Subject::pair(dense, None)?;
        crate::asked::Voice::of_model(dense)?;
    }
    if let Some(directory) = &args.postmortems {
        postmortems::files(directory)?;
    }
    texts::sources(args).map(drop)
}

/// What of an earlier comparison may be replaced: the results, and with `--seeds` the trainings.
fn is_part(name: &str) -> bool {
    ["eval.json", "report.html"].contains(&name)
        || name.starts_with("tuned-seed-")
        || name.starts_with("control-")
}

/// Writes the results and says where they are.
fn finish(findings: Findings, out: &Path, seconds: f64) -> Result<Answer> {
    let Findings { texts, json, figures } = findings;
    let json = Value::Object(json);
    files::create_dir_all(out)?;
    let (file, page) = (out.join("eval.json"), out.join("report.html"));
    let whole = format!("{json:#}\n");
    files::write_atomic(&file, |out| out.write_all(whole.as_bytes()))?;
    let sample = |(suite, text): &(SuiteName, String)| Sample {
        title: suite.to_string(),
        prompt: String::new(),
        text: text.clone(),
    };
    let report = Report {
        title: "Evaluation".into(),
        lead: format!(
            "Base and tuned model beside methods without a model, in {}.",
            duration(seconds)
        ),
        figures,
        tables: vec![],
        samples: texts.iter().map(sample).collect(),
    };
    report.write(&page)?;
    let mut text: String =
        texts.iter().map(|(suite, text)| format!("--- {suite}\n{text}\n")).collect();
    text.push_str(&format!(
        "{}, all numbers in {}, report in {}\n",
        duration(seconds),
        file.display(),
        page.display()
    ));
    Ok(Answer { text, json })
}

/// A share with its interval, as `0.81 (0.75 to 0.86)`.
pub(crate) fn share(interval: Option<&eval::interval::Interval>) -> String {
    interval
        .map_or("-".to_owned(), |it| format!("{:.2} ({:.2} to {:.2})", it.mean, it.low, it.high))
}
