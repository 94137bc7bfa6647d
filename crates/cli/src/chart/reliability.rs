//! Reliability diagrams (DeGroot and Fienberg, "The Comparison and Evaluation of Forecasters", 1983):
//! how often a method is right where it is so sure. One panel per method; the area of a point is how
//! many answers it stands for.

use super::axis::Axis;
use super::svg::{Anchor, LINE, Svg};
use super::{Colour, Figure, Key, NARROW};
use eval::score::{Bin, Calibration};

#[cfg(test)]
pub(crate) mod tests;

/// Largest side of a panel, and radius of the point with the most answers.
const SIDE: f64 = 280.0;
const RADIUS: f64 = 11.0;
/// Space around a panel: left, right, top, bottom.
const MARGIN: [f64; 4] = [44.0, 18.0, 28.0, 40.0];

/// The figure of one method or several.
pub(crate) fn reliability(title: &str, note: &str, methods: &[(String, Calibration)]) -> Figure {
    let mut figure = Figure::drawn(title, note, |width| match methods {
        [] => Svg::saying(width, "no values"),
        _ => draw(methods, width),
    });
    let key = |(name, calibration): &(String, Calibration)| Key {
        colour: Colour::of_method(name),
        text: legend(name, calibration),
    };
    figure.legend = methods.iter().map(key).collect();
    figure
}

fn legend(name: &str, calibration: &Calibration) -> String {
    let count: usize = calibration.bins.iter().map(|bin| bin.count).sum();
    match count {
        0 => format!("{name}: no answers"),
        _ => format!(
            "{name}: expected calibration error {:.3} (n = {count})",
            calibration.expected_error
        ),
    }
}

fn draw(methods: &[(String, Calibration)], width: f64) -> Svg {
    let [left, right, top, bottom] = MARGIN;
    let columns = if width > NARROW { methods.len().min(2) } else { 1 };
    let side = (width / columns as f64 - left - right).min(SIDE);
    let [across, down] = [side + left + right, side + top + bottom];
    let rows = methods.len().div_ceil(columns);
    let mut svg = Svg::new(width, rows as f64 * down);
    for (index, (name, calibration)) in methods.iter().enumerate() {
        let (row, column) = (index / columns, index % columns);
        let corner = [column as f64 * across + left, row as f64 * down + top];
        let panel = Panel { corner, side };
        panel.frame(&mut svg, name);
        panel.points(&mut svg, Colour::of_method(name), &calibration.bins);
    }
    svg
}

/// The square of one method.
struct Panel {
    /// Left and top.
    corner: [f64; 2],
    side: f64,
}

impl Panel {
    fn place(&self, confidence: f64, accuracy: f64) -> [f64; 2] {
        [self.corner[0] + confidence * self.side, self.corner[1] + (1.0 - accuracy) * self.side]
    }

    fn frame(&self, svg: &mut Svg, name: &str) {
        let [left, top] = self.corner;
        let name_room = (Anchor::Start, self.side - 90.0);
        svg.text_within("strong", name_room, [left, top - 12.0], name);
        svg.text("muted", Anchor::End, [left + self.side, top - 12.0], "share right");
        for label in Axis::UNIT.labels() {
            let text = Axis::UNIT.text(label);
            let ([x, bottom], [right, y]) = (self.place(label, 0.0), self.place(1.0, label));
            svg.line("grid", [x, top, x, bottom]);
            svg.line("grid", [left, y, right, y]);
            svg.text("", Anchor::Middle, [x, bottom + LINE], &text);
            svg.text("", Anchor::End, [left - 6.0, y + 4.0], &text);
        }
        let ([x1, y1], [x2, y2]) = (self.place(0.0, 0.0), self.place(1.0, 1.0));
        svg.line("limit", [x1, y1, x2, y2]);
        let bottom = top + self.side;
        svg.text("muted", Anchor::Start, [left + 6.0, top + LINE], "more often right than it says");
        svg.text("muted", Anchor::End, [x2 - 6.0, bottom - 8.0], "less often right than it says");
        let middle = left + self.side / 2.0;
        svg.text("", Anchor::Middle, [middle, bottom + 2.0 * LINE], "confidence");
    }

    fn points(&self, svg: &mut Svg, colour: Colour, bins: &[Bin]) {
        let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1) as f64;
        let filled: Vec<&Bin> = bins.iter().filter(|bin| bin.count > 0).collect();
        let places: Vec<_> =
            filled.iter().map(|bin| self.place(bin.confidence, bin.accuracy)).collect();
        svg.curve(&format!("{} thin", colour.class()), &places);
        for (bin, [x, y]) in filled.into_iter().zip(places) {
            let Bin { count, confidence, accuracy } = bin;
            let tip = format!("confidence {confidence:.2}, right {accuracy:.2}, n = {count}");
            let radius = (RADIUS * (*count as f64 / most).sqrt()).max(2.0);
            svg.point(&format!("{} see-through", colour.class()), [x, y, radius], &tip);
        }
    }
}
