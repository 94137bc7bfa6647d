//! Arguments of `srek bench`.

use super::{HeadName, NumericsName};
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// The documents of a training step: `512`, or `8x256`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Documents {
    /// How many there are.
    pub(crate) count: usize,
    /// Tokens of each.
    pub(crate) tokens: usize,
}

impl std::str::FromStr for Documents {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (count, tokens) = text.split_once('x').unwrap_or(("1", text));
        match (count.parse(), tokens.parse()) {
            (Ok(count @ 1..=4096), Ok(tokens)) => Ok(Self { count, tokens }),
            _ => {
                Err("expected a number of tokens such as 512, or 8x256 for eight documents of 256"
                    .into())
            }
        }
    }
}

/// `srek bench`
#[derive(Debug, ClapArgs)]
pub(crate) struct BenchArgs {
    /// Append the results to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Measure this often and take the median
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) repeats: usize,
    /// Only the small model and the short context
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure this model instead: a directory, a .gguf file, or a name on the hub
    #[arg(long, value_name = "MODEL", conflicts_with = "quick")]
    pub(crate) model: Option<PathBuf>,
    /// With --model: serve with this PEFT directory
    #[arg(long, value_name = "DIR", requires = "model")]
    pub(crate) adapter: Option<PathBuf>,
    /// With --model: tokens of training steps, each one document; 8x256 is eight documents of 256
    #[arg(long, value_name = "[N]xT,...", value_delimiter = ',', requires = "model")]
    pub(crate) train: Vec<Documents>,
    /// With --model: how many tokens are in the cache when decoding begins
    #[arg(long, value_name = "D,...", value_delimiter = ',', requires = "model")]
    pub(crate) depth: Vec<usize>,
    /// With --depth: how many prompts are read, and sequences decoded, at once
    #[arg(long, value_name = "B", default_value_t = 1, requires = "depth")]
    pub(crate) batch: usize,
    /// Print what every op took of the measured time, beside its bytes and operations
    #[arg(long)]
    pub(crate) ops: bool,
    /// With --model: R of the adapter that is trained
    #[arg(long, value_name = "R", default_value_t = 16, requires = "model")]
    pub(crate) rank: usize,
    /// With --model: how the output head is held
    #[arg(long, value_enum, requires = "model")]
    pub(crate) head: Option<HeadName>,
    /// With --depth: how products treat their operands [default: bf16]
    #[arg(long, value_enum, requires = "depth")]
    pub(crate) numerics: Option<NumericsName>,
    /// With --train: device memory that the plan may take, in MiB [default: what is free]
    #[arg(long, value_name = "MIB", requires = "train")]
    pub(crate) device_mib: Option<usize>,
}

impl BenchArgs {
    /// How products treat their operands.
    pub(crate) fn numerics(&self) -> ops::Numerics {
        self.numerics.map_or(ops::Numerics::Bf16, NumericsName::numerics)
    }
}

#[cfg(test)]
mod tests {
    use super::Documents;

    #[test]
    fn documents_are_tokens_or_so_many_of_them() {
        let of = |text: &str| text.parse::<Documents>();
        assert_eq!(of("512"), Ok(Documents { count: 1, tokens: 512 }));
        assert_eq!(of("8x256"), Ok(Documents { count: 8, tokens: 256 }));
        for wrong in ["", "x", "8x", "x256", "0x256", "8x256x2", "-1"] {
            assert!(of(wrong).unwrap_err().contains("8x256"), "{wrong}");
        }
    }
}
