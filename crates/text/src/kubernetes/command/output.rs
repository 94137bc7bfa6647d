//! Fields that selectors, JSONPath, columns and sorting go to.

use super::Check;
use super::targets::Target;
use crate::kubernetes::finding::{Finding, Problem};
use crate::kubernetes::path::Lists;
use crate::kubernetes::schema::Shape;

/// Formats with a template behind an equals sign.
const TEMPLATES: [&str; 9] = [
    "custom-columns",
    "custom-columns-file",
    "go-template",
    "go-template-file",
    "jsonpath",
    "jsonpath-as-json",
    "jsonpath-file",
    "template",
    "templatefile",
];

/// Plural, and the fields by which a server selects, besides the name and the namespace.
const SELECTED: [(&str, &[&str]); 8] = [
    ("certificatesigningrequests", &["spec.signerName"]),
    (
        "events",
        &[
            "involvedObject.apiVersion",
            "involvedObject.fieldPath",
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.resourceVersion",
            "involvedObject.uid",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
    ),
    ("jobs", &["status.successful"]),
    ("namespaces", &["status.phase"]),
    ("nodes", &["spec.unschedulable"]),
    (
        "pods",
        &[
            "spec.hostNetwork",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.nominatedNodeName",
            "status.phase",
            "status.podIP",
            "status.podIPs",
        ],
    ),
    ("replicasets", &["status.replicas"]),
    ("secrets", &["type"]),
];

impl Check<'_> {
    /// `--field-selector`: servers select by few fields.
    pub(super) fn selected_fields(&mut self, targets: &[Target<'_>]) {
        let Some(word) = self.line.flag("field-selector") else { return };
        for kind in targets.iter().filter_map(|it| it.kind) {
            // What other groups select by is not known.
            if !kind.group.is_empty() && !SELECTED.iter().any(|(plural, _)| *plural == kind.plural)
            {
                continue;
            }
            let own = SELECTED.iter().find(|(plural, _)| *plural == kind.plural);
            for requirement in word.text.split(',') {
                let Some((field, _)) = requirement.split_once('=') else {
                    let message = "expected FIELD=VALUE or FIELD!=VALUE";
                    return self.note(Problem::Syntax, "--field-selector", message);
                };
                let field = field.trim_end_matches('!');
                let known = ["metadata.name", "metadata.namespace"].contains(&field)
                    || own.is_some_and(|(_, fields)| fields.contains(&field));
                if !known {
                    let message = format!("{} are not selected by {field:?}", kind.plural);
                    self.note(Problem::UnknownField, "--field-selector", message);
                }
            }
        }
    }

    /// `-o` and `--sort-by`.
    pub(super) fn output_fields(&mut self, targets: &[Target<'_>]) {
        let kinds: Vec<_> = targets.iter().filter_map(|it| it.kind).collect();
        let one = kinds.first().filter(|kind| {
            kinds.len() == targets.len() && kinds.iter().all(|it| it.type_name == kind.type_name)
        });
        let item = one.map(|kind| Shape::Type(kind.type_name.clone()));
        let single = targets.len() == 1 && targets[0].name.is_some();
        self.format(item.as_ref(), single);
        let sorting = self.line.flag("sort-by").filter(|it| !it.open);
        if let (Some(item), Some(path)) = (&item, sorting) {
            let path = path.text.trim_start_matches('{').trim_end_matches('}');
            self.goes_to(item, path, "--sort-by");
        }
    }

    fn format(&mut self, item: Option<&Shape>, single: bool) {
        let Some(word) = self.line.flag("output") else { return };
        let (format, template) = match word.text.split_once('=') {
            Some((format, template)) => (format, Some(template)),
            None => (word.text.as_str(), None),
        };
        let plain = ["json", "kyaml", "name", "wide", "yaml"].contains(&format);
        if !plain && !TEMPLATES.contains(&format) && !word.open {
            let message = format!("there is no output format {format:?}");
            return self.note(Problem::WrongType, "--output", message);
        }
        let (Some(template), Some(item), false) = (template, item, word.open) else { return };
        match format {
            "custom-columns" => {
                for column in template.split(',') {
                    match column.split_once(':') {
                        Some((_, path)) => self.goes_to(item, path, "--output"),
                        None => self.note(Problem::Syntax, "--output", "expected NAME:PATH"),
                    }
                }
            }
            "jsonpath" | "jsonpath-as-json" => self.jsonpath(template, item, single),
            _ => {}
        }
    }

    /// The paths in a JSONPath template. Filters and recursive descents are not judged.
    fn jsonpath(&mut self, template: &str, item: &Shape, single: bool) {
        let whole = template.trim();
        let whole = if whole.contains('{') { whole.to_owned() } else { format!("{{{whole}}}") };
        let root = if single { Root::One(item.clone()) } else { Root::List(item.clone()) };
        let mut ranges = vec![Some(root)];
        for part in blocks(&whole) {
            let Ok(part) = part else {
                return self.note(Problem::Syntax, "--output", "a { is not closed");
            };
            let part = part.trim();
            if part == "end" {
                ranges.pop();
            } else if let Some(path) = part.strip_prefix("range ") {
                let inner = self.reached(ranges.last(), path.trim());
                ranges.push(inner.map(Root::One));
            } else if !part.starts_with(['"', '\'']) {
                self.reached(ranges.last(), part);
            }
        }
    }

    /// The shape at the end of a path from the innermost range, `None` where it cannot be said.
    fn reached(&mut self, from: Option<&Option<Root>>, path: &str) -> Option<Shape> {
        let path = path.trim_start_matches(['$', '@']);
        if path.contains("..") || path.contains("','") || path.contains(char::is_whitespace) {
            return None;
        }
        let root = from?.as_ref()?;
        let found = match root {
            Root::One(shape) => self.schema.follow(shape, path, Lists::Bracketed),
            Root::List(item) => match path.trim_start_matches('.').strip_prefix("items") {
                Some(rest) => {
                    let list = Shape::List(Box::new(item.clone()));
                    self.schema.follow(&list, rest, Lists::Bracketed)
                }
                None if path.is_empty() || path == "." => return None,
                None if [".metadata", ".kind", ".apiVersion"]
                    .iter()
                    .any(|it| path.starts_with(it)) =>
                {
                    return None;
                }
                None => {
                    let message = "many objects come as a list: its fields are .items[*]";
                    Err(Finding::new(Problem::UnknownField, path, message))
                }
            },
        };
        match found {
            Ok(Shape::List(of)) if path.ends_with("[*]") => Some(Shape::List(of)),
            Ok(shape) => Some(shape),
            Err(finding) => {
                self.findings.push(Finding { at: format!("--output {}", finding.at), ..finding });
                None
            }
        }
    }

    fn goes_to(&mut self, item: &Shape, path: &str, flag: &str) {
        if let Err(finding) = self.schema.follow(item, path, Lists::Bracketed) {
            self.findings.push(Finding { at: format!("{flag} {}", finding.at), ..finding });
        }
    }
}

/// Where paths begin.
enum Root {
    /// At an object.
    One(Shape),
    /// At a list of objects.
    List(Shape),
}

/// The parts of a template that stand in braces.
fn blocks(template: &str) -> impl Iterator<Item = Result<&str, ()>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        let start = rest.find('{')? + 1;
        let inside = &rest[start..];
        let mut quote = None;
        let mut before = '\0';
        for (at, letter) in inside.char_indices() {
            match (letter, quote) {
                (mark, Some(open)) if mark == open && before != '\\' => quote = None,
                ('"' | '\'', None) => quote = Some(letter),
                ('}', None) => {
                    rest = &inside[at + 1..];
                    return Some(Ok(&inside[..at]));
                }
                _ => {}
            }
            before = letter;
        }
        rest = "";
        Some(Err(()))
    })
}
