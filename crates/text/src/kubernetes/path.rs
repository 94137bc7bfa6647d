//! Paths to fields: `spec.template.spec.containers[].image`.

use super::finding::{Finding, Problem, suggestion};
use super::schema::{Kind, Schema, Shape, Type, short};

/// How lists are written in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// A list may be passed with or without brackets, as `kubectl explain` does.
    Optional,
    /// A list is passed in brackets only, as JSONPath does: `containers[0].image`.
    Bracketed,
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// `.name` or `['name']`.
    Name(String),
    /// `[]`, `[0]`, `[*]`, `[-1:]`, `.*`, or a filter.
    Element,
}

impl Schema {
    /// Follows a path from a kind (by any of its names) and gives the shape at its end. Lists are
    /// passed with or without brackets.
    ///
    /// # Errors
    /// What is wrong with kind or path.
    pub fn check_field_path(&self, kind: &str, path: &str) -> Result<Shape, Finding> {
        self.check_field_path_of(self.known(kind)?, path)
    }

    /// As [`Schema::check_field_path`], from this kind in this group and version.
    pub(super) fn check_field_path_of(&self, kind: &Kind, path: &str) -> Result<Shape, Finding> {
        self.follow(&Shape::Type(kind.type_name.clone()), path, Lists::Optional)
    }

    /// The kind that a command means by this name.
    pub(super) fn known(&self, name: &str) -> Result<&Kind, Finding> {
        self.resource(name).ok_or_else(|| {
            let guess = suggestion(name, self.resource_names());
            Finding::new(Problem::UnknownKind, name, format!("the API has no such resource{guess}"))
        })
    }

    /// Follows a path from a shape.
    pub(super) fn follow(&self, from: &Shape, path: &str, lists: Lists) -> Result<Shape, Finding> {
        let steps = steps(path)?;
        let mut shape = from.clone();
        let mut at = String::new();
        for step in &steps {
            match step {
                Step::Name(name) if at.is_empty() => at.push_str(name),
                Step::Name(name) => {
                    at.push('.');
                    at.push_str(name);
                }
                Step::Element => at.push_str("[]"),
            }
            shape = self.step(shape, step, lists, &at)?;
        }
        Ok(shape)
    }

    fn step(&self, from: Shape, step: &Step, lists: Lists, at: &str) -> Result<Shape, Finding> {
        let wrong = |what: &str| Err(Finding::new(Problem::WrongType, at, what.to_owned()));
        match (from, step) {
            (any @ (Shape::Any | Shape::Object), _) => Ok(any),
            (Shape::List(of) | Shape::Map(of), Step::Element) => Ok(*of),
            (Shape::List(of), Step::Name(_)) if lists == Lists::Optional => {
                self.step(*of, step, lists, at)
            }
            (Shape::List(_), Step::Name(_)) => {
                wrong("this goes into a list without an index\nhint: put [*] or [0] before it")
            }
            (Shape::Map(of), Step::Name(_)) => Ok(*of),
            (Shape::Type(name), Step::Name(field)) => match self.type_named(&name) {
                Some(found) => found
                    .fields
                    .get(field)
                    .map(|field| field.shape.clone())
                    .ok_or_else(|| unknown_field(&name, found, field, at)),
                None => Ok(Shape::Any),
            },
            (Shape::Type(name), Step::Element) => {
                wrong(&format!("{} is an object, not a list", short(&name)))
            }
            (scalar, _) => wrong(&format!("a {} has nothing inside", scalar.describe())),
        }
    }
}

/// A name that a type does not have.
pub(super) fn unknown_field(name: &str, found: &Type, field: &str, at: &str) -> Finding {
    let guess = suggestion(field, found.fields.keys().map(String::as_str));
    let message = format!("{} has no field {field:?}{guess}", short(name));
    Finding::new(Problem::UnknownField, at, message)
}

fn steps(path: &str) -> Result<Vec<Step>, Finding> {
    let wrong = |what: &str| Finding::new(Problem::Syntax, path, what.to_owned());
    let mut steps = Vec::new();
    let mut name = String::new();
    let mut rest = path.strip_prefix('.').unwrap_or(path).chars();
    // Whether a name must come next, as after a dot.
    let mut open = false;
    while let Some(letter) = rest.next() {
        match letter {
            '.' | '[' => {
                if open && name.is_empty() {
                    return Err(wrong("a name is missing between two marks"));
                }
                push(&mut steps, &mut name);
                open = letter == '.';
                if letter == '[' {
                    let inside = bracketed(&mut rest).ok_or_else(|| wrong("a [ is not closed"))?;
                    steps.push(bracket(&inside));
                }
            }
            '\\' => name.extend(rest.next()),
            ']' => return Err(wrong("a ] without its [")),
            letter if letter.is_whitespace() => return Err(wrong("a path has no spaces")),
            letter => name.push(letter),
        }
    }
    if open && name.is_empty() {
        return Err(wrong("it ends with a dot"));
    }
    push(&mut steps, &mut name);
    Ok(steps)
}

fn push(steps: &mut Vec<Step>, name: &mut String) {
    match std::mem::take(name).as_str() {
        "" => {}
        "*" => steps.push(Step::Element),
        text => steps.push(Step::Name(text.to_owned())),
    }
}

/// What stands up to the closing bracket, which quotes and inner brackets may hold, too.
fn bracketed(rest: &mut std::str::Chars<'_>) -> Option<String> {
    let mut inside = String::new();
    let (mut depth, mut quote) = (1, None);
    for letter in rest {
        match (letter, quote) {
            ('\'' | '"', None) => quote = Some(letter),
            (_, Some(mark)) if mark == letter => quote = None,
            ('[', None) => depth += 1,
            (']', None) => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(inside);
        }
        inside.push(letter);
    }
    None
}

fn bracket(inside: &str) -> Step {
    let quoted = |mark: char| inside.strip_prefix(mark).and_then(|it| it.strip_suffix(mark));
    match quoted('\'').or_else(|| quoted('"')) {
        Some(name) => Step::Name(name.to_owned()),
        None => Step::Element,
    }
}
