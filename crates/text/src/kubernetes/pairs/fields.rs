//! Pairs about fields: meaning, type, what is required, and how to reach them.

use super::wording::{EXISTS, MEANING, REACH, REQUIRED, TYPE};
use super::{Maker, short};
use crate::Result;
use crate::kubernetes::finding::Finding;
use crate::kubernetes::schema::{Field, Schema, Shape};
use crate::random::Numbers;

/// How many names a path has at most. Containers of a cron job have six.
const DEPTH: usize = 7;

/// The longest description that an answer quotes whole, in bytes; of a longer one it quotes the
/// sentences that fit, at least the first.
const QUOTED_BYTES: usize = 500;

/// Most fields of a kind. The largest of Kubernetes has about a thousand; a document whose types
/// hold each other many times over could have any number.
const FIELDS_LIMIT: usize = 20_000;

/// A field and the way to it.
struct Reached<'a> {
    /// `spec.containers[].image`.
    path: String,
    name: &'a str,
    /// The type that has the field.
    owner: &'a str,
    field: &'a Field,
    /// The types on the way, the owner the last.
    through: Vec<&'a str>,
}

/// A walk through all fields below a type. What every object has is left out.
struct Walk<'a> {
    schema: &'a Schema,
    above: Vec<&'a str>,
    reached: Vec<Reached<'a>>,
}

impl<'a> Walk<'a> {
    fn descend(&mut self, type_name: &'a str, path: &str) {
        let Some(found) = self.schema.type_named(type_name) else { return };
        // A type inside of itself would never end.
        let ends = self.above.len() >= DEPTH || self.above.contains(&type_name);
        if ends || short(type_name) == "ObjectMeta" {
            return;
        }
        self.above.push(type_name);
        for (name, field) in &found.fields {
            let common = path.is_empty() && ["apiVersion", "kind", "metadata"].contains(&&**name);
            if common || self.reached.len() > FIELDS_LIMIT {
                continue;
            }
            let path = match path {
                "" => name.clone(),
                path => format!("{path}.{name}"),
            };
            let through = self.above.clone();
            self.reached.push(Reached {
                path: path.clone(),
                name,
                owner: type_name,
                field,
                through,
            });
            if let Some(inner) = field.shape.type_name() {
                self.descend(inner, &format!("{path}{}", brackets(&field.shape)));
            }
        }
        self.above.pop();
    }
}

/// What leads from a field to the fields of what is in it.
fn brackets(shape: &Shape) -> String {
    match shape {
        Shape::List(of) => format!("[]{}", brackets(of)),
        Shape::Map(of) => format!("['key']{}", brackets(of)),
        _ => String::new(),
    }
}

impl Maker<'_> {
    pub(super) fn fields(&mut self) -> Result<()> {
        let mut walk = Walk { schema: self.schema, above: Vec::new(), reached: Vec::new() };
        walk.descend(&self.kind.type_name, "");
        let reached = walk.reached;
        if reached.len() > FIELDS_LIMIT {
            let (kind, limit) = (&self.kind.kind, FIELDS_LIMIT);
            return Err(self.schema.refused(&format!("{kind} has more than {limit} fields")));
        }
        for it in &reached {
            let before = self.pairs.len();
            self.meaning(it);
            self.type_of(it);
            self.required(it);
            self.reach(it);
            self.exists(it);
            if it.through.iter().any(|name| self.apart.has_type(name)) {
                self.pairs.truncate(before);
            }
        }
        Ok(())
    }

    fn meaning(&mut self, it: &Reached<'_>) {
        if it.field.description.trim().is_empty() {
            return;
        }
        let prompt = self.worded(&MEANING, &[&it.path]);
        let (shape, need) = (it.field.shape.describe(), need(it.field));
        let described = quoted(&it.field.description);
        let answer = format!("`{}` ({shape}, {need}): {described}", it.path);
        self.push(&format!("meaning/{}", it.path), prompt, answer);
    }

    fn type_of(&mut self, it: &Reached<'_>) {
        let prompt = self.worded(&TYPE, &[&it.path]);
        let mut answer = format!("{}, {}", it.field.shape.describe(), need(it.field));
        if !it.field.values.is_empty() {
            answer = format!("{answer}; one of {}", it.field.values.join(", "));
        }
        self.push(&format!("type/{}", it.path), prompt, answer);
    }

    fn required(&mut self, it: &Reached<'_>) {
        let inner = it.field.shape.type_name().and_then(|name| self.schema.type_named(name));
        let Some(inner) = inner else { return };
        let needed: Vec<String> = inner
            .fields
            .iter()
            .filter(|(_, field)| field.required)
            .map(|(name, field)| format!("{name} ({})", field.shape.describe()))
            .collect();
        let prompt = self.worded(&REQUIRED, &[&it.path]);
        let answer = match needed.is_empty() {
            true => "None: the schema requires no field there.".to_owned(),
            false => needed.join(", "),
        };
        self.push(&format!("required/{}", it.path), prompt, answer);
    }

    fn reach(&mut self, it: &Reached<'_>) {
        let prompt = self.worded(&REACH, &[it.name, short(it.owner)]);
        let explained = format!("{}.{}", self.kind.singular(), it.path.replace("[]", ""));
        let mark = if explained.contains('$') { "'" } else { "" };
        // Keys of a map are the user's; there is nothing to explain about them.
        let answer = match it.path.contains("['key']") {
            true => format!("`{}`", it.path),
            false => format!("`{}`; `kubectl explain {mark}{explained}{mark}`", it.path),
        };
        self.push(&format!("reach/{}", it.path), prompt, answer);
    }

    /// Whether a path is right: half of them are, the others lack a step or have a mistaken one.
    fn exists(&mut self, it: &Reached<'_>) {
        let path = match self.numbers.below(4) {
            0 => mistyped(&it.path, &mut self.numbers),
            1 => shortened(&it.path, &mut self.numbers),
            _ => it.path.clone(),
        };
        let prompt = self.worded(&EXISTS, &[&path]);
        let judged = self.schema.check_field_path_of(self.kind, &path);
        let answer = match judged {
            Ok(shape) => format!("Yes: {}.", shape.describe()),
            Err(finding) => no(&finding),
        };
        self.push(&format!("exists/{}", it.path), prompt, answer);
    }
}

/// The answer that gives a finding.
pub(super) fn no(finding: &Finding) -> String {
    let said = finding.to_string();
    let end = if said.ends_with('?') { "" } else { "." };
    format!("No, {said}{end}")
}

fn need(field: &Field) -> &'static str {
    if field.required { "required" } else { "optional" }
}

/// A description, or as many of its sentences as fit.
pub(super) fn quoted(description: &str) -> String {
    let text = description.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.len() <= QUOTED_BYTES {
        return text;
    }
    let ends = text.match_indices(". ").map(|(at, _)| at + 1);
    let (first, last) = (ends.clone().next(), ends.take_while(|at| *at <= QUOTED_BYTES).last());
    last.or(first).map_or_else(|| text.clone(), |end| text[..end].to_owned())
}

/// The text with two neighbouring letters swapped.
pub(super) fn mistyped(text: &str, numbers: &mut Numbers) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    let places: Vec<usize> = (1..letters.len().saturating_sub(1))
        .filter(|&at| {
            let (one, next) = (letters[at], letters[at + 1]);
            one.is_alphabetic() && next.is_alphabetic() && one != next
        })
        .collect();
    if let Some(&at) = places.get(numbers.below(places.len().max(1))) {
        letters.swap(at, at + 1);
    }
    letters.into_iter().collect()
}

/// The path without one of its names.
fn shortened(path: &str, numbers: &mut Numbers) -> String {
    let mut names: Vec<&str> = path.split('.').collect();
    if names.len() > 1 {
        names.remove(numbers.below(names.len() - 1));
    }
    names.join(".")
}
