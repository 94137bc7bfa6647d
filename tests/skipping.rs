//! A skipped test is seen: counted in a file, and refused where skips are.

use crate::command::Room;
use crate::skip::skip;

#[test]
#[ignore = "only for the test below, which runs it in a process of its own"]
fn on_purpose() {
    skip("to see it");
}

#[test]
fn skips_are_counted_and_can_be_refused() {
    let room = Room::new();
    let this = std::env::current_exe().expect("this binary");
    for (deny, code) in [("0", Some(0)), ("1", Some(101))] {
        let mut command = room.command(&this.to_string_lossy());
        command.args(["--ignored", "--exact", "skipping::on_purpose"]);
        command.env("SREK_DENY_SKIPS", deny).env("SREK_SKIPS_FILE", "skips");
        let ran = room.run(&mut command);
        assert_eq!(ran.code, code, "{ran:?}");
    }
    let text = std::fs::read_to_string(room.path("skips")).expect("the file of skips");
    assert_eq!(text, "skipping::on_purpose: to see it\n".repeat(2));
}
