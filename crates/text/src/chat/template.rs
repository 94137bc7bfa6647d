//! A chat template: where it comes from, and what it makes of messages.

use super::functions::{Date, environment};
use super::spans::{self, Expected, GENERATED, GENERATED_END, Placement, Turn, is_mark};
use super::{Conversation, Message, Rendered, Role, tools};
use crate::tokenizer::{After, Tokenizer};
use crate::{Error, Place, Result};
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The files that a Hugging Face tokenizer may bring its template in.
const TEMPLATE_FILE: &str = "chat_template.jinja";
const CONFIG_FILE: &str = "tokenizer_config.json";

/// Largest template or configuration that is read. Llama 3's configuration has 50 KB.
const FILE_LIMIT_BYTES: u64 = 4 << 20;

/// The name of the template, and of the one for conversations with tools where there is one.
const DEFAULT: &str = "default";
const FOR_TOOLS: &str = "tool_use";

/// The special tokens that the built-in Llama 3 template writes.
const LLAMA3_MARKS: [&str; 3] = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"];

/// How conversations are written for a model.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    /// The file, or the name of a built-in template.
    origin: PathBuf,
    hash: String,
    source: String,
    /// The marks by the names of its configuration; else they are the tokenizer's.
    begin: Option<String>,
    end: Option<String>,
}

impl Template {
    /// The format of Llama 3, built in.
    pub fn llama3(date: Date) -> Self {
        Self::built_in("llama3", include_str!("llama3.jinja"), date)
    }

    /// A format without special tokens beyond begin and end, built in: headings of Markdown.
    pub fn plain(date: Date) -> Self {
        Self::built_in("plain", include_str!("plain.jinja"), date)
    }

    /// The built-in template that fits: Llama 3's where the tokenizer has its marks, else the
    /// plain one.
    pub fn fitting(tokenizer: &Tokenizer, date: Date) -> Self {
        match Self::check_llama3(tokenizer) {
            Ok(()) => Self::llama3(date),
            Err(_) => Self::plain(date),
        }
    }

    /// Whether the tokenizer has the marks of Llama 3's format.
    ///
    /// # Errors
    /// It lacks one.
    pub fn check_llama3(tokenizer: &Tokenizer) -> Result<()> {
        match LLAMA3_MARKS.into_iter().find(|name| tokenizer.special_id(name).is_none()) {
            None => Ok(()),
            Some(name) => Err(Error::Conversation {
                problem: format!(
                    "the tokenizer has no special token {name}, which the llama3 template \
                     writes\nhint: use the plain template"
                ),
            }),
        }
    }

    /// A template in a file of its own.
    ///
    /// # Errors
    /// A file that cannot be read or is no template.
    pub fn from_file(path: &Path, date: Date) -> Result<Self> {
        let source = files::read_to_string(path, FILE_LIMIT_BYTES)?;
        Self::new(path.to_owned(), &source, &Config::default(), date)
    }

    /// The template that a tokenizer's directory brings: `chat_template.jinja`, or
    /// `chat_template` in `tokenizer_config.json`, of several the one named `default`, and `tool_use`
    /// where there are tools, as transformers chooses. `None` if there is none.
    ///
    /// # Errors
    /// A file that cannot be read, is not what it should be, or holds no valid template.
    pub fn open(directory: &Path, date: Date) -> Result<Option<Self>> {
        let config_file = directory.join(CONFIG_FILE);
        let config =
            if config_file.exists() { read_config(&config_file)? } else { Config::default() };
        let file = directory.join(TEMPLATE_FILE);
        if file.exists() {
            let source = files::read_to_string(&file, FILE_LIMIT_BYTES)?;
            return Self::new(file, &source, &config, date).map(Some);
        }
        Self::of_config(&config_file, &config, date)
    }

    /// The template in the text of a `tokenizer_config.json`, which stands in the file `origin` or
    /// was made of it. `None` if there is none.
    ///
    /// # Errors
    /// A text that is not what it should be, or holds no valid template.
    pub fn from_config(origin: &Path, text: &[u8], date: Date) -> Result<Option<Self>> {
        Self::of_config(origin, &parse_config(origin, text)?, date)
    }

    fn of_config(origin: &Path, config: &Config, date: Date) -> Result<Option<Self>> {
        match &config.chat_template {
            None => Ok(None),
            Some(Templates::One(source)) => {
                Self::new(origin.to_owned(), source, config, date).map(Some)
            }
            Some(Templates::Several(named)) => {
                let of = |name| named.iter().find(|it| it.name == name);
                let chosen = of("default").ok_or_else(|| wrong_config(origin, named))?;
                let mut template = Self::new(origin.to_owned(), &chosen.template, config, date)?;
                if let Some(other) = of(FOR_TOOLS) {
                    template.add(FOR_TOOLS, &other.template)?;
                    template.hash =
                        files::sha256([&*template.source, &*other.template].join("\0").as_bytes());
                }
                Ok(Some(template))
            }
        }
    }

    fn built_in(name: &str, source: &str, date: Date) -> Self {
        let template = Self::new(PathBuf::from(name), source, &Config::default(), date);
        template.expect("a built-in template is valid")
    }

    fn new(origin: PathBuf, source: &str, config: &Config, date: Date) -> Result<Self> {
        let mut environment = environment(date);
        // `{% generation %}` becomes a filter over the block: the same length, so that the place
        // of every error stays.
        environment
            .add_filter("generation", |text: String| format!("{GENERATED}{text}{GENERATED_END}"));
        let name = |token: &TokenName| match token {
            TokenName::Plain(name) | TokenName::Described { content: name } => name.clone(),
        };
        let mut template = Self {
            environment,
            origin,
            hash: files::sha256(source.as_bytes()),
            source: source.to_owned(),
            begin: config.bos_token.as_ref().map(name),
            end: config.eos_token.as_ref().map(name),
        };
        template.add(DEFAULT, source)?;
        Ok(template)
    }

    /// Adds a source under a name.
    fn add(&mut self, name: &'static str, source: &str) -> Result<()> {
        if let Some(at) = source.find(is_mark) {
            let line = 1 + source[..at].matches('\n').count();
            return Err(wrong(&self.origin, Some(line), "there is a noncharacter of Unicode"));
        }
        let added = self.environment.add_template_owned(name, with_generation_filter(source));
        added.map_err(|error| explained(&self.origin, &error))
    }

    /// The file, or the name of a built-in template.
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// Its source, in Jinja.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The SHA-256 of the template's source, in hexadecimal; where there is one for tools, of both.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Writes a conversation. With `add_generation_prompt` it ends where the assistant's answer
    /// begins.
    ///
    /// # Errors
    /// Messages that the template refuses, a trained message without text, or a template that
    /// does not write every message once and whole.
    pub fn render(
        &self,
        conversation: &Conversation,
        tokenizer: &Tokenizer,
        add_generation_prompt: bool,
    ) -> Result<Rendered> {
        check(conversation)?;
        let messages = &conversation.messages;
        let as_it_is = Writing {
            marks: self.marks(tokenizer),
            beside: &Beside::new(conversation, Ok)?,
            add_generation_prompt,
        };
        let guarded = Writing {
            beside: &Beside::new(conversation, |value| tools::guarded(value, tokenizer))?,
            ..as_it_is
        };
        let plain = self.unmarked(messages, as_it_is)?;
        let turns = self.turns(messages, &plain, as_it_is, tokenizer)?;
        let expected = Expected {
            messages: spans::expected(messages),
            counted: guarded.beside.counted,
            turns: &turns,
        };
        for placement in Placement::ALL {
            let marked = |message: &Message| spans::marked(message, placement, tokenizer);
            let text = self.written(messages, guarded, marked)?;
            if spans::unmarked(&text) != plain {
                continue;
            }
            let moved = spans::with_blanks(&text);
            let moves = moved != text && self.leaves_blank(messages, as_it_is);
            let text = if moves { moved } else { text };
            let pieces = spans::pieces(&text, expected, tokenizer)
                .map_err(|problem| wrong(&self.origin, None, &problem))?;
            let begins = pieces.iter().take_while(|it| it.special == Some(tokenizer.bos())).count();
            if begins > 1 {
                return Err(wrong(&self.origin, None, "it writes the begin mark more than once"));
            }
            return Ok(Rendered { pieces, behind_marks: After::Mark });
        }
        Err(wrong(
            &self.origin,
            None,
            "it changes what messages say, so that nobody could tell what of it is trained\nhint: \
             name another template",
        ))
    }

    /// The names of begin and end mark.
    fn marks<'a>(&'a self, tokenizer: &'a Tokenizer) -> [&'a str; 2] {
        let marks = [(&self.begin, tokenizer.bos()), (&self.end, tokenizer.eos())];
        marks.map(|(name, id)| match name {
            Some(name) => name.as_str(),
            None => tokenizer.special_name(id).unwrap_or_default(),
        })
    }

    /// Whether a prompt ends without the blank that the template writes in front of answers, as
    /// Llama 2's does. Then the model has to produce the blank.
    fn leaves_blank(&self, messages: &[Message], writing: Writing<'_>) -> bool {
        let first = messages.iter().position(|message| message.role == Role::Assistant);
        let writing = Writing { add_generation_prompt: true, ..writing };
        let prompt = first.map(|first| self.unmarked(&messages[..first], writing));
        // A template may refuse to write a part of a conversation.
        matches!(prompt, Some(Ok(prompt)) if !prompt.ends_with(' '))
    }

    /// The turns with calls in the text `plain`. The model writes such a turn from where a prompt for it
    /// ends, up to the last mark in it: what the template puts around the calls belongs to it.
    fn turns(
        &self,
        messages: &[Message],
        plain: &str,
        writing: Writing<'_>,
        tokenizer: &Tokenizer,
    ) -> Result<Vec<Turn>> {
        let mut turns = Vec::new();
        for (index, message) in messages.iter().enumerate().filter(|(_, it)| it.calls()) {
            let until = |end: usize, add_generation_prompt| {
                self.unmarked(&messages[..end], Writing { add_generation_prompt, ..writing })
            };
            let (prompt, whole) = (until(index, true)?, until(index + 1, false)?);
            let goes_on = plain.starts_with(&whole) && whole.starts_with(&prompt);
            if !goes_on || whole.len() == prompt.len() {
                let problem = format!(
                    "what it writes in front of message {}, which calls, is not what it writes to ask for it, \
                     so that nobody could tell what of it is trained\nhint: name another template",
                    index + 1
                );
                return Err(wrong(&self.origin, None, &problem));
            }
            let (start, end) = (prompt.len(), spans::behind_mark(&whole, tokenizer));
            turns.push(Turn { start, end, trained: message.trained });
        }
        Ok(turns)
    }

    /// What is written of messages, without marks.
    fn unmarked(&self, messages: &[Message], writing: Writing<'_>) -> Result<String> {
        let text = self.written(messages, writing, |message| message.content.clone())?;
        Ok(spans::unmarked(&text))
    }

    fn written(
        &self,
        messages: &[Message],
        writing: Writing<'_>,
        content: impl Fn(&Message) -> String,
    ) -> Result<String> {
        let Writing { marks: [begin, end], beside, add_generation_prompt } = writing;
        let message = |(it, fields): (&Message, &Fields)| {
            let said = [("role", it.role.name().into()), ("content", content(it).into())];
            let more = fields.iter().map(|(key, value)| (key.as_str(), value.clone()));
            Value::from_pairs(said.into_iter().chain(more))
        };
        let messages: Vec<Value> = messages.iter().zip(&beside.fields).map(message).collect();
        let for_tools = Some(FOR_TOOLS).filter(|_| !beside.tools.is_none());
        let template = for_tools.and_then(|name| self.environment.get_template(name).ok());
        let template = template.unwrap_or_else(|| {
            self.environment.get_template(DEFAULT).expect("it was added when made")
        });
        template
            .render(context! {
                messages,
                add_generation_prompt,
                bos_token => begin,
                eos_token => end,
                tools => beside.tools.clone(),
                documents => (),
            })
            .map_err(|error| explained(&self.origin, &error))
    }
}

/// Fields of a message beside role and content.
type Fields = Vec<(String, Value)>;

/// What a template sees beside roles and contents.
struct Beside {
    /// None where there are no tools.
    tools: Value,
    /// Of every message.
    fields: Vec<Fields>,
    /// How many marks there are in both.
    counted: usize,
}

impl Beside {
    /// What a conversation has, each part of it changed by `with`.
    fn new(
        conversation: &Conversation,
        with: impl Fn(serde_json::Value) -> std::result::Result<serde_json::Value, String>,
    ) -> Result<Self> {
        let value = |text: &str| tools::parsed(text).and_then(&with);
        let refused = |problem| Error::Conversation { problem };
        let tools = conversation.tools.as_deref().map(value).transpose().map_err(refused)?;
        let mut fields = Vec::with_capacity(conversation.messages.len());
        for (number, message) in (1..).zip(&conversation.messages) {
            let value = message.fields.as_deref().map(value).transpose();
            fields.push(value.map_err(|it| refused(format!("message {number}: {it}")))?);
        }
        let counted = tools::count(tools.iter().chain(fields.iter().flatten()));
        let listed = |value: Option<serde_json::Value>| match value {
            Some(serde_json::Value::Object(map)) => {
                let field = |(key, value)| (key, Serde::<serde_json::Value>(value).into());
                map.into_iter().map(field).collect()
            }
            _ => Vec::new(),
        };
        let fields = fields.into_iter().map(listed).collect();
        Ok(Self { tools: Serde(tools).into(), fields, counted })
    }
}

/// How a conversation is written.
#[derive(Clone, Copy)]
struct Writing<'a> {
    /// The names of begin and end mark.
    marks: [&'a str; 2],
    beside: &'a Beside,
    /// Whether it ends where the assistant's answer begins.
    add_generation_prompt: bool,
}

/// What no template is asked to write.
fn check(conversation: &Conversation) -> Result<()> {
    let refuse = |problem: String| Err(Error::Conversation { problem });
    let holds_mark = |text: &String| text.contains(is_mark);
    const NONCHARACTER: &str = "a noncharacter of Unicode (U+FDD0 to U+FDEF)";
    if conversation.tools.as_ref().is_some_and(holds_mark) {
        return refuse(format!("the tools hold {NONCHARACTER}"));
    }
    for (number, message) in (1..).zip(&conversation.messages) {
        if [Some(&message.content), message.fields.as_ref()].into_iter().flatten().any(holds_mark) {
            return refuse(format!("message {number}: it holds {NONCHARACTER}"));
        }
        if message.trained && message.is_silent() {
            return refuse(format!(
                "message {number}: it is to be trained and says nothing\nhint: remove it, or set train to false"
            ));
        }
    }
    Ok(())
}

/// `tokenizer_config.json`, as far as it is about templates.
#[derive(Default, Deserialize)]
struct Config {
    chat_template: Option<Templates>,
    bos_token: Option<TokenName>,
    eos_token: Option<TokenName>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "chat_template is neither a string nor a list of named templates")]
enum Templates {
    One(String),
    Several(Vec<Named>),
}

#[derive(Deserialize)]
struct Named {
    name: String,
    template: String,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a special token is neither a string nor an object with content")]
enum TokenName {
    Plain(String),
    Described { content: String },
}

fn read_config(path: &Path) -> Result<Config> {
    parse_config(path, &files::read(path, FILE_LIMIT_BYTES)?)
}

fn parse_config(path: &Path, text: &[u8]) -> Result<Config> {
    serde_json::from_slice(text).map_err(|error| Error::Record {
        place: Place::line(path, error.line() as u64),
        problem: format!("not a tokenizer's configuration: {error}"),
    })
}

fn wrong_config(path: &Path, named: &[Named]) -> Error {
    let names: BTreeMap<&str, ()> = named.iter().map(|it| (it.name.as_str(), ())).collect();
    let names: Vec<&str> = names.into_keys().collect();
    let problem = format!("there is no template named default, only {}", names.join(", "));
    wrong(path, None, &problem)
}

/// The source with `{% generation %}` blocks as filter blocks of one name.
fn with_generation_filter(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        text.push_str(before);
        let length = tag.find("%}").unwrap_or(tag.len());
        let word = tag[..length].trim_matches(|it: char| it.is_whitespace() || "+-".contains(it));
        let replaced = match word {
            "generation" => tag[..length].replace(word, "filter generation"),
            "endgeneration" => tag[..length].replace(word, "endfilter"),
            _ => tag[..length].to_owned(),
        };
        text.push_str(&replaced);
        rest = &tag[length..];
    }
    text.push_str(rest);
    text
}

fn wrong(origin: &Path, line: Option<usize>, problem: &str) -> Error {
    Error::Template { origin: origin.to_owned(), line, problem: problem.to_owned() }
}

/// What the template engine found, with the line in the template.
fn explained(origin: &Path, error: &minijinja::Error) -> Error {
    use minijinja::ErrorKind::{OutOfFuel, SyntaxError};
    let kind = error.kind();
    let problem = match (kind, error.detail()) {
        (OutOfFuel, _) => "it does not come to an end within its limits".to_owned(),
        (SyntaxError, Some(detail)) => format!("wrong syntax: {detail}"),
        (minijinja::ErrorKind::InvalidOperation, Some(detail)) => detail.to_owned(),
        (_, Some(detail)) => format!("{kind}: {detail}"),
        (_, None) => kind.to_string(),
    };
    wrong(origin, error.line(), &problem)
}
