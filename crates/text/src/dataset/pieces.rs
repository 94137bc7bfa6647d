//! Long Markdown in pieces: whole sections, as many as fit, under the headings that they stand under.

use super::encode::{Encoder, LongDocument, Tokens};
use crate::record::MASKED;
use crate::sections::{self, Section};
use crate::tokenizer::{After, Tokenizer};
use crate::{Error, Place, Result};

/// Begin mark and end mark.
const MARKS: usize = 2;

impl Encoder<'_> {
    /// The pieces of a Markdown document. Each is the begin mark, the headings that its first section
    /// stands under (read, not trained: they were trained where they stand), its sections, and the end
    /// mark. A section that does not fit with its headings is an error, or is split as a document is,
    /// without them.
    pub(super) fn encode_sections(&self, text: &str, place: &Place) -> Result<Vec<Tokens>> {
        let sections = sections::of(text);
        let cutter = Cutter { tokenizer: self.tokenizer(place)?, place, sections: &sections };
        let headings = cutter.headings()?;
        let context = self.context as usize;
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < sections.len() {
            let above: usize = sections[at].above.iter().map(|&it| headings[it].len()).sum();
            match cutter.fitting(at, context.saturating_sub(above + MARKS))? {
                Ok((end, ids)) => {
                    let path = sections[at].above.iter().flat_map(|&it| &headings[it]).copied();
                    pieces.push(cutter.piece(path.collect(), ids));
                    at = end;
                }
                Err(tokens) if self.long_documents == LongDocument::Refuse => {
                    return Err(too_long(place, &sections[at], above + tokens + MARKS, context));
                }
                Err(_) => {
                    let ids = cutter.encode(After::Nothing, sections[at].text)?;
                    let (ids, labels) = cutter.piece(Vec::new(), ids);
                    let parts = ids.chunks(context).zip(labels.chunks(context));
                    pieces.extend(parts.map(|(ids, labels)| (ids.to_vec(), labels.to_vec())));
                    at += 1;
                }
            }
        }
        Ok(pieces)
    }
}

fn too_long(place: &Place, section: &Section<'_>, tokens: usize, context: usize) -> Error {
    let problem = format!(
        "the section at line {} has {tokens} tokens with the headings above it, the context holds \
         {context}\nhint: use a longer context, or ask for long documents to be split",
        section.line
    );
    Error::Record { place: place.clone(), problem }
}

/// What a section stands behind: the headings above it, if there are any.
fn above(section: &Section<'_>) -> After {
    if section.above.is_empty() { After::Nothing } else { After::Text }
}

/// Puts sections of one document together.
struct Cutter<'a> {
    tokenizer: &'a Tokenizer,
    place: &'a Place,
    sections: &'a [Section<'a>],
}

impl Cutter<'_> {
    fn encode(&self, after: After, text: &str) -> Result<Vec<u32>> {
        let wrong =
            |error: Error| Error::Record { place: self.place.clone(), problem: error.to_string() };
        self.tokenizer.encode_after(after, text).map_err(wrong)
    }

    /// For every section the tokens of its heading where it stands above others, with an empty line
    /// behind it.
    fn headings(&self) -> Result<Vec<Vec<u32>>> {
        let heading = |section: &Section<'_>| match section.heading {
            Some(heading) => self.encode(above(section), &format!("{}\n\n", heading.trim_end())),
            None => Ok(Vec::new()),
        };
        self.sections.iter().map(heading).collect()
    }

    /// The sections from one on that have at most this many tokens together: the one behind the last,
    /// and their tokens. Where not even the first fits, its number of tokens.
    fn fitting(
        &self,
        from: usize,
        most: usize,
    ) -> Result<std::result::Result<(usize, Vec<u32>), usize>> {
        let after = above(&self.sections[from]);
        let first = self.encode(after, self.sections[from].text)?;
        if first.len() > most {
            return Ok(Err(first.len()));
        }
        let (mut end, mut tokens) = (from + 1, first.len());
        while let Some(next) = self.sections.get(end) {
            tokens += self.encode(After::Text, next.text)?.len();
            if tokens > most {
                break;
            }
            end += 1;
        }
        // Together they may have a token more than each by itself, but only at their borders.
        loop {
            let together: String = self.sections[from..end].iter().map(|it| it.text).collect();
            let ids = self.encode(after, &together)?;
            if ids.len() <= most {
                return Ok(Ok((end, ids)));
            }
            end -= 1;
        }
    }

    /// Begin mark, path, text and end mark; the path is not trained.
    fn piece(&self, path: Vec<u32>, text: Vec<u32>) -> Tokens {
        let mut labels = vec![MASKED; 1 + path.len()];
        let mut ids = vec![self.tokenizer.bos()];
        ids.extend(path);
        ids.extend(text);
        ids.push(self.tokenizer.eos());
        labels.extend(ids[labels.len()..].iter().map(|&id| id as i32));
        (ids, labels)
    }
}
