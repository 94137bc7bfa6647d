//! What a recipe's numbers must be, beyond their types.

use super::{BaseKind, HeadKind, PolicyKind, Recipe, SplitKind};

/// Most tokens of a micro-batch, most rows of logits, most documents.
const MOST: usize = 1 << 24;
/// Most steps.
const MOST_STEPS: u64 = 1 << 40;
/// Most epochs; each is packed beforehand to know the number of steps.
const MOST_EPOCHS: u64 = 10_000;

impl Recipe {
    /// Checks everything that can be checked without opening what the recipe names.
    ///
    /// # Errors
    /// The key that cannot be, what it says and what was expected.
    pub fn check(&self) -> Result<(), String> {
        self.check_model()?;
        self.check_sizes()?;
        self.check_schedule()?;
        self.check_optimizer()?;
        let share = self.data.held_out;
        within("data.held_out", share, (0.0..1.0).contains(&share), "0 to below 1")?;
        if self.data.split == SplitKind::Time && share == 0.0 {
            return Err("data.split is \"time\", but data.held_out is 0\nhint: hold out 0.1".into());
        }
        if self.evaluation.patience.is_some() && self.evaluation.every.is_none() {
            return Err("evaluation.patience is set without evaluation.every".into());
        }
        if self.evaluation.every.is_some() && share == 0.0 {
            return Err(
                "evaluation.every is set, but data.held_out is 0\nhint: hold out 0.1".into()
            );
        }
        Ok(())
    }

    fn check_model(&self) -> Result<(), String> {
        let model = &self.model;
        if model.directory.is_some() == model.new.is_some() {
            return Err("expected exactly one of model.directory and [model.new]".into());
        }
        if let Some(lora) = &self.lora {
            lora.config()?;
            no_overlap("lora.rank_pattern", lora.rank_pattern.overlap())?;
            no_overlap("lora.alpha_pattern", lora.alpha_pattern.overlap())?;
        }
        if self.trains_everything() {
            if model.base != BaseKind::AsStored || model.head != HeadKind::AsStored {
                return Err("model.base and model.head must be \"as-stored\" where every weight is trained\nhint: [lora] trains an adapter over a quantized base".into());
            }
        } else if model.new.is_some() {
            return Err("an adapter needs a model to adapt: [lora] and model.adapter cannot stand with [model.new]".into());
        }
        Ok(())
    }

    fn check_sizes(&self) -> Result<(), String> {
        let sizes = [
            ("batch.tokens", self.batch.tokens),
            ("batch.documents", self.batch.documents),
            ("batch.micro_batches", self.batch.micro_batches),
            ("checkpoint.keep", self.checkpoint.keep),
            ("memory.logits_rows", self.memory.logits_rows),
            ("memory.tile_rows", self.memory.tile_rows),
            ("data.context", self.data.context.unwrap_or(1)),
            ("memory.device_mib", self.memory.device_mib.unwrap_or(1)),
            ("memory.host_mib", self.memory.host_mib.unwrap_or(1)),
        ];
        for (key, value) in sizes {
            if !(1..=MOST).contains(&value) {
                return Err(format!("{key} is {value}, expected 1 to {MOST}"));
            }
        }
        let context = self.data.context.unwrap_or(1);
        if context > self.batch.tokens {
            return Err(format!(
                "data.context is {context}, but a micro-batch holds {} tokens\nhint: batch.tokens must be at least data.context",
                self.batch.tokens
            ));
        }
        let chosen = self.memory.policy != PolicyKind::Auto;
        if chosen && (self.memory.device_mib.is_some() || self.memory.host_mib.is_some()) {
            return Err(
                "memory.device_mib and memory.host_mib only guide memory.policy = \"auto\"".into(),
            );
        }
        if i64::try_from(self.seed).is_err() {
            return Err(format!("seed is {}, expected below 2^63", self.seed));
        }
        Ok(())
    }

    fn check_schedule(&self) -> Result<(), String> {
        let schedule = &self.schedule;
        if schedule.steps.is_some() == schedule.epochs.is_some() {
            return Err("expected exactly one of schedule.steps and schedule.epochs".into());
        }
        let counts = [
            ("schedule.steps", schedule.steps),
            ("schedule.epochs", schedule.epochs),
            ("evaluation.every", self.evaluation.every),
            ("evaluation.patience", self.evaluation.patience),
            ("checkpoint.every", self.checkpoint.every),
        ];
        for (key, value) in counts {
            let value = value.unwrap_or(1);
            let most = if key == "schedule.epochs" { MOST_EPOCHS } else { MOST_STEPS };
            if !(1..=most).contains(&value) {
                return Err(format!("{key} is {value}, expected 1 to {most}"));
            }
        }
        let (rate, ratio) = (schedule.learning_rate, schedule.minimum_ratio);
        within("schedule.learning_rate", rate, rate > 0.0 && rate < 1e3, "above 0")?;
        within("schedule.minimum_ratio", ratio, (0.0..=1.0).contains(&ratio), "0 to 1")?;
        let warmup = schedule.warmup_steps;
        if warmup > MOST_STEPS {
            return Err(format!("schedule.warmup_steps is {warmup}, expected up to {MOST_STEPS}"));
        }
        Ok(())
    }

    fn check_optimizer(&self) -> Result<(), String> {
        let it = &self.optimizer;
        let below_one = "0 to below 1";
        within("optimizer.beta1", it.beta1, (0.0..1.0).contains(&it.beta1), below_one)?;
        within("optimizer.beta2", it.beta2, (0.0..1.0).contains(&it.beta2), below_one)?;
        within("optimizer.eps", it.eps, it.eps > 0.0 && it.eps < 1.0, "above 0 and below 1")?;
        let decay = it.weight_decay;
        within("optimizer.weight_decay", decay, (0.0..1e3).contains(&decay), "0 or more")?;
        let norm = it.max_grad_norm;
        within("optimizer.max_grad_norm", norm, norm >= 0.0 && norm.is_finite(), "0 or more")?;
        if it.coupled_embedding && !self.trains_everything() {
            return Err(
                "optimizer.coupled_embedding is set, but an adapter trains no embedding".into()
            );
        }
        Ok(())
    }
}

/// Keys of TOML have no order, so no pattern can come before another one.
fn no_overlap(key: &str, overlap: Option<(&str, &str)>) -> Result<(), String> {
    let Some((short, long)) = overlap else { return Ok(()) };
    Err(format!(
        "{key} has different values for {short:?} and {long:?}, which mean a module together\nhint: \
         name modules of one kind by their whole paths"
    ))
}

fn within(key: &str, value: f64, holds: bool, expected: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{key} is {value}, expected {expected}")) }
}
