//! How long work shows that it goes on: a bar on a terminal, a line now and then elsewhere.

use crate::output::{bytes, duration, note};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Seconds between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Progress of one piece of work, on standard error.
pub(crate) struct Progress {
    what: &'static str,
    total: Option<u64>,
    bar: Option<ProgressBar>,
    /// When, and at how many units, this process began.
    started: (Instant, u64),
    last_line: Instant,
}

impl Progress {
    /// Starts showing. `total` is the number of units that will be done, where it is known.
    pub(crate) fn new(what: &'static str, total: Option<u64>) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| bar(what, total));
        let now = Instant::now();
        Progress { what, total, bar, started: (now, 0), last_line: now }
    }

    /// Says that `done` units were done before, so that the rate counts only what follows.
    pub(crate) fn begin_at(&mut self, done: u64) {
        self.started = (Instant::now(), done);
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.reset_eta();
        }
    }

    /// Shows that `done` units are done, with what else there is to say.
    pub(crate) fn at(&mut self, done: u64, message: impl Fn() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(message());
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let (what, left) = (self.what, self.left(done));
            match self.total {
                Some(total) => {
                    note(&format!("{what} {done}/{total}: {}{left}", message()));
                }
                None => note(&format!("{what} {done}: {}", message())),
            }
        }
    }

    /// A line that stays, above the bar.
    pub(crate) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note(text)),
            None => note(text),
        }
    }

    fn left(&self, done: u64) -> String {
        let (started, before) = self.started;
        let Some(total) = self.total.filter(|&total| done > before && total > done) else {
            return String::new();
        };
        let each = started.elapsed().as_secs_f64() / (done - before) as f64;
        format!(", {} left", duration(each * (total - done) as f64))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: &'static str, total: Option<u64>) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(8);
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::with_draw_target(Some(total), target),
            "{prefix} {wide_bar} {pos}/{len} {msg} {eta} left",
        ),
        None => (ProgressBar::with_draw_target(None, target), "{prefix} {spinner} {pos} {msg}"),
    };
    let style = ProgressStyle::with_template(template).expect("the templates above are valid");
    bar.with_style(style).with_prefix(what)
}

/// Progress of bytes that are received: of one file after the other, and of all of them.
pub(crate) struct Transfer {
    one: Part,
    all: Part,
    name: String,
    bars: Option<MultiProgress>,
    last_line: Instant,
}

/// So many bytes of which some are there.
struct Part {
    total: u64,
    done: u64,
    /// When, and at how many bytes, this process began.
    started: (Instant, u64),
    bar: Option<ProgressBar>,
}

impl Transfer {
    /// Starts showing that so many bytes will be received.
    pub(crate) fn new(total: u64) -> Transfer {
        let target = || ProgressDrawTarget::stderr_with_hz(8);
        let is_terminal = std::io::stderr().is_terminal();
        let bars = is_terminal.then(|| MultiProgress::with_draw_target(target()));
        let part = |total| Part::new(total, 0, bars.as_ref(), "in all");
        let (one, all) = (Part::new(0, 0, None, ""), part(total));
        Transfer { one, all, name: String::new(), bars, last_line: Instant::now() }
    }

    /// Goes on to a file of which `done` bytes were received before.
    pub(crate) fn begin(&mut self, name: &str, total: u64, done: u64) {
        if let (Some(bars), Some(bar)) = (&self.bars, &self.one.bar) {
            bars.remove(bar);
        }
        self.one = Part::new(total, done, self.bars.as_ref(), name);
        self.name = name.to_owned();
    }

    /// Shows that `done` bytes of the file are there.
    pub(crate) fn at(&mut self, done: u64) {
        let more = done.saturating_sub(self.one.done);
        self.one.at(done);
        self.all.at(self.all.done + more);
        if self.bars.is_none() && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            note(&format!("{}: {}; in all {}", self.name, self.one.words(), self.all.words()));
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        for bar in [&self.one.bar, &self.all.bar].into_iter().flatten() {
            bar.finish_and_clear();
        }
    }
}

impl Part {
    fn new(total: u64, done: u64, bars: Option<&MultiProgress>, name: &str) -> Part {
        let template = "{prefix} {wide_bar} {binary_bytes}/{binary_total_bytes} \
                        {binary_bytes_per_sec} {eta} left";
        let style = || ProgressStyle::with_template(template).expect("the template is valid");
        let bar = bars.map(|bars| {
            // The file's bar stands above the one of all.
            let bar = bars.insert_from_back(usize::from(name != "in all"), ProgressBar::new(total));
            bar.set_style(style());
            bar.set_prefix(name.to_owned());
            bar.set_position(done);
            bar.reset_eta();
            bar
        });
        Part { total, done, started: (Instant::now(), done), bar }
    }

    fn at(&mut self, done: u64) {
        self.done = done;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }

    /// How much, how fast, and how long it takes at this speed.
    fn words(&self) -> String {
        let (started, before) = self.started;
        let rate = self.done.saturating_sub(before) as f64 / started.elapsed().as_secs_f64();
        let left = self.total.saturating_sub(self.done) as f64 / rate.max(f64::MIN_POSITIVE);
        format!(
            "{} of {}, {}/s, {} left",
            bytes(self.done),
            bytes(self.total),
            bytes(rate as u64),
            duration(left)
        )
    }
}
