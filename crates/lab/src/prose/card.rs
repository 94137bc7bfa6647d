//! Cards: what stands on one, and the same in JSON. Copying is what a model needs for names that it has
//! never seen, and it is learned from names that are always new. The words that answers are made of are
//! written here, each by itself, and their form: what no text of a pretraining holds keeps the vectors of
//! random beginnings, and an adapter, which leaves them as they are, could never write it.

use super::causes::wording;
use super::template::{Pool, Slots};
use crate::dice::Dice;
use crate::settings::{Part, Settings};
use sre::action::ActionKind;
use sre::answer::NO_SERVICE;
use sre::cause::Cause;
use std::collections::BTreeSet;
use std::sync::OnceLock;

const AS_JSON: Pool = Pool {
    train: &["As JSON.", "Write it as a record.", "Fill in the form.", "One line, please."],
    test: &["Turn it into an object.", "In machine form."],
};

/// Share of the words that come from the names in answers.
const OF_ANSWERS: f64 = 0.7;
/// Share of the cards without a service.
const NOBODY: f64 = 0.15;
/// Most pieces of evidence on a card.
const MOST_EVIDENCE: usize = 4;

/// A card, and what stands on it in the form of an answer.
pub(super) fn card(part: Part, variation: u64) -> (String, String) {
    let mut dice = Dice::named(&[0x6361_7264, variation]);
    let dice = &mut dice;
    let service = match dice.happens(NOBODY) {
        true => NO_SERVICE.to_owned(),
        false => format!("s{}", dice.below(12) + 1),
    };
    let [cause, action] = [(); 2]
        .map(|()| std::iter::repeat_with(|| name(dice)).flatten().next().unwrap_or_default());
    let evidence: Vec<String> = (0..dice.below(MOST_EVIDENCE + 1))
        .map(|_| format!("{}{}", dice.one(&["c", "m", "e", "l"]), dice.below(200) + 1))
        .collect();
    let mut lines = [
        format!("service: {service}"),
        format!("cause: {cause}"),
        format!("evidence: {}", evidence.join(" ")),
        format!("action: {action}"),
    ];
    dice.shuffle(&mut lines);
    let question = AS_JSON.say(dice, part, &Slots::new()).unwrap_or_default();
    let evidence = serde_json::json!(evidence);
    let answer = format!(
        r#"{{"service":"{service}","cause":"{cause}","evidence":{evidence},"action":"{action}"}}"#
    );
    (format!("{}\n{question}", lines.join("\n")), answer)
}

/// Two or three words, which together are no name of an answer.
fn name(dice: &mut Dice) -> Option<String> {
    let count = dice.below(2) + 2;
    let word = |_| {
        let from = usize::from(dice.happens(OF_ANSWERS));
        *dice.one(&words()[from])
    };
    let name = (0..count).map(word).collect::<Vec<_>>().join("-");
    (!holds_an_answer(&name)).then_some(name)
}

/// Whether a cause or an action of more than one word stands in it as answers name it.
pub(super) fn holds_an_answer(name: &str) -> bool {
    names().filter(|known| known.contains('-')).any(|known| name.contains(known))
}

/// Causes and actions as answers name them, those too that are held out.
fn names() -> impl Iterator<Item = &'static str> {
    Cause::ALL.into_iter().map(Cause::name).chain(ActionKind::ALL.map(ActionKind::name))
}

/// The words of what is said about the faults of the training, and those of the names that answers
/// have, each by itself.
fn words() -> &'static [Vec<&'static str>; 2] {
    static WORDS: OnceLock<[Vec<&'static str>; 2]> = OnceLock::new();
    WORDS.get_or_init(|| {
        let causes = Cause::ALL.into_iter().filter(|it| !Settings::HELD_OUT_FAULTS.contains(it));
        let shown = causes.clone().map(Cause::name).chain(ActionKind::ALL.map(ActionKind::name));
        let said = causes.map(wording).flat_map(|wording| {
            let pools = [wording.symptom, wording.why, wording.fix, wording.prevention];
            pools.into_iter().flat_map(|pool| pool.train.iter().copied())
        });
        [apart(said), apart(shown)]
    })
}

fn apart(texts: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let words = texts.flat_map(|text| text.split(|it: char| !it.is_ascii_alphabetic()));
    let plain = |word: &&str| word.len() > 1 && word.bytes().all(|it| it.is_ascii_lowercase());
    words.filter(plain).collect::<BTreeSet<_>>().into_iter().collect()
}
