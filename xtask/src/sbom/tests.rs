//! The bill against Cargo.lock, and its form on a small lock.

use super::*;

/// Name, version and checksum of every package of others.
type Entry = (String, String, Option<String>);

fn locked(root: &Path) -> BTreeSet<Entry> {
    let text = fs::read_to_string(root.join("Cargo.lock")).unwrap();
    let packages = lock::parse(&text).unwrap().into_iter();
    packages.filter(|p| p.source.is_some()).map(|p| (p.name, p.version, p.checksum)).collect()
}

#[test]
fn the_bill_holds_exactly_the_locked_packages() {
    let root = workspace::root();
    let text = fs::read_to_string(root.join(FILE)).unwrap();
    let bill: Value = serde_json::from_str(&text).unwrap();
    let components = bill["components"].as_array().unwrap();
    let listed: BTreeSet<Entry> = components
        .iter()
        .map(|component| {
            let string = |value: &Value| value.as_str().map(str::to_string);
            let (name, version) = (string(&component["name"]), string(&component["version"]));
            (name.unwrap(), version.unwrap(), string(&component["hashes"][0]["content"]))
        })
        .collect();
    let locked = locked(&root);
    let missing: Vec<&Entry> = locked.difference(&listed).collect();
    let surplus: Vec<&Entry> = listed.difference(&locked).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "run `cargo xtask sbom` and commit {FILE}; missing {missing:?}, surplus {surplus:?}"
    );
    assert_eq!(components.len(), locked.len(), "a component is listed twice");
    for component in components {
        assert!(component["licenses"][0].is_object(), "no licence: {}", component["purl"]);
    }
    let references: BTreeSet<&str> = bill["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["ref"].as_str().unwrap())
        .collect();
    assert_eq!(references.len(), components.len() + 1, "the graph lacks a package");
}

#[test]
fn a_small_lock_gives_its_bill() {
    let package =
        |name: &str, version: &str, source: Option<&str>, dependencies: &[usize]| Package {
            name: name.into(),
            version: version.into(),
            checksum: source.map(|_| "ab".into()),
            source: source.map(str::to_string),
            dependencies: dependencies.to_vec(),
        };
    let packages = [
        package("z", "1.0.0+spec", Some("registry"), &[2]),
        package("cli", "0.0.0", None, &[0, 3]),
        package("y", "2.0.0", Some("registry"), &[]),
        package("files", "0.0.0", None, &[2]),
    ];
    let mut facts = Facts::default();
    facts.licences.insert(("z".into(), "1.0.0+spec".into()), "MIT".into());
    facts.shipped.insert(("z".into(), "1.0.0+spec".into()));
    let bill = bill(&packages, &facts);
    let names: Vec<&Value> =
        bill["components"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
    assert_eq!(names, ["y", "z"]);
    assert_eq!(bill["components"][0]["scope"], "excluded");
    assert_eq!(bill["components"][1]["scope"], "required");
    assert_eq!(bill["components"][1]["purl"], "pkg:cargo/z@1.0.0%2Bspec");
    assert_eq!(bill["components"][1]["licenses"], json!([{ "expression": "MIT" }]));
    let graph = json!([
        { "ref": OURS, "dependsOn": ["pkg:cargo/y@2.0.0", "pkg:cargo/z@1.0.0%2Bspec"] },
        { "ref": "pkg:cargo/y@2.0.0", "dependsOn": [] },
        { "ref": "pkg:cargo/z@1.0.0%2Bspec", "dependsOn": ["pkg:cargo/y@2.0.0"] },
    ]);
    assert_eq!(bill["dependencies"], graph);
}

#[test]
fn facts_follow_normal_and_build_edges_only() {
    let dependency = |id: &str, kind: Value| json!({ "pkg": id, "dep_kinds": [{ "kind": kind }] });
    let metadata = json!({
        "packages": [
            { "id": "1", "name": "cli", "version": "0.0.0", "license": "MIT" },
            { "id": "2", "name": "a", "version": "1.0.0", "license": "MIT/Apache-2.0" },
            { "id": "3", "name": "b", "version": "1.0.0", "license": null },
        ],
        "workspace_members": ["1"],
        "resolve": { "nodes": [
            { "id": "1", "deps": [dependency("2", Value::Null), dependency("3", json!("dev"))] },
            { "id": "2", "deps": [] },
            { "id": "3", "deps": [] },
        ] },
    });
    let facts = facts(&metadata).unwrap();
    let id = |name: &str| (name.to_string(), "1.0.0".to_string());
    assert!(facts.shipped.contains(&id("a")));
    assert!(!facts.shipped.contains(&id("b")));
    assert_eq!(facts.licences[&id("a")], "MIT OR Apache-2.0");
}
