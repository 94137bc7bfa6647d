//! The forms of Prometheus' answers.

use super::super::http::{Remote, Trouble};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// Most characters of what a server says of an error.
const SHOWN: usize = 160;

pub(super) type Labels = BTreeMap<String, String>;

/// Every answer.
#[derive(Deserialize)]
struct Envelope<T> {
    status: String,
    #[serde(default = "Option::default")]
    data: Option<T>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Rows {
    result: Vec<Row>,
}

/// A series of a result.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Row {
    #[serde(default)]
    pub(super) metric: Labels,
    /// Of a range.
    #[serde(default)]
    values: Vec<(f64, Number)>,
    /// Of one time.
    value: Option<(f64, Number)>,
}

impl Row {
    /// Times and values.
    pub(super) fn values(&self) -> Vec<(f64, f64)> {
        self.values.iter().chain(&self.value).map(|(time, value)| (*time, value.0)).collect()
    }
}

/// A number in a string; what is none is not a number.
#[derive(Clone, Copy, Debug)]
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Number;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a number in a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                Ok(Number(text.parse().unwrap_or(f64::NAN)))
            }
        }
        input.deserialize_str(Text)
    }
}

/// The data of an answer.
pub(super) fn data<T: DeserializeOwned>(
    remote: &Remote,
    path: &str,
    query: &[(&str, &str)],
) -> Result<T, Trouble> {
    let answer: Envelope<T> = remote.json(path, query)?;
    // A part of a store was away, or there was too much: the answer may lack something.
    remote.warned(&answer.warnings);
    match answer {
        Envelope { data: Some(data), status, .. } if status == "success" => Ok(data),
        Envelope { error, .. } => {
            let said = sre::incident::plain(&error, SHOWN);
            let said = if said.is_empty() { "no data".to_owned() } else { said };
            Err(remote.trouble(&format!("it answers with an error: {said}")))
        }
    }
}

/// The rows of a query's answer.
pub(super) fn result(
    remote: &Remote,
    path: &str,
    query: &[(&str, &str)],
) -> Result<Vec<Row>, Trouble> {
    data(remote, path, query).map(|it: Rows| it.result)
}
