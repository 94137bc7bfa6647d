//! What 4 bits cost: how far the projections in NF4 are from those they were made of.

use crate::load::{ABSMAX, Double, Nf4, Source, Stored, Tensor, Wide, in_layer, stretches};
use crate::lora::Projection;
use crate::{Checkpoint, Result};
use ops::{DType, HostBytes};
use quant::{double_quant, nf4};
use std::sync::Arc;

/// For each layer, the error of each projection in the order of [`Projection::ALL`]: the norm of the
/// difference as a share of the norm of the original.
///
/// `stored` is what was made of `original`, perhaps by another program; where it is absent, NF4 is made
/// here, with double-quantized scales, and dropped again. In memory is one projection at a time. `done`
/// is told after each how many there are so far.
///
/// # Errors
/// When a projection is missing, has another shape than `original` says, or is not finite.
pub fn nf4_errors(
    original: &Checkpoint,
    stored: Option<&Checkpoint>,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<[f64; 7]>> {
    let config = original.config()?;
    let mut layers = Vec::with_capacity(config.layers);
    for layer in 0..config.layers {
        let mut errors = [0.0; 7];
        for (index, projection) in Projection::ALL.into_iter().enumerate() {
            let (name, shape) = (in_layer(layer, projection.path()), projection.shape(&config));
            let from = original.stored(&name, shape)?;
            from.check()?;
            let to = match (stored, &from) {
                (Some(stored), _) => stored.stored(&name, shape)?,
                (None, Stored::Dense(tensor)) => Stored::Nf4(quantized(tensor)?),
                (None, Stored::Blocks(blocks)) => Stored::Nf4(quantized(blocks)?),
                (None, _) => original.stored(&name, shape)?,
            };
            to.check()?;
            errors[index] = error(&from, &to, shape[0] * shape[1])?;
            done(layer * Projection::ALL.len() + index + 1);
        }
        layers.push(errors);
    }
    Ok(layers)
}

fn error(from: &Stored, to: &Stored, elements: usize) -> Result<f64> {
    let (mut difference, mut norm, mut found) = (0.0, 0.0, Vec::new());
    stretches(elements, |first, values| {
        from.widen(first, values);
        found.resize(values.len(), 0.0);
        to.widen(first, &mut found);
        for (value, found) in values.iter().zip(&found) {
            difference += f64::from(value - found).powi(2);
            norm += f64::from(*value).powi(2);
        }
        Ok(())
    })?;
    Ok((difference / norm.max(f64::MIN_POSITIVE)).sqrt())
}

/// A weight in NF4, in memory.
fn quantized(source: &impl Source) -> Result<Nf4> {
    let part = |suffix: &str, dtype, bytes: Vec<u8>| {
        let len = bytes.len();
        let bytes = HostBytes::new(Arc::new(bytes), 0, len);
        let (path, name) = (source.tensor().path.clone(), &source.tensor().name);
        Tensor { dtype, bytes, path, name: format!("{name}{suffix}") }
    };
    let floats = |values: &[f32]| bytemuck::cast_slice::<f32, u8>(values).to_vec();
    let mut codes = vec![0; nf4::code_bytes(source.elements())];
    let absmax = source.encode_nf4(|first, bytes| {
        codes[first..][..bytes.len()].copy_from_slice(bytes);
    })?;
    let nested = source.encode_nested(&absmax)?;
    let double = Double {
        map: part("", DType::F32, floats(double_quant::map())),
        nested: part("", DType::F32, floats(&nested.scales)),
        offset: nested.offset,
    };
    let absmax = part(ABSMAX, DType::U8, nested.q);
    Ok(Nf4 { codes: part("", DType::U8, codes), absmax, double: Some(double) })
}
