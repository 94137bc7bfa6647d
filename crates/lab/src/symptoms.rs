//! What is said because of the faults: by the services that they hit, and by those that suffer.

use crate::dice::Dice;
use crate::fault::Range;
use crate::phrase::Phrase;
use crate::simulate::Scene;
use crate::telemetry::who;
use crate::world::{BASELINE, Hit, State};
use crate::writer::{Worth, Writer};
use sre::incident::Level;

/// Writes all of it.
pub(crate) fn write(dice: &mut Dice, scene: &Scene, writer: &mut Writer<'_>) {
    for (index, hit) in scene.hits.iter().enumerate() {
        lines(dice, scene, writer, (index, hit));
        events(dice, scene, writer, (index, hit));
        for changed in hit.fault.changes {
            if dice.happens(changed.chance) {
                let minute = hit.onset - dice.between(changed.before);
                let worth = Worth::of(index, changed.telling);
                writer.change(dice, changed.phrase, hit.service, (minute, worth));
            }
        }
    }
    victims(dice, scene, writer);
}

fn lines(dice: &mut Dice, scene: &Scene, writer: &mut Writer<'_>, (index, hit): (usize, &Hit)) {
    for line in hit.fault.lines {
        for service in who(&scene.topology, hit.service, line.who) {
            if dice.happens(line.chance) {
                let count = count(dice, line.count);
                let minute = hit.onset + dice.between((0.2, 3.0));
                let worth = Worth::of(index, line.telling);
                let before = if line.level == Level::Error { 0 } else { count / 60 };
                let said = (line.phrase, line.level, count, before);
                writer.log(dice, said, (service, hit.service), (minute, worth));
            }
        }
    }
}

fn events(dice: &mut Dice, scene: &Scene, writer: &mut Writer<'_>, (index, hit): (usize, &Hit)) {
    for event in hit.fault.events {
        for service in who(&scene.topology, hit.service, event.who) {
            if dice.happens(event.chance) {
                let minute = hit.onset + dice.between((0.3, 4.0));
                let worth = Worth::of(index, event.telling);
                let count = count(dice, event.count);
                let said = (event.kind, event.reason, event.message, count);
                writer.event(dice, said, service, (minute, worth));
            }
        }
    }
}

fn count(dice: &mut Dice, range: Range) -> u64 {
    libm::round(dice.spread(range)) as u64
}

/// How badly a service does at its worst, from 0: the share of failures, and latency above normal.
pub(crate) fn suffering(scene: &Scene, service: usize) -> (f64, f64) {
    let states = scene.world.incident().iter().map(|row| row[service]);
    let normal = scene.world.normal[service];
    let worse = |(failing, slow): (f64, f64), state: State| {
        (failing.max(state.failing - normal.failing), slow.max(state.latency / normal.latency))
    };
    states.fold((0.0, 1.0), worse)
}

/// The callers of services that do badly complain about them.
fn victims(dice: &mut Dice, scene: &Scene, writer: &mut Writer<'_>) {
    let hurt: Vec<(f64, f64)> =
        (0..scene.topology.services.len()).map(|index| suffering(scene, index)).collect();
    for (caller, node) in scene.topology.services.iter().enumerate() {
        for (callee, _) in &node.calls {
            let (failing, slow) = hurt[*callee];
            let bad = failing > 0.03 || slow > 2.5;
            if !bad || !dice.happens(0.55) {
                continue;
            }
            let phrase = complaint(dice, (failing, slow), node.retries > 0.0);
            let level = if phrase == Phrase::BreakerOpen || phrase == Phrase::AttemptAgain {
                Level::Warn
            } else {
                Level::Error
            };
            let count = count(dice, (5.0, 60.0 + 600.0 * failing));
            let minute = BASELINE as f64 + dice.between((-1.0, 5.0));
            let direct = scene.hits.first().is_some_and(|hit| hit.service == *callee);
            let worth = if direct { Worth::Supports } else { Worth::Ordinary };
            let said = (phrase, level, count, count / 200);
            writer.log(dice, said, (caller, *callee), (minute, worth));
        }
    }
}

fn complaint(dice: &mut Dice, (failing, slow): (f64, f64), retries: bool) -> Phrase {
    if retries && dice.happens(0.3) {
        return Phrase::AttemptAgain;
    }
    if failing > 0.15 && dice.happens(0.2) {
        return Phrase::BreakerOpen;
    }
    let late = slow > 2.5 && (failing < 0.05 || dice.happens(0.5));
    if late { Phrase::CallTimeout } else { Phrase::CallFailed }
}
