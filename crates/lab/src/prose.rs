//! Prose about simulated incidents: post-mortems, runbooks and the corpus that a small model learns
//! to read from. Patterns with places and choices, in pools that the two sides of the split do not
//! share; what is said is backed by the incident, or not said.

mod card;
mod causes;
mod close_up;
mod corpus;
mod facts;
mod layout;
mod lookup;
mod numbers;
mod post_mortem;
mod reading;
mod runbook;
mod statements;
mod talk;
mod telemetry;
mod teller;
mod template;
#[cfg(test)]
mod tests;

pub use corpus::{Deck, Document, DocumentKind, document, documents};
pub use post_mortem::post_mortem;
pub use runbook::runbook;
