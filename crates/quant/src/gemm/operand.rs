//! The operands of a product: dense values with strides, or weights in NF4, 8 bits and the formats of
//! ggml on their own bytes.

use super::{BLOCK, LANES, Numerics, SEQUENCE, decode, ints, round_bf16};
use crate::Isa;
use crate::cpu::prefetch;
use crate::ggml::Blocks;
use crate::nf4::{CODE, Nf4};
use half::slice::HalfFloatSliceExt;
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

    /// Where a block of 64 `k` begins, if it is whole and its values lie side by side.
    #[inline(always)]
    fn whole_block(&self, row: usize, block: usize) -> Option<usize> {
        let first = block * BLOCK;
        let is_whole = self.col_stride == 1 && first + BLOCK <= self.cols;
        is_whole.then(|| row * self.row_stride + first)
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
    /// A weight of shape `(out, in)` as a GGUF file holds it.
    Blocks {
        /// All of it.
        weight: Blocks<'a>,
        /// Output features.
        out: usize,
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
            Matrix::Nf4 { out, inner, side, .. }
            | Matrix::Q8 { out, inner, side, .. }
            | Matrix::Blocks { out, weight: Blocks { inner, .. }, side } => match side {
                Side::In => *out,
                Side::Out => *inner,
            },
        }
    }

    /// Length of the summed dimension, K.
    pub fn cols(&self) -> usize {
        match self {
            Matrix::Dense(dense) => dense.cols,
            Matrix::Nf4 { out, inner, side, .. }
            | Matrix::Q8 { out, inner, side, .. }
            | Matrix::Blocks { out, weight: Blocks { inner, .. }, side } => match side {
                Side::In => *inner,
                Side::Out => *out,
            },
        }
    }

    /// Whether each 64 neighbours along K are whole numbers with one scale: the weights of `int8`.
    pub fn has_blocks(&self) -> bool {
        ints::Weight::of(self).is_some()
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
            Matrix::Blocks { weight, side: Side::In, .. } => weight.get(row, k),
            Matrix::Blocks { weight, side: Side::Out, .. } => weight.get(k, row),
        }
    }

    /// A block of 64 `k` where it lies as it is: bf16 values side by side.
    #[inline(always)]
    pub(super) fn as_halves(&self, row: usize, block: usize) -> Option<&'a [bf16; BLOCK]> {
        match self {
            Matrix::Dense(dense @ Dense { values: Values::Bf16(values), .. }) => {
                values[dense.whole_block(row, block)?..].first_chunk()
            }
            _ => None,
        }
    }

    /// A block of 64 `k` of f32 values that lie side by side, with zeros beyond K.
    #[inline(always)]
    pub(super) fn padded(&self, row: usize, block: usize) -> Option<[f32; BLOCK]> {
        match self {
            Matrix::Dense(Dense {
                values: Values::F32(values),
                row_stride,
                col_stride: 1,
                cols,
                ..
            }) => {
                let source = &values[row * row_stride..][..*cols][block * BLOCK..];
                let mut padded = [0.0; BLOCK];
                match source.first_chunk::<BLOCK>() {
                    Some(source) => padded = *source,
                    None => padded[..source.len()].copy_from_slice(source),
                }
                Some(padded)
            }
            _ => None,
        }
    }

    /// A block of 64 `k` where it is one of NF4: its codes and its absmax.
    #[inline(always)]
    pub(super) fn as_codes(&self, row: usize, block: usize) -> Option<(&'a [u8; BLOCK / 2], f32)> {
        match self {
            Matrix::Nf4 { weight, inner, side: Side::In, .. } if inner.is_multiple_of(BLOCK) => {
                let index = row * inner + block * BLOCK;
                let codes = weight.codes[index / 2..].first_chunk();
                let codes = codes.expect("codes cover the weight");
                Some((codes, weight.absmax.get(index / BLOCK)))
            }
            _ => None,
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
        if let Some((codes, absmax)) = self.as_codes(row, block) {
            return decode::block(isa, codes, &table(numerics, absmax), out);
        }
        if let Some(source) = self.as_halves(row, block) {
            let source = source.map(|v| f32::from_bits(u32::from(v.to_bits()) << 16));
            return reorder(Numerics::F32, &source, out);
        }
        if let Some(source) = self.padded(row, block) {
            return reorder(numerics, &source, out);
        }
        let first = block * BLOCK;
        match self {
            Matrix::Dense(Dense {
                values: Values::F16(values),
                row_stride,
                col_stride: 1,
                cols,
                ..
            }) if first + BLOCK <= *cols => {
                reorder(numerics, &widened(&values[row * row_stride + first..]), out);
            }
            Matrix::Q8 { codes, scales, inner, side: Side::In, .. }
                if inner.is_multiple_of(BLOCK) =>
            {
                let at = row * inner + first;
                let codes = codes[at..].first_chunk::<BLOCK>().expect("codes cover the weight");
                let mut values = [0.0; BLOCK];
                scaled(codes, scales[at / BLOCK], &mut values);
                reorder(numerics, &values, out);
            }
            Matrix::Blocks { weight, side: Side::In, .. } => {
                reorder(numerics, &decoded(weight, row, first), out);
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
                    let table = table(numerics, weight.absmax.get(index / BLOCK));
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
            Matrix::Dense(Dense {
                values: Values::Bf16(values),
                row_stride: 1,
                col_stride,
                ..
            }) => {
                let source = &values[row + k * col_stride..][..out.len()];
                for (to, from) in out.iter_mut().zip(source) {
                    *to = f32::from_bits(u32::from(from.to_bits()) << 16);
                }
            }
            Matrix::Q8 { codes, scales, inner, side: Side::Out, .. } => {
                let mut index = k * inner + row;
                let mut rest = out;
                while !rest.is_empty() {
                    let (now, later) = rest.split_at_mut(rest.len().min(BLOCK - index % BLOCK));
                    scaled(&codes[index..][..now.len()], scales[index / BLOCK], now);
                    for value in &mut *now {
                        *value = numerics.round(*value);
                    }
                    index += now.len();
                    rest = later;
                }
            }
            Matrix::Blocks { weight, side: Side::Out, .. } => {
                weight.decode_any(k, row, out);
                for value in &mut *out {
                    *value = numerics.round(*value);
                }
            }
            _ => {
                for (j, to) in out.iter_mut().enumerate() {
                    *to = numerics.round(self.get(numerics, row + j, k));
                }
            }
        }
    }

    /// [`Matrix::block`] of up to 64 rows from `first` on.
    pub(super) fn blocks(
        &self,
        isa: Isa,
        numerics: Numerics,
        (first, block): (usize, usize),
        out: &mut [[f32; BLOCK]],
    ) {
        if !self.rows_are_adjacent() {
            for (row, out) in out.iter_mut().enumerate() {
                self.block(isa, numerics, first + row, block, out);
            }
            return;
        }
        let mut line = [0.0; BLOCK];
        let line = &mut line[..out.len()];
        for (c, &s) in SEQUENCE.iter().enumerate() {
            for lane in 0..LANES {
                let k = block * BLOCK + 4 * lane + s;
                if k < self.cols() {
                    self.line(isa, numerics, first, k, line);
                } else {
                    line.fill(0.0);
                }
                for (out, value) in out.iter_mut().zip(&*line) {
                    out[c * LANES + lane] = *value;
                }
            }
        }
    }

    /// Where the stretches begin that some blocks of 64 `k` of some rows are stored in, which need not be
    /// there: rows or lines, for [`Matrix::prefetch`].
    pub(super) fn stretches(
        &self,
        [row, block]: [usize; 2],
        [rows, blocks]: [usize; 2],
    ) -> impl ExactSizeIterator<Item = (usize, usize)> {
        let first = block * BLOCK;
        let (across, starts, width) = match self.rows_are_adjacent() {
            false => (self.cols(), row..row + rows, (first, blocks * BLOCK)),
            true => (self.rows(), first..first + blocks * BLOCK, (row, rows)),
        };
        starts.map(move |start| (start * across + width.0, width.1))
    }

    /// Asks for a stretch of elements, where weights have 4 or 8 bits.
    pub(super) fn prefetch(&self, (first, count): (usize, usize)) {
        match self {
            Matrix::Nf4 { weight, .. } => prefetch(weight.codes, first / 2, count / 2),
            Matrix::Q8 { codes, .. } => prefetch(codes, first, count),
            Matrix::Dense(_) | Matrix::Blocks { .. } => {}
        }
    }

    /// Whether neighbouring rows, not neighbouring `k`, lie side by side in memory.
    pub(super) fn rows_are_adjacent(&self) -> bool {
        match self {
            Matrix::Dense(dense) => dense.row_stride == 1 && dense.col_stride != 1,
            Matrix::Nf4 { side, .. } | Matrix::Q8 { side, .. } | Matrix::Blocks { side, .. } => {
                *side == Side::Out
            }
        }
    }
}

/// The code of element `index`: the even one of a byte is its high nibble.
#[inline(always)]
fn nibble(codes: &[u8], index: usize) -> usize {
    let byte = codes[index / 2];
    usize::from(if index.is_multiple_of(2) { byte >> 4 } else { byte & 15 })
}

/// 8-bit codes of a block with this scale.
#[inline(always)]
pub(super) fn scaled(codes: &[i8], scale: f32, out: &mut [f32]) {
    for (value, &code) in out.iter_mut().zip(codes) {
        *value = f32::from(code) * scale;
    }
}

/// The sixteen values of a block with this absmax. A loop, since a closure would be compiled without the
/// tier's instructions.
#[inline(always)]
pub(super) fn table(numerics: Numerics, absmax: f32) -> [f32; 16] {
    let mut table = CODE;
    for value in &mut table {
        *value *= absmax;
    }
    rounded(numerics, &table)
}

/// The first 64 of these halves.
#[inline(always)]
fn widened(halves: &[f16]) -> [f32; BLOCK] {
    let mut values = [0.0; BLOCK];
    halves[..BLOCK].convert_to_f32_slice(&mut values);
    values
}

/// 64 weights of a row, with zeros beyond its end.
#[inline(always)]
fn decoded(weight: &Blocks<'_>, row: usize, first: usize) -> [f32; BLOCK] {
    let mut values = [0.0; BLOCK];
    let count = BLOCK.min(weight.inner - first);
    weight.decode(row, first, &mut values[..count]);
    values
}

/// All values rounded for `numerics`.
#[inline(always)]
pub(super) fn rounded<const N: usize>(numerics: Numerics, source: &[f32; N]) -> [f32; N] {
    let mut out = *source;
    if numerics == Numerics::Bf16 {
        for value in &mut out {
            *value = round_bf16(*value);
        }
    }
    out
}

/// Reorders 64 dense values, rounding them for `numerics`.
#[inline(always)]
pub(super) fn reorder(numerics: Numerics, source: &[f32; BLOCK], out: &mut [f32; BLOCK]) {
    let source = rounded(numerics, source);
    for (c, &s) in SEQUENCE.iter().enumerate() {
        for lane in 0..LANES {
            out[c * LANES + lane] = source[4 * lane + s];
        }
    }
}
