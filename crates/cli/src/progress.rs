//! How long work shows that it goes on: a bar on a terminal, a line now and then elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
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
                    crate::output::note(&format!("{what} {done}/{total}: {}{left}", message()));
                }
                None => crate::output::note(&format!("{what} {done}: {}", message())),
            }
        }
    }

    /// A line that stays, above the bar.
    pub(crate) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| crate::output::note(text)),
            None => crate::output::note(text),
        }
    }

    fn left(&self, done: u64) -> String {
        let (started, before) = self.started;
        let Some(total) = self.total.filter(|&total| done > before && total > done) else {
            return String::new();
        };
        let each = started.elapsed().as_secs_f64() / (done - before) as f64;
        format!(", {} left", crate::output::duration(each * (total - done) as f64))
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
