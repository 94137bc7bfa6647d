//! A weight that is written in another form than it is stored in, with what an adapter adds to it,
//! some rows at a time.

use super::{Bytes, Sink};
use crate::load::{Source, Stored, Tensor, Wide, in_layer};
use crate::lora::{Projection, tensor_name};
use crate::{Checkpoint, Config, LoraConfig, Result};
use half::{bf16, f16};
use ops::DType;
use quant::gemm::{Dense, Lie, Matrix, Mode, Output, Values, Workspace, gemm, workspace};
use quant::{Isa, Numerics};
use std::sync::Arc;

/// Values that are made at a time, about.
const VALUES: usize = 1 << 22;
/// Rows are made in multiples of this, so that every part begins with a block of a quantized weight.
const ROWS: usize = 64;

/// A weight (out, in) on its way into a file.
#[derive(Clone)]
pub(super) struct Rows {
    stored: Arc<Stored>,
    shape: [usize; 2],
    adapter: Option<Arc<Added>>,
}

/// s·B A.
struct Added {
    /// (R, in).
    a: Tensor,
    /// (out, R).
    b: Tensor,
    rank: usize,
    scale: f32,
}

impl Rows {
    /// A weight as it is stored.
    pub(super) fn plain(stored: Stored, shape: [usize; 2]) -> Rows {
        Rows { stored: Arc::new(stored), shape, adapter: None }
    }

    /// A projection with what the adapter adds to it; `names` gets those of the factors.
    pub(super) fn adapted(
        base: &Checkpoint,
        config: &Config,
        (layer, projection): (usize, Projection),
        adapter: Option<(&LoraConfig, &Checkpoint)>,
        names: &mut Vec<String>,
    ) -> Result<Rows> {
        let shape @ [out, inner] = projection.shape(config);
        let stored = base.stored(&in_layer(layer, projection.path()), shape)?;
        let mut rows = Rows::plain(stored, shape);
        let factor = adapter.and_then(|(lora, it)| Some((lora.factor(layer, projection)?, it)));
        if let Some((factor, adapter)) = factor {
            let mut read = |letter, shape: [usize; 2]| -> Result<Tensor> {
                names.push(tensor_name(layer, projection, letter));
                let tensor = adapter.tensor(&tensor_name(layer, projection, letter), &shape)?;
                tensor.scan()?;
                Ok(tensor)
            };
            let a = read('A', [factor.rank, inner])?;
            let b = read('B', [out, factor.rank])?;
            rows.adapter = Some(Arc::new(Added { a, b, rank: factor.rank, scale: factor.scale }));
        }
        Ok(rows)
    }

    /// The type that its values are written in where they are to be dense.
    pub(super) fn dense_type(&self) -> DType {
        self.stored.dense_type()
    }

    /// Where its values come from.
    pub(super) fn stored(&self) -> &Stored {
        &self.stored
    }

    /// (out, in).
    pub(super) fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// Makes all rows, in parts of whole multiples of `unit` rows.
    pub(super) fn each(
        &self,
        unit: usize,
        mut take: impl FnMut(&[f32]) -> Result<()>,
    ) -> Result<()> {
        self.stored.check()?;
        let [out, inner] = self.shape;
        let unit =
            ROWS * unit.div_ceil(ROWS).max(1) * if ROWS.is_multiple_of(unit) { 1 } else { unit };
        let count = unit * (VALUES / (unit * inner)).max(1);
        let mut values = vec![0.0; count.min(out) * inner];
        for first in (0..out).step_by(count) {
            let rows = count.min(out - first);
            let values = &mut values[..rows * inner];
            self.stored.widen(first * inner, values);
            if let Some(added) = &self.adapter {
                added.add(values, [first, rows, inner]);
            }
            take(values)?;
        }
        Ok(())
    }

    /// All of it in a dense type.
    pub(super) fn dense(self, dtype: DType) -> Bytes {
        let len = self.shape[0] * self.shape[1] * dtype.size();
        let make = move |sink: &mut Sink<'_>| self.each(1, |values| sink(&rounded(values, dtype)));
        Bytes::Made { len, make: Box::new(make) }
    }
}

impl Added {
    /// Adds to `rows` rows from `first` on. As PEFT's `merge_and_unload` has it, the product of the
    /// factors is taken in f32 and scaled.
    fn add(&self, values: &mut [f32], [first, rows, inner]: [usize; 3]) {
        let mut a = vec![0.0; self.rank * inner];
        self.a.widen(0, &mut a);
        let mut b = vec![0.0; rows * self.rank];
        self.b.widen(first * self.rank, &mut b);
        let left = Matrix::f32(&b, rows, self.rank);
        let right = Matrix::Dense(Dense::new(Values::F32(&a), self.rank, inner).transposed());
        let (isa, numerics) = (Isa::detect(), Numerics::F32);
        let threads = rayon::current_num_threads();
        let shape = [rows, inner, self.rank];
        let lie = Lie::of(&left, &right);
        let mut words = vec![0.0; workspace(isa, numerics, shape, lie, threads)];
        let output = Output { values, stride: inner, scale: self.scale, mode: Mode::Add };
        gemm(isa, numerics, &left, &right, output, Workspace { words: &mut words, threads });
    }
}

/// The bytes of values in a type.
fn rounded(values: &[f32], dtype: DType) -> Vec<u8> {
    match dtype {
        DType::Bf16 => {
            let values: Vec<bf16> = values.iter().map(|it| bf16::from_f32(*it)).collect();
            bytemuck::cast_slice(&values).to_vec()
        }
        DType::F16 => {
            let values: Vec<f16> = values.iter().map(|it| f16::from_f32(*it)).collect();
            bytemuck::cast_slice(&values).to_vec()
        }
        _ => bytemuck::cast_slice(values).to_vec(),
    }
}
