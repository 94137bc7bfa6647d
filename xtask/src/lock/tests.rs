//! Both spellings of a dependency, and files that do not fit together.

use super::*;

const LOCK: &str = r#"
version = 4
[[package]]
name = "a"
version = "1.0.0"
source = "registry+x"
checksum = "aa"
[[package]]
name = "a"
version = "2.0.0"
source = "registry+x"
checksum = "bb"
[[package]]
name = "ours"
version = "0.0.0"
dependencies = ["a 2.0.0", "b"]
[[package]]
name = "b"
version = "0.1.0"
"#;

#[test]
fn dependencies_are_resolved_by_name_and_version() {
    let packages = parse(LOCK).unwrap();
    assert_eq!(packages[2].dependencies, [1, 3]);
    assert_eq!(packages[1].checksum.as_deref(), Some("bb"));
    assert_eq!(packages[2].source, None);
}

#[test]
fn a_lock_that_does_not_fit_together_is_refused() {
    let ambiguous = LOCK.replace("a 2.0.0", "a");
    assert!(parse(&ambiguous).unwrap_err().to_string().contains("more than one `a`"));
    let missing = LOCK.replace("a 2.0.0", "c");
    assert!(parse(&missing).unwrap_err().to_string().contains("its own dependency `c`"));
    assert!(parse("not toml at all").is_err());
}
