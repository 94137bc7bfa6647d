//! What `kubectl patch -p` would change.

use super::Check;
use super::targets::Target;
use crate::kubernetes::finding::{Finding, Problem};
use crate::kubernetes::manifest::Extent;
use crate::kubernetes::path::Lists;
use crate::kubernetes::schema::{Schema, Shape};
use serde_json::Value;

impl Check<'_> {
    /// Judges the patch against the kinds that it changes. Patches are read as JSON, not as YAML.
    pub(super) fn patch(&mut self, targets: &[Target<'_>]) {
        let Some(word) = self.line.flag("patch").filter(|it| !it.open) else { return };
        let patch: Value = match serde_json::from_str(&word.text) {
            Ok(patch) => patch,
            Err(error) => {
                return self.note(Problem::Syntax, "--patch", format!("not JSON: {error}"));
            }
        };
        let manner = self.line.flag("type").map_or("strategic", |it| it.text.as_str());
        for kind in targets.iter().filter_map(|it| it.kind) {
            let shape = Shape::Type(kind.type_name.clone());
            let findings = match manner {
                "json" => self.schema.check_operations(&patch, &shape),
                "merge" => self.schema.check_value(&patch, &shape, Extent::Merge),
                _ => self.schema.check_value(&patch, &shape, Extent::Strategic),
            };
            self.findings.extend(findings);
        }
    }
}

impl Schema {
    /// A JSON patch: a list of operations (RFC 6902).
    fn check_operations(&self, patch: &Value, shape: &Shape) -> Vec<Finding> {
        let wrong = |problem, at: String, message: &str| vec![Finding::new(problem, at, message)];
        let Some(operations) = patch.as_array() else {
            let message = "a JSON patch is a list of operations";
            return wrong(Problem::WrongType, "--patch".to_owned(), message);
        };
        let check = |(index, operation): (usize, &Value)| {
            let at = format!("[{index}]");
            let op = operation["op"].as_str().unwrap_or_default();
            if !["add", "copy", "move", "remove", "replace", "test"].contains(&op) {
                return wrong(Problem::WrongType, format!("{at}.op"), "there is no such operation");
            }
            let Some(pointer) = operation["path"].as_str() else {
                let message = "an operation says where it works";
                return wrong(Problem::MissingRequired, format!("{at}.path"), message);
            };
            match (self.pointed(shape, pointer), op) {
                (Err(finding), _) => vec![finding],
                (Ok(found), "add" | "replace" | "test") => match operation.get("value") {
                    Some(value) => self.check_value(value, &found, Extent::Whole),
                    None => {
                        let message = "the operation needs a value";
                        wrong(Problem::MissingRequired, format!("{at}.value"), message)
                    }
                },
                _ => Vec::new(),
            }
        };
        operations.iter().enumerate().flat_map(check).collect()
    }

    /// The shape that a JSON pointer (RFC 6901) leads to.
    fn pointed(&self, from: &Shape, pointer: &str) -> Result<Shape, Finding> {
        let Some(rest) = pointer.strip_prefix('/') else {
            return Err(Finding::new(Problem::Syntax, pointer, "a path begins with /"));
        };
        let mut shape = from.clone();
        for part in rest.split('/') {
            let name = part.replace("~1", "/").replace("~0", "~");
            let index = name == "-" || name.bytes().all(|it| it.is_ascii_digit());
            let step = match &shape {
                Shape::List(_) if index && !name.is_empty() => "[0]".to_owned(),
                Shape::List(_) => {
                    let message = format!("{name:?} is no index of a list");
                    return Err(Finding::new(Problem::WrongType, pointer, message));
                }
                _ => format!("['{}']", name.replace('\'', "")),
            };
            shape = self
                .follow(&shape, &step, Lists::Bracketed)
                .map_err(|finding| Finding { at: pointer.to_owned(), ..finding })?;
        }
        Ok(shape)
    }
}
