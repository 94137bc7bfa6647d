//! `cargo xtask tidy`: what must stay true of the tree and a compiler does not check. Each rule has
//! its file; each finding names a place and what to do there.

mod budgets;
mod layering;
mod rooms;
mod words;

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::workspace::{self, TreeFile};

/// A place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    /// What is wrong and what to do.
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: path.into(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// All findings in the working tree at `root`.
pub(crate) fn run(root: &Path) -> Result<Vec<Finding>> {
    let files = workspace::files(root)?;
    let metadata = workspace::metadata(root, &["--no-deps"])?;
    let packages = packages(&metadata, root)?;
    let manifest = files.iter().find(|file| file.path == "Cargo.toml");
    let manifest = manifest.and_then(|file| file.text.as_deref()).context("no Cargo.toml")?;
    Ok([
        layering::check(&packages),
        layering::check_reasons(manifest),
        layering::check_unsafe(&packages, &files),
        rooms::check(&files),
        budgets::check(&files),
        words::check(&files),
    ]
    .concat())
}

/// A package of the workspace.
#[derive(Debug, Clone)]
struct Package {
    name: String,
    /// Path of its Cargo.toml, relative to the root.
    manifest: String,
    /// Names of the packages that it needs, and whether only its tests do.
    dependencies: Vec<(String, Need)>,
    /// Roots of its libraries and binaries, relative to the root.
    roots: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Build,
    Tests,
}

fn packages(metadata: &Value, root: &Path) -> Result<Vec<Package>> {
    let relative = |value: &Value| -> Result<String> {
        let path = Path::new(value.as_str().context("a path is missing")?);
        let path = path.strip_prefix(root).context("a package outside the workspace")?;
        Ok(path.to_string_lossy().into_owned())
    };
    let mut packages = Vec::new();
    for package in metadata["packages"].as_array().context("no packages")? {
        let mut dependencies = Vec::new();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let need = if dependency["kind"] == "dev" { Need::Tests } else { Need::Build };
            dependencies.push((dependency["name"].as_str().context("no name")?.into(), need));
        }
        let mut roots = Vec::new();
        for target in package["targets"].as_array().into_iter().flatten() {
            let kinds = target["kind"].as_array().into_iter().flatten();
            if kinds.into_iter().any(|kind| kind == "lib" || kind == "bin") {
                roots.push(relative(&target["src_path"])?);
            }
        }
        let name = package["name"].as_str().context("no name")?.into();
        let manifest = relative(&package["manifest_path"])?;
        packages.push(Package { name, manifest, dependencies, roots });
    }
    Ok(packages)
}

#[cfg(test)]
mod tests;
