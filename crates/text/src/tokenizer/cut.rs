//! Cutting text into words as Llama 3 and GPT-2 do, without an expression: an engine that looks ahead takes memory
//! for every word, and threads wait for each other there. Tests hold the words beside the expressions'.

use regex_syntax::hir::{Class, HirKind};
use std::sync::LazyLock;

/// Whose words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Those of [`super::json::LLAMA3_WORDS`].
    Llama3,
    /// Those of the pre-tokenizer ByteLevel.
    Gpt2,
}

/// What a character is to the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Letter,
    Number,
    /// White space, but no end of a line.
    Space,
    End,
    Other,
}

/// What is a word of its own behind an apostrophe.
const ENDINGS: [&str; 7] = ["s", "t", "re", "ve", "m", "ll", "d"];

/// Most digits of a word of Llama 3.
const DIGITS: usize = 3;

impl Cut {
    /// The length in bytes of the word that a text begins with, which is not empty.
    pub(super) fn word(self, text: &str) -> usize {
        let Some((first, kind)) = kind_at(text, 0) else { return 0 };
        if let Some(ending) = text.strip_prefix('\'').and_then(|rest| self.ending(rest)) {
            return 1 + ending;
        }
        let second = kind_at(text, first).map(|(_, kind)| kind);
        let is_blank = text.starts_with(' ');
        let leads_letters = match self {
            Self::Llama3 => matches!(kind, Kind::Space | Kind::Other),
            Self::Gpt2 => is_blank,
        };
        match (kind, second) {
            (Kind::Letter, _) => run(text, 0, Kind::Letter),
            (_, Some(Kind::Letter)) if leads_letters => run(text, first, Kind::Letter),
            (Kind::Number, _) if self == Self::Llama3 => digits(text),
            (Kind::Number, _) => run(text, 0, Kind::Number),
            (_, Some(Kind::Number)) if is_blank && self == Self::Gpt2 => {
                run(text, first, Kind::Number)
            }
            (Kind::Other, _) => self.others(text, 0),
            (_, Some(Kind::Other)) if is_blank => self.others(text, first),
            _ => self.spaces(text),
        }
    }

    /// The length of the ending that a text begins with.
    fn ending(self, text: &str) -> Option<usize> {
        let begins = |ending: &&&str| {
            let begin = text.get(..ending.len());
            begin.is_some_and(|begin| match self {
                Self::Llama3 => begin.eq_ignore_ascii_case(ending),
                Self::Gpt2 => begin == **ending,
            })
        };
        // The one other character that is an s without its case.
        if self == Self::Llama3 && text.starts_with('ſ') {
            return Some('ſ'.len_utf8());
        }
        ENDINGS.iter().find(begins).map(|ending| ending.len())
    }

    /// Neither white space, letters nor numbers from `at` on, and with Llama 3 the ends of lines behind them.
    fn others(self, text: &str, at: usize) -> usize {
        let end = run(text, at, Kind::Other);
        match self {
            Self::Llama3 => run(text, end, Kind::End),
            Self::Gpt2 => end,
        }
    }

    /// White space: up to its last end of a line with Llama 3, else all of it, but for a last character in front of
    /// something else.
    fn spaces(self, text: &str) -> usize {
        let (mut end, mut last, mut line_end) = (0, 0, None);
        while let Some((length, kind @ (Kind::Space | Kind::End))) = kind_at(text, end) {
            (last, end) = (end, end + length);
            if kind == Kind::End {
                line_end = Some(end);
            }
        }
        match line_end {
            Some(line_end) if self == Self::Llama3 => line_end,
            _ if end == text.len() || last == 0 => end,
            _ => last,
        }
    }
}

/// Where the characters of this kind end that begin at `at`.
fn run(text: &str, mut at: usize, kind: Kind) -> usize {
    while let Some((length, found)) = kind_at(text, at)
        && found == kind
    {
        at += length;
    }
    at
}

fn digits(text: &str) -> usize {
    let mut end = 0;
    for _ in 0..DIGITS {
        match kind_at(text, end) {
            Some((length, Kind::Number)) => end += length,
            _ => break,
        }
    }
    end
}

/// Length and kind of the character at `at`.
fn kind_at(text: &str, at: usize) -> Option<(usize, Kind)> {
    let &byte = text.as_bytes().get(at)?;
    let kind = match byte {
        b'a'..=b'z' | b'A'..=b'Z' => Kind::Letter,
        b'0'..=b'9' => Kind::Number,
        b'\r' | b'\n' => Kind::End,
        b' ' | b'\t' | 0x0b | 0x0c => Kind::Space,
        0..0x80 => Kind::Other,
        _ => {
            let character = text[at..].chars().next()?;
            return Some((character.len_utf8(), beyond_ascii(character)));
        }
    };
    Some((1, kind))
}

fn beyond_ascii(character: char) -> Kind {
    static LETTERS: LazyLock<Vec<[char; 2]>> = LazyLock::new(|| ranges(r"\p{L}"));
    static NUMBERS: LazyLock<Vec<[char; 2]>> = LazyLock::new(|| ranges(r"\p{N}"));
    let is_in = |ranges: &[[char; 2]]| {
        let at = ranges.partition_point(|&[_, end]| end < character);
        ranges.get(at).is_some_and(|&[start, _]| start <= character)
    };
    match character {
        _ if character.is_whitespace() => Kind::Space,
        _ if is_in(&LETTERS) => Kind::Letter,
        _ if is_in(&NUMBERS) => Kind::Number,
        _ => Kind::Other,
    }
}

/// First and last characters of the ranges of a class, ascending.
fn ranges(class: &str) -> Vec<[char; 2]> {
    match regex_syntax::parse(class).map(|class| class.into_kind()) {
        Ok(HirKind::Class(Class::Unicode(class))) => {
            class.iter().map(|range| [range.start(), range.end()]).collect()
        }
        _ => unreachable!("{class} is a class of characters"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::LLAMA3_WORDS;
    use super::*;
    use proptest::prelude::*;
    use tokenizers::utils::SysRegex;

    const GPT2_WORDS: &str =
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    static EXPRESSIONS: LazyLock<[(Cut, SysRegex); 2]> = LazyLock::new(|| {
        [(Cut::Llama3, LLAMA3_WORDS), (Cut::Gpt2, GPT2_WORDS)]
            .map(|(cut, words)| (cut, SysRegex::new(words).unwrap()))
    });

    fn assert_same(text: &str) {
        for (cut, expression) in &*EXPRESSIONS {
            let (mut at, mut words) = (0, Vec::new());
            while at < text.len() {
                let end = at + cut.word(&text[at..]);
                words.push((at, end));
                at = end;
            }
            let expected: Vec<_> = expression.find_iter(text).collect();
            assert_eq!(words, expected, "{cut:?} {text:?}");
        }
    }

    #[test]
    fn every_character_is_of_its_kind() {
        // Behind these no letter or number is assigned.
        for character in '\0'..='\u{323ff}' {
            // Before a letter, a digit and a line's end, and behind a blank, the rules tell all kinds apart.
            let line: String =
                [' ', character, 'a', character, '1', character, '\n'].iter().collect();
            assert_same(&line);
        }
    }

    #[test]
    fn endings_and_spaces_are_those_of_the_expressions() {
        let texts = [
            "",
            "it's IT'S it'ſ 'ſa we'll We'LL 'lL 'rE 'v 'x ' s ''s 'é",
            "a  b\t\tc \n d\r\n\r\n  e   ",
            "  \n\n  ",
            " \u{85}\u{2028}x \u{a0}1",
            "1234567 12 ½½½½",
            " -- !\r\n\n? \n",
            "\t!\ta\t1",
            "é\u{301}e\u{301}",
            "   ",
            "\u{3000}\u{3000}日本",
        ];
        texts.iter().for_each(|text| assert_same(text));
    }

    proptest! {
        #[test]
        fn any_text_is_cut_as_by_the_expressions(
            text in "([ \\n\\r\\t'\u{a0}]|[a-eS-T]|[0-9]|[!-/]|\\PC|ll|ve|re|ſ){0,40}",
        ) {
            assert_same(&text);
        }
    }
}
