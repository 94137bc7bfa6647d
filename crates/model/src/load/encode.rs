//! Quantizing a mapped tensor stretch by stretch, into whatever takes the parts.

use super::{Tensor, Wide};
use crate::{Error, Result};
use quant::{double_quant, nf4, q8};

/// Elements handled at a time: whole blocks and whole nested blocks.
pub(crate) const STRETCH: usize = 16 * nf4::BLOCK * double_quant::BLOCK;

/// Calls `each` with the first element and a buffer for every stretch of `len` elements.
pub(crate) fn stretches(
    len: usize,
    mut each: impl FnMut(usize, &mut [f32]) -> Result<()>,
) -> Result<()> {
    let mut values = vec![0.0; len.min(STRETCH)];
    for first in (0..len).step_by(STRETCH) {
        let count = STRETCH.min(len - first);
        each(first, &mut values[..count])?;
    }
    Ok(())
}

/// An absmax that was quantized once more.
pub(crate) struct Nested {
    pub(crate) q: Vec<u8>,
    pub(crate) scales: Vec<f32>,
    pub(crate) offset: f32,
}

impl Tensor {
    /// The number of elements.
    pub(crate) fn elements(&self) -> usize {
        self.bytes.bytes().len() / self.dtype.size()
    }

    /// Refuses a float tensor that is not finite.
    pub(crate) fn scan(&self) -> Result<()> {
        stretches(self.elements(), |first, values| {
            self.widen(first, values);
            self.check_finite(values, first)
        })
    }

    /// Quantizes to NF4: `take` gets the place of a stretch of code bytes and the bytes; all absmax
    /// are returned.
    pub(crate) fn encode_nf4(&self, mut take: impl FnMut(usize, &[u8])) -> Result<Vec<f32>> {
        let len = self.elements();
        let mut absmax = vec![0.0; nf4::blocks(len)];
        let mut bytes = vec![0; nf4::code_bytes(len.min(STRETCH))];
        stretches(len, |first, values| {
            self.widen(first, values);
            let bytes = &mut bytes[..nf4::code_bytes(values.len())];
            let absmax = &mut absmax[first / nf4::BLOCK..][..nf4::blocks(values.len())];
            nf4::encode(values, bytes, absmax).map_err(|e| self.located(first, e))?;
            take(first / 2, bytes);
            Ok(())
        })?;
        Ok(absmax)
    }

    /// Quantizes this tensor's absmax once more.
    pub(crate) fn encode_nested(&self, absmax: &[f32]) -> Result<Nested> {
        let mut q = vec![0; absmax.len()];
        let mut scales = vec![0.0; double_quant::blocks(absmax.len())];
        let offset = double_quant::encode(absmax, &mut q, &mut scales)
            .map_err(|e| self.refuse(e.to_string()))?;
        Ok(Nested { q, scales, offset })
    }

    /// Quantizes to 8 bits: `take` gets the first element of a stretch, its codes and its scales.
    pub(crate) fn encode_q8(&self, mut take: impl FnMut(usize, &[i8], &[f32])) -> Result<()> {
        let len = self.elements();
        let mut codes = vec![0; len.min(STRETCH)];
        let mut scales = vec![0.0; q8::blocks(codes.len())];
        stretches(len, |first, values| {
            self.widen(first, values);
            let codes = &mut codes[..values.len()];
            let scales = &mut scales[..q8::blocks(values.len())];
            q8::encode(values, codes, scales).map_err(|e| self.located(first, e))?;
            take(first, codes, scales);
            Ok(())
        })
    }

    /// The encoder's complaint with the element's place in the whole tensor.
    fn located(&self, first: usize, error: quant::Error) -> Error {
        match error {
            quant::Error::NotFinite { index, value } => self.not_finite(first + index, value),
            other => self.refuse(other.to_string()),
        }
    }
}
