//! Markdown as sections: what stands under each heading, and under which headings that stands.
//!
//! Headings are lines with one to six `#` before them, and lines underlined with `=` or `-`
//! (CommonMark 0.31). What looks like one within fenced code or front matter is none, so neither code
//! nor a table is ever cut.

#[cfg(test)]
mod tests;

/// A heading with what stands under it up to the next one, or what stands before the first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section<'a> {
    /// Its text, the heading included. All texts in their order are the document.
    pub(crate) text: &'a str,
    /// The line at which it begins, counted from 1.
    pub(crate) line: u64,
    /// Its own heading as it is written; none where it stands before the first one.
    pub(crate) heading: Option<&'a str>,
    /// The sections whose headings it stands under, the title first.
    pub(crate) above: Vec<usize>,
}

/// The sections of a document, at least one where there is any text.
pub(crate) fn of(markdown: &str) -> Vec<Section<'_>> {
    let lines: Vec<&str> = markdown.split_inclusive('\n').collect();
    let mut starts = Vec::new();
    let mut block = Block::at_the_top(&lines);
    let mut at = 0;
    while at < lines.len() {
        let heading = match block {
            Block::Text => heading(&lines, at),
            Block::FrontMatter | Block::Fence { .. } => None,
        };
        match heading {
            Some((level, taken)) => {
                starts.push((at, level, taken));
                at += taken;
            }
            None => {
                block = block.after(lines[at], at);
                at += 1;
            }
        }
    }
    joined(markdown, &lines, &starts)
}

/// Puts sections together out of the lines at which headings begin, with level and number of lines.
fn joined<'a>(
    markdown: &'a str,
    lines: &[&str],
    starts: &[(usize, usize, usize)],
) -> Vec<Section<'a>> {
    // Where each line begins in the text, and where the last one ends.
    let mut offsets = vec![0];
    offsets.extend(lines.iter().scan(0, |end, line| {
        *end += line.len();
        Some(*end)
    }));
    let slice = |from: usize, to: usize| &markdown[offsets[from]..offsets[to]];
    let mut sections = Vec::new();
    let before = starts.first().map_or(lines.len(), |it| it.0);
    if before > 0 {
        let text = slice(0, before);
        sections.push(Section { text, line: 1, heading: None, above: Vec::new() });
    }
    // The headings that are open: level and section.
    let mut open: Vec<(usize, usize)> = Vec::new();
    for (number, &(at, level, taken)) in starts.iter().enumerate() {
        let end = starts.get(number + 1).map_or(lines.len(), |it| it.0);
        open.retain(|it| it.0 < level);
        sections.push(Section {
            text: slice(at, end),
            line: at as u64 + 1,
            heading: Some(slice(at, at + taken)),
            above: open.iter().map(|it| it.1).collect(),
        });
        open.push((level, sections.len() - 1));
    }
    sections
}

/// What a line stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Text,
    /// Between the two lines of dashes at the top.
    FrontMatter,
    /// Fenced code that this mark opened, so many times.
    Fence {
        mark: char,
        count: usize,
    },
}

impl Block {
    fn at_the_top(lines: &[&str]) -> Self {
        let is_mark = |line: &&str| line.trim_end() == "---";
        let mut marks = lines.iter().filter(|line| is_mark(line));
        let opens = lines.first().is_some_and(is_mark) && marks.nth(1).is_some();
        if opens { Self::FrontMatter } else { Self::Text }
    }

    /// What the line behind this one stands in; `at` is its number.
    fn after(self, line: &str, at: usize) -> Self {
        match self {
            Self::FrontMatter if at > 0 && line.trim_end() == "---" => Self::Text,
            Self::FrontMatter => self,
            Self::Fence { mark, count } => match fence(line) {
                Some((found, length, rest)) if found == mark && length >= count => {
                    if rest.trim().is_empty() { Self::Text } else { self }
                }
                _ => self,
            },
            Self::Text => match fence(line) {
                // In ` ```code``` ` nothing is opened.
                Some(('`', _, rest)) if rest.contains('`') => self,
                Some((mark, count, _)) => Self::Fence { mark, count },
                None => self,
            },
        }
    }
}

/// The mark at the beginning of a line that opens or closes code, how often it stands there, and the
/// rest of the line. It may be indented at will: in a list, it is.
fn fence(line: &str) -> Option<(char, usize, &str)> {
    let line = line.trim_start_matches([' ', '\t']);
    let mark = line.chars().next().filter(|it| matches!(it, '`' | '~'))?;
    let rest = line.trim_start_matches(mark);
    let count = line.len() - rest.len();
    (count >= 3).then_some((mark, count, rest))
}

/// The level of the heading that begins at a line, and how many lines it has.
fn heading(lines: &[&str], at: usize) -> Option<(usize, usize)> {
    let line = unindented(lines[at])?;
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    if (1..=6).contains(&level) && (rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return Some((level, 1));
    }
    // One line of a paragraph of its own, and its underline.
    let is_first = at == 0 || lines[at - 1].trim().is_empty();
    let is_words = !line.is_empty()
        && !line.starts_with(['>', '|', '-', '+', '*', '=', '<'])
        && fence(line).is_none();
    let under = unindented(lines.get(at + 1)?)?;
    let level = match under.trim_end() {
        marks if !marks.is_empty() && marks.chars().all(|it| it == '=') => 1,
        marks if !marks.is_empty() && marks.chars().all(|it| it == '-') => 2,
        _ => return None,
    };
    (is_first && is_words).then_some((level, 2))
}

/// The line without its end and up to three blanks before it; none where it is indented as code.
fn unindented(line: &str) -> Option<&str> {
    let line = line.trim_end_matches(['\n', '\r']);
    let rest = line.trim_start_matches(' ');
    (line.len() - rest.len() <= 3 && !rest.starts_with('\t')).then_some(rest)
}
