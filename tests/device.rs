//! Commands on a device: the emulated one, where there is a C++ compiler, and none at all.

use crate::command::{Ran, Room, SREK, root};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The emulated device's library, built once for all tests; none without a compiler.
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

/// A random model of two blocks in 4 bits, documents, and a recipe over both.
const RECIPE: &str = "[model]\ndirectory = \"base\"\n[lora]\nrank = 8\n[data]\ndirectory = \"set\"\n\
     [batch]\ntokens = 64\n[schedule]\nsteps = 20\nlearning_rate = 3e-3\nwarmup_steps = 2\n\
     [checkpoint]\nevery = 5\n";
const NEW: &str = "[model]\ntokenizer = \"tiny/tokenizer.json\"\n[model.new]\nhidden = 128\nffn = 192\nlayers = 2\n\
     heads = 2\nkv_heads = 1\ncontext = 256\ntied = true\n[data]\ndirectory = \"set\"\n[batch]\ntokens = 64\n\
     [schedule]\nsteps = 2\nlearning_rate = 1e-3\n";

fn prepared() -> Room {
    prepared_with("layers = 2")
}

fn prepared_with(layers: &str) -> Room {
    let room = Room::new();
    room.copy(&root().join("models/sre-tiny"), "tiny");
    room.copy(&root().join("datasets/samples"), "samples");
    room.must("data build --input samples/pairs.jsonl --tokenizer tiny/tokenizer.json --context 64 --long split --out set");
    room.write("new.toml", NEW.replace("layers = 2", layers));
    room.must("pretrain new.toml --out new");
    room.must("quantize --model new/model --out base");
    room.write("tune.toml", RECIPE);
    room
}

/// Runs `srek` with these arguments and variables on the device.
fn on(library: &Path, room: &Room, arguments: &str, variables: &[(&str, &str)]) -> Ran {
    let mut command = room.command(SREK);
    command.args(arguments.split(' ')).args(["--gpu", "0"]);
    command.env("SREK_EMULATED_DEVICE", library).envs(variables.iter().copied());
    room.run(&mut command)
}

/// The losses of a run's steps.
fn losses(room: &Room, run: &str) -> Vec<f64> {
    let log = std::fs::read_to_string(room.path(run).join("log.jsonl")).expect("a log");
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.filter_map(|line| line["loss"].as_f64()).collect()
}

/// The bytes of a file of a run.
fn bytes(room: &Room, path: &str) -> Vec<u8> {
    std::fs::read(room.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn twenty_steps_and_a_generation_go_over_the_device() {
    let Some(library) = emulated() else { return };
    let room = prepared();
    let ran = on(&library, &room, "train tune.toml --json --out device", &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    room.must("train tune.toml --json --out cpu");
    let (device, cpu) = (losses(&room, "device"), losses(&room, "cpu"));
    assert_eq!((device.len(), cpu.len()), (20, 20));
    for (step, (device, cpu)) in device.iter().zip(&cpu).enumerate() {
        assert!((device - cpu).abs() < 0.02 * cpu, "step {step}: {device} and {cpu}");
    }
    assert!(cpu[19] < cpu[0] - 0.3, "{cpu:?}");
    // Lost in the middle, the run goes on from its last checkpoint, to the same bits.
    let lost =
        on(&library, &room, "train tune.toml --out lost", &[("SREK_EMULATED_LOST_AFTER", "1500")]);
    assert_eq!(lost.code, Some(1), "{}", lost.stderr);
    assert!(
        lost.stderr.contains("the device is lost") && lost.stderr.contains("--resume"),
        "{}",
        lost.stderr
    );
    assert!(!lost.stderr.contains("panicked"), "{}", lost.stderr);
    let again = on(&library, &room, "train tune.toml --resume --out lost", &[]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let adapter = "adapter/adapter_model.safetensors";
    assert!(bytes(&room, &format!("lost/{adapter}")) == bytes(&room, &format!("device/{adapter}")));

    let arguments =
        "generate --model base --adapter device/adapter --prompt pod --max-tokens 12 --json";
    let generated = on(&library, &room, arguments, &[]).json();
    assert_eq!(generated["tier"], "cuda-sm86", "{generated}");
    let arguments_ = "bench --model base --adapter device/adapter --train 32,64 --depth 0,20 --head q8 --rank 8 \
                      --device-mib 64 --repeats 1 --json";
    let rows = on(&library, &room, arguments_, &[]).json()["rows"].clone();
    let rows = rows.as_array().expect("rows");
    assert_eq!(rows.len(), 6, "{rows:?}");
    for row in rows {
        assert!(
            row["tokens_per_second"].as_f64() > Some(0.0) && row["share_of_limit"].is_null(),
            "{row}"
        );
        assert!(row["plan_device_bytes"].as_u64() > Some(1 << 20), "{row}");
    }
    let lost = on(&library, &room, arguments, &[("SREK_EMULATED_LOST_AFTER", "100")]);
    assert!(lost.code == Some(1) && lost.stderr.contains("the device is lost"), "{}", lost.stderr);
}

/// A device that failed reads as zeros: none of them may pass for a loss, wherever it is lost.
#[test]
fn a_device_lost_anywhere_leaves_no_false_loss_behind() {
    let Some(library) = emulated() else { return };
    let room = prepared();
    let document = |at: usize| {
        format!("{{\"text\": \"Pod {at} of the checkout ran out of memory {at} times.\"}}\n")
    };
    room.write("docs.jsonl", (1..9).map(document).collect::<String>());
    room.must("data build --input docs.jsonl --tokenizer tiny/tokenizer.json --context 64 --duplicates keep --out small");
    let recipe =
        RECIPE.replace("\"set\"", "\"small\"\nheld_out = 0.3").replace("steps = 20", "steps = 4");
    let recipe = recipe.replace("every = 5", "every = 1");
    room.write("tune.toml", recipe + "[evaluation]\nevery = 2\n");
    let whole = on(&library, &room, "train tune.toml --json --out whole", &[]);
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    let best = whole.json()["held_out_best"].as_f64().expect("held-out documents");
    assert!(best > 1.0, "{best}");
    let adapter = |run: &str| bytes(&room, &format!("{run}/adapter/adapter_model.safetensors"));
    // From the first evaluation on to the last one.
    let (mut lost, mut launches) = (0, 20);
    loop {
        let run = format!("lost{launches}");
        let count = launches.to_string();
        let variables = [("SREK_EMULATED_LOST_AFTER", &*count)];
        let ran = on(&library, &room, &format!("train tune.toml --json --out {run}"), &variables);
        if ran.code == Some(0) {
            break;
        }
        assert!(ran.code == Some(1) && ran.stderr.contains("the device is lost"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("loss 0.0000"), "{launches}: {}", ran.stderr);
        let from = launches;
        launches = launches * 5 / 4 + 40;
        // Before the first checkpoint there is nothing to go on from, and behind the last step nothing to do.
        if !ran.stderr.contains("--resume") {
            assert!(lost == 0 || adapter(&run) == adapter("whole"), "{from}: {}", ran.stderr);
            continue;
        }
        lost += 1;
        let resume = format!("train tune.toml --json --resume --out {run}");
        let again = on(&library, &room, &resume, &[]);
        assert_eq!(again.code, Some(0), "{from}: {}", again.stderr);
        assert_eq!(again.json()["held_out_best"].as_f64(), Some(best), "{from}");
        assert!(adapter(&run) == adapter("whole"), "{from}");
    }
    assert!(lost > 2, "{lost} runs were lost");
}

/// The folder of a libcuda whose device is the emulated one.
fn libcuda(library: &Path) -> PathBuf {
    let folder = library.with_file_name("libcuda");
    std::fs::create_dir_all(&folder).expect("a folder");
    let source = root().join("kernels/emulated/libcuda/libcuda.cpp");
    let fresh = folder.join(format!("{}.so", std::process::id()));
    let mut compiler = Command::new("g++");
    compiler.args(["-std=c++20", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-o"]);
    let built = compiler.arg(&fresh).arg(source).arg("-ldl").output().expect("g++ runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    std::fs::rename(fresh, folder.join("libcuda.so")).expect("a name");
    folder
}

/// The driver for NVIDIA's GPUs, over a libcuda that runs its queues late and in several orders: a wait that
/// is missing gives other bits than the emulated driver, which runs everything at once.
#[test]
fn the_driver_of_gpus_orders_its_queues_and_names_what_fails() {
    let Some(library) = emulated() else { return };
    // Two sets of buffers are used in turn: only behind the fourth block is one overwritten too early.
    let (room, folder) = (prepared_with("layers = 5"), libcuda(&library));
    let ask = |arguments: &str, variables: &[(&str, &str)]| -> Ran {
        let mut command = room.command(SREK);
        command.args(arguments.split(' ')).args(["--gpu", "0"]);
        command.env("LD_LIBRARY_PATH", &folder).env("SREK_LIBCUDA_DEVICE", &library);
        room.run(command.envs(variables.iter().copied()))
    };
    let train = |policy: &str, out: &str| {
        format!("train tune.toml --set schedule.steps=1 --set memory.policy={policy} --out {out}")
    };
    let adapter = |run: &str| bytes(&room, &format!("{run}/adapter/adapter_model.safetensors"));
    let whole = on(&library, &room, &train("keep", "whole"), &[]);
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    for (order, policy) in
        [("0", "offload"), ("1", "offload"), ("0", "checkpoint"), ("2", "checkpoint")]
    {
        let run = format!("{policy}{order}");
        let ran = ask(&train(policy, &run), &[("SREK_LIBCUDA_ORDER", order)]);
        assert_eq!(ran.code, Some(0), "{run}: {}", ran.stderr);
        assert!(adapter(&run) == adapter("whole"), "{run}");
    }
    let ran = ask(&train("offload", "unordered"), &[("SREK_LIBCUDA_NO_WAITS", "1")]);
    assert!(ran.code != Some(0) || adapter("unordered") != adapter("whole"), "it shows nothing");
    let generate = "generate --model base --adapter whole/adapter --prompt pod --max-tokens 12";
    let want = on(&library, &room, generate, &[]).stdout;
    let graphs = ask(generate, &[("SREK_LIBCUDA_GRAPHS", "1")]);
    assert!(graphs.stdout == want && graphs.stderr.matches("a graph was launched").count() > 8);
    for call in ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags"] {
        let ran = ask(generate, &[("SREK_LIBCUDA_FAIL", &format!("{call}:1:2"))]);
        assert!(ran.code == Some(0) && ran.stdout == want, "{call}: {}", ran.stderr);
    }
    let fails = |what: (&str, &str), code, told: &str| {
        let ran = ask(&train("keep", "none"), &[what]);
        let said = ran.stderr.contains(told) && !ran.stderr.contains("panicked");
        assert!(ran.code == Some(code) && said, "{what:?}: {}", ran.stderr);
    };
    fails(("SREK_LIBCUDA_VERSION", "11080"), 2, "expected 12.4 or newer\nhint: install driver 550");
    fails(("SREK_LIBCUDA_FREE", "1000000"), 1, "not even one token would fit");
    fails(("SREK_LIBCUDA_FAIL", "cuInit:1:100"), 2, "nvidia-smi has to work");
    fails(("SREK_LIBCUDA_FAIL", "cuDevicePrimaryCtxRetain:1:2"), 2, "no room for a context");
    fails(("SREK_LIBCUDA_FAIL", "cuMemAlloc_v2:1:2"), 1, "hint: close what else uses the GPU");
    fails(("SREK_LIBCUDA_FAIL", "cuMemHostAlloc:1:2"), 1, "bytes of the host's memory are wanted");
    fails(("SREK_LIBCUDA_FAIL", "cuLaunchKernel:400:700"), 1, "simulated error 700");
}

#[test]
fn what_a_device_cannot_do_is_said_before_it_begins() {
    let Some(library) = emulated() else { return };
    let room = prepared();
    // The kernels would take f32 for bf16.
    let ran = on(&library, &room, "generate --model base --prompt pod --numerics f32", &[]);
    assert!(ran.code != Some(0) && ran.stderr.contains("no kernels for f32"), "{}", ran.stderr);
    // Neither has it kernels for every rank, and says so before there is a run.
    room.write("odd.toml", RECIPE.replace("rank = 8", "rank = 12"));
    for command in ["plan odd.toml", "train odd.toml --out odd"] {
        let ran = on(&library, &room, command, &[]);
        assert!(ran.code == Some(2) && ran.stderr.contains("has rank 12"), "{}", ran.stderr);
    }
    assert!(!room.path("odd").exists());
    let ran = room.srek("plan --device rtx3060 --model llama3.1-8b --rank 12 --seq 8");
    assert!(ran.code == Some(2) && ran.stderr.contains("multiples of 8"), "{}", ran.stderr);
    // Less memory than the plan takes: nothing is loaded, nothing is left behind.
    let small = [("SREK_EMULATED_MEMORY", "1000000")];
    let ran = on(&library, &room, "train tune.toml --out none", &small);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("not even one token would fit") && !room.path("none").exists(),
        "{}",
        ran.stderr
    );
    let ran = on(&library, &room, "generate --model base --prompt pod", &small);
    assert!(
        ran.code == Some(2) && ran.stderr.contains("GPU's memory, 0 MiB are free"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_device_that_is_not_there_is_an_error() {
    let room = Room::new();
    let ran = on(Path::new("none.so"), &room, "generate --prompt x", &[]);
    assert!(ran.code == Some(2) && ran.stderr.contains("error: --gpu: none.so"), "{}", ran.stderr);
}
