//! A recipe's file with what was typed beside it.

use crate::exit::usage;
use crate::models;
use anyhow::Result;
use std::path::{Path, PathBuf};
use toml::{Table, Value};
use train::Recipe;

/// Largest recipe that is read.
const LIMIT_BYTES: u64 = 1 << 20;

/// Reads a recipe and replaces settings by `KEY=VALUE` pairs, whose keys have their sections before
/// a dot and whose values are written as in TOML; a value that is none is a string. An adapter to
/// start from stands for the recipe's own. A model of the hub becomes the directory that it lies in.
///
/// # Errors
/// A file that is no recipe, a pair without `=`, a setting that is none, or a model that cannot be
/// had.
pub(crate) fn read(path: &Path, overrides: &[String], adapter: Option<&Path>) -> Result<Recipe> {
    let mut recipe = typed_over(path, overrides, adapter)?;
    if let Some(directory) = &mut recipe.model.directory {
        *directory = models::directory(directory)?;
    }
    Ok(recipe)
}

/// The recipe as it was written and typed.
fn typed_over(path: &Path, overrides: &[String], adapter: Option<&Path>) -> Result<Recipe> {
    if overrides.is_empty() && adapter.is_none() {
        return Ok(Recipe::read(path)?);
    }
    let text = files::read_to_string(path, LIMIT_BYTES)?;
    let mut table: Table = match toml::from_str(&text) {
        Ok(table) => table,
        // Reading it as a recipe says where it is wrong.
        Err(_) => return Ok(Recipe::parse(&text, &path.display().to_string())?),
    };
    for pair in overrides {
        set(&mut table, pair)?;
    }
    if let Some(adapter) = adapter {
        let Some(name) = adapter.to_str() else {
            return Err(usage(format!("--adapter-init {}: not UTF-8", adapter.display())));
        };
        put(&mut table, "model.adapter", Value::String(name.to_owned()))?;
    }
    // Line numbers would be those of a text that nobody has seen.
    let changed = toml::to_string(&table)?;
    let typed = if adapter.is_some() { "--adapter-init" } else { "--set" };
    let from = format!("{} with {typed}", path.display());
    Recipe::parse(&changed, &from).map_err(|error| match error {
        train::Error::Recipe { message, .. } => {
            anyhow::Error::new(train::Error::Recipe { from, message })
        }
        other => other.into(),
    })
}

fn set(table: &mut Table, pair: &str) -> Result<()> {
    let Some((key, value)) = pair.split_once('=') else {
        return Err(usage(format!("--set {pair:?} has no =, expected KEY=VALUE")));
    };
    put(table, key.trim(), typed(value.trim()))
}

/// Puts a value where a dotted key says.
fn put(table: &mut Table, key: &str, value: Value) -> Result<()> {
    let mut names: Vec<&str> = key.split('.').collect();
    let last = names.pop().unwrap_or_default();
    let mut section = table;
    for name in names {
        let entry = section.entry(name).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = entry else {
            return Err(usage(format!("{key}: {name} is a value, not a section")));
        };
        section = inner;
    }
    section.insert(last.to_owned(), value);
    Ok(())
}

/// The value that TOML would read, else the text itself.
fn typed(value: &str) -> Value {
    let line = format!("it = {value}");
    let parsed: Option<Table> = toml::from_str(&line).ok();
    let own = parsed.filter(|table| table.len() == 1).and_then(|mut table| table.remove("it"));
    own.unwrap_or_else(|| Value::String(value.to_owned()))
}

/// Where a run goes if nobody says: `runs/` and the name of the recipe's file.
pub(crate) fn default_out(recipe: &Path) -> PathBuf {
    Path::new("runs").join(recipe.file_stem().unwrap_or(recipe.as_os_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_reach_into_sections_and_keep_types() {
        let mut table: Table = toml::from_str("seed = 1\n[schedule]\nsteps = 5\n").unwrap();
        for pair in
            ["seed=7", "schedule.steps=9", "data.directory=a/b", "lora.targets=[\"q_proj\"]"]
        {
            set(&mut table, pair).unwrap();
        }
        assert_eq!(table["seed"].as_integer(), Some(7));
        assert_eq!(table["schedule"]["steps"].as_integer(), Some(9));
        assert_eq!(table["data"]["directory"].as_str(), Some("a/b"));
        assert_eq!(table["lora"]["targets"][0].as_str(), Some("q_proj"));
        assert!(set(&mut table, "seed").is_err() && set(&mut table, "seed.x=1").is_err());
    }
}
