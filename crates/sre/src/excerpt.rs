//! Text of the cluster within a prompt, where somebody has switched that on: short, on one line, without
//! any character that could end the span, begin a token of a chat template or steer a reader's eye.

#[cfg(test)]
mod tests;

/// Most characters of an excerpt, as they stand in the prompt.
pub const MOST_CHARACTERS: usize = 200;

/// What an excerpt stands between; it never stands within one.
pub const MARKS: [char; 2] = ['«', '»'];

/// An excerpt of a text in its marks. Letters and digits stay, and so do most signs; blanks
/// become one, any other character its code point as `\u{2066}`. What was left out shows as `…`.
pub fn excerpt(text: &str) -> String {
    let mut out = String::new();
    let mut length = 0;
    let mut blank = true;
    for character in text.chars() {
        let is_blank = character.is_whitespace();
        if is_blank && std::mem::replace(&mut blank, true) {
            continue;
        }
        blank = is_blank;
        let shown = match character {
            _ if is_blank => " ".to_owned(),
            _ if character.is_alphanumeric() || SIGNS.contains(character) => character.to_string(),
            _ => character.escape_unicode().to_string(),
        };
        let more = shown.chars().count();
        // The last one is for the sign of what was left out.
        if length + more >= MOST_CHARACTERS {
            out.push('…');
            break;
        }
        length += more;
        out.push_str(&shown);
    }
    format!("{}{}{}", MARKS[0], out.trim_end(), MARKS[1])
}

/// Signs that stay. Not among them: brackets and bars, of which the marks of chat templates are made,
/// quotes and braces of JSON, and what begins headings, lists and code in Markdown.
const SIGNS: &str = ".,:;/_-%+=()'@";
