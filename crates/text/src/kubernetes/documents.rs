//! The schema as plain text, for a model that is to know its names before it is asked for them.

use super::pairs::{Apart, PairOptions, Side};
use super::schema::{Kind, Schema, Type, short};
use crate::Result;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A text about one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeDocument {
    /// `kubernetes/types/` and the full name of the type.
    pub id: String,
    /// The text.
    pub text: String,
}

impl Schema {
    /// A document for every type, in the order of their names. The training side has no type that
    /// only kinds have that are held out, and no line that names one; the other side has these
    /// types.
    ///
    /// # Errors
    /// As [`Schema::held_out`].
    pub fn documents(&self, options: &PairOptions) -> Result<Vec<TypeDocument>> {
        let held_out = self.held_out(&options.hold_out, options.seed)?;
        let apart = Apart::new(self, &held_out);
        let trained = self.reached(&apart);
        let (wanted, apart) = match options.side {
            Side::Training => (trained, apart),
            Side::HeldOut => {
                let all = self.reached(&Apart::default());
                (all.difference(&trained).copied().collect(), Apart::default())
            }
        };
        let mut documents = Vec::new();
        for name in wanted {
            if let Some(found) = self.type_named(name) {
                let id = format!("kubernetes/types/{name}");
                documents.push(TypeDocument { id, text: self.text(name, found, &apart) });
            }
        }
        Ok(documents)
    }

    /// The full names of all types that are in a kind, without these kinds and what only they have.
    fn reached(&self, without: &Apart) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&str> = self.kinds().iter().map(|it| it.type_name.as_str()).collect();
        while let Some(name) = open.pop() {
            if !without.has_type(name) && reached.insert(name) {
                let fields = self.type_named(name).map(|it| it.fields.values());
                open.extend(fields.into_iter().flatten().filter_map(|it| it.shape.type_name()));
            }
        }
        reached
    }

    fn text(&self, name: &str, found: &Type, apart: &Apart) -> String {
        let mut text = match self.kinds().iter().find(|kind| kind.type_name == name) {
            Some(kind) => heading(kind),
            None => format!("{} is a type of the Kubernetes API.\n", short(name)),
        };
        if !found.description.is_empty() && !apart.is_named(&found.description) {
            text.push_str(&one_line(&found.description));
            text.push('\n');
        }
        text.push('\n');
        for (field, of) in &found.fields {
            let need = if of.required { ", required" } else { "" };
            let shape = of.shape.describe();
            let mut line = format!("{}.{field} ({shape}{need})", short(name));
            if !of.description.is_empty() {
                let _ = write!(line, ": {}", one_line(&of.description));
            }
            if !of.values.is_empty() {
                let _ = write!(line, " Values: {}.", of.values.join(", "));
            }
            if !apart.is_named(&line) {
                text.push_str(&line);
                text.push('\n');
            }
        }
        text
    }
}

fn heading(kind: &Kind) -> String {
    let place = if kind.namespaced { "in a namespace" } else { "for the whole cluster" };
    let short_names = match kind.short_names.as_slice() {
        [] => String::new(),
        names => format!(", short {}", names.join(" or ")),
    };
    format!(
        "{} is a kind of the Kubernetes API, version {}. Its objects live {place}. Commands call \
         it {}{short_names}.\n",
        kind.kind,
        kind.api_version(),
        kind.plural
    )
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
