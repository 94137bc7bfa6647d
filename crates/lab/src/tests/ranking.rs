//! Rankings of simulated incidents: another dialect, call graph and set of faults must not matter.

use crate::{Part, Settings, Shares, many};
use sre::cause::Cause;
use sre::rank::{Window, rank};

/// How many there are, how often the service at fault is first, and, for good days, how often nothing
/// is found.
fn scores(settings: &Settings, late: f64) -> (usize, usize) {
    let rows = many(settings, 0..60, |it| {
        let window = Window::of(&it.incident).unwrap().later(late);
        let first = rank(&window).services().first().map(|it| window.services[*it].clone());
        let told = it.truth.service.is_some() || it.truth.fault == Cause::None;
        told.then_some(first == it.truth.service)
    });
    let told: Vec<bool> = rows.into_iter().flatten().collect();
    (told.len(), told.iter().filter(|right| **right).count())
}

#[test]
fn the_service_at_fault_is_found_and_nothing_on_a_good_day() {
    let none =
        Shares { healthy: 0.0, two_faults: 0.0, held_out_fault: 0.0, too_little_evidence: 0.0 };
    for (step_seconds, late, least) in [(60, 0.0, 85), (60, 300.0, 70), (5, 60.0, 80)] {
        let settings = Settings { step_seconds, shares: none, ..Settings::new(11, Part::Test) };
        let (count, right) = scores(&settings, late);
        assert!(
            right * 100 >= count * least,
            "{step_seconds} s, {late} s late: {right} of {count}"
        );
    }
    let healthy = Shares { healthy: 1.0, ..none };
    let settings = Settings { shares: healthy, ..Settings::new(12, Part::Test) };
    let (count, right) = scores(&settings, 0.0);
    assert!(right * 100 >= count * 90, "{right} of {count} good days");
}

#[test]
fn a_finer_step_is_the_same_story() {
    let settings = Settings::new(5, Part::Train);
    let fine = Settings { step_seconds: 5, ..settings.clone() };
    let (coarse, fine) = (crate::incident(&settings, 3), crate::incident(&fine, 3));
    assert_eq!(coarse.truth.fault, fine.truth.fault);
    assert_eq!(coarse.truth.onset, fine.truth.onset);
    assert_eq!(coarse.incident.start, fine.incident.start);
    let longest =
        |it: &crate::Simulated| it.incident.metrics.iter().map(|it| it.values.len()).max();
    assert_eq!(longest(&fine), longest(&coarse).map(|it| it * 12));
    assert!(fine.incident.metrics.iter().all(|it| it.step_seconds == 5));
}
