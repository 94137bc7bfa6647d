//! A filled model on this machine's cores with the buffers of an engine, exactly as large as planned.

use crate::machine::Machine;
use crate::weights::Source;
use anyhow::Result;
use engine::{Engine, EngineLayout, EngineOptions};
use model::Model;
use ops::{Any, Backend, Dry, Size};
use std::collections::BTreeMap;
use text::tokenizer::Tokenizer;

/// What every op took.
pub(crate) type Times = BTreeMap<&'static str, ops::Spent>;

/// A model that can be asked.
pub(crate) struct Serving {
    backend: Any,
    model: Model,
    layout: EngineLayout,
    /// The arenas, and the weights used where they are mapped.
    pub(crate) size: Size,
    /// The heap that the engine takes beside them.
    pub(crate) host_bytes: usize,
}

impl Serving {
    /// Plans, lays out and fills.
    ///
    /// # Errors
    /// Options without meaning for the model, or weights that are damaged.
    pub(crate) fn new(machine: &Machine, source: &Source, options: EngineOptions) -> Result<Self> {
        let spec = source.spec(options.context);
        let mut dry = Dry::new(machine.target());
        let planned = Model::layout(&mut dry, &spec, &source.origin())?;
        EngineLayout::layout(&mut dry, &planned, options)?.rehearse(&mut dry, &planned)?;
        let size = dry.trace().peak;

        let mut backend = crate::machine::backend(machine, size)?;
        let mut model = Model::layout(&mut backend, &spec, &source.origin())?;
        let layout = EngineLayout::layout(&mut backend, &model, options)?;
        model.fill(&mut backend, &source.origin())?;
        let host_bytes = layout.host_bytes(&model);
        Ok(Serving { backend, model, layout, size, host_bytes })
    }

    /// An engine over it, with nothing to do yet.
    pub(crate) fn engine<'a>(&'a mut self, tokenizer: Option<&'a Tokenizer>) -> Engine<'a, Any> {
        Engine::new(&mut self.backend, &self.model, tokenizer, self.layout.clone())
    }
}
