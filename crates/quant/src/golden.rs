//! Reads the reference tensors under `tests/goldens/quant`. Tests only.

use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors};

/// One file of reference tensors, held in memory.
pub(crate) struct Golden(Vec<u8>);

impl Golden {
    pub(crate) fn read(name: &str) -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/quant").join(name);
        Self(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// The names of the cases: every `<case>.<suffix>`, sorted.
    pub(crate) fn cases(&self, suffix: &str) -> Vec<String> {
        let tensors = self.tensors();
        let mut cases: Vec<String> = tensors
            .names()
            .into_iter()
            .filter_map(|name| name.strip_suffix(suffix))
            .map(String::from)
            .collect();
        cases.sort();
        assert!(!cases.is_empty(), "no tensor ends in {suffix}");
        cases
    }

    pub(crate) fn u8(&self, name: &str) -> Vec<u8> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).expect(name);
        assert_eq!(tensor.dtype(), Dtype::U8, "{name}");
        tensor.data().to_vec()
    }

    /// The bits of a tensor whose numbers are two bytes wide.
    pub(crate) fn bits16(&self, name: &str) -> Vec<u16> {
        let tensors = self.tensors();
        let data = tensors.tensor(name).expect(name).data();
        data.as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect()
    }

    /// A tensor of f32, bf16 or f16, widened.
    pub(crate) fn f32(&self, name: &str) -> Vec<f32> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).expect(name);
        let data = tensor.data();
        match tensor.dtype() {
            Dtype::F32 => {
                data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
            }
            Dtype::BF16 => {
                self.bits16(name).into_iter().map(|bits| bf16::from_bits(bits).to_f32()).collect()
            }
            Dtype::F16 => {
                self.bits16(name).into_iter().map(|bits| f16::from_bits(bits).to_f32()).collect()
            }
            other => panic!("{name} is {other:?}"),
        }
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).expect("a readable golden file")
    }
}

/// Bits, so that -0.0 differs from 0.0 and a failure shows what the number was.
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// `count` numbers of a normal distribution with mean 0 and deviation 1 (Box and Muller, over the
/// splitmix64 generator).
pub(crate) fn normal(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut uniform = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let radius = (-2.0 * (1.0 - uniform()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * uniform()).sin_cos();
        values.push((radius * cos) as f32);
        values.push((radius * sin) as f32);
    }
    values.truncate(count);
    values
}

/// Runs `work` in a pool of `threads`.
pub(crate) fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool").install(work)
}

/// Equal arrays, or a panic that shows the first difference only.
pub(crate) fn assert_same<T: PartialEq + std::fmt::Debug>(found: &[T], expected: &[T], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: length");
    if let Some(i) = (0..found.len()).find(|&i| found[i] != expected[i]) {
        panic!("{what}: element {i} is {:?}, expected {:?}", found[i], expected[i]);
    }
}
