//! An incident seen from close up: the same incident with only a few lines of its telemetry, what tells
//! the fault among them. Short prompts come before long ones in learning to read.

use crate::dice::Dice;
use crate::simulated::Simulated;
use sre::evidence::{Item, Pack};
use std::collections::BTreeSet;

/// Most of the telling lines that are kept, where there are more.
const MOST_TELLING: usize = 2;

/// The incident with at most so many lines of its pack, and the services that these are about. What
/// tells the fault is kept first, then any of the others; half of the time the alert is gone.
pub(super) fn close_up(
    simulated: &Simulated,
    pack: &Pack,
    most: usize,
    variation: u64,
) -> Simulated {
    let mut dice = Dice::named(&[0x636c_6f73, variation]);
    let mut near = simulated.clone();
    let lines = 1 + dice.below(most);
    let kept = chosen(simulated, pack, &mut dice, lines);
    let ids: BTreeSet<&str> = kept.iter().map(|item| item.id.as_str()).collect();
    let incident = &mut near.incident;
    incident.metrics.retain(|it| ids.contains(it.id.as_str()));
    incident.logs.retain(|it| ids.contains(it.id.as_str()));
    incident.events.retain(|it| ids.contains(it.id.as_str()));
    incident.changes.retain(|it| ids.contains(it.id.as_str()));
    if dice.happens(0.5) {
        incident.alert = None;
    }
    let mut names: BTreeSet<String> = kept.iter().map(|item| item.service.clone()).collect();
    names.extend(incident.alert.iter().map(|alert| alert.service.clone()));
    // One more, so that there is always a choice, and a service where there is no line.
    names.extend(
        incident
            .services
            .get(dice.below(incident.services.len().max(1)))
            .map(|service| service.name.clone()),
    );
    incident.services.retain(|service| names.contains(&service.name));
    for service in &mut incident.services {
        service.calls.retain(|called| names.contains(called));
    }
    near
}

fn chosen<'a>(
    simulated: &Simulated,
    pack: &'a Pack,
    dice: &mut Dice,
    lines: usize,
) -> Vec<&'a Item> {
    let mut items: Vec<&Item> = pack.items.iter().collect();
    dice.shuffle(&mut items);
    let telling = |item: &&Item| simulated.truth.telling.contains(&item.id);
    let (mut kept, others): (Vec<_>, Vec<_>) = items.into_iter().partition(telling);
    kept.truncate(MOST_TELLING.min(lines));
    kept.extend(others.into_iter().take(lines - kept.len()));
    kept
}
