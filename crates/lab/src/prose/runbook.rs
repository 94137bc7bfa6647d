//! Runbooks in many manners: what a fault means, how to find it, what to do.

use super::facts::{Facts, Naming};
use super::layout::{Heading, paragraph};
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
    Signs,
    Meaning,
    Diagnosis,
    Mitigation,
    Verify,
    Prevention,
}

use Section::{Diagnosis, Meaning, Mitigation, Prevention, Signs, Verify};

/// Orders of sections: signs before what they mean.
const ORDERS: [&[&[Section]]; 2] = [
    &[
        &[Signs, Meaning, Diagnosis, Mitigation, Verify, Prevention],
        &[Signs, Diagnosis, Meaning, Mitigation, Verify],
        &[Signs, Meaning, Mitigation, Verify, Prevention],
        &[Diagnosis, Signs, Meaning, Mitigation],
        &[Signs, Diagnosis, Meaning, Mitigation, Prevention],
        &[Signs, Meaning, Mitigation],
    ],
    &[
        &[Diagnosis, Signs, Meaning, Mitigation, Prevention, Verify],
        &[Signs, Diagnosis, Mitigation, Meaning],
        &[Signs, Meaning, Verify, Mitigation, Diagnosis],
    ],
];

fn names(section: Section) -> Pool {
    let (train, test): (&[&str], &[&str]) = match section {
        Signs => (&["Symptoms", "How it shows", "What you see"], &["Indicators", "Appearance"]),
        Meaning => (&["Meaning", "What it means", "Cause"], &["Interpretation", "Explanation"]),
        Diagnosis => {
            (&["Diagnosis", "How to confirm", "Where to look"], &["Inspection", "Probing"])
        }
        Mitigation => (&["Mitigation", "What to do", "Steps"], &["Countermeasure", "Treatment"]),
        Verify => (&["Verify", "How to know that it worked"], &["Proof", "Acceptance"]),
        Prevention => (&["Prevention", "Never again", "Afterwards"], &["Hardening", "Precautions"]),
    };
    Pool { train, test }
}

const TITLES: Pool = Pool {
    train: &[
        "Runbook: {service}",
        "Runbook for \"{alert}\"",
        "When {alerted} pages: {alert}",
        "{service}: what to do",
        "On-call notes for {service}",
        "On-call notes of {clock}",
        "Notes for the next time",
    ],
    test: &[
        "Playbook for {alerted}",
        "Operating instructions, {service}",
        "Operating instructions",
    ],
};

const COMMANDS: [&[&str]; 2] = [
    &[
        "kubectl get pods -l app={name} -o wide",
        "kubectl describe deployment {name}",
        "kubectl logs deployment/{name} --since=30m --tail=100",
        "kubectl top pods -l app={name}",
        "kubectl rollout history deployment/{name}",
        "kubectl get events --sort-by=.lastTimestamp",
        "kubectl describe pods -l app={name}",
    ],
    &[
        "kubectl get deployment {name} -o yaml",
        "kubectl logs deployment/{name} --previous --tail=50",
        "kubectl get replicasets -l app={name}",
        "kubectl top pods -l app={name} --containers",
    ],
];

const LOOK: Pool = Pool {
    train: &[
        "Look at [the service and its events|these] first:",
        "Run:",
        "These commands change nothing:",
        "Confirm it before you change anything:",
        "Begin with what the cluster says about {service}:",
        "Compare the output with a good day:",
    ],
    test: &["Gather facts with:", "Read-only commands to start from:", "Query the cluster:"],
};

/// A runbook for what happened in an incident. `variation` names the wording: the same one gives the
/// same text.
pub fn runbook(simulated: &Simulated, pack: &Pack, variation: u64) -> String {
    let mut dice = Dice::named(&[0x7275_6e62, variation]);
    let dice = &mut dice;
    let part = simulated.part;
    let naming = *dice.one(&[Naming::Name, Naming::Quoted]);
    let facts = Facts::new(dice, simulated, pack, naming);
    let order = *dice.one::<&[Section]>(ORDERS[usize::from(part == Part::Test)]);
    let heading = Heading::any(dice, part);
    let steps = dice.happens(0.4);
    let mut out = heading.title(&TITLES.say(dice, part, &facts.slots).unwrap_or_default());
    for section in order {
        let name = names(*section).say(dice, part, &Slots::new()).unwrap_or_default();
        let sentences = sentences(dice, &facts, *section);
        let mut body = paragraph(&sentences, steps && *section != Diagnosis);
        if *section == Diagnosis {
            body.push_str(&commands(dice, &facts));
        }
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
        Signs => {
            teller.say(wording.symptom);
            teller.cited(many);
            teller.suffering(many);
        }
        Meaning => {
            teller.spread();
            teller.say(wording.why);
        }
        Diagnosis => {
            teller.say(LOOK);
        }
        Mitigation => {
            for _ in 0..many {
                teller.say(wording.fix);
            }
        }
        Verify => {
            teller.say(say::VERIFY);
        }
        Prevention => {
            for _ in 0..=many {
                teller.say(wording.prevention);
            }
        }
    }
    teller.take()
}

/// Two to four commands about the service at fault, or about that of the alarm.
fn commands(dice: &mut Dice, facts: &Facts<'_>) -> String {
    let alert = facts.simulated.incident.alert.as_ref();
    let name = facts.service().or(alert.map(|alert| alert.service.as_str())).unwrap_or("SERVICE");
    let mut all = COMMANDS[usize::from(facts.part() == Part::Test)].to_vec();
    dice.shuffle(&mut all);
    all.truncate(dice.below(3) + 2);
    let lines: Vec<_> = all.iter().map(|line| line.replace("{name}", name)).collect();
    format!("```\n{}\n```\n", lines.join("\n"))
}
