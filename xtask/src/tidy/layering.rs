//! The arrows between crates, the reasons for dependencies, and where `unsafe` may be.

use super::{Finding, Need, Package, TreeFile};

/// What each crate may use, lowest first; the table of ARCHITECTURE.md. A crate stands below
/// everything that names it.
const ALLOWED: [(&str, &[&str]); 14] = [
    ("files", &[]),
    ("quant", &[]),
    ("text", &["files"]),
    ("ops", &["quant"]),
    ("model", &["ops", "quant", "files"]),
    ("train", &["model", "ops", "text", "files"]),
    ("engine", &["model", "ops", "text"]),
    ("policy", &[]),
    ("sre", &["text", "policy"]),
    ("lab", &["sre", "text"]),
    ("cluster", &["sre", "lab", "files"]),
    ("eval", &["lab", "sre", "text"]),
    (
        "cli",
        &[
            "files", "quant", "text", "ops", "model", "train", "engine", "policy", "sre", "lab",
            "cluster", "eval",
        ],
    ),
    ("xtask", &[]),
];

/// The crates in which `unsafe` may be written.
const UNSAFE: [&str; 3] = ["files", "quant", "ops"];

fn allowed(name: &str) -> Option<&'static [&'static str]> {
    ALLOWED.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, below)| *below)
}

/// Whether `name` reaches `other` by allowed arrows.
fn reaches(name: &str, other: &str) -> bool {
    let below = allowed(name).unwrap_or(&[]);
    below.iter().any(|&next| next == other || reaches(next, other))
}

/// Arrows that the table does not have. Tests may use anything below, also indirectly below.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let Some(below) = allowed(&package.name) else {
            let message = format!(
                "crate `{}` is not in the layering table: give it a place in ARCHITECTURE.md and in \
                 xtask/src/tidy/layering.rs",
                package.name
            );
            findings.push(Finding::new(&package.manifest, 1, message));
            continue;
        };
        let ours = package.dependencies.iter().filter(|(name, _)| allowed(name).is_some());
        for (name, need) in ours {
            let fits = match need {
                Need::Build => below.contains(&name.as_str()),
                Need::Tests => reaches(&package.name, name),
            };
            if !fits {
                let message = format!(
                    "`{}` may not depend on `{name}`: move what it needs down, or hand it in from \
                     above",
                    package.name
                );
                findings.push(Finding::new(&package.manifest, 1, message));
            }
        }
    }
    findings
}

/// Dependencies of the workspace without a comment that says why they are there.
pub(super) fn check_reasons(manifest: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut inside = false;
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
        }
        let Some((name, value)) = line.split_once('=') else { continue };
        let ours = value.contains("path =");
        let reason = value.rsplit_once('#').map(|(_, reason)| reason.trim());
        if inside && !line.starts_with('#') && !ours && reason.is_none_or(str::is_empty) {
            let message = format!(
                "dependency `{}` has no reason: add `# what it does for us` to its line",
                name.trim()
            );
            findings.push(Finding::new("Cargo.toml", index + 1, message));
        }
    }
    findings
}

/// Crate roots that should forbid `unsafe` and do not.
pub(super) fn check_unsafe(packages: &[Package], files: &[TreeFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages.iter().filter(|package| !UNSAFE.contains(&package.name.as_str())) {
        for root in &package.roots {
            let text = files.iter().find(|file| file.path == *root).and_then(TreeFile::rust);
            let forbids = |line: &str| line.trim() == "#![forbid(unsafe_code)]";
            if !text.unwrap_or_default().lines().any(forbids) {
                let message = "add `#![forbid(unsafe_code)]`: only files, quant and ops may have \
                               unsafe code";
                findings.push(Finding::new(root, 1, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Need)]) -> Package {
        Package {
            name: name.into(),
            manifest: format!("crates/{name}/Cargo.toml"),
            dependencies: dependencies.iter().map(|(n, need)| (n.to_string(), *need)).collect(),
            roots: vec![format!("crates/{name}/src/lib.rs")],
        }
    }

    #[test]
    fn the_table_only_points_down() {
        for (at, (name, below)) in ALLOWED.iter().enumerate() {
            for other in *below {
                let place = ALLOWED.iter().position(|(crate_name, _)| crate_name == other);
                assert!(place.is_some_and(|place| place < at), "{name} -> {other}");
            }
        }
    }

    #[test]
    fn arrows_up_and_sideways_are_found() {
        let table = [
            ("text", "files", Need::Build, true),
            ("text", "serde", Need::Build, true),
            ("files", "text", Need::Build, false),
            ("files", "text", Need::Tests, false),
            ("train", "engine", Need::Build, false),
            ("train", "quant", Need::Build, false),
            ("train", "quant", Need::Tests, true),
            ("engine", "train", Need::Tests, false),
            ("xtask", "files", Need::Build, false),
        ];
        for (from, to, need, fits) in table {
            let findings = check(&[package(from, &[(to, need)])]);
            assert_eq!(findings.is_empty(), fits, "{from} -> {to} {need:?}: {findings:?}");
        }
        assert!(check(&[package("new", &[])])[0].message.contains("layering table"));
    }

    #[test]
    fn a_dependency_needs_a_reason() {
        let manifest = "[workspace.dependencies]\nfiles = { path = \"crates/files\" }\n\
                        a = \"1\" # why\nb = \"1\"\nc = \"1\" #\n# d = \"1\"\n[profile.dev]\ne = 1\n";
        let lines: Vec<usize> =
            check_reasons(manifest).iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [4, 5]);
    }

    #[test]
    fn crate_roots_forbid_unsafe() {
        let packages = [package("text", &[]), package("ops", &[])];
        let root = |text: &str| [TreeFile::new("crates/text/src/lib.rs", text)];
        assert_eq!(check_unsafe(&packages, &root("//! #![forbid(unsafe_code)]\n")).len(), 1);
        assert!(check_unsafe(&packages, &root("//! x\n#![forbid(unsafe_code)]\n")).is_empty());
    }
}
