//! An evidence pack with short questions and answers about what stands in it: which line belongs to
//! which service, who calls whom, what a line says. They teach to look things up in the prompt.

use super::reading::shown;
use super::template::{Pool, Slots};
use crate::dice::Dice;
use crate::simulated::Simulated;
use sre::evidence::{Item, Kind, Pack};

const ABOUT: Pool = Pool {
    train: &[
        "line {id} is about {label}.",
        "{id} belongs to {label}.",
        "Which service is {id} about? {label}.",
        "{id}: {label}.",
        "The service of {id} is {label}.",
        "Q: whose line is {id}? A: {label}.",
    ],
    test: &["Owner of {id}: {label}.", "{id} concerns {label}."],
};
const NAMED: Pool = Pool {
    train: &[
        "{label} is {name}.",
        "{name} is {label}.",
        "What is {label} called? {name}.",
        "The label of {name} is {label}.",
        "Q: which label has {name}? A: {label}.",
        "{label} stands for {name}.",
    ],
    test: &["{label} denotes {name}.", "Under {label} goes {name}."],
};
const CALLS: Pool = Pool {
    train: &[
        "{label} calls {others}.",
        "Whom does {label} call? {others}.",
        "Calls go from {label} to {others}.",
        "{label} depends on {others}.",
        "Q: what does {label} use? A: {others}.",
        "{others}: called by {label}.",
    ],
    test: &["Callees of {label}: {others}.", "{label} relies on {others}."],
};
const CALLED: Pool = Pool {
    train: &[
        "{label} is called by {others}.",
        "Who calls {label}? {others}.",
        "Callers of {label} are {others}.",
        "{others} suffer when {label} fails.",
        "If {label} is slow, so is whoever calls it: {others}.",
        "Q: who uses {label}? A: {others}.",
    ],
    test: &["Upstream of {label}: {others}.", "{label} serves {others}."],
};
const LINES: Pool = Pool {
    train: &[
        "Lines about {label}: {ids}.",
        "Which lines are about {label}? {ids}.",
        "{label} has {ids}.",
        "Of {label} we know {ids}.",
        "Q: what is there about {label}? A: {ids}.",
        "For {label} look at {ids}.",
    ],
    test: &["Records of {label}: {ids}.", "{ids} deal with {label}."],
};
const KINDS: Pool = Pool {
    train: &[
        "The {kind} are {ids}.",
        "{kind}: {ids}.",
        "Which lines are {kind}? {ids}.",
        "There are {count} {kind}: {ids}.",
        "Q: list the {kind}. A: {ids}.",
        "Among the lines the {kind} are {ids}.",
    ],
    test: &["Listed {kind}: {ids}.", "{ids}, these are the {kind}."],
};
const SAYS: Pool = Pool {
    train: &[
        "{id} says: {text}",
        "What does {id} say? {text}",
        "{id} reads \"{text}\".",
        "The text of {id} is: {text}",
        "Q: {id}? A: {text}",
        "{label} has {id}: {text}",
    ],
    test: &["Content of {id}: {text}", "{id} states {text}"],
};
const MOST: Pool = Pool {
    train: &[
        "The metric that moved most is {id} of {label}.",
        "Which metric moved most? {id}, of {label}.",
        "First among the metrics stands {id} ({label}).",
        "The strongest metric line is {id}, about {label}.",
        "Q: strongest metric? A: {id} of {label}.",
        "{id} of {label} left its baseline farthest.",
    ],
    test: &["Top metric: {id} at {label}.", "{id} ({label}) heads the metrics."],
};
const ALARM: Pool = Pool {
    train: &[
        "The alert is about {label}.",
        "Which service raised the alarm? {label}.",
        "{label} is the one with the alert.",
        "Alerted: {label}.",
        "Q: who paged? A: {label}.",
        "The alarm came from {label}.",
    ],
    test: &["The page concerns {label}.", "Alarm source: {label}."],
};

/// A pack followed by questions and answers about it.
pub(super) fn lookup(simulated: &Simulated, pack: &Pack, variation: u64) -> String {
    let mut dice = Dice::named(&[0x6c6f_6f6b, variation]);
    let dice = &mut dice;
    let mut out = format!("{}\n", shown(pack));
    let count = dice.below(7) + 8;
    for _ in 0..count {
        if let Some(line) = line(dice, simulated, pack) {
            out.push_str(&format!("{line}\n"));
        }
    }
    out
}

fn line(dice: &mut Dice, simulated: &Simulated, pack: &Pack) -> Option<String> {
    let (mut slots, choice) = (Slots::new(), dice.below(10));
    let label = dice.one(&pack.labels()).clone();
    let name = pack.service(&label)?.to_owned();
    let pool = match choice {
        0..=2 => item(dice, pack, &mut slots, &[ABOUT, ABOUT, SAYS])?,
        3 => {
            slots.insert("name", name);
            NAMED
        }
        4 => {
            slots.insert("others", listed(callees(simulated, pack, &name)));
            CALLS
        }
        5 => {
            slots.insert("others", listed(callers(simulated, pack, &name)));
            CALLED
        }
        6 => {
            slots.insert("ids", ids(pack, |item| item.service == name));
            LINES
        }
        7 => kinds(dice, pack, &mut slots),
        8 => {
            let most = pack.items.iter().find(|item| item.kind == Kind::Metric)?;
            slots.insert("id", most.id.clone());
            slots.insert("label", pack.label(&most.service)?);
            MOST
        }
        _ => {
            let alert = simulated.incident.alert.as_ref()?;
            slots.insert("label", pack.label(&alert.service)?);
            ALARM
        }
    };
    slots.entry("label").or_insert(label);
    pool.say(dice, simulated.part, &slots)
}

/// Something about one line.
fn item(dice: &mut Dice, pack: &Pack, slots: &mut Slots, pools: &[Pool]) -> Option<Pool> {
    if pack.items.is_empty() {
        return None;
    }
    let item = dice.one(&pack.items);
    slots.insert("id", item.id.clone());
    slots.insert("label", pack.label(&item.service)?);
    slots.insert("text", item.said.clone());
    Some(*dice.one(pools))
}

/// The lines of one kind.
fn kinds(dice: &mut Dice, pack: &Pack, slots: &mut Slots) -> Pool {
    let (kind, name) = *dice.one(&[
        (Kind::Change, "changes"),
        (Kind::Metric, "metrics"),
        (Kind::Event, "events"),
        (Kind::Log, "logs"),
    ]);
    let count = pack.items.iter().filter(|item| item.kind == kind).count();
    slots.insert("kind", name.to_owned());
    slots.insert("count", count.to_string());
    slots.insert("ids", ids(pack, |item| item.kind == kind));
    KINDS
}

fn ids(pack: &Pack, wanted: impl Fn(&Item) -> bool) -> String {
    let ids = pack.items.iter().filter(|item| wanted(item)).map(|item| item.id.clone());
    listed(ids.collect())
}

pub(super) fn callees(simulated: &Simulated, pack: &Pack, name: &str) -> Vec<String> {
    let calls = simulated.incident.service(name).map(|it| it.calls.as_slice()).unwrap_or_default();
    calls.iter().filter_map(|callee| pack.label(callee)).collect()
}

pub(super) fn callers(simulated: &Simulated, pack: &Pack, name: &str) -> Vec<String> {
    let calls = |caller: &&String| {
        let service = simulated.incident.service(caller);
        service.is_some_and(|service| service.calls.iter().any(|callee| callee == name))
    };
    pack.services.iter().filter(calls).filter_map(|caller| pack.label(caller)).collect()
}

/// "m1, m2 and m3", or "none".
fn listed(mut items: Vec<String>) -> String {
    match items.pop() {
        None => "none".to_owned(),
        Some(last) if items.is_empty() => last,
        Some(last) => format!("{} and {last}", items.join(", ")),
    }
}
