//! The Kubernetes API: as a schema, as a judge of what is written against it, and as training data.
//!
//! - [`Schema`] knows the kinds, types and fields of one version, read from a cluster's OpenAPI
//!   document or from the types that the program carries.
//! - `Schema::check_manifest`, `check_field_path` and `check_command` say what is wrong with a
//!   manifest, a path to a field, a `kubectl` command. What they accept, a server of that version
//!   accepts as far as its schema goes; they know nothing of the objects in a cluster.
//! - `Schema::pairs` and `Schema::documents` make text of it to train on, with whole kinds held out.

mod command;
mod definitions;
mod documents;
mod embedded;
mod finding;
mod manifest;
mod names;
mod openapi;
mod pairs;
mod path;
mod schema;
#[cfg(test)]
mod tests;

pub use command::Form;
pub use documents::TypeDocument;
pub use finding::{Finding, Problem};
pub use pairs::{HoldOut, Pair, PairOptions, Side};
pub use path::Lists;
pub use schema::{Field, Kind, Schema, Shape, Type, short};
