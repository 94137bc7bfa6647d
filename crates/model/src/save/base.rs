//! Writing a base: projections in 4 bits as bitsandbytes stores them, the rest as it is or, on
//! request, embedding and head in 8 bits.

use super::{Bytes, Piece, file_type, json, weights};
use crate::config::quantization::{OURS, THEIRS, block};
use crate::load::{
    ABSMAX, EMBEDDING, HEAD, NESTED_ABSMAX, NESTED_QUANT_MAP, NORM, QUANT_MAP, QUANT_STATE, SCALES,
    Tensor, in_layer,
};
use crate::lora::Projection;
use crate::{Base, Checkpoint, Config, Error, Head, Result};
use ops::DType;
use quant::{double_quant, nf4, q8};
use safetensors::Dtype;
use std::path::Path;

/// What a base is stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseForm {
    /// Whether the absmax of the projections' NF4 is quantized once more.
    pub double: bool,
    /// Storage of the embedding, and of the head where that is a tensor of its own.
    pub embedding: Head,
}

/// Tensors on their way into a file, by name.
#[derive(Default)]
struct Pieces(Vec<(String, Piece)>);

/// Quantizes a model tensor by tensor and writes it (`config.json`, `model.safetensors`) into an
/// existing `directory`. In memory it holds what it writes, less what it takes as it is, and the
/// encoding of one tensor. `done` is told after each projection how many there are so far. What
/// loading ignores is not written: a second copy of a tied head, and stored rotary frequencies.
///
/// # Errors
/// When the model is quantized already, a tensor is missing, not as the configuration says or not
/// finite, or a file cannot be written.
pub fn base(
    model: &Checkpoint,
    form: BaseForm,
    directory: &Path,
    done: &mut dyn FnMut(usize),
) -> Result<()> {
    let (config, mut keys) = Config::read_all(model.directory())?;
    if let Some(key) = [THEIRS, OURS].into_iter().find(|key| keys.contains_key(*key)) {
        let path = model.directory().join("config.json");
        let message = format!(
            "{key} is there, expected a model that is not quantized\nhint: quantize the original"
        );
        return Err(Error::config(&path, message));
    }
    model.check_unused(&config)?;
    let mut pieces = Pieces::default();
    pieces.tables(model, &config, form.embedding)?;
    pieces.dense(model, NORM, vec![config.hidden])?;
    for layer in 0..config.layers {
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            pieces.dense(model, &in_layer(layer, norm), vec![config.hidden])?;
        }
        for projection in Projection::ALL {
            let shape = projection.shape(&config);
            let tensor = model.tensor(&in_layer(layer, projection.path()), &shape)?;
            pieces.four_bits(&tensor, shape, form.double)?;
            done(layer * Projection::ALL.len() + projection as usize + 1);
        }
    }
    weights(&pieces.0, &directory.join("model.safetensors"))?;
    let first = in_layer(0, Projection::ALL[0].path());
    let computes = type_name(&model.tensor(&first, &Projection::ALL[0].shape(&config))?);
    let base = if form.double { Base::Nf4Double } else { Base::Nf4 };
    let (key, value) = block(base, form.embedding, computes);
    keys.insert(key.into(), value);
    json(&keys, &directory.join("config.json"))
}

impl Pieces {
    fn push(&mut self, name: String, dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) {
        self.0.push((name, Piece::new(dtype, shape, bytes)));
    }

    fn floats(&mut self, name: String, values: &[f32]) {
        self.push(name, Dtype::F32, vec![values.len()], bytemuck::cast_slice(values).to_vec());
    }

    /// A tensor as it is.
    fn dense(&mut self, model: &Checkpoint, name: &str, shape: Vec<usize>) -> Result<()> {
        let tensor = model.tensor(name, &shape)?;
        tensor.scan()?;
        let bytes = Bytes::Mapped(tensor.bytes);
        self.0.push((tensor.name, Piece { dtype: file_type(tensor.dtype), shape, bytes }));
        Ok(())
    }

    /// Embedding and head.
    fn tables(&mut self, model: &Checkpoint, config: &Config, form: Head) -> Result<()> {
        let shape = [config.vocab, config.hidden];
        for name in [Some(EMBEDDING), (!config.tied).then_some(HEAD)].into_iter().flatten() {
            match form {
                Head::AsStored => self.dense(model, name, shape.to_vec())?,
                Head::EightBit => self.eight_bits(&model.tensor(name, &shape)?, shape)?,
            }
        }
        Ok(())
    }

    fn eight_bits(&mut self, tensor: &Tensor, shape: [usize; 2]) -> Result<()> {
        let mut codes = vec![0_u8; tensor.elements()];
        let mut scales = vec![0.0; q8::blocks(codes.len())];
        tensor.encode_q8(|first, bytes, factors| {
            codes[first..][..bytes.len()].copy_from_slice(bytemuck::cast_slice(bytes));
            scales[first / q8::BLOCK..][..factors.len()].copy_from_slice(factors);
        })?;
        self.push(tensor.name.clone(), Dtype::I8, shape.to_vec(), codes);
        self.floats(format!("{}{SCALES}", tensor.name), &scales);
        Ok(())
    }

    fn four_bits(&mut self, tensor: &Tensor, shape: [usize; 2], double: bool) -> Result<()> {
        let part = |suffix: &str| format!("{}{suffix}", tensor.name);
        let mut codes = vec![0; nf4::code_bytes(tensor.elements())];
        let absmax = tensor.encode_nf4(|first, bytes| {
            codes[first..][..bytes.len()].copy_from_slice(bytes);
        })?;
        self.push(tensor.name.clone(), Dtype::U8, vec![codes.len(), 1], codes);
        self.floats(part(QUANT_MAP), &nf4::CODE);
        let offset = if double {
            let nested = tensor.encode_nested(&absmax)?;
            self.push(part(ABSMAX), Dtype::U8, vec![nested.q.len()], nested.q);
            self.floats(part(NESTED_ABSMAX), &nested.scales);
            self.floats(part(NESTED_QUANT_MAP), double_quant::map());
            Some(nested.offset)
        } else {
            self.floats(part(ABSMAX), &absmax);
            None
        };
        let state = state(type_name(tensor), shape, offset).into_bytes();
        self.push(part(QUANT_STATE), Dtype::U8, vec![state.len()], state);
        Ok(())
    }
}

/// The type of a dense tensor as torch names it.
fn type_name(tensor: &Tensor) -> &'static str {
    match tensor.dtype {
        DType::Bf16 => "bfloat16",
        DType::F16 => "float16",
        _ => "float32",
    }
}

/// The JSON that bitsandbytes keeps with a weight, as Python's `json.dumps` writes it.
fn state(dtype: &str, [out, inner]: [usize; 2], offset: Option<f32>) -> String {
    let nested = offset.map_or(String::new(), |offset| {
        format!(
            ", \"nested_blocksize\": {}, \"nested_dtype\": \"float32\", \"nested_offset\": {}",
            double_quant::BLOCK,
            python(offset.into())
        )
    });
    format!(
        "{{\"quant_type\": \"nf4\", \"blocksize\": {}, \"dtype\": \"{dtype}\", \"shape\": [{out}, {inner}]{nested}}}",
        nf4::BLOCK
    )
}

/// A number as Python prints it: as here, but for the exponent, which has a sign and two digits.
fn python(value: f64) -> String {
    let text = format!("{value:?}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |it| ('-', it));
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::python;

    #[test]
    fn numbers_are_written_as_python_does() {
        // From Python 3.11: [repr(float(v)) for v in numpy.array([...], numpy.float32)].
        for (value, want) in [
            (0.379_840_88_f32, "0.3798408806324005"),
            (0.0, "0.0"),
            (1.0, "1.0"),
            (-2.5, "-2.5"),
            (0.000_1, "9.999999747378752e-05"),
            (1.5e-5, "1.4999999621068127e-05"),
            (1e-38, "9.999999350456404e-39"),
            (123_456_790.0, "123456792.0"),
            (1e16, "1.0000000272564224e+16"),
            (3e38, "3.0000000054977558e+38"),
        ] {
            assert_eq!(python(value.into()), want);
        }
    }
}
