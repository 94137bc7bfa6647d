//! What Hugging Face gives to chat templates beside Jinja itself.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior};
use serde::Serialize as _;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use std::io::Write;

/// Steps and data that one rendering may take: each instruction of the template is one, and so are
/// 64 bytes that it makes. Enough for the longest document a dozen times over, and a bound of
/// 128 MiB for templates that build endless strings.
const FUEL: u64 = 2 << 20;

/// Calls may lie this deep in each other.
const RECURSION_LIMIT: usize = 100;

/// The day that templates ask for with `strftime_now`. Training and serving must see the same
/// one, so it is a setting and not the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date(jiff::civil::Date);

impl Date {
    /// The day that the templates of Llama 3.1 name where nobody names another.
    pub const STANDARD: Self = Self(jiff::civil::date(2024, 7, 26));

    /// Reads `YYYY-MM-DD`; `None` if it is no such day.
    pub fn parse(text: &str) -> Option<Self> {
        // The parser takes other forms as well, of which a part would be dropped.
        let has_form = text.len() == 10 && text.as_bytes()[0].is_ascii_digit();
        has_form.then(|| text.parse().ok()).flatten().map(Self)
    }

    /// The day as C's `strftime` writes it, at midnight; the error is what it cannot write.
    fn format(self, format: &str) -> Result<String, String> {
        let midnight = self.0.at(0, 0, 0, 0);
        jiff::fmt::strtime::format(format, midnight)
            .map_err(|error| format!("strftime_now({format:?}): {error}"))
    }
}

/// An environment in which templates of Hugging Face tokenizers mean what they mean there: blocks
/// are trimmed, Python's methods of strings exist, and nothing is escaped. Printing what is not
/// defined is an error, asking whether it is defined is not.
pub(super) fn environment(date: Date) -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("Jinja's own delimiters are valid"));
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION_LIMIT);
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(method);
    environment.add_filter("tojson", to_json);
    environment.add_filter("trim", |text: String, these: Option<String>| {
        let text = strip(&text, these.as_deref(), true, true);
        text.to_owned()
    });
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("it refuses the conversation: {message}"),
        ))
    });
    environment.add_function("strftime_now", move |format: String| {
        date.format(&format).map_err(|problem| Error::new(ErrorKind::InvalidOperation, problem))
    });
    environment
}

/// What Python takes for white space at the ends of strings.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// The text without white space, or without `these` characters, at its ends.
fn strip<'a>(text: &'a str, these: Option<&str>, start: bool, end: bool) -> &'a str {
    let goes = |character: char| match these {
        Some(these) => these.contains(character),
        None => is_space(character),
    };
    let text = if start { text.trim_start_matches(goes) } else { text };
    if end { text.trim_end_matches(goes) } else { text }
}

/// Methods of Python's values. Those that cut white space follow Python's notion of it.
fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    if let (Some(text), "strip" | "lstrip" | "rstrip") = (value.as_str(), name) {
        let these = match arguments {
            [] => None,
            [these] if these.is_none() => None,
            [these] => Some(these.as_str().ok_or_else(|| {
                Error::new(ErrorKind::InvalidOperation, format!("{name} takes a string"))
            })?),
            _ => return Err(Error::from(ErrorKind::TooManyArguments)),
        };
        return Ok(strip(text, these, name != "rstrip", name != "lstrip").into());
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, arguments)
}

/// JSON as Python's `json.dumps` spaces it, with every character as itself.
fn to_json(value: Value, named: Kwargs) -> Result<String, Error> {
    let wrong =
        |problem: String| Error::new(ErrorKind::InvalidOperation, format!("tojson: {problem}"));
    let indent: Option<usize> = named.get("indent")?;
    let ascii: Option<bool> = named.get("ensure_ascii")?;
    named.assert_all_used()?;
    if ascii == Some(true) {
        return Err(wrong("ensure_ascii is not supported".to_owned()));
    }
    let indent = indent.map(|columns| " ".repeat(columns.min(16)));
    let pretty = indent.as_ref().map(|it| PrettyFormatter::with_indent(it.as_bytes()));
    let mut out = Vec::new();
    value
        .serialize(&mut serde_json::Serializer::with_formatter(&mut out, Python { pretty }))
        .map_err(|error| wrong(error.to_string()))?;
    String::from_utf8(out).map_err(|error| wrong(error.to_string()))
}

/// JSON as Python writes it: a space after every comma and colon or lines with an indent, and floats in
/// the form of `repr`.
struct Python<'a> {
    pretty: Option<PrettyFormatter<'a>>,
}

impl Python<'_> {
    fn between<W: ?Sized + Write>(out: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }
}

/// Methods that only the form with lines has.
macro_rules! with_lines {
    ($($method:ident),*) => {
        $(fn $method<W: ?Sized + Write>(&mut self, out: &mut W) -> std::io::Result<()> {
            match &mut self.pretty {
                Some(pretty) => pretty.$method(out),
                None => CompactFormatter.$method(out),
            }
        })*
    };
}

impl Formatter for Python<'_> {
    with_lines!(
        begin_array,
        end_array,
        end_array_value,
        begin_object,
        end_object,
        end_object_value
    );

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        match &mut self.pretty {
            Some(pretty) => pretty.begin_array_value(out, first),
            None => Self::between(out, first),
        }
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        match &mut self.pretty {
            Some(pretty) => pretty.begin_object_key(out, first),
            None => Self::between(out, first),
        }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }

    fn write_f64<W: ?Sized + Write>(&mut self, out: &mut W, value: f64) -> std::io::Result<()> {
        let written = format!("{value:e}");
        let (digits, exponent) = written.split_once('e').expect("an exponent is written");
        match exponent.parse::<i32>() {
            Ok(-4..16) => write!(out, "{value:?}"),
            Ok(exponent) => {
                let sign = if exponent < 0 { '-' } else { '+' };
                write!(out, "{digits}e{sign}{:02}", exponent.unsigned_abs())
            }
            Err(_) => out.write_all(written.as_bytes()),
        }
    }
}
