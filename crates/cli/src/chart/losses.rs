//! Training and held-out losses over the steps of a run.

use super::axis::Axis;
use super::svg::{Anchor, LINE, Svg};
use super::{Colour, Figure, Key, NARROW};

#[cfg(test)]
pub(crate) mod tests;

/// The losses of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Losses {
    /// (step, mean loss per trained token) of every step.
    pub(crate) train: Vec<(u64, f64)>,
    /// (step, mean loss per trained token) of every evaluation on held-out documents.
    pub(crate) held_out: Vec<(u64, f64)>,
}

const HEIGHT: f64 = 280.0;
/// Space around the plot: left, right, top, bottom.
const MARGIN: [f64; 4] = [44.0, 68.0, 10.0, 36.0];

impl Losses {
    /// The figure. Values that are not finite are gaps.
    pub(crate) fn figure(&self, title: &str) -> Figure {
        let note = "Mean loss per trained token at every step; lower is better.";
        let mut figure = Figure::drawn(title, note, |width| self.draw(width));
        let key = |colour, name: &str, points: &[(u64, f64)]| {
            let text = match points.last() {
                Some((step, loss)) => format!("{name}, {loss:.3} at step {step}"),
                None => format!("{name}, no value"),
            };
            Key { colour, text }
        };
        figure.legend = vec![
            key(Colour::Plain, "training loss", &self.train),
            key(Colour::Accent, "held-out loss", &self.held_out),
        ];
        figure
    }

    fn draw(&self, width: f64) -> Svg {
        let points = || self.train.iter().chain(&self.held_out);
        let few = if width > NARROW { 8.0 } else { 4.0 };
        let x_axis = Axis::over(points().map(|(step, _)| *step as f64), few);
        let y_axis = Axis::around(points().map(|(_, loss)| *loss), 5.0);
        let [left, right, top, bottom] = MARGIN;
        let mut svg = Svg::new(width, HEIGHT);
        let x = |step: u64| left + x_axis.share(step as f64) * (width - left - right);
        let y = |loss: f64| HEIGHT - bottom - y_axis.share(loss) * (HEIGHT - top - bottom);
        for label in y_axis.labels() {
            svg.line("grid", [left, y(label), width - right, y(label)]);
            svg.text("", Anchor::End, [left - 6.0, y(label) + 4.0], &y_axis.text(label));
        }
        for label in x_axis.labels().filter(|label| label.fract() == 0.0) {
            let at = left + x_axis.share(label) * (width - left - right);
            svg.line("grid", [at, HEIGHT - bottom, at, HEIGHT - bottom + 4.0]);
            let text = x_axis.text(label);
            svg.text("", Anchor::Middle, [at, HEIGHT - bottom + LINE], &text);
        }
        svg.text("", Anchor::End, [width - right, HEIGHT - 2.0], "step");
        let place = |(step, loss): &(u64, f64)| [x(*step), y(*loss)];
        let train: Vec<_> = self.train.iter().map(place).collect();
        let held: Vec<_> = self.held_out.iter().map(place).collect();
        svg.curve(Colour::Plain.class(), &train);
        svg.curve(Colour::Accent.class(), &held);
        for ((step, loss), [x, y]) in self.held_out.iter().zip(&held) {
            let tip = format!("held out, step {step}: {loss:.4}");
            svg.point(Colour::Accent.class(), [*x, *y, 3.0], &tip);
        }
        name_ends(
            &mut svg,
            [("training", Colour::Plain, &train), ("held out", Colour::Accent, &held)],
        );
        svg
    }
}

/// Names the curves at their ends, one below the other.
fn name_ends(svg: &mut Svg, curves: [(&str, Colour, &Vec<[f64; 2]>); 2]) {
    let mut ends: Vec<_> = curves
        .into_iter()
        .filter_map(|(name, colour, points)| {
            let end = points.iter().rev().find(|[_, y]| y.is_finite())?;
            Some((*end, name, colour))
        })
        .collect();
    ends.sort_by(|a, b| a.0[1].total_cmp(&b.0[1]));
    if let [(above, ..), (below, ..)] = ends.as_mut_slice() {
        let missing = (LINE - 2.0 - (below[1] - above[1])).max(0.0) / 2.0;
        above[1] -= missing;
        below[1] += missing;
    }
    for ([x, y], name, colour) in ends {
        svg.text(&format!("{} strong", colour.class()), Anchor::Start, [x + 7.0, y + 4.0], name);
    }
}
