//! Evidence packs as text, followed by what a careful reader makes of them, as one text or as a
//! question and its answer. The list of causes and the structured answer are left out: this teaches to
//! read, not to answer.

use super::card::holds_an_answer;
use super::facts::{Facts, Naming};
use super::layout::paragraph;
use super::statements as say;
use super::teller::Teller;
use super::template::{Pool, Slots};
use crate::dice::Dice;
use crate::simulated::Simulated;
use sre::answer::NO_SERVICE;
use sre::evidence::Pack;

const LEADS: Pool = Pool {
    train: &[
        "Reading the evidence:",
        "What the lines say:",
        "Explanation:",
        "In words:",
        "[Read|Seen] line by line:",
        "What a careful reader [sees|makes of it]:",
        "Notes on the above:",
        "How it fits together:",
    ],
    test: &["Commentary:", "My reading:", "Put into sentences:"],
};

const QUESTIONS: Pool = Pool {
    train: &[
        "Explain.",
        "What happened?",
        "What do [these|the] lines say?",
        "Where does it point?",
        "Read the evidence to me.",
        "What is the matter here?",
    ],
    test: &["Put it into words.", "How do you read this?", "Where would you look?"],
};

const FILED: Pool = Pool {
    train: &[
        "A title for the report.",
        "What shall it be filed under?",
        "Name this incident.",
        "How would you head it?",
    ],
    test: &["Give it a heading.", "Which title fits?"],
};

/// Most words of a title.
const TITLE_WORDS: usize = 8;

/// The prompt without the options.
pub(super) fn shown(pack: &Pack) -> &str {
    let end = pack.prompt.rfind("causes:").unwrap_or(pack.prompt.len());
    &pack.prompt[..end]
}

/// A pack and its explanation.
pub(super) fn reading(simulated: &Simulated, pack: &Pack, variation: u64) -> String {
    let mut dice = Dice::named(&[0x7265_6164, variation]);
    let lead = LEADS.say(&mut dice, simulated.part, &Slots::new()).unwrap_or_default();
    let list = dice.happens(0.25);
    let between = if list { "\n" } else { " " };
    format!("{}\n{lead}{between}{}", shown(pack), explained(&mut dice, simulated, pack, list))
}

/// A question under a pack, and the explanation as its answer.
pub(super) fn explanation(simulated: &Simulated, pack: &Pack, variation: u64) -> (String, String) {
    let mut dice = Dice::named(&[0x6578_706c, variation]);
    let question = QUESTIONS.say(&mut dice, simulated.part, &Slots::new()).unwrap_or_default();
    let list = dice.happens(0.15);
    (format!("{}{question}", shown(pack)), explained(&mut dice, simulated, pack, list))
}

/// A question under a few lines, answered with nothing but where they point and why.
pub(super) fn hint(simulated: &Simulated, pack: &Pack, variation: u64) -> (String, String) {
    let mut dice = Dice::named(&[0x6869_6e74, variation]);
    let question = QUESTIONS.say(&mut dice, simulated.part, &Slots::new()).unwrap_or_default();
    let facts = Facts::new(&mut dice, simulated, pack, Naming::Label);
    let mut teller = Teller::new(&mut dice, &facts);
    teller.say(say::TOGETHER);
    teller.say(teller.wording.why);
    (format!("{}{question}", shown(pack)), paragraph(&teller.take(), false))
}

/// A question under a pack, answered with where it points, why and what helps, in JSON and with the words
/// joined, as names in answers are.
pub(super) fn title(simulated: &Simulated, pack: &Pack, variation: u64) -> (String, String) {
    let mut dice = Dice::named(&[0x7469_746c, variation]);
    let question = FILED.say(&mut dice, simulated.part, &Slots::new()).unwrap_or_default();
    let facts = Facts::new(&mut dice, simulated, pack, Naming::Label);
    let mut teller = Teller::new(&mut dice, &facts);
    let wording = teller.wording;
    let [why, fix] = [wording.why, wording.fix].map(|pool| {
        teller.say(pool);
        joined(teller.take().first().map_or(NO_SERVICE, String::as_str))
    });
    let about = &facts.said.service;
    let answer = format!(r#"{{"about":"{about}","title":"{why}","remedy":"{fix}"}}"#);
    (format!("{}{question}", shown(pack)), answer)
}

/// The first words of a sentence, joined by hyphens, up to where they would make a name of an answer.
fn joined(sentence: &str) -> String {
    let words = sentence.split(|it: char| !it.is_ascii_alphanumeric());
    let mut name = String::new();
    for word in words.filter(|word| !word.is_empty()).take(TITLE_WORDS) {
        let longer = match name.as_str() {
            "" => word.to_ascii_lowercase(),
            _ => format!("{name}-{}", word.to_ascii_lowercase()),
        };
        if holds_an_answer(&longer) {
            break;
        }
        name = longer;
    }
    name
}

fn explained(dice: &mut Dice, simulated: &Simulated, pack: &Pack, list: bool) -> String {
    let naming = *dice.one(&[Naming::Label, Naming::Label, Naming::Both]);
    let facts = Facts::new(dice, simulated, pack, naming);
    let sentences = match dice.below(6) {
        0 => all(dice, &facts),
        1 | 2 => short(dice, &facts),
        _ => strongest(dice, &facts),
    };
    paragraph(&sentences, list)
}

/// From the alarm over those that suffer to the service at fault and why.
fn strongest(dice: &mut Dice, facts: &Facts<'_>) -> Vec<String> {
    let (many, early) = (dice.below(2), dice.happens(0.5));
    let (fix, symptom) = (dice.happens(0.4), dice.happens(0.6));
    let mut teller = Teller::new(dice, facts);
    let wording = teller.wording;
    teller.start();
    teller.suffering(many);
    if early {
        teller.spread();
    }
    teller.cited(4);
    if symptom {
        teller.say(wording.symptom);
    }
    teller.say(say::TOGETHER);
    if !early {
        teller.spread();
    }
    teller.say(wording.why);
    teller.unrelated(1);
    teller.second();
    if fix {
        teller.say(wording.fix);
    }
    teller.take()
}

/// Only where it points and why, with no line of the evidence written out before.
fn short(dice: &mut Dice, facts: &Facts<'_>) -> Vec<String> {
    let (symptom, fix) = (dice.happens(0.3), dice.happens(0.5));
    let mut teller = Teller::new(dice, facts);
    let wording = teller.wording;
    if symptom {
        teller.say(wording.symptom);
    }
    teller.say(say::TOGETHER);
    teller.say(wording.why);
    if fix {
        teller.say(wording.fix);
    }
    teller.cited(2);
    teller.take()
}

/// Every line in the order of the prompt, then the service at fault and why.
fn all(dice: &mut Dice, facts: &Facts<'_>) -> Vec<String> {
    let mut teller = Teller::new(dice, facts);
    let wording = teller.wording;
    for seen in facts.seen.iter().take(10) {
        teller.line(seen);
    }
    teller.say(say::TOGETHER);
    teller.say(wording.why);
    teller.take()
}
