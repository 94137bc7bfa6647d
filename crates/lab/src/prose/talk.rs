//! An evidence pack and a conversation about what stands in it, with answers in JSON. It teaches the marks
//! of turns and the form of answers; what is asked can be looked up, and no cause is.

use super::lookup::{callees, callers};
use super::reading::shown;
use super::template::{Pool, Slots};
use crate::dice::Dice;
use crate::simulated::Simulated;
use serde_json::{Value, json};
use sre::evidence::{Kind, Pack};

const OF: Pool = Pool {
    train: &["Of which service is {it}?", "Whose line is {it}?", "{it}: which label?"],
    test: &["To whom belongs {it}?", "Name the owner of {it}."],
};
const LINES: Pool = Pool {
    train: &["Which lines are about {it}?", "List the lines of {it}.", "What is there about {it}?"],
    test: &["Collect whatever concerns {it}.", "Everything on {it}, please."],
};
const CALLS: Pool = Pool {
    train: &["Whom does {it} call?", "What does {it} use?", "Calls of {it}?"],
    test: &["Upon whom does {it} rely?", "Callees of {it}?"],
};
const CALLED: Pool = Pool {
    train: &["Who calls {it}?", "Who suffers when {it} fails?", "Callers of {it}?"],
    test: &["Whom would an outage of {it} hurt?", "Upstream of {it}?"],
};
const KINDS: Pool = Pool {
    train: &["List the {it}.", "Which lines are {it}?", "All {it}?"],
    test: &["Enumerate the {it}.", "Every one of the {it}, please."],
};
const ALARM: Pool = Pool {
    train: &["Who raised the alarm?", "Which service paged?", "About which service is the alert?"],
    test: &["Whom does the page concern?", "Source of the alarm?"],
};

/// Questions and answers; the first question has the pack before it.
pub(super) fn talk(simulated: &Simulated, pack: &Pack, variation: u64) -> Vec<(String, String)> {
    let mut dice = Dice::named(&[0x7461_6c6b, variation]);
    let count = dice.below(4) + 3;
    let asked = (0..count).filter_map(|_| turn(&mut dice, simulated, pack));
    let mut turns: Vec<(String, String)> = asked.collect();
    while turns.is_empty() && !pack.services.is_empty() {
        turns.extend(turn(&mut dice, simulated, pack));
    }
    if let Some((question, _)) = turns.first_mut() {
        *question = format!("{}{question}", shown(pack));
    }
    turns
}

fn turn(dice: &mut Dice, simulated: &Simulated, pack: &Pack) -> Option<(String, String)> {
    let label = dice.one(&pack.labels()).clone();
    let name = pack.service(&label)?.to_owned();
    let ids = |wanted: &dyn Fn(&sre::evidence::Item) -> bool| -> Vec<String> {
        pack.items.iter().filter(|item| wanted(item)).map(|item| item.id.clone()).collect()
    };
    let (pool, about, answer): (Pool, String, Value) = match dice.below(6) {
        0 if !pack.items.is_empty() => {
            let item = dice.one(&pack.items);
            (OF, item.id.clone(), json!({ "label": pack.label(&item.service)? }))
        }
        1 => (CALLS, label, json!({ "labels": callees(simulated, pack, &name) })),
        2 => (CALLED, label, json!({ "labels": callers(simulated, pack, &name) })),
        3 => {
            let (kind, word) = *dice.one(&[
                (Kind::Change, "changes"),
                (Kind::Metric, "metrics"),
                (Kind::Event, "events"),
                (Kind::Log, "logs"),
            ]);
            (KINDS, word.to_owned(), json!({ "lines": ids(&|item| item.kind == kind) }))
        }
        4 => {
            let alert = simulated.incident.alert.as_ref()?;
            (ALARM, String::new(), json!({ "label": pack.label(&alert.service)? }))
        }
        _ => {
            let lines = ids(&|item| item.service == name);
            (LINES, label.clone(), json!({ "label": label, "lines": lines }))
        }
    };
    let question = pool.say(dice, simulated.part, &Slots::from([("it", about)]))?;
    Some((question, answer.to_string()))
}
