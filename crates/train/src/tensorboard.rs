//! TensorBoard's event files: TFRecords of `Event` messages that hold scalars.
//!
//! A record is: length (u64, little endian), its masked CRC-32C, the bytes, their masked CRC-32C. The
//! messages are few enough to write by hand: `Event { wall_time = 1: double, step = 2: int64,
//! file_version = 3: string, summary = 5: Summary }`, `Summary { value = 1: Value }`,
//! `Value { tag = 1: string, simple_value = 2: float }` (tensorflow's `event.proto`, `summary.proto`).

use crate::Result;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What TFRecord adds to a rotated checksum, so that a checksum of checksums stays strong.
const MASK: u32 = 0xa282_ead8;
/// Wire types of protobuf.
const VARINT: u8 = 0;
const EIGHT_BYTES: u8 = 1;
const LENGTH: u8 = 2;
const FOUR_BYTES: u8 = 5;

/// An open event file.
#[derive(Debug)]
pub struct EventFile {
    file: File,
    path: PathBuf,
}

impl EventFile {
    /// Starts a file for a run that stands at `step`. Each start has a file of its own; TensorBoard
    /// reads all files of a directory in the order of their names.
    ///
    /// # Errors
    /// When it cannot be created or written.
    pub fn start(directory: &Path, step: u64) -> Result<EventFile> {
        let seconds = wall_time() as u64;
        let path = directory.join(format!("events.out.tfevents.{seconds:010}.{step:010}.srek"));
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(files::Error::io(files::Operation::Write, &path))?;
        let mut events = EventFile { file, path };
        let mut event = Vec::new();
        field(&mut event, 1, EIGHT_BYTES, &wall_time().to_le_bytes());
        bytes_field(&mut event, 3, b"brain.Event:2");
        events.record(&event)?;
        Ok(events)
    }

    /// Writes scalars of a step.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn scalars(&mut self, step: u64, scalars: &[(&str, f64)]) -> Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in scalars {
            let mut message = Vec::new();
            bytes_field(&mut message, 1, tag.as_bytes());
            field(&mut message, 2, FOUR_BYTES, &(*value as f32).to_le_bytes());
            bytes_field(&mut summary, 1, &message);
        }
        let mut event = Vec::new();
        field(&mut event, 1, EIGHT_BYTES, &wall_time().to_le_bytes());
        field(&mut event, 2, VARINT, &[]);
        varint(&mut event, step);
        bytes_field(&mut event, 5, &summary);
        self.record(&event)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn record(&mut self, data: &[u8]) -> Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(masked(&length).to_le_bytes());
        record.extend(data);
        record.extend(masked(data).to_le_bytes());
        let written = self.file.write_all(&record).and_then(|()| self.file.flush());
        Ok(written.map_err(files::Error::io(files::Operation::Write, &self.path))?)
    }
}

/// Seconds since 1970.
fn wall_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// A field's key and, where its size is fixed, its value.
fn field(out: &mut Vec<u8>, number: u8, wire: u8, value: &[u8]) {
    out.push(number << 3 | wire);
    out.extend(value);
}

fn bytes_field(out: &mut Vec<u8>, number: u8, value: &[u8]) {
    out.push(number << 3 | LENGTH);
    varint(out, value.len() as u64);
    out.extend(value);
}

/// Seven bits at a time, the lowest first; the top bit says that more follow.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(MASK)
}

/// CRC-32 with Castagnoli's polynomial (RFC 3720), reflected, bit by bit: records are short and few.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |mut crc: u32, &byte| {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
        crc
    })
}

#[cfg(test)]
mod tests;
