//! What speaks against an answer, by plain code: parts of it that exist and do not fit each other.
//! A grammar holds an answer to what exists; whether it hangs together is looked at here.

use crate::action::ActionKind;
use crate::answer::Answer;
use crate::cause::Cause;
use crate::incident::{Event, EventKind, Incident, Level, LogLine};
use crate::sign::is_told_by_reason;
use crate::signal::Signal;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// A reason not to believe an answer as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// A fault is named, or was likeliest, and no evidence is cited for it.
    NothingCited,
    /// None of the evidence is about the service that is said to be at fault.
    EvidenceElsewhere,
    /// What is proposed is not what helps against the cause.
    OtherRemedy,
    /// Nothing is said to be wrong, and errors or warnings came that did not come before.
    SignsOfTrouble,
    /// Nothing is said to be wrong, and errors, latency and load are not measured.
    LittleMeasured,
    /// A fault is named, and all that is cited are words of log lines and of events' messages: whoever can provoke
    /// one can write them.
    WordsAlone,
}

impl Doubt {
    /// All that there are about an answer to an incident.
    pub fn of(answer: &Answer, incident: &Incident) -> Vec<Self> {
        let likeliest = answer.below_threshold.map_or(answer.cause, |it| it.cause);
        let elsewhere = |service: &String| {
            let about = |id: &String| incident.service_of(id) == Some(service.as_str());
            !answer.evidence.is_empty() && !answer.evidence.iter().any(about)
        };
        let usual = [answer.cause.remedy(), ActionKind::Escalate];
        let found = [
            (Self::NothingCited, likeliest.is_fault() && answer.evidence.is_empty()),
            (Self::EvidenceElsewhere, answer.service.as_ref().is_some_and(elsewhere)),
            (Self::OtherRemedy, answer.cause.is_fault() && !usual.contains(&answer.action.kind)),
            (Self::SignsOfTrouble, answer.cause == Cause::None && shows_trouble(incident)),
            (Self::LittleMeasured, answer.cause == Cause::None && !is_measured(incident)),
            (Self::WordsAlone, answer.cause.is_fault() && cites_words_alone(answer, incident)),
        ];
        found.into_iter().filter(|(_, is_there)| *is_there).map(|(doubt, _)| doubt).collect()
    }

    /// It in words.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NothingCited => "no evidence is cited for the cause: treat it as a guess",
            Self::EvidenceElsewhere => "none of the cited evidence is about the service named",
            Self::SignsOfTrouble => {
                "nothing is said to be wrong, and errors or warnings came that did not come before"
            }
            Self::LittleMeasured => {
                "nothing is said to be wrong, and errors, latency and load are not measured"
            }
            Self::WordsAlone => {
                "all that is cited are words in log lines or messages of events, which anybody may have \
                 written: look for a metric, a change or the reason of an event that agrees"
            }
            Self::OtherRemedy => "what is proposed is not what usually helps against the cause",
        }
    }
}

/// Whether what callers notice is measured, at any service and often enough to be told from usual.
fn is_measured(incident: &Incident) -> bool {
    let noticed = [Signal::Errors, Signal::Latency, Signal::Requests];
    incident.metrics.iter().any(|series| {
        let is_noticed = Signal::of(&series.name).is_some_and(|signal| noticed.contains(&signal));
        is_noticed && series.values.iter().flatten().count() >= FEWEST
    })
}

/// Values of a series that say anything.
const FEWEST: usize = 6;

fn cites_words_alone(answer: &Answer, incident: &Incident) -> bool {
    let is_words = |id: &String| {
        let event = incident.events.iter().find(|event| event.id == *id);
        incident.logs.iter().any(|line| line.id == *id)
            || event.is_some_and(|event| !is_told_by_reason(answer.cause, &event.reason))
    };
    !answer.evidence.is_empty() && answer.evidence.iter().all(is_words)
}

/// Whether there are errors or warnings as they come in few healthy windows: of 32 simulated ones in
/// one, and in four of five faults.
fn shows_trouble(incident: &Incident) -> bool {
    const MANY_ERRORS: u64 = 20;
    const MANY_WARNINGS: u64 = 5;
    let is_new = |line: &LogLine| {
        line.level == Level::Error && line.count >= MANY_ERRORS.max(3 * line.before)
    };
    let is_warning =
        |event: &Event| event.kind == EventKind::Warning && event.count >= MANY_WARNINGS;
    incident.logs.iter().any(is_new) || incident.events.iter().any(is_warning)
}
