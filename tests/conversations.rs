//! Conversations from outside: the samples build, and what is wrong is named.

use crate::command::{Room, root};

#[test]
fn every_sample_of_text_builds_into_one_data_set() {
    let room = Room::new();
    room.copy(&root().join("datasets/samples"), "samples");
    let names = ["messages", "conversations", "instructions", "pairs", "text"];
    let inputs = names.map(|name| format!("samples/{name}.jsonl")).join(" ");
    let ran = room.must(&format!(
        "data build --json --input {inputs} samples/document.md --context 400 --train-tokenizer 300 --out set"
    ));
    let json = ran.json();
    assert_eq!((&json["records"], &json["conversations"]), (&10.into(), &7.into()));
    assert_eq!(json["template"], "llama3");
    let ran = room.must("data inspect set --document 1 --tokenizer set.tokenizer.json");
    let end = "assistant‹<|end_header_id|>›\n\n⟧Then it is empty.‹<|eot_id|>›\n";
    assert!(ran.stdout.ends_with(end), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("I cannot know that.‹<|eot_id|>›‹<|start_header_id|>›"),
        "{}",
        ran.stdout
    );
}

#[test]
fn tools_and_calls_go_through_a_template_that_knows_them() {
    let room = Room::new();
    room.copy(&root().join("datasets/samples"), "samples");
    room.copy(&root().join("tests/goldens/chat"), "templates");
    let build =
        "data build --input samples/tools.jsonl --context 1200 --train-tokenizer 270 --template";
    room.must(&format!("{build} templates/json_tools.jinja --out set"));
    let ran = room.must("data inspect set --document 0 --tokenizer set.tokenizer.json");
    let call = r#"⟧{"name": "kubectl_get", "parameters": {"kind": "pods", "namespace": "shop"}}‹<|eot_id|>›"#;
    assert!(ran.stdout.contains(call), "{}", ran.stdout);
    assert!(ran.stdout.contains("\n                \"kind\": {\n"), "{}", ran.stdout);
    let ran = room.srek(&format!("{build} llama3 --out other"));
    let hint = "it writes 0\nhint: choose a chat template that knows tools\n";
    assert!(ran.stderr.ends_with(hint), "{}", ran.stderr);
}

#[test]
fn text_that_looks_like_a_special_token_is_shown_as_text() {
    let room = Room::new();
    room.write("a.md", "before <|end_of_text|> after");
    room.must("data build --input a.md --context 64 --train-tokenizer 261 --out set");
    let ran = room.must("data inspect set --document 0 --tokenizer set.tokenizer.json");
    let shown = "‹<|begin_of_text|>›⟧before <|end_of_text|> after‹<|end_of_text|>›";
    assert!(ran.stdout.contains(shown), "{}", ran.stdout);
}

#[test]
fn conversations_and_templates_that_are_wrong_are_named() {
    let room = Room::new();
    let good = "{\"prompt\": \"x\", \"completion\": \"y\"}\n";
    room.write(
        "a.jsonl",
        format!("{good}{{\"messages\": [{{\"role\": \"boss\", \"content\": \"x\"}}]}}\n"),
    );
    let build = "data build --context 64 --train-tokenizer 261 --out set --input";
    room.srek(&format!("{build} a.jsonl")).fails(
        2,
        r#"
error: a.jsonl:2: message 1: the role "boss" is none of system, user, assistant, tool
"#,
    );
    room.write("b.jsonl", good);
    room.write(
        "refuses.jinja",
        "{% for message in messages %}\n{{ raise_exception('no pairs') }}\n{% endfor %}",
    );
    room.srek(&format!("{build} b.jsonl --template refuses.jinja")).fails(
        2,
        r"
error: b.jsonl:1: refuses.jinja, line 2 of the chat template: it refuses the conversation: no pairs
",
    );
    room.write("open.jinja", "x\n{% for");
    let ran = room.srek(&format!("{build} b.jsonl --template open.jinja"));
    assert!(
        ran.stderr.starts_with("error: open.jinja, line 2 of the chat template: wrong syntax: "),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.code, Some(2));
    room.srek(&format!("{build} b.jsonl --date 2024-5-17")).fails(
        2,
        r#"
error: --date is "2024-5-17", expected a day as 2024-05-17
"#,
    );
    assert!(!room.path("set").exists());
}
