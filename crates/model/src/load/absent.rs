//! What is said where something else was named than a model, or than an adapter.

use super::{GGUF_FILE, SAFETENSORS_FILE};
use crate::{Error, Result, gguf};
use files::Map;
use std::path::Path;

const CONFIG: &str = "config.json";
const ADAPTER_CONFIG: &str = "adapter_config.json";
const ADAPTER_FILE: &str = "adapter_model.safetensors";
const ADAPTER_TORCH: &str = "adapter_model.bin";
const MODELS: &str = "name a directory with config.json and model.safetensors, a .gguf file, or a model of the \
                      hub as ORG/NAME";
const ADAPTERS: &str =
    "name the directory that `srek train` or PEFT wrote, such as runs/NAME/adapter";
/// The largest GGUF file that is looked into.
const LIMIT_BYTES: u64 = 1 << 44;

/// Why the weights in `directory` are not at `path`.
pub(super) fn weights(directory: &Path, path: &Path) -> Error {
    let (has, name) = (|name: &str| directory.join(name).exists(), path.file_name());
    if !directory.is_dir() {
        let is = if directory.exists() { "is no directory" } else { "there is no such directory" };
        return Error::weights(directory, format!("{is}\nhint: {MODELS}"));
    }
    if name.is_none_or(|name| name != SAFETENSORS_FILE && name != GGUF_FILE) {
        let torch = name.is_some_and(|name| name == ADAPTER_FILE) && has(ADAPTER_TORCH);
        if torch {
            let hint = format!("{ADAPTER_TORCH} is not read: save the adapter as safetensors");
            return Error::weights(path, format!("there is no such file\nhint: {hint}"));
        }
        let hint = "copy or download it again";
        let message = format!("there is no such file, which belongs to the model\nhint: {hint}");
        return Error::weights(path, message);
    }
    if has(ADAPTER_CONFIG) && !has(CONFIG) {
        let message = "is an adapter, no model\nhint: name the model that it was trained over, and this as the \
                       adapter";
        return Error::weights(directory, message);
    }
    let hint = match other(directory) {
        Some(name) if name.ends_with(".gguf") => {
            format!("name the file itself: {}", directory.join(name).display())
        }
        Some(name) => format!("{name} is not read: save the model as safetensors"),
        None => format!("copy or download it: {SAFETENSORS_FILE}, or its parts and their index"),
    };
    Error::weights(path, format!("there is no such file\nhint: {hint}"))
}

/// The first file of weights in another form.
fn other(directory: &Path) -> Option<String> {
    let names = std::fs::read_dir(directory).ok()?.flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let ends = |name: &String| [".gguf", ".bin", ".pth", ".pt"].iter().any(|it| name.ends_with(it));
    names.filter(ends).min()
}

/// Refuses what is no directory of an adapter.
///
/// # Errors
/// What it is, and what to name instead.
pub(crate) fn check_adapter(directory: &Path) -> Result<()> {
    let has = |name: &str| directory.join(name).exists();
    let refuse = |message: String| Err(Error::config(directory, message));
    if directory.is_file() {
        return refuse(match Map::open(directory, LIMIT_BYTES) {
            Ok(map) if map.starts_with(&gguf::MAGIC) => format!(
                "is {} in GGUF, which llama.cpp and Ollama load, expected the directory of a PEFT adapter\nhint: \
                 name the directory that it was made of, or the adapter as PEFT has it",
                if gguf::is_adapter(&map) { "a LoRA" } else { "a model" }
            ),
            _ => format!("is a file, expected the directory of an adapter\nhint: {ADAPTERS}"),
        });
    }
    if !directory.is_dir() {
        return refuse(format!("there is no such directory\nhint: {ADAPTERS}"));
    }
    match (has(ADAPTER_CONFIG), has(CONFIG)) {
        (true, _) => Ok(()),
        (false, true) => refuse(format!("is a model, expected an adapter\nhint: {ADAPTERS}")),
        (false, false) => refuse(format!("has no {ADAPTER_CONFIG}\nhint: {ADAPTERS}")),
    }
}
