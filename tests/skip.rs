//! What a test says that cannot check everything here: every crate's tests include this file, so that
//! no skip is silent. With `SREK_DENY_SKIPS=1` a skip fails; a file named by `SREK_SKIPS_FILE` gets a
//! line for each.

use std::io::Write;

/// Reports that the running test, or a part of it, checks nothing, and why.
///
/// # Panics
/// Where skips are denied, or the file for them cannot be written.
#[track_caller]
pub(crate) fn skip(reason: &str) {
    println!("skipped: {reason}");
    if let Some(file) = std::env::var_os("SREK_SKIPS_FILE") {
        let thread = std::thread::current();
        let line = format!("{}: {reason}\n", thread.name().unwrap_or("a test's thread"));
        let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
        // In one piece: other tests write into the same file.
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.expect("SREK_SKIPS_FILE names a file that can be written");
    }
    assert!(std::env::var_os("SREK_DENY_SKIPS").is_none_or(|it| it != "1"), "skipped: {reason}");
}
