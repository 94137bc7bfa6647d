//! One text on its way through a grammar.

use super::closing::NotFound;
use super::position::Position;
use super::{Grammar, closing, whole};
use crate::{Error, Result};
use llguidance::TokenParser;
use std::fmt;
use std::sync::Arc;
use toktrie::SimpleVob;

/// The state of one constrained text: which tokens may come next, and how it could end.
pub struct Constraint {
    grammar: Arc<Grammar>,
    parser: TokenParser,
    /// Behind the tokens taken.
    position: Position,
    forced: Vec<u32>,
    closing: Vec<u32>,
    /// Text of `closing`.
    rest: Vec<u8>,
    mask: SimpleVob,
}

impl Constraint {
    /// In front of a text.
    ///
    /// # Errors
    /// [`Error::Schema`] where no closing path is found.
    pub fn new(grammar: &Arc<Grammar>) -> Result<Self> {
        let mut constraint = Self {
            grammar: grammar.clone(),
            // Not shared with other requests: limits then depend on this text alone.
            parser: grammar.parser.deep_clone(),
            position: Position::start(),
            forced: Vec::new(),
            closing: Vec::new(),
            rest: Vec::new(),
            mask: SimpleVob::new(),
        };
        if closing::allows_bare_scalar(&mut constraint.parser) {
            return Err(whole(
                "the whole may be a number, true, false or null, whose end cannot be told\nhint: make \
                 it an object, an array or a string",
            ));
        }
        let forced = constraint.force()?;
        let rest = constraint.find_rest().map_err(|not_found| match not_found {
            NotFound::Exhausted => whole(
                "no text that fits it was found\nhint: look for required values that exclude \
                   each other, or for definitions that never end",
            ),
            NotFound::GivenUp => whole(
                "the search for a text that fits it was given up\nhint: look for patterns with large \
                 counts, lengths in the thousands, and definitions that never end",
            ),
        })?;
        constraint.forced = forced;
        constraint.keep(rest);
        Ok(constraint)
    }

    /// The bits of the tokens that may come next, 32 to a word, the lowest id in the lowest bit;
    /// `None` where only the closing path is left.
    ///
    /// # Errors
    /// [`Error::Grammar`] where the schema turns out to be too complex.
    pub fn mask(&mut self) -> Result<Option<&[u32]>> {
        if self.is_complete() {
            return Ok(None);
        }
        self.mask = self.parser.compute_mask().map_err(too_complex)?;
        if self.position.near_limits() {
            let over: Vec<u32> =
                self.mask.iter().filter(|&id| !self.after(id).within_limits()).collect();
            over.into_iter().for_each(|id| self.mask.disallow_token(id));
        }
        Ok((!self.mask.is_zero()).then(|| self.mask.as_slice()))
    }

    /// Takes a token that the mask allows, and with it everything that then cannot be otherwise
    /// ([`Constraint::forced`]), if the text can afterwards be completed with at most `room` tokens,
    /// the forced ones included. If not, nothing is taken and false is given: what is left is to
    /// append [`Constraint::closing`] as it stands, and to ask no more.
    ///
    /// # Errors
    /// [`Error::Grammar`]: a token that the mask does not allow, or a schema that is too complex.
    pub fn accept(&mut self, token: u32, room: usize) -> Result<bool> {
        let position = self.after(token);
        if !position.within_limits() {
            return Ok(false);
        }
        self.parser.consume_token(token).map_err(too_complex)?;
        let before = std::mem::replace(&mut self.position, position);
        let forced = self.force()?;
        let found = self.find_rest().ok();
        let fitting = found.filter(|rest| {
            let tokens = self.grammar.vocabulary.tokens(rest).len();
            forced.len() + tokens <= room
        });
        let Some(rest) = fitting else {
            self.position = before;
            return Ok(false);
        };
        self.forced = forced;
        self.keep(rest);
        Ok(true)
    }

    /// Tokens behind the one that was taken last (at the beginning: the first ones) that cannot be
    /// otherwise. They are taken already.
    pub fn forced(&self) -> &[u32] {
        &self.forced
    }

    /// The closing path: tokens that complete the text, behind the forced ones. Empty when it is
    /// complete.
    pub fn closing(&self) -> &[u32] {
        &self.closing
    }

    /// Whether the text is complete: it fits, and nothing can follow.
    pub fn is_complete(&self) -> bool {
        self.position.done()
    }

    fn after(&self, token: u32) -> Position {
        let mut position = self.position.clone();
        position.push(self.grammar.vocabulary.token(token));
        position
    }

    fn keep(&mut self, rest: Vec<u8>) {
        self.closing = self.grammar.vocabulary.tokens(&rest);
        self.rest = rest;
    }

    /// Takes what is forced, as tokens, up to the last place where a tokenizer that knew what
    /// follows would have cut for certain. The other forced bytes stay pending in the parser.
    fn force(&mut self) -> Result<Vec<u32>> {
        let pending = self.parser.parser.force_bytes().to_vec();
        if pending.is_empty() {
            return Ok(Vec::new());
        }
        let mut behind = self.position.clone();
        behind.push(&pending);
        let vocabulary = self.grammar.vocabulary.clone();
        let mut tokens = vocabulary.tokens(&pending);
        if !behind.done() {
            let trie = vocabulary.trie();
            let (open, _) =
                self.parser.parser.with_recognizer(|parser| trie.chop_tokens(parser, &tokens));
            tokens.truncate(tokens.len() - open);
        }
        for &token in &tokens {
            self.parser.consume_token(token).map_err(too_complex)?;
            self.position.push(vocabulary.token(token));
        }
        Ok(tokens)
    }

    /// Text that completes what is taken, pending bytes included.
    fn find_rest(&mut self) -> std::result::Result<Vec<u8>, NotFound> {
        let mut rest = self.parser.parser.currently_forced_bytes().to_vec();
        let mut position = self.position.clone();
        position.push(&rest);
        if !position.done() {
            let fragments = &self.grammar.fragments;
            let parser = &mut self.parser;
            rest.extend(closing::search(parser, &position, fragments, &self.rest)?);
        }
        let tokens = self.grammar.vocabulary.tokens(&rest);
        // The search and the parser must agree; this is what the promise rests on.
        let valid = self.parser.validate_tokens_raw(&tokens).map_err(|_| NotFound::GivenUp)?;
        if valid == tokens.len() { Ok(rest) } else { Err(NotFound::Exhausted) }
    }
}

impl fmt::Debug for Constraint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Constraint")
            .field("position", &self.position)
            .field("rest", &String::from_utf8_lossy(&self.rest))
            .finish_non_exhaustive()
    }
}

fn too_complex(error: impl fmt::Display) -> Error {
    let text = error.to_string();
    Error::Grammar { problem: text.lines().next().unwrap_or_default().to_owned() }
}
