//! A runbook for one cause at one service.

use super::actions::steps;
use super::causes::guide;
use super::{ANSWER, SERVICES, WINDOW, commands, name, rests};
use crate::action::{Action, ActionKind};
use crate::answer::Answer;
use crate::cause::Cause;
use crate::incident::Incident;

/// A runbook in Markdown for a cause at the answer's service: what it means, who suffers, how to
/// confirm it, what to do, how to see that it helped and how to take it back.
///
/// The mitigation is the answer's action where the cause is the answer's, else what helps against
/// the cause. Commands are `kubectl`'s; a name that is not one to Kubernetes never stands in them.
pub fn runbook(cause: Cause, incident: &Incident, answer: &Answer) -> String {
    let service = answer.service.as_deref();
    let guide = guide(cause);
    let action = if cause == answer.cause {
        answer.action.clone()
    } else {
        Action::propose(cause.remedy(), incident, service)
    };
    let whose = service.map_or_else(String::new, |service| format!("{}: ", name(service)));
    let mut out = format!("# Runbook, {whose}{}\n", guide.title);
    out.push_str(&format!("\n## Meaning\n\n{}\n", guide.meaning));
    out.push_str(&format!("\n## Impact\n\n{}\n", impact(cause, incident, service)));
    let lead =
        if cause.is_fault() { "Confirm it before anything is changed." } else { "Look first." };
    out.push_str(&format!(
        "\n## Diagnosis\n\n{lead} Words in capitals are to be filled in; the commands take the \
         Deployment and its `app.kubernetes.io/name` label to be named as the service, and run in the \
         current namespace: `kubectl config set-context --current --namespace=NAMESPACE` first.\n\n{}",
        commands(guide.diagnosis, incident, service)
    ));
    out.push_str(&format!("\n## Mitigation\n\n{}", mitigation(&action, incident, service)));
    out.push_str("\n## Prevention\n\n");
    for item in guide.prevention {
        out.push_str(&format!("- {item}\n"));
    }
    out
}

fn impact(cause: Cause, incident: &Incident, service: Option<&str>) -> String {
    if cause == Cause::None {
        return format!("None that the telemetry shows {}.", rests(&[WINDOW]));
    }
    let Some(service) = service else {
        let answer = rests(&[ANSWER]);
        return format!("No service could be named; which callers suffer is not known {answer}.");
    };
    let calls = |caller: &&crate::incident::Service| caller.calls.iter().any(|it| it == service);
    let callers: Vec<_> = incident.services.iter().filter(calls).map(|it| name(&it.name)).collect();
    if callers.is_empty() {
        return format!("{} has no callers that are known {}.", name(service), rests(&[SERVICES]));
    }
    format!(
        "Callers of {} see it as slow or failing answers, and may raise the first alarm: {} {}.",
        name(service),
        callers.join(", "),
        rests(&[SERVICES])
    )
}

fn mitigation(action: &Action, incident: &Incident, service: Option<&str>) -> String {
    let steps = steps(action);
    let value = action.value.map_or_else(|| "VALUE".to_owned(), |value| value.to_string());
    let lines: Vec<_> = steps.commands.iter().map(|line| line.replace("{value}", &value)).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let lead = match action.kind {
        ActionKind::Nothing => "Change nothing.".to_owned(),
        ActionKind::Escalate => "Hand over to somebody who knows the service.".to_owned(),
        _ => format!("Proposed: {}. Have it approved first.", action.sentence()),
    };
    format!(
        "{lead}\n\n{}\nVerify: {}.\n\nUndo: {}.\n",
        commands(&lines, incident, service),
        steps.verify,
        steps.undo
    )
}
