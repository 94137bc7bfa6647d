//! Widening stored values to f32, from bytes of any alignment.

use half::{bf16, f16};
use ops::DType;

/// Something that can be widened stretch by stretch.
pub(crate) trait Wide {
    /// Widens the elements from `first` on into `out`.
    fn widen(&self, first: usize, out: &mut [f32]);
}

impl Wide for super::Tensor {
    fn widen(&self, first: usize, out: &mut [f32]) {
        widen_into(self.dtype, self.bytes.bytes(), first, out);
    }
}

/// Widens the elements of `bytes` from `first` on into `out`; exact for every type.
///
/// # Panics
/// When the type is not a float, or the range leaves `bytes`.
pub(crate) fn widen_into(dtype: DType, bytes: &[u8], first: usize, out: &mut [f32]) {
    let source = &bytes[first * dtype.size()..][..out.len() * dtype.size()];
    match dtype {
        DType::F32 => {
            for (out, b) in out.iter_mut().zip(source.as_chunks::<4>().0) {
                *out = f32::from_le_bytes(*b);
            }
        }
        DType::Bf16 => {
            for (out, b) in out.iter_mut().zip(source.as_chunks::<2>().0) {
                *out = bf16::from_le_bytes(*b).to_f32();
            }
        }
        DType::F16 => {
            for (out, b) in out.iter_mut().zip(source.as_chunks::<2>().0) {
                *out = f16::from_le_bytes(*b).to_f32();
            }
        }
        other => panic!("{other:?} is not a float type"),
    }
}
