//! Writing SVG: elements with classes, texts escaped and cut to the room that they have. What has no
//! finite place is not drawn.

use crate::report::escape;
use sre::incident::plain;
use std::fmt::Write;

#[cfg(test)]
mod tests;

/// Height of a line of text.
pub(crate) const LINE: f64 = 16.0;

/// Which end of a text stands at its place.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    /// Its beginning.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// A drawing; the origin is its upper left corner, sizes are in pixels.
pub(crate) struct Svg {
    size: [f64; 2],
    elements: String,
}

impl Svg {
    /// An empty drawing of a width and a height.
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Self { size: [width, height], elements: String::new() }
    }

    /// A drawing that holds a sentence and nothing else.
    pub(crate) fn saying(width: f64, sentence: &str) -> Self {
        let mut svg = Self::new(width, 2.0 * LINE);
        svg.text("", Anchor::Start, [0.0, LINE], sentence);
        svg
    }

    /// A line.
    pub(crate) fn line(&mut self, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
        self.element_at(&[x1, y1, x2, y2], || {
            format!(
                "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" \
                 y2=\"{y2:.1}\"/>"
            )
        });
    }

    /// A rectangle: left, top, width, height. What its tip says is shown when it is pointed at.
    pub(crate) fn bar(&mut self, class: &str, [x, y, width, height]: [f64; 4], tip: &str) {
        let tip = escape(&plain(tip, MOST_TIP));
        self.element_at(&[x, y, width, height], || {
            format!(
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
                 height=\"{height:.1}\"><title>{tip}</title></rect>"
            )
        });
    }

    /// A point: left, top, radius.
    pub(crate) fn point(&mut self, class: &str, [x, y, radius]: [f64; 3], tip: &str) {
        let tip = escape(&plain(tip, MOST_TIP));
        self.element_at(&[x, y, radius], || {
            format!(
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\">\
                 <title>{tip}</title></circle>"
            )
        });
    }

    /// A small triangle that stands on its point, for a moment in time.
    pub(crate) fn mark(&mut self, class: &str, [x, y]: [f64; 2], tip: &str) {
        let tip = escape(&plain(tip, MOST_TIP));
        self.element_at(&[x, y], || {
            let (left, right, top) = (x - 4.5, x + 4.5, y - 8.0);
            format!(
                "<path class=\"{class}\" d=\"M{x:.1} {y:.1}L{left:.1} {top:.1}L{right:.1} \
                 {top:.1}Z\"><title>{tip}</title></path>"
            )
        });
    }

    /// Lines through points, interrupted where a point is not finite; one that stands alone is a dot.
    /// Of more points than pixels, every column of pixels keeps its first, last, lowest and highest.
    pub(crate) fn curve(&mut self, class: &str, points: &[[f64; 2]]) {
        let mut path = String::new();
        for run in points.split(|point| !point.iter().all(|it| it.is_finite())) {
            let run = thinned(run);
            for (index, [x, y]) in run.iter().enumerate() {
                let _ = write!(path, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
            }
            if let [[x, y]] = run.as_slice() {
                // A line of no length with round ends.
                let _ = write!(path, "L{x:.1} {y:.1}");
            }
        }
        if !path.is_empty() {
            let _ = writeln!(self.elements, "<path class=\"{class} curve\" d=\"{path}\"/>");
        }
    }

    /// A text at a place on its base line.
    pub(crate) fn text(&mut self, class: &str, anchor: Anchor, [x, y]: [f64; 2], text: &str) {
        let room = match anchor {
            Anchor::Start => self.size[0] - x,
            Anchor::Middle => 2.0 * x.min(self.size[0] - x),
            Anchor::End => x,
        };
        self.text_within(class, (anchor, room), [x, y], text);
    }

    /// A text that has this much room, cut where it needs more; the whole is then its tip.
    pub(crate) fn text_within(
        &mut self,
        class: &str,
        (anchor, room): (Anchor, f64),
        [x, y]: [f64; 2],
        text: &str,
    ) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let whole = plain(text, MOST_TIP);
        let shown = cut(&whole, room);
        let tip = match shown == whole {
            true => String::new(),
            false => format!("<title>{}</title>", escape(&whole)),
        };
        self.element_at(&[x, y], || {
            format!(
                "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{}{tip}\
                 </text>",
                escape(&shown)
            )
        });
    }

    /// The SVG element; the label is what is read aloud in its place.
    pub(crate) fn element(&self, class: &str, label: &str) -> String {
        let [width, height] = self.size;
        let label = escape(&plain(label, MOST_TIP));
        format!(
            "<svg class=\"{class}\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
             aria-label=\"{label}\">\n{}</svg>\n",
            self.elements
        )
    }

    fn element_at(&mut self, numbers: &[f64], element: impl FnOnce() -> String) {
        if numbers.iter().all(|number| number.is_finite()) {
            self.elements.push_str(&element());
            self.elements.push('\n');
        }
    }
}

/// Most characters of a tip or a label.
const MOST_TIP: usize = 300;

/// About how wide a text is: fonts differ, this is a broad one.
pub(crate) fn width(text: &str) -> f64 {
    text.chars().map(character_width).sum()
}

fn character_width(character: char) -> f64 {
    match character {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 3.8,
        ' ' | '-' | '(' | ')' | '[' | ']' | 'f' | 'r' | 't' | '/' | 'I' => 5.0,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 11.5,
        'A'..='Z' => 8.6,
        '\u{20}'..='\u{2ff}' | '…' => 7.3,
        _ => 13.0,
    }
}

fn cut(text: &str, room: f64) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut left = room - character_width('…');
    let fits = |character: &char| {
        left -= character_width(*character);
        left >= 0.0
    };
    let mut shown: String = text.chars().take_while(fits).collect();
    shown.truncate(shown.trim_end().len());
    shown.push('…');
    shown
}

fn thinned(run: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut kept = Vec::new();
    let mut rest = run;
    while let Some(first) = rest.first() {
        let column = rest.iter().take_while(|it| it[0].floor() == first[0].floor()).count();
        let (these, after) = rest.split_at(column);
        let by = |a: &usize, b: &usize| these[*a][1].total_cmp(&these[*b][1]);
        let lowest = (0..column).min_by(by).unwrap_or(0);
        let highest = (0..column).max_by(by).unwrap_or(0);
        let mut picked = [0, lowest, highest, column - 1];
        picked.sort_unstable();
        let mut last = None;
        for index in picked {
            if last != Some(index) {
                kept.push(these[index]);
            }
            last = Some(index);
        }
        rest = after;
    }
    kept
}
