//! What a well-formed incident must hold to besides its form.

use super::{Incident, Series, VERSION, is_invisible};
use crate::{Error, Result};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Most services, and most items of each list.
const MOST_SERVICES: usize = 2_000;
const MOST_ITEMS: usize = 200_000;

/// Most values of a series.
const MOST_VALUES: usize = 200_000;

/// Most characters of a name or an id, and of a message.
const MOST_NAME: usize = 63;
const MOST_METRIC_NAME: usize = 200;
const MOST_MESSAGE: usize = 8_192;

pub(super) fn check(incident: &Incident) -> Result<()> {
    if incident.version != VERSION {
        let problem = format!("is {}, this program reads version {VERSION}", incident.version);
        return Err(Error::incident("version", problem));
    }
    name("id", &incident.id)?;
    if incident.end <= incident.start {
        let problem = format!("is {}, not after start, {}", incident.end, incident.start);
        return Err(Error::incident("end", problem));
    }
    let names = services(incident)?;
    if let Some(alert) = &incident.alert {
        known("alert", &alert.service, &names)?;
        message("alert.message", &alert.message)?;
    }
    let mut ids = Ids { seen: BTreeSet::new(), names };
    metrics(incident, &mut ids)?;
    rest(incident, &mut ids)
}

fn services(incident: &Incident) -> Result<BTreeSet<&str>> {
    count("services", incident.services.len(), MOST_SERVICES)?;
    if incident.services.is_empty() {
        return Err(Error::incident("services", "is empty, expected at least one"));
    }
    let mut names = BTreeSet::new();
    for (index, service) in incident.services.iter().enumerate() {
        let place = format!("services[{index}].name");
        name(&place, &service.name)?;
        if !names.insert(service.name.as_str()) {
            return Err(Error::incident(place, format!("\"{}\" is there twice", service.name)));
        }
        if let Some(node) = &service.node {
            visible(&format!("services[{index}].node"), node)?;
        }
    }
    for (index, service) in incident.services.iter().enumerate() {
        for callee in &service.calls {
            if !names.contains(callee.as_str()) {
                let place = format!("services[{index}].calls");
                let problem = format!("\"{}\" is not one of the services", shown(callee));
                return Err(Error::incident(place, problem));
            }
        }
    }
    Ok(names)
}

/// The ids and service names seen so far.
struct Ids<'a> {
    seen: BTreeSet<&'a str>,
    names: BTreeSet<&'a str>,
}

impl<'a> Ids<'a> {
    fn item(&mut self, place: &str, id: &'a str, service: &str) -> Result<()> {
        name(&format!("{place}.id"), id)?;
        if !citable(id) {
            let problem = format!(
                "\"{}\" is no id, expected up to three letters and up to nine digits, such as m12\nhint: \
                 ids stand in prompts as they are, so they may not be words",
                shown(id)
            );
            return Err(Error::incident(format!("{place}.id"), problem));
        }
        known(place, service, &self.names)?;
        if !self.seen.insert(id) {
            return Err(Error::incident(format!("{place}.id"), format!("\"{id}\" is there twice")));
        }
        Ok(())
    }
}

fn metrics<'a>(incident: &'a Incident, ids: &mut Ids<'a>) -> Result<()> {
    count("metrics", incident.metrics.len(), MOST_ITEMS)?;
    for (index, series) in incident.metrics.iter().enumerate() {
        let place = format!("metrics[{index}]");
        ids.item(&place, &series.id, &series.service)?;
        text(&format!("{place}.name"), &series.name, MOST_METRIC_NAME)?;
        values(&place, series)?;
    }
    Ok(())
}

fn values(place: &str, series: &Series) -> Result<()> {
    count(&format!("{place}.values"), series.values.len(), MOST_VALUES)?;
    let step = i64::from(series.step_seconds);
    let seconds = i64::try_from(series.values.len()).unwrap_or(i64::MAX).saturating_mul(step);
    let last = series.start.as_second().saturating_add(seconds);
    if step == 0 {
        return Err(Error::incident(format!("{place}.step_seconds"), "is 0, expected 1 or more"));
    }
    if Timestamp::from_second(last).is_err() {
        return Err(Error::incident(place, "reaches past the end of time"));
    }
    let limit = series.limit.unwrap_or(1.0);
    if !(limit.is_finite() && limit > 0.0) {
        return Err(Error::incident(format!("{place}.limit"), "expected a number above 0"));
    }
    if series.values.iter().flatten().any(|value| !value.is_finite()) {
        return Err(Error::incident(format!("{place}.values"), "has a value that is not finite"));
    }
    Ok(())
}

fn rest<'a>(incident: &'a Incident, ids: &mut Ids<'a>) -> Result<()> {
    count("logs", incident.logs.len(), MOST_ITEMS)?;
    for (index, line) in incident.logs.iter().enumerate() {
        let place = format!("logs[{index}]");
        ids.item(&place, &line.id, &line.service)?;
        message(&format!("{place}.message"), &line.message)?;
    }
    count("events", incident.events.len(), MOST_ITEMS)?;
    for (index, event) in incident.events.iter().enumerate() {
        let place = format!("events[{index}]");
        ids.item(&place, &event.id, &event.service)?;
        name(&format!("{place}.reason"), &event.reason)?;
        message(&format!("{place}.message"), &event.message)?;
    }
    count("changes", incident.changes.len(), MOST_ITEMS)?;
    for (index, change) in incident.changes.iter().enumerate() {
        let place = format!("changes[{index}]");
        ids.item(&place, &change.id, &change.service)?;
        message(&format!("{place}.message"), &change.message)?;
    }
    Ok(())
}

fn count(place: &str, found: usize, most: usize) -> Result<()> {
    if found > most {
        return Err(Error::incident(
            place,
            format!("has {found} entries, at most {most} are read"),
        ));
    }
    Ok(())
}

fn known(place: &str, service: &str, names: &BTreeSet<&str>) -> Result<()> {
    if names.contains(service) {
        return Ok(());
    }
    let problem = format!("\"{}\" is not one of the services", shown(service));
    Err(Error::incident(format!("{place}.service"), problem))
}

fn name(place: &str, value: &str) -> Result<()> {
    visible(place, value)?;
    text(place, value, MOST_NAME)
}

/// Whether this is a form that no sentence can have.
fn citable(id: &str) -> bool {
    let letters = id.bytes().take_while(u8::is_ascii_alphabetic).count();
    let digits = &id[letters..];
    letters <= 3 && (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Names and ids enter prompts and answers as they are, so they may hold nothing that makes two of
/// them look alike or one read as another.
fn visible(place: &str, value: &str) -> Result<()> {
    let Some((at, found)) = value.chars().enumerate().find(|(_, it)| is_hidden(*it)) else {
        return Ok(());
    };
    let kind = if found.is_control() { "a control" } else { "an invisible or direction-changing" };
    let problem = format!(
        "has {kind} character in it, U+{:04X} as character {}\nhint: remove it; names and ids are \
         shown as they are",
        u32::from(found),
        at + 1
    );
    Err(Error::incident(place, problem))
}

/// Control, invisible and direction-changing characters, and the two separators that break a line
/// without being control characters.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || is_invisible(character)
        || matches!(character, '\u{2028}' | '\u{2029}')
}

fn message(place: &str, value: &str) -> Result<()> {
    text(place, value, MOST_MESSAGE)
}

fn text(place: &str, value: &str, most: usize) -> Result<()> {
    if value.trim().is_empty() {
        return Err(Error::incident(place, "is empty"));
    }
    let length = value.chars().count();
    if length > most {
        let problem = format!("has {length} characters, at most {most} are read");
        return Err(Error::incident(place, problem));
    }
    Ok(())
}

/// A name from the input in an error, harmless and short.
fn shown(name: &str) -> String {
    super::plain(name, MOST_NAME)
}
