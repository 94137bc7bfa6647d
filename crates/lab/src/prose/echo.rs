//! Names made of words, and the same names again. Copying is what a model needs for names that it has
//! never seen, and it is learned from names that are always new; and words that no other answer holds
//! are written here, or else a small model unlearns to tell them apart.

use super::causes::wording;
use super::template::{Pool, Slots};
use crate::dice::Dice;
use crate::settings::{Part, Settings};
use serde_json::json;
use sre::action::ActionKind;
use sre::cause::Cause;
use std::collections::BTreeSet;
use std::sync::OnceLock;

const AGAIN: Pool = Pool {
    train: &["Repeat them.", "All of them again.", "Write them down as a list."],
    test: &["Copy them out.", "Recite them."],
};
const BEGINS: Pool = Pool {
    train: &["Which begins with {it}?", "The one with {it} in front?", "Complete {it}."],
    test: &["Where does {it} lead?", "Go on from {it}."],
};

/// A question about names, and its answer in JSON.
pub(super) fn echo(part: Part, variation: u64) -> (String, String) {
    let mut dice = Dice::named(&[0x6563_686f, variation]);
    let dice = &mut dice;
    let count = dice.below(6) + 1;
    let names: Vec<String> = std::iter::repeat_with(|| name(dice)).flatten().take(count).collect();
    let one = dice.one(&names).clone();
    let begin = one.split('-').next().unwrap_or_default().to_owned();
    let alone = names.iter().filter(|name| name.split('-').next() == Some(&begin)).count() == 1;
    let (pool, answer) = match dice.happens(0.4) && alone {
        true => (BEGINS, json!({ "name": one })),
        false => (AGAIN, json!({ "names": names })),
    };
    let question = pool.say(dice, part, &Slots::from([("it", begin)])).unwrap_or_default();
    (format!("names: {}\n{question}", names.join(" ")), answer.to_string())
}

/// Two or three words, which together are no name of an answer.
fn name(dice: &mut Dice) -> Option<String> {
    let words = words();
    let count = dice.below(2) + 2;
    let name = (0..count).map(|_| *dice.one(words)).collect::<Vec<_>>().join("-");
    let known =
        Cause::ALL.map(Cause::name).into_iter().chain(ActionKind::ALL.map(ActionKind::name));
    let mut known = known.filter(|known| known.contains('-'));
    (!known.any(|known| name.contains(known))).then_some(name)
}

/// The words of what is said about the faults of the training and of the names that answers have,
/// each by itself.
fn words() -> &'static [&'static str] {
    static WORDS: OnceLock<Vec<&'static str>> = OnceLock::new();
    WORDS.get_or_init(|| {
        let causes = Cause::ALL.iter().filter(|it| !Settings::HELD_OUT_FAULTS.contains(it));
        let patterns = causes.clone().map(|cause| wording(*cause)).flat_map(|wording| {
            let pools = [wording.symptom, wording.why, wording.fix, wording.prevention];
            pools.into_iter().flat_map(|pool| pool.train.iter().copied())
        });
        let names = causes.map(|cause| cause.name());
        let names = names.chain(ActionKind::ALL.map(ActionKind::name));
        let words = patterns.chain(names);
        let words = words.flat_map(|text| text.split(|it: char| !it.is_ascii_alphabetic()));
        let plain = |word: &&str| word.len() > 1 && word.bytes().all(|it| it.is_ascii_lowercase());
        words.filter(plain).collect::<BTreeSet<_>>().into_iter().collect()
    })
}
