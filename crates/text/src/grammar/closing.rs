//! The search for a closing path: text that completes a JSON value from the present state of the
//! parser.
//!
//! It goes from the inside out. The string or number that is open is ended by the shortest bytes
//! (breadth first over the states of the lexer, which are finitely many); then container after
//! container is closed, the missing required members filled in with the shortest values that the
//! schema holds ([`Fragments`]). The parser has the last word on every byte, so what is found is
//! valid; where the schema is involved (members that depend on each other's values) it may not be
//! the shortest, and beyond a fixed effort it is given up.

use super::position::{Container, MOST_DEPTH, Place, Position};
use super::shortest::Fragments;
use llguidance::TokenParser;
use llguidance::earley::ParserRecognizer;
use std::collections::{BTreeMap, HashSet, VecDeque};
use toktrie::Recognizer;

/// Bytes that a search may try behind a token.
const EFFORT: usize = 400_000;
/// Bytes that may be tried once, for a string or number of the schema: a pattern can take thousands
/// of states.
const SCALAR_EFFORT: usize = 8_000_000;
/// Longest text of a closing path.
const MOST_BYTES: usize = 1 << 16;

/// Why there is no closing path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotFound {
    /// Everything was tried that the search tries.
    Exhausted,
    /// The search was given up; there may be one.
    GivenUp,
}

/// Text that completes the value at `position`, behind pending bytes; `last` is tried first.
pub(super) fn search(
    parser: &mut TokenParser,
    position: &Position,
    fragments: &Fragments,
    last: &[u8],
) -> Result<Vec<u8>, NotFound> {
    with_search(parser, (fragments, EFFORT), |search| {
        let mut end = position.clone();
        end.push(last);
        let text = matches!(position.place, Place::Text { .. });
        let found = text && !last.is_empty() && end.done() && search.put(last);
        if found || search.finish(position) {
            return Ok(std::mem::take(&mut search.out));
        }
        Err(if search.gave_up { NotFound::GivenUp } else { NotFound::Exhausted })
    })
}

/// The shortest string or number that a parser at the beginning of a text takes.
pub(super) fn scalar(parser: &mut TokenParser) -> Option<Vec<u8>> {
    let forced = parser.parser.force_bytes().to_vec();
    let mut position = Position::start();
    position.push(&forced);
    let none = Fragments::default();
    let found = with_search(parser, (&none, SCALAR_EFFORT), |search| {
        let found = position.done() || search.lexeme(&position);
        found.then(|| std::mem::take(&mut search.out))
    })?;
    Some([forced, found].concat())
}

/// Whether the text may begin with something that has no end of its own.
pub(super) fn allows_bare_scalar(parser: &mut TokenParser) -> bool {
    with_search(parser, (&Fragments::default(), EFFORT), |search| {
        b"-0123456789tfn".iter().any(|&byte| search.allows(byte))
    })
}

fn with_search<T>(
    parser: &mut TokenParser,
    (fragments, effort): (&Fragments, usize),
    run: impl FnOnce(&mut Search<'_, '_>) -> T,
) -> T {
    parser.parser.with_recognizer(|parser| {
        parser.trie_started("closing");
        let mut search = Search { parser, fragments, out: Vec::new(), effort, gave_up: false };
        let result = run(&mut search);
        let pushed = search.pushed();
        parser.pop_bytes(pushed);
        parser.trie_finished();
        result
    })
}

struct Search<'a, 'p> {
    parser: &'a mut ParserRecognizer<'p>,
    fragments: &'a Fragments,
    /// Everything that is pushed.
    out: Vec<u8>,
    effort: usize,
    /// Whether a byte was not tried because of a limit.
    gave_up: bool,
}

impl<'a> Search<'a, '_> {
    fn pushed(&self) -> usize {
        self.out.len()
    }

    fn push(&mut self, byte: u8) -> bool {
        if self.effort == 0 || self.out.len() == MOST_BYTES {
            self.gave_up = true;
            return false;
        }
        self.effort -= 1;
        let pushed = self.parser.try_push_byte(byte);
        if pushed {
            self.out.push(byte);
        }
        pushed
    }

    fn allows(&mut self, byte: u8) -> bool {
        let allowed = self.push(byte);
        if allowed {
            self.undo(self.out.len() - 1);
        }
        allowed
    }

    /// Pushes all of it, or nothing.
    fn put(&mut self, text: &[u8]) -> bool {
        let mark = self.out.len();
        let whole = text.iter().all(|&byte| self.push(byte));
        if !whole {
            self.undo(mark);
        }
        whole
    }

    fn undo(&mut self, mark: usize) {
        self.parser.pop_bytes(self.out.len() - mark);
        self.out.truncate(mark);
    }

    /// Whether a value could end here.
    fn ends(&mut self) -> bool {
        b",}]".iter().any(|&byte| self.allows(byte))
    }

    fn finish(&mut self, position: &Position) -> bool {
        let mut open = position.open.clone();
        let depth = open.len();
        let begun = match position.place {
            Place::Text { name: true, .. } => {
                self.listed_member(depth, b"", &position.name)
                    || self.lexeme(position) && self.put(b":") && self.value(depth)
            }
            Place::Text { .. } | Place::Scalar => self.lexeme(position),
            Place::Colon => self.put(b":") && self.value(depth),
            Place::Value => self.value(depth),
            Place::FirstItem => {
                open.pop();
                self.first_item(depth)
            }
            Place::FirstName => {
                open.pop();
                self.members(depth, b"")
            }
            Place::Name => self.member(depth, b""),
            Place::After => true,
        };
        begun && (1..=open.len()).rev().all(|depth| self.close(open[depth - 1], depth))
    }

    /// Closes a container behind a value.
    fn close(&mut self, container: Container, depth: usize) -> bool {
        match container {
            Container::Object => self.members(depth, b","),
            Container::Array => self.items(depth),
        }
    }

    fn items(&mut self, depth: usize) -> bool {
        while !self.put(b"]") {
            if !(self.put(b",") && self.value(depth)) {
                return false;
            }
        }
        true
    }

    fn first_item(&mut self, depth: usize) -> bool {
        self.put(b"]") || self.value(depth) && self.items(depth)
    }

    fn members(&mut self, depth: usize, mut comma: &[u8]) -> bool {
        while !self.put(b"}") {
            if !self.member(depth, comma) {
                return false;
            }
            comma = b",";
        }
        true
    }

    fn member(&mut self, depth: usize, comma: &[u8]) -> bool {
        self.listed_member(depth, comma, b"") || self.open_member(depth, comma)
    }

    /// A member whose name begins with `begun`, which is written: of the required ones that may
    /// come here, one that leaves no other behind, since members have an order; of several such, the
    /// shortest.
    fn listed_member(&mut self, depth: usize, comma: &[u8], begun: &[u8]) -> bool {
        let mark = self.out.len();
        let possible = self.possible_names(comma, begun);
        let mut best: Option<Vec<u8>> = None;
        for name in &possible {
            let text = [comma, &name[begun.len()..], b":"].concat();
            if self.put(&text) && self.value(depth) {
                let behind = self.possible_names(b",", b"");
                let last = !behind.iter().any(|other| other != name && possible.contains(other));
                let found = &self.out[mark..];
                if last && best.as_ref().is_none_or(|best| found.len() < best.len()) {
                    best = Some(found.to_vec());
                }
            }
            self.undo(mark);
        }
        best.is_some_and(|best| self.put(&best))
    }

    /// The required names that may come behind a comma and what is written of them, the shorter
    /// first. What names have in common is tried once.
    fn possible_names(&mut self, comma: &[u8], begun: &[u8]) -> Vec<&'a [u8]> {
        let mark = self.out.len();
        let fragments: &'a Fragments = self.fragments;
        let names = fragments.names.iter().map(Vec::as_slice);
        let names = names.skip_while(|name| *name < begun).take_while(|it| it.starts_with(begun));
        let mut possible: Vec<&'a [u8]> = Vec::new();
        let mut before = begun;
        // Bytes of the name before that are pushed; how many bytes of it cannot be.
        let (mut pushed, mut impossible) = (begun.len(), usize::MAX);
        let start = if self.put(comma) { self.out.len() } else { return possible };
        for name in names {
            let common = before.iter().zip(name).take_while(|(a, b)| a == b).count();
            if common >= impossible {
                continue;
            }
            self.undo(start + pushed.min(common) - begun.len());
            pushed = pushed.min(common);
            while pushed < name.len() && self.push(name[pushed]) {
                pushed += 1;
            }
            (before, impossible) =
                (name, if pushed < name.len() { pushed + 1 } else { usize::MAX });
            if pushed == name.len() && self.allows(b':') {
                possible.push(name);
            }
        }
        self.undo(mark);
        possible.sort_by_key(|name| (name.len(), *name));
        possible
    }

    /// A member whose name is in no list.
    fn open_member(&mut self, depth: usize, comma: &[u8]) -> bool {
        let mut position = Position::start();
        position.push(b"{\"");
        self.put(comma)
            && self.put(b"\"")
            && self.lexeme(&position)
            && self.put(b":")
            && self.value(depth)
    }

    /// A value: the shortest text of the schema that fits here, else a scalar, else a container.
    fn value(&mut self, depth: usize) -> bool {
        let mark = self.out.len();
        for text in &self.fragments.values {
            let delimited = matches!(text.last(), Some(b'"' | b']' | b'}'));
            if self.put(text) && (delimited || self.ends()) {
                return true;
            }
            self.undo(mark);
        }
        if self.lexeme(&Position::start()) {
            return true;
        }
        self.undo(mark);
        if depth == MOST_DEPTH {
            return false;
        }
        if self.put(b"[") && self.first_item(depth + 1) {
            return true;
        }
        self.undo(mark);
        if self.put(b"{") && self.members(depth + 1, b"") {
            return true;
        }
        self.undo(mark);
        false
    }

    /// Ends the string or scalar that is open at `start`, or begins one and ends it: in ASCII where
    /// that can be done, since every other character has states of its own for its bytes.
    fn lexeme(&mut self, start: &Position) -> bool {
        self.lexeme_of(start, 0x7e) || self.lexeme_of(start, 0xff)
    }

    /// Likewise, of bytes up to `most`.
    fn lexeme_of(&mut self, start: &Position, most: u8) -> bool {
        let mark = self.out.len();
        let mut seen = HashSet::new();
        let mut paths: VecDeque<Vec<u8>> = VecDeque::from([Vec::new()]);
        while let Some(path) = paths.pop_front() {
            if !self.replace(mark, &path) {
                break;
            }
            let mut position = start.clone();
            position.push(&path);
            let ended = match position.place {
                Place::After | Place::Colon => true,
                Place::Scalar => self.ends(),
                _ => false,
            };
            if ended {
                return true;
            }
            let text = matches!(position.place, Place::Text { .. });
            for byte in order(most) {
                if !text && matches!(byte, b'[' | b'{' | b']' | b'}' | b',') || !self.push(byte) {
                    continue;
                }
                // The end of a string leaves the lexer where other ends leave it.
                let end = text && byte == b'"';
                if end || seen.insert((self.parser.lexer_state(), byte == b'\\')) {
                    paths.push_back([path.as_slice(), &[byte]].concat());
                }
                self.undo(self.out.len() - 1);
            }
        }
        self.undo(mark);
        false
    }

    /// Makes `path` what is pushed behind `mark`.
    fn replace(&mut self, mark: usize, path: &[u8]) -> bool {
        let common = self.out[mark..].iter().zip(path).take_while(|(a, b)| a == b).count();
        self.undo(mark + common);
        self.put(&path[common..])
    }
}

/// All bytes up to one, those first that end something or are plain.
fn order(most: u8) -> impl Iterator<Item = u8> {
    let first = b"\"a01";
    first.iter().copied().chain((0x20..=most).filter(|byte| !first.contains(byte)))
}

/// Texts by length, then by their bytes.
pub(super) fn by_length(texts: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let sorted: BTreeMap<(usize, Vec<u8>), ()> =
        texts.into_iter().map(|text| ((text.len(), text), ())).collect();
    sorted.into_keys().map(|(_, text)| text).collect()
}
