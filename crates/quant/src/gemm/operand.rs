//! The operands of a product: dense values with strides, or NF4 and 8-bit weights on their own bytes.

use super::{BLOCK, LANES, Numerics, SEQUENCE, decode, round_bf16};
use crate::Isa;
use crate::nf4::{CODE, Nf4};
use half::{bf16, f16};

/// Dense values in one of the storage types.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// bfloat16.
    Bf16(&'a [bf16]),
    /// IEEE half precision.
    F16(&'a [f16]),
}

impl Values<'_> {
    #[inline(always)]
    fn get(&self, index: usize) -> f32 {
        match self {
            Values::F32(values) => values[index],
            Values::Bf16(values) => values[index].to_f32(),
            Values::F16(values) => values[index].to_f32(),
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Values::F32(values) => values.len(),
            Values::Bf16(values) => values.len(),
            Values::F16(values) => values.len(),
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A dense matrix: element `(row, k)` lies at `row * row_stride + k * col_stride`.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a> {
    /// The values.
    pub values: Values<'a>,
    /// Rows (N of the left operand, M of the right).
    pub rows: usize,
    /// Length of the summed dimension, K.
    pub cols: usize,
    /// Distance between rows.
    pub row_stride: usize,
    /// Distance between neighbours along K.
    pub col_stride: usize,
}

impl<'a> Dense<'a> {
    /// `values` as `(rows, cols)`, row-major.
    pub fn new(values: Values<'a>, rows: usize, cols: usize) -> Self {
        assert_eq!(values.len(), rows * cols, "gemm: values do not fill ({rows}, {cols})");
        Dense { values, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// The transposed view.
    pub fn transposed(self) -> Self {
        Dense {
            values: self.values,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
}

/// Which side of a block-quantized weight `(out, in)` is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Over `in`: `y = x Wᵀ`.
    In,
    /// Over `out`: `dx = dy W`.
    Out,
}

impl Side {
    /// Where element `(row, k)` of the operand stands in the row-major weight `(out, inner)`.
    fn index(self, inner: usize, row: usize, k: usize) -> usize {
        match self {
            Side::In => row * inner + k,
            Side::Out => k * inner + row,
        }
    }
}

/// An operand, seen as `(rows, cols)` with `cols` = K.
#[derive(Clone, Copy, Debug)]
pub enum Matrix<'a> {
    /// Dense values.
    Dense(Dense<'a>),
    /// An NF4 weight of shape `(out, in)`, row-major as bitsandbytes stores it.
    Nf4 {
        /// Codes and absmax.
        weight: Nf4<'a>,
        /// Output features.
        out: usize,
        /// Input features.
        inner: usize,
        /// Which side is summed.
        side: Side,
    },
    /// An 8-bit weight of shape `(out, in)`.
    Q8 {
        /// Codes, row-major.
        codes: &'a [i8],
        /// One scale per block of 64 codes.
        scales: &'a [f32],
        /// Output features.
        out: usize,
        /// Input features.
        inner: usize,
        /// Which side is summed.
        side: Side,
    },
}

impl<'a> Matrix<'a> {
    /// Row-major f32 values `(rows, cols)`.
    pub fn f32(values: &'a [f32], rows: usize, cols: usize) -> Self {
        Matrix::Dense(Dense::new(Values::F32(values), rows, cols))
    }

    /// Rows: N of a left operand, M of a right one.
    pub fn rows(&self) -> usize {
        match self {
            Matrix::Dense(dense) => dense.rows,
            Matrix::Nf4 { out, inner, side, .. } | Matrix::Q8 { out, inner, side, .. } => {
                match side {
                    Side::In => *out,
                    Side::Out => *inner,
                }
            }
        }
    }

    /// Length of the summed dimension, K.
    pub fn cols(&self) -> usize {
        match self {
            Matrix::Dense(dense) => dense.cols,
            Matrix::Nf4 { out, inner, side, .. } | Matrix::Q8 { out, inner, side, .. } => {
                match side {
                    Side::In => *inner,
                    Side::Out => *out,
                }
            }
        }
    }

    /// Element `(row, k)` as stored, decoded to f32; NF4 in `bf16` numerics is already bf16(code x
    /// absmax).
    pub fn get(&self, numerics: Numerics, row: usize, k: usize) -> f32 {
        match self {
            Matrix::Dense(dense) => dense.values.get(row * dense.row_stride + k * dense.col_stride),
            Matrix::Nf4 { weight, inner, side, .. } => {
                let index = side.index(*inner, row, k);
                let absmax = weight.absmax.get(index / BLOCK);
                numerics.round(CODE[nibble(weight.codes, index)] * absmax)
            }
            Matrix::Q8 { codes, scales, inner, side, .. } => {
                let index = side.index(*inner, row, k);
                f32::from(codes[index]) * scales[index / BLOCK]
            }
        }
    }

    /// Writes one block of 64 `k`, rounded for `numerics`, in the order of summation: `out[c][i]` is
    /// element `4i + SEQUENCE[c]` of block `block`; beyond K there are zeros.
    #[inline(always)]
    pub(super) fn block(
        &self,
        isa: Isa,
        numerics: Numerics,
        row: usize,
        block: usize,
        out: &mut [f32; BLOCK],
    ) {
        let first = block * BLOCK;
        match self {
            Matrix::Nf4 { weight, inner, side: Side::In, .. } if inner.is_multiple_of(BLOCK) => {
                let index = row * inner + first;
                let absmax = weight.absmax.get(index / BLOCK);
                let table = CODE.map(|code| numerics.round(code * absmax));
                let bytes = weight.codes[index / 2..].first_chunk::<32>();
                decode::block(isa, bytes.expect("codes cover the weight"), &table, out);
            }
            Matrix::Dense(Dense {
                values: Values::F32(values),
                row_stride,
                col_stride: 1,
                cols,
                ..
            }) if first + BLOCK <= *cols => {
                let at = row * row_stride + first;
                let source = values[at..].first_chunk::<BLOCK>().expect("values cover the matrix");
                reorder(numerics, source, out);
            }
            Matrix::Dense(Dense {
                values: Values::Bf16(values),
                row_stride,
                col_stride: 1,
                cols,
                ..
            }) if first + BLOCK <= *cols => {
                let at = row * row_stride + first;
                let source = values[at..].first_chunk::<BLOCK>().expect("values cover the matrix");
                reorder(
                    Numerics::F32,
                    &source.map(|v| f32::from_bits(u32::from(v.to_bits()) << 16)),
                    out,
                );
            }
            _ => self.block_by_element(numerics, row, block, out),
        }
    }

    fn block_by_element(
        &self,
        numerics: Numerics,
        row: usize,
        block: usize,
        out: &mut [f32; BLOCK],
    ) {
        let cols = self.cols();
        for (c, &s) in SEQUENCE.iter().enumerate() {
            for lane in 0..LANES {
                let k = block * BLOCK + 4 * lane + s;
                out[c * LANES + lane] =
                    if k < cols { numerics.round(self.get(numerics, row, k)) } else { 0.0 };
            }
        }
    }

    /// Writes `count <= 64` consecutive rows starting at `row` at the single position `k`: a row of
    /// the stored weight when the summed side is the outer one. `out[j]` belongs to row `row + j`.
    #[inline(always)]
    pub(super) fn line(&self, isa: Isa, numerics: Numerics, row: usize, k: usize, out: &mut [f32]) {
        match self {
            Matrix::Nf4 { weight, inner, side: Side::Out, .. }
                if (k * inner + row).is_multiple_of(2) =>
            {
                let mut index = k * inner + row;
                let mut rest = out;
                while !rest.is_empty() {
                    let count = rest.len().min(BLOCK - index % BLOCK);
                    let (now, later) = rest.split_at_mut(count);
                    let absmax = weight.absmax.get(index / BLOCK);
                    let table = CODE.map(|code| numerics.round(code * absmax));
                    decode::line(isa, &weight.codes[index / 2..], &table, now);
                    index += count;
                    rest = later;
                }
            }
            Matrix::Dense(Dense {
                values: Values::F32(values), row_stride: 1, col_stride, ..
            }) => {
                let source = &values[row + k * col_stride..][..out.len()];
                for (to, &from) in out.iter_mut().zip(source) {
                    *to = numerics.round(from);
                }
            }
            _ => {
                for (j, to) in out.iter_mut().enumerate() {
                    *to = numerics.round(self.get(numerics, row + j, k));
                }
            }
        }
    }

    /// Whether neighbouring rows, not neighbouring `k`, lie side by side in memory.
    pub(super) fn rows_are_adjacent(&self) -> bool {
        match self {
            Matrix::Dense(dense) => dense.row_stride == 1 && dense.col_stride != 1,
            Matrix::Nf4 { side, .. } | Matrix::Q8 { side, .. } => *side == Side::Out,
        }
    }
}

/// The code of element `index`: the even one of a byte is its high nibble.
#[inline(always)]
fn nibble(codes: &[u8], index: usize) -> usize {
    let byte = codes[index / 2];
    usize::from(if index.is_multiple_of(2) { byte >> 4 } else { byte & 15 })
}

/// Reorders 64 dense values, rounding them for `numerics`.
#[inline(always)]
fn reorder(numerics: Numerics, source: &[f32; BLOCK], out: &mut [f32; BLOCK]) {
    for (c, &s) in SEQUENCE.iter().enumerate() {
        for lane in 0..LANES {
            out[c * LANES + lane] = match numerics {
                Numerics::F32 => source[4 * lane + s],
                Numerics::Bf16 => round_bf16(source[4 * lane + s]),
            };
        }
    }
}
