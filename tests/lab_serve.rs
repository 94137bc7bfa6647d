//! `srek lab serve` from outside: what it prints, what it writes, and how it ends.

use crate::command::{Room, SREK};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

#[test]
fn an_incident_is_served_until_it_is_told_to_end() {
    let room = Room::new();
    let command = "lab serve --seed 1 --number 2 --at 2026-03-01T10:00:00Z --json --truth --kubeconfig \
                   deep/config --prometheus-config prometheus.yml --for 300";
    let mut child = room
        .command(SREK)
        .args(command.split_whitespace())
        .stdout(Stdio::piped())
        .spawn()
        .expect("srek starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut document = || -> Value {
        let line = lines.next().expect("a line").expect("text");
        serde_json::from_str(&line).expect("an object")
    };
    let first = document();
    let address = first["address"].as_str().expect("an address").to_owned();
    assert_eq!(
        (&first["end"], &first["namespace"]),
        (&"2026-03-01T10:00:00Z".into(), &"shop".into())
    );
    assert!(first["truth"]["fault"].is_string(), "{first}");
    for file in ["deep/config", "prometheus.yml"] {
        let text = std::fs::read_to_string(room.path(file)).expect("a file");
        assert!(text.contains(&address), "{file}: {text}");
    }
    let mut stream = TcpStream::connect(&address).expect("a connection");
    let request = "GET /api/v1/alerts HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("\"status\":\"success\""), "{answer}");
    let sent = room.run(room.command("kill").args(["-s", "INT", &child.id().to_string()]));
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    assert_eq!(document()["requests"]["prometheus"], 1);
    assert_eq!(child.wait().expect("a child").code(), Some(0), "that is how it is meant to end");
}

#[test]
fn it_ends_by_itself_and_keeps_the_truth_to_itself() {
    let room = Room::new();
    let ran = room.must("lab serve --seed 1 --number 2 --for 0");
    for expected in
        ["train-1-000002, noticed 17 min", "kubectl --server http://127.0.0.1:", "Ctrl-C"]
    {
        assert!(ran.stdout.contains(expected), "{}", ran.stdout);
    }
    assert!(!ran.stdout.contains("truth"), "{}", ran.stdout);
    let told = room.must("lab serve --seed 1 --number 2 --for 0 --truth");
    assert!(told.stdout.contains("lock-contention at thumbnail-db"), "{}", told.stdout);
}

#[test]
fn wrong_wishes_are_refused() {
    let room = Room::new();
    let table = [
        (
            "--step 7",
            "error: --step 7: 60 cannot be divided by it\nhint: 60, 30, 20, 15, 10, 5 or 1\n",
        ),
        ("--at noon", "error: --at \"noon\" is no time of RFC 3339\nhint: 2026-03-01T10:00:00Z\n"),
        (
            "--namespace Shop",
            "error: namespace \"Shop\" is no name of small letters, digits and hyphens, at most 63\n",
        ),
        ("--speed 0", "error: speed 0 is not a number above 0\n"),
    ];
    for (wish, expected) in table {
        room.srek(&format!("lab serve --for 0 {wish}")).fails(2, expected);
    }
}

/// A served incident that is read and diagnosed; where `dead` says so, Prometheus is not there.
fn diagnosed(room: &Room, address: &str, dead: bool) -> Value {
    let metrics = if dead { "127.0.0.1:9" } else { address };
    let command = format!(
        "diagnose --namespace shop --since 17m --until 2026-03-01T10:00:00Z --prometheus http://{metrics} \
         --loki http://{address} --save read.json --json"
    );
    let mut srek = room.command(SREK);
    srek.args(command.split_whitespace()).env("KUBECONFIG", room.path("config"));
    room.run(&mut srek).json()
}

#[test]
fn a_served_incident_is_diagnosed_through_all_three() {
    let room = Room::new();
    let command = "lab serve --seed 3 --number 1 --at 2026-03-01T10:00:00Z --json --truth --kubeconfig config \
                   --for 300";
    let mut child = room
        .command(SREK)
        .args(command.split_whitespace())
        .stdout(Stdio::piped())
        .spawn()
        .expect("srek starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let line = lines.next().expect("a line").expect("text");
    let served: Value = serde_json::from_str(&line).expect("an object");
    let address = served["address"].as_str().expect("an address").to_owned();

    let all = diagnosed(&room, &address, false);
    assert_eq!(all["missing"], Value::Array(Vec::new()), "{all}");
    assert_eq!(all["answer"]["service"], served["truth"]["service"], "{all}");
    assert_eq!(all["answer"]["cause"], served["truth"]["fault"], "{all}");
    assert!(all["answer"]["evidence"].as_array().is_some_and(|ids| !ids.is_empty()), "{all}");
    // What was saved gives the same answer without a cluster.
    let again = room.must("diagnose --incident read.json --json").json();
    assert_eq!(again["answer"], all["answer"]);

    // Without metrics there is an answer, and it says what it lacks.
    let part = diagnosed(&room, &address, true);
    let missing = part["missing"].as_array().expect("a list");
    assert!(missing.iter().any(|it| it["source"] == "Prometheus"), "{part}");
    assert!(part["answer"]["cause"].is_string(), "{part}");

    room.run(room.command("kill").args(["-s", "INT", &child.id().to_string()]));
    let last = lines.map_while(Result::ok).last().expect("counts");
    let counts: Value = serde_json::from_str(&last).expect("an object");
    // It was read and nothing else, and nobody asked for a Secret.
    assert_eq!(
        (&counts["requests"]["secrets"], &counts["requests"]["writes"]),
        (&0.into(), &0.into())
    );
    assert!(counts["requests"]["kubernetes"].as_u64() > Some(5), "{counts}");
    child.wait().expect("a child");
}
