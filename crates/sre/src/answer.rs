//! What a model says about an incident: first as it says it, in the labels of the evidence pack and
//! under a JSON schema, then checked and in names.

use crate::action::{Action, ActionKind};
use crate::cause::Cause;
use crate::evidence::Pack;
use crate::incident::Incident;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[cfg(test)]
mod tests;

/// Most pieces of evidence that an answer cites.
pub const MOST_CITED: usize = 6;

/// What a model writes: labels of services, names of causes, ids of evidence. The order of the
/// fields is that of the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// The label of the service at fault: `s1`, or `-` where nothing is wrong.
    pub service: String,
    /// The cause.
    pub cause: Cause,
    /// Ids of the evidence for it.
    pub evidence: Vec<String>,
    /// What to do.
    pub action: ActionKind,
}

/// The label that stands for no service.
pub const NO_SERVICE: &str = "-";

impl Said {
    /// What comes before the service's label, and between it and the cause's name, in the text of
    /// an answer: where the distributions over services and causes are read off.
    pub const BEFORE_SERVICE: &'static str = "{\"service\":\"";

    /// What stands between a service's label and the name of the cause.
    pub const BEFORE_CAUSE: &'static str = "\",\"cause\":\"";

    /// What follows a service's label, up to the end of a word: with it the tokens of a label are those
    /// of a whole answer ([`text::llm::Llm::distribution`]).
    pub const BEHIND_SERVICE: &'static str = "\",\"cause";

    /// What follows the name of a cause, likewise.
    pub const BEHIND_CAUSE: &'static str = "\",\"evidence";

    /// The text of an answer, as it is trained and as it is generated.
    pub fn text(&self) -> String {
        // A struct of strings always serializes.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The JSON schema that answers about this pack fulfil: only its services, its evidence and
    /// these causes can be named.
    pub fn schema(pack: &Pack, causes: &[Cause]) -> Value {
        let mut services = pack.labels();
        services.push(NO_SERVICE.to_owned());
        let ids: Vec<_> = pack.items.iter().map(|item| item.id.as_str()).collect();
        let evidence = if ids.is_empty() {
            json!({"type": "array", "maxItems": 0})
        } else {
            json!({"type": "array", "items": {"enum": ids}, "maxItems": MOST_CITED})
        };
        json!({
            "type": "object",
            "properties": {
                "service": {"enum": services},
                "cause": {"enum": causes.iter().map(|it| it.name()).collect::<Vec<_>>()},
                "evidence": evidence,
                "action": {"enum": ActionKind::ALL.map(ActionKind::name)},
            },
            "required": ["service", "cause", "evidence", "action"],
            "additionalProperties": false,
        })
    }

    /// Reads the text of an answer.
    ///
    /// # Errors
    /// [`Error::Answer`] for text that is not of the schema's form.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text.trim()).map_err(|error| Error::Answer(error.to_string()))
    }
}

/// A checked answer: everything in it exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The service at fault; `None` where nothing is wrong, and where none could be named.
    pub service: Option<String>,
    /// The cause.
    pub cause: Cause,
    /// How sure the answer is, from 0 to 1: the probability of the cause among all that were
    /// offered, not a number that the model wrote.
    pub confidence: f64,
    /// The likeliest cause, where it is not named because it is not probable enough; the cause is
    /// then [`Cause::Unknown`], and so is what the confidence is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below_threshold: Option<BelowThreshold>,
    /// Ids of the evidence for it, each of which was shown; with `below_threshold` that for the
    /// likeliest cause.
    pub evidence: Vec<String>,
    /// What to do, with arguments from the incident. A proposal.
    pub action: Action,
}

/// The likeliest cause, less probable than a cause has to be to be named.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BelowThreshold {
    /// Which.
    pub cause: Cause,
    /// Its probability among all causes that were offered.
    pub probability: f64,
    /// The probability that it would need.
    pub threshold: f64,
}

impl Answer {
    /// Checks what a model said against what it was shown.
    ///
    /// # Errors
    /// [`Error::Answer`] where it names a service or evidence that the pack does not have, or names
    /// evidence twice.
    pub fn check(said: &Said, confidence: f64, pack: &Pack, incident: &Incident) -> Result<Self> {
        let service = match said.service.as_str() {
            NO_SERVICE => None,
            label => Some(pack.service(label).ok_or_else(|| {
                let label = crate::incident::plain(label, 40);
                Error::Answer(format!("\"{label}\" is no service of the prompt"))
            })?),
        };
        // Where nothing is wrong no service is at fault, whichever label was written before that.
        let service = service.filter(|_| said.cause != Cause::None);
        let mut evidence: Vec<String> = Vec::new();
        for id in &said.evidence {
            if !pack.items.iter().any(|item| item.id == *id) {
                let id = crate::incident::plain(id, 40);
                return Err(Error::Answer(format!("cites \"{id}\", which was not shown")));
            }
            // A model may say the same thing twice; once is what it means.
            if !evidence.contains(id) {
                evidence.push(id.clone());
            }
        }
        Ok(Self {
            service: service.map(str::to_owned),
            cause: said.cause,
            confidence,
            below_threshold: None,
            evidence,
            action: Action::propose(said.action, incident, service),
        })
    }

    /// The answer where a fault has to be at least as probable as the threshold: a less probable
    /// one is not named but kept in `below_threshold`, and a human is asked. `unknown` is the
    /// probability of [`Cause::Unknown`].
    pub(crate) fn held_to(self, threshold: f64, unknown: f64, incident: &Incident) -> Self {
        let (cause, probability) = (self.cause, self.confidence);
        if !(cause.is_fault() && probability < threshold) {
            return self;
        }
        Self {
            cause: Cause::Unknown,
            confidence: unknown,
            below_threshold: Some(BelowThreshold { cause, probability, threshold }),
            action: Action::propose(ActionKind::Escalate, incident, None),
            ..self
        }
    }
}
