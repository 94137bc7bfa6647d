//! `srek diagnose` of a namespace, from outside: what is said where it cannot be asked so, and where
//! nobody answers. What sources answer is tested in `cluster`.

use crate::command::{Room, SREK};
use std::process::{Command, Output};

/// Runs `srek diagnose` with these words in an environment without a cluster.
fn diagnose(room: &Room, words: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(SREK);
    command.arg("diagnose").args(words.split(' ').filter(|it| !it.is_empty()));
    command.env("KUBECONFIG", room.path("none")).env_remove("KUBERNETES_SERVICE_HOST");
    command.current_dir(room.path("")).envs(variables.iter().copied());
    command.output().expect("it runs")
}

#[test]
fn what_cannot_be_asked_is_a_wrong_usage() {
    let room = Room::new();
    for (words, expected) in [
        ("", "hint: name a file with --incident FILE, or a namespace"),
        ("--incident a.json --namespace shop", "cannot be used with"),
        ("--since 1h", "--namespace <NAME>"),
        ("--namespace shop --since 1w", "expected a number and one of s, m, h, d"),
        ("--namespace Shop", "hint: at most 63 of a-z, 0-9 and -"),
        ("--namespace shop --loki http://u:sesame@host", "--loki: an address has a user"),
        ("--namespace shop --loki host:3100", "hint: expected one such as http://host:9090"),
        ("--namespace shop --loki http://logs.example.org", "credentials would travel in the open"),
    ] {
        let ran = diagnose(&room, words, &[("LOKI_TOKEN", "sesame")]);
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{words}: {said}");
        assert!(said.contains(expected) && !said.contains("sesame"), "{words}: {said}");
    }
}

#[test]
fn where_nobody_answers_every_source_says_why() {
    let room = Room::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = listener.local_addr().expect("its address");
    drop(listener);
    let words = format!(
        "--namespace shop --prometheus http://{closed} --loki http://{closed} --save a.json"
    );
    let ran = diagnose(&room, &words, &[("PROMETHEUS_TOKEN", "sesame")]);
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{said}");
    for expected in [
        "error: nothing could be read\n  Kubernetes: the cluster: there is neither a kubeconfig",
        &format!("\n  Prometheus: metrics: {closed}: nobody listens there\n"),
        &format!(": {closed}: nobody listens there\nhint: name at least one source"),
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    assert!(!said.contains("sesame") && !room.path("a.json").exists());
}
