//! What may have helped the trouble along, beside its cause: changes shortly before it, signs of other
//! causes, and services that stand alone.

use super::causes::guide;
use super::{SERVICES, WINDOW, described, name, rests};
use crate::answer::Answer;
use crate::cause::Cause;
use crate::evidence::{Kind, Pack};
use crate::incident::Incident;
use crate::sign::{support, telling};
use jiff::SignedDuration;

/// How long before the start a change still counts.
const BEFORE: SignedDuration = SignedDuration::from_mins(60);

/// From this much on signs of another cause are worth a line (`crate::sign::support`).
const NOTABLE: f64 = 1.0;

/// Most lines of each sort, and most ids in one.
const MOST: usize = 3;

/// The factors as a list, each with what it rests on.
pub(super) fn factors(incident: &Incident, answer: &Answer, pack: &Pack) -> String {
    let mut lines = String::new();
    let uncited = |id: &String| !answer.evidence.contains(id);
    let changes = pack.items.iter().filter(|item| item.kind == Kind::Change && uncited(&item.id));
    let recent = changes.filter(|item| {
        let change = incident.changes.iter().find(|change| change.id == item.id);
        let before = change.map(|change| incident.start.duration_since(change.time));
        // What came after the start may be the answer to it.
        before.is_some_and(|before| !before.is_negative() && before <= BEFORE)
    });
    for item in recent.take(MOST) {
        lines.push_str(&format!("- {}: {}\n", name(&item.id), described(item)));
    }
    for (cause, service, ids) in others(answer, pack).into_iter().take(MOST) {
        let title = guide(cause).title;
        lines.push_str(&format!("- signs of {title} at {} {}\n", name(&service), rests(&ids)));
    }
    let alone = answer.service.as_deref().and_then(|service| incident.service(service));
    if let Some(service) = alone.filter(|service| service.replicas == Some(1)) {
        let services = rests(&[SERVICES]);
        lines.push_str(&format!("- {} runs in one replica {services}\n", name(&service.name)));
    }
    if lines.is_empty() {
        lines = format!("None was seen beside the cause {}.\n", rests(&[WINDOW]));
    }
    lines
}

/// Signs of other causes than the answer's, the strongest first: the cause, where, and their ids.
fn others<'a>(answer: &Answer, pack: &'a Pack) -> Vec<(Cause, String, Vec<&'a str>)> {
    let likeliest = answer.below_threshold.map_or(answer.cause, |it| it.cause);
    let mut found = Vec::new();
    for (label, service) in pack.labels().into_iter().zip(&pack.services) {
        for cause in Cause::faults().iter().copied().filter(|cause| *cause != likeliest) {
            let strength = support(cause, &label, pack);
            let mut ids = telling(cause, &label, pack);
            ids.retain(|id| !answer.evidence.iter().any(|cited| cited == id));
            ids.truncate(MOST);
            if strength >= NOTABLE && !ids.is_empty() {
                found.push((strength, cause, service.clone(), ids));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (a.1, &a.2).cmp(&(b.1, &b.2))));
    found.into_iter().map(|(_, cause, service, ids)| (cause, service, ids)).collect()
}
