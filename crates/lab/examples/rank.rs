//! How well simulated incidents are ranked, as comma-separated values:
//! `cargo run -p lab --example rank -- [incidents] [seed] [--causes]`.

use lab::{Part, Settings, Shares, Simulated, many};
use sre::cause::Cause;
use sre::rank::Window;
use sre::rank::trial::{Method, wilson};
use std::collections::BTreeMap;

/// Seconds between samples, from what moment on, and seconds from there to the notice.
const STEPS: [u32; 2] = [60, 5];
const LATE: [f64; 3] = [0.0, 60.0, 300.0];
const FROM: [&str; 2] = ["onset", "alarm"];

/// One method on one incident.
#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    /// Nothing is wrong, it says.
    Nothing,
    /// The service at fault is at this place; far behind where it is not in the list.
    Place(usize),
}

fn main() {
    let mut numbers = std::env::args().filter_map(|it| it.parse::<u64>().ok());
    let (count, seed) = (numbers.next().unwrap_or(300), numbers.next().unwrap_or(1));
    let by_cause = std::env::args().any(|it| it == "--causes");
    println!("part,step_s,from,late_s,method,incidents,top1,low,high,top3,healthy,none");
    for part in [Part::Train, Part::Test] {
        for step_seconds in STEPS {
            let settings = Settings { step_seconds, ..Settings::new(seed, part) };
            let mut all = many(&settings, 0..count, |it| outcomes(&it));
            // More good days than come among the incidents.
            let healthy = Shares {
                healthy: 1.0,
                two_faults: 0.0,
                held_out_fault: 0.0,
                too_little_evidence: 0.0,
            };
            let quiet = Settings { shares: healthy, seed: seed + 1000, ..settings };
            all.extend(many(&quiet, 0..count, |it| outcomes(&it)));
            let all: Vec<_> = all.into_iter().flatten().collect();
            for (index, from) in FROM.iter().enumerate() {
                for (late, seconds) in LATE.iter().enumerate() {
                    let head = format!("{},{step_seconds},{from},{seconds}", part.name());
                    print(&head, &all, LATE.len() * index + late, by_cause);
                }
            }
        }
    }
}

/// The fault, and what every method says for every moment of notice; none where nothing shows which
/// service it was.
fn outcomes(it: &Simulated) -> Option<(Cause, Vec<Vec<Outcome>>)> {
    let base = Window::of(&it.incident).expect("an incident");
    let truth = it.truth.service.as_deref().and_then(|name| base.find(name));
    if truth.is_none() && it.truth.fault != Cause::None {
        return None;
    }
    let onset = it.truth.onset.map_or(base.split, |onset| onset.as_second() as f64);
    let splits = [onset, base.split].into_iter().flat_map(|from| LATE.map(|late| from + late));
    let all = splits.map(|split| {
        let window = base.clone().later(split - base.split);
        let outcome = |method: Method| {
            let order = method.services(&window);
            let place = order.iter().position(|service| Some(*service) == truth);
            let found = !order.is_empty();
            if found { Outcome::Place(place.unwrap_or(usize::MAX)) } else { Outcome::Nothing }
        };
        Method::ALL[..3].iter().map(|method| outcome(*method)).collect()
    });
    Some((it.truth.fault, all.collect()))
}

fn print(head: &str, all: &[(Cause, Vec<Vec<Outcome>>)], moment: usize, by_cause: bool) {
    for (method, name) in Method::ALL[..3].iter().map(|it| it.name()).enumerate() {
        let said = |of: &(Cause, Vec<Vec<Outcome>>)| (of.0, of.1[moment][method]);
        let (healthy, faults): (Vec<_>, Vec<_>) =
            all.iter().map(said).partition(|(fault, _)| *fault == Cause::None);
        let none = healthy.iter().filter(|it| it.1 == Outcome::Nothing).count();
        let within = |most: usize| {
            let found = |it: &&(Cause, Outcome)| matches!(it.1, Outcome::Place(at) if at < most);
            faults.iter().filter(found).count() as f64
        };
        let (low, high) = wilson(within(1), faults.len());
        let share = |hits: f64, of: usize| hits / of.max(1) as f64;
        println!(
            "{head},{name},{},{:.3},{low:.3},{high:.3},{:.3},{},{:.3}",
            faults.len(),
            share(within(1), faults.len()),
            share(within(3), faults.len()),
            healthy.len(),
            share(none as f64, healthy.len()),
        );
        if by_cause && method == 0 {
            let mut causes: BTreeMap<Cause, [usize; 4]> = BTreeMap::new();
            for (fault, outcome) in &faults {
                let counts = causes.entry(*fault).or_default();
                counts[0] += 1;
                counts[1] += usize::from(*outcome == Outcome::Place(0));
                counts[2] += usize::from(matches!(outcome, Outcome::Place(at) if *at < 3));
                counts[3] += usize::from(*outcome == Outcome::Nothing);
            }
            for (cause, [of, first, three, none]) in causes {
                println!("# {cause}: {of} incidents, {first} first, {three} in three, {none} none");
            }
        }
    }
}
