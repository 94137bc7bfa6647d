//! What `ollama create` reads beside a GGUF file.

use anyhow::Result;
use model::load::GGUF_FILE;
use std::fmt::Write as _;
use std::path::Path;
use text::chat::Template;
use text::tokenizer::Tokenizer;

/// The largest licence that is quoted.
const LICENCE_LIMIT_BYTES: u64 = 1 << 20;

/// How Ollama asks the model.
#[derive(Debug, Default)]
pub(super) struct Modelfile {
    /// Over the messages; none where Go's templates cannot say it.
    template: Option<String>,
    /// The chat template that it was made of; none where there is no tokenizer to write one with.
    of: Option<Of>,
    /// Names of the tokens that end an answer.
    stops: Vec<String>,
}

/// A chat template in Jinja.
#[derive(Debug)]
struct Of {
    /// The name of the one of ours that is taken where the model has none.
    built_in: Option<String>,
    /// Whether it writes tools, calls of them or what these gave.
    tools: bool,
}

impl Of {
    fn new(template: &Template, own: bool) -> Of {
        let mentions = |it: &&str| template.source().contains(*it);
        Of {
            built_in: (!own).then(|| template.origin().display().to_string()),
            tools: ["tools", "tool_calls", "'tool'", "\"tool\""].iter().any(mentions),
        }
    }
}

impl Modelfile {
    /// Of the model's own template, or of one of ours.
    pub(super) fn new(template: &Template, own: bool, tokenizer: &Tokenizer) -> Modelfile {
        let ends = tokenizer.ends();
        let names = ends.iter().filter_map(|id| tokenizer.special_name(*id));
        Modelfile {
            template: template.go(tokenizer),
            of: Some(Of::new(template, own)),
            stops: names.map(str::to_owned).collect(),
        }
    }

    /// What Ollama will not do with chats, in a line each.
    pub(super) fn notes(&self) -> Vec<String> {
        let by_hand = "for chats, write a TEMPLATE by hand";
        let Some(of) = &self.of else {
            return vec![format!("the model has no chat template and no tokenizer: {by_hand}")];
        };
        let mut notes = Vec::new();
        match (&self.template, &of.built_in) {
            (Some(_), None) => {}
            (Some(_), Some(name)) => notes.push(format!(
                "the model has no chat template; TEMPLATE is srek's own ({name})"
            )),
            (None, None) => notes.push(format!(
                "the chat template has no form in Ollama's language, and Ollama does not run the one inside the \
                 file: {by_hand}"
            )),
            (None, Some(name)) => notes.push(format!(
                "the model has no chat template, and srek's own ({name}) has no form in Ollama's language: {by_hand}"
            )),
        }
        if of.tools && self.template.is_some() {
            notes.push(
                "the chat template writes tools or their results; TEMPLATE has no branch for them"
                    .to_owned(),
            );
        }
        notes
    }

    /// Its text; licences are those of the names in the directory.
    pub(super) fn text(&self, licences: &[String], directory: &Path) -> Result<String> {
        let mut text = format!("FROM ./{GGUF_FILE}\n");
        for note in self.notes() {
            writeln!(text, "# {note}.")?;
        }
        if let Some(template) = &self.template {
            writeln!(text, "TEMPLATE \"\"\"{template}\"\"\"")?;
        }
        for stop in &self.stops {
            writeln!(text, "PARAMETER stop \"{stop}\"")?;
        }
        for name in licences {
            let licence = files::read_to_string(directory.join(name), LICENCE_LIMIT_BYTES)?;
            // Three quotes would end it.
            writeln!(text, "LICENSE \"\"\"{}\"\"\"", licence.replace("\"\"\"", "\" \" \""))?;
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use text::chat::Date;

    fn notes(template: Option<&str>, of: &Template, own: bool) -> Vec<String> {
        let template = template.map(str::to_owned);
        Modelfile { template, of: Some(Of::new(of, own)), stops: Vec::new() }.notes()
    }

    #[test]
    fn what_ollama_will_not_do_is_said() {
        let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/chat");
        let read =
            |name: &str| Template::from_file(&goldens.join(name), Date::STANDARD).expect(name);
        let (tools, plain) = (read("json_tools.jinja"), Template::plain(Date::STANDARD));
        assert!(notes(Some("x"), &plain, true).is_empty());
        let said = notes(Some("x"), &tools, true);
        assert!(said.len() == 1 && said[0].contains("has no branch for them"), "{said:?}");
        let said = notes(None, &tools, true);
        assert!(
            said.len() == 1 && said[0].ends_with("for chats, write a TEMPLATE by hand"),
            "{said:?}"
        );
        assert!(said[0].contains("Ollama does not run the one inside the file"), "{said:?}");
        let said = notes(None, &plain, false);
        assert!(
            said[0].starts_with("the model has no chat template, and srek's own (plain)"),
            "{said:?}"
        );
        let said = notes(Some("x"), &plain, false);
        assert_eq!(said, ["the model has no chat template; TEMPLATE is srek's own (plain)"]);
        // The comment is in the file, each in a line.
        let text = Modelfile::default().text(&[], Path::new(".")).expect("no licences");
        assert!(
            text.contains("\n# the model has no chat template and no tokenizer: for chats,"),
            "{text}"
        );
    }
}
