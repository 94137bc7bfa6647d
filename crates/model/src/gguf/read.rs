//! Reading: every number that a file gives is checked against its size before anything follows it.

use super::{ALIGNMENT, ALIGNMENT_KEY, MAGIC, VERSION};
use super::{ARRAY, BOOL, F32, F64, I8, I16, I32, I64, TEXT, U8, U16, U32, U64};
use crate::{Error, Result};
use files::Map;
use quant::ggml::Format;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// Version 2 differs in nothing that is read here.
const OLDEST_VERSION: u32 = 2;
/// The longest name of a key or tensor.
const LONGEST_NAME: usize = 1 << 10;
/// Most keys and tensors: real files have dozens of the one, and ten to a thousand of the other. What is
/// kept of each is several times its bytes in the file, so this also bounds the memory.
const MOST_KEYS: u64 = 1 << 12;
const MOST_TENSORS: u64 = 1 << 12;
/// Most dimensions of a tensor.
const MOST_DIMENSIONS: u32 = 4;
/// The largest alignment.
const MOST_ALIGNED: i64 = 1 << 16;

/// A value of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A number of any integer type.
    Integer(i64),
    /// A number of either float type.
    Float(f64),
    /// A truth.
    Bool(bool),
    /// A text.
    Text(&'a str),
    /// A list.
    Array(Array<'a>),
}

/// A list of values of one type, as the file has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'a> {
    kind: u32,
    count: usize,
    bytes: &'a [u8],
}

/// A tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// How it is stored.
    pub format: Format,
    /// Its sizes, the slowest first: (out, in) of a weight.
    pub shape: Vec<usize>,
    /// Where its bytes are in the file.
    pub range: Range<usize>,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    /// Keys and their values.
    pub keys: BTreeMap<&'a str, Value<'a>>,
    /// Tensors by name.
    pub tensors: BTreeMap<&'a str, Info>,
    /// Bytes before the tensors' data: all but weights.
    pub head: usize,
}

/// Reads the header of a file.
///
/// # Errors
/// What is no such file, at which byte, or holds what is not read here.
pub fn parse(map: &Map) -> Result<Contents<'_>> {
    let path = map.path();
    let mut cursor = Cursor { path, bytes: map, at: 0 };
    if cursor.array::<4>("the magic number")? != MAGIC {
        return Err(cursor.wrong(0, "it does not begin with GGUF\nhint: give a .gguf file"));
    }
    let version = cursor.u32("the version")?;
    if !(OLDEST_VERSION..=VERSION).contains(&version) {
        let kind = if version.swap_bytes() <= VERSION { "a big-endian" } else { "this" };
        let message = format!(
            "{kind} version ({version}) is not read, expected {OLDEST_VERSION} or {VERSION}\nhint: convert \
             or download it again, little-endian"
        );
        return Err(cursor.wrong(4, message));
    }
    let tensors = cursor.count("tensors", MOST_TENSORS)?;
    let keys = cursor.count("keys", MOST_KEYS)?;
    let mut contents =
        Contents { path, bytes: map, keys: BTreeMap::new(), tensors: BTreeMap::new(), head: 0 };
    for _ in 0..keys {
        let at = cursor.at;
        let (key, value) = cursor.key()?;
        if contents.keys.insert(key, value).is_some() {
            return Err(cursor.wrong(at, format!("the key {key} is there twice")));
        }
    }
    let alignment = contents.alignment(&cursor)?;
    let mut places = Vec::new();
    for _ in 0..tensors {
        places.push(cursor.tensor()?);
    }
    let data = cursor.at.next_multiple_of(alignment);
    for Place { at, name, format, shape, offset } in places {
        let range = bytes(format, &shape).and_then(|bytes| {
            let start = data.checked_add(usize::try_from(offset).ok()?)?;
            let end = start.checked_add(bytes)?;
            (end <= map.len() && start.is_multiple_of(alignment)).then_some(start..end)
        });
        let Some(range) = range else {
            let (size, format) = (map.len(), format.name());
            return Err(cursor.wrong(
                at,
                format!(
                    "tensor {name}: {shape:?} of {format} at offset {offset} are not whole blocks, not \
                     aligned to {alignment}, or end behind the file's {size} bytes\nhint: copy or \
                     download it again"
                ),
            ));
        };
        if contents.tensors.insert(name, Info { format, shape, range }).is_some() {
            return Err(cursor.wrong(at, format!("the tensor {name} is there twice")));
        }
    }
    contents.head = data.min(map.len());
    Ok(contents)
}

/// The bytes of a tensor, where its rows are whole blocks.
fn bytes(format: Format, shape: &[usize]) -> Option<usize> {
    let (inner, outer) = shape.split_last()?;
    let rows = outer.iter().try_fold(1_usize, |rows, size| rows.checked_mul(*size))?;
    format.bytes([rows, *inner])
}

impl<'a> Contents<'a> {
    /// The file, for messages.
    pub fn path(&self) -> &'a Path {
        self.path
    }

    /// The bytes of a tensor.
    pub fn bytes(&self, info: &Info) -> &'a [u8] {
        &self.bytes[info.range.clone()]
    }

    /// An error about a key.
    pub fn wrong(&self, key: &str, problem: impl AsRef<str>) -> Error {
        Error::weights(self.path, format!("key {key}: {}", problem.as_ref()))
    }

    /// The integer of a key; none where there is no such key.
    ///
    /// # Errors
    /// When it is something else, or negative.
    pub fn integer(&self, key: &str) -> Result<Option<usize>> {
        self.read(key, "a number from 0 on", |value| match value {
            Value::Integer(value) => usize::try_from(value).ok(),
            _ => None,
        })
    }

    /// The float of a key; none where there is no such key.
    ///
    /// # Errors
    /// When it is something else.
    pub fn float(&self, key: &str) -> Result<Option<f64>> {
        self.read(key, "a float", |value| match value {
            Value::Float(value) => Some(value),
            _ => None,
        })
    }

    /// The truth of a key; none where there is no such key.
    ///
    /// # Errors
    /// When it is something else.
    pub fn truth(&self, key: &str) -> Result<Option<bool>> {
        self.read(key, "true or false", |value| match value {
            Value::Bool(value) => Some(value),
            _ => None,
        })
    }

    /// The text of a key; none where there is no such key.
    ///
    /// # Errors
    /// When it is something else.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.read(key, "a text", |value| match value {
            Value::Text(value) => Some(value),
            _ => None,
        })
    }

    /// The texts of a key; none where there is no such key.
    ///
    /// # Errors
    /// When it is something else.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<&'a str>>> {
        self.read(key, "a list of texts", |value| match value {
            Value::Array(array) => array.texts(),
            _ => None,
        })
    }

    /// The floats of a key; none where there is no such key.
    ///
    /// # Errors
    /// When it is something else.
    pub fn floats(&self, key: &str) -> Result<Option<Vec<f32>>> {
        self.read(key, "a list of floats of 32 bits", |value| match value {
            Value::Array(array) => array.floats(),
            _ => None,
        })
    }

    /// The integers of a key; none where there is no such key.
    ///
    /// # Errors
    /// When it is something else.
    pub fn integers(&self, key: &str) -> Result<Option<Vec<i32>>> {
        self.read(key, "a list of integers of 32 bits", |value| match value {
            Value::Array(array) => array.integers(),
            _ => None,
        })
    }

    fn read<T>(
        &self,
        key: &str,
        expected: &str,
        as_type: impl Fn(Value<'a>) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.keys.get(key) else { return Ok(None) };
        let found = as_type(*value);
        found.map(Some).ok_or_else(|| self.wrong(key, format!("is not {expected}")))
    }

    fn alignment(&self, cursor: &Cursor<'_>) -> Result<usize> {
        let expected = format!("expected a multiple of 8 to {MOST_ALIGNED}");
        match self.keys.get(ALIGNMENT_KEY) {
            None => Ok(ALIGNMENT),
            Some(Value::Integer(it)) if it % 8 == 0 && (8..=MOST_ALIGNED).contains(it) => {
                Ok(*it as usize)
            }
            Some(other) => Err(cursor.wrong(
                cursor.at,
                match other {
                    Value::Integer(it) => format!("{ALIGNMENT_KEY} is {it}, {expected}"),
                    _ => format!("{ALIGNMENT_KEY} is no integer, {expected}"),
                },
            )),
        }
    }
}

impl<'a> Array<'a> {
    fn texts(&self) -> Option<Vec<&'a str>> {
        let mut rest = (self.kind == TEXT).then_some(self.bytes)?;
        let mut texts = Vec::with_capacity(self.count);
        while let Some((length, after)) = rest.split_first_chunk::<8>() {
            let (text, after) = after.split_at_checked(u64::from_le_bytes(*length) as usize)?;
            texts.push(std::str::from_utf8(text).ok()?);
            rest = after;
        }
        Some(texts)
    }

    fn floats(&self) -> Option<Vec<f32>> {
        (self.kind == F32)
            .then(|| self.bytes.as_chunks().0.iter().map(|it| f32::from_le_bytes(*it)).collect())
    }

    fn integers(&self) -> Option<Vec<i32>> {
        [I32, U32]
            .contains(&self.kind)
            .then(|| self.bytes.as_chunks().0.iter().map(|it| i32::from_le_bytes(*it)).collect())
    }
}

/// A tensor as its file announces it.
struct Place<'a> {
    /// Where.
    at: usize,
    name: &'a str,
    format: Format,
    shape: Vec<usize>,
    offset: u64,
}

/// Where reading is.
struct Cursor<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn wrong(&self, at: usize, problem: impl AsRef<str>) -> Error {
        Error::weights(self.path, format!("at byte {at}: {}", problem.as_ref()))
    }

    fn ends(&self, what: &str) -> Error {
        let hint = "hint: copy or download it again";
        self.wrong(self.at, format!("the file ends in {what}\n{hint}"))
    }

    fn slice(&mut self, length: usize, what: &str) -> Result<&'a [u8]> {
        let found = self.bytes[self.at..].get(..length).ok_or_else(|| self.ends(what))?;
        self.at += length;
        Ok(found)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        Ok(*self.slice(N, what)?.first_chunk().expect("as long as was asked for"))
    }

    fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: &str) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    fn count(&mut self, what: &str, most: u64) -> Result<u64> {
        let at = self.at;
        let count = self.u64(&format!("the count of {what}"))?;
        if count > most {
            return Err(
                self.wrong(at, format!("it announces {count} {what}, expected at most {most}"))
            );
        }
        Ok(count)
    }

    fn text(&mut self, what: &str) -> Result<&'a str> {
        let length = self.u64(what)?;
        let length = usize::try_from(length).map_err(|_| self.ends(what))?;
        let at = self.at;
        let bytes = self.slice(length, what)?;
        std::str::from_utf8(bytes).map_err(|_| self.wrong(at, format!("{what} is not UTF-8")))
    }

    fn name(&mut self, what: &str) -> Result<&'a str> {
        let at = self.at;
        let name = self.text(what)?;
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            let message = format!(
                "{what} has {} bytes or a control character, expected 1 to {LONGEST_NAME} without",
                name.len()
            );
            return Err(self.wrong(at, message));
        }
        Ok(name)
    }

    fn key(&mut self) -> Result<(&'a str, Value<'a>)> {
        let key = self.name("the name of a key")?;
        let at = self.at;
        let kind = self.u32("the type of a value")?;
        let value = match kind {
            TEXT => Value::Text(self.text("a text")?),
            ARRAY => Value::Array(self.list(key)?),
            _ => self.scalar(kind, at, key)?,
        };
        Ok((key, value))
    }

    fn scalar(&mut self, kind: u32, at: usize, key: &str) -> Result<Value<'a>> {
        let what = "a value";
        Ok(match kind {
            U8 => Value::Integer(i64::from(self.array::<1>(what)?[0])),
            I8 => Value::Integer(i64::from(self.array::<1>(what)?[0] as i8)),
            U16 => Value::Integer(i64::from(u16::from_le_bytes(self.array(what)?))),
            I16 => Value::Integer(i64::from(i16::from_le_bytes(self.array(what)?))),
            U32 => Value::Integer(i64::from(self.u32(what)?)),
            I32 => Value::Integer(i64::from(i32::from_le_bytes(self.array(what)?))),
            I64 => Value::Integer(i64::from_le_bytes(self.array(what)?)),
            U64 => {
                let value = self.u64(what)?;
                let small = i64::try_from(value);
                Value::Integer(small.map_err(|_| self.wrong(at, format!("{key} is {value}")))?)
            }
            F32 => Value::Float(f64::from(f32::from_le_bytes(self.array(what)?))),
            F64 => Value::Float(f64::from_le_bytes(self.array(what)?)),
            BOOL => match self.array::<1>(what)? {
                [value @ (0 | 1)] => Value::Bool(value == 1),
                [other] => return Err(self.wrong(at, format!("{key} is {other}, expected 0 or 1"))),
            },
            other => return Err(self.wrong(at, format!("{key} has a value of type {other}"))),
        })
    }

    /// A list; of lists there is no use.
    fn list(&mut self, key: &str) -> Result<Array<'a>> {
        let at = self.at;
        let kind = self.u32("the type of a list")?;
        let count = self.u64("the length of a list")?;
        let start = self.at;
        if kind == TEXT {
            // A text takes eight bytes at least, so this ends with the file.
            for _ in 0..count {
                self.text("a text of a list")?;
            }
        } else {
            let size = match kind {
                U8 | I8 | BOOL => 1,
                U16 | I16 => 2,
                U32 | I32 | F32 => 4,
                U64 | I64 | F64 => 8,
                other => return Err(self.wrong(at, format!("{key} is a list of type {other}"))),
            };
            let bytes = usize::try_from(count).ok().and_then(|count| count.checked_mul(size));
            self.slice(bytes.ok_or_else(|| self.ends("a list"))?, "a list")?;
        }
        Ok(Array { kind, count: count as usize, bytes: &self.bytes[start..self.at] })
    }

    fn tensor(&mut self) -> Result<Place<'a>> {
        let at = self.at;
        let name = self.name("the name of a tensor")?;
        let dimensions = self.u32("the dimensions of a tensor")?;
        if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
            let message =
                format!("{name} has {dimensions} dimensions, expected 1 to {MOST_DIMENSIONS}");
            return Err(self.wrong(at, message));
        }
        let mut shape = Vec::with_capacity(dimensions as usize);
        for _ in 0..dimensions {
            let size = self.u64("the size of a tensor")?;
            let size = usize::try_from(size).ok().filter(|size| *size > 0);
            shape.push(
                size.ok_or_else(|| self.wrong(at, format!("{name} has an impossible size")))?,
            );
        }
        shape.reverse();
        let kind = self.u32("the type of a tensor")?;
        let format = Format::from_id(kind).map_err(|found| {
            let known: Vec<&str> = Format::ALL.iter().map(|it| it.name()).collect();
            let known = known.join(", ");
            self.wrong(at, format!("tensor {name} is {found}, expected one of {known}\nhint: quantize the original to one of these"))
        })?;
        Ok(Place { at, name, format, shape, offset: self.u64("the offset of a tensor")? })
    }
}
