//! `srek rank` from outside: two tables, an incident, and a directory as PetShop has it.

use crate::command::{Room, root};
use crate::skip::skip;
use std::fmt::Write;

/// A table of three services in a row; in rows from `bad` on the last of them is slow.
fn table(rows: std::ops::Range<usize>, bad: usize) -> String {
    let mut text =
        String::from("time,web_latency,web_cpu,cart_latency,cart_cpu,db_latency,db_cpu\n");
    for row in rows {
        let noise = |step: usize| ((row * step) % 7) as f64 / 100.0;
        let slow = if row >= bad { 0.4 } else { 0.0 };
        let (db, cart) = (0.05 + slow + noise(3) / 10.0, 0.1 + slow + noise(5) / 10.0);
        let cpu = 0.2 + noise(2) + slow;
        let (web, calm) = (0.2 + slow + noise(4) / 10.0, 0.3 + noise(6));
        writeln!(text, "{},{web},{calm},{cart},{calm},{db},{cpu}", row * 10).expect("a string");
    }
    text
}

#[test]
fn two_tables_are_ranked_and_a_good_time_has_no_cause() {
    let room = Room::new();
    room.write("normal.csv", table(0..60, 60));
    room.write("bad.csv", table(60..80, 60));
    room.write("calm.csv", table(60..80, 80));
    room.write("calls.csv", "caller,callee\nweb,cart\ncart,db\n");
    let json =
        room.srek("rank --normal normal.csv --anomalous bad.csv --calls calls.csv --json").json();
    assert_eq!(json["services"][0], "db", "{json}");
    assert_eq!(json["none"], false);
    let text = room.must("rank --normal normal.csv --anomalous bad.csv --calls calls.csv").stdout;
    assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("db ")), "{text}");
    let json = room.srek("rank --normal normal.csv --anomalous calm.csv --json").json();
    assert_eq!(
        (json["none"].as_bool(), json["ranking"].as_array().map(Vec::len)),
        (Some(true), Some(0))
    );
}

#[test]
fn simulated_incidents_are_ranked_with_their_evidence() {
    let room = Room::new();
    room.must("lab incidents --count 3 --seed 1 --out lab --files 3");
    let json = room.srek("rank --incident lab/incidents/00001.json --json").json();
    for ranked in json["ranking"].as_array().expect("a list") {
        assert!(ranked["evidence"][0].as_str().is_some_and(|id| id.starts_with('m')), "{ranked}");
    }
}

#[test]
fn tables_that_cannot_be_read_are_named_with_their_line() {
    let room = Room::new();
    room.write("good.csv", table(0..20, 20));
    room.write("word.csv", "time,web_cpu\n0,0.5\n10,half\n");
    room.srek("rank --normal good.csv --anomalous word.csv").fails(
        2,
        r#"
error: word.csv: line 3: "half" is no number
hint: leave a cell empty where there is no value
"#,
    );
    room.write("short.csv", "time,web_cpu\n0\n");
    room.srek("rank --normal short.csv --anomalous good.csv").fails(
        2,
        r"
error: short.csv: line 2: 1 cells, line 1 has 2
hint: every line has a cell for each column
",
    );
    room.write("when.csv", "time,web_cpu\nyesterday,1\n");
    room.srek("rank --normal when.csv --anomalous good.csv").fails(
        2,
        r#"
error: when.csv: line 2: "yesterday" is no time
hint: the first column is the time, in seconds
"#,
    );
    let ran = room.srek("rank --normal good.csv");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let ran = room.srek("rank --petshop nowhere");
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn the_scores_of_a_real_system_hold() {
    let data = root().join("../shared/data/petshop/low_traffic");
    if !data.is_dir() {
        skip("no PetShop data set beside the checkout");
        return;
    }
    let room = Room::new();
    let json = room.srek(&format!("rank --petshop {} --json", data.display())).json();
    let hits = |alarm: &str, late: u64, method: &str, what: &str| {
        let wanted = |row: &&serde_json::Value| {
            row["part"] == "all"
                && row["alarm"] == alarm
                && row["method"] == method
                && row["late_samples"] == late
        };
        let row = json["recall"].as_array().and_then(|rows| rows.iter().find(wanted));
        row.and_then(|row| row[what].as_f64()).expect("a row")
    };
    for late in 0..3 {
        assert!(hits("latency", late, "fused", "top1_hits") >= 10.0, "{json}");
        assert!(hits("latency", late, "fused", "top3_hits") >= 12.0, "{json}");
        assert!(hits("availability", late, "fused", "top1_hits") >= 8.0, "{json}");
        assert!(hits("availability", late, "fused", "top3_hits") >= 12.0, "{json}");
    }
    for row in json["specificity"].as_array().expect("a list") {
        let none = row["none"].as_f64().expect("a share");
        assert!(row["method"] != "fused" || none >= 0.9, "{row}");
    }
}

#[test]
fn too_little_to_tell_is_not_a_clean_bill() {
    let room = Room::new();
    room.write("one.csv", "time,a_latency\n1,2\n");
    let ran = room.srek("rank --normal one.csv --anomalous one.csv");
    assert!(ran.code == Some(2) && ran.stdout.is_empty(), "{}", ran.stdout);
    assert!(ran.stderr.contains("no series has enough values"), "{}", ran.stderr);
}
