//! One incident as a JSON document: what runs, what was measured, logged, reported and changed.
//!
//! The text in it comes from a cluster and is not trusted: sizes are limited, references checked,
//! and nothing of it is shown to a model or a terminal before [`plain`] made it harmless.

use crate::{Error, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use text::secrets::{Counts, Masking, masked, redact};

mod check;
#[cfg(test)]
pub(crate) mod tests;

/// The form that this version reads and writes.
pub const VERSION: u32 = 1;

/// Most bytes of an incident file.
pub const MOST_BYTES: usize = 64 << 20;

/// Most characters of what is wrong with a document's form.
const MOST_SHOWN: usize = 400;

/// An incident: a window of time and everything that is known about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// The form of this document: 1.
    pub version: u32,
    /// A name for it, at most 63 characters.
    pub id: String,
    /// When the trouble was noticed. What lies before is the baseline.
    pub start: Timestamp,
    /// Up to when there is telemetry.
    pub end: Timestamp,
    /// What raised the alarm, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<Alert>,
    /// The services and who calls whom.
    pub services: Vec<Service>,
    /// Metric series.
    #[serde(default)]
    pub metrics: Vec<Series>,
    /// Log lines, equal ones counted.
    #[serde(default)]
    pub logs: Vec<LogLine>,
    /// Kubernetes events.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Rollouts, settings, scalings: what somebody or something changed.
    #[serde(default)]
    pub changes: Vec<Change>,
}

/// What raised the alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// The service that it is about.
    pub service: String,
    /// Its text.
    pub message: String,
}

/// A service: what Kubernetes runs under one name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name, unique in the incident, at most 63 characters.
    pub name: String,
    /// The services that it calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<String>,
    /// Replicas that it should have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u64>,
    /// Most replicas that its autoscaler may give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_replicas: Option<u64>,
    /// Memory limit of a container, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_mib: Option<u64>,
    /// CPU limit of a container, in thousandths of a core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit_millicores: Option<u64>,
    /// The node that most of its pods run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// One metric of one service over time, evenly spaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Its id, unique among everything that can be cited.
    pub id: String,
    /// The service that it belongs to.
    pub service: String,
    /// The metric's name as the monitoring system has it.
    pub name: String,
    /// The value that it must not pass, in its own unit, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// When the first value was taken.
    pub start: Timestamp,
    /// Seconds from one value to the next, at least 1.
    pub step_seconds: u32,
    /// The values; `null` where there is none.
    pub values: Vec<Option<f64>>,
}

/// How loud a log line is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Business as usual.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

/// A log line and how often it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLine {
    /// Its id, unique among everything that can be cited.
    pub id: String,
    /// The service that wrote it.
    pub service: String,
    /// When it came first.
    pub time: Timestamp,
    /// How loud it is.
    pub level: Level,
    /// Its text.
    pub message: String,
    /// How often it came from the start of the incident on.
    #[serde(default = "once")]
    pub count: u64,
    /// How often it came in the baseline.
    #[serde(default)]
    pub before: u64,
}

/// How serious Kubernetes finds an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum EventKind {
    /// Business as usual.
    Normal,
    /// Something to look at.
    Warning,
}

/// A Kubernetes event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Its id, unique among everything that can be cited.
    pub id: String,
    /// The service whose object it is about.
    pub service: String,
    /// When it came first.
    pub time: Timestamp,
    /// How serious it is.
    pub kind: EventKind,
    /// The one word that Kubernetes gives: `BackOff`, `FailedMount`.
    pub reason: String,
    /// Its text.
    pub message: String,
    /// How often it came.
    #[serde(default = "once")]
    pub count: u64,
}

/// Something that was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Its id, unique among everything that can be cited.
    pub id: String,
    /// The service that was changed.
    pub service: String,
    /// When.
    pub time: Timestamp,
    /// What was changed, in words.
    pub message: String,
}

fn once() -> u64 {
    1
}

impl Incident {
    /// Reads a document and checks it.
    ///
    /// # Errors
    /// [`Error::Form`] for what is not a document of this form, [`Error::Incident`] for one that
    /// contradicts itself or is over a limit.
    pub fn read(json: &str) -> Result<Self> {
        if json.len() > MOST_BYTES {
            let problem = format!("{} bytes, at most {MOST_BYTES} are read", json.len());
            return Err(Error::Form(problem));
        }
        // Editors of some systems put one before a document; it says nothing.
        let json = json.strip_prefix('\u{feff}').unwrap_or(json);
        let incident: Self = serde_json::from_str(json).map_err(|error| {
            // serde_json names line and column at the end of its message, and quotes the document.
            Error::Form(plain(&masked(&error.to_string()), MOST_SHOWN))
        })?;
        check::check(&incident)?;
        Ok(incident)
    }

    /// Masks the secrets in messages, which go into prompts, reports and post-mortems, and says how
    /// many of each kind there were.
    pub fn mask_secrets(&mut self) -> Counts {
        let mut masked = Counts::new();
        let alert = self.alert.iter_mut().map(|alert| &mut alert.message);
        let logs = self.logs.iter_mut().map(|line| &mut line.message);
        let events = self.events.iter_mut().map(|event| &mut event.message);
        let changes = self.changes.iter_mut().map(|change| &mut change.message);
        for message in alert.chain(logs).chain(events).chain(changes) {
            let Some((text, counts)) = redact(message, Masking::SECRETS) else { continue };
            *message = text;
            for (kind, count) in counts {
                *masked.entry(kind).or_default() += count;
            }
        }
        masked
    }

    /// The JSON schema of the document.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }

    /// The service of this name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// The services on a shortest way of calls from one service to another, both included; `None`
    /// where no calls lead there.
    pub fn call_path<'a>(&'a self, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
        let mut came_from = BTreeMap::from([(from, from)]);
        let mut waiting = VecDeque::from([from]);
        while let Some(at) = waiting.pop_front() {
            if at == to {
                let step = |name: &&'a str| came_from.get(name).copied().filter(|it| it != name);
                let mut path: Vec<_> = std::iter::successors(Some(at), step).collect();
                path.reverse();
                return Some(path);
            }
            for callee in self.service(at).into_iter().flat_map(|it| &it.calls) {
                came_from.entry(callee).or_insert_with(|| {
                    waiting.push_back(callee);
                    at
                });
            }
        }
        None
    }

    /// The ids of everything that can be cited.
    pub fn evidence_ids(&self) -> impl Iterator<Item = &str> {
        let metrics = self.metrics.iter().map(|item| item.id.as_str());
        let logs = self.logs.iter().map(|item| item.id.as_str());
        let events = self.events.iter().map(|item| item.id.as_str());
        let changes = self.changes.iter().map(|item| item.id.as_str());
        metrics.chain(logs).chain(events).chain(changes)
    }

    /// The service that something citable belongs to.
    pub fn service_of(&self, id: &str) -> Option<&str> {
        let metrics = self.metrics.iter().map(|item| (&item.id, &item.service));
        let logs = self.logs.iter().map(|item| (&item.id, &item.service));
        let events = self.events.iter().map(|item| (&item.id, &item.service));
        let changes = self.changes.iter().map(|item| (&item.id, &item.service));
        let mut all = metrics.chain(logs).chain(events).chain(changes);
        all.find(|(item, _)| item.as_str() == id).map(|(_, service)| service.as_str())
    }
}

/// Text from a cluster on one line without control, invisible or direction-changing characters, at
/// most `most` characters long; what was left out shows as `…`.
pub fn plain(text: &str, most: usize) -> String {
    let text = without_escapes(text);
    let mut out = String::new();
    let mut space = false;
    for (count, character) in text.trim().chars().filter(|c| !is_invisible(*c)).enumerate() {
        if count >= most {
            out.push('…');
            break;
        }
        let blank = character.is_whitespace() || character.is_control();
        if blank && !space {
            out.push(' ');
        } else if !blank {
            out.push(character);
        }
        space = blank;
    }
    out
}

/// Text without the sequences by which terminals are given colours and commands (ECMA-48: CSI, and OSC up
/// to its end); many programs colour their logs.
pub fn without_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        if character != '\u{1b}' {
            out.push(character);
            continue;
        }
        match rest.next_if(|next| matches!(next, '[' | ']')) {
            Some('[') => {
                while rest.next_if(|next| matches!(next, '\u{20}'..='\u{3f}')).is_some() {}
                rest.next_if(|next| matches!(next, '\u{40}'..='\u{7e}'));
            }
            Some(_) => {
                while rest.next_if(|next| !matches!(next, '\u{7}' | '\u{1b}' | '\n')).is_some() {}
                rest.next_if_eq(&'\u{7}');
            }
            None => {}
        }
    }
    Cow::Owned(out)
}

/// Characters that a reader does not see or that turn the direction of what follows.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}
