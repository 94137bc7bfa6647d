//! Commands that are interrupted while they write: nothing half-written stays, and an earlier result
//! stays whole. Training, which keeps what it has, is in `whole`.

use crate::command::{Room, SREK};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Longest time that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn an_interrupted_command_leaves_nothing_half_written() {
    let room = Room::new();
    room.must("lab incidents --count 2 --out lab");
    let before = std::fs::read(room.path("lab/records.jsonl")).expect("records");
    for signal in ["INT", "TERM"] {
        let mut child = room
            .command(SREK)
            .args(["lab", "incidents", "--count", "1000000", "--out", "lab"])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(room.path("stderr")).expect("file"))
            .spawn()
            .expect("srek starts");
        let started = Instant::now();
        while unfinished(&room).is_empty() {
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none() && started.elapsed() < PATIENCE, "nothing begun: {ended:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
        let sent = room.run(room.command("kill").args(["-s", signal, &child.id().to_string()]));
        assert_eq!(sent.code, Some(0), "{}", sent.stderr);
        assert_eq!(child.wait().expect("a child").code(), Some(130), "{signal}");
        let error = std::fs::read_to_string(room.path("stderr")).expect("stderr");
        assert!(error.ends_with("interrupted: what was not finished was not written\n"), "{error}");
        assert_eq!(unfinished(&room), [""; 0], "{signal}");
        let after = std::fs::read(room.path("lab/records.jsonl")).expect("records");
        assert!(after == before, "{signal}: the earlier result is as it was");
    }
}

/// The temporaries in a room.
fn unfinished(room: &Room) -> Vec<String> {
    let entries = std::fs::read_dir(room.path("")).expect("the room");
    let names = entries.map(|entry| entry.expect("entry").file_name().into_string().expect("name"));
    names.filter(|name| name.contains(".new-")).collect()
}
