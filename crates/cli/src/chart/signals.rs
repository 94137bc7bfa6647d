//! One incident over time: the metrics that stand out, one below the other over the same minutes, and
//! what was changed and reported below them. What an answer cites is highlighted and named.

use super::axis::{Axis, short};
use super::svg::{self, Anchor, LINE, Svg};
use super::{Colour, Figure, Key, NARROW};
use sre::evidence::{Kind, Pack};
use sre::incident::{Incident, Series, plain};
use sre::signal::Signal;
use std::collections::BTreeSet;

mod strip;
#[cfg(test)]
pub(crate) mod tests;

use strip::Strip;

/// Most series.
const MOST_SERIES: usize = 8;
/// Most characters of a line of text.
const MOST_TEXT: usize = 400;
/// Height of the plot of a series, of what is above all, and of the axis.
const PLOT: f64 = 40.0;
const TOP: f64 = 20.0;
const AXIS: f64 = 22.0;

/// An incident and what was made of it.
pub(crate) struct Cited<'a> {
    /// The incident.
    pub(crate) incident: &'a Incident,
    /// What of it was shown.
    pub(crate) pack: &'a Pack,
    /// The ids that the answer cites.
    pub(crate) ids: &'a [String],
    /// The service that the answer says is at fault.
    pub(crate) at_fault: Option<&'a str>,
}

/// The figure.
pub(crate) fn signals(title: &str, cited: &Cited<'_>) -> Figure {
    let view = View::of(cited);
    let note = "Time around the alert. Every metric has its own scale, from its lowest to its \
                highest value; cited evidence is coloured and has its id.";
    let mut figure = Figure::drawn(title, note, |width| view.draw(width));
    let key = |colour, text: &str| Key { colour, text: text.to_owned() };
    figure.legend = vec![
        key(Colour::Accent, "cited as evidence"),
        key(Colour::Plain, "also shown to the model"),
    ];
    figure.below = below(cited);
    figure
}

/// What is drawn.
struct View<'a> {
    cited: BTreeSet<&'a str>,
    at_fault: Option<&'a str>,
    series: Vec<&'a Series>,
    /// Changes and events.
    strips: [Strip<'a>; 2],
    /// Second of the alert.
    alert: i64,
    /// In the unit, from the alert on.
    time: [f64; 2],
    /// Seconds of the unit, and its name.
    unit: (f64, &'static str),
}

impl<'a> View<'a> {
    fn of(cited: &Cited<'a>) -> Self {
        let incident = cited.incident;
        let ids: BTreeSet<&str> = cited.ids.iter().map(String::as_str).collect();
        let series = strongest(cited, &ids);
        let alert = incident.start.as_second();
        let first = series.iter().map(|it| it.start.as_second()).min().unwrap_or(alert).min(alert);
        let seconds = [first, incident.end.as_second()].map(|it| (it - alert) as f64);
        let span = seconds[1] - seconds[0];
        let unit = match span {
            _ if span <= 6.0 * 3600.0 => (60.0, "min"),
            _ if span <= 5.0 * 86_400.0 => (3600.0, "h"),
            _ => (86_400.0, "days"),
        };
        let since = |second: i64| (second - alert) as f64 / unit.0;
        let strips = [Strip::changes(incident, &ids, since), Strip::events(incident, &ids, since)];
        let time = seconds.map(|it| it / unit.0);
        Self { cited: ids, at_fault: cited.at_fault, series, strips, alert, time, unit }
    }

    fn draw(&self, width: f64) -> Svg {
        let wide = width > NARROW;
        let labels = if wide { 8.0 } else { 4.0 };
        let frame = Frame::new(width, wide, Axis::over(self.time.into_iter(), labels));
        let strips: f64 = self.strips.iter().map(|strip| strip.height(&frame)).sum();
        let bottom = TOP + self.series.len() as f64 * frame.row + strips;
        let mut svg = Svg::new(width, bottom + AXIS);
        self.time_axis(&mut svg, &frame, bottom);
        let mut top = TOP;
        for series in &self.series {
            self.row(&mut svg, &frame, top, series);
            top += frame.row;
        }
        for strip in &self.strips {
            strip.draw(&mut svg, &frame, top);
            top += strip.height(&frame);
        }
        svg
    }

    /// The axis, and lines through everything at the alert and at cited changes.
    fn time_axis(&self, svg: &mut Svg, frame: &Frame, bottom: f64) {
        for label in frame.time.labels() {
            let x = frame.x(label);
            svg.line("grid", [x, bottom, x, bottom + 4.0]);
            let (name, sign) = (self.unit.1, if label > 0.0 { "+" } else { "" });
            let number = frame.time.text(label);
            let text = if number == "0" { format!("0 {name}") } else { sign.to_owned() + &number };
            svg.text("", Anchor::Middle, [x, bottom + LINE + 2.0], &text);
        }
        svg.line("grid", [frame.left, bottom, frame.right, bottom]);
        for time in self.strips[0].cited().filter(|time| frame.holds(*time)) {
            svg.line("cited-line", [frame.x(time), TOP, frame.x(time), bottom]);
        }
        let alert = frame.x(0.0);
        svg.line("alert", [alert, TOP - 4.0, alert, bottom]);
        svg.text("strong", Anchor::Middle, [alert, TOP - 8.0], "alert");
    }

    fn row(&self, svg: &mut Svg, frame: &Frame, top: f64, series: &Series) {
        let cited = self.cited.contains(series.id.as_str());
        let plot = top + frame.row - PLOT - 8.0;
        let measured = Signal::of(&series.name).map_or(series.name.as_str(), |it| it.name());
        let fault = self.at_fault == Some(series.service.as_str());
        let service = format!("{}{}", series.service, if fault { ", at fault" } else { "" });
        let heading =
            Heading { service: &service, measured, fault, id: cited.then_some(&series.id) };
        heading.draw(svg, frame, [top, plot]);
        let values: Vec<[f64; 2]> = points(series, self.alert, self.unit.0);
        let known = || values.iter().map(|point| point[1]).filter(|value| value.is_finite());
        if known().next().is_none() {
            svg.text(
                "muted",
                Anchor::Start,
                [frame.left + 4.0, plot + PLOT / 2.0 + 4.0],
                "no values",
            );
            return;
        }
        let alone = Axis::over(known(), 1.0);
        // A limit far away would press the curve flat: it is then only said.
        let near = series.limit.filter(|limit| (-1.0..=3.0).contains(&alone.share(*limit)));
        let axis = Axis::over(known().chain(near), 1.0);
        let y = |value: f64| plot + (1.0 - axis.share(value)) * PLOT;
        if let Some(limit) = near {
            svg.line("limit", [frame.left, y(limit), frame.right, y(limit)]);
        }
        let class = if cited { "accent strong" } else { "plain" };
        let curve: Vec<_> = values.iter().map(|[at, value]| [frame.x(*at), y(*value)]).collect();
        svg.curve(class, &curve);
        scale(svg, frame, plot, (series.limit, near, known()));
    }
}

/// What a row is about.
struct Heading<'a> {
    service: &'a str,
    measured: &'a str,
    fault: bool,
    id: Option<&'a String>,
}

impl Heading<'_> {
    /// Beside the plot on wide drawings, above it on narrow ones.
    fn draw(&self, svg: &mut Svg, frame: &Frame, [top, plot]: [f64; 2]) {
        let class = if self.fault { "strong" } else { "" };
        let id = self.id.map_or("", String::as_str);
        let room = svg::width(id).min(70.0);
        if frame.wide {
            let most = frame.left - 12.0;
            svg.text_within(class, (Anchor::Start, most), [0.0, plot + 15.0], self.service);
            let rest = most - if id.is_empty() { 0.0 } else { room + 8.0 };
            svg.text_within("muted", (Anchor::Start, rest), [0.0, plot + 31.0], self.measured);
            svg.text_within("accent strong", (Anchor::End, room + 4.0), [most, plot + 31.0], id);
        } else {
            let text = format!("{} · {}", self.measured, self.service);
            let rest = frame.right - room - 10.0;
            svg.text_within(class, (Anchor::Start, rest), [0.0, top + LINE], &text);
            svg.text_within(
                "accent strong",
                (Anchor::End, room + 4.0),
                [frame.right, top + LINE],
                id,
            );
        }
    }
}

/// The lowest and the highest value and the limit, at the right of a plot.
fn scale(
    svg: &mut Svg,
    frame: &Frame,
    plot: f64,
    (limit, near, known): (Option<f64>, Option<f64>, impl Iterator<Item = f64>),
) {
    let (low, high) = known.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let axis = Axis::over([low, high].into_iter().chain(near), 1.0);
    let y = |value: f64| plot + (1.0 - axis.share(value)) * PLOT + 4.0;
    let x = frame.right + 5.0;
    let mut texts = vec![(y(high), short(high), "")];
    if high > low {
        texts.push((y(low), short(low), ""));
    }
    if let Some(limit) = limit {
        let text = format!("limit {}", short(limit));
        // Far away, it stands at the side where it is.
        let place = near.map_or(if limit > high { plot + 4.0 } else { plot + PLOT + 4.0 }, y);
        texts.push((place, text, "muted"));
    }
    texts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = f64::NEG_INFINITY;
    for (place, text, class) in texts {
        let place = place.max(free);
        svg.text(class, Anchor::Start, [x, place], &text);
        free = place + 13.0;
    }
}

/// Where time lies on a drawing.
struct Frame {
    left: f64,
    right: f64,
    /// Height of the row of a series.
    row: f64,
    time: Axis,
    wide: bool,
}

impl Frame {
    fn new(width: f64, wide: bool, time: Axis) -> Self {
        let left = if wide { 190.0 } else { 14.0 };
        let row = PLOT + if wide { 20.0 } else { 34.0 };
        Self { left, right: width - 78.0, row, time, wide }
    }

    fn x(&self, time: f64) -> f64 {
        self.left + self.time.share(time) * (self.right - self.left)
    }

    fn holds(&self, time: f64) -> bool {
        (0.0..=1.0).contains(&self.time.share(time))
    }
}

/// The series of the pack that come first, those that are cited before the others, in its order.
fn strongest<'a>(cited: &Cited<'a>, ids: &BTreeSet<&str>) -> Vec<&'a Series> {
    let ours: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    let lines = cited.pack.with_cited(&ours);
    let metrics = || lines.iter().filter(|item| item.kind == Kind::Metric);
    let is_cited = |id: &str| ids.contains(id);
    let first = metrics().filter(|item| is_cited(&item.id));
    let then = metrics().filter(|item| !is_cited(&item.id));
    let chosen: BTreeSet<&str> =
        first.chain(then).take(MOST_SERIES).map(|item| item.id.as_str()).collect();
    let of = |id: &str| cited.incident.metrics.iter().find(|series| series.id == id);
    metrics().filter(|item| chosen.contains(item.id.as_str())).filter_map(|it| of(&it.id)).collect()
}

/// Time in the unit after the alert, and value; not a number where there is none.
fn points(series: &Series, alert: i64, unit: f64) -> Vec<[f64; 2]> {
    let first = series.start.as_second() - alert;
    let at = |index: usize| (first + index as i64 * i64::from(series.step_seconds)) as f64 / unit;
    let values = series.values.iter().enumerate();
    values.map(|(index, value)| [at(index), value.unwrap_or(f64::NAN)]).collect()
}

/// The cited changes, events and log lines, by time.
fn below(cited: &Cited<'_>) -> Vec<(String, String)> {
    let incident = cited.incident;
    let changes = incident
        .changes
        .iter()
        .map(|it| (it.time.as_second(), &it.id, &it.service, it.message.clone()));
    let events = incident.events.iter().map(|it| {
        let text = format!("{} ×{} {}", it.reason, it.count, it.message);
        (it.time.as_second(), &it.id, &it.service, text)
    });
    let logs = incident.logs.iter().map(|it| {
        (it.time.as_second(), &it.id, &it.service, format!("×{} {}", it.count, it.message))
    });
    let mut lines: Vec<_> =
        changes.chain(events).chain(logs).filter(|(_, id, ..)| cited.ids.contains(id)).collect();
    lines.sort_by_key(|(second, id, ..)| (*second, *id));
    let alert = incident.start.as_second();
    let line = |(second, id, service, text): (i64, &String, &String, String)| {
        let minutes = (second - alert).div_euclid(60);
        (id.clone(), format!("{minutes:+} min, {service}: {}", plain(&text, MOST_TEXT)))
    };
    lines.into_iter().map(line).collect()
}
