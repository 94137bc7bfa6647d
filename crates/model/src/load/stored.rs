//! How the files of a base hold a weight (out, in): dense, in 4 bits as bitsandbytes writes it, in 8
//! bits as `srek quantize --embedding q8` does, or in blocks of ggml. The files decide, weight by weight.
//!
//! Opening looks at headers and the few bytes that say how to read the rest; the values are checked
//! when a model is filled ([`Nf4::check`], [`Q8::check`]).

use super::{Blocked, Checkpoint, Kind, Source, Tensor, Wide};
use crate::{Base, Error, Result};
use ops::DType;
use quant::{double_quant, nf4, q8};
use safetensors::Dtype;
use serde::Deserialize;

/// What follows the name of a weight in 4 bits, in the name of each of its parts.
pub(crate) const ABSMAX: &str = ".absmax";
pub(crate) const QUANT_MAP: &str = ".quant_map";
pub(crate) const NESTED_ABSMAX: &str = ".nested_absmax";
pub(crate) const NESTED_QUANT_MAP: &str = ".nested_quant_map";
pub(crate) const QUANT_STATE: &str = ".quant_state.bitsandbytes__nf4";
/// What follows the name of a weight in 8 bits, in the name of its scales.
pub(crate) const SCALES: &str = ".scales";

const QUANT_STATE_FP4: &str = ".quant_state.bitsandbytes__fp4";
/// The largest JSON of a quantization state.
const STATE_LIMIT_BYTES: usize = 4096;
const AGAIN: &str = "hint: quantize the original again with srek quantize";

/// A weight as its files hold it.
pub(crate) enum Stored {
    /// f32, bf16 or f16.
    Dense(Tensor),
    /// 4 bits.
    Nf4(Nf4),
    /// 8 bits.
    Q8(Q8),
    /// As a GGUF file has it.
    Blocks(Blocked),
}

/// A weight in NF4.
pub(crate) struct Nf4 {
    /// Two codes a byte.
    pub(crate) codes: Tensor,
    /// f32; u8 where it is itself quantized.
    pub(crate) absmax: Tensor,
    pub(crate) double: Option<Double>,
}

/// What a double-quantized absmax has beside its codes.
pub(crate) struct Double {
    /// The 256 levels.
    pub(crate) map: Tensor,
    /// f32, one per 256 absmax.
    pub(crate) nested: Tensor,
    pub(crate) offset: f32,
}

/// A weight in signed bytes.
pub(crate) struct Q8 {
    pub(crate) codes: Tensor,
    /// f32, one per 64 codes.
    pub(crate) scales: Tensor,
}

/// The JSON that bitsandbytes keeps with a weight; its field order is what it writes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    quant_type: String,
    blocksize: usize,
    dtype: String,
    shape: Vec<usize>,
    nested_blocksize: Option<usize>,
    nested_dtype: Option<String>,
    nested_offset: Option<f64>,
}

impl Checkpoint {
    /// The weight of that name and shape (out, in), in whatever form it is stored.
    ///
    /// # Errors
    /// When it or a part of it is missing, has another shape or type, or is in a form that this
    /// program does not read.
    pub(crate) fn stored(&self, name: &str, shape: [usize; 2]) -> Result<Stored> {
        if self.has(&format!("{name}{QUANT_STATE}")) {
            return Ok(Stored::Nf4(self.stored_nf4(name, shape)?));
        }
        if self.has(&format!("{name}{SCALES}")) {
            let codes = self.part(name, &shape, &[Dtype::I8])?;
            let scales = [q8::blocks(shape[0] * shape[1])];
            let scales = self.part(&format!("{name}{SCALES}"), &scales, &[Dtype::F32])?;
            return Ok(Stored::Q8(Q8 { codes, scales }));
        }
        match self.blocked(name, shape)? {
            Some(blocks) => Ok(Stored::Blocks(blocks)),
            None => self.tensor(name, &shape).map(Stored::Dense),
        }
    }

    /// The storage of a weight in 4 bits, from the names alone.
    pub(super) fn stored_base(&self, name: &str) -> Option<Base> {
        let double = self.has(&format!("{name}{NESTED_ABSMAX}"));
        let base = if double { Base::Nf4Double } else { Base::Nf4 };
        self.has(&format!("{name}{QUANT_STATE}")).then_some(base)
    }

    fn stored_nf4(&self, name: &str, shape: [usize; 2]) -> Result<Nf4> {
        let part = |suffix: &str| format!("{name}{suffix}");
        let state = self.bytes(&part(QUANT_STATE), STATE_LIMIT_BYTES)?;
        let offset = State::read(&state, shape)?;
        let (weights, nested_name) = (shape[0] * shape[1], part(NESTED_ABSMAX));
        if self.has(&nested_name) != offset.is_some() {
            let message = format!(
                "is there, or its offset in {QUANT_STATE} is, but not both, expected both or neither\n{AGAIN}"
            );
            return Err(Error::tensor(self.place(), &nested_name, message));
        }
        let (bytes, blocks) = (nf4::code_bytes(weights), nf4::blocks(weights));
        let codes = self.codes(name, bytes)?;
        let levels = self.part(&part(QUANT_MAP), &[nf4::CODE.len()], &[Dtype::F32])?;
        if levels.to_f32()? != nf4::CODE {
            return Err(levels.refuse(format!("has other levels than NF4's\n{AGAIN}")));
        }
        let Some(offset) = offset else {
            let absmax = self.part(&part(ABSMAX), &[blocks], &[Dtype::F32])?;
            return Ok(Nf4 { codes, absmax, double: None });
        };
        let map = self.part(&part(NESTED_QUANT_MAP), &[256], &[Dtype::F32])?;
        let values = map.to_f32()?;
        if !values.is_sorted() || values[0] < -1.0 || values[255] > 1.0 {
            let message = format!("is not 256 ascending levels from -1 to 1\n{AGAIN}");
            return Err(map.refuse(message));
        }
        let nested = self.part(&nested_name, &[double_quant::blocks(blocks)], &[Dtype::F32])?;
        let absmax = self.part(&part(ABSMAX), &[blocks], &[Dtype::U8])?;
        Ok(Nf4 { codes, absmax, double: Some(Double { map, nested, offset }) })
    }

    /// The codes of a weight in 4 bits, seen as bytes whatever type they were stored as.
    fn codes(&self, name: &str, bytes: usize) -> Result<Tensor> {
        let types = [Dtype::U8, Dtype::BF16, Dtype::F16, Dtype::F32];
        let size = self.element_bytes(name)?;
        let codes = self.part(name, &[bytes / size, 1], &types)?;
        if codes.bytes.bytes().len() != bytes {
            return Err(codes.refuse(format!("does not hold {bytes} bytes\n{AGAIN}")));
        }
        Ok(Tensor { dtype: DType::U8, ..codes })
    }

    /// Says why a weight that should be dense is not, where its parts tell.
    pub(super) fn refuse_quantized(&self, name: &str, kind: Kind) -> Result<()> {
        let has = |suffix: &str| self.has(&format!("{name}{suffix}"));
        let module = name.strip_suffix(".weight").unwrap_or(name);
        let message = if has(QUANT_STATE) || has(SCALES) {
            let bits = if has(QUANT_STATE) { 4 } else { 8 };
            format!(
                "is stored in {bits} bits, expected F32, BF16 or F16\nhint: take the model that it was quantized from"
            )
        } else if has(QUANT_STATE_FP4) {
            "is stored as fp4, expected nf4\nhint: quantize the original with srek quantize".into()
        } else if self.has(&format!("{module}.SCB")) || kind == Kind::Plain(Dtype::I8) {
            "is stored in bitsandbytes' 8 bits (int8), expected nf4 or F32, BF16 or F16\nhint: quantize the original with srek quantize".into()
        } else if kind == Kind::Plain(Dtype::U8) {
            format!("is U8, but {name}{QUANT_STATE} is missing\n{AGAIN}")
        } else {
            return Ok(());
        };
        Err(Error::tensor(self.place(), name, message))
    }
}

impl Stored {
    /// Refuses a weight in 4 bits where another base was asked for.
    pub(crate) fn check_base(&self, asked: Base) -> Result<()> {
        let Stored::Nf4(weight) = self else { return Ok(()) };
        if asked == Base::AsStored || asked == weight.base() {
            return Ok(());
        }
        let (found, asked) = (weight.base().name(), asked.name());
        Err(weight.codes.refuse(format!(
            "is stored as {found}, {asked} was asked for\nhint: take it as stored, or quantize the original as {asked} with srek quantize"
        )))
    }
}

impl Stored {
    /// The type that its values are written in where they are to be dense: their own, or bf16.
    pub(crate) fn dense_type(&self) -> DType {
        match self {
            Stored::Dense(tensor) => tensor.dtype,
            Stored::Nf4(_) | Stored::Q8(_) => DType::Bf16,
            Stored::Blocks(blocks) => blocks.dense_type(),
        }
    }

    /// Whether its bytes are its values.
    pub(crate) fn is_dense(&self) -> bool {
        matches!(self, Stored::Dense(_))
    }

    /// What messages name.
    pub(crate) fn tensor(&self) -> &Tensor {
        match self {
            Stored::Dense(tensor) => tensor,
            Stored::Nf4(weight) => &weight.codes,
            Stored::Q8(weight) => &weight.codes,
            Stored::Blocks(blocks) => blocks.tensor(),
        }
    }

    /// Refuses values that are not finite.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Stored::Dense(tensor) => tensor.scan(),
            Stored::Nf4(weight) => weight.check(),
            Stored::Q8(weight) => weight.check(),
            Stored::Blocks(blocks) => blocks.scan(),
        }
    }
}

/// What was checked is decoded; a quantized weight from the beginning of a block on.
impl Wide for Stored {
    fn widen(&self, first: usize, out: &mut [f32]) {
        match self {
            Stored::Dense(tensor) => tensor.widen(first, out),
            Stored::Blocks(blocks) => blocks.widen(first, out),
            Stored::Nf4(weight) => weight.widen(first, out),
            Stored::Q8(weight) => {
                let codes: &[i8] = bytemuck::cast_slice(weight.codes.bytes.bytes());
                let mut scales = vec![0.0; q8::blocks(out.len())];
                weight.scales.widen(first / q8::BLOCK, &mut scales);
                q8::decode(&codes[first..][..out.len()], &scales, out);
            }
        }
    }
}

impl Wide for Nf4 {
    fn widen(&self, first: usize, out: &mut [f32]) {
        let block = first / nf4::BLOCK;
        let mut absmax = vec![0.0; nf4::blocks(out.len())];
        match &self.double {
            None => self.absmax.widen(block, &mut absmax),
            Some(double) => {
                let mut map = [0.0; 256];
                double.map.widen(0, &mut map);
                let mut nested = vec![0.0; double.nested.elements()];
                double.nested.widen(0, &mut nested);
                let q = self.absmax.bytes.bytes();
                let (map, nested, offset) = (&map, nested.as_slice(), double.offset);
                nf4::Absmax::Double { q, map, nested, offset }.get_into(block, &mut absmax);
            }
        }
        let codes = &self.codes.bytes.bytes()[first / 2..][..nf4::code_bytes(out.len())];
        nf4::decode_f32(codes, &absmax, out);
    }
}

impl Nf4 {
    fn base(&self) -> Base {
        if self.double.is_some() { Base::Nf4Double } else { Base::Nf4 }
    }

    /// The error for a projection that is to be quantized once more.
    pub(crate) fn refuse_again(&self) -> Error {
        self.codes.refuse(format!("is stored in 4 bits already, expected it dense\n{AGAIN}"))
    }

    /// The error for an embedding or a head in 4 bits.
    pub(crate) fn refuse_table(&self) -> Error {
        self.codes.refuse(format!("is stored in 4 bits, expected it dense or in 8 bits\n{AGAIN}"))
    }

    /// Refuses scales that would not give finite weights.
    pub(crate) fn check(&self) -> Result<()> {
        let Some(double) = &self.double else { return self.absmax.scan() };
        let nested = double.nested.to_f32()?;
        match nested.iter().position(|scale| !(scale.abs() + double.offset.abs()).is_finite()) {
            None => Ok(()),
            Some(at) => Err(double.nested.not_finite(at, nested[at])),
        }
    }
}

impl Q8 {
    /// The error for a projection in 8 bits.
    pub(crate) fn refuse_projection(&self) -> Error {
        self.codes.refuse(format!("is stored in 8 bits, expected it dense or in 4 bits\n{AGAIN}"))
    }

    /// Refuses scales that would not give finite weights.
    pub(crate) fn check(&self) -> Result<()> {
        let scales = self.scales.to_f32()?;
        match scales.iter().position(|scale| !(scale * 128.0).is_finite()) {
            None => Ok(()),
            Some(at) => Err(self.scales.not_finite(at, scales[at])),
        }
    }
}

impl State {
    /// Reads and judges it; gives the offset of a double-quantized absmax.
    fn read(tensor: &Tensor, shape: [usize; 2]) -> Result<Option<f32>> {
        let refuse = |message: String| Err(tensor.refuse(format!("{message}\n{AGAIN}")));
        let state: State = match serde_json::from_slice(tensor.bytes.bytes()) {
            Ok(state) => state,
            Err(error) => return refuse(format!("is not the JSON of bitsandbytes: {error}")),
        };
        if state.quant_type != "nf4" {
            return refuse(format!("quant_type is {:?}, expected \"nf4\"", state.quant_type));
        }
        if state.shape != shape {
            return refuse(format!("shape is {:?}, expected {shape:?}", state.shape));
        }
        if state.blocksize != nf4::BLOCK {
            return refuse(format!("blocksize is {}, expected {}", state.blocksize, nf4::BLOCK));
        }
        if !["float32", "bfloat16", "float16"].contains(&state.dtype.as_str()) {
            return refuse(format!(
                "dtype is {:?}, expected float32, bfloat16 or float16",
                state.dtype
            ));
        }
        match (state.nested_blocksize, state.nested_dtype.as_deref(), state.nested_offset) {
            (None, None, None) => Ok(None),
            (Some(double_quant::BLOCK), Some("float32"), Some(offset))
                if (offset as f32).is_finite() =>
            {
                Ok(Some(offset as f32))
            }
            (size, dtype, offset) => refuse(format!(
                "nested_blocksize, nested_dtype and nested_offset are {size:?}, {dtype:?} and {offset:?}, expected {}, \"float32\" and a finite number",
                double_quant::BLOCK
            )),
        }
    }
}
