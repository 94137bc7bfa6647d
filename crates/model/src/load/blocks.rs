//! A weight as a GGUF file holds it: in blocks, or with rows in llama.cpp's order.

use super::{Checkpoint, Kind, Source, Tensor, Wide};
use crate::{Error, Result};
use ops::{DType, HostBytes};
use quant::ggml::{Blocks, Format, Rows};
use rayon::prelude::*;
use std::sync::Arc;

/// A weight (out, in) in one of ggml's formats.
pub(crate) struct Blocked {
    /// Its bytes, and what it is called.
    pub(crate) bytes: Tensor,
    pub(crate) format: Format,
    pub(crate) rows: Rows,
    shape: [usize; 2],
}

impl Checkpoint {
    /// The weight of that name and shape, where it is in blocks.
    pub(super) fn blocked(&self, name: &str, shape: [usize; 2]) -> Result<Option<Blocked>> {
        let entry = self.entry(name)?;
        let Kind::Blocks(format, rows) = entry.kind else { return Ok(None) };
        let (map, path) = (&self.maps[entry.map], self.file(entry));
        if entry.shape != shape {
            let message = format!("has shape {:?}, expected {shape:?}", entry.shape);
            return Err(Error::tensor(path, name, message));
        }
        let bytes = HostBytes::new(Arc::new(map.clone()), entry.start, entry.len);
        let bytes = Tensor { dtype: DType::U8, bytes, path: path.into(), name: name.into() };
        Ok(Some(Blocked { bytes, format, rows, shape }))
    }
}

impl Blocked {
    fn blocks(&self) -> Blocks<'_> {
        let bytes = self.bytes.bytes.bytes();
        Blocks { bytes, format: self.format, rows: self.rows, inner: self.shape[1] }
    }
}

impl Wide for Blocked {
    fn widen(&self, first: usize, out: &mut [f32]) {
        let (blocks, inner) = (self.blocks(), self.shape[1]);
        // To the end of its row, whole rows, and the beginning of one.
        let head = (inner - first % inner) % inner;
        let (head, rest) = out.split_at_mut(head.min(out.len()));
        blocks.decode_any(first / inner, first % inner, head);
        let row = (first + head.len()) / inner;
        rest.par_chunks_mut(inner).enumerate().for_each(|(index, out)| {
            blocks.decode_any(row + index, 0, out);
        });
    }
}

impl Source for Blocked {
    fn elements(&self) -> usize {
        self.shape[0] * self.shape[1]
    }

    fn tensor(&self) -> &Tensor {
        &self.bytes
    }

    fn dense_type(&self) -> DType {
        match self.format {
            Format::F32 => DType::F32,
            Format::F16 => DType::F16,
            _ => DType::Bf16,
        }
    }
}
