//! The demo, its short form: what it leaves and what it says, on a machine without a network.

use crate::command::{Room, SREK};
use crate::skip::skip;
use std::process::Command;

/// `srek` with these arguments, in a network namespace without any interface where the machine lets us.
fn without_network(room: &Room, arguments: &str) -> Command {
    let apart = ["--map-root-user", "--net"];
    let can = Command::new("unshare").args(apart).arg("true").output();
    let mut command = if can.is_ok_and(|ran| ran.status.success()) {
        let mut command = room.command("unshare");
        command.args(apart).arg(SREK);
        command
    } else {
        skip("no network namespaces: the demo runs with the network there");
        room.command(SREK)
    };
    command.args(arguments.split_whitespace());
    command
}

#[test]
fn the_demo_leaves_its_files_and_ends_with_its_numbers() {
    let room = Room::new();
    let ran = room.run(&mut without_network(&room, "demo --quick --out demo --json"));
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let said = ran.json();
    for method in ["base", "tuned", "dummy", "knn"] {
        for share in ["cause_top1", "service_top1"] {
            let value = said[method][share].as_f64().unwrap_or(-1.0);
            assert!((0.0..=1.0).contains(&value), "{method} {share}: {said}");
        }
    }
    for number in ["seconds", "peak_rss_bytes"] {
        assert!(said[number].as_f64().is_some_and(|value| value > 0.0), "{number}: {said}");
    }
    for file in [
        "report.html",
        "demo.json",
        "diagnosis/answer.json",
        "diagnosis/post-mortem.md",
        "diagnosis/runbook.md",
        "tuning/run/log.jsonl",
        "tuning/run/resolved.toml",
        "tuning/run/adapter/adapter_config.json",
        "tuning/run/adapter/adapter_model.safetensors",
    ] {
        let size = std::fs::metadata(room.path("demo").join(file)).map_or(0, |it| it.len());
        assert!(size > 0, "{file} is missing or empty");
    }
    let report = std::fs::read_to_string(room.path("demo/report.html")).expect("a report");
    assert!(
        report.contains("<svg") && !report.contains("http"),
        "a report that needs nothing else"
    );
    // Whoever waits sees where it is.
    assert!(ran.stderr.contains("4 of 4"), "{}", ran.stderr);
}
