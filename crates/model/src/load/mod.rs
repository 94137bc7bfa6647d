//! Reading model directories: safetensors in one file or in shards with an index, or one GGUF file;
//! always mapped.

mod absent;
mod blocks;
mod encode;
mod header;
mod known;
mod read;
mod shape;
mod stored;

use crate::{Config, Error, Result, gguf};
pub(crate) use absent::check_adapter;
pub(crate) use blocks::Blocked;
pub(crate) use encode::{STRETCH, Source, stretches};
use files::Map as FileMap;
pub(crate) use known::{EMBEDDING, HEAD, NORM, in_layer};
use ops::{DType, HostBytes};
use quant::ggml::{Format, Rows};
pub(crate) use read::{Wide, widen_into};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
pub(crate) use stored::{
    ABSMAX, Double, NESTED_ABSMAX, NESTED_QUANT_MAP, Nf4, Q8, QUANT_MAP, QUANT_STATE, SCALES,
    Stored,
};

/// The largest weight file that is mapped (no limit of ours; the address space has room).
const WEIGHT_LIMIT_BYTES: u64 = 1 << 44;
/// The largest shard index that is read.
const INDEX_LIMIT_BYTES: u64 = 64 << 20;
/// The longest header of a safetensors file: a hundred times that of the largest models in 4 bits. What its
/// reader keeps is 15 times as much.
const HEADER_LIMIT_BYTES: u64 = 16 << 20;
const SAFETENSORS_FILE: &str = "model.safetensors";

/// A model or adapter directory with its weights mapped.
#[derive(Debug)]
pub struct Checkpoint {
    directory: PathBuf,
    tensors: BTreeMap<String, Entry>,
    maps: Vec<FileMap>,
    /// What a GGUF file says of its own shape.
    shape: Option<Config>,
    /// What messages call it: in the cache there is a link to the file that was named.
    gguf: Option<PathBuf>,
}

#[derive(Debug)]
struct Entry {
    map: usize,
    kind: Kind,
    shape: Vec<usize>,
    start: usize,
    len: usize,
}

/// The elements of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One after the other.
    Plain(Dtype),
    /// In blocks, or with rows in another order.
    Blocks(Format, Rows),
}

impl Kind {
    /// Its name, as its container has it.
    fn name(self) -> String {
        match self {
            Kind::Plain(dtype) => format!("{dtype:?}"),
            Kind::Blocks(format, _) => format.name().to_owned(),
        }
    }
}

/// The file of a model directory that holds everything, as llama.cpp has it.
pub const GGUF_FILE: &str = "model.gguf";

/// A tensor of a checkpoint, where it is mapped.
#[derive(Clone)]
pub struct Tensor {
    /// Element type.
    pub dtype: DType,
    /// Its bytes.
    pub bytes: HostBytes,
    /// The file, for messages.
    pub path: PathBuf,
    /// Its name, for messages.
    pub name: String,
}

impl Checkpoint {
    /// Maps `model.safetensors`, or the shards that `model.safetensors.index.json` lists, or
    /// `model.gguf` where there is neither.
    ///
    /// # Errors
    /// When no weight file is there, or one is damaged.
    pub fn open(directory: &Path) -> Result<Checkpoint> {
        Checkpoint::open_files(directory, &Checkpoint::weight_files(directory)?)
    }

    /// The names of a directory's weight files, whether they are there or not: those of its index,
    /// or the usual one where it has none.
    ///
    /// # Errors
    /// An index that is damaged, or that names files of other directories.
    pub fn weight_files(directory: &Path) -> Result<Vec<String>> {
        let index = directory.join("model.safetensors.index.json");
        if index.exists() {
            return shards(&index);
        }
        let gguf = directory.join(GGUF_FILE).exists() && !directory.join(SAFETENSORS_FILE).exists();
        Ok(vec![if gguf { GGUF_FILE } else { SAFETENSORS_FILE }.into()])
    }

    fn empty(directory: &Path) -> Checkpoint {
        let (tensors, maps) = (BTreeMap::new(), Vec::new());
        Checkpoint { directory: directory.into(), tensors, maps, shape: None, gguf: None }
    }

    /// Maps the given files of a directory.
    ///
    /// # Errors
    /// When a file is missing or damaged, or two files hold the same tensor.
    pub fn open_files(directory: &Path, names: &[String]) -> Result<Checkpoint> {
        let mut checkpoint = Checkpoint::empty(directory);
        for name in names {
            let path = directory.join(name);
            use std::io::ErrorKind::{NotADirectory, NotFound};
            // A link that leads nowhere is told by who maps it.
            if matches!(path.symlink_metadata(), Err(e) if [NotFound, NotADirectory].contains(&e.kind()))
            {
                return Err(absent::weights(directory, &path));
            }
            match name.as_str() {
                GGUF_FILE => checkpoint.add_gguf(&path)?,
                _ => checkpoint.add(&path)?,
            }
        }
        Ok(checkpoint)
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        let map = FileMap::open(path, WEIGHT_LIMIT_BYTES)?;
        let length = map.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
        if length > HEADER_LIMIT_BYTES && length < map.len() as u64 {
            let message =
                format!("its header has {length} bytes, expected at most {HEADER_LIMIT_BYTES}");
            return Err(Error::weights(path, message));
        }
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|e| {
            Error::weights(path, format!("not a whole safetensors file of {} bytes: {e}\nhint: copy or download it again", map.len()))
        })?;
        header::refuse_twice(path, &map[8..][..header])?;
        let data = header + 8;
        let found = data + metadata.data_len();
        if found != map.len() {
            return Err(Error::weights(
                path,
                format!(
                    "has {} bytes, its header describes {found}\nhint: copy or download it again",
                    map.len()
                ),
            ));
        }
        for (name, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            let entry = Entry {
                map: self.maps.len(),
                kind: Kind::Plain(info.dtype),
                shape: info.shape.clone(),
                start: data + start,
                len: end - start,
            };
            if self.tensors.insert(name.clone(), entry).is_some() {
                return Err(Error::tensor(path, &name, "is in more than one shard"));
            }
        }
        self.maps.push(map);
        Ok(())
    }

    /// Maps a GGUF file; its tensors go by the names that Hugging Face gives them.
    fn add_gguf(&mut self, path: &Path) -> Result<()> {
        let map = FileMap::open(path, WEIGHT_LIMIT_BYTES)?;
        // Links of the hub's cache are relative and have better names than what they lead to.
        let named = path.read_link().ok().filter(|it| it.is_absolute());
        let named = named.unwrap_or_else(|| path.to_owned());
        let contents = gguf::parse(&map)?;
        let config = gguf::config(&contents)?;
        for (name, info) in &contents.tensors {
            let known = gguf::named(name, config.head_dim);
            let (name, rows) = known.unwrap_or_else(|| ((*name).to_owned(), Rows::Plain));
            let kind = match (info.format, rows) {
                (Format::F32, Rows::Plain) => Kind::Plain(Dtype::F32),
                (Format::F16, Rows::Plain) => Kind::Plain(Dtype::F16),
                (Format::Bf16, Rows::Plain) => Kind::Plain(Dtype::BF16),
                (format, rows) => Kind::Blocks(format, rows),
            };
            let (map, shape) = (self.maps.len(), info.shape.clone());
            let entry = Entry { map, kind, shape, start: info.range.start, len: info.range.len() };
            if let Some(before) = self.tensors.insert(name.clone(), entry) {
                let message =
                    format!("is there under two names, one of them of {} bytes", before.len);
                return Err(Error::tensor(&named, &name, message));
            }
        }
        self.shape = Some(config);
        self.gguf = Some(named);
        self.maps.push(map);
        Ok(())
    }

    /// Where it was opened.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The weight files, mapped.
    pub fn files(&self) -> &[FileMap] {
        &self.maps
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The floating-point tensor of that name and shape.
    ///
    /// # Errors
    /// When it is missing, has another shape, or is not f32, bf16 or f16.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.refuse_quantized(name, self.entry(name)?.kind)?;
        self.part(name, shape, &[Dtype::F32, Dtype::BF16, Dtype::F16])
    }

    /// The tensor of that name, of that shape and one of these types.
    fn part(&self, name: &str, shape: &[usize], types: &[Dtype]) -> Result<Tensor> {
        let entry = self.entry(name)?;
        let (map, path) = (&self.maps[entry.map], self.file(entry));
        if entry.shape != shape {
            let message = format!("has shape {:?}, expected {shape:?}", entry.shape);
            return Err(Error::tensor(path, name, message));
        }
        let dtype = match entry.kind {
            Kind::Plain(kind) if !types.contains(&kind) => None,
            Kind::Plain(Dtype::F32) => Some(DType::F32),
            Kind::Plain(Dtype::BF16) => Some(DType::Bf16),
            Kind::Plain(Dtype::F16) => Some(DType::F16),
            Kind::Plain(Dtype::U8) => Some(DType::U8),
            Kind::Plain(Dtype::I8) => Some(DType::I8),
            _ => None,
        };
        let dtype = dtype.ok_or_else(|| {
            let message = format!("is {}, expected {}", entry.kind.name(), one_of(types));
            Error::tensor(path, name, message)
        })?;
        Ok(Tensor {
            dtype,
            bytes: HostBytes::new(Arc::new(map.clone()), entry.start, entry.len),
            path: path.into(),
            name: name.into(),
        })
    }

    /// A tensor of at most `limit` bytes in one dimension.
    fn bytes(&self, name: &str, limit: usize) -> Result<Tensor> {
        let entry = self.entry(name)?;
        if entry.len > limit {
            let message = format!("has {} bytes, expected at most {limit}", entry.len);
            return Err(Error::tensor(self.file(entry), name, message));
        }
        self.part(name, &[entry.len], &[Dtype::U8])
    }

    /// Bytes of one element.
    fn element_bytes(&self, name: &str) -> Result<usize> {
        match self.entry(name)?.kind {
            Kind::Plain(dtype) => Ok(dtype.bitsize().div_ceil(8)),
            Kind::Blocks(..) => Ok(1),
        }
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        self.tensors.get(name).ok_or_else(|| {
            let message = match (&self.gguf, gguf::theirs(name)) {
                (Some(_), Some(theirs)) => format!(
                    "is missing, in the file {theirs}\nhint: copy or download it again; of a model in several \
                     files, all must be joined"
                ),
                _ => "is missing".to_owned(),
            };
            Error::tensor(self.place(), name, message)
        })
    }

    /// What messages about all of it name.
    pub(super) fn place(&self) -> &Path {
        self.gguf.as_deref().unwrap_or(&self.directory)
    }

    /// What messages about a tensor name.
    fn file(&self, entry: &Entry) -> &Path {
        self.gguf.as_deref().unwrap_or_else(|| self.maps[entry.map].path())
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The configuration that the weight file itself has: that of a GGUF file.
    pub fn own_config(&self) -> Option<&Config> {
        self.shape.as_ref()
    }

    /// Reads the configuration beside the weights; a GGUF file alone has its own.
    ///
    /// # Errors
    /// As [`Config::read`], or one that is not that of a GGUF file.
    pub fn config(&self) -> Result<Config> {
        Ok(self.config_all()?.0)
    }

    /// As [`Checkpoint::config`], with everything that the file says.
    pub(crate) fn config_all(&self) -> Result<(Config, Map<String, Value>)> {
        let path = self.directory.join("config.json");
        let Some(shape) = &self.shape else { return Config::read_all(&self.directory) };
        if !path.exists() {
            let Value::Object(keys) = shape.to_json("bfloat16") else { unreachable!("an object") };
            return Ok((shape.clone(), keys));
        }
        let (config, keys) = Config::read_all(&self.directory)?;
        if *shape != config {
            let message =
                format!("is not what {GGUF_FILE} beside it says\nhint: give the .gguf file itself");
            return Err(Error::config(&path, message));
        }
        Ok((config, keys))
    }
}

impl Tensor {
    /// All values, widened to f32.
    ///
    /// # Errors
    /// When a value is not finite.
    pub fn to_f32(&self) -> Result<Vec<f32>> {
        let mut values = vec![0.0; self.bytes.bytes().len() / self.dtype.size()];
        widen_into(self.dtype, self.bytes.bytes(), 0, &mut values);
        self.check_finite(&values, 0)?;
        Ok(values)
    }

    /// Refuses NaN and infinity, naming the element.
    ///
    /// # Errors
    /// The index of the first such element of `values`, which start at element `first`.
    pub(crate) fn check_finite(&self, values: &[f32], first: usize) -> Result<()> {
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(()),
            Some(at) => Err(self.not_finite(first + at, values[at])),
        }
    }

    pub(crate) fn not_finite(&self, index: usize, value: f32) -> Error {
        let message = format!(
            "element {index} is {value}, expected a finite number\nhint: the file is damaged or the model diverged"
        );
        self.refuse(message)
    }

    /// An error about this tensor.
    pub(crate) fn refuse(&self, message: impl Into<String>) -> Error {
        Error::tensor(&self.path, &self.name, message)
    }
}

/// Types in words: `F32, BF16 or F16`.
fn one_of(types: &[Dtype]) -> String {
    let names: Vec<String> = types.iter().map(|it| format!("{it:?}")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// The distinct files of a shard index, sorted.
fn shards(index: &Path) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let text = files::read_to_string(index, INDEX_LIMIT_BYTES)?;
    let parsed: Index =
        serde_json::from_str(&text).map_err(|e| Error::config(index, e.to_string()))?;
    let mut names: Vec<String> = parsed.weight_map.into_values().collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Err(Error::config(index, "weight_map names no shard"));
    }
    for name in &names {
        let plain = Path::new(name).components().count() == 1 && !name.starts_with('.');
        if !plain || name.chars().any(char::is_control) {
            return Err(Error::config(index, format!("shard {name:?} is not a plain file name")));
        }
    }
    Ok(names)
}
