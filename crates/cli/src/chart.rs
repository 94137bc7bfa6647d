//! Figures of a report as inline SVG. One file per kind of figure, each a pure function of its data.
//!
//! Every figure is drawn twice, for a wide page and for a telephone, and the page shows the one that
//! fits: a drawing that is scaled to half its width has letters that nobody can read.

pub(crate) mod axis;
pub(crate) mod bars;
pub(crate) mod losses;
pub(crate) mod reliability;
pub(crate) mod signals;
pub(crate) mod svg;

use svg::Svg;

/// Width of the drawing for a page, in pixels.
pub(crate) const WIDE: f64 = 720.0;
/// Width of the drawing for a telephone, in pixels.
pub(crate) const NARROW: f64 = 328.0;

/// One figure.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figure {
    /// Its heading.
    pub(crate) title: String,
    /// How to read it, in a line.
    pub(crate) note: String,
    /// The drawings for wide and narrow pages: SVG elements, everything from data escaped.
    pub(crate) svg: [String; 2],
    /// What the colours mean.
    pub(crate) legend: Vec<Key>,
    /// Lines of text below: a name and what it stands for.
    pub(crate) below: Vec<(String, String)>,
}

/// An entry of a legend.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    /// The colour.
    pub(crate) colour: Colour,
    /// What has it.
    pub(crate) text: String,
}

/// A colour of the page's palette, for light and dark alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    /// What a figure is about: the tuned model, held-out losses, cited evidence.
    Accent,
    /// What it is compared with: the base model, training losses.
    Plain,
    /// What is there as a floor.
    Grey,
    /// Another method.
    Green,
    /// Another one.
    Violet,
}

impl Colour {
    /// The class that gives an element this colour.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Accent => "accent",
            Self::Plain => "plain",
            Self::Grey => "grey",
            Self::Green => "green",
            Self::Violet => "violet",
        }
    }

    /// The colour of a method, the same in every figure.
    pub(crate) fn of_method(name: &str) -> Self {
        let name = name.to_lowercase();
        let table = [
            ("tuned", Self::Accent),
            ("base", Self::Plain),
            ("neighbour", Self::Green),
            ("logistic", Self::Violet),
        ];
        let known = table.iter().find(|(word, _)| name.contains(word));
        known.map_or(Self::Grey, |(_, colour)| *colour)
    }
}

impl Figure {
    /// A figure without legend whose drawing depends on the width that it has.
    pub(crate) fn drawn(title: &str, note: &str, draw: impl Fn(f64) -> Svg) -> Self {
        let label = format!("{title}. {note}");
        let svg = [(WIDE, "wide"), (NARROW, "narrow")]
            .map(|(width, class)| draw(width).element(class, &label));
        Self { title: title.to_owned(), note: note.to_owned(), svg, ..Self::default() }
    }
}

#[cfg(test)]
mod tests;
