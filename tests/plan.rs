//! Plans for models and machines that are not here.

use crate::command::Room;
use serde_json::Value;

const RTX3060: &str = "plan --device rtx3060 --json --model";

fn planned(arguments: &str) -> Value {
    planned_in(&Room::new(), arguments)
}

fn planned_in(room: &Room, arguments: &str) -> Value {
    room.must(&format!("{RTX3060} {arguments}")).json()
}

fn number(of: &Value, key: &str) -> f64 {
    of[key].as_f64().unwrap_or_else(|| panic!("{key} in {of}"))
}

const GIB: f64 = (1_u64 << 30) as f64;

#[test]
fn llama_3_1_8b_has_room_for_long_documents_on_12_gib() {
    // The limits of the design: what is there whatever the length, what a token takes, what fits.
    let longest = planned("llama3.1-8b --max-seq --rank 32");
    assert!(number(&longest, "seq") >= 50_000.0, "{longest}");
    assert!(number(&longest, "bytes_per_token") <= 96.0 * 1024.0, "{longest}");
    assert_eq!((&longest["fits"], &longest["seq"]), (&true.into(), &longest["longest"]));
    let usable =
        12.0 * GIB - number(&longest, "context_bytes") - number(&longest, "reserved_bytes");
    assert_eq!(usable, 11.25 * GIB);
    let peak = number(&longest, "peak_bytes");
    assert!(peak <= usable && peak > 0.99 * usable, "{longest}");
    let policy = longest["policy"].as_array().unwrap();
    assert!(policy.len() == 32 && policy.iter().all(|it| it == "checkpoint"), "{longest}");
    // Inputs of 32 blocks in bf16, and the optimizer's master copies, moments and staging.
    let inputs = 32.0 * 8192.0 * number(&longest, "seq");
    assert!(number(&longest, "pinned_bytes") > inputs + 3.0 * 4.0 * 83_886_080.0, "{longest}");

    let short = planned("llama3.1-8b --seq 2048");
    assert!(number(&short, "static_bytes") <= 6.0 * GIB, "{short}");
    assert!(number(&short, "tokens_per_second_best") >= 500.0, "{short}");
    let policy = short["policy"].as_array().unwrap();
    assert!(policy.iter().any(|it| it == "keep"), "{short}");
    // One token more than the longest does not fit, and the answer says what would.
    let seq = number(&longest, "seq") as usize + 1;
    let more = planned(&format!("llama3.1-8b --rank 32 --seq {seq}"));
    assert_eq!((&more["fits"], &more["longest"]), (&false.into(), &(seq - 1).into()));
}

#[test]
fn serving_is_planned_for_by_the_bytes_that_a_token_moves() {
    let plan = |arguments: &str| planned(&format!("llama3.1-8b --rank 16 --head-8bit {arguments}"));
    let (near, far) = (plan("--decode 0"), plan("--decode 4096"));
    // 4 bits and their scales of 7 billion weights, 8 of a head of 128,256 x 4,096, and an adapter in bf16.
    let weights = 6_979_321_856.0 * (0.5 + 1.0 / 64.0 + 4.0 / (64.0 * 256.0))
        + 128_256.0 * 4096.0 * (1.0 + 4.0 / 64.0)
        + 2.0 * 41_943_040.0;
    let moved = number(&near, "token_bytes");
    assert!(moved > weights && moved < 1.01 * weights, "{moved} for {weights}");
    // Keys and values of 32 layers, 8 heads of 128, in bf16.
    let cache = 4096.0 * 32.0 * 2.0 * 1024.0 * 2.0;
    let more = number(&far, "token_bytes") - moved;
    assert!(more > 0.99 * cache && more < 1.05 * cache, "{more} for {cache}");
    assert!(near["fits"] == true && number(&near, "tokens_per_second_best") > 80.0, "{near}");
    let ran =
        Room::new().srek("plan --device rtx3060 --model llama3.1-8b --decode 8 --embedding-host");
    assert!(ran.code == Some(2) && ran.stderr.contains("only training"), "{}", ran.stderr);
    let ran = Room::new().srek("plan --device rtx3060 --model llama3-8b --decode 8191");
    assert!(ran.code == Some(2) && ran.stderr.contains("room for 8190 tokens"), "{}", ran.stderr);
}

#[test]
fn less_memory_and_higher_ranks_fit_less() {
    let longest =
        |arguments: &str| number(&planned(&format!("llama3.1-8b --max-seq {arguments}")), "seq");
    let plain = longest("");
    assert!(longest("--rank 64") < plain);
    assert!(longest("--memory 8GiB") < plain);
    assert!(longest("--reserve 2GiB") < plain);
    assert!(longest("--reserve 0") > plain);
    assert!(longest("--head-8bit") > plain);
    // 0.98 GiB of the embedding are 16,000 tokens.
    assert!(longest("--embedding-host") > plain + 15_000.0);
    // The model itself ends at 131,072 tokens.
    assert_eq!(longest("--memory 24GiB"), 131_072.0);
}

#[test]
fn what_cannot_be_planned_is_named() {
    let room = Room::new();
    let says = |arguments: &str, problem: &str| {
        let ran = room.srek(&format!("plan --device rtx3060 --model {arguments}"));
        assert!(ran.code == Some(2) && ran.stderr.contains(problem), "{arguments}: {}", ran.stderr);
    };
    says(
        "nosuch --seq 7",
        "--model is nosuch, expected a directory with config.json, a .gguf file, a model of the hub, or one of \
         llama3-8b",
    );
    says("llama3-8b --seq 9000", "--seq is 9000, the model is made for 1 to 8192 tokens");
    says("llama3-8b --seq 0", "--seq is 0");
    says("llama3.2-1b --seq 8 --embedding-host", "its head too");
    says("llama3-8b", "--seq <N>");
    says("llama3-8b --seq 8 --rank 0", "--rank 0");
    says(
        "llama3-8b --seq 8 --memory 8GB",
        "expected a number of bytes, or one with KiB, MiB or GiB",
    );
    says("llama3-8b --seq 8 --reserve -1", "");
    says("llama3-8b --memory 8GiB", "--seq <N> is missing beside --model\nhint: ");
    // Where nothing is left to plan with, nothing is planned.
    for (arguments, memory, others) in [
        ("--memory 0", "0 B", "512.0 MiB"),
        ("--memory 8", "8 B", "512.0 MiB"),
        ("--memory 768MiB", "768.0 MiB", "512.0 MiB"),
        ("--memory 8GiB --reserve 9GiB", "8.00 GiB", "9.00 GiB"),
    ] {
        let problem = format!(
            "--memory: the device has {memory}, of which others hold {others} and the driver"
        );
        says(&format!("llama3-8b --seq 8 {arguments}"), &problem);
        says(&format!("llama3-8b --max-seq {arguments}"), "nothing is left\nhint: ");
    }
    says("llama3-8b --seq 8 --reserve 12GiB", "--reserve: the device has 12.0 GiB");
    let ran = room.srek("plan --device rtx3060 --model llama3.1-70b --max-seq");
    assert!(ran.stdout.contains("no, not even one token"), "{}", ran.stdout);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("not even one token of llama3.1-70b fits\nhint: "),
        "{}",
        ran.stderr
    );
    room.must("plan --device rtx3060 --model llama3.1-70b --seq 8");
}

#[test]
fn settings_of_a_shape_are_not_ignored_beside_a_recipe() {
    let room = Room::new();
    for setting in [
        "--seq 8",
        "--max-seq",
        "--rank 8",
        "--rank 16",
        "--head-8bit",
        "--reserve 0",
        "--memory 8GiB",
    ] {
        let ran = room.srek(&format!("plan recipe.toml {setting}"));
        let name = setting.split(' ').next().expect("a name");
        let said = format!("the argument '[RECIPE.toml]' cannot be used with '{name}");
        assert!(ran.code == Some(2) && ran.stderr.contains(&said), "{setting}: {}", ran.stderr);
    }
    let ran = room.srek("plan");
    assert!(ran.code == Some(2) && !ran.stderr.contains("--seq"), "{}", ran.stderr);
    assert!(ran.stderr.contains("<RECIPE.toml|--model <SHAPE|MODEL>>"), "{}", ran.stderr);
}

#[test]
fn a_gguf_file_is_planned_for_as_its_directory_is() {
    let room = Room::new();
    // Heads of 64: a GPU has no kernels for those of the goldens.
    let model = crate::command::root().join("models/sre-tiny");
    room.must(&format!("export --model {} --format gguf-f16 --out made", model.display()));
    let plan = |model: &str| {
        let mut plan = planned_in(&room, &format!("{model} --seq 8"));
        plan.as_object_mut().expect("an object").remove("model");
        plan
    };
    assert_eq!(plan("made/model.gguf"), plan(&model.display().to_string()));
    let ran = room.srek(&format!("{RTX3060} org/nosuch --seq 8"));
    assert!(
        ran.code == Some(2) && ran.stderr.contains("the hub may not be asked"),
        "{}",
        ran.stderr
    );
}
