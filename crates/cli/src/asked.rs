//! A model that is asked about incidents: weights, tokenizer and chat template together.

use crate::machine::Machine;
use crate::serving::Serving;
use crate::templates;
use crate::weights::Source;
use anyhow::Result;
use engine::EngineOptions;
use sre::analyst::Analyst;
use sre::cause::Cause;
use sre::fusion::Weights;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use text::chat::Template;
use text::grammar::Vocabulary;
use text::llm::{Llm, LlmError, Prompt};
use text::tokenizer::Tokenizer;

/// Longest sequence that is served: a few incidents with their answers.
const CONTEXT: usize = 2048;
/// Bytes of keys and values up to which further slots are laid out, in which values are scored
/// together; and most slots.
const CACHE_BYTES: usize = 128 << 20;
const MOST_SLOTS: usize = 32;

/// How a model's words become prompts.
pub(crate) struct Voice {
    /// Of the model's directory.
    pub(crate) tokenizer: Tokenizer,
    template: Template,
    vocabulary: Arc<Vocabulary>,
}

impl Voice {
    /// Reads tokenizer and template of a model's directory.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub(crate) fn of_model(directory: &Path) -> Result<Voice> {
        let tokenizer = Tokenizer::from_file(&Tokenizer::file_in(directory))?;
        let template = templates::of_model(directory, &tokenizer)?;
        let vocabulary = Vocabulary::of(&tokenizer)?;
        Ok(Voice { tokenizer, template, vocabulary })
    }

    /// How conversations are written for it.
    pub(crate) fn template(&self) -> &Template {
        &self.template
    }

    /// A question as the model reads it, after questions with answers that show how.
    pub(crate) fn prompt(
        &self,
        before: &[(String, String)],
        text: &str,
    ) -> Result<Prompt, LlmError> {
        templates::framed(&self.template, &self.tokenizer, before, text)
    }

    /// Tokens of a text.
    pub(crate) fn tokens(&self, text: &str) -> text::Result<usize> {
        Ok(self.tokenizer.encode(text)?.len())
    }
}

/// How an analyst works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner<'a> {
    /// The causes on offer.
    pub(crate) causes: &'a [Cause],
    /// How much ranking, signs and model say; without it the model is alone.
    pub(crate) weights: Option<Weights>,
    /// Below this probability the answer is "unknown".
    pub(crate) threshold: f64,
    /// The time that writing an answer may take.
    pub(crate) deadline: Option<Duration>,
    /// Whether messages of the cluster are quoted in the prompt.
    pub(crate) excerpts: bool,
    /// Questions with right answers that come before each question.
    pub(crate) examples: &'a [(String, String)],
}

impl<'a> Manner<'a> {
    /// Nothing shown, nothing withheld.
    pub(crate) fn plain(causes: &'a [Cause]) -> Manner<'a> {
        Manner {
            causes,
            weights: None,
            threshold: 0.0,
            deadline: None,
            excerpts: false,
            examples: &[],
        }
    }
}

/// A filled model with its words.
pub(crate) struct Asked {
    serving: Serving,
    /// Its words.
    pub(crate) voice: Voice,
    /// Its weights, without an adapter's.
    pub(crate) parameters: usize,
}

impl Asked {
    /// Loads the model of `directory`, which `source` has opened.
    ///
    /// # Errors
    /// Weights or a tokenizer that are damaged or do not fit each other.
    pub(crate) fn open(machine: &Machine, source: &Source, directory: &Path) -> Result<Asked> {
        let voice = Voice::of_model(directory)?;
        source.check_tokenizer(&voice.tokenizer, &Tokenizer::file_in(directory))?;
        let context = source.config.context.min(CONTEXT);
        let config = &source.config;
        let token = 2 * config.layers * config.kv_heads * config.head_dim * size_of::<f32>();
        let slots = (CACHE_BYTES / (token * context)).clamp(1, MOST_SLOTS);
        let serving = Serving::new(machine, source, EngineOptions::new(slots, context))?;
        Ok(Asked { serving, voice, parameters: config.parameters() })
    }

    /// Lets somebody ask it about incidents.
    pub(crate) fn analyst<T>(
        &mut self,
        manner: &Manner<'_>,
        ask: impl FnOnce(&mut Analyst<'_>) -> T,
    ) -> T {
        let voice = &self.voice;
        let mut engine = self.serving.engine(Some(&voice.tokenizer));
        let frame = |text: &str| voice.prompt(manner.examples, text);
        ask(&mut Analyst {
            llm: &mut engine,
            vocabulary: &voice.vocabulary,
            frame: &frame,
            causes: manner.causes,
            weights: manner.weights,
            threshold: manner.threshold,
            deadline: manner.deadline,
        })
    }

    /// Lets somebody ask it anything.
    pub(crate) fn llm<T>(&mut self, ask: impl FnOnce(&mut dyn Llm, &Voice) -> T) -> T {
        let mut engine = self.serving.engine(Some(&self.voice.tokenizer));
        ask(&mut engine, &self.voice)
    }
}
