//! AdamW whose state lives in pinned host memory: gradients come down one tensor at a time, all cores
//! update, new values go up, while the next gradient is on its way.
//!
//! Semantics of PyTorch's `AdamW` after `clip_grad_norm_`: the norm is that of all gradients together,
//! and the gradients are scaled by min(1, max / (norm + 1e-6)). On request the rows of tokens share their
//! second moment ([`OptimizerSection::coupled_embedding`]).

use crate::Result;
use crate::recipe::OptimizerSection;
use model::{Checkpoint, Param};
use ops::adamw::{self, NORM_STRETCH, SquaredNorm, StepSize};
use ops::{Backend, Buf, DType, Queue, Space, residual};
use std::io::Write;
use std::path::Path;

/// What PyTorch adds to the norm before dividing by it.
const NORM_FLOOR: f64 = 1e-6;

/// One step's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// The step, counted from 1.
    pub step: u64,
    /// The learning rate.
    pub learning_rate: f64,
}

/// The laid-out optimizer.
#[derive(Debug)]
pub struct Optimizer {
    settings: OptimizerSection,
    /// Per parameter m (P) and v (P) f32, pinned; v of coupled rows (C).
    moments: Vec<[Buf; 2]>,
    /// (largest P) f32, pinned: one gradient arrives while the other one is used.
    gradients: [Buf; 2],
    /// (largest P) in the type of the values, pinned: one leaves while the other one is made.
    values: [Buf; 2],
    /// Partial squared norms of every parameter, f32, on the device.
    partials: Buf,
    /// The same on the host.
    host_partials: Vec<f32>,
}

/// Stretches of a parameter's norm.
fn stretches(param: &Param) -> usize {
    param.gradient.len.div_ceil(NORM_STRETCH)
}

/// The shape of a parameter's second moment: its own, or a row's where all rows share one.
fn second_moment<'a>(param: &'a Param, settings: &OptimizerSection) -> &'a [usize] {
    if settings.coupled_embedding && param.by_token { &param.shape[1..] } else { &param.shape }
}

impl Optimizer {
    /// Lays out all state on top of a laid-out model. The moments start at zero.
    ///
    /// # Panics
    /// When there is no parameter: nothing would be trained.
    pub fn layout<B: Backend>(
        backend: &mut B,
        params: &[Param],
        settings: &OptimizerSection,
    ) -> Optimizer {
        let largest = params.iter().map(|p| p.value.len).max().expect("something is trained");
        let dtype = params[0].value.dtype;
        assert!(params.iter().all(|p| p.value.dtype == dtype), "all values are of one type");
        let mut pinned = |label, dtype, len| backend.alloc(label, Space::Pinned, dtype, len);
        let moments = params
            .iter()
            .map(|p| {
                let second = second_moment(p, settings).iter().product();
                [("first moment", p.value.len), ("second moment", second)]
                    .map(|(label, len)| pinned(label, DType::F32, len))
            })
            .collect();
        let gradients = [0, 1].map(|_| pinned("gradient staging", DType::F32, largest));
        let values = [0, 1].map(|_| pinned("value staging", dtype, largest));
        let count = params.iter().map(stretches).sum();
        Optimizer {
            settings: settings.clone(),
            moments,
            gradients,
            values,
            partials: backend.alloc("norm partials", Space::Device, DType::F32, count),
            host_partials: vec![0.0; count],
        }
    }

    /// Host bytes that it holds beside the backend's own.
    pub fn host_bytes(&self) -> usize {
        self.host_partials.len() * 4
    }

    /// The norm of all gradients together: partial sums on the device, added in f64 in the order of
    /// the parameters.
    fn norm<B: Backend>(&mut self, backend: &mut B, params: &[Param]) -> f64 {
        let mut start = 0;
        for param in params {
            let count = stretches(param);
            let partial = self.partials.slice(start, count);
            backend.launch(SquaredNorm { g: param.gradient, partial });
            start += count;
        }
        backend.read(self.partials, &mut self.host_partials);
        self.host_partials.iter().map(|&partial| f64::from(partial)).sum::<f64>().sqrt()
    }

    /// Clips, updates every parameter and clears the gradients. Returns the norm before clipping; where
    /// that is not finite, nothing was changed.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn step<B: Backend>(
        &mut self,
        backend: &mut B,
        params: &[Param],
        update: Update,
    ) -> Result<f64> {
        let norm = self.norm(backend, params);
        if !norm.is_finite() {
            return Ok(norm);
        }
        let size = self.step_size(update, norm);
        let computed = backend.record(Queue::Compute);
        backend.wait(Queue::Copy, computed);
        let mut arriving = self.fetch(backend, params, 0);
        // When each value staging may be written again.
        let mut left = [None; 2];
        for (index, param) in params.iter().enumerate() {
            let (len, side) = (param.value.len, index % 2);
            backend.wait_host(arriving);
            if index + 1 < params.len() {
                arriving = self.fetch(backend, params, index + 1);
            }
            if let Some(fence) = left[side] {
                backend.wait_host(fence);
            }
            let [m, v] = self.moments[index];
            let decay = if param.decays { size.decay } else { 0.0 };
            let (g, out) = (self.gradients[side].slice(0, len), self.values[side].slice(0, len));
            let size = StepSize { decay, ..size };
            backend.host(adamw::Update { w: param.master, m, v, g, out, size });
            backend.copy_in(Queue::Copy, out, param.value);
            left[side] = Some(backend.record(Queue::Copy));
            backend.launch(residual::Zero { to: param.gradient });
        }
        for fence in left.into_iter().flatten() {
            backend.wait(Queue::Compute, fence);
        }
        backend.finish()?;
        Ok(norm)
    }

    /// Starts copying out the gradient of parameter `index`.
    fn fetch<B: Backend>(&self, backend: &mut B, params: &[Param], index: usize) -> ops::Fence {
        let gradient = params[index].gradient;
        let to = self.gradients[index % 2].slice(0, gradient.len);
        backend.copy_out(Queue::Copy, gradient, to);
        backend.record(Queue::Copy)
    }

    /// The numbers of one update.
    fn step_size(&self, update: Update, norm: f64) -> StepSize {
        let it = &self.settings;
        let power = |beta: f64| libm::pow(beta, update.step as f64);
        let clip = match it.max_grad_norm {
            0.0 => 1.0,
            most => (most / (norm + NORM_FLOOR)).min(1.0),
        };
        StepSize {
            lr: update.learning_rate as f32,
            beta1: it.beta1,
            beta2: it.beta2,
            eps: it.eps as f32,
            decay: it.weight_decay as f32,
            correction1: (1.0 - power(it.beta1)) as f32,
            root_correction2: (1.0 - power(it.beta2)).sqrt() as f32,
            clip: clip as f32,
        }
    }

    /// Writes the moments as a safetensors file, tensor by tensor: `m.<name>` and `v.<name>`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save<B: Backend>(&self, backend: &mut B, params: &[Param], path: &Path) -> Result<()> {
        let mut header = serde_json::Map::new();
        let mut offset = 0;
        for (name, shape, moment) in self.list(params) {
            let end = offset + moment.bytes();
            let entry = serde_json::json!({
                "dtype": "F32", "shape": shape, "data_offsets": [offset, end],
            });
            header.insert(name, entry);
            offset = end;
        }
        let mut header = serde_json::to_vec(&header).expect("a header is plain data");
        // The format wants the data to start at a multiple of 8; spaces may end a header.
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut values = vec![0.0_f32; self.gradients[0].len];
        files::write_atomic(path, |out| {
            out.write_all(&(header.len() as u64).to_le_bytes())?;
            out.write_all(&header)?;
            for (_, _, moment) in self.list(params) {
                let values = &mut values[..moment.len];
                backend.read(moment, values);
                write_values(out, values)?;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Reads what [`Optimizer::save`] wrote.
    ///
    /// # Errors
    /// When a tensor is missing, of another shape, not finite, or a second moment below 0.
    pub fn load<B: Backend>(
        &self,
        backend: &mut B,
        params: &[Param],
        moments: &Checkpoint,
    ) -> Result<()> {
        for (name, shape, moment) in self.list(params) {
            let tensor = moments.tensor(&name, shape)?;
            let values = tensor.to_f32()?;
            if name.starts_with("v.")
                && let Some(at) = values.iter().position(|v| *v < 0.0)
            {
                let message = format!("element {at} is {}, expected 0 or more", values[at]);
                return Err(
                    model::Error::Tensor { path: tensor.path, tensor: name, message }.into()
                );
            }
            backend.write(moment, &values);
        }
        Ok(())
    }

    /// Name in the file, shape and place of every moment.
    fn list<'a>(&'a self, params: &'a [Param]) -> impl Iterator<Item = (String, &'a [usize], Buf)> {
        params.iter().zip(&self.moments).flat_map(|(param, &[m, v])| {
            let second = second_moment(param, &self.settings);
            [("m", &*param.shape, m), ("v", second, v)]
                .map(|(letter, shape, moment)| (format!("{letter}.{}", param.name), shape, moment))
        })
    }

    /// Bytes of heap that [`Optimizer::save`] and [`Optimizer::load`] take for a moment.
    pub fn staging_bytes(&self) -> usize {
        self.gradients[0].bytes() + files_buffer_bytes()
    }
}

/// What a file being written holds back.
pub(crate) fn files_buffer_bytes() -> usize {
    1 << 20
}

fn write_values(out: &mut dyn Write, values: &[f32]) -> std::io::Result<()> {
    let mut bytes = [0_u8; 4096];
    for values in values.chunks(bytes.len() / 4) {
        for (bytes, value) in bytes.chunks_exact_mut(4).zip(values) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        out.write_all(&bytes[..values.len() * 4])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
