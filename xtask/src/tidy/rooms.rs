//! One op, one room: what stands together in `crates/ops/src/<op>/`, and its twin in `kernels/`.

use std::collections::BTreeSet;

use super::{Finding, TreeFile};

/// Directories of the ops crate that are no op rooms.
const NOT_ROOMS: [&str; 2] = ["backend", "test_bench"];

/// Files of `kernels/` that belong to no single op.
const SHARED_KERNELS: [&str; 1] = ["common"];

/// The line by which a room says that its op runs on the host only.
const HOST: &str = "//! host";

/// Rooms without one of their files, and kernels without a room.
pub(super) fn check(files: &[TreeFile]) -> Vec<Finding> {
    let folder = "crates/ops/src/";
    let text = |path: &str| files.iter().find(|file| file.path == path)?.text.as_deref();
    let rooms: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.path.strip_prefix(folder)?.split_once('/'))
        .map(|(room, _)| room)
        .filter(|room| !NOT_ROOMS.contains(room))
        .collect();
    let kernels: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.path.strip_prefix("kernels/")?.strip_suffix(".cu"))
        .filter(|name| !name.contains('/') && !SHARED_KERNELS.contains(name))
        .collect();
    let mut findings = Vec::new();
    for room in &rooms {
        for (name, what) in [
            ("mod.rs", "the contract, with forward, backward and cost"),
            ("cpu.rs", "the CPU version"),
            ("tests.rs", "the table of tests"),
        ] {
            let path = format!("{folder}{room}/{name}");
            if text(&path).is_none() {
                findings.push(Finding::new(&path, 1, format!("the op room lacks {what}: add it")));
            }
        }
        let contract = format!("{folder}{room}/mod.rs");
        let is_host = text(&contract).is_some_and(|text| text.lines().any(|line| line == HOST));
        // Until the first kernel exists there is no GPU path to be incomplete.
        if !kernels.is_empty() && !is_host && !kernels.contains(room) {
            let message =
                format!("the op has no kernels/{room}.cu: add it, or mark the room `{HOST}`");
            findings.push(Finding::new(&contract, 1, message));
        }
    }
    for kernel in kernels.difference(&rooms) {
        let message =
            format!("the kernel has no room: add {folder}{kernel}/, or name it after its op");
        findings.push(Finding::new(&format!("kernels/{kernel}.cu"), 1, message));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[(&str, &str)]) -> Vec<TreeFile> {
        paths.iter().map(|(path, text)| TreeFile::new(path, text)).collect()
    }

    #[test]
    fn a_room_without_tests_is_found() {
        let files = tree(&[
            ("crates/ops/src/lib.rs", ""),
            ("crates/ops/src/backend/cpu.rs", ""),
            ("crates/ops/src/rope/mod.rs", ""),
            ("crates/ops/src/rope/cpu.rs", ""),
        ]);
        let findings = check(&files);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].path, "crates/ops/src/rope/tests.rs");
    }

    #[test]
    fn twins_are_asked_for_once_kernels_exist() {
        let mut files = tree(&[
            ("crates/ops/src/rope/mod.rs", ""),
            ("crates/ops/src/rope/cpu.rs", ""),
            ("crates/ops/src/rope/tests.rs", ""),
            ("crates/ops/src/adamw/mod.rs", "//! The optimizer.\n//! host\n"),
            ("crates/ops/src/adamw/cpu.rs", ""),
            ("crates/ops/src/adamw/tests.rs", ""),
            ("kernels/common.cu", ""),
        ]);
        assert!(check(&files).is_empty());
        files.push(TreeFile::new("kernels/swiglu.cu", ""));
        let paths: Vec<String> = check(&files).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["crates/ops/src/rope/mod.rs", "kernels/swiglu.cu"]);
    }
}
