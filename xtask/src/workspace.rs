//! What the chores look at: the files of the working tree and the packages that cargo sees.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask lies in the workspace").to_path_buf()
}

/// A file of the working tree, with its text if it is text.
pub(crate) struct TreeFile {
    /// Relative to the root, with forward slashes.
    pub(crate) path: String,
    /// Absent for a binary file.
    pub(crate) text: Option<String>,
}

impl TreeFile {
    /// A file with the given content, for tests.
    #[cfg(test)]
    pub(crate) fn new(path: &str, text: &str) -> TreeFile {
        TreeFile { path: path.into(), text: Some(text.into()) }
    }

    /// The text of a Rust file, `None` for any other.
    pub(crate) fn rust(&self) -> Option<&str> {
        self.path.ends_with(".rs").then_some(self.text.as_deref()).flatten()
    }

    /// Whether the file holds nothing but tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "benches"))
    }
}

/// Every file that git tracks or would track, in the order of its path.
pub(crate) fn files(root: &Path) -> Result<Vec<TreeFile>> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listing = run(root, OsStr::new("git"), &arguments)?;
    let mut paths: Vec<&str> = listing.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut files = Vec::new();
    for path in paths {
        let full = root.join(path);
        // A tracked file that has been deleted, or a link, has no text of its own.
        if !fs::symlink_metadata(&full).is_ok_and(|metadata| metadata.is_file()) {
            continue;
        }
        let bytes = fs::read(&full).with_context(|| format!("cannot read {path}"))?;
        files.push(TreeFile { path: path.into(), text: String::from_utf8(bytes).ok() });
    }
    Ok(files)
}

/// What `cargo metadata` says, with the given further arguments.
pub(crate) fn metadata(root: &Path, arguments: &[&str]) -> Result<Value> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = [&["metadata", "--format-version", "1"], arguments].concat();
    let output = run(root, &cargo, &arguments)?;
    serde_json::from_str(&output).context("cargo metadata did not print JSON")
}

fn run(root: &Path, program: &OsStr, arguments: &[&str]) -> Result<String> {
    let shown = || format!("{} {}", program.to_string_lossy(), arguments.join(" "));
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .output()
        .with_context(|| format!("cannot run `{}`", shown()))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", shown(), String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` printed no UTF-8", shown()))
}
