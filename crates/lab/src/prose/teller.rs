//! Collects the sentences of a section.

use super::causes::{Wording, wording};
use super::facts::{Facts, Seen};
use super::statements as say;
use super::template::{Pool, Slots};
use crate::dice::Dice;
use crate::settings::Part;
use sre::evidence::Kind;
use sre::signal::Signal;

/// Sentences about one incident in one document's manner.
pub(super) struct Teller<'a> {
    pub(super) dice: &'a mut Dice,
    pub(super) facts: &'a Facts<'a>,
    pub(super) wording: &'static Wording,
    said: Vec<String>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(dice: &'a mut Dice, facts: &'a Facts<'a>) -> Self {
        Self { dice, facts, wording: wording(facts.said.cause), said: Vec::new() }
    }

    pub(super) fn part(&self) -> Part {
        self.facts.part()
    }

    /// A sentence about the incident, if one can be said that was not said in this section.
    pub(super) fn say(&mut self, pool: Pool) -> bool {
        let facts = self.facts;
        self.with(pool, &facts.slots)
    }

    /// A sentence with places of its own.
    pub(super) fn with(&mut self, pool: Pool, slots: &Slots) -> bool {
        let sentence = pool.say(self.dice, self.part(), slots);
        let new = sentence.filter(|sentence| !self.said.contains(sentence));
        let said = new.is_some();
        self.said.extend(new);
        said
    }

    /// What a line of the pack shows.
    pub(super) fn line(&mut self, seen: &Seen<'_>) {
        let pool = match seen.item.kind {
            Kind::Metric => say::METRIC,
            Kind::Event => say::EVENT,
            Kind::Log => say::LOG,
            Kind::Change => say::CHANGE,
        };
        self.with(pool, &seen.slots);
    }

    /// The start: the alert, or that there was none.
    pub(super) fn start(&mut self) {
        if !self.say(say::NOTICED) {
            self.say(say::STARTED);
        }
    }

    /// At most so many lines that callers notice, of services other than the one at fault first.
    pub(super) fn suffering(&mut self, most: usize) {
        let notable = [Signal::Errors, Signal::Latency, Signal::Requests];
        let own = self.facts.service();
        let mut lines: Vec<_> = self
            .facts
            .seen
            .iter()
            .filter(|seen| seen.item.signal.is_some_and(|it| notable.contains(&it)))
            .collect();
        lines.sort_by_key(|seen| Some(seen.item.service.as_str()) == own);
        // A metric whose meaning is not known may be one that users notice.
        let unread = |seen: &Seen<'_>| seen.item.kind == Kind::Metric && seen.item.signal.is_none();
        if lines.is_empty() && !self.facts.seen.iter().any(unread) {
            self.say(say::UNHARMED);
        }
        for seen in lines.into_iter().take(most) {
            self.with(say::SUFFERED, &seen.slots);
        }
    }

    /// The lines that the right answer cites.
    pub(super) fn cited(&mut self, most: usize) {
        let facts = self.facts;
        let lines = facts.seen.iter().filter(|seen| facts.said.evidence.contains(&seen.item.id));
        for seen in lines.take(most) {
            self.line(seen);
        }
    }

    /// How trouble reached the alarm.
    pub(super) fn spread(&mut self) {
        let same = self.facts.slots.get("alerted") == self.facts.slots.get("service");
        if same && self.facts.service().is_some() {
            self.say(say::AT_HOME);
        } else {
            self.say(say::SPREAD);
        }
    }

    /// The second fault, where there was one: who, and why.
    pub(super) fn second(&mut self) {
        let facts = self.facts;
        let Some((service, cause)) = &facts.simulated.truth.second else { return };
        if self.say(say::SECOND) {
            let name = facts.call(service);
            let slots = Slots::from([("service", name)]);
            if !self.with(wording(*cause).why, &slots) {
                self.with(wording(*cause).symptom, &slots);
            }
        }
    }

    /// Lines that have nothing to do with it: changes, events and logs of services that are neither
    /// at fault nor callers of anything at fault.
    pub(super) fn unrelated(&mut self, most: usize) {
        let facts = self.facts;
        let truth = &facts.simulated.truth;
        let Some(own) = facts.service().filter(|_| truth.second.is_none()) else { return };
        let incident = &facts.simulated.incident;
        let apart = |seen: &&Seen<'_>| {
            !truth.evidence.contains(&seen.item.id)
                && seen.item.kind == Kind::Change
                && seen.item.service != own
                && incident.call_path(&seen.item.service, own).is_none()
        };
        for seen in facts.seen.iter().filter(apart).take(most) {
            self.with(say::UNRELATED, &seen.slots);
        }
    }

    /// The sentences so far; the next section begins empty.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }
}
