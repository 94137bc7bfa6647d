//! `srek lab saturation`: how early and how rightly methods say that something runs out.

use crate::args::LabSaturationArgs;
use crate::exit::usage;
use crate::output::{Answer, table};
use crate::progress::Progress;
use eval::saturation::{HORIZON, Score, Scores, compare};
use serde_json::{Map, Value, json};

/// Most series at once.
const MOST: u64 = 100_000;

/// Series that are looked at before progress is shown.
const CHUNK: u64 = 22;

const HOUR: f64 = 3_600.0;

/// Simulates, looks and compares.
pub(crate) fn run(args: &LabSaturationArgs) -> anyhow::Result<Answer> {
    if args.count == 0 {
        return Err(usage("--count 0: there is nothing to simulate\nhint: --count 110"));
    }
    if args.count > MOST {
        return Err(usage(format!(
            "--count {}: at most {MOST} at once\nhint: other seeds give other series",
            args.count
        )));
    }
    let mut progress = Progress::new("looking", Some(args.count));
    let mut seen = Vec::new();
    for first in (0..args.count).step_by(CHUNK as usize) {
        seen.extend(eval::saturation::look(args.seed, first..args.count.min(first + CHUNK)));
        progress.at(seen.len() as u64, || "series".to_owned());
    }
    Ok(answer(args, &compare(&seen)))
}

fn answer(args: &LabSaturationArgs, scores: &[Scores]) -> Answer {
    let heading =
        ["method", "recall", "median lead", "p10 lead", "false/day", "coverage", "time error"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(scores.iter().map(|it| row(it.method.name(), &it.all)));
    let mut text = table(&rows);
    if let Some(first) = scores.first() {
        let all = &first.all;
        text.push_str(&format!(
            "\n{} series, {:.0} days of them, {} reach their limit; horizon {:.0} h\n\n",
            all.series,
            all.days,
            all.events,
            HORIZON / HOUR
        ));
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        rows[0][0] = format!("{} on", first.method.name());
        rows.extend(first.by_course.iter().map(|(course, score)| row(course.name(), score)));
        text.push_str(&table(&rows));
    }
    let methods: Map<String, Value> = scores
        .iter()
        .map(|it| {
            let courses = it.by_course.iter();
            let courses: Map<String, Value> =
                courses.map(|(course, score)| (course.name().to_owned(), values(score))).collect();
            (it.method.name().to_owned(), json!({"all": values(&it.all), "courses": courses}))
        })
        .collect();
    let json = json!({
        "seed": args.seed,
        "series": args.count,
        "horizon_seconds": HORIZON,
        "methods": methods,
    });
    Answer { text, json }
}

fn row(name: &str, score: &Score) -> Vec<String> {
    let none = || "-".to_owned();
    let percent = |share: Option<f64>| share.map_or_else(none, |it| format!("{:.1}%", 100.0 * it));
    let hours = |it: Option<f64>| it.map_or_else(none, |it| format!("{:.1} h", it / HOUR));
    vec![
        name.to_owned(),
        percent(score.recall),
        hours(score.median_lead),
        hours(score.p10_lead),
        format!("{:.4}", score.false_per_day()),
        percent(score.coverage),
        percent(score.error),
    ]
}

fn values(score: &Score) -> Value {
    json!({
        "series": score.series,
        "days": score.days,
        "events": score.events,
        "recall": score.recall,
        "median_lead_seconds": score.median_lead,
        "p10_lead_seconds": score.p10_lead,
        "false_alarms": score.false_alarms,
        "false_alarms_per_day": score.false_per_day(),
        "intervals": score.intervals,
        "coverage": score.coverage,
        "time_error": score.error,
    })
}
