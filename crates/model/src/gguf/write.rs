//! Writing: the header, then tensor after tensor, each made when it is its turn.

use super::{ALIGNMENT, MAGIC, VERSION};
use super::{ARRAY, BOOL, F32, I32, TEXT, U32};
use crate::Result;
use crate::save::{Bytes, emit};
use quant::ggml::Format;
use std::path::Path;

/// A value to be written.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    /// A number.
    U32(u32),
    /// A float.
    F32(f32),
    /// A truth.
    Bool(bool),
    /// A text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// A list of numbers.
    Integers(Vec<i32>),
    /// A list of floats.
    Floats(Vec<f32>),
}

/// A tensor to be written.
pub(crate) struct Written {
    pub(crate) name: String,
    pub(crate) format: Format,
    /// The slowest first.
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Bytes,
}

/// Writes a file, atomically.
///
/// # Errors
/// When it or a tensor cannot be had or written.
pub(crate) fn write(keys: &[(String, Key)], tensors: &[Written], path: &Path) -> Result<()> {
    let mut head = Vec::new();
    head.extend(MAGIC);
    head.extend(VERSION.to_le_bytes());
    head.extend((tensors.len() as u64).to_le_bytes());
    head.extend((keys.len() as u64).to_le_bytes());
    for (key, value) in keys {
        text(&mut head, key);
        self::key(&mut head, value);
    }
    let mut offset = 0_usize;
    for tensor in tensors {
        text(&mut head, &tensor.name);
        head.extend((tensor.shape.len() as u32).to_le_bytes());
        for size in tensor.shape.iter().rev() {
            head.extend((*size as u64).to_le_bytes());
        }
        head.extend(tensor.format.id().to_le_bytes());
        head.extend((offset as u64).to_le_bytes());
        offset = (offset + tensor.bytes.len()).next_multiple_of(ALIGNMENT);
    }
    head.resize(head.len().next_multiple_of(ALIGNMENT), 0);
    let pieces = tensors.iter().map(|tensor| (&tensor.bytes, ALIGNMENT));
    emit(path, &head, pieces)
}

fn text(head: &mut Vec<u8>, text: &str) {
    head.extend((text.len() as u64).to_le_bytes());
    head.extend(text.as_bytes());
}

fn key(head: &mut Vec<u8>, value: &Key) {
    let list = |head: &mut Vec<u8>, kind: u32, count: usize| {
        head.extend(ARRAY.to_le_bytes());
        head.extend(kind.to_le_bytes());
        head.extend((count as u64).to_le_bytes());
    };
    match value {
        Key::U32(value) => {
            head.extend(U32.to_le_bytes());
            head.extend(value.to_le_bytes());
        }
        Key::F32(value) => {
            head.extend(F32.to_le_bytes());
            head.extend(value.to_le_bytes());
        }
        Key::Bool(value) => {
            head.extend(BOOL.to_le_bytes());
            head.push(u8::from(*value));
        }
        Key::Text(value) => {
            head.extend(TEXT.to_le_bytes());
            text(head, value);
        }
        Key::Texts(values) => {
            list(head, TEXT, values.len());
            values.iter().for_each(|value| text(head, value));
        }
        Key::Integers(values) => {
            list(head, I32, values.len());
            values.iter().for_each(|value| head.extend(value.to_le_bytes()));
        }
        Key::Floats(values) => {
            list(head, F32, values.len());
            values.iter().for_each(|value| head.extend(value.to_le_bytes()));
        }
    }
}
