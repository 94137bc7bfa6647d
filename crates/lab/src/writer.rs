//! Puts phrases into the words of an incident: its names, numbers, dialect.

use crate::dialect::Dialect;
use crate::dice::Dice;
use crate::names;
use crate::phrase::{Language, Phrase, fill, wording};
use crate::settings::Part;
use crate::topology::Topology;
use sre::incident::{EventKind, Level};

/// What something that was said is worth as evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Worth {
    /// Nothing: it would have come on any day, or is the work of another fault.
    Ordinary,
    /// The fault produced it.
    Supports,
    /// It tells the fault from others.
    Tells,
}

impl Worth {
    /// Of what the fault of this place in the list produces: the truth is about the first one.
    pub(crate) fn of(index: usize, telling: bool) -> Self {
        match (index, telling) {
            (0, true) => Self::Tells,
            (0, false) => Self::Supports,
            _ => Self::Ordinary,
        }
    }
}

/// What a phrase is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    /// The service that says it or that it is said of.
    pub(crate) service: usize,
    /// The service that it names.
    pub(crate) other: usize,
    /// How many and how many milliseconds, where that is not by chance.
    pub(crate) figures: Option<(f64, f64)>,
}

impl About {
    /// About a service and no other.
    pub(crate) fn only(service: usize) -> Self {
        Self { service, other: service, figures: None }
    }
}

/// What something that was said is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    /// A log line: how loud, and how often in the baseline.
    Log(Level, u64),
    /// An event with its reason.
    Event(EventKind, &'static str),
    /// A change.
    Change,
}

/// Something that was said, before it has an id.
pub(crate) struct Said {
    pub(crate) form: Form,
    pub(crate) service: usize,
    /// Minutes from the first value of the telemetry.
    pub(crate) minute: f64,
    pub(crate) count: u64,
    pub(crate) message: String,
    pub(crate) worth: Worth,
}

/// Writes down what is said about one topology.
pub(crate) struct Writer<'a> {
    pub(crate) topology: &'a Topology,
    pub(crate) part: Part,
    pub(crate) dialect: Dialect,
    /// The host outside that this incident's dependency has.
    pub(crate) host: &'static str,
    /// The setting that this incident's change is about.
    pub(crate) setting: &'static str,
    /// The day of the incident.
    pub(crate) day: String,
    pub(crate) said: Vec<Said>,
}

impl Writer<'_> {
    /// A log line of a service about another one.
    pub(crate) fn log(
        &mut self,
        dice: &mut Dice,
        line: (Phrase, Level, u64, u64),
        (service, about): (usize, usize),
        (minute, worth): (f64, Worth),
    ) {
        let (phrase, level, count, before) = line;
        let about = About { service, other: about, figures: None };
        let text = self.text(dice, phrase, self.dialect.language, about);
        let message = self.dialect.line(dice, level, &text);
        let form = Form::Log(level, before);
        self.said.push(Said { form, service, minute, count: count.max(1), message, worth });
    }

    /// An event about a service.
    pub(crate) fn event(
        &mut self,
        dice: &mut Dice,
        event: (EventKind, &'static str, Phrase, u64),
        service: usize,
        (minute, worth): (f64, Worth),
    ) {
        let (kind, reason, phrase, count) = event;
        let message = self.text(dice, phrase, Language::English, About::only(service));
        let form = Form::Event(kind, reason);
        self.said.push(Said { form, service, minute, count: count.max(1), message, worth });
    }

    /// A change of a service.
    pub(crate) fn change(
        &mut self,
        dice: &mut Dice,
        phrase: Phrase,
        service: usize,
        (minute, worth): (f64, Worth),
    ) {
        let message = self.text(dice, phrase, Language::English, About::only(service));
        self.said.push(Said { form: Form::Change, service, minute, count: 1, message, worth });
    }

    /// A phrase with its places filled.
    pub(crate) fn text(
        &self,
        dice: &mut Dice,
        phrase: Phrase,
        language: Language,
        about: About,
    ) -> String {
        let wording = wording(dice, phrase, self.part, language);
        let node = &self.topology.services[about.service];
        let (old, new) = values(dice, phrase, self, about.service);
        let (number, millis) = about.figures.unwrap_or_else(|| figures(dice, phrase));
        let path = match phrase {
            Phrase::NoSpace | Phrase::TooManyFiles => names::file(dice, self.part),
            Phrase::ProbeChanged | Phrase::ProbePathUnknown => names::health(dice, self.part),
            _ => names::path(dice, self.part),
        };
        let pod = format!("{}-{:x}", node.name, 0x6_0000 + dice.below(0x9_0000));
        let image = format!("registry.example/{}:{new}", node.name);
        let fills = [
            ("callee", self.topology.services[about.other].name.as_str()),
            ("svc", &node.name),
            ("host", self.host),
            ("setting", self.setting),
            ("date", &self.day),
            ("n", &format!("{number:.0}")),
            ("ms", &format!("{millis:.0}")),
            ("path", path),
            ("key", names::key(dice, self.part)),
            ("node", &self.topology.hosts[node.host]),
            ("pod", &pod),
            ("image", &image),
            ("most", &node.most_replicas.to_string()),
            ("old", &old),
            ("new", &new),
        ];
        fill(wording, &fills)
    }
}

/// Numbers that a phrase may name: how many, and how many milliseconds.
fn figures(dice: &mut Dice, phrase: Phrase) -> (f64, f64) {
    let number = match phrase {
        Phrase::AllBusy | Phrase::PoolTimeout => (10.0, 250.0),
        Phrase::AttemptAgain | Phrase::ScaledUp => (2.0, 7.0),
        Phrase::CollectorBusy => (86.0, 98.0),
        Phrase::KilledForMemory => (900.0, 30_000.0),
        Phrase::ProbeRefused => (1.0, 240.0),
        _ => (3.0, 900.0),
    };
    (dice.spread(number), dice.spread((120.0, 9000.0)))
}

/// What a changed thing was and is.
fn values(
    dice: &mut Dice,
    phrase: Phrase,
    writer: &Writer<'_>,
    service: usize,
) -> (String, String) {
    let node = &writer.topology.services[service];
    match phrase {
        Phrase::MemoryLowered => {
            let old = node.memory_limit_mib * 2;
            (format!("{old}Mi"), format!("{}Mi", node.memory_limit_mib))
        }
        Phrase::CpuLowered => {
            let old = node.cpu_limit_millicores * 2;
            (format!("{old}m"), format!("{}m", node.cpu_limit_millicores))
        }
        Phrase::PoolLowered => ("60".to_owned(), dice.one(&["10", "20", "30"]).to_string()),
        Phrase::ReplicasChanged => {
            (node.replicas.saturating_sub(1).max(1).to_string(), node.replicas.to_string())
        }
        _ => node.versions.clone(),
    }
}
