//! The forms that objects are asked for in: as they are, as a table with the columns of `kubectl`, or their
//! metadata alone.

use super::resource::Kind;
use crate::serve::request::Params;
use serde_json::{Value, json};

mod columns;

/// Group and version of tables and metadata.
const META: &str = "meta.k8s.io/v1";

/// When it is, and which version everything has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Seconds since 1970.
    pub(super) now: i64,
    pub(super) version: u64,
}

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are.
    Plain,
    /// Their metadata.
    Metadata,
    /// A table; whether its rows hold the metadata or the whole object.
    Table(Rows),
}

/// What a row of a table holds besides its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    Nothing,
    Metadata,
    Objects,
}

impl Form {
    /// The first form of the header `Accept` that is known.
    pub(super) fn asked(accept: &str, params: &Params) -> Self {
        for form in accept.split(',') {
            let mut parts = form.split(';').map(str::trim);
            if !matches!(parts.next(), Some("application/json" | "*/*" | "application/*")) {
                continue;
            }
            match parts.find_map(|part| part.strip_prefix("as=")) {
                None => return Self::Plain,
                Some("Table") => {
                    return Self::Table(match params.get("includeObject") {
                        Some("None") => Rows::Nothing,
                        Some("Object") => Rows::Objects,
                        _ => Rows::Metadata,
                    });
                }
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => {
                    return Self::Metadata;
                }
                Some(_) => {}
            }
        }
        Self::Plain
    }

    /// One object.
    pub(super) fn one(self, kind: &Kind, object: &Value, clock: Clock) -> Value {
        match self {
            Self::Plain => object.clone(),
            Self::Metadata => metadata(object),
            Self::Table(rows) => {
                let version = json!({"resourceVersion": clock.version.to_string()});
                table(kind, &[object], (rows, version, clock.now))
            }
        }
    }

    /// A list.
    pub(super) fn many(
        self,
        kind: &Kind,
        items: &[&Value],
        (list, clock): (Value, Clock),
    ) -> Value {
        match self {
            Self::Plain => json!({
                "kind": format!("{}List", kind.kind), "apiVersion": kind.api_version(), "metadata": list,
                "items": items,
            }),
            Self::Metadata => json!({
                "kind": "PartialObjectMetadataList", "apiVersion": META, "metadata": list,
                "items": items.iter().map(|it| metadata(it)).collect::<Vec<_>>(),
            }),
            Self::Table(rows) => table(kind, items, (rows, list, clock.now)),
        }
    }
}

fn metadata(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": object["metadata"]})
}

fn table(kind: &Kind, items: &[&Value], (rows, list, now): (Rows, Value, i64)) -> Value {
    let columns = columns::of(kind);
    let definition = |column: &columns::Column| {
        let (name, kind, wide) = (column.name, column.kind(), column.wide);
        let format = if name == "Name" { "name" } else { "" };
        json!({"name": name, "type": kind, "format": format, "description": "",
               "priority": i32::from(wide)})
    };
    let row = |object: &&Value| {
        let cells: Vec<Value> = columns.iter().map(|column| (column.cell)(object, now)).collect();
        let mut row = json!({"cells": cells});
        match rows {
            Rows::Nothing => {}
            Rows::Metadata => row["object"] = metadata(object),
            Rows::Objects => row["object"] = (*object).clone(),
        }
        row
    };
    json!({
        "kind": "Table", "apiVersion": META, "metadata": list,
        "columnDefinitions": columns.iter().map(definition).collect::<Vec<_>>(),
        "rows": items.iter().map(row).collect::<Vec<_>>(),
    })
}
