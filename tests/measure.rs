//! The commands that look and measure: numbers must be there and make sense, whatever the machine.

use crate::command::Room;
use crate::recipe::prepare;

#[test]
fn doctor_finds_a_machine() {
    let room = Room::new();
    let found = room.must("doctor --threads 1 --json").json();
    assert_eq!(found["threads"].as_u64(), Some(1));
    for key in ["f32_flops", "bf16_flops", "read_bytes_per_second"] {
        assert!(found[key].as_f64() > Some(1e7), "{key} in {found}");
    }
    let int8 = &found["int8_ops_per_second"];
    assert!(int8.is_null() || int8.as_f64() > Some(1e7), "{found}");
    for key in ["memory_bytes", "disk_free_bytes", "cores"] {
        assert!(found[key].as_u64() > Some(0), "{key} in {found}");
    }
    assert!(room.must("doctor").stdout.starts_with("processor  "));
    let mut command = room.command(crate::command::SREK);
    let scalar = room.run(command.args(["doctor", "--json"]).env("SREK_TIER", "scalar"));
    let scalar = scalar.json();
    assert_eq!(scalar["tier"], "scalar");
    assert!(scalar["int8_ops_per_second"].is_null(), "there is no instruction: {scalar}");
}

#[test]
fn bench_appends_rows() {
    let room = Room::new();
    for rows in [3, 6] {
        let bench = room.must("bench --quick --repeats 1 --csv results/bench.csv --json").json();
        for row in bench["rows"].as_array().expect("rows") {
            for key in ["tokens_per_second", "share_of_limit", "share_of_bf16"] {
                assert!(row[key].as_f64() > Some(0.0), "{key} in {row}");
            }
            // More than the limit would mean that less was done than was counted.
            assert!(row["share_of_limit"].as_f64() < Some(1.2), "{row}");
        }
        let table = std::fs::read_to_string(room.path("results/bench.csv")).expect("table");
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("date,commit,machine,command,"), "{table}");
        assert_eq!(lines.len(), 1 + rows, "{table}");
        assert!(lines.iter().all(|line| line.split(',').count() == 10), "{table}");
    }
}

#[test]
fn bench_measures_the_model_that_was_named() {
    let room = Room::new();
    room.copy(&crate::command::root().join("models/sre-tiny"), "tiny");
    let rows = room.must("bench --model tiny --train 48 --depth 30 --repeats 1 --json").json();
    let rows = rows["rows"].as_array().expect("rows").clone();
    let named: Vec<_> = rows.iter().map(|row| row["command"].as_str().expect("a name")).collect();
    assert_eq!(
        named,
        ["train tiny context 48", "prefill tiny context 30", "decode tiny context 30"]
    );
    let rows = room.must("bench --model tiny --depth 30 --numerics int8 --repeats 1 --json").json();
    assert_eq!(rows["rows"][1]["command"], "decode tiny int8 context 30");
    assert!(rows["rows"][0]["share_of_limit"].as_f64() < Some(1.2), "{rows}");
    let arguments = "--depth 9 --batch 3 --numerics f32 --ops --repeats 1";
    let rows = room.must(&format!("bench --model tiny {arguments} --json")).json();
    let [read, decode] = [&rows["rows"][0], &rows["rows"][1]];
    assert_eq!(decode["command"], "decode tiny f32 batch 3 context 9");
    assert_eq!([read, decode].map(|row| row["tokens"].as_u64()), [Some(27), Some(192)]);
    assert!(decode["ops"][0]["share_of_f32"].as_f64() > Some(0.0), "{decode}");
    assert!(
        room.must(&format!("bench --model tiny {arguments}"))
            .stdout
            .contains("of f32  of bandwidth")
    );
    for (arguments, told) in [
        ("--model tiny --train 9 --numerics int8", "--depth"),
        ("--model tiny --train 9 --batch 2", "--depth"),
        ("--model tiny --depth 9 --batch 0", "--batch is 0, expected 1 to 64"),
        ("--model tiny", "--train <T> or --depth <D> is missing"),
        ("--model tiny --train 100000", "a document has 2 to 2048 tokens"),
        ("--model tiny --depth 2040", "the model is made for 2048"),
        ("--model none --train 9", "none"),
        ("--model ./none --train 9", "there is no such directory"),
        ("--model tiny --train 9 --repeats 0", "--repeats is 0, expected 1 to 100"),
    ] {
        let ran = room.srek(&format!("bench {arguments}"));
        assert!(ran.code == Some(2) && ran.stderr.contains(told), "{arguments}: {}", ran.stderr);
    }
}

#[test]
fn plans_are_for_the_machine_that_was_named() {
    let room = Room::new();
    prepare(&room);
    let dense =
        room.must("plan base.toml --set model.new.head_dim=64 --device rtx3060 --json").json();
    assert_eq!(dense["device"], "rtx3060");
    assert_eq!(dense["mapped_bytes"].as_u64(), Some(0), "a GPU maps nothing");
    let less = "--set memory.policy=recompute";
    let recomputed = room
        .must(&format!("plan base.toml --set model.new.head_dim=64 --device rtx3060 --json {less}"))
        .json();
    assert!(recomputed["device_bytes"].as_u64() < dense["device_bytes"].as_u64());
    assert_eq!(recomputed["blocks"]["recompute"].as_u64(), Some(2));
    let tight = "--set memory.device_mib=1";
    let refused =
        room.srek(&format!("plan base.toml --set model.new.head_dim=64 --device rtx3060 {tight}"));
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.starts_with("error: does not fit into 1 MiB"), "{}", refused.stderr);
}
