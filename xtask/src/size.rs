//! `cargo xtask size`: how large the crates are, and how long their files and functions.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use crate::rust_source;
use crate::workspace::{self, TreeFile};

#[derive(Default)]
struct Sizes {
    code_lines: usize,
    test_lines: usize,
    file_lengths: Vec<usize>,
    function_lengths: Vec<usize>,
}

impl Sizes {
    fn add(&mut self, file: &TreeFile, source: &str) {
        let lines = source.lines().count();
        if file.is_test() {
            self.test_lines += lines;
            return;
        }
        self.code_lines += lines;
        self.file_lengths.push(lines);
        self.function_lengths.extend(rust_source::functions(source).iter().map(|f| f.length));
    }

    fn append(&mut self, other: &Sizes) {
        self.code_lines += other.code_lines;
        self.test_lines += other.test_lines;
        self.file_lengths.extend(&other.file_lengths);
        self.function_lengths.extend(&other.function_lengths);
    }

    fn print(mut self, name: &str) {
        let files = spread(&mut self.file_lengths);
        let functions = spread(&mut self.function_lengths);
        println!("{name:<8} {:>7} {:>7}   {files}   {functions}", self.code_lines, self.test_lines);
    }
}

/// Prints one line per crate and one for all.
pub(crate) fn print(root: &Path) -> Result<()> {
    let mut crates: BTreeMap<String, Sizes> = BTreeMap::new();
    let mut all = Sizes::default();
    for file in workspace::files(root)? {
        if let (Some(source), Some(name)) = (file.rust(), crate_of(&file.path)) {
            crates.entry(name.to_string()).or_default().add(&file, source);
        }
    }
    println!("             lines   lines   lines of a file      lines of a function");
    println!("crate         code   tests   median  p90  max     median  p90  max");
    for (name, sizes) in crates {
        all.append(&sizes);
        sizes.print(&name);
    }
    all.print("all");
    Ok(())
}

/// The crate that a path belongs to.
fn crate_of(path: &str) -> Option<&str> {
    let mut parts = path.split('/');
    match parts.next()? {
        "crates" => parts.next(),
        folder @ ("xtask" | "tests" | "benches") => Some(folder),
        _ => None,
    }
}

/// Median, 90th percentile and maximum, each the value of an element (nearest rank).
fn spread(lengths: &mut [usize]) -> String {
    lengths.sort_unstable();
    let rank = |percent: usize| {
        let at = (lengths.len() * percent).div_ceil(100).saturating_sub(1);
        lengths.get(at).copied().unwrap_or(0)
    };
    format!("{:>6} {:>4} {:>4}", rank(50), rank(90), rank(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_of_real_elements() {
        assert_eq!(spread(&mut [9, 1, 2, 3, 4, 5, 6, 7, 8, 10]), "     5    9   10");
        assert_eq!(spread(&mut [4]), "     4    4    4");
        assert_eq!(spread(&mut []), "     0    0    0");
    }

    #[test]
    fn paths_belong_to_their_crates() {
        assert_eq!(crate_of("crates/ops/src/lib.rs"), Some("ops"));
        assert_eq!(crate_of("xtask/src/main.rs"), Some("xtask"));
        assert_eq!(crate_of("docs/a.rs"), None);
    }
}
