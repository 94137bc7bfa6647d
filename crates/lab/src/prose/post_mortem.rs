//! Post-mortems in many manners: orders of sections, styles of headings, prose or lists.

use super::facts::{Facts, Naming};
use super::layout::{Heading, Timeline, paragraph};
use super::statements as say;
use super::teller::Teller;
use super::template::{Pool, Slots};
use crate::dice::Dice;
use crate::settings::Part;
use crate::simulated::Simulated;
use sre::evidence::Pack;

/// A section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Summary,
    Impact,
    Detection,
    Timeline,
    Cause,
    Resolution,
    Actions,
    Lessons,
    Open,
}

use Section::{Actions, Cause, Detection, Impact, Lessons, Open, Resolution, Summary};

/// Orders of sections. In all of them the symptoms come before the cause.
const ORDERS: [&[&[Section]]; 2] = [
    &[
        &[Summary, Impact, Section::Timeline, Cause, Resolution, Actions, Lessons],
        &[Summary, Section::Timeline, Impact, Cause, Resolution, Actions],
        &[Detection, Impact, Section::Timeline, Cause, Resolution, Lessons, Actions],
        &[Summary, Detection, Section::Timeline, Cause, Actions],
        &[Section::Timeline, Impact, Cause, Resolution, Open, Actions, Lessons],
        &[Summary, Impact, Cause, Section::Timeline, Actions, Lessons],
        &[Detection, Section::Timeline, Cause, Resolution],
        &[Impact, Cause, Resolution, Actions],
    ],
    &[
        &[Detection, Section::Timeline, Impact, Cause, Lessons, Resolution],
        &[Impact, Summary, Section::Timeline, Cause, Actions, Resolution],
        &[Section::Timeline, Detection, Cause, Resolution, Actions, Open],
    ],
];

/// Names of a section.
fn names(section: Section) -> Pool {
    let (train, test): (&[&str], &[&str]) = match section {
        Summary => (&["Summary", "Overview", "In short", "What happened"], &["Abstract", "Digest"]),
        Impact => (&["Impact", "Effect on users", "Who was affected"], &["Damage", "Harm"]),
        Detection => (&["Detection", "How we noticed", "Symptoms"], &["First signs", "Discovery"]),
        Section::Timeline => (&["Timeline", "Sequence of events", "Times"], &["Chronology", "Log"]),
        Cause => (
            &["Root cause", "Cause", "Why it happened", "Contributing factors", "Analysis"],
            &["Origin", "Diagnosis and reasons"],
        ),
        Resolution => (&["Resolution", "Mitigation", "What helped"], &["Remedy", "Cure"]),
        Actions => (&["Action items", "Follow-up", "What we will do"], &["Tasks", "Commitments"]),
        Lessons => (&["Lessons", "Lessons learned", "What we learned"], &["Insights", "Morals"]),
        Open => (&["Open questions", "What is not known"], &["Gaps", "Still unclear"]),
    };
    Pool { train, test }
}

const TITLES: Pool = Pool {
    train: &[
        "Post-mortem: {service}, {date}",
        "Incident of {date}: {alert}",
        "{date}: trouble with {service}",
        "Incident review {date}",
        "What happened to {alerted} on {date}",
        "Report on the incident at {clock} on {date}",
        "{alerted}: {alert}",
    ],
    test: &[
        "Retrospective on {alerted}, {date}",
        "Account of the outage on {date}",
        "Case file {date}: {service}",
        "Case file {date}",
    ],
};

/// A post-mortem of an incident, true to its data. `variation` names the wording: the same one gives
/// the same text.
pub fn post_mortem(simulated: &Simulated, pack: &Pack, variation: u64) -> String {
    let mut dice = Dice::named(&[0x706f_7374, variation]);
    let dice = &mut dice;
    let naming = *dice.one(&[Naming::Name, Naming::Name, Naming::Quoted]);
    let facts = Facts::new(dice, simulated, pack, naming);
    let order = *dice.one::<&[Section]>(ORDERS[usize::from(simulated.part == Part::Test)]);
    let heading = Heading::any(dice, simulated.part);
    let lists = dice.happens(0.3);
    let mut slots = facts.slots.clone();
    slots.insert("date", simulated.incident.start.strftime("%Y-%m-%d").to_string());
    let mut out = heading.title(&TITLES.say(dice, simulated.part, &slots).unwrap_or_default());
    for section in order {
        let name = names(*section).say(dice, simulated.part, &Slots::new()).unwrap_or_default();
        let body = if *section == Section::Timeline {
            Timeline::any(dice, simulated.part).of(&facts)
        } else {
            let sentences = sentences(dice, &facts, *section);
            paragraph(&sentences, lists || *section == Actions)
        };
        if !body.is_empty() {
            out.push_str(&heading.section(&name));
            out.push_str(&body);
        }
    }
    out
}

fn sentences(dice: &mut Dice, facts: &Facts<'_>, section: Section) -> Vec<String> {
    let many = dice.below(2) + 1;
    let mut teller = Teller::new(dice, facts);
    let wording = teller.wording;
    match section {
        Summary => {
            teller.start();
            teller.say(wording.symptom);
            teller.say(say::DURATION);
            teller.say(wording.why);
        }
        Impact => teller.suffering(many + 1),
        Detection => {
            teller.start();
            teller.say(wording.symptom);
            teller.cited(many);
        }
        // A timeline is a table or a list of its own.
        Section::Timeline => {}
        Cause => {
            teller.cited(4);
            teller.say(say::TOGETHER);
            teller.spread();
            teller.say(wording.why);
            teller.second();
        }
        Resolution => {
            teller.say(wording.fix);
            teller.say(say::VERIFY);
        }
        Actions => {
            for _ in 0..=many {
                teller.say(wording.prevention);
            }
        }
        Lessons => (0..many).for_each(|_| {
            teller.say(say::LESSON);
        }),
        Open => {
            teller.unrelated(many);
            teller.say(say::DURATION);
        }
    }
    teller.take()
}
