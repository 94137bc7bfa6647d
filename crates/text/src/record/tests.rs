use super::*;
use crate::chat::Message;
use std::fs;
use tempfile::TempDir;

/// A directory with these files in it.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    directory
}

/// The documents of one file in `directory`, and what went wrong, without the temporary path.
fn read_lines(content: &str) -> std::result::Result<Vec<Record>, String> {
    let directory = directory(&[("data.jsonl", content)]);
    let sources = Sources::find(&[directory.path().join("data.jsonl")]).unwrap();
    read(&sources, Limits::STANDARD)
        .collect::<Result<Vec<_>>>()
        .map_err(|error| error.to_string().replace(&directory.path().display().to_string(), "dir"))
}

#[test]
fn directories_give_documents_in_path_order() {
    let directory = directory(&[
        ("b.md", "second"),
        ("a/z.TXT", "first"),
        ("a/deeper/x.md", "before"),
        ("picture.png", ""),
        ("LICENSE", "none"),
        ("c.jsonl", "{}"),
    ]);
    let root = directory.path().join("notes");
    fs::create_dir(&root).unwrap();
    for name in ["a", "b.md", "picture.png", "LICENSE", "c.jsonl"] {
        fs::rename(directory.path().join(name), root.join(name)).unwrap();
    }
    let sources = Sources::find(&[root]).unwrap();
    assert_eq!(sources.ignored_files, 3);
    let records: Vec<_> = read(&sources, Limits::STANDARD).map(|record| record.unwrap()).collect();
    let found: Vec<_> = records
        .iter()
        .map(|record| match &record.content {
            Content::Text(text) => (record.source.as_str(), text.as_str()),
            other => panic!("a text file gave {other:?}"),
        })
        .collect();
    assert_eq!(
        found,
        [("notes/a/deeper/x.md", "before"), ("notes/a/z.TXT", "first"), ("notes/b.md", "second")]
    );
}

#[test]
fn inputs_without_documents_are_refused() {
    let directory = directory(&[("a.png", ""), ("b.pdf", "")]);
    let here = directory.path().display().to_string();
    let refusal =
        |inputs: &[PathBuf]| Sources::find(inputs).unwrap_err().to_string().replace(&here, "dir");
    let hint = "\nhint: directories are searched for .md and .txt; .jsonl files are named themselves, as DIR/*.jsonl";
    assert_eq!(refusal(&[directory.path().to_owned()]), format!("dir: no document found{hint}"));
    assert_eq!(refusal(&[]), format!("no input: no document found{hint}"));
    assert_eq!(
        refusal(&[directory.path().join("b.pdf")]),
        "dir/b.pdf: expected a directory, or a .md, .txt or .jsonl file"
    );
    assert_eq!(
        refusal(&[directory.path().join("gone")]),
        "cannot read dir/gone: no such file or directory"
    );
}

#[test]
fn links_that_lead_back_are_an_error_and_not_a_loop() {
    let directory = directory(&[("a/x.md", "text")]);
    std::os::unix::fs::symlink(directory.path(), directory.path().join("a/loop")).unwrap();
    let error = Sources::find(&[directory.path().to_owned()]).unwrap_err().to_string();
    assert!(error.ends_with("this symbolic link leads back to a directory around it"), "{error}");
}

#[test]
fn lines_of_both_kinds_are_read() {
    let records = read_lines(
        "{\"text\": \"disk full\"}\n\n  \r\n{\"input_ids\": [1, 2], \"labels\": [-100, 2], \
         \"id\": \"case 7\", \"group\": 77, \"time\": \"2024-05-17T08:30:00Z\"}\r\n{\"text\": \"no break at the end\", \"id\": 12}",
    )
    .unwrap();
    let said = (records[1].group.as_deref(), records[1].time);
    assert_eq!(said, (Some("77"), Time::parse("2024-05-17T08:30:00Z")));
    let names: Vec<_> = records.iter().map(|record| record.source.as_str()).collect();
    assert_eq!(names, ["data.jsonl:1", "case 7", "12"]);
    let lines: Vec<_> = records.iter().map(|record| record.place.line).collect();
    assert_eq!(lines, [Some(1), Some(4), Some(5)]);
    assert_eq!(records[0].content, Content::Text("disk full".to_owned()));
    assert_eq!(records[1].content, Content::Tokens { ids: vec![1, 2], labels: vec![-100, 2] });
}

#[test]
fn lines_that_are_no_record_are_named() {
    let cases = [
        ("{\"text\": \"a\"}\nnonsense", "2: not a record: expected ident (byte 2 of the line)"),
        ("{\"text\": \"a\", \"id\": \"b\\u001b[2J\"}", "1: the id has a control character"),
        ("{\"text\": \"a\"", "1: not a record: EOF while parsing an object (byte 12 of the line)"),
        (
            "{\"text\": 3}",
            "1: not a record: invalid type: integer `3`, expected a string (byte 10 of the line)",
        ),
        (
            "{\"txet\": \"a\"}",
            "1: not a record: unknown field `txet`, expected one of `id`, `group`, `time`, \
             `text`, `input_ids`, `labels`, `messages`, `conversations`, `instruction`, `input`, \
             `output`, `prompt`, `completion`, `tools` (byte 7 of the line)",
        ),
        (
            "{\"password=hunter22x\": \"a\"}",
            "1: not a record: unknown field `password=[REDACTED:password]`, expected one of `id`, \
             `group`, `time`, `text`, `input_ids`, `labels`, `messages`, `conversations`, \
             `instruction`, `input`, `output`, `prompt`, `completion`, `tools` (byte 21 of the line)",
        ),
        (
            "{\"text\": \"a\", \"time\": \"May\"}",
            "1: the time is none\nhint: write 2024-05-17T08:30:00Z, or a day as 2024-05-17",
        ),
        (
            "{}",
            "1: expected one of text; input_ids and labels; messages; conversations; instruction and output; prompt and completion",
        ),
        (
            "{\"text\": \"a\", \"input_ids\": [1], \"labels\": [1]}",
            "1: expected one of text; input_ids and labels; messages; conversations; instruction and output; prompt and completion",
        ),
        (
            "{\"input_ids\": [1]}",
            "1: there are input_ids without labels\nhint: labels equal the input_ids where they \
             are trained, and are -100 where not",
        ),
        (
            "{\"input_ids\": [1, 2], \"labels\": [1]}",
            "1: there are 2 input_ids and 1 labels, expected as many",
        ),
        (
            "{\"input_ids\": [], \"labels\": []}",
            "1: the document has no token\nhint: remove the line",
        ),
        (
            "{\"input_ids\": [-1], \"labels\": [1]}",
            "1: not a record: invalid value: integer `-1`, expected u32 (byte 17 of the line)",
        ),
        ("\n{\"text\": \" \\n \"}", "2: the document is empty\nhint: remove it"),
        (
            "{\"text\": \"a\", \"id\": [1]}",
            "1: not a record: the id or group is neither a string nor a whole number (byte 24 of the line)",
        ),
    ];
    for (content, problem) in cases {
        assert_eq!(read_lines(content).unwrap_err(), format!("dir/data.jsonl:{problem}"));
    }
    let not_utf8 = directory(&[]);
    let path = not_utf8.path().join("x.jsonl");
    fs::write(&path, b"{\"text\": \"\xff\"}").unwrap();
    let sources = Sources::find(&[path]).unwrap();
    let error = read(&sources, Limits::STANDARD).next().unwrap().unwrap_err().to_string();
    assert!(error.contains("x.jsonl:1: not a record: invalid unicode"), "{error}");
}

/// What a line says, each turn as `role: content`, `!` where it is not the default what trains.
fn turns(line: &str) -> std::result::Result<Vec<String>, String> {
    let records = read_lines(line)?;
    let Content::Messages(conversation) = &records[0].content else {
        panic!("{line} is no conversation");
    };
    let shown = |it: &Message| {
        let choice = if it.trained == (it.role.name() == "assistant") { "" } else { "!" };
        format!("{}{choice}: {}", it.role.name(), it.content)
    };
    Ok(conversation.messages.iter().map(shown).collect())
}

#[test]
fn conversations_of_all_forms_are_read() {
    let table: [(&str, &[&str]); 7] = [
        (
            r#"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": ""},
                {"role": "assistant", "content": "a", "train": false}, {"role": "tool", "content": "t"},
                {"content": "b", "role": "assistant"}], "id": 3, "group": "INC-7"}"#,
            &["system: s", "user: ", "assistant!: a", "tool: t", "assistant: b"],
        ),
        (
            r#"{"conversations": [{"from": "human", "value": "q", "train": true}, {"from": "gpt", "value": "a"}]}"#,
            &["user!: q", "assistant: a"],
        ),
        (
            r#"{"instruction": "Explain", "input": "OOM", "output": "x"}"#,
            &["user: Explain\n\nOOM", "assistant: x"],
        ),
        (
            r#"{"instruction": "Explain", "input": " ", "output": "x"}"#,
            &["user: Explain", "assistant: x"],
        ),
        (r#"{"instruction": "Explain", "output": "x"}"#, &["user: Explain", "assistant: x"]),
        (r#"{"completion": " y", "prompt": ""}"#, &["user: ", "assistant:  y"]),
        (
            r#"{"prompt": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "q"}],
                "completion": [{"role": "assistant", "content": "b"}]}"#,
            &["assistant!: a", "user: q", "assistant: b"],
        ),
    ];
    for (line, expected) in table {
        assert_eq!(turns(&line.replace('\n', " ")).unwrap(), expected, "{line}");
    }
}

#[test]
fn conversations_that_are_none_are_named() {
    let forms = "expected one of text; input_ids and labels; messages; conversations; instruction \
                 and output; prompt and completion";
    let table = [
        (r#"{"messages": []}"#, "the conversation has no message"),
        (
            r#"{"messages": [{"role": "bot", "content": "x"}]}"#,
            "message 1: the role \"bot\" is none of system, user, assistant, tool",
        ),
        (
            r#"{"messages": [{"role": "user", "content": "x", "name": "y"}]}"#,
            "message 1: name is a result's, not of user",
        ),
        (
            r#"{"messages": [{"role": "user", "content": "x", "weight": 1}]}"#,
            "not a record: unknown field `weight`, expected one of `role`, `content`, `train`, ",
        ),
        (
            r#"{"messages": [{"role": "user", "content": ["x"]}]}"#,
            "not a record: invalid type: sequence, expected a string (",
        ),
        (r#"{"messages": [{"role": "user", "content": null}]}"#, "message 1: it has no content"),
        (
            r#"{"messages": "password=hunter22x\", expected a sequence"}"#,
            "not a record: invalid type: string, expected a sequence (",
        ),
        (
            r#"{"messages": [{"role": "user", "content": "x", "`, expected y": 1}]}"#,
            "not a record: unknown field ``, expected y`, expected one of `role`, `content`, ",
        ),
        (
            r#"{"messages": [{"role": "password=hunter22x", "content": "x"}]}"#,
            "message 1: the role \"password=[REDACTED:password]\" is none of system, user,",
        ),
        (
            r#"{"conversations": [{"from": "a person that has no name but is", "value": "x"}]}"#,
            "message 1: it is from \"a person that has no name but is\", expected system,",
        ),
        (
            r#"{"conversations": [{"from": "a person that has no name but was", "value": "x"}]}"#,
            "message 1: it is from \"a person that has no name but wa…\", expected system,",
        ),
        (r#"{"messages": [{"role": "user"}]}"#, "message 1: it has no content"),
        (
            r#"{"messages": [{"role": "user", "content": "x", "train": 1}]}"#,
            "not a record: invalid type: integer `1`, expected a boolean (",
        ),
        (
            r#"{"messages": [{"role": "assistant", "content": " "}]}"#,
            "message 1 is to be trained and says nothing\nhint: remove it, or set its train to false",
        ),
        (
            r#"{"conversations": [{"from": "bing", "value": "x"}]}"#,
            "message 1: it is from \"bing\", expected system, human, user, gpt, assistant, tool, function_call",
        ),
        (
            r#"{"prompt": "x", "completion": []}"#,
            "prompt and completion must both be text or both be lists",
        ),
        (r#"{"prompt": [], "completion": []}"#, "the completion has no message"),
        (
            r#"{"prompt": 7, "completion": "x"}"#,
            "not a record: invalid type: integer `7`, expected a prompt or completion that is a string or a list of messages",
        ),
        (r#"{"prompt": "x", "completion": ""}"#, "message 2 is to be trained and says nothing"),
        (r#"{"prompt": "x"}"#, forms),
        (r#"{"instruction": "x", "input": "y"}"#, forms),
        (r#"{"messages": [], "text": "x"}"#, forms),
        (r#"{"instruction": "x", "output": "y", "prompt": "z"}"#, forms),
    ];
    for (line, problem) in table {
        let error = turns(line).unwrap_err();
        assert!(error.starts_with(&format!("dir/data.jsonl:1: {problem}")), "{line}: {error}");
    }
    let deep = format!("{{\"messages\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(turns(&deep).unwrap_err().contains("not a record: "));
    let many = "{\"role\":\"user\",\"content\":\"\"},".repeat(10_001);
    let error = turns(&format!("{{\"messages\":[{}]}}", many.trim_end_matches(','))).unwrap_err();
    assert!(error.ends_with("the conversation has 10001 messages, at most 10000 go"), "{error}");
}

#[test]
fn limits_hold() {
    let directory = directory(&[
        ("long.jsonl", "{\"text\": \"0123456789\"}\n"),
        ("long.md", "0123456789"),
        ("exact.jsonl", "{\"text\":\"0123456789\"}\n"),
    ]);
    let error = |name: &str, limits: Limits| {
        let sources = Sources::find(&[directory.path().join(name)]).unwrap();
        read(&sources, limits).next().unwrap().map_err(|error| {
            error.to_string().replace(&directory.path().display().to_string(), "dir")
        })
    };
    let limits = Limits { document_bytes: 9, line_bytes: 21, file_bytes: 1000 };
    assert_eq!(
        error("long.jsonl", limits).unwrap_err(),
        "dir/long.jsonl:1: the line has more than 21 bytes, the limit of a line"
    );
    assert_eq!(
        error("long.md", limits).unwrap_err(),
        "cannot read dir/long.md: it holds 10 bytes, more than the limit of 9"
    );
    assert_eq!(
        error("exact.jsonl", limits).unwrap_err(),
        "dir/exact.jsonl:1: the text has 10 bytes, at most 9 go into a document"
    );
    error("exact.jsonl", Limits { document_bytes: 10, ..limits }).unwrap();
    assert_eq!(
        error("long.jsonl", Limits { file_bytes: 20, ..limits }).unwrap_err(),
        "dir/long.jsonl: the file has more than 20 bytes, the limit of a file"
    );
}

#[test]
fn reading_goes_on_behind_a_document_that_is_none() {
    let directory = directory(&[("a.jsonl", "{\"text\": \"a\"}\nx\n{\"text\": \"b\"}\n")]);
    let sources = Sources::find(&[directory.path().join("a.jsonl")]).unwrap();
    let read: Vec<_> = read(&sources, Limits::STANDARD).map(|it| it.is_ok()).collect();
    assert_eq!(read, [true, false, true]);
}

#[test]
fn documents_that_are_no_text_are_named() {
    let directory = directory(&[("empty.md", " \n")]);
    fs::write(directory.path().join("latin.txt"), b"caf\xe9").unwrap();
    let error = |name: &str| {
        let sources = Sources::find(&[directory.path().join(name)]).unwrap();
        let error = read(&sources, Limits::STANDARD).next().unwrap().unwrap_err();
        error.to_string().replace(&directory.path().display().to_string(), "dir")
    };
    assert_eq!(error("empty.md"), "dir/empty.md: the document is empty\nhint: remove it");
    assert_eq!(
        error("latin.txt"),
        "cannot read dir/latin.txt as text: byte 3 is not UTF-8\nhint: convert the file to UTF-8 \
         first"
    );
}
