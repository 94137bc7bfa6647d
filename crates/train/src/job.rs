//! A recipe with everything that it names opened and checked against each other.

use crate::recipe::{LoraSection, OrderKind, SplitKind};
use crate::trainer::trained_tokens;
use crate::{Error, Provenance, Recipe, Result};
use model::llama::Origin;
use model::{Checkpoint, Config, Embedding, LoraConfig, Pass, Policy, Spec, StepOptions, Trained};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use text::dataset::Dataset;
use text::pack::{self, Order, PackOptions};
use text::tokenizer::Tokenizer;

mod identity;

pub use identity::Identity;

/// Everything that a run reads.
#[derive(Debug)]
pub struct Job {
    recipe: Recipe,
    spec: Spec,
    weights: Option<Checkpoint>,
    adapter: Option<Checkpoint>,
    tokenizer: Option<PathBuf>,
    dataset: Dataset,
    /// Taken when it is first asked for: plans need none, and it reads whole files.
    identity: OnceLock<Identity>,
    context: usize,
    /// Documents that are trained, in the order of the data set.
    documents: Vec<usize>,
    /// Their lengths.
    lengths: Vec<u32>,
    /// Micro-batches of held-out documents.
    held_out: Vec<Vec<usize>>,
    untrained: usize,
    total_steps: u64,
}

impl Job {
    /// Opens and checks everything that `recipe` names; loads no weight.
    ///
    /// # Errors
    /// What is missing, damaged, or does not fit the rest.
    pub fn open(recipe: &Recipe) -> Result<Job> {
        let mut recipe = recipe.clone();
        let wrong = |message| Error::Recipe { from: "recipe".into(), message };
        recipe.check().map_err(wrong)?;
        let dataset = Dataset::open(&recipe.data.directory)?;
        let weights = recipe.model.directory.as_deref().map(Checkpoint::open).transpose()?;
        let tokenizer = tokenizer(&recipe)?;
        let config = config(&recipe, &dataset, weights.as_ref(), tokenizer.as_deref())?;
        let adapter = open_adapter(&mut recipe)?;
        let context = check_context(&mut recipe, &dataset, &config)?;
        identity::check_tokenizer(&recipe, &dataset, tokenizer.as_deref())?;
        let trained = match &recipe.lora {
            None => Trained::Everything,
            Some(lora) => Trained::Adapter(lora.config().map_err(wrong)?),
        };
        let asked = (recipe.model.base.into(), recipe.model.head.into());
        let (base, head) = match &weights {
            Some(weights) if recipe.lora.is_some() => weights.form(&config, asked.0, asked.1)?,
            _ => asked,
        };
        let numerics = recipe.model.numerics.into();
        let embedding = recipe.memory.embedding.into();
        let stays = config.tied || recipe.lora.is_none();
        if embedding == Embedding::OnHost && stays {
            return Err(wrong(
                "memory.embedding is \"host\", where an embedding cannot be that is trained or that is the \
                 head too\nhint: embedding = \"device\""
                    .into(),
            ));
        }
        let spec = Spec { config, numerics, base, head, embedding, trained, positions: context };
        let mut job = Job {
            recipe,
            spec,
            weights,
            adapter,
            tokenizer,
            dataset,
            identity: OnceLock::new(),
            context,
            documents: Vec::new(),
            lengths: Vec::new(),
            held_out: Vec::new(),
            untrained: 0,
            total_steps: 0,
        };
        job.choose_documents()?;
        job.total_steps = job.count_steps()?;
        Ok(job)
    }

    /// Splits the documents; those without a trained token take no part.
    fn choose_documents(&mut self) -> Result<()> {
        let share = self.recipe.data.held_out;
        let (mut train, mut held_out) = if share > 0.0 {
            let split = match self.recipe.data.split {
                SplitKind::Group => self.dataset.split(share, self.recipe.seed)?,
                SplitKind::Time => self.dataset.split_by_time(share)?,
            };
            (split.train, split.held_out)
        } else {
            ((0..self.dataset.len()).collect(), Vec::new())
        };
        let before = train.len() + held_out.len();
        let teaches = |index: &usize| trained_tokens(&self.dataset.doc(*index)) > 0;
        train.retain(teaches);
        held_out.retain(teaches);
        self.untrained = before - train.len() - held_out.len();
        let length = |&index: &usize| self.dataset.doc(index).ids.len() as u32;
        self.lengths = train.iter().map(length).collect();
        self.documents = train;
        let lengths: Vec<u32> = held_out.iter().map(length).collect();
        let plan = pack::plan_epoch(&lengths, &self.pack_options(Order::File))?;
        let held_out = plan.into_iter().map(|micro| named(micro.documents, &held_out)).collect();
        self.held_out = held_out;
        Ok(())
    }

    fn pack_options(&self, order: Order) -> PackOptions {
        let batch = &self.recipe.batch;
        PackOptions { tokens: batch.tokens, documents: batch.documents, order }
    }

    /// Micro-batches of an epoch, as indices of documents.
    ///
    /// # Errors
    /// None that [`Job::open`] has not already reported.
    pub fn epoch(&self, epoch: u64) -> Result<Vec<Vec<usize>>> {
        let order = match self.recipe.data.order {
            OrderKind::File => Order::File,
            OrderKind::Shuffled => {
                Order::Shuffled { seed: self.recipe.seed, epoch, window: pack::WINDOW }
            }
        };
        let plan = pack::plan_epoch(&self.lengths, &self.pack_options(order))?;
        Ok(plan.into_iter().map(|micro| named(micro.documents, &self.documents)).collect())
    }

    /// Where a run stands after `step` steps: the epoch, and how many of its micro-batches are done.
    ///
    /// # Errors
    /// As [`Job::epoch`].
    pub fn position(&self, step: u64) -> Result<(u64, usize)> {
        let (mut left, mut epoch) = (step, 0);
        loop {
            let (len, window) = (self.epoch(epoch)?.len(), self.recipe.batch.micro_batches);
            let steps = len.div_ceil(window) as u64;
            if left <= steps {
                return Ok((epoch, len.min(left as usize * window)));
            }
            (left, epoch) = (left - steps, epoch + 1);
        }
    }

    fn count_steps(&self) -> Result<u64> {
        if let Some(steps) = self.recipe.schedule.steps {
            // An epoch is packed once here, so that what cannot be packed is refused before the run.
            self.epoch(0)?;
            return Ok(steps);
        }
        let mut steps = 0;
        for epoch in 0..self.recipe.schedule.epochs.unwrap_or(1) {
            steps += self.epoch(epoch)?.len().div_ceil(self.recipe.batch.micro_batches) as u64;
        }
        Ok(steps)
    }

    /// The recipe with every default written out.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// What model to build; a base or head that its files hold quantized goes by that name.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Where the values come from: the recipe's inputs, or for what is trained a checkpoint.
    pub fn origin<'a>(&'a self, trained: Option<&'a Checkpoint>) -> Origin<'a> {
        let seed = self.recipe.seed;
        if self.recipe.trains_everything() {
            let weights = trained.or(self.weights.as_ref());
            return Origin { weights, adapter: None, seed };
        }
        Origin { weights: self.weights.as_ref(), adapter: trained.or(self.adapter.as_ref()), seed }
    }

    /// The data set.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// What the inputs are, for telling runs apart. The first call reads the weights whole.
    ///
    /// # Errors
    /// A file that cannot be read, or an adapter to start from that was trained over another model.
    pub fn identity(&self) -> Result<&Identity> {
        if let Some(identity) = self.identity.get() {
            return Ok(identity);
        }
        let identity = Identity::new(self)?;
        Ok(self.identity.get_or_init(|| identity))
    }

    /// The model that is trained or adapted, where it is not a new one.
    pub(crate) fn weights(&self) -> Option<&Checkpoint> {
        self.weights.as_ref()
    }

    /// The adapter that training starts from.
    pub(crate) fn adapter(&self) -> Option<&Checkpoint> {
        self.adapter.as_ref()
    }

    /// What is recorded about the adapter that training starts from; none where it has no record.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub fn adapter_provenance(&self) -> Result<Option<Provenance>> {
        let directory = self.recipe.model.adapter.as_deref();
        directory.map_or(Ok(None), Provenance::read)
    }

    /// The `tokenizer.json` that goes with the result, if there is one.
    pub fn tokenizer(&self) -> Option<&Path> {
        self.tokenizer.as_deref()
    }

    /// Longest document, in tokens.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Documents that are trained.
    pub fn documents(&self) -> &[usize] {
        &self.documents
    }

    /// Micro-batches of held-out documents, in the order of the data set.
    pub fn held_out(&self) -> &[Vec<usize>] {
        &self.held_out
    }

    /// Documents that take no part because none of their tokens is trained.
    pub fn untrained(&self) -> usize {
        self.untrained
    }

    /// Steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        self.total_steps
    }

    /// The adapter that is trained.
    pub fn lora(&self) -> Option<&LoraConfig> {
        match &self.spec.trained {
            Trained::Adapter(lora) => Some(lora),
            _ => None,
        }
    }

    /// The base model's name in an adapter's configuration.
    pub(crate) fn base_name(&self) -> String {
        self.recipe.model.directory.as_deref().map_or(String::new(), base_name)
    }

    /// What a training step is laid out for.
    pub fn step_options(&self, policies: &[Policy]) -> StepOptions {
        StepOptions {
            tokens: self.recipe.batch.tokens,
            document: self.context,
            tile: self.recipe.memory.tile_rows,
            policies: policies.to_vec(),
            chunk: self.recipe.memory.logits_rows,
            pass: Pass::Gradients,
        }
    }
}

/// The documents that these positions of a list mean.
fn named(positions: Vec<usize>, documents: &[usize]) -> Vec<usize> {
    positions.into_iter().map(|position| documents[position]).collect()
}

/// The tokenizer's file: the one named, else the model directory's own where it has one.
fn tokenizer(recipe: &Recipe) -> Result<Option<PathBuf>> {
    if let Some(named) = &recipe.model.tokenizer {
        return Ok(Some(named.clone()));
    }
    let own = recipe.model.directory.as_ref().map(|it| Tokenizer::file_in(it));
    Ok(own.filter(|path| path.exists()))
}

fn config(
    recipe: &Recipe,
    dataset: &Dataset,
    weights: Option<&Checkpoint>,
    tokenizer: Option<&Path>,
) -> Result<Config> {
    let needed = dataset.vocab_size() as usize;
    let config = match (weights, &recipe.model.new) {
        (Some(weights), _) => weights.config()?,
        (None, Some(shape)) => {
            let read = tokenizer.map(Tokenizer::from_file).transpose()?;
            let marks = read.as_ref().map(|it| (it.bos(), it.eos())).unzip();
            let config = shape.config(needed, marks.0, marks.1);
            config.check().map_err(|message| Error::Recipe {
                from: "recipe".into(),
                message: format!("model.new: {message}"),
            })?;
            config
        }
        (None, None) => unreachable!("a checked recipe names a model"),
    };
    if needed > config.vocab {
        let message = format!(
            "its token ids go up to {}, the model's vocabulary has {}\nhint: build the data set with the model's tokenizer",
            needed - 1,
            config.vocab
        );
        return Err(Error::mismatch(&recipe.data.directory, message));
    }
    Ok(config)
}

/// Opens the adapter that training starts from; its configuration becomes the recipe's.
fn open_adapter(recipe: &mut Recipe) -> Result<Option<Checkpoint>> {
    let Some(directory) = recipe.model.adapter.clone() else { return Ok(None) };
    let (config, weights) = LoraConfig::read(&directory)?;
    if config.dropout != 0.0 {
        let message = format!(
            "lora_dropout is {}, which is not supported in training, expected 0\nhint: set it to 0 in adapter_config.json",
            config.dropout
        );
        return Err(Error::mismatch(&directory, message));
    }
    let own = LoraSection::from_config(&config);
    if let Some(asked) = &recipe.lora {
        let asked = asked.config().map_err(|message| Error::mismatch(&directory, message))?;
        if LoraSection::from_config(&asked) != own {
            let message = "its adapter_config.json differs from [lora]\nhint: leave [lora] out";
            return Err(Error::mismatch(&directory, message));
        }
    }
    recipe.lora = Some(own);
    Ok(Some(weights))
}

/// Resolves the longest document and refuses longer ones.
fn check_context(recipe: &mut Recipe, dataset: &Dataset, config: &Config) -> Result<usize> {
    let own = dataset.context() as usize;
    let context = recipe.data.context.unwrap_or(own.min(config.context));
    recipe.data.context = Some(context);
    let refuse = |message: String| Err(Error::mismatch(&recipe.data.directory, message));
    if context > config.context {
        return refuse(format!(
            "data.context is {context} tokens, the model is made for {}",
            config.context
        ));
    }
    if let Some(doc) = dataset.docs().find(|doc| doc.ids.len() > context) {
        return refuse(format!(
            "document {} has {} tokens, the context holds {context}\nhint: build the data set for a context of {context}, or raise data.context",
            doc.source,
            doc.ids.len()
        ));
    }
    if context > recipe.batch.tokens {
        return refuse(format!(
            "documents may have {context} tokens, a micro-batch holds {}\nhint: raise batch.tokens, or set data.context",
            recipe.batch.tokens
        ));
    }
    Ok(context)
}

/// What others know a base by: a repository of the hub by its name, a GGUF file by its own, and not by
/// where this machine keeps them.
fn base_name(directory: &Path) -> String {
    let parts: Vec<_> = directory.iter().rev().take(3).map(|it| it.to_string_lossy()).collect();
    if let [_, snapshots, repository] = parts.as_slice()
        && snapshots == "snapshots"
        && let Some((organisation, name)) =
            repository.strip_prefix("models--").and_then(|it| it.split_once("--"))
    {
        return format!("{organisation}/{name}");
    }
    let gguf = directory.join(model::load::GGUF_FILE).read_link();
    let named = gguf.ok().and_then(|it| Some(it.file_name()?.to_string_lossy().into_owned()));
    named.unwrap_or_else(|| directory.display().to_string())
}
