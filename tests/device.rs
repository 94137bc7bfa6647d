//! Commands on a device: the emulated one, where there is a C++ compiler, and none at all.

use crate::command::{Ran, Room, SREK, root};
use std::path::PathBuf;
use std::process::Command;

/// The emulated device's library, built once for this test binary; none without a compiler.
fn emulated() -> Option<PathBuf> {
    if Command::new("g++").arg("--version").output().is_err() {
        crate::skip::skip("no C++ compiler g++ for the emulated device");
        return None;
    }
    let folder = std::env::current_exe().unwrap().with_file_name("kernels-emulated");
    let library = folder.join("fast.so");
    let build = root().join("kernels/emulated/build");
    let built = Command::new("bash").arg(build).arg("fast").arg(&library).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(library)
}

#[test]
fn training_and_generating_go_over_the_device() {
    let Some(library) = emulated() else { return };
    let room = Room::new();
    room.copy(&root().join("models/sre-tiny"), "tiny");
    room.copy(&root().join("datasets/samples"), "samples");
    room.must("data build --input samples/pairs.jsonl --tokenizer tiny/tokenizer.json --context 96 --out set");
    let recipe = "[model]\ndirectory = \"tiny\"\n[lora]\nrank = 8\n[data]\ndirectory = \"set\"\n[batch]\ntokens = 96\n\
                  [schedule]\nsteps = 1\nlearning_rate = 1e-3\n";
    room.write("t.toml", recipe);
    let on = |arguments: &str, device: bool| -> Ran {
        let mut command = room.command(SREK);
        command.args(arguments.split(' ')).env("SREK_EMULATED_DEVICE", &library);
        if device {
            command.args(["--gpu", "0"]);
        }
        let ran = room.run(&mut command);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran
    };
    let loss = |device| {
        let out = if device { "on-device" } else { "on-cpu" };
        let json = on(&format!("train t.toml --json --out {out}"), device).json();
        json["loss_first"].as_f64().unwrap_or_else(|| panic!("a loss in {json}"))
    };
    let (device, cpu) = (loss(true), loss(false));
    assert!((device - cpu).abs() < 0.01 * cpu, "{device} on the device, {cpu} on the processor");
    let generated = on("generate --model tiny --prompt pod --max-tokens 2 --json", true).json();
    assert_eq!(generated["tier"], "cuda-sm86", "{generated}");
    // The kernels would take f32 for bf16.
    let mut command = room.command(SREK);
    command.args("generate --model tiny --prompt pod --numerics f32 --gpu 0".split(' '));
    let ran = room.run(command.env("SREK_EMULATED_DEVICE", &library));
    assert!(ran.code != Some(0) && ran.stderr.contains("no kernels for f32"), "{}", ran.stderr);
}

#[test]
fn a_device_that_is_not_there_is_an_error() {
    let room = Room::new();
    let ran = room.run(
        room.command(SREK)
            .args(["generate", "--prompt", "x", "--gpu", "0"])
            .env("SREK_EMULATED_DEVICE", "none.so"),
    );
    assert!(ran.code == Some(2) && ran.stderr.contains("error: --gpu: none.so"), "{}", ran.stderr);
}
