//! `log.jsonl`: one JSON object per step and per evaluation, on the disk's side of the buffer at once.

use crate::{Evaluation, Result, StepMetrics};
use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The largest log that is read back on resuming.
const LIMIT_BYTES: u64 = 1 << 30;

/// An open log.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    path: PathBuf,
}

impl Log {
    /// Opens the log of a run that stands at `step`: lines of later steps, and one that was cut short,
    /// are removed.
    pub(crate) fn open(path: &Path, step: u64) -> Result<Log> {
        let kept = if step > 0 && path.exists() {
            kept(&files::read_to_string(path, LIMIT_BYTES)?, step)
        } else {
            String::new()
        };
        files::write_atomic(path, |out| out.write_all(kept.as_bytes()))?;
        let file = OpenOptions::new().append(true).open(path);
        let file = file.map_err(files::Error::io(files::Operation::Write, path))?;
        Ok(Log { file, path: path.to_owned() })
    }

    pub(crate) fn step(&mut self, metrics: &StepMetrics) -> Result<()> {
        let mut value = serde_json::to_value(metrics).expect("metrics are plain data");
        let shares: Map<String, Value> =
            metrics.shares.iter().map(|(group, share)| (group.to_string(), json!(share))).collect();
        value["shares"] = Value::Object(shares);
        self.line("step", value)
    }

    pub(crate) fn evaluation(&mut self, evaluation: &Evaluation) -> Result<()> {
        let value = serde_json::to_value(evaluation).expect("an evaluation is plain data");
        self.line("evaluation", value)
    }

    fn line(&mut self, event: &str, mut value: Value) -> Result<()> {
        value["event"] = event.into();
        let line = format!("{value}\n");
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.flush());
        Ok(written.map_err(files::Error::io(files::Operation::Write, &self.path))?)
    }
}

/// The whole lines of steps up to `step`.
fn kept(text: &str, step: u64) -> String {
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let up_to = whole.filter(|line| {
        let value: Option<Value> = serde_json::from_str(line).ok();
        value.and_then(|value| value["step"].as_u64()).is_some_and(|at| at <= step)
    });
    up_to.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(step: u64) -> Evaluation {
        Evaluation {
            step,
            held_out_loss: 2.5,
            by_source: [("runbooks".to_owned(), 2.5)].into(),
            best: true,
            seconds: 0.1,
        }
    }

    fn steps(path: &Path) -> Vec<u64> {
        let text = std::fs::read_to_string(path).unwrap();
        let step = |line| serde_json::from_str::<Value>(line).unwrap()["step"].as_u64().unwrap();
        text.lines().map(step).collect()
    }

    #[test]
    fn resuming_cuts_later_lines_and_torn_ones() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.jsonl");
        let mut log = Log::open(&path, 0).unwrap();
        for step in 0..5 {
            log.evaluation(&evaluation(step)).unwrap();
        }
        log.file.write_all(b"{\"step\":2").unwrap();
        drop(log);
        let mut log = Log::open(&path, 2).unwrap();
        assert_eq!(steps(&path), [0, 1, 2]);
        log.evaluation(&evaluation(3)).unwrap();
        assert_eq!(steps(&path), [0, 1, 2, 3]);
        Log::open(&path, 0).unwrap();
        assert_eq!(steps(&path), [0_u64; 0], "a fresh run has a fresh log");
    }
}
