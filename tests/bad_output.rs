//! Outputs that cannot be: each is refused before anything is computed or replaced.

use crate::command::{Ran, Room, golden};
use crate::recipe::prepare;
use std::os::unix::fs::symlink;

#[test]
fn runs_over_their_own_inputs() {
    let room = Room::new();
    prepare(&room);
    symlink(room.path("prose"), room.path("link")).expect("link");
    let cases = [
        ("prose", "is data.directory (prose)"),
        ("link/run", "lies inside data.directory (prose)"),
        ("none/../prose", "is data.directory (prose)"),
        (".", "contains model.tokenizer (tokenizer.json)"),
    ];
    for (out, expected) in cases {
        room.srek(&format!("pretrain base.toml --out {out}")).fails(
            2,
            &format!(
                "error: {out}: the output directory {expected}\nhint: choose another --out, apart \
                 from what is read\n"
            ),
        );
    }
    room.must("pretrain base.toml --set schedule.steps=1");
    room.copy(&golden("plain").join("adapter"), "adapter");
    let cases = [
        ("--out runs/base/model", "is model.directory (runs/base/model)"),
        ("--out runs/base", "contains model.directory (runs/base/model)"),
        ("--out adapter/next --adapter-init adapter", "lies inside model.adapter (adapter)"),
        // Without --out it is runs/tune.
        ("--adapter-init runs/tune/adapter", "contains model.adapter (runs/tune/adapter)"),
    ];
    let before = std::fs::read(room.path("runs/base/resolved.toml")).expect("recipe");
    for (more, expected) in cases {
        let ran = room.srek(&format!("train tune.toml {more}"));
        assert!(ran.stderr.contains(&format!("the output directory {expected}\n")), "{ran:?}");
        assert_eq!(ran.code, Some(2));
    }
    assert_eq!(before, std::fs::read(room.path("runs/base/resolved.toml")).expect("recipe"));
    assert!(!room.path("adapter/next").exists() && !room.path("runs/tune").exists());
}

#[test]
fn files_where_directories_go() {
    let room = Room::new();
    prepare(&room);
    room.write("file", "mine");
    for out in ["file", "file/run"] {
        room.srek(&format!("pretrain base.toml --out {out}")).fails(
            2,
            r"
error: cannot create the directory file: it is a file, expected a directory or nothing
",
        );
    }
    let build = "data build --input incidents --vocab-size 300 --context 64 --out file/set";
    for command in ["demo --quick --out file", build] {
        room.srek(command).fails(
            2,
            r"
error: cannot create the directory file: it is a file, expected a directory or nothing
",
        );
    }
}

#[test]
fn pretraining_offers_no_adapter() {
    let room = Room::new();
    let ran = room.srek("pretrain base.toml --adapter-init adapter");
    assert!(ran.stderr.starts_with("error: unexpected argument '--adapter-init'"), "{ran:?}");
    assert_eq!(ran.code, Some(2));
}

#[test]
fn a_demo_does_not_replace_what_is_somebody_elses() {
    let room = Room::new();
    room.write("mine/thesis.txt", "years");
    room.srek("demo --quick --out mine").fails(
        2,
        r#"
error: mine: it holds "thesis.txt", which is no part of a demo, and would be replaced
hint: choose a directory of its own
"#,
    );
    assert!(room.path("mine/thesis.txt").exists());
}

#[test]
fn logits_without_a_place() {
    let room = Room::new();
    let (model, ids) = (golden("plain").join("model"), golden("plain").join("ids.json"));
    let ask = |out: &str| -> Ran {
        let (model, ids) = (model.display(), ids.display());
        room.srek(&format!("logits --model {model} --ids {ids} --out {out}"))
    };
    ask("none/out.safetensors").fails(
        2,
        r"
error: none/out.safetensors: there is no directory none
hint: create it first
",
    );
    ask(".").fails(
        2,
        r"
error: cannot write .: it is a directory, expected a regular file or nothing
",
    );
    // A model that is missing would be found next.
    room.srek("logits --model none --ids none --out /proc/out").fails(
        2,
        r"
error: cannot write /proc/out: no such file or directory
",
    );
}

#[test]
fn benchmarks_without_a_table() {
    let room = Room::new();
    // Each would take much longer if anything was measured first, and fail the same way.
    let refused = |file: &str, expected: &str| {
        let ran = room.srek(&format!("bench --quick --csv {file}"));
        ran.fails(2, expected);
    };
    room.write("file", "mine");
    refused(
        "file/bench.csv",
        r"
error: cannot create the directory file: it is a file, expected a directory or nothing
",
    );
    refused(
        "/proc/bench.csv",
        r"
error: cannot write /proc/bench.csv: no such file or directory
",
    );
    let heading = "date,commit,machine,command,median_tokens_per_second,spread_percent,\
                   limit_percent,bf16_percent,f32_percent,bandwidth_percent";
    room.write("other.csv", "name,value\na,1\n");
    refused(
        "other.csv",
        &format!(
            "error: other.csv:1: expected the heading {heading}\nhint: name a new file, or one \
             that `srek bench` wrote\n"
        ),
    );
    room.write("torn.csv", format!("{heading}\n2026-01-01,abc,m"));
    refused(
        "torn.csv",
        r"
error: torn.csv:2: the last line has no end
hint: name a new file, or one that `srek bench` wrote
",
    );
    assert_eq!(std::fs::read(room.path("other.csv")).expect("table"), b"name,value\na,1\n");
}
