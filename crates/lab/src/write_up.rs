//! The last step: the alarm, what is missing, ids, and the truth.

use crate::dice::Dice;
use crate::phrase::{Language, Phrase};
use crate::settings::Settings;
use crate::simulate::{Kind, Scene};
use crate::simulated::{Simulated, Truth};
use crate::symptoms::suffering;
use crate::telemetry::{Measured, is_edge};
use crate::topology::Node;
use crate::world::BASELINE;
use crate::writer::{About, Form, Said, Worth, Writer};
use jiff::{SignedDuration, Timestamp};
use sre::action::ActionKind;
use sre::cause::Cause;
use sre::incident::{Alert, Change, Event, Incident, LogLine, Series, Service, VERSION};
use std::collections::BTreeSet;

/// The incident with its truth.
pub(crate) fn write_up(
    dice: &mut Dice,
    scene: &Scene,
    settings: &Settings,
    number: u64,
    (mut measured, mut writer): (Vec<Measured>, Writer<'_>),
) -> Simulated {
    let alert = alert(dice, scene, &writer);
    let dark = scene.kind == Kind::TooLittle && dice.happens(0.4);
    if scene.kind == Kind::TooLittle {
        take_away(scene, dark, &mut measured, &mut writer.said);
    }
    let id = format!("{}-{}-{number:06}", settings.part.name(), settings.seed);
    let mut out = Listed::new(dice, scene, id, alert);
    out.list(dice, scene, measured, writer.said);
    let truth = truth(scene, settings, out.evidence, out.telling);
    let (part, dialect) = (settings.part, writer.dialect.name);
    Simulated { number, incident: out.incident, truth, part, dialect }
}

/// Takes what tells the fault, or everything about the service that it hit.
fn take_away(scene: &Scene, dark: bool, measured: &mut Vec<Measured>, said: &mut Vec<Said>) {
    let hit = scene.hits.first().map(|hit| hit.service);
    measured.retain(|it| it.worth != Worth::Tells && !(dark && hit == Some(it.service)));
    said.retain(|it| {
        let own = hit == Some(it.service) || it.worth != Worth::Ordinary;
        it.worth != Worth::Tells && !(dark && own)
    });
}

/// What raised the alarm: the service that suffers most among those whose requests reach the fault,
/// the edge before others; on a good day, now and then, nothing much.
fn alert(dice: &mut Dice, scene: &Scene, writer: &Writer<'_>) -> Option<Alert> {
    let services = &scene.topology.services;
    let Some(hit) = scene.hits.first() else {
        let service = dice.below(services.len());
        let phrase = *dice.one(&[Phrase::LatencyHigh, Phrase::ErrorsHigh]);
        return dice.happens(0.6).then(|| alarm(dice, scene, writer, (phrase, service)));
    };
    let reach = scene.topology.reach();
    let mut worst = (hit.service, 0.0, Phrase::LatencyHigh);
    for (index, node) in services.iter().enumerate() {
        if reach[index] & (1 << hit.service) == 0 {
            continue;
        }
        let (failing, slow) = suffering(scene, index);
        let (errors, latency) = (failing * 4.0, (slow - 1.0) * 0.4);
        let edge = if is_edge(node) { 3.0 } else { 1.0 };
        let size = errors.max(latency) * edge * dice.between((0.5, 1.0));
        let phrase = if errors > latency { Phrase::ErrorsHigh } else { Phrase::LatencyHigh };
        if size > worst.1 {
            worst = (index, size, phrase);
        }
    }
    let (service, _, mut phrase) = worst;
    if service == hit.service && hit.lost > 0.3 && dice.happens(0.5) {
        phrase = Phrase::ReadyLow;
    }
    Some(alarm(dice, scene, writer, (phrase, service)))
}

/// An alarm about a service, with a threshold that its worst minute has passed.
fn alarm(
    dice: &mut Dice,
    scene: &Scene,
    writer: &Writer<'_>,
    (phrase, service): (Phrase, usize),
) -> Alert {
    let (failing, slow) = suffering(scene, service);
    let below = dice.between((0.5, 0.9));
    let latency = 2400.0 * scene.world.normal[service].latency * slow;
    let fewest = scene.world.incident().iter().map(|row| row[service].ready);
    let number = match phrase {
        Phrase::ReadyLow => fewest.fold(f64::INFINITY, f64::min),
        _ => (100.0 * failing * below).max(1.0),
    };
    let figures = Some((number, latency * below));
    let about = About { service, other: service, figures };
    let message = writer.text(dice, phrase, Language::English, about);
    Alert { service: writer.topology.services[service].name.clone(), message }
}

/// The incident while its lists grow, and what of it is evidence.
struct Listed {
    incident: Incident,
    names: Vec<String>,
    first: Timestamp,
    evidence: BTreeSet<String>,
    telling: BTreeSet<String>,
}

impl Listed {
    fn new(dice: &mut Dice, scene: &Scene, id: String, alert: Option<Alert>) -> Self {
        let nodes = &scene.topology.services;
        let mut services: Vec<Service> = nodes.iter().map(|node| service(node, scene)).collect();
        // In no order that would say who calls whom.
        dice.shuffle(&mut services);
        let at = |minutes: usize| {
            let seconds = i64::try_from(minutes).unwrap_or(0) * 60;
            SignedDuration::from_secs(seconds)
        };
        let first = scene.start - at(BASELINE);
        let end = first + at(scene.minutes);
        let incident = Incident {
            version: VERSION,
            id,
            start: scene.start,
            end,
            alert,
            services,
            metrics: Vec::new(),
            logs: Vec::new(),
            events: Vec::new(),
            changes: Vec::new(),
        };
        let names = nodes.iter().map(|node| node.name.clone()).collect();
        Self { incident, names, first, evidence: BTreeSet::new(), telling: BTreeSet::new() }
    }

    fn list(&mut self, dice: &mut Dice, scene: &Scene, measured: Vec<Measured>, said: Vec<Said>) {
        let mut measured = measured;
        dice.shuffle(&mut measured);
        for (number, it) in measured.into_iter().enumerate() {
            let id = self.remember(format!("m{}", number + 1), it.worth);
            self.incident.metrics.push(Series {
                id,
                service: self.names[it.service].clone(),
                name: it.name.to_owned(),
                limit: it.limit,
                start: self.first,
                step_seconds: step_seconds(scene),
                values: it.values,
            });
        }
        let mut said = said;
        dice.shuffle(&mut said);
        let latest = scene.minutes as f64 - 0.5;
        for it in said {
            let minute = it.minute.clamp(0.0, latest);
            self.say(it, minute);
        }
    }

    fn say(&mut self, it: Said, minute: f64) {
        let time = self.first + SignedDuration::from_secs(libm::round(minute * 60.0) as i64);
        let (service, message) = (self.names[it.service].clone(), it.message);
        match it.form {
            Form::Log(level, before) => {
                let id = format!("l{}", self.incident.logs.len() + 1);
                let id = self.remember(id, it.worth);
                let count = it.count;
                let line = LogLine { id, service, time, level, message, count, before };
                self.incident.logs.push(line);
            }
            Form::Event(kind, reason) => {
                let id = format!("e{}", self.incident.events.len() + 1);
                let id = self.remember(id, it.worth);
                let (reason, count) = (reason.to_owned(), it.count);
                let event = Event { id, service, time, kind, reason, message, count };
                self.incident.events.push(event);
            }
            Form::Change => {
                let id = format!("c{}", self.incident.changes.len() + 1);
                let id = self.remember(id, it.worth);
                self.incident.changes.push(Change { id, service, time, message });
            }
        }
    }

    fn remember(&mut self, id: String, worth: Worth) -> String {
        if worth >= Worth::Supports {
            self.evidence.insert(id.clone());
        }
        if worth == Worth::Tells {
            self.telling.insert(id.clone());
        }
        id
    }
}

/// Seconds from one value to the next.
fn step_seconds(scene: &Scene) -> u32 {
    60 / u32::try_from(scene.world.per_minute).unwrap_or(1).clamp(1, 60)
}

/// When the first fault began: in the middle of what was measured, so never out of range.
fn onset(scene: &Scene) -> Option<Timestamp> {
    let hit = scene.hits.first()?;
    let seconds = libm::round((hit.onset - BASELINE as f64) * 60.0) as i64;
    Some(scene.start + SignedDuration::from_secs(seconds))
}

fn service(node: &Node, scene: &Scene) -> Service {
    let nodes = &scene.topology.services;
    Service {
        name: node.name.clone(),
        calls: node.calls.iter().map(|(callee, _)| nodes[*callee].name.clone()).collect(),
        replicas: Some(node.replicas),
        max_replicas: Some(node.most_replicas),
        memory_limit_mib: Some(node.memory_limit_mib),
        cpu_limit_millicores: Some(node.cpu_limit_millicores),
        node: Some(scene.topology.hosts[node.host].clone()),
    }
}

/// The truth: what can be answered is what is on offer and told.
fn truth(
    scene: &Scene,
    settings: &Settings,
    evidence: BTreeSet<String>,
    telling: BTreeSet<String>,
) -> Truth {
    let services = &scene.topology.services;
    let fault = scene.hits.first().map_or(Cause::None, |hit| hit.fault.cause);
    let known =
        fault == Cause::None || (!telling.is_empty() && !settings.held_out_faults.contains(&fault));
    let cause = if known { fault } else { Cause::Unknown };
    let action = if known { fault.remedy() } else { ActionKind::Escalate };
    let shown = scene.hits.first().filter(|_| !evidence.is_empty());
    let second = scene.hits.get(1);
    Truth {
        service: shown.map(|hit| services[hit.service].name.clone()),
        cause,
        fault,
        onset: onset(scene),
        second: second.map(|hit| (services[hit.service].name.clone(), hit.fault.cause)),
        evidence,
        telling,
        action,
    }
}
