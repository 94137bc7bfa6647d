//! `/metrics`: the series as a scraper sees them while the incident goes by.
//!
//! The incident begins with the first scrape and goes by `speed` times faster than the clock. Points keep the
//! times of the incident, and a scrape shows all points since the one before the last: what a scrape that
//! failed has missed comes again, and what comes twice is the same. After the end the newest points stay.
//! Prometheus takes points that are older than an hour only within its `out_of_order_time_window`, as its own
//! `up` is of now; [`scrape_config`] sets it.

use super::answer::Answer;
use super::matcher::NAME;
use super::prometheus::{JOB, Series, Store, number};
use super::request::Request;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Instant;

/// How far the incident has gone by.
#[derive(Debug)]
pub(super) struct Replay {
    speed: f64,
    /// Milliseconds since 1970.
    first: i64,
    state: Mutex<Option<State>>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    begun: Instant,
    /// How far the last scrape came, and the one before it.
    last: i64,
    before: i64,
}

impl Replay {
    /// Of what begins then, in milliseconds since 1970.
    pub(super) fn new(first: i64, speed: f64) -> Self {
        Self { speed, first, state: Mutex::new(None) }
    }

    /// Answers a scrape.
    pub(super) fn answer(&self, store: &Store, request: &Request) -> Answer {
        let window = self.next();
        let open = request.accept.contains("application/openmetrics-text");
        let text = exposition(store, window, open);
        let content_type = match open {
            true => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            false => "text/plain; version=0.0.4; charset=utf-8",
        };
        Answer::bytes(200, content_type, text.into_bytes())
    }

    /// The window to show: after the one, up to the other.
    fn next(&self) -> (i64, i64) {
        let mut state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let now = Instant::now();
        let first = self.first;
        let State { begun, last, before } =
            state.unwrap_or(State { begun: now, last: first, before: first - 1 });
        let gone = now.duration_since(begun).as_secs_f64() * 1000.0 * self.speed;
        let position = first.saturating_add(gone as i64);
        *state = Some(State { begun, last: position, before: last });
        (before, position)
    }
}

/// The points of a window, and the newest one of series that have none there any more.
fn exposition(store: &Store, (after, until): (i64, i64), open: bool) -> String {
    let mut text = String::new();
    let mut name = "";
    // Series are in the order of their labels, not of their names.
    let mut series: Vec<&Series> = store.series.iter().collect();
    series.sort_by_key(|it| it.name());
    for it in series {
        let shown = it.points.partition_point(|(at, _)| *at <= until);
        let first = it.points.partition_point(|(at, _)| *at <= after).min(shown.saturating_sub(1));
        if shown == 0 {
            continue;
        }
        if it.name() != name {
            name = it.name();
            // Writing into a string does not fail.
            let _ = writeln!(text, "# HELP {name} {}", escaped(store.help(name), open));
            let _ = writeln!(text, "# TYPE {name} gauge");
        }
        let labels = labels(it);
        for (at, value) in &it.points[first..shown] {
            let (seconds, millis) = (at.div_euclid(1000), at.rem_euclid(1000));
            let _ = match open {
                true => writeln!(text, "{name}{labels} {} {seconds}.{millis:03}", number(*value)),
                false => writeln!(text, "{name}{labels} {} {at}", number(*value)),
            };
        }
    }
    if open {
        text.push_str("# EOF\n");
    }
    text
}

fn labels(series: &Series) -> String {
    let own = series.labels.iter().filter(|(name, _)| *name != NAME);
    let pairs: Vec<String> = own.map(|(k, v)| format!("{k}=\"{}\"", escaped(v, true))).collect();
    format!("{{{}}}", pairs.join(","))
}

fn escaped(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { text.replace('"', "\\\"") } else { text }
}

/// A configuration of Prometheus that scrapes the lab at this address every second. The label `instance` is
/// dropped, so that series are called as the lab's own API calls them.
pub fn scrape_config(address: SocketAddr) -> String {
    format!(
        "global:
  scrape_interval: 1s
  scrape_timeout: 1s
storage:
  tsdb:
    out_of_order_time_window: 24h
scrape_configs:
  - job_name: {JOB}
    honor_labels: true
    honor_timestamps: true
    static_configs:
      - targets: ['{address}']
    metric_relabel_configs:
      - action: labeldrop
        regex: instance
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::matcher::Labels;

    fn store() -> Store {
        let labels = [(NAME, "a:b"), ("service", "ca\"rt"), ("job", JOB)];
        let labels: Labels =
            labels.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let points = vec![(1_000, 1.5), (2_500, 2.0), (4_000, f64::INFINITY)];
        Store::of(vec![Series { labels, points }])
    }

    #[test]
    fn both_formats_show_a_window() {
        let plain = exposition(&store(), (999, 2_500), false);
        let head = "# HELP a:b What fires.\n# TYPE a:b gauge\n";
        let labels = "a:b{job=\"lab\",service=\"ca\\\"rt\"}";
        assert_eq!(plain, format!("{head}{labels} 1.5 1000\n{labels} 2 2500\n"));
        let open = exposition(&store(), (5_000, 9_000), true);
        assert_eq!(open, format!("{head}{labels} +Inf 4.000\n# EOF\n"), "the newest stays");
        assert_eq!(exposition(&store(), (0, 999), true), "# EOF\n");
    }

    #[test]
    fn the_incident_goes_by_from_the_first_scrape_on() {
        let replay = Replay::new(1_000, 1e9);
        assert_eq!(replay.next(), (999, 1_000));
        let (after, until) = replay.next();
        assert_eq!(after, 1_000);
        assert!(until > 1_000);
        assert_eq!(replay.next().0, 1_000, "what the last scrape but one came to");
        assert_eq!(replay.next().0, until);
    }
}
