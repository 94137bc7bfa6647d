//! Reading the schema out of an OpenAPI v2 document, which every cluster gives out.

use super::definitions::Definitions;
use super::names;
use super::schema::{Kind, Schema};
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The largest document that is read. The one of a fresh cluster has 4 MB.
const LIMIT_BYTES: u64 = 32 << 20;

/// The action of an operation in OpenAPI, and the verb that roles and commands use for it.
const ACTIONS: [(&str, &str); 7] = [
    ("get", "get"),
    ("list", "list"),
    ("post", "create"),
    ("put", "update"),
    ("patch", "patch"),
    ("delete", "delete"),
    ("deletecollection", "deletecollection"),
];

impl Schema {
    /// Reads the OpenAPI v2 document of a cluster: what `kubectl get --raw /openapi/v2` prints.
    ///
    /// # Errors
    /// A file that cannot be read, has more than 32 MiB, is not JSON or not such a document, or
    /// names a type that it does not define.
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = files::read_to_string(path, LIMIT_BYTES)?;
        let from = path.display().to_string();
        let document = serde_json::from_str(&text)
            .map_err(|error| wrong(&from, format!("not JSON: {error}\nhint: {HINT}")))?;
        from_document(&document, &from)
    }
}

const HINT: &str = "the document is what `kubectl get --raw /openapi/v2` prints";

fn wrong(from: &str, problem: impl Into<String>) -> Error {
    Error::Kubernetes { from: from.to_owned(), problem: problem.into() }
}

/// The schema in a document; `from` names it in errors.
pub(super) fn from_document(document: &Value, from: &str) -> Result<Schema> {
    let object = |key: &str| {
        document[key]
            .as_object()
            .ok_or_else(|| wrong(from, format!("expected an object {key:?}\nhint: {HINT}")))
    };
    if document["swagger"] != "2.0" {
        let problem =
            format!("expected an OpenAPI document with \"swagger\": \"2.0\"\nhint: {HINT}");
        return Err(wrong(from, problem));
    }
    let version = document["info"]["version"].as_str().unwrap_or("unversioned").to_owned();
    let definitions = object("definitions")?;
    let types = Definitions::new(definitions, from).types()?;
    let kinds = kinds(definitions, object("paths")?);
    if kinds.is_empty() {
        let problem = format!("no kind is defined and served at a path\nhint: {HINT}");
        return Err(wrong(from, problem));
    }
    Ok(Schema::new(version, types, kinds))
}

/// Group, version and kind, as OpenAPI extensions give them.
type GroupVersionKind = (String, String, String);

fn group_version_kind(value: &Value) -> Option<GroupVersionKind> {
    let part = |key: &str| value[key].as_str().map(str::to_owned);
    Some((part("group")?, part("version")?, part("kind")?))
}

/// What the paths say about a resource.
#[derive(Default)]
struct Served {
    kind: Option<GroupVersionKind>,
    namespaced: bool,
    verbs: BTreeSet<String>,
    subresources: BTreeSet<String>,
}

fn kinds(definitions: &Map<String, Value>, paths: &Map<String, Value>) -> Vec<Kind> {
    let mut types: BTreeMap<GroupVersionKind, &String> = BTreeMap::new();
    for (name, definition) in definitions {
        let marks = definition["x-kubernetes-group-version-kind"].as_array();
        // Options of requests belong to every group; a kind belongs to one.
        if let Some([mark]) = marks.map(Vec::as_slice)
            && let Some(mark) = group_version_kind(mark)
        {
            types.insert(mark, name);
        }
    }
    let mut served: BTreeMap<(&str, &str), Served> = BTreeMap::new();
    for (path, operations) in paths {
        if let Some(place) = Place::parse(path) {
            place.note(operations, served.entry((place.api, place.plural)).or_default());
        }
    }
    let kind = |((_, plural), served): ((&str, &str), Served)| {
        let mark = served.kind?;
        let type_name = types.get(&mark)?.to_string();
        let (group, version, kind) = mark;
        Some(Kind {
            short_names: names::short_names(&group, plural),
            plural: plural.to_owned(),
            namespaced: served.namespaced,
            verbs: served.verbs,
            subresources: served.subresources,
            type_name,
            group,
            version,
            kind,
        })
    };
    served.into_iter().filter_map(kind).collect()
}

/// A path of the API, taken apart.
struct Place<'a> {
    /// `/api/v1` or `/apis/apps/v1`.
    api: &'a str,
    plural: &'a str,
    subresource: Option<&'a str>,
    namespaced: bool,
}

impl<'a> Place<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        let versions = if path.starts_with("/apis/") { 4 } else { 3 };
        let end = path.match_indices('/').nth(versions - 1)?.0;
        let (api, rest) = (&path[..end], &path[end + 1..]);
        if !(path.starts_with("/apis/") || path.starts_with("/api/")) || rest.starts_with("watch/")
        {
            return None;
        }
        let inside = rest.strip_prefix("namespaces/{namespace}/");
        let mut parts = inside.unwrap_or(rest).trim_end_matches('/').split('/');
        let plural = parts.next().filter(|it| !it.is_empty())?;
        let named = parts.next();
        if named.is_some_and(|it| it != "{name}") {
            return None;
        }
        Some(Self { api, plural, subresource: parts.next(), namespaced: inside.is_some() })
    }

    /// Adds what stands at this path to what is known about its resource.
    fn note(&self, operations: &Value, served: &mut Served) {
        served.namespaced |= self.namespaced;
        if let Some(subresource) = self.subresource {
            served.subresources.insert(subresource.to_owned());
            return;
        }
        for operation in operations.as_object().into_iter().flat_map(Map::values) {
            let action = operation["x-kubernetes-action"].as_str();
            if let Some((_, verb)) = ACTIONS.iter().find(|(name, _)| action == Some(name)) {
                served.verbs.insert((*verb).to_owned());
                if *verb == "list" {
                    served.verbs.insert("watch".to_owned());
                }
            }
            let mark = group_version_kind(&operation["x-kubernetes-group-version-kind"]);
            served.kind = served.kind.take().or(mark);
        }
    }
}
