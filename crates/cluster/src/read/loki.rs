//! Reads log lines from the HTTP API of Loki: the window and its baseline in slices, so that a loud
//! minute does not take the place of all others, each in pages from its end.

use super::directory::Directory;
use super::http::{Remote, Trouble};
use super::lines::{Lines, level};
use super::window::{Window, timestamp};
use super::{HttpSource, Result, Run, Source};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Slices of the incident, and of its baseline.
const SLICES: i64 = 4;
/// Lines of a page: the most that Loki gives where nobody set another limit, and the fewest that are
/// asked for where it gives less.
const PAGE: usize = 5_000;
const SMALLEST_PAGE: usize = 50;
/// Labels and structured metadata that hold the level.
const LEVELS: [&str; 4] = ["level", "detected_level", "severity", "severity_text"];
/// Labels that hold the namespace: of promtail and Alloy, of OpenTelemetry, and of Fluent Bit.
const NAMESPACES: [&str; 3] = ["namespace", "k8s_namespace_name", "kubernetes_namespace_name"];
const NANOSECONDS: i64 = 1_000_000_000;

#[derive(Deserialize)]
struct Answer {
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    #[serde(default)]
    stream: BTreeMap<String, String>,
    values: Vec<Entry>,
}

/// A time in nanoseconds and a line; what may follow, of newer versions, is not looked at.
struct Entry {
    time: i64,
    line: String,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(input: D) -> std::result::Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Entry;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a time and a line")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut parts: A,
            ) -> std::result::Result<Entry, A::Error> {
                let short = || serde::de::Error::invalid_length(0, &self);
                let time: String = parts.next_element()?.ok_or_else(short)?;
                let time = time.parse().map_err(serde::de::Error::custom)?;
                let line = parts.next_element()?.ok_or_else(short)?;
                while parts.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Entry { time, line })
            }
        }
        input.deserialize_seq(Parts)
    }
}

/// A part of the time that is read, in nanoseconds; its end is not in it.
#[derive(Clone, Copy)]
struct Slice {
    start: i64,
    end: i64,
}

/// Reads the lines of the namespace; `None` where none can be had.
pub(super) fn read(
    source: &HttpSource,
    run: &mut Run<'_>,
    directory: &Directory,
) -> Result<Option<Lines>> {
    let remote = Remote::new(source, run)?;
    for label in NAMESPACES {
        let query = format!("{{{label}=\"{}\"}}", run.ask.namespace);
        let reader = Reader { remote: &remote, directory, window: run.window, query };
        let lines = reader.all(run);
        if remote.is_down() || lines.as_ref().is_none_or(|lines| !lines.is_empty()) {
            return Ok(lines);
        }
    }
    let selector = format!("{{{}=\"{}\"}}", NAMESPACES[0], run.ask.namespace);
    run.missing(Source::Loki, "lines", format!("it has none for {selector} in that time"));
    Ok(None)
}

/// What is asked, of whom, and who knows the services.
struct Reader<'a> {
    remote: &'a Remote,
    directory: &'a Directory,
    window: Window,
    query: String,
}

impl Reader<'_> {
    /// Reads what the query selects, over all the time; `None` where no part of it could be had.
    fn all(&self, run: &mut Run<'_>) -> Option<Lines> {
        let mut lines = Lines::new(run.ask.limits.log_texts);
        let slices = slices(&run.window);
        let share = (run.ask.limits.log_lines / slices.len()).max(1);
        let (mut answered, mut full, mut page) = (0, 0, PAGE);
        for (done, slice) in slices.iter().enumerate() {
            run.step(Source::Loki, "log lines", (done, slices.len()));
            match self.slice(*slice, share, (&mut page, &mut lines)) {
                Ok(is_full) => {
                    answered += 1;
                    full += usize::from(is_full);
                }
                Err(trouble) => {
                    // Where nobody answers, what comes after is not read either.
                    let is_down = self.remote.is_down();
                    let [from, to] = [slice.start, slice.end].map(shown);
                    let what = match (is_down, answered) {
                        (true, 0) => "all lines".to_owned(),
                        (true, _) => "all other lines".to_owned(),
                        (false, _) => format!("lines from {from} to {to}"),
                    };
                    run.missing(Source::Loki, what, trouble.why);
                    if is_down {
                        break;
                    }
                }
            }
        }
        if full > 0 {
            run.cut.push(format!(
            "of {full} of {} parts of the time the last {share} log lines were read, so counts are too small",
            slices.len()
        ));
        }
        (answered > 0).then_some(lines)
    }

    /// Reads the lines of a slice from its end on, and says whether there were too many.
    fn slice(
        &self,
        slice: Slice,
        most: usize,
        (page, lines): (&mut usize, &mut Lines),
    ) -> std::result::Result<bool, Trouble> {
        let (mut end, mut left) = (slice.end, most);
        loop {
            let limit = left.min(*page);
            let [start, until, limit_text] =
                [slice.start.to_string(), end.to_string(), limit.to_string()];
            let parameters = [
                ("query", self.query.as_str()),
                ("start", &start),
                ("end", &until),
                ("limit", &limit_text),
                ("direction", "backward"),
            ];
            let answer: Answer = match self.remote.json("/loki/api/v1/query_range", &parameters) {
                Err(trouble) if trouble.is_refusal && *page > SMALLEST_PAGE => {
                    *page /= 4;
                    continue;
                }
                answer => answer?,
            };
            let data = answer.data.ok_or_else(|| self.remote.trouble("the answer has no data"))?;
            let (mut came, mut first) = (0, end);
            for stream in data.result {
                let service = self.directory.of_labels(&stream.stream);
                let told = LEVELS.iter().find_map(|it| level(stream.stream.get(*it)?));
                // What came twice, with one time and one text, is one line.
                let mut moment: (i64, BTreeSet<String>) = (i64::MIN, BTreeSet::new());
                for entry in stream.values {
                    came += 1;
                    first = first.min(entry.time);
                    if moment.0 != entry.time {
                        moment = (entry.time, BTreeSet::new());
                    }
                    if !moment.1.insert(entry.line.clone()) {
                        continue;
                    }
                    match (&service, Timestamp::from_nanosecond(entry.time.into())) {
                        (Some(service), Ok(time)) => {
                            lines.add(service, time, &entry.line, (told, &self.window));
                        }
                        _ => lines.homeless += 1,
                    }
                }
            }
            left = left.saturating_sub(came);
            if came < limit {
                return Ok(false);
            }
            // A page full of one moment: the moment's other lines cannot be had, the ones before can.
            // Otherwise the first moment of this page is read no further either, rather than twice.
            end = first;
            if left == 0 || end <= slice.start {
                return Ok(left == 0);
            }
        }
    }
}

fn shown(nanoseconds: i64) -> String {
    timestamp(nanoseconds / NANOSECONDS).strftime("%H:%M:%S").to_string()
}

/// The incident first: should time run out, that is what matters.
fn slices(window: &Window) -> Vec<Slice> {
    let mut slices = Vec::new();
    // The last second counts as well.
    for (start, end) in [(window.start, window.end + 1), (window.from, window.start)] {
        let length = (end - start) * (NANOSECONDS / SLICES);
        let start = start * NANOSECONDS;
        slices.extend(
            (0..SLICES)
                .map(|it| Slice { start: start + it * length, end: start + (it + 1) * length }),
        );
    }
    slices
}
