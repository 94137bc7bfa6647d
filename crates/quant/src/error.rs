//! What can be wrong with the numbers or the lengths that a caller was given from outside.

/// Everything that this crate refuses. The caller adds the file and the tensor.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value to be quantized is NaN or infinite, so no absmax can scale its block.
    #[error("element {index} is {value}, expected a finite number")]
    NotFinite {
        /// Position in the flattened slice, from 0.
        index: usize,
        /// The value found there.
        value: f32,
    },
    /// A value is beyond what the scales of a block format can hold.
    #[error(
        "element {index} is {value}, which is too large for {format}\nhint: take a wider format"
    )]
    TooLarge {
        /// Position in the flattened slice, from 0.
        index: usize,
        /// The value found there.
        value: f32,
        /// The format's name.
        format: &'static str,
    },
    /// The absmax values are finite, but their sum or their distance to the mean is not.
    #[error(
        "the sum of {count} absmax values exceeds the range of f32\nhint: quantize without double quantization"
    )]
    AbsmaxRange {
        /// How many values there are.
        count: usize,
    },
    /// One of the arrays of a quantized weight does not fit the number of its elements.
    #[error("{array} has {found} entries, expected {expected}")]
    Length {
        /// Which array: codes, absmax, …
        array: &'static str,
        /// What the number of elements asks for.
        expected: usize,
        /// What was given.
        found: usize,
    },
}
