//! Decoding token by token. A character may lie across tokens, so bytes wait until it is whole.

use super::{Piece, Tokenizer};

/// A decoder that is given tokens as they come and gives out text as soon as it is certain.
#[derive(Clone, Debug)]
pub struct Stream<'a> {
    tokenizer: &'a Tokenizer,
    /// The beginning of a character that is not complete yet: at most three bytes between calls.
    pending: Vec<u8>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, pending: Vec::new() }
    }

    /// Takes the next token; gives the text that became certain with it, `None` if there is none
    /// yet. A special token ends a character that was begun, and is no text itself.
    pub fn push(&mut self, id: u32) -> Option<String> {
        match self.tokenizer.pieces.get(id as usize) {
            Some(Piece::Bytes(bytes)) => {
                self.pending.extend_from_slice(bytes);
                self.take_certain()
            }
            Some(Piece::Special(_)) => self.finish(),
            Some(Piece::Unused) | None => {
                let mut text = self.finish().unwrap_or_default();
                text.push(char::REPLACEMENT_CHARACTER);
                Some(text)
            }
        }
    }

    /// Ends the text: a character that was begun and never completed becomes U+FFFD. The stream
    /// is then as new.
    pub fn finish(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.pending);
        (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
    }

    fn take_certain(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut certain = 0;
        for chunk in self.pending.utf8_chunks() {
            text.push_str(chunk.valid());
            certain += chunk.valid().len();
            let invalid = chunk.invalid();
            let at_end = certain + invalid.len() == self.pending.len();
            // Bytes that could still begin a character are an error without a length.
            let may_continue =
                std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            if invalid.is_empty() || (at_end && may_continue) {
                break;
            }
            text.push(char::REPLACEMENT_CHARACTER);
            certain += invalid.len();
        }
        self.pending.drain(..certain);
        (!text.is_empty()).then_some(text)
    }
}
