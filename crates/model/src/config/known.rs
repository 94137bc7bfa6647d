//! The shapes of published Llamas, by name: to plan for a model, or to measure with random weights of its
//! shape, before it is there.

use crate::Config;
use ops::rope::Scaling;

/// The context that Llama 3 was trained on before its frequencies were scaled.
const ORIGINAL_CONTEXT: usize = 8192;

impl Config {
    /// The names of [`Config::known`].
    pub const KNOWN: [&str; 7] = [
        "llama3-8b",
        "llama3.1-8b",
        "llama3.1-70b",
        "llama3.2-1b",
        "llama3.2-3b",
        "llama2-7b",
        "tinyllama-1.1b",
    ];

    /// The shape of a published model, as its `config.json` has it.
    pub fn known(name: &str) -> Option<Config> {
        let scaled = |factor: f32| {
            Some(Scaling { factor, low: 1.0, high: 4.0, original_context: ORIGINAL_CONTEXT })
        };
        let llama3 = Config {
            hidden: 4096,
            ffn: 14_336,
            layers: 32,
            heads: 32,
            kv_heads: 8,
            head_dim: 128,
            vocab: 128_256,
            eps: 1e-5,
            rope_theta: 500_000.0,
            rope_scaling: None,
            tied: false,
            context: ORIGINAL_CONTEXT,
            bos: Some(128_000),
            eos: vec![128_001],
        };
        let long = |factor: f32| Config {
            rope_scaling: scaled(factor),
            context: 131_072,
            ..llama3.clone()
        };
        let llama2 = Config {
            ffn: 11_008,
            kv_heads: 32,
            vocab: 32_000,
            rope_theta: 10_000.0,
            context: 4096,
            bos: Some(1),
            eos: vec![2],
            ..llama3.clone()
        };
        Some(match name {
            "llama3-8b" => llama3,
            "llama3.1-8b" => long(8.0),
            "llama3.1-70b" => {
                Config { hidden: 8192, ffn: 28_672, layers: 80, heads: 64, ..long(8.0) }
            }
            "llama3.2-1b" => Config {
                hidden: 2048,
                ffn: 8192,
                layers: 16,
                head_dim: 64,
                tied: true,
                ..long(32.0)
            },
            "llama3.2-3b" => {
                Config { hidden: 3072, ffn: 8192, layers: 28, heads: 24, tied: true, ..long(32.0) }
            }
            "llama2-7b" => llama2,
            "tinyllama-1.1b" => Config {
                hidden: 2048,
                ffn: 5632,
                layers: 22,
                kv_heads: 4,
                head_dim: 64,
                context: 2048,
                ..llama2
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parameters as the models' cards have them.
    #[test]
    fn shapes_have_the_parameters_of_the_published_models() {
        let counts = [
            ("llama3-8b", 8_030_261_248),
            ("llama3.1-8b", 8_030_261_248),
            ("llama3.1-70b", 70_553_706_496),
            ("llama3.2-1b", 1_235_814_400),
            ("llama3.2-3b", 3_212_749_824),
            ("llama2-7b", 6_738_415_616),
            ("tinyllama-1.1b", 1_100_048_384_usize),
        ];
        assert_eq!(counts.map(|(name, _)| name), Config::KNOWN);
        for (name, count) in counts {
            let config = Config::known(name).expect("a known shape");
            config.check().expect("a valid shape");
            assert_eq!(config.parameters(), count, "{name}");
        }
        assert_eq!(Config::known("gpt-2"), None);
    }
}
