//! A loss curve as inline SVG: a line for the training loss, marks for held-out losses.

use std::fmt::Write;

/// One chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Chart {
    /// What it shows.
    pub(crate) title: String,
    /// (step, mean loss per trained token) of every step.
    pub(crate) train: Vec<(u64, f64)>,
    /// (step, mean loss per trained token) of every evaluation on held-out documents.
    pub(crate) held_out: Vec<(u64, f64)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
/// Space around the plot: left, right, top, bottom.
const MARGIN: [f64; 4] = [52.0, 16.0, 12.0, 34.0];
/// About as many labels on an axis.
const TICKS: f64 = 6.0;

/// The range of an axis and the distance of its labels.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// Covers these values with round labels; never an empty range.
    fn around(values: impl Iterator<Item = f64>) -> Axis {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let span = (high - low).max(1e-3);
        let rough = span / TICKS;
        let power = 10.0_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|it| it * power).into_iter().find(|it| *it >= rough);
        let step = step.unwrap_or(10.0 * power);
        let low = (low / step).floor() * step;
        let high = ((high / step).ceil() * step).max(low + step);
        Axis { low, high, step }
    }

    fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    fn labels(&self) -> impl Iterator<Item = f64> + '_ {
        let count = ((self.high - self.low) / self.step).round() as usize;
        (0..=count).map(|index| self.low + index as f64 * self.step)
    }

    fn text(&self, value: f64) -> String {
        let digits = (-self.step.log10().floor()).max(0.0) as usize;
        format!("{value:.digits$}")
    }
}

impl Chart {
    /// The SVG element. Values that are not finite are left out.
    pub(crate) fn svg(&self) -> String {
        let points = || self.train.iter().chain(&self.held_out);
        let x_axis = Axis::around(points().map(|(step, _)| *step as f64));
        let y_axis = Axis::around(points().map(|(_, loss)| *loss));
        let [left, right, top, bottom] = MARGIN;
        let x = |step: f64| left + x_axis.share(step) * (WIDTH - left - right);
        let y = |loss: f64| HEIGHT - bottom - y_axis.share(loss) * (HEIGHT - top - bottom);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
            crate::report::escape(&self.title)
        );
        for label in y_axis.labels() {
            let (at, text) = (y(label), y_axis.text(label));
            line(&mut svg, "grid", [left, at, WIDTH - right, at]);
            label_at(&mut svg, "end", [left - 8.0, at + 4.0], &text);
        }
        for label in x_axis.labels() {
            let (at, text) = (x(label), x_axis.text(label));
            line(&mut svg, "grid", [at, top, at, HEIGHT - bottom]);
            label_at(&mut svg, "middle", [at, HEIGHT - bottom + 16.0], &text);
        }
        label_at(&mut svg, "end", [WIDTH - right, HEIGHT - 4.0], "step");
        let place = |(step, loss): &(u64, f64)| (x(*step as f64), y(*loss));
        let finite = |(_, loss): &&(u64, f64)| loss.is_finite();
        polyline(&mut svg, "train", self.train.iter().filter(finite).map(place));
        polyline(&mut svg, "held", self.held_out.iter().filter(finite).map(place));
        for (step, loss) in self.held_out.iter().filter(finite) {
            let _ = writeln!(
                svg,
                "<circle class=\"held\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"><title>step {step}: \
                 {loss:.4}</title></circle>",
                x(*step as f64),
                y(*loss)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn line(svg: &mut String, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
    let _ = writeln!(
        svg,
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

fn label_at(svg: &mut String, anchor: &str, [x, y]: [f64; 2], text: &str) {
    let _ = writeln!(svg, "<text text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
}

fn polyline(svg: &mut String, class: &str, points: impl Iterator<Item = (f64, f64)>) {
    let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(svg, "<polyline class=\"{class}\" points=\"{}\"/>", points.join(" "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_round_and_cover_everything() {
        let axis = Axis::around([1.23, 5.9].into_iter());
        assert_eq!(axis, Axis { low: 1.0, high: 6.0, step: 1.0 });
        assert_eq!(axis.labels().collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(axis.text(2.0), "2");
        let flat = Axis::around([2.0, 2.0].into_iter());
        assert!(flat.low <= 2.0 && flat.high > 2.0 && flat.high > flat.low);
        let none = Axis::around([f64::NAN].into_iter());
        assert!(none.high > none.low);
    }

    #[test]
    fn every_finite_value_is_drawn_and_no_other() {
        let chart = Chart {
            title: "a < b".into(),
            train: vec![(1, 3.0), (2, f64::NAN), (3, 1.0)],
            held_out: vec![(0, 3.5), (3, 1.5)],
        };
        let svg = chart.svg();
        assert!(svg.contains("aria-label=\"a &lt; b\"") && !svg.contains("NaN"));
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("<title>step 3: 1.5000</title>"));
        let train = svg.lines().find(|it| it.contains("polyline class=\"train\"")).unwrap();
        assert_eq!(train.matches(',').count(), 2, "{train}");
    }
}
