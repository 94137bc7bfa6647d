//! Decoding token by token. A character may lie across tokens, so bytes wait until it is whole.

use super::{After, Piece, Prefix, Tokenizer};

/// A decoder that is given tokens as they come and gives out text as soon as it is certain.
#[derive(Clone, Debug)]
pub struct Stream<'a> {
    tokenizer: &'a Tokenizer,
    /// The beginning of a character that is not complete yet: at most three bytes between calls.
    pending: Vec<u8>,
    /// Whether a space that comes next was put there by the encoder.
    prefixed: bool,
}

impl<'a> Stream<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer, after: After) -> Self {
        let prefixed = tokenizer.encoder.prefix.is_put(after);
        Self { tokenizer, pending: Vec::new(), prefixed }
    }

    /// Takes the next token; gives the text that became certain with it, `None` if there is none
    /// yet. A special token ends a character that was begun, and is no text itself.
    pub fn push(&mut self, id: u32) -> Option<String> {
        match self.tokenizer.pieces.get(id as usize) {
            Some(Piece::Bytes(bytes)) => {
                let bytes = match std::mem::take(&mut self.prefixed) {
                    true => bytes.strip_prefix(b" ").unwrap_or(bytes),
                    false => bytes,
                };
                self.pending.extend_from_slice(bytes);
                self.take_certain()
            }
            Some(Piece::Special(_)) => {
                self.prefixed |= self.tokenizer.encoder.prefix.is_put(After::Mark);
                self.take_pending()
            }
            Some(Piece::Unused) | None => {
                self.prefixed = false;
                let mut text = self.take_pending().unwrap_or_default();
                text.push(char::REPLACEMENT_CHARACTER);
                Some(text)
            }
        }
    }

    /// Ends the text: a character that was begun and never completed becomes U+FFFD. The stream
    /// is then as one at the start of a text.
    pub fn finish(&mut self) -> Option<String> {
        self.prefixed = self.tokenizer.encoder.prefix != Prefix::None;
        self.take_pending()
    }

    fn take_pending(&mut self) -> Option<String> {
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
