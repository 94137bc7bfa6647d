//! Documents from a checked answer, by plain code: a post-mortem draft and a runbook in Markdown.
//!
//! No model writes here. Every number is from the incident, every statement about it carries the id
//! of its evidence, and every text from the cluster is a code span. What is not known is said.
//! [`check()`] finds statements without evidence, also in a draft that people went on with.

use crate::evidence::{Item, Kind};
use crate::incident::Incident;
use crate::markdown::{code, is_object_name};

mod actions;
mod causes;
mod check;
mod factors;
mod post_mortem;
mod runbook;
#[cfg(test)]
mod tests;
mod timeline;
mod unknown;

pub use check::{Unsupported, Why, check};
pub use post_mortem::post_mortem;
pub use runbook::runbook;

/// Most characters of a name, and of a text, from the cluster.
const MOST_NAME: usize = 63;
const MOST_TEXT: usize = 160;

/// A service's or an item's name as a code span.
fn name(text: &str) -> String {
    code(text, MOST_NAME)
}

/// A line of the pack without the id: what it is, whose, and what it says.
fn described(item: &Item) -> String {
    let kind = match item.kind {
        Kind::Change => "change",
        Kind::Metric => "metric",
        Kind::Event => "event",
        Kind::Log => "log",
    };
    format!("{kind} of {}: {}", name(&item.service), code(&item.text, MOST_TEXT))
}

/// What a statement rests on that no line of evidence shows: parts of the incident file, and the
/// answer.
const WINDOW: &str = "window";
const ALERT: &str = "alert";
const SERVICES: &str = "services";
const ANSWER: &str = "answer";

/// The ids that a statement rests on, as they stand behind it.
fn rests<T: AsRef<str>>(ids: &[T]) -> String {
    let ids: Vec<_> = ids.iter().map(|id| name(id.as_ref())).collect();
    format!("({})", ids.join(", "))
}

/// Commands for a service with its name and node filled in, one per line. A name that Kubernetes
/// would not accept never reaches a command: the reader fills it in.
fn commands(templates: &[&str], incident: &Incident, service: Option<&str>) -> String {
    let node = service
        .and_then(|name| incident.service(name))
        .and_then(|service| service.node.as_deref())
        .filter(|name| is_object_name(name))
        .unwrap_or("NODE");
    let service = service.filter(|name| is_object_name(name)).unwrap_or("SERVICE");
    let fill = |line: &&str| line.replace("{service}", service).replace("{node}", node);
    let lines: Vec<_> = templates.iter().map(fill).collect();
    format!("```\n{}\n```\n", lines.join("\n"))
}

/// A probability in words, without a precision that it does not have.
fn percent(probability: f64) -> String {
    // Rounded down: what is not certain is not called so.
    format!("{:.0} %", (100.0 * probability.clamp(0.0, 1.0)).floor())
}
