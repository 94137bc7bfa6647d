use super::*;

/// The documents of these lines as text with what is trained in brackets.
fn built_text(
    lines: &str,
    vocabulary: Vocabulary<'_>,
    context: u32,
) -> std::result::Result<Vec<String>, String> {
    let directory = inputs(&[("data.jsonl".to_owned(), lines.to_owned())]);
    let input = directory.path().join("data.jsonl");
    let options =
        BuildOptions { long_documents: LongDocument::Split, ..BuildOptions::new(context) };
    let (out, _) = try_build(&input, vocabulary, &options)?;
    let dataset = open(&out);
    let text = |index: usize| {
        let sample = crate::inspect::sample(&dataset, &TOKENIZER, index).unwrap();
        let runs = sample.tokens.chunk_by(|one, next| one.trained == next.trained);
        runs.map(|run| {
            let text: String = run.iter().map(|token| token.text.as_str()).collect();
            if run[0].trained { format!("[{text}]") } else { text }
        })
        .collect()
    };
    Ok((0..dataset.len()).map(text).collect())
}

#[test]
fn conversations_and_texts_mix() {
    let lines = "{\"prompt\": \"why <|eot_id|>?\", \"completion\": \" disk \"}\n{\"text\": \"a\"}\n\
                 {\"conversations\": [{\"from\": \"gpt\", \"value\": \"yes\"}]}";
    let llama3 = Template::llama3(Date::STANDARD);
    let chat = Vocabulary::Chat { tokenizer: &TOKENIZER, template: &llama3 };
    let head = |name| format!("<|start_header_id|>{name}<|end_header_id|>\n\n");
    let (user, assistant) = (head("user"), head("assistant"));
    assert_eq!(
        built_text(lines, chat, 99).unwrap(),
        [
            format!("<|begin_of_text|>{user}why <|eot_id|>?<|eot_id|>{assistant}[disk<|eot_id|>]"),
            "<|begin_of_text|>[a<|end_of_text|>]".to_owned(),
            format!("<|begin_of_text|>{assistant}[yes<|eot_id|>]"),
        ]
    );
    let plain = Template::plain(Date::STANDARD);
    let chat = Vocabulary::Chat { tokenizer: &TOKENIZER, template: &plain };
    assert_eq!(
        built_text(lines, chat, 99).unwrap()[0],
        "<|begin_of_text|>### user\n\nwhy <|eot_id|>?\n\n### assistant\n\n[disk<|end_of_text|>]"
    );
    let (pairs, none) = (lines.lines().next().unwrap(), Vocabulary::Tokenizer(&TOKENIZER));
    assert_eq!(
        built_text(pairs, none, 99).unwrap(),
        ["<|begin_of_text|>why <|eot_id|>?[ disk <|end_of_text|>]"]
    );
    assert_eq!(
        built_text(lines, none, 99).unwrap_err(),
        "input:3: without a chat template a prompt and its completion are expected, there are 1 \
         messages\nhint: choose a chat template"
    );
    let error = built_text(lines, chat, 8).unwrap_err();
    assert!(
        error.starts_with("input:1: the conversation has ") && error.contains("not split"),
        "{error}"
    );
}

#[test]
fn secrets_in_conversations_are_found() {
    let key = format!("AKIA{}", "Q3ZT7NWX5RBL2KVD");
    for line in [
        format!("{{\"prompt\": \"x {key}\", \"completion\": \"y\"}}"),
        format!("{{\"instruction\": \"x\", \"input\": \"y\", \"output\": \"{key}\"}}"),
        format!("{{\"messages\": [{{\"role\": \"system\", \"content\": \"{key}\"}}]}}"),
    ] {
        let plain = Template::plain(Date::STANDARD);
        let chat = Vocabulary::Chat { tokenizer: &TOKENIZER, template: &plain };
        let error = built_text(&line, chat, 99).unwrap_err();
        assert!(error.starts_with("1 secrets in the documents"), "{line}: {error}");
    }
}
