//! `srek demo`: the whole story in a few minutes. Incidents are simulated, the embedded model is
//! tuned on them with QLoRA, base and tuned model are compared on incidents of another side of the
//! laboratory, and one of these is diagnosed.

use crate::args::{BUDGET, DemoArgs};
use crate::asked::{Asked, Manner};
use crate::commands::diagnose::{Diagnosed, diagnose};
use crate::commands::eval::{Incidents, Laboratory, Sizes, Subject, figures};
use crate::embedded;
use crate::exit::usage;
use crate::machine::Machine;
use crate::output::{Answer, duration, note};
use crate::report::{Report, Table};
use crate::training::Ran;
use crate::tuning::Tuning;
use anyhow::Result;
use eval::example::Case;
use eval::incidents::Score;
use lab::{Part, Settings};
use serde_json::{Value, json};
use sre::fusion::Weights;
use std::path::Path;
use std::time::Instant;

/// The incidents of the demo; the recipe's number of steps reads the training ones about once.
const SIZES: Sizes =
    Sizes { train: 2000, test: 100, budget: BUDGET, seed: 1, train_seed: 1, held_out: 0 };
/// Those of `--quick`, with its steps.
const QUICK: Sizes =
    Sizes { train: 64, test: 24, budget: BUDGET, seed: 1, train_seed: 1, held_out: 0 };
const QUICK_STEPS: u64 = 6;

/// What of an earlier demo may be replaced.
const PARTS: [&str; 4] = ["tuning", "diagnosis", "report.html", "demo.json"];

/// Everything that came out.
struct Shown {
    incidents: Incidents,
    tune: Ran,
    diagnosed: Diagnosed,
    /// Of the base.
    parameters: usize,
    seconds: f64,
}

/// Runs the demo.
pub(crate) fn run(args: &DemoArgs, machine: &Machine) -> Result<Answer> {
    let started = Instant::now();
    prepare(&args.out)?;
    let base = embedded::directory()?;
    let sizes = if args.quick { QUICK } else { SIZES };

    note("1 of 4: incidents are simulated, and the base is asked about those of the test");
    let subject = |adapter: Option<&Path>| -> Result<Asked> {
        let mut subjects = Subject::pair(&base, adapter)?;
        subjects.pop().ok_or_else(|| usage("no model"))?.open(machine)
    };
    let mut asked = subject(None)?;
    let mut incidents = Incidents::new(Laboratory::new(&asked.voice, &sizes)?);
    incidents.ask("base", &mut asked, false)?;
    drop(asked);

    note("2 of 4: the base is tuned with LoRA over its weights in 4 bits");
    let tuning = Tuning {
        what: "tuning",
        base: &base,
        directory: &args.out.join("tuning"),
        seed: 1,
        steps: args.quick.then_some(QUICK_STEPS),
        shuffled: false,
        exact: false,
    };
    let tune = tuning.train(machine, &incidents.laboratory)?;

    note("3 of 4: the tuned model is asked about the same incidents");
    let mut asked = subject(tune.result())?;
    incidents.ask("tuned", &mut asked, true)?;
    incidents.fuse(&Weights::TUNED);

    note("4 of 4: one incident of the test is diagnosed");
    let diagnosed = one(&incidents.laboratory, &mut asked, &sizes)?;
    diagnosed.write(&args.out.join("diagnosis"))?;

    let (parameters, seconds) = (asked.parameters, started.elapsed().as_secs_f64());
    Shown { incidents, tune, diagnosed, parameters, seconds }.finish(args, machine)
}

/// Makes the directory, and looks that nothing but an earlier demo would be replaced.
fn prepare(out: &Path) -> Result<()> {
    files::check_replaceable(out, "a demo", |name| PARTS.contains(&name))?;
    Ok(files::create_dir_all(out)?)
}

/// Diagnoses the first test incident with one fault of a known kind: not one that was chosen for
/// how well it goes.
fn one(laboratory: &Laboratory, asked: &mut Asked, sizes: &Sizes) -> Result<Diagnosed> {
    let known = laboratory.test.iter().position(|it| it.case == Case::Known).unwrap_or(0);
    let settings = Settings::new(sizes.seed, Part::Test);
    let incident = lab::incident(&settings, known as u64).incident;
    let weights = Some(Weights::TUNED);
    let manner = Manner { weights, ..Manner::plain(&laboratory.causes) };
    diagnose(asked, (incident, Vec::new()), sizes.budget, &manner)
}

impl Shown {
    /// Writes report and numbers, and answers.
    fn finish(&self, args: &DemoArgs, machine: &Machine) -> Result<Answer> {
        let report = args.out.join("report.html");
        self.report(machine).write(&report)?;
        let json = self.json();
        let whole = format!("{json:#}\n");
        files::write_atomic(args.out.join("demo.json"), |out| out.write_all(whole.as_bytes()))?;
        Ok(Answer { text: self.text(&args.out, &report), json })
    }

    fn report(&self, machine: &Machine) -> Report {
        let scores = self.incidents.scores();
        let mut drawn = figures(&scores);
        let title = "One incident of the test, and the evidence that the answer cites";
        drawn.push(self.diagnosed.figure(title));
        drawn.push(self.tune.losses.figure("Tuning: loss per answer token"));
        let rows = |rows: Vec<(&str, String)>| {
            rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
        };
        Report {
            title: "Demo".into(),
            lead: format!(
                "Simulated incidents, a model of {:.1} million parameters; says nothing about the 8B. \
                 Tuned with QLoRA and compared in {}, on {} with {} threads ({}).",
                self.parameters as f64 / 1e6,
                duration(self.seconds),
                crate::machine::processor(),
                machine.threads,
                machine.tier()
            ),
            figures: drawn,
            tables: vec![
                Table { title: "Tuning: LoRA over NF4".into(), rows: rows(self.tune.rows()) },
                Table { title: "The answer".into(), rows: rows(self.diagnosed.rows()) },
            ],
            samples: vec![],
        }
    }

    fn text(&self, out: &Path, report: &Path) -> String {
        let (table, _) = self.incidents.findings();
        let (diagnosed, name) = (self.diagnosed.text(), report.display());
        format!(
            "--- base and tuned on simulated incidents\n{table}\n--- one incident of the test\n\
             {diagnosed}\n{}; report in {name}, post-mortem and runbook in {}, adapter in {}\n",
            duration(self.seconds),
            out.join("diagnosis").display(),
            self.tune.result().unwrap_or(out).display()
        )
    }

    fn json(&self) -> Value {
        let scores = self.incidents.scores();
        let of = |method: &str| {
            let known = scores.iter().find(|score| score.method == method)?.known.as_ref()?;
            Some(json!({
                "cause_top1": known.cause_top1.mean,
                "service_top1": known.service_top1.mean,
            }))
        };
        let tuned: Option<&Score> = scores.iter().find(|score| score.method == "tuned");
        json!({
            "base": of("base"),
            "tuned": of("tuned"),
            "dummy": of("majority"),
            "knn": of("nearest neighbour"),
            "logistic": of("logistic regression"),
            "citations": tuned.and_then(|score| score.citations),
            "tune": self.tune.json(),
            "seconds": self.seconds,
            "peak_rss_bytes": files::memory::vm_hwm_bytes(),
        })
    }
}
