//! Quantizing a mapped tensor stretch by stretch, into whatever takes the parts.

use super::{Tensor, Wide};
use crate::{Error, Result};
use ops::DType;
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

impl Source for Tensor {
    fn elements(&self) -> usize {
        self.bytes.bytes().len() / self.dtype.size()
    }

    fn tensor(&self) -> &Tensor {
        self
    }

    fn dense_type(&self) -> DType {
        self.dtype
    }
}

/// A weight whose values can be had, to be stored in another form.
pub(crate) trait Source: Wide {
    /// The number of elements.
    fn elements(&self) -> usize;

    /// What messages name.
    fn tensor(&self) -> &Tensor;

    /// The type that its values are written in where they are to be dense.
    fn dense_type(&self) -> DType;

    /// Refuses values that are not finite.
    fn scan(&self) -> Result<()> {
        stretches(self.elements(), |first, values| {
            self.widen(first, values);
            self.tensor().check_finite(values, first)
        })
    }

    /// Quantizes to NF4: `take` gets the place of a stretch of code bytes and the bytes; all absmax
    /// are returned.
    fn encode_nf4(&self, mut take: impl FnMut(usize, &[u8])) -> Result<Vec<f32>> {
        let len = self.elements();
        let mut absmax = vec![0.0; nf4::blocks(len)];
        let mut bytes = vec![0; nf4::code_bytes(len.min(STRETCH))];
        stretches(len, |first, values| {
            self.widen(first, values);
            let bytes = &mut bytes[..nf4::code_bytes(values.len())];
            let absmax = &mut absmax[first / nf4::BLOCK..][..nf4::blocks(values.len())];
            nf4::encode(values, bytes, absmax).map_err(|e| self.tensor().located(first, e))?;
            take(first / 2, bytes);
            Ok(())
        })?;
        Ok(absmax)
    }

    /// Quantizes this tensor's absmax once more.
    fn encode_nested(&self, absmax: &[f32]) -> Result<Nested> {
        let mut q = vec![0; absmax.len()];
        let mut scales = vec![0.0; double_quant::blocks(absmax.len())];
        let offset = double_quant::encode(absmax, &mut q, &mut scales)
            .map_err(|e| self.tensor().refuse(e.to_string()))?;
        Ok(Nested { q, scales, offset })
    }

    /// Quantizes to 8 bits: `take` gets the first element of a stretch, its codes and its scales.
    fn encode_q8(&self, mut take: impl FnMut(usize, &[i8], &[f32])) -> Result<()> {
        let len = self.elements();
        let mut codes = vec![0; len.min(STRETCH)];
        let mut scales = vec![0.0; q8::blocks(codes.len())];
        stretches(len, |first, values| {
            self.widen(first, values);
            let codes = &mut codes[..values.len()];
            let scales = &mut scales[..q8::blocks(values.len())];
            q8::encode(values, codes, scales).map_err(|e| self.tensor().located(first, e))?;
            take(first, codes, scales);
            Ok(())
        })
    }
}

impl Tensor {
    /// The encoder's complaint with the element's place in the whole tensor.
    pub(crate) fn located(&self, first: usize, error: quant::Error) -> Error {
        match error {
            quant::Error::NotFinite { index, value } => self.not_finite(first + index, value),
            quant::Error::TooLarge { index, value, format } => {
                let index = first + index;
                self.refuse(quant::Error::TooLarge { index, value, format }.to_string())
            }
            other => self.refuse(other.to_string()),
        }
    }
}
