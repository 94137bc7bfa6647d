//! The tree that we have obeys its rules.

use super::*;

#[test]
fn the_tree_is_tidy() {
    let root = workspace::root();
    if !root.join(".git").exists() {
        crate::skip::skip("not a git checkout");
        return;
    }
    let findings: Vec<String> = run(&root).unwrap().iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn packages_are_read_from_metadata() {
    let root = workspace::root();
    let packages = packages(&workspace::metadata(&root, &["--no-deps"]).unwrap(), &root).unwrap();
    let files = packages.iter().find(|package| package.name == "files").unwrap();
    assert_eq!(files.manifest, "crates/files/Cargo.toml");
    assert_eq!(files.roots, ["crates/files/src/lib.rs"]);
    assert!(files.dependencies.contains(&("memmap2".into(), Need::Build)));
    assert!(files.dependencies.contains(&("tempfile".into(), Need::Tests)));
}
