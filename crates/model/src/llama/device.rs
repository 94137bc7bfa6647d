//! What a device has no kernels for, said before anything is laid out.

use super::{Spec, Trained};
use crate::lora::Projection;
use crate::{Error, Result};
use ops::{Device, Numerics, Target};

/// Heads that attention is there for.
const HEAD_DIMS: [usize; 2] = [64, 128];
/// What ranks are a multiple of.
const RANKS: usize = 8;
/// What the widths of operands are a multiple of: a block of 4-bit weights.
const WIDTHS: usize = 64;

/// Whether a target runs such a model.
///
/// # Errors
/// What there are no kernels for, with what helps.
pub(crate) fn check(target: Target, spec: &Spec) -> Result<()> {
    let Device::Cuda { .. } = target.device else { return Ok(()) };
    let refused = |what: String, hint: &str| {
        Err(Error::Device(format!("{what}\nhint: {hint}, or without a GPU (`--gpu`, `--device`)")))
    };
    let config = &spec.config;
    if spec.numerics != Numerics::Bf16 {
        let name = spec.numerics.name();
        return refused(
            format!("a GPU has no kernels for {name} numerics, expected bf16"),
            "numerics = \"bf16\"",
        );
    }
    if !HEAD_DIMS.contains(&config.head_dim) {
        let found = config.head_dim;
        return refused(
            format!("a GPU has no kernels for heads of {found}, expected 64 or 128"),
            "another model",
        );
    }
    let widths = [
        ("hidden_size", config.hidden),
        ("intermediate_size", config.ffn),
        ("all heads together", config.heads * config.head_dim),
    ];
    for (name, width) in widths {
        if !width.is_multiple_of(WIDTHS) {
            return refused(
                format!("{name} is {width}, and a GPU has kernels for multiples of {WIDTHS}"),
                "another model",
            );
        }
    }
    let (Trained::Adapter(lora) | Trained::Nothing(Some(lora))) = &spec.trained else {
        return Ok(());
    };
    for layer in 0..config.layers {
        for projection in Projection::ALL {
            let Some(factor) = lora.factor(layer, projection) else { continue };
            if !factor.rank.is_multiple_of(RANKS) {
                let (rank, path) = (factor.rank, projection.path());
                return refused(
                    format!(
                        "the adapter of {path} has rank {rank}, and a GPU has kernels for multiples of {RANKS}"
                    ),
                    "rank = 8 or 16",
                );
            }
        }
    }
    Ok(())
}
