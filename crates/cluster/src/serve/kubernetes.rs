//! The read API of Kubernetes over the objects of one incident: discovery, get, list with selectors and pages,
//! watch, tables for `kubectl`, logs of pods, and the schema.
//!
//! Nothing changes while it is served, so a list is never too old, and a watch has nothing to say after its
//! first objects but bookmarks. Secrets are forbidden, and everything but reading is answered with 405.

use super::answer::{Answer, Watch};
use super::loki::Loki;
use super::prepare::Scene;
use super::request::Request;
use super::site::Requests;
use resource::{KINDS, Kind};
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};

mod changes;
mod discovery;
mod events;
mod list;
mod logs;
mod naming;
mod objects;
mod openapi;
mod pods;
mod resource;
mod select;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod trouble;
mod workloads;

pub(super) use status::unauthorized;

use status::Status;

/// The API of one incident.
#[derive(Debug)]
pub(super) struct Kubernetes {
    /// The objects of each of [`KINDS`], by namespace and name.
    objects: Vec<Vec<Value>>,
    /// The resource version of everything.
    version: u64,
    /// The clock: the end of the incident, in seconds since 1970.
    now: i64,
    loki: Arc<Loki>,
    schema: OnceLock<Value>,
}

/// Objects that are asked for.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    group: &'a str,
    version: &'a str,
    namespace: Option<&'a str>,
    plural: &'a str,
    name: Option<&'a str>,
    below: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// Of a path below the version of a group.
    fn of(group: &'a str, version: &'a str, path: &[&'a str]) -> Option<Self> {
        let (namespace, rest) = match path {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() && rest != ["status"] => {
                (Some(*namespace), rest)
            }
            rest => (None, rest),
        };
        let (plural, name, below) = match rest {
            [plural] => (plural, None, None),
            [plural, name] => (plural, Some(*name), None),
            [plural, name, below] => (plural, Some(*name), Some(*below)),
            _ => return None,
        };
        Some(Self { group, version, namespace, plural, name, below })
    }

    /// In which of [`KINDS`].
    fn kind(&self) -> Option<(usize, &'static Kind)> {
        KINDS.iter().enumerate().find(|(_, kind)| {
            kind.group == self.group && kind.version == self.version && kind.plural == self.plural
        })
    }
}

impl Kubernetes {
    /// Of this incident.
    pub(super) fn new(scene: &Scene, loki: Arc<Loki>) -> Self {
        let (objects, version) = objects::all(scene);
        let now = scene.incident.end.as_second();
        Self { objects, version, now, loki, schema: OnceLock::new() }
    }

    /// Answers everything that is not another part's.
    pub(super) fn answer(&self, path: &[&str], request: &Request, counts: &mut Requests) -> Answer {
        if path.contains(&"secrets") {
            counts.secrets = 1;
        }
        if !request.is_get() {
            counts.writes = 1;
            return Status::not_allowed(&request.method).answer();
        }
        let result = match path {
            ["healthz" | "readyz" | "livez", ..] => return Answer::text(200, "ok"),
            ["openapi", "v2"] => return openapi::second(self.schema()),
            ["openapi", "v3"] => Ok(openapi::index()),
            ["openapi", "v3", "api", version] => {
                openapi::third(self.schema(), "", version).ok_or_else(|| Status::no_path(path))
            }
            ["openapi", "v3", "apis", group, version] => {
                openapi::third(self.schema(), group, version).ok_or_else(|| Status::no_path(path))
            }
            ["api", "v1", rest @ ..] if !rest.is_empty() => {
                return self.objects(Place::of("", "v1", rest), (path, request), counts);
            }
            ["apis", group, version, rest @ ..] if !rest.is_empty() => {
                return self.objects(Place::of(group, version, rest), (path, request), counts);
            }
            _ => discovery::document(path).ok_or_else(|| Status::no_path(path)),
        };
        match result {
            Ok(document) => Answer::json(200, &document),
            Err(status) => status.answer(),
        }
    }

    fn schema(&self) -> &Value {
        self.schema.get_or_init(openapi::definitions)
    }

    fn objects(
        &self,
        place: Option<Place<'_>>,
        (path, request): (&[&str], &Request),
        counts: &mut Requests,
    ) -> Answer {
        let found = place.and_then(|place| Some((place, place.kind()?)));
        let Some((place, (index, kind))) = found else { return Status::no_path(path).answer() };
        let watches = request.params.is_set("watch");
        let result = match (place.name, place.below) {
            _ if kind.plural == "secrets" => Err(Status::forbidden(
                kind,
                if place.name.is_some() { "get" } else { "list" },
                &place,
            )),
            (None, _) if watches => {
                counts.watches = 1;
                self.watch((index, kind), &place, request)
            }
            (None, _) => self.list((index, kind), &place, request),
            (Some(name), None | Some("status")) => self.get((index, kind), (&place, name), request),
            (Some(name), Some("log")) if kind.plural == "pods" => {
                counts.logs = 1;
                self.log(&self.objects[index], (place.namespace, name), request)
            }
            _ => Err(Status::no_path(path)),
        };
        result.unwrap_or_else(|status| status.answer())
    }

    fn get(
        &self,
        (index, kind): (usize, &'static Kind),
        (place, name): (&Place<'_>, &str),
        request: &Request,
    ) -> Result<Answer, Status> {
        let found = self.objects[index].iter().find(|object| {
            let at = &object["metadata"];
            at["name"] == *name && at["namespace"].as_str() == place.namespace
        });
        let object = found.ok_or_else(|| Status::not_found(kind, name))?;
        let form = table::Form::asked(&request.accept, &request.params);
        Ok(Answer::json(200, &form.one(kind, object, self.clock())))
    }

    fn clock(&self) -> table::Clock {
        table::Clock { now: self.now, version: self.version }
    }

    fn chosen(
        &self,
        (index, kind): (usize, &'static Kind),
        place: &Place<'_>,
        request: &Request,
    ) -> Result<Vec<&Value>, Status> {
        let selection = select::Selection::read(kind, &request.params)?;
        let inside = |object: &&Value| {
            let namespace = object["metadata"]["namespace"].as_str();
            place.namespace.is_none_or(|wanted| namespace == Some(wanted))
        };
        let all = self.objects[index].iter();
        Ok(all.filter(inside).filter(|object| selection.takes(object)).collect())
    }

    fn list(
        &self,
        which: (usize, &'static Kind),
        place: &Place<'_>,
        request: &Request,
    ) -> Result<Answer, Status> {
        let chosen = self.chosen(which, place, request)?;
        let page = list::Page::read(&request.params, chosen.len())?;
        let metadata = page.metadata(self.version);
        let form = table::Form::asked(&request.accept, &request.params);
        let items = &chosen[page.from..page.to];
        Ok(Answer::json(200, &form.many(which.1, items, (metadata, self.clock()))))
    }

    fn watch(
        &self,
        which: (usize, &'static Kind),
        place: &Place<'_>,
        request: &Request,
    ) -> Result<Answer, Status> {
        let chosen = self.chosen(which, place, request)?;
        let begin = list::Begin::read(&request.params, self.version)?;
        let form = table::Form::asked(&request.accept, &request.params);
        let kind = which.1;
        let line = |event: &str, object: &Value| {
            format!("{}\n", json!({"type": event, "object": object})).into_bytes()
        };
        let mut first = Vec::new();
        if begin.objects {
            let added = |it: &&Value| line("ADDED", &form.one(kind, it, self.clock()));
            first.extend(chosen.iter().map(added));
        }
        let bookmark = |end: bool| line("BOOKMARK", &list::bookmark(kind, self.version, end));
        if begin.marks_end {
            first.push(bookmark(true));
        }
        let bookmark = begin.bookmarks.then(|| bookmark(false));
        let watch = Watch { first, bookmark, seconds: begin.seconds };
        let content = super::answer::Content::Watch(watch);
        Ok(Answer { status: 200, content_type: "application/json", content })
    }
}
