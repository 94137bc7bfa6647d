//! Which files the documents are in.

use super::{file_name, unreadable, wrong_file};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Directories may lie this deep in each other.
const DEPTH_LIMIT: usize = 64;

/// This many files and directories are looked at. Beyond it symbolic links most likely multiply
/// one directory.
const ENTRY_LIMIT: u64 = 10_000_000;

/// How a file holds documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The whole file is one document.
    Document,
    /// Every line is one document, in JSON.
    Lines,
}

/// A file with documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// What the data set calls it: its path from the input's own name on.
    pub name: String,
    /// How it holds documents.
    pub format: Format,
}

/// All files with documents, in the order in which they are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The files.
    pub files: Vec<Source>,
    /// Files in the directories that are neither Markdown nor plain text and are left alone.
    pub ignored_files: u64,
}

impl Sources {
    /// Finds the documents: directories are searched for `.md` and `.txt` files, and files with
    /// these endings or `.jsonl` are taken as they are. Upper and lower case are the same.
    ///
    /// # Errors
    /// An input that does not exist or has another ending, no document in any of them, or
    /// directories without end.
    pub fn find(inputs: &[PathBuf]) -> Result<Self> {
        let mut search = Search {
            found: Self { files: Vec::new(), ignored_files: 0 },
            ancestors: Vec::new(),
            entries: 0,
        };
        for input in inputs {
            let metadata = std::fs::metadata(input).map_err(unreadable(input))?;
            // An input such as `.` has no name of its own before it is resolved.
            let name = match input.file_name() {
                Some(_) => file_name(input),
                None => file_name(&input.canonicalize().map_err(unreadable(input))?),
            };
            if metadata.is_dir() {
                search.directory(input, &name)?;
                continue;
            }
            let format = match ending(input).as_deref() {
                Some("md" | "txt") => Format::Document,
                Some("jsonl") => Format::Lines,
                _ => {
                    let problem = "expected a directory, or a .md, .txt or .jsonl file";
                    return Err(wrong_file(input, problem));
                }
            };
            search.found.files.push(Source { path: input.clone(), name, format });
        }
        if search.found.files.is_empty() {
            return Err(Error::NoDocuments { inputs: listed(inputs) });
        }
        Ok(search.found)
    }
}

/// Inputs in a sentence.
pub(crate) fn listed(inputs: &[PathBuf]) -> String {
    match inputs {
        [] => "no input".to_owned(),
        _ => inputs.iter().map(|it| it.display().to_string()).collect::<Vec<_>>().join(", "),
    }
}

struct Search {
    found: Sources,
    /// The directories around the one that is being searched, with symbolic links resolved.
    ancestors: Vec<PathBuf>,
    entries: u64,
}

impl Search {
    fn directory(&mut self, path: &Path, name: &str) -> Result<()> {
        let resolved = path.canonicalize().map_err(unreadable(path))?;
        if self.ancestors.contains(&resolved) {
            return Err(wrong_file(path, "this symbolic link leads back to a directory around it"));
        }
        if self.ancestors.len() >= DEPTH_LIMIT {
            let problem = format!("directories lie more than {DEPTH_LIMIT} deep in each other");
            return Err(wrong_file(path, problem));
        }
        self.ancestors.push(resolved);
        for entry in sorted_entries(path)? {
            self.entry(&entry, &format!("{name}/{}", file_name(&entry)))?;
        }
        self.ancestors.pop();
        Ok(())
    }

    fn entry(&mut self, path: &Path, name: &str) -> Result<()> {
        self.entries += 1;
        if self.entries > ENTRY_LIMIT {
            return Err(wrong_file(path, format!("more than {ENTRY_LIMIT} files to look at")));
        }
        let is_document = matches!(ending(path).as_deref(), Some("md" | "txt"));
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.directory(path, name)?,
            Ok(_) if is_document => self.found.files.push(Source {
                path: path.to_owned(),
                name: name.to_owned(),
                format: Format::Document,
            }),
            // A file that nobody would read may as well be a link to nowhere.
            Err(error) if is_document => return Err(unreadable(path)(error)),
            Ok(_) | Err(_) => self.found.ignored_files += 1,
        }
        Ok(())
    }
}

/// The paths in a directory, in the order of their bytes.
fn sorted_entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory).map_err(unreadable(directory))?;
    let mut paths = entries
        .map(|entry| Ok(entry.map_err(unreadable(directory))?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn ending(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}
