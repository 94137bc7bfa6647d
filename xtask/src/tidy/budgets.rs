//! A file holds one idea and a function fits a screen.

use super::{Finding, TreeFile};
use crate::rust_source;

/// Lines of a Rust file that is not a test.
const FILE_LINES: usize = 600;

/// Lines of a function that is not a test.
const FUNCTION_LINES: usize = 70;

/// Files above the budget: path and why. A file that is within it again leaves this table.
const LONG_FILES: [(&str, &str); 0] = [];

/// Functions above the budget: path, name and why. One within it again leaves this table.
const LONG_FUNCTIONS: [(&str, &str, &str); 0] = [];

/// Files and functions above their budgets, and exceptions that are none any more.
pub(super) fn check(files: &[TreeFile]) -> Vec<Finding> {
    check_with(files, &LONG_FILES, &LONG_FUNCTIONS)
}

fn check_with(
    files: &[TreeFile],
    long_files: &[(&str, &str)],
    long_functions: &[(&str, &str, &str)],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut unused_files = long_files.to_vec();
    let mut unused_functions = long_functions.to_vec();
    for file in files.iter().filter(|file| !file.is_test()) {
        let Some(source) = file.rust() else { continue };
        let path = file.path.as_str();
        let lines = source.lines().count();
        if lines > FILE_LINES && !take(&mut unused_files, |entry| entry.0 == path) {
            let message = format!("{lines} lines, budget {FILE_LINES}: split the file by idea");
            findings.push(Finding::new(path, 1, message));
        }
        for function in rust_source::functions(source) {
            let is_exception =
                |entry: &(&str, &str, &str)| entry.0 == path && entry.1 == function.name.as_str();
            if function.length > FUNCTION_LINES
                && !function.is_test
                && !take(&mut unused_functions, is_exception)
            {
                let message = format!(
                    "`{}` has {} lines, budget {FUNCTION_LINES}: give its steps names",
                    function.name, function.length
                );
                findings.push(Finding::new(path, function.line, message));
            }
        }
    }
    let stale = unused_files.iter().map(|entry| entry.0);
    for path in stale.chain(unused_functions.iter().map(|entry| entry.0)) {
        let message = "an exception in xtask/src/tidy/budgets.rs is not needed: remove it";
        findings.push(Finding::new(path, 1, message));
    }
    findings
}

/// Takes the first entry that fits out of `entries`; true if there was one.
fn take<T>(entries: &mut Vec<T>, fits: impl Fn(&T) -> bool) -> bool {
    let found = entries.iter().position(fits);
    found.map(|at| entries.remove(at)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_and_functions_are_found_unless_excepted() {
        let long = format!("fn long() {{\n{}}}\n", "x;\n".repeat(69));
        let fits = format!("fn fits() {{\n{}}}\n", "x;\n".repeat(68));
        let files = [
            TreeFile::new("a.rs", &(fits + &long)),
            TreeFile::new("b.rs", &"\n".repeat(601)),
            TreeFile::new("a/tests.rs", &long.repeat(10)),
            TreeFile::new("c.rs", &format!("#[test]\n{long}")),
        ];
        let places: Vec<(String, usize)> =
            check(&files).into_iter().map(|finding| (finding.path, finding.line)).collect();
        assert_eq!(places, [("a.rs".to_string(), 71), ("b.rs".to_string(), 1)]);
        let excepted = check_with(&files, &[("b.rs", "why")], &[("a.rs", "long", "why")]);
        assert_eq!(excepted, []);
        let stale = check_with(&files[3..], &[("b.rs", "why")], &[]);
        assert!(stale[0].message.contains("not needed"));
    }
}
