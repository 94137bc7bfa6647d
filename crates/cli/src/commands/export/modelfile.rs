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
    /// Names of the tokens that end an answer.
    stops: Vec<String>,
}

impl Modelfile {
    pub(super) fn new(template: &Template, tokenizer: &Tokenizer) -> Modelfile {
        let ends = tokenizer.ends();
        let names = ends.iter().filter_map(|id| tokenizer.special_name(*id));
        Modelfile { template: template.go(tokenizer), stops: names.map(str::to_owned).collect() }
    }

    /// Its text; licences are those of the names in the directory.
    pub(super) fn text(&self, licences: &[String], directory: &Path) -> Result<String> {
        let mut text = format!("FROM ./{GGUF_FILE}\n");
        match &self.template {
            Some(template) => writeln!(text, "TEMPLATE \"\"\"{template}\"\"\"")?,
            None => text.push_str(
                "# The chat template has no form in Ollama's language; the one inside the file stands.\n",
            ),
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
