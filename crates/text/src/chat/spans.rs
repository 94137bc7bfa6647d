//! Which character of a rendered conversation came from where.
//!
//! Before rendering, marks are put around what messages say; the template carries them along, and
//! afterwards they say which text is whose. The marks are noncharacters of Unicode, which no text
//! may hold (and messages or templates that do are refused). That the marks changed nothing is
//! checked: without them the rendered text must be, byte for byte, what the template makes of the
//! plain messages. A template that looks into messages so that it is not, is refused.
//!
//! Where a template trims, marks at the very ends of a message would hide its white space from it.
//! They then stand inside that white space; see [`Placement`].

use super::functions::is_space;
use super::{Message, Piece, Role};
use crate::tokenizer::Tokenizer;

/// Begins the text of a message that is the assistant's and trained.
const TRAINED: char = '\u{fdd0}';
/// Begins the text of a message of the assistant that is not trained.
const ANSWER: char = '\u{fdd1}';
/// Begins the text of another message that is trained.
const TRAINED_OTHER: char = '\u{fdd2}';
/// Begins the text of another message.
const OTHER: char = '\u{fdd3}';
/// Ends the text of a message.
const CLOSE: char = '\u{fdd4}';
/// Stands inside every name of a special token that a message holds, so that it is none.
const BROKEN: char = '\u{fdd5}';
/// Stands in front of the name of every tool and of all that a call says, so that they are counted.
pub(super) const COUNTED: char = '\u{fdd8}';
/// Begins what a template declares to be generated.
pub(super) const GENERATED: char = '\u{fdd6}';
/// Ends it.
pub(super) const GENERATED_END: char = '\u{fdd7}';

/// Most characters of the name of a special token that ends a turn.
const MARK_CHARACTERS: usize = 64;

/// Whether it is one of the marks, or may become one.
pub(super) fn is_mark(character: char) -> bool {
    ('\u{fdd0}'..='\u{fdef}').contains(&character)
}

/// Where marks stand in messages that begin or end with white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// Around everything: right for templates that do not trim.
    Outside,
    /// Around everything in the assistant's messages, inside the white space of the others.
    OutsideAnswers,
    /// Inside the white space.
    Inside,
}

impl Placement {
    /// In the order in which they are tried.
    pub(super) const ALL: [Self; 3] = [Self::Outside, Self::OutsideAnswers, Self::Inside];
}

/// The text of a message with marks in it. One without visible text gets none.
pub(super) fn marked(message: &Message, placement: Placement, tokenizer: &Tokenizer) -> String {
    let content = message.content.as_str();
    let visible = content.trim_matches(is_space);
    if visible.is_empty() {
        return content.to_owned();
    }
    let is_answer = message.role == Role::Assistant;
    let outside = match placement {
        Placement::Outside => true,
        Placement::OutsideAnswers => is_answer,
        Placement::Inside => false,
    };
    let start =
        if outside { 0 } else { content.len() - content.trim_start_matches(is_space).len() };
    let inner = if outside { content } else { visible };
    let mut text = content[..start].to_owned();
    text.push(match (is_answer, message.trained) {
        (true, true) => TRAINED,
        (true, false) => ANSWER,
        (false, true) => TRAINED_OTHER,
        (false, false) => OTHER,
    });
    push_broken(&mut text, inner, tokenizer);
    text.push(CLOSE);
    text.push_str(&content[start + inner.len()..]);
    text
}

/// The text with the blank in front of every answer within the answer's marks.
pub(super) fn with_blanks(text: &str) -> String {
    let moved = |text: String, mark: char| text.replace(&format!(" {mark}"), &format!("{mark} "));
    [TRAINED, ANSWER].into_iter().fold(text.to_owned(), moved)
}

/// How many of these messages get marks.
pub(super) fn expected(messages: &[Message]) -> usize {
    messages.iter().filter(|message| !message.content.trim_matches(is_space).is_empty()).count()
}

/// Adds the text with every name of a special token broken behind its first character.
fn push_broken(out: &mut String, text: &str, tokenizer: &Tokenizer) {
    for (at, character) in text.char_indices() {
        out.push(character);
        if tokenizer.special_at(&text[at..]).is_some() {
            out.push(BROKEN);
        }
    }
}

/// A text of tools or calls with marks in and around it, so that no special token can be made of it.
pub(super) fn guarded(text: &str, tokenizer: &Tokenizer) -> String {
    let mut out = String::from(BROKEN);
    push_broken(&mut out, text, tokenizer);
    out.push(BROKEN);
    out
}

/// Whether the name of a special token stands in the text.
pub(super) fn holds_special(text: &str, tokenizer: &Tokenizer) -> bool {
    text.char_indices().any(|(at, _)| tokenizer.special_at(&text[at..]).is_some())
}

/// Where the special token ends that stands last in a text, whatever white space is behind it; the end
/// of the text if there is none.
pub(super) fn behind_mark(text: &str, tokenizer: &Tokenizer) -> usize {
    let visible = text.trim_end_matches(is_space);
    let mut starts = visible.char_indices().rev().map(|(at, _)| at).take(MARK_CHARACTERS);
    let ends = |at| {
        let mark = tokenizer.special_at(&visible[at..]);
        mark.is_some_and(|(_, length)| at + length == visible.len())
    };
    if starts.any(ends) { visible.len() } else { text.len() }
}

/// The text without marks.
pub(super) fn unmarked(text: &str) -> String {
    text.chars().filter(|&character| !is_mark(character)).collect()
}

/// What a stretch of text is. Two stretches of one kind that follow each other are one piece.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    /// Said by the assistant, so that in serving it is generated and not part of a prompt.
    answer: bool,
    trained: bool,
}

/// A stretch of the text without marks that the assistant writes as a whole, since there are calls in
/// it: what its message says and what the template writes around it.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    /// Where it begins, in bytes of the text without marks.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// Whether it is trained.
    pub(super) trained: bool,
}

/// What has to be found in a rendered text.
#[derive(Clone, Copy)]
pub(super) struct Expected<'a> {
    /// How many messages with text.
    pub(super) messages: usize,
    /// How many names of tools, and names and texts of calls.
    pub(super) counted: usize,
    /// The turns with calls, in order.
    pub(super) turns: &'a [Turn],
}

/// Takes rendered text apart. The error is what the template did with the messages.
pub(super) fn pieces(
    text: &str,
    expected: Expected<'_>,
    tokenizer: &Tokenizer,
) -> Result<Vec<Piece>, String> {
    let Expected { messages, counted, turns } = expected;
    let mut reader = Reader {
        tokenizer,
        turns,
        plain: 0,
        pieces: Vec::new(),
        last: None,
        message: None,
        generated: None,
        end: None,
    };
    let mut opened = 0;
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        at += character.len_utf8();
        match character {
            TRAINED | ANSWER | TRAINED_OTHER | OTHER => {
                opened += 1;
                reader.open(character)?;
            }
            CLOSE => reader.close(&text[at..])?,
            GENERATED => reader.generated = Some(is_trained(&text[at..])),
            GENERATED_END => reader.generated = None,
            BROKEN | COUNTED => {}
            _ => at = reader.text(text, at - character.len_utf8()),
        }
    }
    if reader.message.is_some() {
        return Err("it cuts a message off".to_owned());
    }
    if opened != messages {
        return Err(format!("of {messages} messages with text it writes {opened}"));
    }
    let found = text.matches(COUNTED).count();
    if found < counted {
        return Err(format!(
            "of {counted} names of tools and parts of calls it writes {found}\nhint: choose a chat template that knows tools"
        ));
    }
    Ok(reader.pieces)
}

/// Whether something trained stands in the generated stretch that begins here.
fn is_trained(rest: &str) -> bool {
    let stretch = rest.split(GENERATED_END).next().unwrap_or_default();
    stretch.contains([TRAINED, TRAINED_OTHER])
}

struct Reader<'a> {
    tokenizer: &'a Tokenizer,
    /// The turns with calls that are not behind this place.
    turns: &'a [Turn],
    /// The bytes of text that were taken.
    plain: usize,
    pieces: Vec<Piece>,
    /// The kind of the last piece, if it is text that may grow.
    last: Option<Kind>,
    /// The message whose text this is.
    message: Option<Kind>,
    /// Inside what the template declares to be generated: whether it is trained.
    generated: Option<bool>,
    /// Where the end mark of a trained message ends, as the length of the text that is left then.
    end: Option<usize>,
}

impl Reader<'_> {
    fn open(&mut self, mark: char) -> Result<(), String> {
        if self.message.is_some() {
            return Err("it puts one message into another, or repeats or cuts one".to_owned());
        }
        let answer = matches!(mark, TRAINED | ANSWER);
        let trained = matches!(mark, TRAINED | TRAINED_OTHER);
        self.message = Some(Kind { answer, trained });
        Ok(())
    }

    /// Ends a message. The end mark that the template writes behind a trained one is trained, too,
    /// and so is white space in front of it: the model has to produce them.
    fn close(&mut self, rest: &str) -> Result<(), String> {
        let message = self.message.take().ok_or("it cuts a message off")?;
        let mark = rest.trim_start_matches(is_space);
        if message.trained
            && let Some((_, length)) = self.tokenizer.special_at(mark)
        {
            self.end = Some(mark.len() - length);
        }
        Ok(())
    }

    /// What the text here is.
    fn kind(&mut self) -> Kind {
        while let [turn, later @ ..] = self.turns
            && turn.end <= self.plain
        {
            self.turns = later;
        }
        let is_end = self.end.is_some();
        match (self.turns.first(), self.message, self.generated) {
            (Some(turn), ..) if turn.start <= self.plain => {
                Kind { answer: true, trained: turn.trained }
            }
            (_, message, Some(trained)) => {
                Kind { answer: true, trained: message.map_or(trained, |message| message.trained) }
            }
            (_, Some(message), None) => message,
            (_, None, None) => Kind { answer: is_end, trained: is_end },
        }
    }

    /// Takes the text at `at`: a special token, or a character. Gives where the next one begins.
    fn text(&mut self, text: &str, at: usize) -> usize {
        let rest = &text[at..];
        if self.end.is_some_and(|end| rest.len() <= end) {
            self.end = None;
        }
        let kind = self.kind();
        if self.message.is_none()
            && let Some((id, length)) = self.tokenizer.special_at(rest)
        {
            let text = rest[..length].to_owned();
            self.pieces.push(Piece { text, special: Some(id), trained: kind.trained });
            self.last = None;
            self.plain += length;
            return at + length;
        }
        let length = rest.chars().next().map_or(0, char::len_utf8);
        self.plain += length;
        match self.pieces.last_mut() {
            Some(piece) if self.last == Some(kind) => piece.text.push_str(&rest[..length]),
            _ => {
                let text = rest[..length].to_owned();
                self.pieces.push(Piece { text, special: None, trained: kind.trained });
                self.last = Some(kind);
            }
        }
        at + length
    }
}
