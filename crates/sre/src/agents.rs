//! Three roles and a bounded debate. The **Analyst** says what happened and proposes an action; the
//! **Warden** rules whether that action may be; the **Orchestrator** lets them take turns, and ends in a
//! decision or in a question to a human, never without an end. Every word between them is a typed
//! message, and the transcript is kept.
//!
//! A decision changes nothing by itself. What may be applied is for the Warden to say, and a verdict of
//! *unknown* is none that allows anything.

use crate::action::ActionKind;
use crate::analyst::{Analyst, AnalystError, Diagnosis};
use crate::answer::Answer;
use crate::cause::Cause;
use crate::doubt::Doubt;
use crate::evidence::Pack;
use crate::fusion::Suspects;
use crate::incident::Incident;
use serde::{Deserialize, Serialize};

mod question;
#[cfg(test)]
mod tests;

pub use question::question;

/// Rounds after which a human is asked, where nobody says otherwise.
pub const MOST_ROUNDS: usize = 4;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Says what happened, and proposes.
    Analyst,
    /// Says what may be done.
    Warden,
    /// Says whose turn it is, and when it is over.
    Orchestrator,
}

/// What the Warden says about a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// No policy speaks against it.
    Allowed,
    /// At least one does.
    Denied {
        /// Which, and why: words of the policies.
        reasons: Vec<String>,
    },
    /// Nobody knows. It allows nothing.
    Unknown {
        /// Why nobody does.
        why: String,
    },
}

/// The Warden's seat: whoever rules. It sees the checked answer, which names only what exists.
pub type Warden<'a> = dyn FnMut(&Answer, &Incident) -> Verdict + 'a;

/// The ruling of an empty seat.
pub fn nobody(_: &Answer, _: &Incident) -> Verdict {
    Verdict::Unknown { why: "no policies were given to check it against".to_owned() }
}

/// What one says to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Message {
    /// The Orchestrator asks for a proposal.
    Ask {
        /// Actions that were denied or do not help, and are not to be proposed again.
        without: Vec<ActionKind>,
    },
    /// The Analyst answers.
    Proposal {
        /// The checked answer.
        answer: Answer,
        /// What speaks against it.
        doubts: Vec<Doubt>,
    },
    /// The Warden rules.
    Ruling(Verdict),
    /// The Orchestrator ends it.
    End(Outcome),
}

/// A message with its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The round, from 1.
    pub round: usize,
    /// Who says it.
    pub from: Role,
    /// To whom; what ends it is said to the human.
    pub to: Option<Role>,
    /// What.
    pub message: Message,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// The last proposal stands, and the Warden's ruling beside it.
    Decided,
    /// A human has to say.
    Question {
        /// Why.
        why: Why,
    },
}

/// Why a human is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// No cause is probable enough, or none of those on offer explains it.
    NotKnown,
    /// Nothing was found, and not everything could be read or is measured.
    TooLittleSeen,
    /// Nothing that would help is allowed.
    NothingAllowed,
    /// A position came again: they turn in circles.
    Circle,
    /// The rounds are used up.
    RoundsUsed,
}

impl Why {
    /// It in words.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NotKnown => "no cause is probable enough to be named",
            Self::TooLittleSeen => {
                "nothing was found to be wrong, but not all could be read or is measured"
            }
            Self::NothingAllowed => "nothing that helps against the cause is allowed",
            Self::Circle => "the same proposal came again after it was refused",
            Self::RoundsUsed => "there was no agreement in the rounds that were given",
        }
    }
}

/// A debate that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Debate {
    /// The last diagnosis.
    pub diagnosis: Diagnosis,
    /// The ruling on it.
    pub verdict: Verdict,
    /// How it ended.
    pub outcome: Outcome,
    /// Everything that was said, in order.
    pub transcript: Vec<Entry>,
}

/// A position: what is proposed, to whom, and why.
type Position = (Option<String>, Cause, ActionKind);

/// Within what they debate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most rounds, at least one.
    pub rounds: usize,
    /// Whether all sources could be read: where not, silence is no sign of health.
    pub whole: bool,
}

/// Lets them take turns about an incident of which `pack` is shown.
///
/// # Errors
/// A failure of the model. Whatever was said before it is lost with it: the cause can be asked again.
pub fn debate(
    analyst: &mut Analyst<'_>,
    warden: &mut Warden<'_>,
    incident: &Incident,
    pack: &Pack,
    bounds: Bounds,
) -> Result<Debate, AnalystError> {
    let suspects = Suspects::of(incident, pack);
    let opinion = analyst.weigh(pack, &suspects)?;
    let mut transcript = Vec::new();
    let mut without: Vec<ActionKind> = Vec::new();
    let mut positions: Vec<Position> = Vec::new();
    let mut round = 0;
    loop {
        round += 1;
        let mut say = |from, to, message| transcript.push(Entry { round, from, to, message });
        let ask = Message::Ask { without: without.clone() };
        say(Role::Orchestrator, Some(Role::Analyst), ask);
        let diagnosis = analyst.propose(incident, pack, (&opinion, &suspects), &without)?;
        let answer = &diagnosis.answer;
        let doubts = Doubt::of(answer, incident);
        let proposal = Message::Proposal { answer: answer.clone(), doubts: doubts.clone() };
        say(Role::Analyst, Some(Role::Warden), proposal);
        let verdict = warden(answer, incident);
        say(Role::Warden, Some(Role::Orchestrator), Message::Ruling(verdict.clone()));
        let position = (answer.service.clone(), answer.cause, answer.action.kind);
        let came_before = positions.contains(&position);
        let refused = matches!(verdict, Verdict::Denied { .. });
        let better =
            doubts.contains(&Doubt::OtherRemedy) && !without.contains(&answer.cause.remedy());
        let unseen = !bounds.whole || doubts.contains(&Doubt::LittleMeasured);
        let ended = if answer.cause == Cause::None && unseen {
            Some(Outcome::Question { why: Why::TooLittleSeen })
        } else if !answer.cause.is_fault() && answer.cause != Cause::None {
            Some(Outcome::Question { why: Why::NotKnown })
        } else if came_before {
            Some(Outcome::Question { why: Why::Circle })
        } else if !refused && !better {
            Some(Outcome::Decided)
        } else if refused && is_last(answer.action.kind) {
            Some(Outcome::Question { why: Why::NothingAllowed })
        } else if round >= bounds.rounds {
            Some(Outcome::Question { why: Why::RoundsUsed })
        } else {
            None
        };
        if let Some(outcome) = ended {
            say(Role::Orchestrator, None, Message::End(outcome.clone()));
            return Ok(Debate { diagnosis, verdict, outcome, transcript });
        }
        let usual = [answer.cause.remedy(), ActionKind::Escalate];
        let others = ActionKind::ALL.into_iter().filter(|it| better && !usual.contains(it));
        let others = others.chain([answer.action.kind]).filter(|it| !without.contains(it));
        let others: Vec<_> = others.collect();
        without.extend(others);
        positions.push(position);
    }
}

/// What is left when nothing else is allowed: it changes nothing.
fn is_last(action: ActionKind) -> bool {
    matches!(action, ActionKind::Nothing | ActionKind::Escalate)
}
