use super::*;
use lab::{Part, Settings};
use sre::cause::Cause;
use sre::evidence::Options;

fn pack(incident: &Incident) -> Pack {
    let options = Options {
        budget: 2000,
        causes: &[Cause::None],
        tokens: &|text| text.len() / 3,
        excerpts: false,
    };
    Pack::new(incident, &options).unwrap()
}

/// Three incidents of the laboratory with their right answers.
pub(crate) fn examples() -> Vec<Figure> {
    let settings = Settings::new(7, Part::Test);
    let example = |number: u64| {
        let simulated = lab::incident(&settings, number);
        let incident = &simulated.incident;
        let pack = pack(incident);
        let said = simulated.record(&pack);
        let at_fault = simulated.truth.service.as_deref();
        let cited = Cited { incident, pack: &pack, ids: &said.evidence, at_fault };
        signals(&format!("Incident {number}: {}", said.cause.name()), &cited)
    };
    (1..=3).map(example).collect()
}

/// The example of the documentation.
fn small() -> Incident {
    let page = include_str!("../../../../../docs/incident.md");
    let (_, example) = page.split_once("```json\n").expect("an example");
    Incident::read(example.split_once("```").expect("its end").0).unwrap()
}

fn figure(incident: &Incident, ids: &[&str]) -> Figure {
    let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    let pack = pack(incident);
    signals("t", &Cited { incident, pack: &pack, ids: &ids, at_fault: Some("cart") })
}

/// Adds series that all stand out, to `cart`.
fn with_series(count: usize, values: &dyn Fn(usize) -> Option<f64>) -> Incident {
    let mut incident = small();
    let model = incident.metrics[0].clone();
    incident.metrics.clear();
    for index in 0..count {
        let mut series = model.clone();
        series.id = format!("x{index}");
        series.step_seconds = 15;
        series.start = incident.start - (incident.end - incident.start);
        let spacing = incident.end.as_second() - series.start.as_second();
        series.values = (0..=spacing as usize / 15).map(values).collect();
        incident.metrics.push(series);
    }
    incident
}

#[test]
fn cited_evidence_is_named_and_the_rest_is_not() {
    let incident = small();
    let figure = figure(&incident, &["m1", "l1", "c1"]);
    for svg in &figure.svg {
        assert!(svg.contains(">alert</text>"), "{svg}");
        // The change was made before there is telemetry.
        for (id, named) in [("m1", true), ("◂ c1", true), ("m2", false), ("e1", false)] {
            assert_eq!(svg.contains(&format!(">{id}</text>")), named, "{id}: {svg}");
        }
        assert!(svg.contains("at fault") && svg.contains("class=\"limit\""), "{svg}");
    }
    let ids: Vec<&str> = figure.below.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["c1", "l1"]);
    assert!(figure.below[1].1.contains(&incident.logs[0].message), "{:?}", figure.below);
}

#[test]
fn a_cited_series_is_shown_however_weak() {
    let incident = with_series(12, &|index| Some(if index < 40 { 1.0 } else { 2e8 }));
    let pack = pack(&incident);
    let last = pack.items.iter().rfind(|item| item.kind == Kind::Metric).unwrap();
    let metrics = pack.items.iter().filter(|item| item.kind == Kind::Metric).count();
    let ids = [last.id.clone()];
    let cited = Cited { incident: &incident, pack: &pack, ids: &ids, at_fault: None };
    let shown = strongest(&cited, &BTreeSet::from([last.id.as_str()]));
    assert_eq!(shown.len(), MOST_SERIES.min(metrics));
    assert!(shown.iter().any(|series| series.id == last.id));
}

#[test]
fn gaps_stay_gaps() {
    let incident =
        with_series(1, &|index| (index % 10 != 3).then_some(if index < 40 { 1.0 } else { 2e8 }));
    let series = &incident.metrics[0];
    let gaps = series.values.iter().filter(|value| value.is_none()).count();
    let svg = &figure(&incident, &[]).svg[0];
    let curve =
        svg.lines().find(|it| it.contains("plain curve")).unwrap_or_else(|| panic!("{svg}"));
    assert_eq!(curve.matches('M').count(), gaps + 1, "{curve}");
}

#[test]
fn names_and_lines_from_the_cluster_are_text() {
    let mut incident = small();
    let evil = "<img src=x onerror=alert(1)>\u{202e}\"'&";
    incident.metrics[0].name = evil.into();
    incident.logs[0].message = evil.repeat(300);
    incident.changes[0].message = evil.into();
    let figure = figure(&incident, &["m1", "l1", "c1", "e1"]);
    for svg in &figure.svg {
        assert!(!svg.contains("<img") && !svg.contains('\u{202e}'), "{svg}");
    }
    assert!(figure.below.iter().all(|(_, text)| text.chars().count() < 500));
}

#[test]
fn many_events_and_none_at_all_give_a_figure() {
    let mut incident = small();
    let model = incident.events[0].clone();
    for index in 0..20_000_i64 {
        let mut event = model.clone();
        event.id = format!("x{index}");
        event.time = incident.start + std::time::Duration::from_secs(index as u64 % 600);
        incident.events.push(event);
    }
    let ids: Vec<String> = (0..200).map(|index| format!("x{index}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let crowded = figure(&incident, &ids);
    assert!(crowded.svg[0].len() < 300_000, "{}", crowded.svg[0].len());
    assert!(crowded.svg[0].contains(" more)</title>"));
    assert_eq!(crowded.below.len(), 200);
    incident.metrics.clear();
    incident.events.clear();
    incident.changes.clear();
    incident.logs.clear();
    let empty = figure(&incident, &["gone"]);
    assert!(empty.svg[0].contains(">alert</text>") && empty.below.is_empty());
}
