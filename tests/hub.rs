//! Models by their names on the hub, against a hub of our own: `srek download`, and the commands that
//! take a model.

mod server;

use crate::command::{Ran, Room, SREK, golden, root};
use crate::logits::tensor;
use server::{Hub, Reply, Repository, status};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longest time that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The weights' file.
const WEIGHTS: &str = "model.safetensors";
/// What nobody may see.
const TOKEN: &str = "hf_notarealtoken";

/// A small Llama with what lies beside one.
fn tiny() -> Repository {
    let card = b"---\nlicense: llama3.2\n---\nTiny.\n";
    let more: [(&str, &[u8]); 5] = [
        ("README.md", card),
        ("LICENSE.txt", b"Take it.\n"),
        (".gitattributes", b"*\n"),
        ("original/consolidated.00.pth", b"never fetched"),
        ("pytorch_model.bin", b"never fetched"),
    ];
    Repository::of(&golden("plain").join("model"), &more)
}

/// `srek` with this hub.
fn command(room: &Room, hub: &Hub, arguments: &str) -> Command {
    let mut command = room.command(SREK);
    command.args(arguments.split_whitespace());
    command.env_remove("HF_HUB_OFFLINE").env("HF_ENDPOINT", &hub.endpoint);
    command.env("HF_HOME", room.path("hf")).env("NO_PROXY", "127.0.0.1");
    command
}

fn srek(room: &Room, hub: &Hub, arguments: &str) -> Ran {
    let mut ran = room.run(&mut command(room, hub, arguments));
    ran.stderr = ran.stderr.replace(&hub.endpoint, "HUB");
    ran
}

fn must(room: &Room, hub: &Hub, arguments: &str) -> Ran {
    let ran = srek(room, hub, arguments);
    assert_eq!(ran.code, Some(0), "srek {arguments}\n{}{}", ran.stdout, ran.stderr);
    ran
}

fn cache(room: &Room) -> PathBuf {
    room.path("hf/hub/models--org--tiny")
}

fn snapshot(room: &Room) -> PathBuf {
    cache(room).join("snapshots").join("a".repeat(40))
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("entry").file_name();
    let mut names: Vec<_> = entries.map(|it| name(it).into_string().expect("a name")).collect();
    names.sort();
    names
}

fn logits(model: &str, out: &str) -> String {
    let ids = golden("plain").join("ids.json");
    format!("logits --model {model} --ids {} --out {out}", ids.display())
}

#[test]
fn a_hub_name_is_the_model_and_asks_once() {
    let (room, hub) = (Room::new(), Hub::new(tiny()));
    let ran = must(&room, &hub, &logits("org/tiny", "first"));
    assert!(ran.stderr.starts_with("fetching 501.4 KiB of org/tiny into "), "{}", ran.stderr);
    room.must(&logits(&golden("plain").join("model").display().to_string(), "local"));
    let values = |name: &str| tensor(&room.path(name), "logits").0;
    assert_eq!(values("first"), values("local"));
    let asked = hub.asked().len();
    must(&room, &hub, &logits("org/tiny@main", "second"));
    assert_eq!(
        (hub.asked().len(), values("second")),
        (asked, values("local")),
        "nothing was asked"
    );
    let mut offline = command(&room, &hub, &logits("org/tiny", "third"));
    assert_eq!(room.run(offline.env("HF_HUB_OFFLINE", "1")).code, Some(0));
}

#[test]
fn every_command_that_takes_a_model_takes_a_hub_name() {
    let room = Room::new();
    let hub = Hub::new(Repository::of(&root().join("models/sre-tiny"), &[]));
    let said =
        must(&room, &hub, "generate --model org/tiny --prompt a --max-tokens 3 --json").json();
    assert_eq!(said["completion_tokens"], 3);
    let dense = Room::new();
    must(&dense, &Hub::new(tiny()), "quantize --model org/tiny --out small");
    assert!(dense.path("small/LICENSE.txt").is_file());
    let lab = "lab incidents --count 4 --out lab";
    room.must(lab);
    let tokenizer = snapshot(&room).join("tokenizer.json");
    room.must(&format!(
        "data build --input lab/records.jsonl --tokenizer {} --context 1024 --out set",
        tokenizer.display()
    ));
    room.write(
        "tune.toml",
        "[model]\ndirectory = \"org/tiny\"\n[lora]\nrank = 2\nalpha = 4\n[data]\ndirectory = \"set\"\n\
         [batch]\ntokens = 1024\n[schedule]\nsteps = 1\nlearning_rate = 1e-3\n",
    );
    must(&room, &hub, "plan tune.toml");
    must(&room, &hub, "train tune.toml");
    must(
        &room,
        &hub,
        "export --model org/tiny --adapter runs/tune/adapter --onto org/tiny --out merged",
    );
    let words =
        "eval --base org/tiny --adapter runs/tune/adapter --suite commands --count 1 --train 1";
    must(&room, &hub, words);
}

#[test]
fn a_download_lies_as_transformers_expects_it() {
    let (room, hub) = (Room::new(), Hub::new(tiny()));
    let answer = must(&room, &hub, "download org/tiny --json").json();
    assert_eq!(names(&snapshot(&room)), ["LICENSE.txt", "README.md", "config.json", WEIGHTS]);
    assert_eq!(answer["licence"], "llama3.2");
    assert_eq!(answer["licence_files"], serde_json::json!(["LICENSE.txt"]));
    assert_eq!(answer["received_bytes"], answer["bytes"]);
    assert_eq!(answer["directory"], snapshot(&room).display().to_string());
    let content = std::fs::read(golden("plain").join("model").join(WEIGHTS)).expect("weights");
    let link = std::fs::read_link(snapshot(&room).join(WEIGHTS)).expect("a link");
    assert_eq!(link, Path::new("../../blobs").join(files::sha256(&content)));
    let reference = std::fs::read_to_string(cache(&room).join("refs/main")).expect("a reference");
    assert_eq!(reference, "a".repeat(40));
    let asked = hub.asked().len();
    let again = must(&room, &hub, "download org/tiny");
    assert!(again.stdout.contains("nothing, it was there"), "{}", again.stdout);
    assert_eq!((again.stderr.as_str(), hub.asked().len()), ("", asked + 1), "only the listing");
    must(&room, &hub, &format!("download org/tiny --revision {}", "a".repeat(40)));
    assert_eq!(hub.asked().len(), asked + 1, "a commit that is whole is known");
    must(&room, &hub, "download org/tiny@refs/pr/1");
    assert!(cache(&room).join("refs/refs/pr/1").is_file());
}

#[test]
fn a_cut_connection_goes_on_where_it_broke() {
    let hub = Hub::changed(tiny(), |asked, before, reply| match (asked.storage, before) {
        (true, 0 | 1) => Reply { cut: Some(100_000), ..reply },
        _ => reply,
    });
    let room = Room::new();
    must(&room, &hub, "download org/tiny");
    let from: Vec<_> = hub.asked_of(WEIGHTS).iter().map(|it| it.from).collect();
    assert_eq!(from, [None, Some(100_000), Some(200_000)]);
    assert_eq!(names(&cache(&room).join("blobs")).len(), 4, "no partial file stays");
}

#[test]
fn a_storage_without_ranges_begins_anew() {
    let content = tiny().files[WEIGHTS].clone();
    let hub = Hub::changed(tiny(), move |asked, before, reply| match (asked.storage, before) {
        (true, 0) => Reply { cut: Some(100_000), ..reply },
        (true, _) => Reply { status: 200, headers: Vec::new(), body: content.clone(), ..reply },
        _ => reply,
    });
    let room = Room::new();
    must(&room, &hub, "download org/tiny");
    assert_eq!(hub.asked_of(WEIGHTS).len(), 2);
}

#[test]
fn an_interrupted_download_goes_on() {
    let hub = Hub::changed(tiny(), |asked, before, reply| match (asked.storage, before) {
        (true, 0) => Reply { pause: Duration::from_millis(200), ..reply },
        _ => reply,
    });
    let room = Room::new();
    let stderr = std::fs::File::create(room.path("stderr")).expect("file");
    let mut child = command(&room, &hub, "download org/tiny")
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .expect("srek starts");
    let partial = || {
        let blobs = cache(&room).join("blobs");
        let name = names(&blobs).into_iter().find(|name| name.ends_with(".incomplete"));
        name.map_or(0, |name| std::fs::metadata(blobs.join(name)).map_or(0, |it| it.len()))
    };
    let started = Instant::now();
    while partial() < 30_000 {
        let ended = child.try_wait().expect("a child");
        assert!(ended.is_none() && started.elapsed() < PATIENCE, "nothing received: {ended:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    room.run(room.command("kill").args(["-s", "INT", &child.id().to_string()]));
    assert_eq!(child.wait().expect("a child").code(), Some(130));
    let error = std::fs::read_to_string(room.path("stderr")).expect("stderr");
    let told =
        "interrupted: what was received is kept\nhint: the same command goes on from there\n";
    assert!(error.ends_with(told), "{error}");
    let kept = partial();
    assert!(!snapshot(&room).join(WEIGHTS).exists() && kept >= 30_000);
    must(&room, &hub, "download org/tiny");
    assert_eq!(hub.asked_of(WEIGHTS).last().and_then(|it| it.from), Some(kept as usize));
}

#[test]
fn two_at_once_fetch_once() {
    let hub = Hub::changed(tiny(), |asked, _, reply| match asked.storage {
        true => Reply { pause: Duration::from_millis(20), ..reply },
        false => reply,
    });
    let room = Room::new();
    let start = || command(&room, &hub, "download org/tiny").stdout(Stdio::null()).spawn();
    let children = [start(), start(), start()];
    for child in children {
        let code = child.expect("srek starts").wait().expect("a child").code();
        assert_eq!(code, Some(0));
    }
    assert_eq!(hub.asked_of(WEIGHTS).len(), 1);
}

#[test]
fn refusals_say_what_to_do() {
    let cases: [(u16, &str, bool, &str); 6] = [
        (
            401,
            "GatedRepo",
            false,
            "error: org/tiny: the repository is gated or private, and there is no token (401 Unauthorized)\n\
             hint: accept its licence on HUB/org/tiny, then set HF_TOKEN to a token of HUB/settings/tokens\n",
        ),
        (
            403,
            "GatedRepo",
            true,
            "error: org/tiny: the repository is gated or private, and the token of HF_TOKEN gives no access to \
             it (403 Forbidden)\nhint: accept its licence on HUB/org/tiny; the token must be allowed to read it\n",
        ),
        (
            401,
            "",
            true,
            "error: org/tiny: the hub does not know the token of HF_TOKEN (401 Unauthorized)\nhint: set HF_TOKEN \
             to a token of HUB/settings/tokens\n",
        ),
        (
            401,
            "RepoNotFound",
            false,
            "error: org/tiny: there is no such repository, or it is private (HUB, 401 Unauthorized)\nhint: \
             check the name; a private one needs a token in HF_TOKEN\n",
        ),
        (
            404,
            "",
            false,
            "error: org/tiny: there is no such repository, revision or file (HUB, 404 Not Found)\nhint: check \
             the name\n",
        ),
        (418, "", false, "error: org/tiny: HUB answers 418 I'm a teapot\n"),
    ];
    for (code, name, token, expected) in cases {
        let hub = Hub::changed(tiny(), move |_, _, _| status(code, name));
        let room = Room::new();
        let mut command = command(&room, &hub, "download org/tiny");
        if token {
            command.env("HF_TOKEN", TOKEN);
        }
        let mut ran = room.run(&mut command);
        ran.stderr = ran.stderr.replace(&hub.endpoint, "HUB");
        ran.fails(2, expected);
        assert!(!room.path("hf").exists(), "nothing was written");
    }
    let (room, hub) = (Room::new(), Hub::new(tiny()));
    srek(&room, &hub, "download org/tiny@v9")
        .fails(2, "error: org/tiny@v9: the repository has no revision \"v9\"\n");
}

#[test]
fn a_gate_before_the_files_is_seen_too() {
    let hub = Hub::changed(tiny(), |asked, _, reply| match asked.path.starts_with("/api/") {
        true => reply,
        false => status(401, "GatedRepo"),
    });
    let room = Room::new();
    let ran = srek(&room, &hub, &logits("org/tiny", "l"));
    assert!(ran.stderr.contains("gated or private, and there is no token"), "{}", ran.stderr);
    assert_eq!(ran.code, Some(2));
}

#[test]
fn what_passes_is_tried_again_and_not_for_ever() {
    let hub = Hub::changed(tiny(), |_, before, reply| match before {
        0 => status(503, ""),
        _ => reply,
    });
    let room = Room::new();
    must(&room, &hub, "download org/tiny");
    let room = Room::new();
    let hub = Hub::changed(tiny(), |_, _, _| status(500, ""));
    srek(&room, &hub, "download org/tiny")
        .fails(
            1,
            "error: HUB: it answers 500 Internal Server Error\nhint: check the network, HTTPS_PROXY and \
             HF_ENDPOINT, and try again; a directory that was copied here needs no hub\n",
        );
    assert_eq!(hub.asked().len(), 4);
}

#[test]
fn a_wrong_content_is_not_put_in_place() {
    let hub = Hub::changed(tiny(), |asked, before, mut reply| {
        if asked.storage && before == 0 {
            reply.body[1000] ^= 1;
        }
        reply
    });
    let room = Room::new();
    let ran = srek(&room, &hub, "download org/tiny");
    assert!(
        ran.stderr.contains("model.safetensors: what came has another SHA-256 "),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.code, Some(1));
    assert!(!snapshot(&room).join(WEIGHTS).exists());
    assert!(!cache(&room).join("refs").exists());
    let kept = names(&cache(&room).join("blobs"));
    assert!(!kept.iter().any(|name| name.ends_with(".incomplete")), "{kept:?}");
    must(&room, &hub, "download org/tiny");
}

#[test]
fn a_longer_content_is_refused() {
    let hub = Hub::changed(tiny(), |asked, _, mut reply| {
        if asked.path.ends_with("/config.json") {
            reply.body.extend(b"  ");
        }
        reply
    });
    let room = Room::new();
    let ran = srek(&room, &hub, "download org/tiny");
    let told = "org/tiny: config.json: more came than the 660 bytes that the hub lists";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert_eq!((ran.code, snapshot(&room).join("config.json").exists()), (Some(1), false));
}

#[test]
fn the_token_is_told_to_the_hub_only() {
    type Source = dyn Fn(&Room, &mut Command);
    let sources: [&Source; 3] = [
        &|_, command| {
            command.env("HF_TOKEN", TOKEN);
        },
        &|room, _| {
            room.write("hf/token", format!("{TOKEN}\n"));
        },
        &|room, command| {
            command.env("HF_TOKEN_PATH", room.write("elsewhere", TOKEN));
        },
    ];
    for set in sources {
        let (room, hub) = (Room::new(), Hub::new(tiny()));
        let mut command = command(&room, &hub, "download org/tiny --json");
        set(&room, &mut command);
        let ran = room.run(&mut command);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(TOKEN));
        let asked = hub.asked();
        assert!(asked.iter().any(|it| it.storage) && asked.iter().any(|it| !it.storage));
        for it in asked {
            let expected = (!it.storage).then(|| format!("Bearer {TOKEN}"));
            assert_eq!(it.token, expected, "{}", it.path);
        }
    }
}

#[test]
fn hostile_listings_are_refused() {
    for name in ["../../escaped.json", "/tmp/x", "tokenizer/../../../x.json"] {
        let mut repository = tiny();
        repository.files.insert(name.into(), b"{}".to_vec());
        let (room, hub) = (Room::new(), Hub::new(repository));
        srek(&room, &hub, "download org/tiny").fails(
            2,
            &format!(
                "error: org/tiny: the hub lists {name:?}, a file outside of the repository; nothing of it is \
                 taken\n"
            ),
        );
        assert!(!room.path("hf").exists());
    }
    let hub = Hub::changed(tiny(), |_, _, _| Reply {
        status: 200,
        body: b"{".into(),
        ..Reply::default()
    });
    let ran = srek(&Room::new(), &hub, "download org/tiny");
    assert!(ran.stderr.contains("the hub's answer is no listing"), "{}", ran.stderr);
    assert_eq!(ran.code, Some(2));
}

/// The weights as two shards of an index; the second is `name`.
fn sharded(name: &str) -> Repository {
    let mut repository = tiny();
    let content = repository.files.remove(WEIGHTS).expect("weights");
    let tensors = safetensors::SafeTensors::deserialize(&content).expect("safetensors");
    let (mut map, mut parts) = (serde_json::Map::new(), [Vec::new(), Vec::new()]);
    for (at, (tensor, view)) in tensors.tensors().into_iter().enumerate() {
        let shard = ["model-00001-of-00002.safetensors", name][at % 2];
        map.insert(tensor.clone(), shard.into());
        parts[at % 2].push((tensor, view));
    }
    for (shard, part) in ["model-00001-of-00002.safetensors", name].into_iter().zip(parts) {
        let bytes = safetensors::serialize(part, None).expect("a shard");
        repository.files.insert(shard.into(), bytes);
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": map }).to_string();
    repository.files.insert("model.safetensors.index.json".into(), index.into());
    repository
}

#[test]
fn shards_are_those_of_the_index() {
    let room = Room::new();
    let second = "model-00002-of-00002.safetensors";
    let hub = Hub::new(sharded(second));
    must(&room, &hub, &logits("org/tiny", "sharded"));
    room.must(&logits(&golden("plain").join("model").display().to_string(), "local"));
    let values = |name: &str| tensor(&room.path(name), "logits").0;
    assert_eq!(values("sharded"), values("local"));
    // What an interrupted download lacks is named where it may not be fetched.
    std::fs::remove_file(snapshot(&room).join(second)).expect("a link");
    let mut offline = command(&room, &hub, &logits("org/tiny", "l"));
    room.run(offline.env("HF_HUB_OFFLINE", "1")).fails(
        2,
        &format!(
            "error: org/tiny: the hub may not be asked (HF_HUB_OFFLINE), and the cache lacks \
             DIR/hf/hub/models--org--tiny/snapshots/{}/{second}\nhint: fetch it with `srek download org/tiny` \
             where the network may be used\n",
            "a".repeat(40)
        ),
    );
}

#[test]
fn an_index_that_names_what_is_not_there() {
    let absent = "model-00002-of-00002.safetensors";
    let mut repository = sharded(absent);
    repository.files.remove(absent);
    let (room, hub) = (Room::new(), Hub::new(repository));
    srek(&room, &hub, "download org/tiny").fails(
        2,
        &format!(
            "error: org/tiny: model.safetensors.index.json names {absent}, which the repository lacks\n"
        ),
    );
    let mut repository = sharded("x");
    let index = repository.files.get_mut("model.safetensors.index.json").expect("index");
    *index = String::from_utf8_lossy(index).replace("\"x\"", "\"../x\"").into_bytes();
    let (room, hub) = (Room::new(), Hub::new(repository));
    let ran = srek(&room, &hub, "download org/tiny");
    assert!(ran.stderr.contains("shard \"../x\" is not a plain file name"), "{}", ran.stderr);
    assert_eq!(ran.code, Some(2));
}

#[test]
fn weights_in_other_forms_only() {
    let mut repository = tiny();
    repository.files.remove(WEIGHTS);
    let (room, hub) = (Room::new(), Hub::new(repository));
    srek(&room, &hub, "download org/tiny").fails(
        2,
        "error: org/tiny: the repository has no model.safetensors and no model.safetensors.index.json; it has \
         pytorch_model.bin\nhint: choose a repository with the weights in safetensors\n",
    );
}

#[test]
fn offline_uses_what_transformers_fetched_and_opens_nothing() {
    let (room, hub) = (Room::new(), Hub::new(tiny()));
    let offline = |variable: &str, out: &str| {
        let mut command = command(&room, &hub, &logits("org/tiny", out));
        room.run(command.env(variable, "1"))
    };
    offline("TRANSFORMERS_OFFLINE", "l").fails(
        2,
        "error: org/tiny: the hub may not be asked (HF_HUB_OFFLINE), and the cache lacks \
         DIR/hf/hub/models--org--tiny/refs/main\nhint: fetch it with `srek download org/tiny` where the \
         network may be used\n",
    );
    // As `huggingface_hub` lays it out, without notes of what is absent.
    let from = golden("plain").join("model");
    std::fs::create_dir_all(snapshot(&room)).expect("directory");
    for name in ["config.json", WEIGHTS] {
        let content = std::fs::read(from.join(name)).expect("file");
        let etag = files::sha256(&content);
        room.write(&format!("hf/hub/models--org--tiny/blobs/{etag}"), &content);
        let link = Path::new("../../blobs").join(etag);
        std::os::unix::fs::symlink(link, snapshot(&room).join(name)).expect("a link");
    }
    room.write("hf/hub/models--org--tiny/refs/main", "a".repeat(40));
    let ran = offline("HF_HUB_OFFLINE", "cached");
    assert_eq!((ran.code, hub.asked().len()), (Some(0), 0), "{}", ran.stderr);
    // Where the hub may be asked, it is asked once what else there is, and the weights stay.
    must(&room, &hub, &logits("org/tiny", "completed"));
    assert!(hub.asked_of(WEIGHTS).is_empty() && !hub.asked().is_empty());
    assert!(snapshot(&room).join("README.md").is_file());
}

#[test]
fn a_hub_that_is_away_is_no_matter_for_what_is_there() {
    let (room, hub) = (Room::new(), Hub::new(tiny()));
    must(&room, &hub, "download org/tiny");
    std::fs::remove_dir_all(cache(&room).join(".no_exist")).expect("notes");
    let mut command = command(&room, &hub, &logits("org/tiny", "l"));
    let ran = room.run(command.env("HF_ENDPOINT", "http://127.0.0.1:9"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("taken as it is in the cache"), "{}", ran.stderr);
}

#[test]
fn a_branch_that_moved_is_followed_by_a_download_only() {
    let (room, hub) = (Room::new(), Hub::new(tiny()));
    must(&room, &hub, "download org/tiny");
    hub.commit(|repository| {
        repository.commit = "b".repeat(40);
        repository.files.insert("README.md".into(), b"New.\n".to_vec());
    });
    let asked = hub.asked().len();
    must(&room, &hub, &logits("org/tiny", "l"));
    assert_eq!(hub.asked().len(), asked);
    let moved = must(&room, &hub, "download org/tiny --json").json();
    assert_eq!((&moved["received_bytes"], &moved["commit"]), (&5.into(), &"b".repeat(40).into()));
    must(&room, &hub, &format!("download org/tiny@{}", "a".repeat(40)));
    let weights =
        |commit: &str| cache(&room).join("snapshots").join(commit.repeat(40)).join(WEIGHTS);
    assert!(weights("a").is_file() && weights("b").is_file());
}

#[test]
fn a_model_that_does_not_fit_on_the_disk_is_not_begun() {
    let hub = Hub::changed(tiny(), |asked, _, mut reply| {
        if asked.path.starts_with("/api/") {
            let text = String::from_utf8(reply.body).expect("JSON");
            reply.body = text.replace("512768", "1125899906842624").into();
        }
        reply
    });
    let room = Room::new();
    let ran = srek(&room, &hub, "download org/tiny");
    assert!(ran.stderr.contains("1024.0 TiB are needed for org/tiny, "), "{}", ran.stderr);
    assert_eq!((ran.code, hub.asked().len()), (Some(1), 1));
}

#[test]
fn what_may_be_a_mistyped_path_is_not_told_to_the_hub() {
    let (room, hub) = (Room::new(), Hub::new(tiny()));
    std::fs::create_dir(room.path("org")).expect("directory");
    srek(&room, &hub, &logits("org/tiny", "l")).fails(
        2,
        "error: org/tiny: there is no such directory\nhint: for the model of this name on the hub, write \
         org/tiny@main\n",
    );
    assert!(hub.asked().is_empty());
    must(&room, &hub, &logits("org/tiny@main", "l"));
    srek(&room, &hub, "download ./tiny").fails(
        2,
        "error: \"./tiny\" is no name of a model on the hub, expected ORG/NAME or ORG/NAME@REVISION\nhint: \
         such as meta-llama/Llama-3.2-1B\n",
    );
}
