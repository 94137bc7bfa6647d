//! GGUF, the container of llama.cpp: a header of keys with values, a list of tensors, and their data.
//! Format: ggml's `docs/gguf.md`, version 3, little-endian.
//!
//! ```text
//! "GGUF", u32 version, u64 tensors, u64 keys
//! each key:    string, u32 type, value          a string is u64 bytes and UTF-8
//! each tensor: string, u32 dimensions, u64 each (the fastest first), u32 type, u64 offset
//! data, from the next multiple of 32; offsets count from there
//! ```
//!
//! Read are scalars and strings as values and tensors of f32: what [`write`] writes, and what is needed
//! to read that back.

use crate::{Error, Result};
use files::Map;
use std::collections::BTreeMap;
use std::path::Path;

const MAGIC: [u8; 4] = *b"GGUF";
const VERSION: u32 = 3;
/// What tensors are aligned to.
const ALIGNMENT: usize = 32;
/// Types of values, as numbered by the format.
const TYPE_U32: u32 = 4;
const TYPE_F32: u32 = 6;
const TYPE_STRING: u32 = 8;
/// The type of a tensor of f32.
const TENSOR_F32: u32 = 0;
/// The largest file that is mapped, and the longest string in it.
const LIMIT_BYTES: u64 = 1 << 40;
const LONGEST: usize = 1 << 16;
/// Most dimensions of a tensor.
const MOST_DIMENSIONS: usize = 4;

/// A value of a key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    U32(u32),
    F32(f32),
    Text(String),
}

/// A matrix of f32, row-major: (rows, columns).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) shape: [usize; 2],
    pub(crate) values: Vec<f32>,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gguf {
    pub(crate) keys: BTreeMap<String, Value>,
    pub(crate) tensors: BTreeMap<String, Tensor>,
}

/// Writes a file.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(gguf: &Gguf, path: &Path) -> Result<()> {
    let mut head = Vec::new();
    head.extend(MAGIC);
    head.extend(VERSION.to_le_bytes());
    head.extend((gguf.tensors.len() as u64).to_le_bytes());
    head.extend((gguf.keys.len() as u64).to_le_bytes());
    let text = |head: &mut Vec<u8>, text: &str| {
        head.extend((text.len() as u64).to_le_bytes());
        head.extend(text.as_bytes());
    };
    for (key, value) in &gguf.keys {
        text(&mut head, key);
        match value {
            Value::U32(value) => {
                head.extend(TYPE_U32.to_le_bytes());
                head.extend(value.to_le_bytes());
            }
            Value::F32(value) => {
                head.extend(TYPE_F32.to_le_bytes());
                head.extend(value.to_le_bytes());
            }
            Value::Text(value) => {
                head.extend(TYPE_STRING.to_le_bytes());
                text(&mut head, value);
            }
        }
    }
    let mut offset = 0_usize;
    for (name, tensor) in &gguf.tensors {
        text(&mut head, name);
        let [rows, columns] = tensor.shape;
        head.extend(2_u32.to_le_bytes());
        head.extend((columns as u64).to_le_bytes());
        head.extend((rows as u64).to_le_bytes());
        head.extend(TENSOR_F32.to_le_bytes());
        head.extend((offset as u64).to_le_bytes());
        offset = (offset + 4 * tensor.values.len()).next_multiple_of(ALIGNMENT);
    }
    head.resize(head.len().next_multiple_of(ALIGNMENT), 0);
    files::write_atomic(path, |out| {
        out.write_all(&head)?;
        for tensor in gguf.tensors.values() {
            let bytes: &[u8] = bytemuck::cast_slice(&tensor.values);
            out.write_all(bytes)?;
            let padding = bytes.len().next_multiple_of(ALIGNMENT) - bytes.len();
            out.write_all(&[0; ALIGNMENT][..padding])?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Reads a file.
///
/// # Errors
/// What is no such file, at which byte, or holds what is not read here.
pub(crate) fn read(path: &Path) -> Result<Gguf> {
    let map = Map::open(path, LIMIT_BYTES)?;
    let mut cursor = Cursor { path, bytes: &map, at: 0 };
    let (magic, version) = (cursor.array::<4>("the magic number")?, cursor.u32("the version")?);
    if magic != MAGIC || version != VERSION {
        return Err(cursor.wrong(0, format!("not a GGUF file of version {VERSION}")));
    }
    let (tensors, keys) = (cursor.u64("the count of tensors")?, cursor.u64("the count of keys")?);
    let mut gguf = Gguf::default();
    // Every key and tensor takes bytes of the file, so a count that is too large ends at its end.
    for _ in 0..keys {
        let (key, value) = cursor.key()?;
        gguf.keys.insert(key, value);
    }
    let mut places = Vec::new();
    for _ in 0..tensors {
        places.push(cursor.tensor()?);
    }
    let data = cursor.at.next_multiple_of(ALIGNMENT);
    for (name, shape, offset) in places {
        let count = shape[0].checked_mul(shape[1]).and_then(|count| count.checked_mul(4));
        let range = data.checked_add(offset).zip(count).and_then(|(start, count)| {
            let end = start.checked_add(count)?;
            map.get(start..end)
        });
        let bytes = range.ok_or_else(|| {
            let end = map.len();
            cursor.wrong(data, format!("tensor {name} ends behind the file's {end} bytes"))
        })?;
        let values = bytes.as_chunks::<4>().0.iter().map(|it| f32::from_le_bytes(*it)).collect();
        gguf.tensors.insert(name, Tensor { shape, values });
    }
    Ok(gguf)
}

/// Where reading is.
struct Cursor<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn wrong(&self, at: usize, problem: impl AsRef<str>) -> Error {
        Error::weights(self.path, format!("at byte {at}: {}", problem.as_ref()))
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let rest = &self.bytes[self.at..];
        let found = rest.first_chunk::<N>();
        let found =
            *found.ok_or_else(|| self.wrong(self.at, format!("the file ends in {what}")))?;
        self.at += N;
        Ok(found)
    }

    fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: &str) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    fn text(&mut self, what: &str) -> Result<String> {
        let at = self.at;
        let length = self.u64(what)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST);
        let length =
            length.ok_or_else(|| self.wrong(at, format!("{what} is longer than {LONGEST}")))?;
        let bytes = self.bytes[self.at..].get(..length);
        let bytes = bytes.ok_or_else(|| self.wrong(at, format!("the file ends in {what}")))?;
        let text = std::str::from_utf8(bytes);
        let text = text.map_err(|_| self.wrong(at, format!("{what} is not UTF-8")))?.to_owned();
        self.at += length;
        Ok(text)
    }

    fn key(&mut self) -> Result<(String, Value)> {
        let key = self.text("a key")?;
        let at = self.at;
        let value = match self.u32("the type of a value")? {
            TYPE_U32 => Value::U32(self.u32("a value")?),
            TYPE_F32 => Value::F32(f32::from_le_bytes(self.array("a value")?)),
            TYPE_STRING => Value::Text(self.text("a value")?),
            other => return Err(self.wrong(at, format!("{key} has a value of type {other}"))),
        };
        Ok((key, value))
    }

    /// Name, shape and offset.
    fn tensor(&mut self) -> Result<(String, [usize; 2], usize)> {
        let name = self.text("the name of a tensor")?;
        let at = self.at;
        let dimensions = self.u32("the dimensions of a tensor")? as usize;
        if dimensions > MOST_DIMENSIONS {
            return Err(self.wrong(at, format!("{name} has {dimensions} dimensions")));
        }
        let mut sizes = Vec::new();
        for _ in 0..dimensions {
            sizes.push(self.u64("the size of a tensor")?);
        }
        let at = self.at;
        let kind = self.u32("the type of a tensor")?;
        let offset = self.u64("the offset of a tensor")?;
        let ([columns, rows], TENSOR_F32) = (sizes.as_slice(), kind) else {
            return Err(self.wrong(at, format!("{name} is no matrix of f32")));
        };
        let size = |value: u64| {
            usize::try_from(value).map_err(|_| self.wrong(at, format!("{name} is too large")))
        };
        Ok((name.clone(), [size(*rows)?, size(*columns)?], size(offset)?))
    }
}

#[cfg(test)]
mod tests;
