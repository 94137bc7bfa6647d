//! Writing a base: projections in 4 bits as bitsandbytes stores them, the rest as it is or, on
//! request, embedding and head in 8 bits.

use super::rows::Rows;
use super::{Bytes, Piece, Sink, file_type, json, weights};
use crate::config::quantization::{OURS, THEIRS, block};
use crate::init::{stream, uniform};
use crate::load::{
    ABSMAX, EMBEDDING, HEAD, NESTED_ABSMAX, NESTED_QUANT_MAP, NORM, QUANT_MAP, QUANT_STATE, SCALES,
    Source, Stored, Tensor, Wide, in_layer, stretches,
};
use crate::lora::Projection;
use crate::{Base, Checkpoint, Config, Error, Head, Result};
use half::bf16;
use ops::{DType, HostBytes};
use quant::{double_quant, nf4, q8};
use rayon::prelude::*;
use safetensors::Dtype;
use std::path::Path;
use std::sync::Arc;

/// The bound of random weights, uniform around 0: the deviation is 0.02, as models start.
const BOUND: f32 = 0.034_641_016;

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
    let (config, mut keys) = model.config_all()?;
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
            match model.stored(&in_layer(layer, projection.path()), shape)? {
                Stored::Dense(tensor) => pieces.four_bits(&tensor, shape, form.double)?,
                Stored::Blocks(blocks) => pieces.four_bits(&blocks, shape, form.double)?,
                Stored::Nf4(weight) => return Err(weight.refuse_again()),
                Stored::Q8(weight) => return Err(weight.refuse_projection()),
            }
            done(layer * Projection::ALL.len() + projection as usize + 1);
        }
    }
    weights(&pieces.0, &directory.join("model.safetensors"))?;
    let first = in_layer(0, Projection::ALL[0].path());
    let stored = model.stored(&first, Projection::ALL[0].shape(&config))?;
    let computes = type_name(stored.dense_type());
    let base = if form.double { Base::Nf4Double } else { Base::Nf4 };
    let (key, value) = block(base, form.embedding, computes);
    keys.insert(key.into(), value);
    json(&keys, &directory.join("config.json"))
}

/// Writes a base of that shape with random weights, the same for the same seed: to measure a machine
/// before the real ones are there. In every other respect as [`base`].
///
/// # Errors
/// When a file cannot be written.
pub fn random_base(
    (config, seed): (&Config, u64),
    form: BaseForm,
    directory: &Path,
    done: &mut dyn FnMut(usize),
) -> Result<()> {
    let random = |name: &str, [out, inner]: [usize; 2]| Random::new(seed, name, out * inner);
    let mut pieces = Pieces::default();
    let table = [config.vocab, config.hidden];
    for name in [Some(EMBEDDING), (!config.tied).then_some(HEAD)].into_iter().flatten() {
        match form.embedding {
            Head::EightBit => pieces.eight_bits(&random(name, table), table)?,
            Head::AsStored => {
                let random = random(name, table);
                let bytes = random.rounded();
                pieces.0.push((
                    name.to_owned(),
                    Piece { dtype: Dtype::BF16, shape: table.to_vec(), bytes },
                ));
            }
        }
    }
    let mut norm = |name: String| {
        let ones: Vec<u8> = bf16::ONE.to_le_bytes().repeat(config.hidden);
        pieces.push(name, Dtype::BF16, vec![config.hidden], ones);
    };
    norm(NORM.to_owned());
    for layer in 0..config.layers {
        norm(in_layer(layer, "input_layernorm"));
        norm(in_layer(layer, "post_attention_layernorm"));
    }
    for layer in 0..config.layers {
        for projection in Projection::ALL {
            let (name, shape) = (in_layer(layer, projection.path()), projection.shape(config));
            pieces.four_bits(&random(&name, shape), shape, form.double)?;
            done(layer * Projection::ALL.len() + projection as usize + 1);
        }
    }
    weights(&pieces.0, &directory.join("model.safetensors"))?;
    let base = if form.double { Base::Nf4Double } else { Base::Nf4 };
    let (key, value) = block(base, form.embedding, "bfloat16");
    let mut keys = config.to_json("bfloat16");
    keys[key] = value;
    json(&keys, &directory.join("config.json"))
}

/// A weight of random values.
struct Random {
    /// What messages name; it has no bytes.
    tensor: Tensor,
    stream: u64,
    elements: usize,
}

impl Random {
    fn new(seed: u64, name: &str, elements: usize) -> Random {
        let tensor = Tensor {
            dtype: DType::Bf16,
            bytes: HostBytes::new(Arc::new(Vec::<u8>::new()), 0, 0),
            path: "random weights".into(),
            name: name.into(),
        };
        Random { tensor, stream: stream(seed, name), elements }
    }

    /// All of it in bf16.
    fn rounded(self) -> Bytes {
        let len = 2 * self.elements;
        let make = move |sink: &mut Sink<'_>| {
            stretches(self.elements, |first, values| {
                self.widen(first, values);
                let rounded: Vec<bf16> = values.iter().map(|it| bf16::from_f32(*it)).collect();
                sink(bytemuck::cast_slice(&rounded))
            })
        };
        Bytes::Made { len, make: Box::new(make) }
    }
}

impl Wide for Random {
    fn widen(&self, first: usize, out: &mut [f32]) {
        out.par_iter_mut().enumerate().with_min_len(4096).for_each(|(i, out)| {
            *out = uniform(self.stream, first + i, BOUND);
        });
    }
}

impl Source for Random {
    fn elements(&self) -> usize {
        self.elements
    }

    fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    fn dense_type(&self) -> DType {
        DType::Bf16
    }
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
            match (model.stored(name, shape)?, form) {
                (Stored::Dense(_), Head::AsStored) => self.dense(model, name, shape.to_vec())?,
                (Stored::Dense(tensor), Head::EightBit) => self.eight_bits(&tensor, shape)?,
                (Stored::Blocks(blocks), Head::EightBit) => self.eight_bits(&blocks, shape)?,
                (stored, Head::AsStored) => {
                    let dtype = stored.dense_type();
                    let bytes = Rows::plain(stored, shape).dense(dtype);
                    let piece = Piece { dtype: file_type(dtype), shape: shape.to_vec(), bytes };
                    self.0.push((name.to_owned(), piece));
                }
                (Stored::Nf4(weight), _) => return Err(weight.refuse_table()),
                (Stored::Q8(weight), _) => return Err(weight.refuse_projection()),
            }
        }
        Ok(())
    }

    fn eight_bits(&mut self, source: &impl Source, shape: [usize; 2]) -> Result<()> {
        let name = &source.tensor().name;
        let mut codes = vec![0_u8; source.elements()];
        let mut scales = vec![0.0; q8::blocks(codes.len())];
        source.encode_q8(|first, bytes, factors| {
            codes[first..][..bytes.len()].copy_from_slice(bytemuck::cast_slice(bytes));
            scales[first / q8::BLOCK..][..factors.len()].copy_from_slice(factors);
        })?;
        self.push(name.clone(), Dtype::I8, shape.to_vec(), codes);
        self.floats(format!("{name}{SCALES}"), &scales);
        Ok(())
    }

    fn four_bits(&mut self, source: &impl Source, shape: [usize; 2], double: bool) -> Result<()> {
        let name = &source.tensor().name;
        let part = |suffix: &str| format!("{name}{suffix}");
        let mut codes = vec![0; nf4::code_bytes(source.elements())];
        let absmax = source.encode_nf4(|first, bytes| {
            codes[first..][..bytes.len()].copy_from_slice(bytes);
        })?;
        self.push(name.clone(), Dtype::U8, vec![codes.len(), 1], codes);
        self.floats(part(QUANT_MAP), &nf4::CODE);
        let offset = if double {
            let nested = source.encode_nested(&absmax)?;
            self.push(part(ABSMAX), Dtype::U8, vec![nested.q.len()], nested.q);
            self.floats(part(NESTED_ABSMAX), &nested.scales);
            self.floats(part(NESTED_QUANT_MAP), double_quant::map());
            Some(nested.offset)
        } else {
            self.floats(part(ABSMAX), &absmax);
            None
        };
        let state = state(type_name(source.dense_type()), shape, offset).into_bytes();
        self.push(part(QUANT_STATE), Dtype::U8, vec![state.len()], state);
        Ok(())
    }
}

/// The type of a dense tensor as torch names it.
fn type_name(dtype: DType) -> &'static str {
    match dtype {
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

/// A number as Python prints it: the shortest text that reads back as the number, and of several the
/// nearest, the even one of two as near (here it is the greater); an exponent has a sign and two digits.
fn python(value: f64) -> String {
    let shortest = format!("{value:e}");
    let digits =
        shortest.split('e').next().unwrap_or("").bytes().filter(u8::is_ascii_digit).count();
    let nearest = format!("{value:.*e}", digits.saturating_sub(1));
    let scientific = if nearest.parse() == Ok(value) { nearest } else { shortest };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let number: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&number) {
        let decimals = (digits as i32 - 1 - number).max(1) as usize;
        let text = format!("{value:.decimals$}");
        return if text.parse() == Ok(value) { text } else { format!("{value:?}") };
    }
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |it| ('-', it));
    format!("{mantissa}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::python;

    #[test]
    fn numbers_are_written_as_python_does() {
        // From Python 3.11: [repr(float(v)) for v in numpy.array([...], numpy.float32)].
        for (value, want) in [
            (0.379_840_88_f32, "0.3798408806324005"),
            // Two texts are as near.
            (0.232_105_26, "0.23210525512695312"),
            (0.1, "0.10000000149011612"),
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
