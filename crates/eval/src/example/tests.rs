use super::*;
use sre::evidence::{Item, Kind};
use sre::signal::Signal;

/// An incident of three services in which `m1` supports the answer and `m2` does not.
pub(crate) fn example(case: Case, cause: Cause, service: &str) -> Example {
    let item = |id: &str, signal: Signal, service: &str, weight: f64| Item {
        id: id.to_owned(),
        kind: Kind::Metric,
        service: service.to_owned(),
        signal: Some(signal),
        weight,
        text: format!("{signal} up x3 from +1m"),
        said: format!("{signal} up x3 from +1m"),
        topics: Vec::new(),
        about: Vec::new(),
    };
    let index = service.strip_prefix('s').and_then(|it| it.parse::<usize>().ok()).unwrap_or(1);
    let names = ["web", "cart", "search"].map(str::to_owned);
    let signal = if cause == Cause::DiskFull { Signal::Disk } else { Signal::Memory };
    let items = vec![
        item("m1", signal, &names[index - 1], 50.0),
        item("m2", Signal::Latency, &names[2], 4.0),
    ];
    let shown: String = items.iter().map(|it| format!("{} {}\n", it.id, it.text)).collect();
    Example {
        id: "one".to_owned(),
        case,
        pack: Pack {
            services: names.to_vec(),
            all: items.clone(),
            items,
            prompt: format!("alert: s3 slow\n{shown}causes: disk-full bad-config\n"),
        },
        suspects: Default::default(),
        cause,
        second_cause: None,
        services: (service != sre::answer::NO_SERVICE)
            .then(|| service.to_owned())
            .into_iter()
            .collect(),
        support: BTreeSet::from(["m1".to_owned()]),
        answer: String::new(),
    }
}

#[test]
fn where_nobody_is_at_fault_nobody_is_right() {
    let healthy = example(Case::Healthy, Cause::None, "-");
    assert!(healthy.is_service("-"));
    assert!(!healthy.is_service("s1"));
    let sick = example(Case::Known, Cause::DiskFull, "s2");
    assert!(sick.is_service("s2"));
    assert!(!sick.is_service("-"));
}

#[test]
fn the_likeliest_stands_first() {
    let causes = vec![(Cause::DiskFull, 0.2), (Cause::BadConfig, 0.5), (Cause::None, 0.3)];
    let prediction = Prediction::new(causes, Vec::new());
    assert_eq!(prediction.cause(), Some((Cause::BadConfig, 0.5)));
    let example = example(Case::Known, Cause::DiskFull, "s1");
    assert!(!prediction.cause_in_top(&example, 2));
    assert!(prediction.cause_in_top(&example, 3));
    assert!(!prediction.service_in_top(&example, 3));
}
