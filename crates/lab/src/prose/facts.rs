//! What can be said about an incident: the places of the patterns, filled from the incident, from
//! the lines of its evidence pack and from the truth as far as the pack shows it.
//!
//! About the service at fault: `service`, `node`, `replicas`, `max_replicas`, `memory_limit`,
//! `cpu_limit`, `action`, `change`, and for every metric of it that moved a place named after what is
//! measured (`memory`, `disk`, …): how far it went. About the incident: `alerted`, `alert`, `clock`,
//! `end`, `minutes`, `path`.

use super::numbers::{clock, moved, often, when};
use super::template::Slots;
use crate::dice::Dice;
use crate::settings::Part;
use crate::simulated::Simulated;
use jiff::{SignedDuration, Timestamp};
use sre::action::Action;
use sre::answer::Said;
use sre::evidence::{Item, Kind, Pack, deviation::Deviation};
use sre::incident::{Incident, plain};
use sre::signal::Signal;

/// Most characters of a log line or a message in prose.
const MOST_TEXT: usize = 100;

/// How a document calls services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// `cart`
    Name,
    /// `cart` as code.
    Quoted,
    /// `s2`
    Label,
    /// `s2 (cart)`
    Both,
}

/// How a document cites evidence.
const CITATIONS: [(&str, &str); 3] = [("(", ")"), ("[", "]"), ("<", ">")];

/// A line of the pack with what is known about it besides its text.
pub(super) struct Seen<'a> {
    pub(super) item: &'a Item,
    pub(super) time: Timestamp,
    pub(super) slots: Slots,
}

/// An incident as a document sees it.
pub(super) struct Facts<'a> {
    pub(super) simulated: &'a Simulated,
    pub(super) pack: &'a Pack,
    /// The right answer as far as the pack shows it.
    pub(super) said: Said,
    pub(super) naming: Naming,
    pub(super) slots: Slots,
    /// The lines of the pack, in its order.
    pub(super) seen: Vec<Seen<'a>>,
    cite: (&'static str, &'static str),
}

impl<'a> Facts<'a> {
    pub(super) fn new(
        dice: &mut Dice,
        simulated: &'a Simulated,
        pack: &'a Pack,
        naming: Naming,
    ) -> Self {
        let cite = *dice.one(&CITATIONS);
        let said = simulated.record(pack);
        let slots = Slots::new();
        let mut facts = Self { simulated, pack, said, naming, slots, seen: Vec::new(), cite };
        facts.seen = pack.items.iter().map(|item| facts.look(dice, item)).collect();
        facts.incident();
        facts.at_fault();
        facts
    }

    pub(super) fn part(&self) -> Part {
        self.simulated.part
    }

    /// The service at fault, by name, where the pack shows it.
    pub(super) fn service(&self) -> Option<&'a str> {
        self.pack.service(&self.said.service)
    }

    /// What the document calls a service.
    pub(super) fn call(&self, name: &str) -> String {
        let label = self.pack.label(name);
        match (self.naming, label) {
            (Naming::Label, Some(label)) => label,
            (Naming::Both, Some(label)) => format!("{label} ({name})"),
            (Naming::Quoted, _) => format!("`{name}`"),
            _ => name.to_owned(),
        }
    }

    /// An id as the document cites it.
    pub(super) fn cite(&self, id: &str) -> String {
        format!("{}{id}{}", self.cite.0, self.cite.1)
    }

    /// The places of one line: who, what, how far, when, how often.
    fn look(&self, dice: &mut Dice, item: &'a Item) -> Seen<'a> {
        let incident = &self.simulated.incident;
        let part = self.part();
        let mut slots =
            Slots::from([("who", self.call(&item.service)), ("id", self.cite(&item.id))]);
        let mut time = incident.start;
        match item.kind {
            Kind::Metric => {
                let series = incident.metrics.iter().find(|it| it.id == item.id);
                if let Some(series) = series
                    && let Some(deviation) = Deviation::of(series, incident.start, incident.end)
                {
                    let onset = SignedDuration::from_mins(deviation.onset_minutes);
                    time = incident.start.checked_add(onset).unwrap_or(time);
                    let what =
                        item.signal.map_or_else(|| plain(&series.name, 40), |it| it.name().into());
                    slots.insert("what", what);
                    slots.insert("moved", moved(dice, part, &deviation, series.limit));
                }
            }
            Kind::Event => {
                if let Some(event) = incident.events.iter().find(|it| it.id == item.id) {
                    time = event.time;
                    slots.insert("reason", plain(&event.reason, 40));
                    slots.insert("text", plain(&event.message, MOST_TEXT));
                    slots.insert("count", often(dice, part, event.count));
                }
            }
            Kind::Log => {
                if let Some(line) = incident.logs.iter().find(|it| it.id == item.id) {
                    time = line.time;
                    slots.insert("text", plain(&line.message, MOST_TEXT));
                    slots.insert("count", often(dice, part, line.count));
                }
            }
            Kind::Change => {
                if let Some(change) = incident.changes.iter().find(|it| it.id == item.id) {
                    time = change.time;
                    slots.insert("text", plain(&change.message, MOST_TEXT));
                }
            }
        }
        slots.insert("when", when(dice, part, incident.start, time));
        Seen { item, time, slots }
    }

    /// The places about the incident as a whole.
    fn incident(&mut self) {
        let incident = &self.simulated.incident;
        let minutes = incident.end.duration_since(incident.start).as_mins();
        self.slots.insert("clock", clock(incident.start));
        self.slots.insert("end", clock(incident.end));
        self.slots.insert("minutes", minutes.to_string());
        if let Some(alert) = &incident.alert {
            self.slots.insert("alerted", self.call(&alert.service));
            self.slots.insert("alert", plain(&alert.message, MOST_TEXT));
            let path = self.service().and_then(|to| incident.call_path(&alert.service, to));
            if let Some(path) = path.filter(|path| path.len() > 1) {
                let names: Vec<_> = path.into_iter().map(|name| self.call(name)).collect();
                self.slots.insert("path", names.join(" calls "));
            }
        }
        if let Some((service, _)) = &self.simulated.truth.second {
            self.slots.insert("second", self.call(service));
        }
    }

    /// The places about the service at fault.
    fn at_fault(&mut self) {
        let Some(name) = self.service() else { return };
        let incident = &self.simulated.incident;
        self.slots.insert("service", self.call(name));
        self.slots.extend(limits(incident, name));
        let action = Action::propose(self.said.action, incident, Some(name));
        self.slots.insert("action", self.order(&action));
        for seen in self.seen.iter().filter(|seen| seen.item.service == name) {
            let known = self.simulated.truth.evidence.contains(&seen.item.id);
            let moved = seen.slots.get("moved").zip(seen.item.signal);
            if let Some((moved, signal)) = moved.filter(|_| known) {
                let moved = format!("{moved} {}", self.cite(&seen.item.id));
                self.slots.entry(place(signal)).or_insert(moved);
            }
            if seen.item.kind == Kind::Change && known {
                let text = seen.slots.get("text").cloned().unwrap_or_default();
                self.slots.insert("change", text);
            }
        }
    }

    /// The action as an order, with the document's names.
    fn order(&self, action: &Action) -> String {
        let mut text = action.kind.order().to_owned();
        if let Some(service) = &action.service {
            text.push_str(&format!(" of {}", self.call(service)));
        }
        if let Some(value) = action.value {
            let unit = match action.kind {
                sre::action::ActionKind::RaiseMemoryLimit => " MiB",
                sre::action::ActionKind::RaiseCpuLimit => " millicores",
                _ => "",
            };
            text.push_str(&format!(" to {value}{unit}"));
        }
        text
    }
}

fn limits(incident: &Incident, name: &str) -> Slots {
    let mut slots = Slots::new();
    let Some(service) = incident.service(name) else { return slots };
    let mut insert = |place, value: Option<u64>, unit: &str| {
        if let Some(value) = value {
            slots.insert(place, format!("{value}{unit}"));
        }
    };
    insert("replicas", service.replicas, "");
    insert("max_replicas", service.max_replicas, "");
    insert("memory_limit", service.memory_limit_mib, " MiB");
    insert("cpu_limit", service.cpu_limit_millicores, " millicores");
    if let Some(node) = &service.node {
        slots.insert("node", node.clone());
    }
    slots
}

/// The place of a metric of the service at fault.
fn place(signal: Signal) -> &'static str {
    match signal {
        Signal::Throttling => "throttling",
        Signal::Ready => "ready",
        Signal::Wanted => "wanted",
        Signal::CacheHits => "hits",
        Signal::Dns => "dns",
        Signal::Clock => "offset",
        Signal::Leader => "leader",
        Signal::OpenFiles => "files",
        Signal::Certificate => "certificate",
        Signal::NodePressure => "pressure",
        Signal::Dropped => "dropped",
        Signal::Dependency => "outside",
        Signal::Requests
        | Signal::Errors
        | Signal::Latency
        | Signal::Cpu
        | Signal::Memory
        | Signal::Restarts
        | Signal::Connections
        | Signal::Waiting
        | Signal::Queue
        | Signal::Disk
        | Signal::Retries
        | Signal::Quota => signal.name(),
    }
}
