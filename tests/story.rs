//! The story from outside, with the embedded model: incidents, a diagnosis, a comparison, and what is
//! said where an input is wrong.

use crate::command::{Room, golden, root};
use serde_json::Value;

/// Causes that are asked about where the answer does not matter: few are quick.
const CAUSES: &str = "--causes dns-failure,bad-config --budget 220";

/// What a tuned model has to beat.
const WITHOUT_A_MODEL: [&str; 6] = [
    "majority",
    "most frequent fault",
    "logistic regression",
    "nearest neighbour",
    "ranking",
    "ranking and signs",
];

/// Of each difference, what it is of and what was subtracted.
fn compared(incidents: &Value) -> Vec<(&str, &str)> {
    fn name(value: &Value) -> &str {
        value.as_str().expect("a name")
    }
    let list = incidents["differences"].as_array().expect("a list");
    list.iter().map(|it| (name(&it["to"]), name(&it["from"]))).collect()
}

/// The incident that the documentation shows.
fn example() -> String {
    let page = std::fs::read_to_string(root().join("docs/incident.md")).expect("a page");
    let (_, rest) = page.split_once("```json\n").expect("an example");
    rest.split_once("```").expect("its end").0.to_owned()
}

fn simulated(room: &Room) {
    room.must("lab incidents --count 3 --seed 5 --part test --files 3 --out lab");
}

#[test]
fn a_diagnosis_names_only_what_was_shown_and_is_the_same_twice() {
    let room = Room::new();
    simulated(&room);
    let ask = |out: &str, more: &str| -> Value {
        let file = "lab/incidents/00001.json";
        room.srek(&format!("diagnose --incident {file} --out {out} {more} --json")).json()
    };
    let (one, two) = (ask("one", ""), ask("deep/two", "--threads 1"));
    assert_eq!((&one["answer"], &one["causes"]), (&two["answer"], &two["causes"]));
    let incident: Value = serde_json::from_str(
        &std::fs::read_to_string(room.path("lab/incidents/00001.json")).expect("an incident"),
    )
    .expect("JSON");
    let known: Vec<&Value> = ["metrics", "logs", "events", "changes"]
        .iter()
        .flat_map(|list| incident[list].as_array().expect("a list"))
        .map(|item| &item["id"])
        .collect();
    for id in one["answer"]["evidence"].as_array().expect("a list") {
        assert!(known.contains(&id), "{id}");
    }
    let total: f64 = one["causes"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["probability"].as_f64())
        .sum();
    assert!((total - 1.0).abs() < 1e-9, "{total}");
    let read = |file: &str| std::fs::read_to_string(room.path(file)).expect("a file");
    for file in ["answer.json", "post-mortem.md", "runbook.md"] {
        assert!(!read(&format!("one/{file}")).is_empty());
    }
    assert!(read("one/report.html").contains("<svg"));
    assert_eq!(read("one/report.html"), read("deep/two/report.html"));
    assert_eq!(read("one/post-mortem.md"), read("deep/two/post-mortem.md"));
    // A cause that nobody is sure of is not named.
    let unsure = ask("three", "--threshold 1");
    let cause = unsure["answer"]["cause"].as_str().expect("a cause");
    assert!(["none", "unknown"].contains(&cause), "{cause}");
}

#[test]
fn the_example_of_the_documentation_is_diagnosed() {
    let room = Room::new();
    room.write("incident.json", example());
    let ran = room.must(&format!("diagnose --incident incident.json {CAUSES}"));
    for part in ["cause ", "service ", "proposed ", "evidence\n", "how probable\n"] {
        assert!(ran.stdout.contains(part), "{ran:?}");
    }
}

#[test]
fn wrong_input_is_named_with_its_place() {
    let room = Room::new();
    simulated(&room);
    let good = std::fs::read_to_string(room.path("lab/incidents/00000.json")).expect("a file");
    let mut other: Value = serde_json::from_str(&good).expect("JSON");
    other["logs"][0]["service"] = "nobody".into();
    room.write("unknown-service.json", other.to_string());
    room.write("broken.json", &good[..200]);
    room.write("extra.json", good.replacen("\"version\"", "\"secret\":1,\"version\"", 1));
    for (file, said) in [
        ("none.json", "cannot read none.json: no such file or directory"),
        ("broken.json", "broken.json: incident: EOF while parsing"),
        ("extra.json", "extra.json: incident: unknown field `secret`"),
        ("unknown-service.json", "unknown-service.json: incident: logs[0].service"),
    ] {
        let ran = room.srek(&format!("diagnose --incident {file}"));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.starts_with(&format!("error: {said}")), "{ran:?}");
    }
    let ran = room.srek("diagnose --incident lab/incidents/00000.json --causes gremlins");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let said = "error: \"gremlins\" is not a cause\nhint: one of memory-limit-too-low, ";
    assert!(ran.stderr.starts_with(said), "{ran:?}");
    for wrong in ["2", "-1"] {
        room.srek(&format!("diagnose --incident lab/incidents/00000.json --threshold {wrong}"))
            .fails(
                2,
                &format!("error: --threshold is {wrong}, expected a probability from 0 to 1\n"),
            );
    }
}

#[test]
fn another_bases_adapter_and_a_broken_template_are_refused() {
    let room = Room::new();
    simulated(&room);
    let model = golden("plain").join("model");
    room.copy(&model, "other");
    let asked = "--incident lab/incidents/00000.json";
    // PEFT's adapter of another shape.
    let adapter = golden("plain").join("adapter");
    let ran = room.srek(&format!("diagnose {asked} --adapter {}", adapter.display()));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    // The embedded model with a template that is none.
    room.must(&format!("diagnose {asked} {CAUSES}"));
    let models = room.path(".cache/srek/models");
    let embedded = std::fs::read_dir(models)
        .expect("the unpacked model")
        .next()
        .expect("one")
        .expect("entry")
        .path();
    let copy = room.copy(&embedded, "model");
    std::fs::write(copy.join("chat_template.jinja"), "{% for message in messages %}")
        .expect("a file");
    let ran = room.srek(&format!("diagnose {asked} --model model"));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr.starts_with("error: model/chat_template.jinja, line 1 of the chat template: "),
        "{ran:?}"
    );
}

#[test]
fn a_comparison_scores_models_and_methods_on_the_same_incidents() {
    let room = Room::new();
    let command =
        "eval --suite incidents,reading,forgetting --count 2 --train 40 --budget 200 --json";
    let json = room.srek(command).json();
    let scores = json["incidents"]["scores"].as_array().expect("a list");
    let methods: Vec<_> = scores.iter().map(|it| it["method"].as_str().expect("a name")).collect();
    assert_eq!(methods[..6], WITHOUT_A_MODEL);
    assert_eq!(methods[6..], ["few-shot base", "base", "fused"]);
    // Nothing was tuned: what the base adds to every other method is what can be said.
    let compared = compared(&json["incidents"]);
    let base = methods[..7].iter().map(|it| ("base", *it));
    let fused = methods[..8].iter().map(|it| ("fused", *it));
    assert_eq!(compared, base.chain(fused).collect::<Vec<_>>());
    assert_eq!(json["incidents"]["leaks"], 0);
    assert_eq!(json["incidents"]["near_duplicates"], 0);
    assert_eq!(json["incidents"]["train_checked"], 40);
    let cases = json["incidents"]["cases"].as_object().expect("counts");
    assert_eq!(cases.values().filter_map(Value::as_u64).sum::<u64>(), 2);
    let reading = json["reading"].as_array().expect("a list");
    assert_eq!(reading.len(), 3);
    // A whole group, as an explanation is compared with those of others.
    assert!(reading.iter().all(|it| it["found"]["count"] == 8 && it["nats"]["mean"].is_f64()));
    let losses = json["forgetting"][0]["losses"].as_array().expect("a list");
    let loss = |index: usize| losses[index]["per_token"].as_f64().expect("a number");
    assert!(losses.iter().all(|it| it["by_text"]["count"].as_u64() > Some(5)), "{losses:?}");
    // It was pretrained on incident prose and on nothing else.
    assert!(loss(1) < loss(0), "{losses:?}");
    let page = std::fs::read_to_string(room.path("runs/eval/report.html")).expect("a report");
    assert!(
        page.contains("Right answers") && !page.contains("http://") && !page.contains("https://")
    );
    assert!(room.path("runs/eval/eval.json").exists());
    room.srek("eval --count 0")
        .fails(2, "error: --count and --train are numbers of incidents, expected at least 1\n");
}

#[test]
fn every_seed_and_the_controls_are_trained_and_scored() {
    let room = Room::new();
    let command = "eval --seeds 2 --steps 1 --count 1 --train 12 --budget 200 --out seeds --json";
    let json = room.srek(command).json();
    let scores = json["incidents"]["scores"].as_array().expect("a list");
    let methods: Vec<_> = scores.iter().map(|it| it["method"].as_str().expect("a name")).collect();
    assert_eq!(methods[..6], WITHOUT_A_MODEL);
    let models = [
        "few-shot base",
        "base",
        "tuned, seed 1",
        "tuned, seed 2",
        "control: shuffled causes",
        "tuned, mean of 2 seeds",
    ];
    assert_eq!(methods[6..], models);
    assert_eq!(json["incidents"]["seeds"]["count"], 2);
    // The mean of the seeds is compared with everything but the seeds, controls among it.
    let mut others = WITHOUT_A_MODEL.to_vec();
    others.extend(["few-shot base", "base", "control: shuffled causes"]);
    let expected: Vec<_> = others.into_iter().map(|it| ("tuned, mean of 2 seeds", it)).collect();
    assert_eq!(compared(&json["incidents"]), expected);
    let page = std::fs::read_to_string(room.path("seeds/report.html")).expect("a report");
    assert!(page.contains("tuned, mean of 2 seeds minus base in cause top-1: "));
    // The base, too, writes without the grammar; what every seed trains on is looked at.
    assert_eq!(scores[7]["valid_unheld"]["count"], 1);
    assert_eq!(json["incidents"]["train_checked"], 24);
    let lines = |name: &str| {
        let path = room.path(&format!("seeds/{name}/incidents.jsonl"));
        std::fs::read_to_string(path).expect("records")
    };
    // Other incidents for another seed; for the control the same with other causes.
    assert_ne!(lines("tuned-seed-1"), lines("tuned-seed-2"));
    let (right, shuffled) = (lines("tuned-seed-1"), lines("control-shuffled-causes"));
    let prompts = |text: &str| -> Vec<Value> {
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["prompt"].clone())
            .collect()
    };
    assert_eq!(prompts(&right), prompts(&shuffled));
    assert_ne!(right, shuffled);
}

#[test]
fn commands_stand_beside_constant_answers_and_first_tokens_are_of_unread_prompts() {
    let room = Room::new();
    let json = room.srek("eval --suite commands,latency --count 3 --json").json();
    let rows = json["commands"].as_array().expect("a list");
    let models: Vec<_> = rows.iter().map(|it| it["model"].as_str().expect("a name")).collect();
    assert_eq!(models, ["constant answer", "constant answer", "base", "base"]);
    for row in rows {
        let of = |name: &str| row["score"][name]["mean"].as_f64().expect("a share");
        assert!(of("verbs") <= of("commands") && of("verdicts") <= 1.0, "{row}");
        assert_eq!(row["score"]["paths"]["count"], 3);
    }
    let times = &json["latency"][0];
    assert_eq!(times["diagnoses"], 3);
    let median = |name: &str| times[name][0].as_f64().expect("seconds");
    // Hundreds of tokens are read for the one, and one for the other.
    let (cold, warm) = (median("first_token_cold_seconds"), median("first_token_warm_seconds"));
    assert!(cold > 2.0 * warm, "{times}");
    assert!(median("diagnosis_seconds") > warm, "{times}");
}

#[test]
fn drafts_that_were_edited_and_secrets_of_the_cluster_are_looked_after() {
    let room = Room::new();
    let message = "image 1.4 to 1.5 with --db-password=k7Jq2mVx9";
    room.write("incident.json", example().replace("image 1.4 to 1.5", message));
    let asked = format!("diagnose --incident incident.json {CAUSES} --out made");
    let ran = room.must(&asked);
    assert!(ran.stderr.contains("incident.json: masked in messages: 1 password"), "{}", ran.stderr);
    for file in ["answer.json", "post-mortem.md", "runbook.md", "report.html"] {
        let text = std::fs::read_to_string(room.path("made").join(file)).expect("a file");
        assert!(!text.contains("k7Jq2mVx9"), "{file}");
    }
    room.must(&asked);
    let draft = room.path("made/post-mortem.md");
    let text = std::fs::read_to_string(&draft).expect("a draft") + "Confirmed by Ada.\n";
    std::fs::write(&draft, &text).expect("a file");
    room.srek(&asked).fails(
        2,
        "
error: made/post-mortem.md: it is not as `srek diagnose` wrote it
hint: keep the file elsewhere, or take another directory with --out
",
    );
    assert_eq!(std::fs::read_to_string(&draft).expect("a draft"), text);
}

#[test]
fn an_incident_without_telemetry_and_a_directory_of_others_are_refused() {
    let room = Room::new();
    let times = r#""start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:30:00Z""#;
    let services = r#""services": [{"name": "cart"}]"#;
    room.write("bare.json", format!("{{\"version\": 1, \"id\": \"bare\", {times}, {services}}}"));
    room.srek("diagnose --incident bare.json").fails(
        2,
        "
error: bare.json: there is nothing to diagnose: no metrics, logs, events or changes
hint: docs/incident.md says what of each is useful
",
    );
    room.write("mine/notes.md", "mine");
    let ran = room.srek("eval --suite latency --count 1 --out mine");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("notes.md"), "{}", ran.stderr);
    assert_eq!(std::fs::read_to_string(room.path("mine/notes.md")).expect("a file"), "mine");
}
