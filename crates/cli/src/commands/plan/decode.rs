//! A plan for serving a model that need not be there: what a sequence takes, and how fast its tokens can
//! come at best.

use super::shape::{shape, spec, with_memory};
use super::{Place, precise};
use crate::args::PlanArgs;
use crate::exit::usage;
use crate::output::{Answer, bytes, pairs};
use anyhow::Result;
use engine::{EngineLayout, EngineOptions};
use model::{Checkpoint, Model, Origin, Serve, Spec, Token, Trained};
use ops::{Backend, Dry, Event};
use serde_json::json;
use std::path::Path;
use train::DeviceProfile;

/// What a token's pass costs.
#[derive(Clone, Copy, Debug, Default)]
struct Pass {
    /// Each launch takes the longer of moving its bytes and doing its arithmetic.
    seconds: f64,
    bytes: u64,
    ops: usize,
}

/// Plans for one sequence that decodes behind `depth` tokens, with an unmerged adapter.
///
/// # Errors
/// What was typed does not go together.
pub(super) fn run(model: &Path, depth: usize, args: &PlanArgs, place: Place) -> Result<Answer> {
    if args.embedding_host {
        return Err(usage(
            "--embedding-host: only training keeps the embedding on the host ([memory] embedding = \"host\")",
        ));
    }
    let place = with_memory(place, args)?;
    let config = shape(model)?;
    if depth.saturating_add(2) > config.context {
        let made = config.context - 2;
        return Err(usage(format!(
            "--decode is {depth}, the model has room for {made} tokens before the next"
        )));
    }
    let weights = Checkpoint::of_shape(&config, &model.display().to_string())?;
    let planned = spec(config, args.rank, (args.head_8bit, false))?;
    let trained = match planned.trained {
        Trained::Adapter(lora) => Trained::Nothing(Some(lora)),
        other => other,
    };
    let spec = Spec { positions: depth + 2, trained, ..planned };
    // Of the adapter only its shape is asked for.
    let origin = Origin { weights: Some(&weights), adapter: None, seed: 0 };
    let mut dry = Dry::new(place.target);
    let model_ = Model::layout(&mut dry, &spec, &origin)?;
    let weight_bytes = dry.trace().height.device;
    let options = EngineOptions::new(1, depth + 2);
    let mut layout = EngineLayout::layout(&mut dry, &model_, options)?;
    layout.rehearse(&mut dry, &model_)?;
    let size = dry.trace().peak;
    let pass = pass(&spec, &origin, depth, &place)?;
    let fits = size.device <= place.profile.usable;
    let (head, usable) = (spec.head.name(), place.profile.usable);
    let rate = 1.0 / pass.seconds;
    let text = pairs(&[
        ("model", format!("{}, NF4, adapter of rank {}, head {head}", model.display(), args.rank)),
        ("device", place.profile.name.clone()),
        ("it fits", if fits { "yes" } else { "no" }.to_owned()),
        ("peak", format!("{} of {}", bytes(size.device as u64), bytes(usable as u64))),
        ("weights", bytes(weight_bytes as u64)),
        ("depth", format!("{depth} tokens")),
        ("moved for a token", format!("{} by {} ops", bytes(pass.bytes), pass.ops)),
        ("best time", format!("{} for a token, modelled", precise(pass.seconds))),
        ("best speed", format!("{rate:.1} tokens/s, modelled")),
    ]);
    let json = json!({
        "device": place.profile.name,
        "model": model,
        "depth": depth,
        "rank": args.rank,
        "head": head,
        "fits": fits,
        "peak_bytes": size.device,
        "weight_bytes": weight_bytes,
        "pinned_bytes": size.pinned,
        "token_bytes": pass.bytes,
        "token_ops": pass.ops,
        "token_seconds_best": pass.seconds,
        "tokens_per_second_best": rate,
    });
    Ok(Answer { text, json })
}

/// The pass of the token at position `depth`.
fn pass(spec: &Spec, origin: &Origin<'_>, depth: usize, place: &Place) -> Result<Pass> {
    let mut dry = Dry::new(place.target);
    let model = Model::layout(&mut dry, spec, origin)?;
    let cache = model::Cache::layout(&mut dry, &model, 1, depth + 1);
    let mut serve = Serve::layout(&mut dry, &model, &cache, 1, 1);
    dry.record_events();
    let token = Token { id: 0, slot: 0, position: depth as u32 };
    let mut logits = vec![0.0; model.config().vocab];
    serve.run(&mut dry, &model, &cache, &[token], (&[0], &mut logits))?;
    let events = dry.trace().events.as_deref().unwrap_or_default();
    Ok(events.iter().fold(Pass::default(), |pass, event| add(pass, event, &place.profile)))
}

fn add(pass: Pass, event: &Event, profile: &DeviceProfile) -> Pass {
    let Event::Launch { cost, .. } = event else { return pass };
    let bytes = cost.read + cost.written;
    let seconds = (bytes as f64 / profile.bandwidth).max(cost.flops as f64 / profile.flops);
    Pass { seconds: pass.seconds + seconds, bytes: pass.bytes + bytes, ops: pass.ops + 1 }
}
