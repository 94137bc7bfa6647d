//! A checkpoint of a shape alone: to plan for a model that is not there.

use super::{Checkpoint, EMBEDDING, Entry, HEAD, Kind, NORM, in_layer};
use crate::lora::Projection;
use crate::{Config, Result};
use files::Map as FileMap;
use safetensors::Dtype;
use std::path::Path;

impl Checkpoint {
    /// Every tensor of a model of this shape, in bf16. All are zeros in the same place, which take no
    /// memory while nobody reads them.
    ///
    /// # Errors
    /// When the address space has no room for the largest one.
    pub fn of_shape(config: &Config, name: &str) -> Result<Checkpoint> {
        let Config { hidden, vocab, .. } = *config;
        let mut shapes = vec![(EMBEDDING.to_owned(), vec![vocab, hidden])];
        for layer in 0..config.layers {
            let norms = ["input_layernorm", "post_attention_layernorm"];
            shapes.extend(norms.map(|norm| (in_layer(layer, norm), vec![hidden])));
            let of = |p: Projection| (in_layer(layer, p.path()), p.shape(config).to_vec());
            shapes.extend(Projection::ALL.map(of));
        }
        shapes.push((NORM.to_owned(), vec![hidden]));
        if !config.tied {
            shapes.push((HEAD.to_owned(), vec![vocab, hidden]));
        }
        let bytes = |shape: &[usize]| 2 * shape.iter().product::<usize>();
        let largest = shapes.iter().map(|(_, shape)| bytes(shape)).max().unwrap_or(0);
        let mut checkpoint = Checkpoint::empty(Path::new(name));
        checkpoint.maps.push(FileMap::zeros(name, largest)?);
        let entry = |(name, shape): (String, Vec<usize>)| {
            let (kind, len) = (Kind::Plain(Dtype::BF16), bytes(&shape));
            (name, Entry { map: 0, kind, shape, start: 0, len })
        };
        checkpoint.tensors = shapes.into_iter().map(entry).collect();
        Ok(checkpoint)
    }
}
