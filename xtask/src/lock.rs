//! Cargo.lock: every package of the build, with its checksum and what it depends on.

use anyhow::{Context, Result, bail};
use toml::Value;

/// A locked package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// SHA-256 of the package as downloaded; absent for the workspace's own.
    pub(crate) checksum: Option<String>,
    /// Absent for the workspace's own.
    pub(crate) source: Option<String>,
    /// Positions in the list of packages.
    pub(crate) dependencies: Vec<usize>,
}

/// Parses the text of a Cargo.lock. The order of the packages is that of the file.
pub(crate) fn parse(text: &str) -> Result<Vec<Package>> {
    let lock: toml::Table = text.parse().context("Cargo.lock is not TOML")?;
    let entries = lock.get("package").and_then(Value::as_array).context("no [[package]]")?;
    let mut packages = Vec::new();
    for entry in entries {
        let field = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_string);
        packages.push(Package {
            name: field("name").context("a package without a name")?,
            version: field("version").context("a package without a version")?,
            checksum: field("checksum"),
            source: field("source"),
            dependencies: Vec::new(),
        });
    }
    for (at, entry) in entries.iter().enumerate() {
        for dependency in entry.get("dependencies").and_then(Value::as_array).into_iter().flatten()
        {
            let text = dependency.as_str().context("a dependency that is not a string")?;
            let found = find(&packages, text)?;
            packages[at].dependencies.push(found);
        }
    }
    Ok(packages)
}

/// A dependency is `name`, `name version` or `name version (source)`, as short as is unambiguous.
fn find(packages: &[Package], dependency: &str) -> Result<usize> {
    let mut parts = dependency.split(' ');
    let name = parts.next().unwrap_or_default();
    let version = parts.next();
    let mut matching = packages
        .iter()
        .enumerate()
        .filter(|(_, package)| package.name == name)
        .filter(|(_, package)| version.is_none_or(|version| version == package.version));
    match (matching.next(), matching.next()) {
        (Some((at, _)), None) => Ok(at),
        (None, _) => bail!("Cargo.lock does not hold its own dependency `{dependency}`"),
        _ => bail!("Cargo.lock holds more than one `{dependency}`"),
    }
}

#[cfg(test)]
mod tests;
