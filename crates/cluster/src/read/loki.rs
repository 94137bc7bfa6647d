//! Reads log lines from the HTTP API of Loki: the window and its baseline in slices, so that a loud
//! minute does not take the place of all others, each in pages from its end.

use super::directory::Directory;
use super::http::{Remote, Trouble};
use super::lines::{Lines, level};
use super::window::timestamp;
use super::{HttpSource, Result, Run, Source};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// Slices of the incident, and of its baseline.
const SLICES: i64 = 4;
/// Lines of a page: the most that Loki gives where nobody set another limit, and the fewest that are
/// asked for where it gives less.
const PAGE: usize = 5_000;
const SMALLEST_PAGE: usize = 50;
/// Labels and structured metadata that hold the level.
const LEVELS: [&str; 4] = ["level", "detected_level", "severity", "severity_text"];
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
    let mut lines = Lines::new(run.ask.limits.log_texts);
    let slices = slices(run);
    let share = (run.ask.limits.log_lines / slices.len()).max(1);
    let (mut answered, mut full, mut page) = (0, 0, PAGE);
    for (done, slice) in slices.iter().enumerate() {
        run.step(Source::Loki, "log lines", (done, slices.len()));
        match read_slice(&remote, run, directory, (*slice, share, &mut page, &mut lines)) {
            Ok(is_full) => {
                answered += 1;
                full += usize::from(is_full);
            }
            Err(trouble) => {
                let [from, to] = [slice.start, slice.end].map(shown);
                run.missing(Source::Loki, format!("lines from {from} to {to}"), trouble.why);
                if remote.is_down() {
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
    Ok((answered > 0).then_some(lines))
}

fn shown(nanoseconds: i64) -> String {
    timestamp(nanoseconds / NANOSECONDS).strftime("%H:%M:%S").to_string()
}

/// The incident first: should time run out, that is what matters.
fn slices(run: &Run<'_>) -> Vec<Slice> {
    let window = &run.window;
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

/// Reads the lines of a slice from its end on, and says whether there were too many.
fn read_slice(
    remote: &Remote,
    run: &Run<'_>,
    directory: &Directory,
    (slice, most, page, lines): (Slice, usize, &mut usize, &mut Lines),
) -> std::result::Result<bool, Trouble> {
    let query = format!("{{namespace=\"{}\"}}", run.ask.namespace);
    let (mut end, mut left) = (slice.end, most);
    loop {
        let limit = left.min(*page);
        let [start, until, limit_text] =
            [slice.start.to_string(), end.to_string(), limit.to_string()];
        let parameters = [
            ("query", query.as_str()),
            ("start", &start),
            ("end", &until),
            ("limit", &limit_text),
            ("direction", "backward"),
        ];
        let answer: Answer = match remote.json("/loki/api/v1/query_range", &parameters) {
            Err(trouble) if trouble.is_refusal && *page > SMALLEST_PAGE => {
                *page /= 4;
                continue;
            }
            answer => answer?,
        };
        let data = answer.data.ok_or_else(|| remote.trouble("the answer has no data"))?;
        let (mut came, mut first) = (0, end);
        for stream in data.result {
            let service = directory.of_labels(&stream.stream);
            let told = LEVELS.iter().find_map(|it| level(stream.stream.get(*it)?));
            for entry in stream.values {
                came += 1;
                first = first.min(entry.time);
                match (&service, Timestamp::from_nanosecond(entry.time.into())) {
                    (Some(service), Ok(time)) => {
                        lines.add(service, time, &entry.line, (told, &run.window));
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
