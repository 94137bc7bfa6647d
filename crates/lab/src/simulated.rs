//! An incident with the truth about it, and the answer that this truth makes right.

use crate::settings::Part;
use jiff::Timestamp;
use sre::action::ActionKind;
use sre::answer::{NO_SERVICE, Said};
use sre::cause::Cause;
use sre::evidence::Pack;
use sre::incident::Incident;
use std::collections::BTreeSet;

/// Most pieces of evidence in the right answer.
const MOST_CITED: usize = 4;

/// An incident and what really happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// Its number among those of its settings.
    pub number: u64,
    /// What is to be seen.
    pub incident: Incident,
    /// What really happened.
    pub truth: Truth,
    /// The side of the split that it is on.
    pub part: Part,
    /// The name of the dialect that its telemetry is in.
    pub dialect: &'static str,
}

/// What really happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// The service at fault; `None` where nothing is wrong, or where nothing shows which it is.
    pub service: Option<String>,
    /// The right answer: [`Cause::Unknown`] where the fault is held out or what tells it is missing.
    pub cause: Cause,
    /// The fault that was simulated, also where the right answer does not name it;
    /// [`Cause::None`] where there was none.
    pub fault: Cause,
    /// When the fault began; mostly minutes before it was noticed.
    pub onset: Option<Timestamp>,
    /// A second fault that went on at the same time, where there was one.
    pub second: Option<(String, Cause)>,
    /// The ids of what the fault itself produced: what supports the answer.
    pub evidence: BTreeSet<String>,
    /// Those of them that tell this fault from others.
    pub telling: BTreeSet<String>,
    /// The right remediation.
    pub action: ActionKind,
}

impl Simulated {
    /// The right answer to a prompt: the truth as far as the pack shows it. Where it shows nothing
    /// that tells the fault, that is [`Cause::Unknown`]; where not even the service, no service.
    pub fn record(&self, pack: &Pack) -> Said {
        let shown = |id: &String| pack.items.iter().any(|item| item.id == *id);
        let told = self.truth.cause == Cause::None || self.truth.telling.iter().any(shown);
        let cause = if told { self.truth.cause } else { Cause::Unknown };
        let action = if told { self.truth.action } else { ActionKind::Escalate };
        let label = self.truth.service.as_deref().and_then(|name| pack.label(name));
        Said {
            service: label.unwrap_or_else(|| NO_SERVICE.to_owned()),
            cause,
            evidence: self.cited(pack),
            action,
        }
    }

    /// The strongest evidence that is shown, what tells the fault first.
    fn cited(&self, pack: &Pack) -> Vec<String> {
        let mut items: Vec<_> =
            pack.items.iter().filter(|item| self.truth.evidence.contains(&item.id)).collect();
        // A stable sort: within each half the order of the prompt, strongest first of each kind.
        items.sort_by_key(|item| !self.truth.telling.contains(&item.id));
        items.iter().take(MOST_CITED).map(|item| item.id.clone()).collect()
    }
}
