//! One page for the human who has to decide.

use super::{Debate, Message, Outcome, Verdict};
use crate::action::ActionKind;
use crate::evidence::Pack;
use crate::incident::Incident;
use crate::markdown::code;
use std::fmt::Write as _;

/// Causes, suspects, lines of evidence and reasons that are listed: it is one page.
const LISTED: usize = 3;
const EVIDENCE: usize = 8;

/// Most characters of a name and of a text.
const MOST_NAME: usize = 63;
const MOST_TEXT: usize = 110;

/// The question in Markdown, at most a page; `None` where it was decided.
pub fn question(debate: &Debate, incident: &Incident, pack: &Pack) -> Option<String> {
    let Outcome::Question { why } = &debate.outcome else { return None };
    let mut page = format!("# A human has to decide: {}\n\n", code(&incident.id, MOST_NAME));
    // Writing to a string cannot fail.
    let _ = writeln!(page, "Nothing was changed, and {}.\n", why.sentence());
    let diagnosis = &debate.diagnosis;
    page.push_str("## What is likely\n");
    for (cause, share) in diagnosis.causes.iter().take(LISTED) {
        let _ = writeln!(page, "- {:.0} %: {} (`{cause}`)", 100.0 * share, cause.because());
    }
    page.push_str("\n## Who is suspect\n");
    for (label, share) in diagnosis.services.iter().take(LISTED) {
        let name = pack.service(label).map_or("nobody".to_owned(), |name| code(name, MOST_NAME));
        let _ = writeln!(page, "- {:.0} %: {name}", 100.0 * share);
    }
    page.push_str("\n## What was seen\n");
    let cited = |id: &String| diagnosis.answer.evidence.contains(id);
    let (first, rest): (Vec<_>, Vec<_>) = pack.items.iter().partition(|item| cited(&item.id));
    for item in first.into_iter().chain(rest).take(EVIDENCE) {
        let (service, text) = (code(&item.service, MOST_NAME), code(&item.text, MOST_TEXT));
        let _ = writeln!(page, "- {} {service}: {text}", code(&item.id, MOST_NAME));
    }
    rulings(&mut page, debate);
    page.push_str("\n## What to say\n");
    page.push_str("- Which of these is it, or what else was going on at that time?\n");
    if matches!(debate.verdict, Verdict::Denied { .. }) {
        page.push_str("- May one of the refused actions be done after all, and who allows it?\n");
    }
    Some(page)
}

/// What was proposed and what the Warden said to it.
fn rulings(page: &mut String, debate: &Debate) {
    let mut proposed: Option<(ActionKind, String)> = None;
    let mut lines = String::new();
    for entry in &debate.transcript {
        match &entry.message {
            Message::Proposal { answer, .. } => {
                proposed = Some((answer.action.kind, answer.action.sentence()));
            }
            Message::Ruling(Verdict::Denied { reasons }) => {
                let Some((_, sentence)) = &proposed else { continue };
                let reasons = reasons.iter().take(LISTED).map(|it| code(it, MOST_TEXT));
                let reasons: Vec<_> = reasons.collect();
                let _ = writeln!(lines, "- {sentence}: denied, {}", reasons.join("; "));
            }
            _ => {}
        }
    }
    if !lines.is_empty() {
        page.push_str("\n## What was refused\n");
        page.push_str(&lines);
    }
}
