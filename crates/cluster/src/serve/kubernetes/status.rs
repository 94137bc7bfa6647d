//! What Kubernetes answers where there is nothing to give: a `Status`.

use super::Place;
use super::resource::Kind;
use crate::serve::answer::Answer;
use serde_json::{Value, json};

/// Who asks, as messages name it.
const USER: &str = "srek-lab";

/// A failure.
#[derive(Debug)]
pub(super) struct Status {
    code: u16,
    reason: &'static str,
    message: String,
    details: Value,
}

impl Status {
    /// As an answer.
    pub(super) fn answer(&self) -> Answer {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "details": self.details,
            "code": self.code,
        });
        Answer::json(self.code, &status)
    }

    fn new(code: u16, reason: &'static str, message: String) -> Self {
        Self { code, reason, message, details: json!({}) }
    }

    /// A request that makes no sense.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message.into())
    }

    /// Anything but reading.
    pub(super) fn not_allowed(method: &str) -> Self {
        let message = format!("the lab only lets itself be read: {method} is not allowed");
        Self::new(405, "MethodNotAllowed", message)
    }

    /// A path that leads nowhere.
    pub(super) fn no_path(path: &[&str]) -> Self {
        let path: String = path.join("/").chars().take(200).collect();
        let message = format!("the lab could not find the requested resource: /{path}");
        Self::new(404, "NotFound", message)
    }

    /// An object that does not exist.
    pub(super) fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} not found", kind.qualified());
        let details = json!({"name": name, "group": kind.group, "kind": kind.plural});
        Self { details, ..Self::new(404, "NotFound", message) }
    }

    /// Objects that nobody may read here.
    pub(super) fn forbidden(kind: &Kind, verb: &str, place: &Place<'_>) -> Self {
        let (plural, group) = (kind.plural, kind.group);
        let what = match place.name {
            Some(name) => format!("{plural} {name:?}"),
            None => plural.to_owned(),
        };
        let place = match place.namespace {
            Some(namespace) => format!("in the namespace {namespace:?}"),
            None => "at the cluster scope".to_owned(),
        };
        let message = format!(
            "{what} is forbidden: User {USER:?} cannot {verb} resource {plural:?} in API group \
             {group:?} {place}"
        );
        let details = json!({"kind": plural});
        Self { details, ..Self::new(403, "Forbidden", message) }
    }
}

/// The answer to a request without the token.
pub(crate) fn unauthorized() -> Answer {
    Status::new(401, "Unauthorized", "Unauthorized".to_owned()).answer()
}
