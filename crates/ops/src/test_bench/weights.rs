//! A linear layer's weight in every storage, and what it decodes to.

use super::{put, stored as put_stored};
use crate::qlinear::{Storage, Weight};
use crate::{Backend, DType};
use quant::ggml::{self, Blocks, Format, Rows};
use quant::{double_quant, nf4, q8};

/// A storage of [`crate::qlinear::Storage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Dense(DType),
    Nf4,
    Nf4Double,
    Q8,
    Blocks(Format, Rows),
}

impl Stored {
    /// Whether a weight of that shape (out, in) can have it.
    pub(crate) fn fits(self, [out, inner]: [usize; 2]) -> bool {
        match self {
            Stored::Blocks(format, rows) => {
                let halves =
                    matches!(rows, Rows::Interleaved(dim) if dim % 2 != 0 || out % dim != 0);
                format.bytes([out, inner]).is_some() && !halves
            }
            _ => true,
        }
    }
}

/// Every storage that a weight of that shape (out, in) can have.
pub(crate) fn storages([out, inner]: [usize; 2]) -> impl Iterator<Item = Stored> {
    let dense = [DType::F32, DType::Bf16, DType::F16].map(Stored::Dense);
    let plain = [Format::Q8_0, Format::Q4K, Format::Q6K].map(|it| Stored::Blocks(it, Rows::Plain));
    let halves = Stored::Blocks(Format::F16, Rows::Interleaved(out));
    let all = dense.into_iter().chain([Stored::Nf4, Stored::Nf4Double, Stored::Q8]).chain(plain);
    all.chain([halves]).filter(move |it| it.fits([out, inner]))
}

/// `values` as a weight `(out, in)`, and the f32 values that it decodes to.
pub(crate) fn weight(
    backend: &mut impl Backend,
    stored: Stored,
    shape: [usize; 2],
    values: &[f32],
) -> (Weight, Vec<f32>) {
    let [out, inner] = shape;
    let (storage, decoded) = match stored {
        Stored::Dense(dtype) => {
            let (buf, decoded) = put_stored(backend, dtype, values);
            (Storage::Dense(buf), decoded)
        }
        Stored::Nf4 => nf4_weight(backend, values),
        Stored::Nf4Double => nf4_double_weight(backend, values),
        Stored::Q8 => q8_weight(backend, values),
        Stored::Blocks(format, rows) => blocks_weight(backend, (format, rows), shape, values),
    };
    (Weight { out, inner, storage }, decoded)
}

fn encoded(values: &[f32]) -> (Vec<u8>, Vec<f32>) {
    let mut codes = vec![0; nf4::code_bytes(values.len())];
    let mut absmax = vec![0.0; nf4::blocks(values.len())];
    nf4::encode(values, &mut codes, &mut absmax).unwrap();
    (codes, absmax)
}

fn nf4_weight(backend: &mut impl Backend, values: &[f32]) -> (Storage, Vec<f32>) {
    let (codes, absmax) = encoded(values);
    let mut decoded = vec![0.0; values.len()];
    nf4::decode_f32(&codes, &absmax, &mut decoded);
    (Storage::Nf4 { codes: put(backend, &codes), absmax: put(backend, &absmax) }, decoded)
}

fn nf4_double_weight(backend: &mut impl Backend, values: &[f32]) -> (Storage, Vec<f32>) {
    let (codes, mut absmax) = encoded(values);
    let mut bytes = vec![0; absmax.len()];
    let mut nested = vec![0.0; double_quant::blocks(absmax.len())];
    let offset = double_quant::encode(&absmax, &mut bytes, &mut nested).unwrap();
    double_quant::decode(&bytes, double_quant::map(), &nested, offset, &mut absmax);
    let mut decoded = vec![0.0; values.len()];
    nf4::decode_f32(&codes, &absmax, &mut decoded);
    let storage = Storage::Nf4Double {
        codes: put(backend, &codes),
        absmax: put(backend, &bytes),
        map: put(backend, &double_quant::map()[..]),
        nested: put(backend, &nested),
        offset,
    };
    (storage, decoded)
}

fn q8_weight(backend: &mut impl Backend, values: &[f32]) -> (Storage, Vec<f32>) {
    let mut codes = vec![0; values.len()];
    let mut scales = vec![0.0; q8::blocks(values.len())];
    q8::encode(values, &mut codes, &mut scales).unwrap();
    let mut decoded = vec![0.0; values.len()];
    q8::decode(&codes, &scales, &mut decoded);
    (Storage::Q8 { codes: put(backend, &codes), scales: put(backend, &scales) }, decoded)
}

/// Written in the order that the rows are to stand in.
fn blocks_weight(
    backend: &mut impl Backend,
    (format, rows): (Format, Rows),
    [out, inner]: [usize; 2],
    values: &[f32],
) -> (Storage, Vec<f32>) {
    let mut stored = vec![0.0; values.len()];
    for (row, values) in values.chunks(inner).enumerate() {
        stored[rows.stored(row) * inner..][..inner].copy_from_slice(values);
    }
    let mut bytes = vec![0; format.bytes([out, inner]).unwrap()];
    ggml::encode(format, &stored, &mut bytes).unwrap();
    let blocks = Blocks { bytes: &bytes, format, rows, inner };
    let mut decoded = vec![0.0; values.len()];
    for (row, decoded) in decoded.chunks_mut(inner).enumerate() {
        blocks.decode(row, 0, decoded);
    }
    (Storage::Blocks { bytes: put(backend, &bytes), format, rows }, decoded)
}
