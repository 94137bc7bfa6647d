//! Measures candle's `quantized_llama` on the CPU: `with-candle prefill|decode FILE.gguf REPEATS`. Prints tokens per
//! second, the median of the repeats; the threads are rayon's.

use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Result, Tensor};
use candle_transformers::models::quantized_llama::ModelWeights;
use std::fs::File;
use std::time::Instant;

/// Tokens of a prompt.
const PROMPT: usize = 512;
/// Tokens that are decoded.
const DECODED: usize = 64;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [work, name, repeats] = &arguments[..] else {
        panic!("expected prefill or decode, a file, and a number of repeats");
    };
    let mut file = File::open(name)?;
    let content = Content::read(&mut file)?;
    let mut model = ModelWeights::from_gguf(content, &mut file, &Device::Cpu)?;
    let run = match work.as_str() {
        "prefill" => prefill,
        "decode" => decode,
        other => panic!("{other} is neither prefill nor decode"),
    };
    // The first one touches every page for the first time.
    run(&mut model)?;
    let mut rates = Vec::new();
    for _ in 0..repeats.parse().expect("a number of repeats") {
        rates.push(run(&mut model)?);
    }
    rates.sort_by(f64::total_cmp);
    println!("{{\"tokens_per_second\": {}}}", rates[rates.len() / 2]);
    Ok(())
}

fn prefill(model: &mut ModelWeights) -> Result<f64> {
    let ids: Vec<u32> = (0..PROMPT as u32).map(|at| 3 + at * 7919 % 8000).collect();
    let ids = Tensor::new(&ids[..], &Device::Cpu)?.unsqueeze(0)?;
    let start = Instant::now();
    // Position 0 makes the model forget what it read before.
    model.forward(&ids, 0)?;
    Ok(PROMPT as f64 / start.elapsed().as_secs_f64())
}

fn decode(model: &mut ModelWeights) -> Result<f64> {
    let step = |model: &mut ModelWeights, id: u32, at| -> Result<u32> {
        let ids = Tensor::new(&[id], &Device::Cpu)?.unsqueeze(0)?;
        model.forward(&ids, at)?.squeeze(0)?.argmax(0)?.to_scalar::<u32>()
    };
    let mut id = step(model, 3, 0)?;
    let start = Instant::now();
    for at in 1..=DECODED {
        id = step(model, id, at)?;
    }
    Ok(DECODED as f64 / start.elapsed().as_secs_f64())
}
