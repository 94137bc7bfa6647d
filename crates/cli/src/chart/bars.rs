//! Methods compared by measures between 0 and 1: a bar for each method, a whisker over its 95 %
//! interval, the number beside it.

use super::axis::Axis;
use super::svg::{self, Anchor, LINE, Svg};
use super::{Colour, Figure, NARROW};
use eval::interval::Interval;

#[cfg(test)]
pub(crate) mod tests;

/// A measure and what the methods reach in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    /// What is measured: "cause top-1".
    pub(crate) measure: String,
    /// The methods and their values, from top to bottom.
    pub(crate) bars: Vec<(String, Interval)>,
}

/// Height of a row, and of the bar in it.
const ROW: f64 = 21.0;
const BAR: f64 = 12.0;
/// Height of a group's heading, of the space below a group, and of the axis.
const HEADING: f64 = 22.0;
const SPACE: f64 = 12.0;
const AXIS: f64 = 22.0;
/// Room for the number behind a bar that is full.
const NUMBER: f64 = 36.0;

/// The figure.
pub(crate) fn bars(title: &str, note: &str, groups: &[Group]) -> Figure {
    let rows = || groups.iter().flat_map(|group| &group.bars);
    if rows().next().is_none() {
        return Figure::drawn(title, note, |width| Svg::saying(width, "no values"));
    }
    Figure::drawn(title, note, |width| draw(groups, width))
}

fn draw(groups: &[Group], width: f64) -> Svg {
    let names = groups.iter().flat_map(|group| &group.bars);
    let widest = names.map(|(name, _)| svg::width(name)).fold(0.0, f64::max);
    let most = if width > NARROW { 200.0 } else { 126.0 };
    let left = widest.min(most) + 10.0;
    let rows: usize = groups.iter().map(|group| group.bars.len().max(1)).sum();
    let height = groups.len() as f64 * (HEADING + SPACE) + rows as f64 * ROW + AXIS;
    let mut svg = Svg::new(width, height);
    let plot = Plot { left, length: width - left - NUMBER };
    for label in Axis::UNIT.labels() {
        let x = plot.x(label);
        svg.line("grid", [x, HEADING, x, height - AXIS]);
        svg.text("", Anchor::Middle, [x, height - AXIS + LINE], &Axis::UNIT.text(label));
    }
    let mut top = 0.0;
    for group in groups {
        let counts = group.bars.iter().map(|(_, interval)| interval.count);
        let heading = match (counts.clone().min(), counts.max()) {
            (Some(least), Some(most)) if least == most => {
                format!("{} (n = {most})", group.measure)
            }
            _ => group.measure.clone(),
        };
        svg.text("strong", Anchor::Start, [0.0, top + LINE], &heading);
        top += HEADING;
        if group.bars.is_empty() {
            svg.text("", Anchor::Start, [left, top + LINE - 2.0], "no values");
            top += ROW;
        }
        for (name, interval) in &group.bars {
            row(&mut svg, &plot, top, (name, interval));
            top += ROW;
        }
        top += SPACE;
    }
    svg
}

/// Where values lie.
struct Plot {
    left: f64,
    length: f64,
}

impl Plot {
    fn x(&self, value: f64) -> f64 {
        self.left + value.clamp(0.0, 1.0) * self.length
    }
}

fn row(svg: &mut Svg, plot: &Plot, top: f64, (name, interval): (&String, &Interval)) {
    let Interval { mean, low, high, count } = *interval;
    let middle = top + ROW / 2.0;
    let base = middle + 4.0;
    svg.text_within("", (Anchor::End, plot.left - 8.0), [plot.left - 8.0, base], name);
    if !mean.is_finite() {
        svg.text("muted", Anchor::Start, [plot.left + 4.0, base], "no value");
        return;
    }
    let between = match low.is_finite() && high.is_finite() {
        true => format!(", 95 % interval {low:.3} to {high:.3}"),
        false => String::new(),
    };
    let tip = format!("{name}: {mean:.3}{between}, n = {count}");
    let colour = Colour::of_method(name).class();
    let length = plot.x(mean) - plot.left;
    svg.bar(colour, [plot.left, middle - BAR / 2.0, length, BAR], &tip);
    for (class, half) in [("halo", 5.0), ("whisker", 4.0)] {
        svg.line(class, [plot.x(low), middle, plot.x(high), middle]);
        for end in [plot.x(low), plot.x(high)] {
            svg.line(class, [end, middle - half, end, middle + half]);
        }
    }
    let end = if high.is_finite() { high.max(mean) } else { mean };
    let number = format!("{mean:.2}");
    svg.text("strong", Anchor::Start, [plot.x(end) + 6.0, base], &number);
}
