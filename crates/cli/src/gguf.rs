//! A GGUF file as a model: what other programs keep in files of a model's directory is read off its keys
//! once, into a directory in the user's cache that links to the file.

use crate::{called, embedded};
use anyhow::{Context, Result};
use files::{Map, Operation};
use model::Checkpoint;
use model::gguf::{self, Contents, Key, Value};
use model::load::GGUF_FILE;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use text::tokenizer::GgufKeys;

/// The largest file that is mapped.
const LIMIT_BYTES: u64 = 1 << 44;
/// Raised whenever what is read off the keys changes.
const VERSION: &str = "3";
/// Hexadecimal digits of the hash that the directory's name has.
const DIGITS: usize = 12;
/// Where the hashes of the others stand.
pub(crate) const SUMS: &str = "sums";
const SUMS_LIMIT_BYTES: u64 = 1 << 10;
/// What is read off the keys.
const UNPACKED: [&str; 4] = ["config.json", NOTICE, "tokenizer.json", "tokenizer_config.json"];
/// The file with what the keys say of the licence, named to go with the weights as any licence does.
const NOTICE: &str = "NOTICE-gguf.txt";
/// Those keys, and the most that is kept of one.
const LICENCE_KEYS: [&str; 3] = ["general.license", "general.license.name", "general.license.link"];
const LICENCE_BYTES: usize = 64 << 10;
/// Bytes of the file's name that the directory's has.
const STEM_BYTES: usize = 100;

/// Whether a GGUF file was named: by its ending, or, as Ollama keeps them without one, by its first bytes.
pub(crate) fn is_file(named: &Path) -> bool {
    let ending = named.extension().is_some_and(|it| it.eq_ignore_ascii_case("gguf"));
    let begins = || {
        let mut magic = [0; 4];
        let read = std::fs::File::open(named).and_then(|mut file| file.read_exact(&mut magic));
        read.is_ok() && magic == *b"GGUF"
    };
    !named.is_dir() && (ending || begins())
}

/// The GGUF file of a directory in which there is nothing else that makes a model.
pub(crate) fn alone_in(directory: &Path) -> Option<PathBuf> {
    let has = |name: &str| directory.join(name).exists();
    let alone = has(GGUF_FILE) && !has("config.json");
    alone.then(|| directory.join(GGUF_FILE))
}

/// The tokenizer that a file holds: that of a model where a GGUF file was named.
///
/// # Errors
/// As [`directory`].
pub(crate) fn tokenizer(file: &Path) -> Result<PathBuf> {
    if is_file(file) { Ok(directory(file)?.join("tokenizer.json")) } else { Ok(file.to_owned()) }
}

/// The directory of the model in a file.
///
/// # Errors
/// A file that is damaged, holds something else than a Llama or a tokenizer that is not read, or no
/// place for a cache.
pub(crate) fn directory(file: &Path) -> Result<PathBuf> {
    let map = Map::open(file, LIMIT_BYTES)?;
    let contents = gguf::parse(&map)?;
    let config = gguf::config(&contents)?;
    let place = file.canonicalize().map_err(files::Error::io(Operation::Read, file))?;
    let mut hash = files::Sha256::new();
    for part in [VERSION.as_bytes(), place.as_os_str().as_encoded_bytes(), &map[..contents.head]] {
        hash.update(files::sha256(part).as_bytes());
    }
    hash.update(&(map.len() as u64).to_le_bytes());
    let stem = place.file_stem().unwrap_or_default().to_string_lossy();
    let stem = &stem[..stem.floor_char_boundary(STEM_BYTES)];
    let models = embedded::models()?;
    let directory = models.join(format!("{stem}-{}", &hash.finish()[..DIGITS]));
    if is_whole(&directory, &place) {
        called::remember(&directory, file);
        return Ok(directory);
    }
    files::create_dir_all(&models).map_err(embedded::unwritable)?;
    sweep(&models, &place);
    let written = files::write_dir_atomic(&directory, |inside| -> Result<()> {
        let json = |name: &str, value: &serde_json::Value| {
            let text = serde_json::to_vec_pretty(value).expect("plain values");
            files::write_atomic(inside.join(name), |out| out.write_all(&text))
        };
        if let Some(keys) = keys(&contents)? {
            let tokenizer = keys.tokenizer_json().with_context(|| file.display().to_string())?;
            files::write_atomic(inside.join("tokenizer.json"), |out| out.write_all(&tokenizer))?;
            let template = contents.text("tokenizer.chat_template")?;
            json("tokenizer_config.json", &keys.tokenizer_config(template))?;
        }
        json("config.json", &config.to_json("bfloat16"))?;
        if let Some(notice) = notice(&contents) {
            files::write_atomic(inside.join(NOTICE), |out| out.write_all(notice.as_bytes()))?;
        }
        let link = inside.join(GGUF_FILE);
        std::os::unix::fs::symlink(&place, &link)
            .map_err(files::Error::io(Operation::Write, &link))?;
        let sums = sums(inside);
        files::write_atomic(inside.join(SUMS), |out| out.write_all(sums.as_bytes()))?;
        Ok(())
    });
    // Another process may have been faster.
    if !is_whole(&directory, &place) {
        written.map_err(|error| match error.downcast() {
            Ok(error) => embedded::unwritable(error),
            Err(other) => other,
        })?;
    }
    // Only now: what the cache lacks is not the file's fault.
    called::remember(&directory, file);
    Ok(directory)
}

/// Whether everything is as it was written, and the link leads to the file.
fn is_whole(directory: &Path, place: &Path) -> bool {
    let said = files::read_to_string(directory.join(SUMS), SUMS_LIMIT_BYTES);
    let leads = directory.join(GGUF_FILE).canonicalize().is_ok_and(|it| it == place);
    leads && said.is_ok_and(|said| said == sums(directory))
}

/// The hashes of what is read off the keys.
fn sums(directory: &Path) -> String {
    let hash = |name: &&str| files::sha256_file(directory.join(name)).unwrap_or_default();
    UNPACKED.iter().map(hash).collect()
}

/// Removes what was unpacked of what this file held before, and of files that are gone. Nobody needs it:
/// it is made again where it is wanted.
fn sweep(models: &Path, place: &Path) {
    for entry in std::fs::read_dir(models).into_iter().flatten().flatten() {
        let (directory, link) = (entry.path(), entry.path().join(GGUF_FILE));
        // Only what this module makes has both.
        let ours = link.is_symlink() && directory.join(SUMS).is_file();
        let gone = |to: &Path| to == place || !to.exists();
        if ours && std::fs::read_link(&link).is_ok_and(|to| gone(&to)) {
            // What cannot be removed is in nobody's way.
            let _ = std::fs::remove_dir_all(&directory);
        }
    }
}

/// What the keys say of the licence, in their order; what is no text says nothing.
fn licence_keys<'a>(contents: &Contents<'a>) -> Vec<(&'static str, &'a str)> {
    let text = |key: &'static str| match contents.keys.get(key) {
        Some(Value::Text(text)) => Some((key, &text[..text.floor_char_boundary(LICENCE_BYTES)])),
        _ => None,
    };
    LICENCE_KEYS.into_iter().filter_map(text).collect()
}

/// The same as a file beside the weights; none where they say nothing.
fn notice(contents: &Contents<'_>) -> Option<String> {
    let lines: Vec<String> =
        licence_keys(contents).iter().map(|(key, text)| format!("{key}: {text}\n")).collect();
    let first = "These weights come from a GGUF file, whose keys say of its licence:\n\n";
    (!lines.is_empty()).then(|| first.to_owned() + &lines.concat())
}

/// The keys about the licence of the GGUF file in a model's directory, for one that is made of it.
///
/// # Errors
/// A file that is damaged.
pub(crate) fn licence(directory: &Path) -> Result<Vec<(String, Key)>> {
    let Some(file) = in_model(directory) else { return Ok(Vec::new()) };
    let map = Map::open(file, LIMIT_BYTES)?;
    let contents = gguf::parse(&map)?;
    let keys = licence_keys(&contents).into_iter();
    Ok(keys.map(|(key, text)| (key.to_owned(), Key::Text(text.to_owned()))).collect())
}

/// The GGUF file whose weights a directory is used for.
fn in_model(directory: &Path) -> Option<PathBuf> {
    let names = Checkpoint::weight_files(directory).ok()?;
    names.iter().any(|name| name == GGUF_FILE).then(|| directory.join(GGUF_FILE))
}

/// Whether a file is an adapter in GGUF.
pub(crate) fn is_adapter(file: &Path) -> bool {
    Map::open(file, LIMIT_BYTES).is_ok_and(|map| gguf::is_adapter(&map))
}

/// What the keys say of the tokenizer, where there is one.
fn keys(contents: &Contents<'_>) -> Result<Option<GgufKeys>> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let Some(model) = contents.text(&key("model"))?.filter(|it| *it != "no_vocab") else {
        return Ok(None);
    };
    let owned = |texts: Option<Vec<&str>>| {
        texts.unwrap_or_default().into_iter().map(str::to_owned).collect()
    };
    let id = |name: &str| -> Result<Option<u32>> {
        let id = contents.integer(&key(name))?;
        Ok(id.map(|id| u32::try_from(id).unwrap_or(u32::MAX)))
    };
    Ok(Some(GgufKeys {
        model: model.to_owned(),
        pre: contents.text(&key("pre"))?.map(str::to_owned),
        tokens: owned(contents.texts(&key("tokens"))?),
        token_type: contents.integers(&key("token_type"))?.unwrap_or_default(),
        merges: owned(contents.texts(&key("merges"))?),
        scores: contents.floats(&key("scores"))?.unwrap_or_default(),
        bos_token_id: id("bos_token_id")?,
        eos_token_id: id("eos_token_id")?,
        unknown_token_id: id("unknown_token_id")?,
        add_bos_token: contents.truth(&key("add_bos_token"))?,
        add_space_prefix: contents.truth(&key("add_space_prefix"))?,
    }))
}
