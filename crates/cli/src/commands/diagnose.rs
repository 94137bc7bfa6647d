//! `srek diagnose`: an incident, from a file or read from a cluster, becomes a checked answer, a
//! post-mortem, a runbook and a report.

use crate::args::DiagnoseArgs;
use crate::asked::{Asked, Manner};
use crate::chart::Figure;
use crate::chart::signals::{Cited, signals};
use crate::exit::usage;
use crate::machine::Machine;
use crate::output::{Answer, note, pairs, table};
use crate::report::{Report, Table};
use crate::weights::Source;
use ::cluster::read::Missing;
use anyhow::{Context, Result, bail};
use eval::fit::Fitted;
use serde_json::json;
use sre::agents::{self, Bounds, Debate, Outcome, Verdict, question};
use sre::analyst::Diagnosis;
use sre::artifact::{Why, check, post_mortem, runbook};
use sre::cause::Cause;
use sre::doubt::Doubt;
use sre::evidence::Pack;
use sre::fusion::{THRESHOLD, Weights};
use sre::incident::{Incident, plain};
use std::path::Path;
use std::time::{Duration, Instant};

mod cluster;
#[cfg(test)]
mod tests;

/// Largest incident file that is opened; what is in it is counted more strictly.
const LIMIT_BYTES: u64 = 64 << 20;
/// Largest file of a calibration.
const CALIBRATION_BYTES: u64 = 1 << 16;
/// Causes and services that are listed.
const LISTED: usize = 5;
/// Suspects that are listed.
const SUSPECTS: usize = 3;
/// Characters of a text of the cluster that are shown in a line; names are shorter.
const SHOWN: usize = 110;

/// What stands in the directory of a result.
const PARTS: [&str; 5] = ["answer.json", DRAFTS[0], DRAFTS[1], "report.html", QUESTION];
/// What a human is asked, where it was not decided.
const QUESTION: &str = "question.md";
/// Those of them that people go on with.
const DRAFTS: [&str; 2] = ["post-mortem.md", "runbook.md"];

/// A diagnosis with what it was made of.
pub(crate) struct Diagnosed {
    /// What was known.
    pub(crate) incident: Incident,
    /// What the model was shown.
    pub(crate) pack: Pack,
    /// What came of it, and how.
    pub(crate) debate: Debate,
    /// From the prompt to the checked answer.
    pub(crate) seconds: f64,
    /// What of the cluster could not be read.
    pub(crate) missing: Vec<Missing>,
}

/// Diagnoses.
pub(crate) fn run(args: &DiagnoseArgs, machine: &Machine) -> Result<Answer> {
    let (weights, threshold) = calibration(args)?;
    if let Some(out) = &args.out {
        check_out(out)?;
    }
    let causes = causes(&args.causes)?;
    let (incident, missing) = match &args.incident {
        Some(file) => (read(file)?, Vec::new()),
        None => cluster::read(&args.cluster)?,
    };
    if let Some(draft) = &args.check {
        return check_draft(draft, &incident);
    }
    if args.model.model.is_none() && args.model.adapter.is_none() {
        note(
            "sre-tiny is used as it is, without an adapter: ranking and signs decide, and it only \
             cites; `srek demo` tunes one",
        );
    }
    let source = Source::open(&args.model, machine)?;
    let mut asked = Asked::open(machine, &source, &args.model.directory()?)?;
    let manner = Manner {
        weights: Some(weights),
        threshold,
        deadline: args.deadline.map(Duration::from_millis),
        excerpts: args.excerpts,
        ..Manner::plain(&causes)
    };
    let diagnosed = diagnose(&mut asked, (incident, missing), args.budget, &manner)?;
    if let Some(out) = &args.out {
        diagnosed.write(out)?;
    }
    Ok(diagnosed.answer(args.out.as_deref()))
}

/// Looks whether every statement of a draft names what it rests on.
fn check_draft(draft: &Path, incident: &Incident) -> Result<Answer> {
    let text = files::read_to_string(draft, LIMIT_BYTES)?;
    let found = check(&text, incident);
    let lines = found.iter().map(|it| {
        let why = match &it.why {
            Why::NoEvidence => "names no evidence".to_owned(),
            Why::NotThere(id) => format!("rests on {id}, which the incident does not have"),
        };
        format!("{}:{}: {why}: {}", draft.display(), it.line, it.statement)
    });
    let lines: Vec<String> = lines.collect();
    if !lines.is_empty() {
        bail!(
            "{}\nhint: put the ids that a statement rests on behind it, as in (`m1`, `e2`)",
            lines.join("\n")
        );
    }
    let text = format!("{}: every statement names evidence that is there\n", draft.display());
    Ok(Answer { text, json: json!({ "unsupported": [] }) })
}

/// How much each witness says, and from which probability on a fault is named.
fn calibration(args: &DiagnoseArgs) -> Result<(Weights, f64)> {
    let untuned = args.model.model.is_none() && args.model.adapter.is_none();
    let (weights, threshold) = match &args.calibration {
        Some(file) => {
            let text = files::read_to_string(file, CALIBRATION_BYTES)?;
            let fitted: Fitted = serde_json::from_str(&text)
                .map_err(|error| usage(format!("{}: {error}", file.display())))?;
            let wrong = |error: String| usage(format!("{}: {error}", file.display()));
            let chosen = if untuned { fitted.alone } else { fitted.weights };
            let weights = chosen.checked().map_err(|error| wrong(error.to_string()))?;
            if !(0.0..=1.0).contains(&fitted.threshold) {
                let found = fitted.threshold;
                return Err(wrong(format!("threshold: {found} is no probability from 0 to 1")));
            }
            (weights, fitted.threshold)
        }
        // What was never tuned knows causes by chance.
        None if untuned => (Weights::ALONE, THRESHOLD),
        None => (Weights::TUNED, THRESHOLD),
    };
    let threshold = args.threshold.unwrap_or(threshold);
    if !(0.0..=1.0).contains(&threshold) {
        let found = threshold;
        return Err(usage(format!("--threshold is {found}, expected a probability from 0 to 1")));
    }
    Ok((weights, threshold))
}

/// Looks that what is to be replaced is a diagnosis, and that nobody wrote into its drafts.
fn check_out(out: &Path) -> Result<()> {
    files::check_replaceable(out, "diagnosis", |name| PARTS.contains(&name))?;
    let answer = out.join(PARTS[0]);
    if !answer.exists() {
        return Ok(());
    }
    let answer = files::read_to_string(&answer, LIMIT_BYTES)?;
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
    for name in DRAFTS {
        let (path, written) = (out.join(name), &answer["sha256"][name]);
        if path.exists() && *written != json!(files::sha256_file(&path)?) {
            return Err(usage(format!(
                "{}: it is not as `srek diagnose` wrote it\nhint: keep the file elsewhere, or take \
                 another directory with --out",
                path.display()
            )));
        }
    }
    Ok(())
}

/// These causes and the two that always are on offer.
fn causes(names: &[String]) -> Result<Vec<Cause>> {
    if names.is_empty() {
        return Ok(lab::Settings::new(0, lab::Part::Test).causes());
    }
    let mut causes: Vec<Cause> = Vec::new();
    for name in names {
        let cause = name.parse()?;
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    let always = [Cause::None, Cause::Unknown];
    causes.retain(|cause| !always.contains(cause));
    causes.extend(always);
    Ok(causes)
}

/// Reads an incident file.
pub(crate) fn read(file: &Path) -> Result<Incident> {
    let text = files::read_to_string(file, LIMIT_BYTES)?;
    let incident = Incident::read(&text).with_context(|| file.display().to_string())?;
    ready(incident, &file.display().to_string())
}

/// The incident without secrets, if there is anything in it to diagnose.
fn ready(mut incident: Incident, place: &str) -> Result<Incident> {
    let masked = incident.mask_secrets();
    if !masked.is_empty() {
        let kinds: Vec<_> = masked.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        note(&format!("{place}: masked in messages: {}", kinds.join(", ")));
    }
    let Incident { metrics, logs, events, changes, .. } = &incident;
    if metrics.is_empty() && logs.is_empty() && events.is_empty() && changes.is_empty() {
        return Err(usage(format!(
            "{place}: there is nothing to diagnose: no metrics, logs, events or changes\nhint: \
             docs/incident.md says what of each is useful",
        )));
    }
    Ok(incident)
}

/// Asks a model about an incident of which it is shown at most `budget` tokens.
pub(crate) fn diagnose(
    asked: &mut Asked,
    (incident, missing): (Incident, Vec<Missing>),
    budget: usize,
    manner: &Manner<'_>,
) -> Result<Diagnosed> {
    let tokens = |text: &str| asked.voice.tokens(text);
    let pack = sre::analyst::pack(&incident, budget, manner.causes, manner.excerpts, &tokens)?;
    let started = Instant::now();
    let debate = asked.analyst(manner, |analyst| {
        let bounds = Bounds { rounds: agents::MOST_ROUNDS, whole: missing.is_empty() };
        agents::debate(analyst, &mut agents::nobody, &incident, &pack, bounds)
    })?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(Diagnosed { incident, pack, debate, seconds, missing })
}

impl Diagnosed {
    /// The draft of a post-mortem.
    pub(crate) fn post_mortem(&self) -> String {
        let missing = self.missing.iter().map(|it| format!("{it}")).collect::<Vec<_>>();
        post_mortem(&self.incident, &self.debate.diagnosis.answer, &self.pack, &missing)
    }

    /// The draft of a runbook for the likeliest cause.
    pub(crate) fn runbook(&self) -> String {
        runbook(self.debate.diagnosis.answer.cause, &self.incident, &self.debate.diagnosis.answer)
    }

    /// Writes everything into a directory of its own.
    pub(crate) fn write(&self, out: &Path) -> Result<()> {
        let drafts = [self.post_mortem(), self.runbook()];
        let mut answer = self.json();
        for (name, draft) in DRAFTS.iter().zip(&drafts) {
            answer["sha256"][name] = json!(files::sha256(draft.as_bytes()));
        }
        let [post_mortem, runbook] = drafts;
        let texts = [format!("{answer:#}\n"), post_mortem, runbook];
        let report = self.report();
        let question = question(&self.debate, &self.incident, &self.pack);
        let [names @ .., page, _] = PARTS;
        crate::paths::make_parent(out)?;
        files::write_dir_atomic(out, |inside| -> Result<()> {
            for (name, text) in names.iter().zip(&texts) {
                files::write_atomic(inside.join(name), |out| out.write_all(text.as_bytes()))?;
            }
            if let Some(question) = &question {
                let page = inside.join(QUESTION);
                files::write_atomic(page, |out| out.write_all(question.as_bytes()))?;
            }
            report.write(&inside.join(page))
        })
    }

    /// The signals of the incident with the cited evidence marked.
    pub(crate) fn figure(&self, title: &str) -> Figure {
        let Self { incident, pack, debate: Debate { diagnosis, .. }, .. } = self;
        let cited = Cited {
            incident,
            pack,
            ids: &diagnosis.answer.evidence,
            at_fault: diagnosis.answer.service.as_deref(),
        };
        signals(title, &cited)
    }

    /// That figure, and the answer.
    fn report(&self) -> Report {
        let table = |title: &str, rows: Vec<(&str, String)>| {
            let rows = rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            Table { title: title.to_owned(), rows }
        };
        Report {
            title: "Diagnosis".to_owned(),
            lead: format!(
                "What the model makes of incident {}. A proposal: nothing was changed.",
                plain(&self.incident.id, SHOWN)
            ),
            figures: vec![self.figure("The incident, and the evidence that the answer cites")],
            tables: [
                ("The answer", self.rows()),
                ("How probable", self.probabilities()),
                ("What could not be read", self.unread()),
            ]
            .into_iter()
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(title, rows)| table(title, rows))
            .collect(),
            samples: vec![],
        }
    }

    /// The likeliest causes.
    fn probabilities(&self) -> Vec<(&'static str, String)> {
        let listed = self.debate.diagnosis.causes.iter().take(LISTED);
        listed.map(|(cause, share)| (cause.name(), format!("{share:.3}"))).collect()
    }

    /// What could not be read, by source.
    fn unread(&self) -> Vec<(&'static str, String)> {
        let row = |it: &Missing| (it.source.name(), format!("{}: {}", it.what, it.why));
        self.missing.iter().map(row).collect()
    }

    fn json(&self) -> serde_json::Value {
        let Diagnosis { answer, causes, services, suspects, tokens, .. } = &self.debate.diagnosis;
        let ranked = |(label, score): &(String, f64)| json!({ "service": self.pack.service(label), "score": score });
        let named = |(label, share): &(String, f64)| json!({ "service": self.pack.service(label), "probability": share });
        let missing =
            |it: &Missing| json!({ "source": it.source.name(), "what": it.what, "why": it.why });
        let causes: Vec<_> = causes
            .iter()
            .map(|(cause, share)| json!({ "cause": cause, "probability": share }))
            .collect();
        json!({
            "incident": self.incident.id,
            "answer": answer,
            "doubts": Doubt::of(answer, &self.incident),
            "causes": causes,
            "services": services.iter().map(named).collect::<Vec<_>>(),
            "ranking": suspects.scores.iter().map(ranked).collect::<Vec<_>>(),
            "verdict": self.debate.verdict,
            "outcome": self.debate.outcome,
            "transcript": self.debate.transcript,
            "prompt_tokens": tokens.0,
            "answer_tokens": tokens.1,
            "seconds": self.seconds,
            "missing": self.missing.iter().map(missing).collect::<Vec<_>>(),
        })
    }

    /// The answer as names and values. Text of the cluster is shown plain, here as in the rest: it
    /// must not steer a terminal.
    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let answer = &self.debate.diagnosis.answer;
        let service = answer.service.as_deref().unwrap_or("none");
        let mut rows = vec![
            (
                "cause",
                format!("{} ({:.0} %)", answer.cause.name(), (100.0 * answer.confidence).floor()),
            ),
            ("service", plain(service, SHOWN)),
        ];
        if let Some(it) = &answer.below_threshold {
            let share = (100.0 * it.probability).floor();
            let needed = 100.0 * it.threshold;
            let text = format!("{} ({share} %), below the threshold of {needed} %", it.cause);
            rows.insert(1, ("likeliest", text));
        }
        if answer.cause.is_fault() {
            rows.push(("why", answer.cause.because().to_owned()));
        }
        rows.push(("proposed", answer.action.sentence()));
        match &self.debate.verdict {
            Verdict::Allowed => rows.push(("policies", "allow it".to_owned())),
            Verdict::Denied { reasons } => {
                rows.extend(reasons.iter().map(|reason| ("denied", plain(reason, SHOWN))));
            }
            Verdict::Unknown { why } if answer.cause.is_fault() => {
                rows.push(("policies", format!("unknown: {}", plain(why, SHOWN))));
            }
            Verdict::Unknown { .. } => {}
        }
        if let Outcome::Question { why } = &self.debate.outcome {
            rows.push(("for you", format!("a human has to decide: {}", why.sentence())));
        }
        let doubts = Doubt::of(answer, &self.incident);
        rows.extend(doubts.into_iter().map(|doubt| ("doubt", doubt.sentence().to_owned())));
        rows
    }

    /// The answer with its evidence and how probable other causes are.
    pub(crate) fn text(&self) -> String {
        let answer = &self.debate.diagnosis.answer;
        let mut text = pairs(&self.rows());
        text.push_str("\nevidence\n");
        for item in self.pack.all.iter().filter(|item| answer.evidence.contains(&item.id)) {
            let [id, service, line] =
                [&item.id, &item.service, &item.text].map(|it| plain(it, SHOWN));
            text.push_str(&format!("  {id:<5} {service}: {line}\n"));
        }
        if answer.evidence.is_empty() {
            text.push_str("  none cited\n");
        }
        text.push_str("\nmost suspect by metrics, calls and changes\n");
        let suspects = &self.debate.diagnosis.suspects;
        let row = |(label, score): &(String, f64)| {
            let name = self.pack.service(label).unwrap_or_default();
            vec![format!("  {}", plain(name, SHOWN)), format!("{score:.2}")]
        };
        let rows: Vec<Vec<String>> = suspects.scores.iter().take(SUSPECTS).map(row).collect();
        text.push_str(&match (rows.is_empty(), suspects.measured) {
            (false, _) => table(&rows),
            (true, true) => "  nobody: nothing is worse than usual\n".to_owned(),
            (true, false) => "  nothing to rank: no series has enough values\n".to_owned(),
        });
        text.push_str("\nhow probable\n");
        let row = |(cause, share): (&str, String)| vec![format!("  {cause}"), share];
        let rows: Vec<Vec<String>> = self.probabilities().into_iter().map(row).collect();
        text.push_str(&table(&rows));
        if !self.missing.is_empty() {
            text.push_str("\nnot read\n");
            self.missing.iter().for_each(|it| text.push_str(&format!("  {it}\n")));
        }
        text
    }

    fn answer(&self, out: Option<&Path>) -> Answer {
        let mut text = self.text();
        if let Some(out) = out {
            let out = out.display();
            text.push_str(&format!("\nanswer, post-mortem, runbook and report in {out}\n"));
        }
        Answer { text, json: self.json() }
    }
}
