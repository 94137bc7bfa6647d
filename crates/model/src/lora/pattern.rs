//! PEFT's `rank_pattern` and `alpha_pattern`: values for single modules, of which the first match in
//! the order of the file holds.

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// Most patterns: one for each projection of the deepest model. Each is compared with all before it.
const MOST: usize = 7 << 10;

/// Values by module name, end of a path or whole path, in the order in which they stand in the file.
#[derive(Clone, Debug)]
pub struct Patterns<T>(Vec<(String, T)>);

impl<T> Default for Patterns<T> {
    fn default() -> Self {
        Patterns(Vec::new())
    }
}

impl<T> FromIterator<(String, T)> for Patterns<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(patterns: I) -> Self {
        Patterns(patterns.into_iter().collect())
    }
}

impl<T> Patterns<T> {
    /// The value of the first pattern that is the module's path or the end of it, as PEFT's
    /// `get_pattern_key` finds it.
    pub fn first(&self, path: &str) -> Option<&T> {
        self.0.iter().find(|(pattern, _)| is_end(pattern, path)).map(|(_, value)| value)
    }

    /// The patterns, in order.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|(pattern, _)| pattern)
    }

    /// The values, in order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }
}

impl<T: PartialEq> Patterns<T> {
    /// Two patterns, the shorter one first, that mean a module together and give it different
    /// values: the one that stands first in the file holds.
    pub fn overlap(&self) -> Option<(&str, &str)> {
        self.0.iter().find_map(|(short, value)| {
            let longer = |(long, other): &&(String, T)| {
                long != short && is_end(short, long) && value != other
            };
            self.0.iter().find(longer).map(|(long, _)| (short.as_str(), long.as_str()))
        })
    }
}

/// Whether a pattern means the module at `path`, or every module that the longer pattern means.
fn is_end(pattern: &str, path: &str) -> bool {
    path.strip_suffix(pattern).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Equal when every module gets the same value: the order matters where patterns overlap only.
impl<T: PartialEq> PartialEq for Patterns<T> {
    fn eq(&self, other: &Self) -> bool {
        fn sorted<T>(patterns: &Patterns<T>) -> Vec<&(String, T)> {
            let mut all: Vec<_> = patterns.0.iter().collect();
            all.sort_by_key(|(pattern, _)| pattern);
            all
        }
        sorted(self) == sorted(other) && (self.overlap().is_none() || self.0 == other.0)
    }
}

impl<T: Serialize> Serialize for Patterns<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(pattern, value)| (pattern, value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patterns<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

/// Reads a map without losing its order.
struct InOrder<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
    type Value = Patterns<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("values by module")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut patterns: Vec<(String, T)> = Vec::new();
        while let Some((pattern, value)) = map.next_entry()? {
            if patterns.iter().any(|(earlier, _)| *earlier == pattern) {
                return Err(A::Error::custom(format!("pattern {pattern:?} stands there twice")));
            }
            if patterns.len() == MOST {
                return Err(A::Error::custom(format!("there are more than {MOST} patterns")));
            }
            patterns.push((pattern, value));
        }
        Ok(Patterns(patterns))
    }
}
