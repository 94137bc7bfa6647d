//! A plan for a model that need not be there: what tuning an adapter over 4 bits takes of a machine, and
//! how long a document can be.

use super::{Place, precise};
use crate::args::PlanArgs;
use crate::exit::usage;
use crate::models;
use crate::output::{Answer, Format, bytes, pairs};
use anyhow::{Result, anyhow};
use model::{
    Base, Checkpoint, Config, Embedding, Head, Origin, Pass, Policy, Spec, StepOptions, Trained,
};
use ops::{Numerics, Target};
use serde_json::{Value, json};
use std::path::Path;
use train::recipe::{LoraSection, MemorySection, OptimizerSection, PolicyKind};
use train::{Budget, Needs, Plan, longest};

/// Documents that the lists of a data set are counted for.
const DOCUMENTS: usize = 10_000;

/// Plans for a published shape, or for the shape of a model.
///
/// # Errors
/// What was typed does not go together; or, after the answer, that a document of any length was asked for
/// and none fits.
pub(super) fn run(model: &Path, args: &PlanArgs, place: Place, format: Format) -> Result<Answer> {
    if args.seq.is_none() && !args.max_seq {
        return Err(usage(
            "--seq <N> is missing beside --model\nhint: --seq N plans for documents of N tokens, --max-seq finds \
             the longest that fits, --decode D plans for serving",
        ));
    }
    let place = with_memory(place, args)?;
    let config = shape(model)?;
    let most = args.seq.unwrap_or(config.context);
    if !(1..=config.context).contains(&most) {
        let made = config.context;
        return Err(usage(format!("--seq is {most}, the model is made for 1 to {made} tokens")));
    }
    let subject = Subject {
        weights: Checkpoint::of_shape(&config, &model.display().to_string())?,
        spec: spec(config, args.rank, (args.head_8bit, args.embedding_host))?,
        memory: MemorySection::default(),
        optimizer: OptimizerSection::default(),
    };
    let Place { target, budget, .. } = place;
    let longest = longest(most, |seq| subject.with(seq, seq, |needs| needs.fit(target, budget)))?;
    let seq = args.seq.or(longest).unwrap_or(1);
    let blocks = subject.spec.config.layers;
    let plan = subject.with(seq, seq, |needs| match longest {
        Some(longest) if longest >= seq => needs.plan(PolicyKind::Auto, target, budget),
        _ => needs.with_policies(target, &vec![Policy::Checkpoint; blocks]),
    })?;
    // The same at half the length: what is between them is the tokens'.
    let half =
        subject.with(seq.div_ceil(2), seq, |needs| needs.with_policies(target, &plan.policies))?;
    let slope = (plan.size.device - half.size.device).div_ceil((seq / 2).max(1));
    let head = subject.spec.head;
    let planned = Planned { model, args, place, head, seq, longest, plan, slope };
    let answer = Answer { text: planned.text(), json: planned.json() };
    if args.max_seq && longest.is_none() {
        // What it would take is an answer, too.
        answer.print(format)?;
        return Err(anyhow!(
            "--max-seq: not even one token of {} fits\nhint: take a smaller model or rank, or a device with more \
             memory",
            model.display()
        ));
    }
    Ok(answer)
}

/// The longest document that an adapter of this rank over a published shape could be tuned on, if any.
///
/// # Errors
/// No such shape or rank.
pub(crate) fn longest_of(
    shape: &str,
    rank: usize,
    target: Target,
    budget: Budget,
) -> Result<Option<usize>> {
    let config = self::shape(Path::new(shape))?;
    let most = config.context;
    let subject = Subject {
        weights: Checkpoint::of_shape(&config, shape)?,
        spec: spec(config, rank, (false, false))?,
        memory: MemorySection::default(),
        optimizer: OptimizerSection::default(),
    };
    Ok(longest(most, |seq| subject.with(seq, seq, |needs| needs.fit(target, budget)))?)
}

/// The model and how it would be tuned.
struct Subject {
    weights: Checkpoint,
    spec: Spec,
    memory: MemorySection,
    optimizer: OptimizerSection,
}

impl Subject {
    /// What `with` makes of the needs of micro-batches of one document of `tokens` tokens, where there
    /// may be `positions`.
    fn with<T>(
        &self,
        tokens: usize,
        positions: usize,
        with: impl FnOnce(Needs<'_>) -> train::Result<T>,
    ) -> train::Result<T> {
        let options = StepOptions {
            tokens,
            document: tokens,
            tile: self.memory.tile_rows,
            policies: Vec::new(),
            chunk: self.memory.logits_rows,
            pass: Pass::Gradients,
        };
        with(Needs {
            spec: &Spec { positions, ..self.spec.clone() },
            origin: Origin { weights: Some(&self.weights), adapter: None, seed: 0 },
            optimizer: &self.optimizer,
            options,
            evaluates: false,
            micro_batches: 1,
            documents: DOCUMENTS,
        })
    }
}

/// The machine with the memory that the arguments give it.
pub(super) fn with_memory(mut place: Place, args: &PlanArgs) -> Result<Place> {
    let mut profile = place.profile;
    let reserved = args.reserve.unwrap_or(profile.reserved());
    if let Some(memory) = args.memory {
        profile.memory = memory;
    }
    if args.memory.is_some() || args.reserve.is_some() {
        if profile.memory <= reserved.saturating_add(profile.context) {
            let size = |it: usize| bytes(it as u64);
            return Err(usage(format!(
                "{}: the device has {}, of which others hold {} and the driver {}, so nothing is left\nhint: give \
                 --memory what the card has, as 8GiB, and --reserve what others hold of it",
                if args.memory.is_some() { "--memory" } else { "--reserve" },
                size(profile.memory),
                size(reserved),
                size(profile.context)
            )));
        }
        profile = profile.reserving(reserved);
        let limit = if place.budget.device.is_some() {
            &mut place.budget.device
        } else {
            &mut place.budget.host
        };
        *limit = Some(profile.usable);
    }
    Ok(Place { profile, ..place })
}

pub(super) fn shape(model: &Path) -> Result<Config> {
    if let Some(config) = model.to_str().and_then(Config::known) {
        return Ok(config);
    }
    let directory = models::directory(model)?;
    if directory.is_dir() {
        return Ok(Config::read(&directory)?);
    }
    let (model, known) = (model.display(), Config::KNOWN.join(", "));
    Err(usage(format!(
        "--model is {model}, expected a directory with config.json, a .gguf file, a model of the hub, or one \
         of {known}\nhint: a model of the hub is named ORG/NAME"
    )))
}

pub(super) fn spec(
    config: Config,
    rank: usize,
    (head_8bit, embedding_host): (bool, bool),
) -> Result<Spec> {
    let lora = LoraSection { rank, ..LoraSection::default() };
    let lora = lora.config().map_err(|problem| usage(format!("--rank {rank}: {problem}")))?;
    if embedding_host && config.tied {
        return Err(usage(
            "--embedding-host: the embedding of this model is its head too, and stays on the device",
        ));
    }
    let embedding = if embedding_host { Embedding::OnHost } else { Embedding::OnDevice };
    let head = if head_8bit { Head::EightBit } else { Head::AsStored };
    let (numerics, base, trained) = (Numerics::Bf16, Base::Nf4Double, Trained::Adapter(lora));
    Ok(Spec { config, numerics, base, head, embedding, trained, positions: 0 })
}

/// What was asked, and the plan for it.
struct Planned<'a> {
    model: &'a Path,
    args: &'a PlanArgs,
    place: Place,
    head: Head,
    seq: usize,
    longest: Option<usize>,
    plan: Plan,
    /// Device bytes of a token.
    slope: usize,
}

impl Planned<'_> {
    fn fits(&self) -> bool {
        self.longest.is_some_and(|longest| longest >= self.seq)
    }

    fn static_bytes(&self) -> usize {
        self.plan.size.device - self.slope * self.seq.min(self.plan.size.device / self.slope.max(1))
    }

    fn seconds(&self) -> f64 {
        self.plan.best_step_seconds(&self.place.profile)
    }

    /// Runs of blocks of one policy, lowest first.
    fn runs(&self) -> String {
        let runs = self.plan.policies.chunk_by(|one, next| one == next);
        let run = |run: &[Policy]| format!("{} {}", run.len(), name(run[0]));
        runs.map(run).collect::<Vec<_>>().join(", ")
    }

    fn text(&self) -> String {
        let Planned { plan, place, seq, args, .. } = self;
        let profile = &place.profile;
        let size = |bytes_: usize| bytes(bytes_ as u64);
        let seconds = self.seconds();
        let answer = match (self.fits(), self.longest) {
            (true, _) if args.max_seq => format!("up to {seq} tokens"),
            (true, _) => "yes".to_owned(),
            (false, Some(longest)) => format!("no: at most {longest} tokens would"),
            (false, None) => "no, not even one token: a smaller model or rank may".to_owned(),
        };
        pairs(&[
            ("model", format!("{}, NF4, adapter of rank {}", self.model.display(), args.rank)),
            ("device", profile.name.clone()),
            ("it fits", answer),
            ("memory", size(profile.memory)),
            (
                "others and context",
                format!("{} + {}", size(profile.reserved()), size(profile.context)),
            ),
            ("peak", format!("{} of {}", size(plan.size.device), size(profile.usable))),
            ("whatever the length", size(self.static_bytes())),
            ("for a token", size(self.slope)),
            ("pinned", size(plan.size.pinned)),
            ("heap", size(plan.host_bytes)),
            ("blocks", self.runs()),
            ("best step", format!("{} for {seq} tokens, modelled", precise(seconds))),
            ("best speed", format!("{:.0} tokens/s, modelled", *seq as f64 / seconds)),
        ])
    }

    fn json(&self) -> Value {
        let Planned { plan, place, seq, .. } = self;
        let profile = &place.profile;
        let seconds = self.seconds();
        let policies: Vec<&str> = plan.policies.iter().map(|policy| name(*policy)).collect();
        json!({
            "device": profile.name,
            "model": self.model,
            "seq": seq,
            "rank": self.args.rank,
            "head": self.head.name(),
            "fits": self.fits(),
            "longest": self.longest,
            "memory_bytes": profile.memory,
            "peak_bytes": plan.size.device,
            "static_bytes": self.static_bytes(),
            "bytes_per_token": self.slope,
            "context_bytes": profile.context,
            "reserved_bytes": profile.reserved(),
            "host_bytes": plan.host_bytes,
            "pinned_bytes": plan.size.pinned,
            "step_seconds_best": seconds,
            "tokens_per_second_best": *seq as f64 / seconds,
            "policy": policies,
        })
    }
}

fn name(policy: Policy) -> &'static str {
    match policy {
        Policy::Keep => "keep",
        Policy::Offload => "offload",
        Policy::Recompute => "recompute",
        Policy::Checkpoint => "checkpoint",
    }
}
