//! JSONL: lines within limits, and what a line may say.

use super::turns::{self, SharedTurn, Side, Turn};
use super::{Content, Limits, MASKED, Record, Time, refuse_empty, unreadable, wrong_file};
use crate::chat::{Conversation, tools};
use crate::secrets::quoted;
use crate::{Error, Place, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The longest `id` or `group`, in bytes.
const ID_LIMIT_BYTES: usize = 1024;

/// The number of a line, and the line or what is wrong with it alone.
pub(super) type Numbered<'a> = (u64, Result<&'a [u8]>);

/// The lines of a file, one in memory at a time.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    limits: Limits,
    line: Vec<u8>,
    number: u64,
    read_bytes: u64,
    /// Whether the rest of a line that is too long comes next.
    is_inside: bool,
}

impl Lines {
    pub(super) fn open(path: &Path, limits: Limits) -> Result<Self> {
        // Asked before it is opened, because opening a pipe would wait for a writer.
        let metadata = std::fs::metadata(path).map_err(unreadable(path))?;
        if !metadata.is_file() {
            return Err(wrong_file(path, "expected a regular file"));
        }
        let file = File::open(path).map_err(unreadable(path))?;
        let lines = Self {
            path: path.to_owned(),
            reader: BufReader::new(file),
            limits,
            line: Vec::new(),
            number: 0,
            read_bytes: metadata.len(),
            is_inside: false,
        };
        lines.check_size()?;
        Ok(Self { read_bytes: 0, ..lines })
    }

    /// The next line that is not blank, or that it is too long, and its number counted from 1.
    pub(super) fn next_line(&mut self) -> Result<Option<Numbered<'_>>> {
        if std::mem::take(&mut self.is_inside) {
            let rest = self.reader.skip_until(b'\n').map_err(unreadable(&self.path))?;
            self.read_bytes += rest as u64;
            self.check_size()?;
        }
        loop {
            self.line.clear();
            let limit = self.limits.line_bytes;
            // The line break, and one byte more to tell a line that is too long.
            let mut piece = self.reader.by_ref().take(limit.saturating_add(2));
            let read = piece.read_until(b'\n', &mut self.line).map_err(unreadable(&self.path))?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.read_bytes += read as u64;
            // A file may grow while it is read.
            self.check_size()?;
            let is_whole = self.line.last() == Some(&b'\n');
            if is_whole {
                self.line.pop();
            }
            if self.line.len() as u64 > limit {
                self.is_inside = !is_whole;
                let place = Place::line(&self.path, self.number);
                let problem = format!("the line has more than {limit} bytes, the limit of a line");
                return Ok(Some((self.number, Err(Error::Record { place, problem }))));
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some((self.number, Ok(&self.line))));
            }
        }
    }

    fn check_size(&self) -> Result<()> {
        let limit = self.limits.file_bytes;
        if self.read_bytes > limit {
            let problem = format!("the file has more than {limit} bytes, the limit of a file");
            return Err(wrong_file(&self.path, problem));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: Option<Id>,
    group: Option<Id>,
    time: Option<String>,
    text: Option<String>,
    input_ids: Option<Vec<u32>>,
    labels: Option<Vec<i64>>,
    messages: Option<Vec<Turn>>,
    conversations: Option<Vec<SharedTurn>>,
    instruction: Option<String>,
    input: Option<String>,
    output: Option<String>,
    prompt: Option<Side>,
    completion: Option<Side>,
    tools: Option<Box<RawValue>>,
}

/// What an error says a line may hold.
const FORMS: &str = "expected one of text; input_ids and labels; messages; conversations; \
                     instruction and output; prompt and completion";

#[derive(Deserialize)]
#[serde(untagged, expecting = "the id or group is neither a string nor a whole number")]
enum Id {
    Text(String),
    Number(i64),
}

impl Id {
    /// The name; `key` is the key that gave it.
    fn name(&self, key: &str) -> std::result::Result<String, String> {
        match self {
            Self::Number(number) => Ok(number.to_string()),
            // It is shown in tables, where it must not be able to write over other lines.
            Self::Text(text) if text.chars().any(char::is_control) => {
                Err(format!("the {key} has a control character"))
            }
            Self::Text(text) if text.len() <= ID_LIMIT_BYTES => Ok(text.clone()),
            Self::Text(text) => {
                let length = text.len();
                Err(format!("the {key} has {length} bytes, at most {ID_LIMIT_BYTES} go"))
            }
        }
    }
}

fn written(time: &str) -> std::result::Result<Time, String> {
    Time::parse(time).ok_or_else(|| {
        "the time is none\nhint: write 2024-05-17T08:30:00Z, or a day as 2024-05-17".to_owned()
    })
}

/// The document that a line holds. `file` is the name of its file.
pub(super) fn parse(file: &str, place: Place, line: &[u8], text_limit: u64) -> Result<Record> {
    let wrong = |problem: String| Error::Record { place: place.clone(), problem };
    let line: Line = serde_json::from_slice(line).map_err(|error| wrong(explained(&error)))?;
    let group = line.group.as_ref().map(|group| group.name("group")).transpose().map_err(wrong)?;
    let time = line.time.as_ref().map(|time| written(time)).transpose().map_err(wrong)?;
    let source = match &line.id {
        None => format!("{file}:{}", place.line.unwrap_or_default()),
        Some(id) => id.name("id").map_err(wrong)?,
    };
    let content = line.content().map_err(wrong)?;
    content.check_size(text_limit).map_err(wrong)?;
    if let Content::Text(text) = &content {
        refuse_empty(text, &place)?;
    }
    Ok(Record { source, place, group, time, content })
}

impl Line {
    /// What the line holds, by the keys that it has.
    fn content(self) -> std::result::Result<Content, String> {
        let tokens = self.input_ids.is_some() || self.labels.is_some();
        let instruction =
            self.instruction.is_some() || self.input.is_some() || self.output.is_some();
        let sides = self.prompt.is_some() || self.completion.is_some();
        let kinds = [
            self.text.is_some(),
            tokens,
            self.messages.is_some(),
            self.conversations.is_some(),
            instruction,
            sides,
        ];
        if kinds.into_iter().filter(|&is_there| is_there).count() != 1 {
            return Err(FORMS.to_owned());
        }
        let has_turns = self.text.is_none() && !tokens && !instruction;
        if self.tools.is_some() && !has_turns {
            return Err("tools go with messages only".to_owned());
        }
        let tools = self.tools.map(|json| tools::of_tools(json.get())).transpose()?.flatten();
        if let Some(text) = self.text {
            return Ok(Content::Text(text));
        }
        if tokens {
            return of_tokens(self.input_ids, self.labels);
        }
        let messages = if let Some(turns) = self.messages {
            turns::of_turns(turns)?
        } else if let Some(turns) = self.conversations {
            turns::of_shared(turns)?
        } else {
            match (self.instruction, self.output, self.prompt, self.completion) {
                (Some(instruction), Some(output), _, _) => {
                    turns::of_instruction(instruction, self.input, output)?
                }
                (_, _, Some(prompt), Some(completion)) => turns::of_sides(prompt, completion)?,
                _ => return Err(FORMS.to_owned()),
            }
        };
        Ok(Content::Messages(Conversation { messages, tools }))
    }
}

fn of_tokens(
    ids: Option<Vec<u32>>,
    labels: Option<Vec<i64>>,
) -> std::result::Result<Content, String> {
    match (ids, labels) {
        (Some(ids), Some(labels)) => {
            check_lengths(&ids, &labels)?;
            Ok(Content::Tokens { ids, labels })
        }
        (Some(_), None) => Err(format!(
            "there are input_ids without labels\nhint: labels equal the input_ids where they are \
             trained, and are {MASKED} where not"
        )),
        _ => Err(FORMS.to_owned()),
    }
}

fn check_lengths(ids: &[u32], labels: &[i64]) -> std::result::Result<(), String> {
    match (ids.len(), labels.len()) {
        (0, 0) => Err("the document has no token\nhint: remove the line".to_owned()),
        (ids, labels) if ids != labels => {
            Err(format!("there are {ids} input_ids and {labels} labels, expected as many"))
        }
        _ => Ok(()),
    }
}

/// What the JSON reader found, with the column and without its own count of lines, which always
/// begins at this line.
fn explained(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("not a record: {} (byte {} of the line)", without_values(what), error.column())
}

/// What the JSON reader says without the texts that it quotes: a record that cannot be read is not
/// looked through for secrets, and of what is wrong only the kind and the place help. Of a key the
/// beginning stays, masked.
fn without_values(what: &str) -> String {
    // What is expected stands last and is ours, so a text that says the same is no end of itself.
    for kind in ["invalid type: string", "invalid value: string"] {
        let rest = what.strip_prefix(kind).and_then(|rest| rest.strip_prefix(" \""));
        if let Some((_, expected)) = rest.and_then(|rest| rest.rsplit_once("\", expected ")) {
            return format!("{kind}, expected {expected}");
        }
    }
    let key = what.strip_prefix("unknown field `");
    match key.and_then(|rest| rest.rsplit_once("`, expected ")) {
        Some((key, expected)) => format!("unknown field `{}`, expected {expected}", quoted(key)),
        None => what.to_owned(),
    }
}
