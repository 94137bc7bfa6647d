//! `cargo xtask sbom`: the bill of materials, `sbom.cdx.json`, in CycloneDX 1.5.
//!
//! Packages, checksums and the graph come from Cargo.lock; licences, and which packages only tests
//! need, from `cargo metadata`. There is no time stamp and no serial number in it, so the same lock
//! gives the same bytes and a difference in review is a difference in what we ship.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::lock::{self, Package};
use crate::workspace;

/// Where the bill lies, relative to the root.
pub(crate) const FILE: &str = "sbom.cdx.json";

/// The name of the whole in the bill; its own crates are not listed one by one.
const OURS: &str = "sre-kernel";

/// Name and version.
type Id = (String, String);

/// What `cargo metadata` adds to the lock.
#[derive(Default)]
struct Facts {
    licences: BTreeMap<Id, String>,
    /// Packages that the binaries need, tests left out.
    shipped: BTreeSet<Id>,
}

/// Writes the bill.
pub(crate) fn write(root: &Path) -> Result<()> {
    fs::write(root.join(FILE), generate(root)?).with_context(|| format!("cannot write {FILE}"))
}

/// Fails unless the bill that lies there is the one that [`write()`] would write.
pub(crate) fn check(root: &Path) -> Result<()> {
    let found = fs::read_to_string(root.join(FILE)).unwrap_or_default();
    if found != generate(root)? {
        bail!("{FILE} does not match Cargo.lock: run `cargo xtask sbom` and commit it");
    }
    Ok(())
}

fn generate(root: &Path) -> Result<String> {
    let text = fs::read_to_string(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let metadata = workspace::metadata(root, &["--locked", "--all-features"])?;
    let bill = bill(&lock::parse(&text)?, &facts(&metadata)?);
    Ok(serde_json::to_string_pretty(&bill)? + "\n")
}

fn facts(metadata: &Value) -> Result<Facts> {
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let mut facts = Facts::default();
    let mut names: BTreeMap<String, Id> = BTreeMap::new();
    for package in list(&metadata["packages"]) {
        let id = (text(&package["name"])?, text(&package["version"])?);
        names.insert(text(&package["id"])?, id.clone());
        if let Some(licence) = package["license"].as_str() {
            // A slash was the way to write "either" before SPDX expressions.
            let words: Vec<&str> = licence.split([' ', '/']).filter(|w| !w.is_empty()).collect();
            let either = if licence.contains('/') { " OR " } else { " " };
            facts.licences.insert(id, words.join(either));
        }
    }
    let mut needs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let normal = list(&node["deps"]).into_iter().filter(|dependency| {
            list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev")
        });
        let normal: Result<Vec<String>> =
            normal.map(|dependency| text(&dependency["pkg"])).collect();
        needs.insert(text(&node["id"])?, normal?);
    }
    let members: Result<Vec<String>> =
        list(&metadata["workspace_members"]).iter().map(text).collect();
    let mut open = members?;
    while let Some(id) = open.pop() {
        let name = names.get(&id).with_context(|| format!("no package for {id}"))?;
        if facts.shipped.insert(name.clone()) {
            open.extend(needs.get(&id).into_iter().flatten().cloned());
        }
    }
    Ok(facts)
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().context("cargo metadata lacks a string")?.to_string())
}

/// The bill as JSON, components in the order of their names and versions.
fn bill(packages: &[Package], facts: &Facts) -> Value {
    let is_ours = |package: &&Package| package.source.is_none();
    let mut foreign: Vec<&Package> = packages.iter().filter(|p| !is_ours(p)).collect();
    foreign.sort_by_key(|package| (&package.name, &package.version));
    let components: Vec<Value> = foreign.iter().map(|package| component(package, facts)).collect();
    let direct: BTreeSet<String> =
        packages.iter().filter(is_ours).flat_map(|package| needs(package, packages)).collect();
    let mut graph = vec![json!({ "ref": OURS, "dependsOn": direct })];
    graph.extend(foreign.iter().map(|package| {
        let needed: BTreeSet<String> = needs(package, packages).collect();
        json!({ "ref": purl(package), "dependsOn": needed })
    }));
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": OURS,
                "name": OURS,
                "version": packages.iter().find(|p| p.name == "cli").map(|p| &p.version),
                "licenses": [{ "expression": "MIT OR Apache-2.0" }],
            }
        },
        "components": components,
        "dependencies": graph,
    })
}

/// Packages of others that `package` needs directly, as references.
fn needs<'a>(package: &'a Package, all: &'a [Package]) -> impl Iterator<Item = String> + 'a {
    let needed = package.dependencies.iter().map(|&at| &all[at]);
    needed.filter(|needed| needed.source.is_some()).map(purl)
}

fn component(package: &Package, facts: &Facts) -> Value {
    let id = (package.name.clone(), package.version.clone());
    let mut component = json!({
        "type": "library",
        "bom-ref": purl(package),
        "name": package.name,
        "version": package.version,
        "purl": purl(package),
        // What only tests need is in the lock and not in the binary.
        "scope": if facts.shipped.contains(&id) { "required" } else { "excluded" },
    });
    if let Some(checksum) = &package.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(licence) = facts.licences.get(&id) {
        component["licenses"] = json!([{ "expression": licence }]);
    }
    component
}

/// The package URL, as its specification writes the type `cargo`.
fn purl(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests;
