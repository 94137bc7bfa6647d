//! The evidence pack: the few lines of an incident that matter, each with the id of what it shows,
//! within a budget of tokens. It is all that a model gets to see.
//!
//! Which lines: metrics by how far they left their baseline and how little was said of their kind and
//! service before, logs by how much more often they came than in the baseline, events by how often,
//! changes by how shortly before the start they were made; the kinds take turns until the budget is
//! used up.
//!
//! Whoever can make a cluster log or name something must not write into a prompt. So a prompt has words
//! of ours only: services are `s1`, `s2`, … (their names stay in [`Pack::services`], the inventory),
//! metrics are what they measure, events their reason where Kubernetes has it, and of messages there
//! are the topics, the kinds of values and the ids of services in them ([`crate::topic`]). Where
//! [`Options::excerpts`] says so, up to 200 characters of a message follow in a marked span
//! ([`crate::excerpt`]).

use crate::cause::Cause;
use crate::excerpt::excerpt;
use crate::incident::{EventKind, Incident, Level, plain};
use crate::signal::Signal;
use crate::topic::{self, Said};
use crate::{Error, Result};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

pub mod deviation;
mod message;
mod reason;
#[cfg(test)]
mod tests;

use deviation::Deviation;

/// Most services in the table.
const MOST_SERVICES: usize = 10;

/// Most lines of one kind: changes, metrics, events, logs.
const MOST_LINES: [usize; 4] = [6, 20, 8, 8];

/// Most metric lines of one service.
const MOST_PER_SERVICE: usize = 4;

/// A log line that comes less than about twice as often as before is none to look at.
const LEAST_GROWTH: f64 = 0.6;

/// Most characters of a text from the cluster in what people read.
pub const MOST_TEXT: usize = 90;

/// What kind of thing a line shows, in the order in which the prompt has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A change.
    Change,
    /// A metric that left its baseline.
    Metric,
    /// A Kubernetes event.
    Event,
    /// A log line.
    Log,
}

/// One line of the pack.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The id of what it shows.
    pub id: String,
    /// What it shows.
    pub kind: Kind,
    /// The service that it belongs to, by name.
    pub service: String,
    /// What a metric measures, where its name tells.
    pub signal: Option<Signal>,
    /// How strongly it stands out among those of its kind, from 0.
    pub weight: f64,
    /// What people read about it, without id and service: with the text of the cluster, made plain.
    pub text: String,
    /// What the prompt says about it, without id and service.
    pub said: String,
    /// The topics of its message; of an event first its reason, of a change first the direction of
    /// its number.
    pub topics: Vec<&'static str>,
    /// The labels of other services that its message names.
    pub about: Vec<String>,
}

/// A line that could be shown.
#[derive(Clone)]
struct Candidate<'a> {
    item: Item,
    /// The text of the cluster that it rests on, if any: what it says of that depends on which
    /// services have an id.
    quoted: Option<Cow<'a, str>>,
}

/// What a prompt is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Pack {
    /// The services of the table, by name: the first is `s1`.
    pub services: Vec<String>,
    /// The lines, in the order of the prompt.
    pub items: Vec<Item>,
    /// All lines about the services of the table, those that the budget has no room for among them: plain code
    /// looks at these, so that nobody hides one line behind others.
    pub all: Vec<Item>,
    /// The prompt.
    pub prompt: String,
}

/// How a prompt is made.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Most tokens of the prompt.
    pub budget: usize,
    /// The causes that are offered, in this order.
    pub causes: &'a [Cause],
    /// Counts the tokens of a text.
    pub tokens: &'a dyn Fn(&str) -> usize,
    /// Whether messages are quoted, in marked spans. Off, a prompt has no word of the cluster.
    pub excerpts: bool,
}

impl Pack {
    /// The pack of an incident.
    ///
    /// # Errors
    /// [`Error::Incident`] where the budget does not even hold the alert and the options.
    pub fn new(incident: &Incident, options: &Options<'_>) -> Result<Self> {
        let all = lines(incident);
        let candidates = candidates(all.clone());
        let (mut first, mut past) = (0, candidates.len() + 1);
        // The most lines that fit: more lines are never fewer tokens.
        while past - first > 1 {
            let middle = first.midpoint(past);
            let pack = Self::of(incident, &candidates[..middle], options);
            if (options.tokens)(&pack.prompt) <= options.budget {
                first = middle;
            } else {
                past = middle;
            }
        }
        let mut pack = Self::of(incident, &candidates[..first], options);
        pack.all = Self::items(&pack.services, all.iter().flatten(), options);
        let tokens = (options.tokens)(&pack.prompt);
        if tokens > options.budget {
            let problem = format!(
                "the shortest prompt has {tokens} tokens, the budget is {}",
                options.budget
            );
            return Err(Error::incident("evidence", problem));
        }
        Ok(pack)
    }

    fn of(incident: &Incident, chosen: &[Candidate<'_>], options: &Options<'_>) -> Self {
        let services = table(incident, chosen);
        let items = Self::items(&services, chosen, options);
        let words = Words::new(&services, options);
        let prompt = render(incident, &services, &items, options.causes, &words);
        Self { services, items, all: Vec::new(), prompt }
    }

    /// Those that are about these services, in the order of a prompt.
    fn items<'a, 'i: 'a>(
        services: &[String],
        candidates: impl IntoIterator<Item = &'a Candidate<'i>>,
        options: &Options<'_>,
    ) -> Vec<Item> {
        let words = Words::new(services, options);
        let shown =
            candidates.into_iter().filter(|it| words.labels.contains_key(it.item.service.as_str()));
        let mut items: Vec<Item> = shown.map(|candidate| words.item(candidate)).collect();
        items.sort_by(|a, b| a.kind.cmp(&b.kind).then(b.weight.total_cmp(&a.weight)));
        items
    }

    /// The lines of the prompt and those that were cited beside it, in the order of the prompt.
    pub fn with_cited(&self, cited: &[String]) -> Vec<&Item> {
        let shown: BTreeSet<&str> = self.items.iter().map(|item| item.id.as_str()).collect();
        let is_wanted = |item: &&Item| shown.contains(item.id.as_str()) || cited.contains(&item.id);
        self.all.iter().filter(is_wanted).collect()
    }

    /// What the prompt calls a service: `s1`.
    pub fn label(&self, service: &str) -> Option<String> {
        let index = self.services.iter().position(|name| name == service)?;
        Some(format!("s{}", index + 1))
    }

    /// The service that the prompt calls so.
    pub fn service(&self, label: &str) -> Option<&str> {
        let number: usize = label.strip_prefix('s')?.parse().ok()?;
        self.services.get(number.checked_sub(1)?).map(String::as_str)
    }

    /// The labels of all services of the table, in order.
    pub fn labels(&self) -> Vec<String> {
        (1..=self.services.len()).map(|number| format!("s{number}")).collect()
    }
}

/// All lines that say anything, by kind.
fn lines(incident: &Incident) -> [Vec<Candidate<'_>>; 4] {
    [changes(incident), metrics(incident), events(incident), logs(incident)]
}

/// Those of them that could be shown, those first that should be.
fn candidates(mut kinds: [Vec<Candidate<'_>>; 4]) -> Vec<Candidate<'_>> {
    let mut ranked: Vec<(f64, Candidate<'_>)> = Vec::new();
    for (items, most) in kinds.iter_mut().zip(MOST_LINES) {
        items.sort_by(|Candidate { item: a, .. }, Candidate { item: b, .. }| {
            b.weight.total_cmp(&a.weight).then(a.id.cmp(&b.id))
        });
        if items.first().is_some_and(|it| it.item.kind == Kind::Metric) {
            spread(items);
        }
        items.truncate(most);
        // Kinds take turns, and one with many lines gets proportionally more turns.
        let share = most as f64;
        ranked
            .extend(items.drain(..).enumerate().map(|(k, item)| ((k as f64 + 0.5) / share, item)));
    }
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    ranked.into_iter().map(|(_, item)| item).collect()
}

/// Puts metrics in the order in which they say most: how far a metric went counts for less with
/// every metric of the same kind or of the same service that is shown before it. Otherwise the
/// failures of all those that suffer would hide what only the service at fault shows.
fn spread(items: &mut Vec<Candidate<'_>>) {
    let mut rest = std::mem::take(items);
    let mut services: BTreeMap<String, usize> = BTreeMap::new();
    let mut signals: BTreeMap<String, usize> = BTreeMap::new();
    while items.len() < MOST_LINES[Kind::Metric as usize] && !rest.is_empty() {
        let value = |Candidate { item, .. }: &Candidate<'_>| {
            let same_service = services.get(&item.service).copied().unwrap_or(0);
            let same_signal = signals.get(measured(item)).copied().unwrap_or(0);
            if same_service >= MOST_PER_SERVICE {
                return -1.0;
            }
            let alike = 1.0 + 0.6 * same_signal as f64 + 0.2 * same_service as f64;
            item.weight.ln_1p() / alike
        };
        let mut best = 0;
        for index in 1..rest.len() {
            // The first of equals: they are in order of weight and id.
            if value(&rest[index]) > value(&rest[best]) {
                best = index;
            }
        }
        if value(&rest[best]) < 0.0 {
            break;
        }
        let next = rest.remove(best);
        *services.entry(next.item.service.clone()).or_default() += 1;
        *signals.entry(measured(&next.item).to_owned()).or_default() += 1;
        items.push(next);
    }
}

/// What a metric measures: its signal, or the first word of its line.
fn measured(item: &Item) -> &str {
    match item.signal {
        Some(signal) => signal.name(),
        None => item.text.split(' ').next().unwrap_or_default(),
    }
}

fn changes(incident: &Incident) -> Vec<Candidate<'_>> {
    let found = incident.changes.iter().map(|change| {
        let minutes = minutes(incident, change.time.as_second());
        let direction = topic::direction(&change.message);
        let item = Item {
            id: change.id.clone(),
            kind: Kind::Change,
            service: change.service.clone(),
            signal: None,
            weight: 1.0 / (1.0 + minutes.unsigned_abs() as f64),
            text: format!("{minutes:+}m {}", plain(&change.message, MOST_TEXT)),
            said: format!("{minutes:+}m {}", direction.unwrap_or_default()).trim_end().to_owned(),
            topics: direction.into_iter().collect(),
            about: Vec::new(),
        };
        Candidate { item, quoted: Some(Cow::Borrowed(change.message.as_str())) }
    });
    found.collect()
}

fn metrics(incident: &Incident) -> Vec<Candidate<'_>> {
    let found = incident.metrics.iter().filter_map(|series| {
        let deviation = Deviation::of(series, incident.start, incident.end)?;
        let signal = Signal::of(&series.name);
        let name = signal.map_or_else(|| plain(&series.name, 40), |it| it.name().to_owned());
        let ours =
            signal.map_or_else(|| Said::of(&series.name, &|_| None).to_string(), |_| name.clone());
        let words = deviation.words(series.limit);
        let item = Item {
            id: series.id.clone(),
            kind: Kind::Metric,
            service: series.service.clone(),
            signal,
            weight: deviation.score,
            text: format!("{name} {words}"),
            said: format!("{ours} {words}"),
            topics: Vec::new(),
            about: Vec::new(),
        };
        Some(Candidate { item, quoted: None })
    });
    found.collect()
}

fn events(incident: &Incident) -> Vec<Candidate<'_>> {
    let found = incident.events.iter().map(|event| {
        let reason = reason::known(&event.reason);
        let item = Item {
            id: event.id.clone(),
            kind: Kind::Event,
            service: event.service.clone(),
            signal: None,
            weight: (event.count as f64).ln_1p()
                + if event.kind == EventKind::Warning { 10.0 } else { 0.0 },
            text: format!(
                "{} x{} {}",
                plain(&event.reason, 40),
                event.count,
                plain(&event.message, MOST_TEXT)
            ),
            said: format!("{reason} x{}", event.count),
            topics: vec![reason],
            about: Vec::new(),
        };
        Candidate { item, quoted: Some(Cow::Borrowed(event.message.as_str())) }
    });
    found.collect()
}

fn logs(incident: &Incident) -> Vec<Candidate<'_>> {
    let before_minutes = baseline_minutes(incident);
    let minutes = ((incident.end.as_second() - incident.start.as_second()) as f64 / 60.0).max(1.0);
    let found = incident.logs.iter().filter_map(|line| {
        let level = match line.level {
            Level::Info => 0.0,
            Level::Warn => 1.5,
            Level::Error => 3.0,
        };
        // How often it would have come by its rate in the baseline.
        let expected = line.before as f64 * minutes / before_minutes;
        let growth = ((line.count as f64 + 1.0) / (expected + 1.0)).ln();
        let new = if line.before == 0 { " new" } else { "" };
        let message = message::essence(&line.message);
        let item = Item {
            id: line.id.clone(),
            kind: Kind::Log,
            service: line.service.clone(),
            signal: None,
            weight: level + growth,
            text: format!("x{} {}", line.count, plain(&message, MOST_TEXT)),
            said: format!("x{}{new}", line.count),
            topics: Vec::new(),
            about: Vec::new(),
        };
        (growth >= LEAST_GROWTH).then_some(Candidate { item, quoted: Some(message) })
    });
    found.collect()
}

/// How a prompt puts things.
struct Words<'a> {
    /// The number of each service of the table.
    labels: BTreeMap<&'a str, usize>,
    /// Whether messages are quoted.
    excerpts: bool,
}

impl<'a> Words<'a> {
    fn new(services: &'a [String], options: &Options<'_>) -> Self {
        let numbered = services.iter().enumerate();
        let labels = numbered.map(|(index, name)| (name.as_str(), index + 1)).collect();
        Self { labels, excerpts: options.excerpts }
    }

    /// What a service is called; `s0` is none of the table.
    fn service(&self, name: &str) -> String {
        format!("s{}", self.labels.get(name).copied().unwrap_or(0))
    }

    /// What a text of a service is about, and which others it names.
    fn of(&self, service: &str, text: &str) -> Said {
        Said::of(text, &|name| {
            let (_, number) =
                self.labels.get_key_value(name).filter(|(name, _)| **name != service)?;
            Some(format!("s{number}"))
        })
    }

    /// That in words, and where messages are quoted an excerpt of the text.
    fn message(&self, said: &Said, text: &str) -> String {
        if self.excerpts { format!("{said} {}", excerpt(text)) } else { said.to_string() }
    }

    /// A line with all that the prompt says of it.
    fn item(&self, candidate: &Candidate<'_>) -> Item {
        let mut item = candidate.item.clone();
        if let Some(text) = &candidate.quoted {
            let said = self.of(&item.service, text);
            item.said = format!("{} {}", item.said, self.message(&said, text));
            item.topics.extend(said.topics);
            item.about = said.about;
        }
        item
    }
}

/// Minutes of telemetry before the start: from the first value of any metric on; without metrics as
/// many as after it.
fn baseline_minutes(incident: &Incident) -> f64 {
    let first = incident.metrics.iter().map(|series| series.start.as_second()).min();
    let start = incident.start.as_second();
    let first = first.filter(|first| *first < start);
    let first = first.unwrap_or(2 * start - incident.end.as_second());
    ((start - first) as f64 / 60.0).max(1.0)
}

/// The services that the chosen lines are about and that of the alert, as the incident has them.
fn table(incident: &Incident, chosen: &[Candidate<'_>]) -> Vec<String> {
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    let alerted = incident.alert.iter().map(|alert| alert.service.as_str());
    for name in alerted.chain(chosen.iter().map(|it| it.item.service.as_str())) {
        if wanted.len() < MOST_SERVICES {
            wanted.insert(name);
        }
    }
    if wanted.is_empty() {
        wanted.extend(incident.services.iter().take(MOST_SERVICES).map(|it| it.name.as_str()));
    }
    let all = incident.services.iter().map(|service| service.name.as_str());
    all.filter(|name| wanted.contains(name)).map(str::to_owned).collect()
}

fn render(
    incident: &Incident,
    services: &[String],
    items: &[Item],
    causes: &[Cause],
    words: &Words<'_>,
) -> String {
    let mut prompt = String::new();
    if let Some(alert) = &incident.alert {
        let said = words.of(&alert.service, &alert.message);
        let message = words.message(&said, &alert.message);
        // Writing to a string cannot fail; the same holds below.
        let _ = writeln!(prompt, "alert: {} {message}", words.service(&alert.service));
    }
    prompt.push_str("services:\n");
    for name in services {
        prompt.push_str(&words.service(name));
        let calls = incident.service(name).map(|it| it.calls.as_slice()).unwrap_or_default();
        let known = calls.iter().filter(|callee| words.labels.contains_key(callee.as_str()));
        for (place, callee) in known.enumerate() {
            let arrow = if place == 0 { " >" } else { "" };
            let _ = write!(prompt, "{arrow} {}", words.service(callee));
        }
        prompt.push('\n');
    }
    for (kind, heading) in [
        (Kind::Change, "changes:"),
        (Kind::Metric, "metrics:"),
        (Kind::Event, "events:"),
        (Kind::Log, "logs:"),
    ] {
        let mut first = true;
        for item in items.iter().filter(|item| item.kind == kind) {
            if std::mem::take(&mut first) {
                let _ = writeln!(prompt, "{heading}");
            }
            let _ = writeln!(prompt, "{} {} {}", item.id, words.service(&item.service), item.said);
        }
    }
    let names: Vec<_> = causes.iter().map(|cause| cause.name()).collect();
    let _ = writeln!(prompt, "causes: {}", names.join(" "));
    prompt
}

/// Minutes from the start of the incident to a time.
fn minutes(incident: &Incident, second: i64) -> i64 {
    (second - incident.start.as_second()).div_euclid(60)
}
