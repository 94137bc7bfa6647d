//! Dialects of telemetry: how a shop names its metrics, in which units, and how its log lines look.

use crate::dice::Dice;
use crate::phrase::Language;
use crate::settings::Part;
use sre::incident::Level;
use sre::signal::Signal;

mod names;
#[cfg(test)]
mod tests;

/// The frame of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    /// `level=error msg="…"`
    Logfmt,
    /// `E0312 10:02:11.123456 1 file.go:12] …`
    Klog,
    /// `{"severity":"ERROR","body":"…"}`
    Json,
    /// `10:02:11.123 ERROR [exec-3] c.e.OrderHandler : …`
    Java,
    /// `[FEHLER] …`
    Plain,
    /// `<11>1 app[7]: …`
    Syslog,
}

/// A dialect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    pub(crate) name: &'static str,
    pub(crate) language: Language,
    frames: &'static [Frame],
    /// For each signal its name, and how many of its units make one of ours.
    names: &'static [(Signal, &'static str, f64)],
}

const PROMETHEUS: Dialect = Dialect {
    name: "prometheus",
    language: Language::English,
    frames: &[Frame::Logfmt, Frame::Klog],
    names: names::PROMETHEUS,
};

const OPEN_TELEMETRY: Dialect = Dialect {
    name: "opentelemetry",
    language: Language::English,
    frames: &[Frame::Json],
    names: names::OPEN_TELEMETRY,
};

const MICROMETER: Dialect = Dialect {
    name: "micrometer",
    language: Language::English,
    frames: &[Frame::Java],
    names: names::MICROMETER,
};

const HOME_GROWN: Dialect = Dialect {
    name: "home-grown",
    language: Language::German,
    frames: &[Frame::Plain],
    names: names::HOME_GROWN,
};

/// The dialect that no training incident speaks.
const STATSD: Dialect = Dialect {
    name: "statsd",
    language: Language::English,
    frames: &[Frame::Syslog],
    names: names::STATSD,
};

const DIALECTS: [&[Dialect]; 2] = [
    &[PROMETHEUS, PROMETHEUS, OPEN_TELEMETRY, MICROMETER, HOME_GROWN],
    &[PROMETHEUS, OPEN_TELEMETRY, MICROMETER, HOME_GROWN, STATSD, STATSD],
];

/// A dialect of this part.
pub(crate) fn any(dice: &mut Dice, part: Part) -> Dialect {
    *dice.one(DIALECTS[crate::names::half(part)])
}

impl Dialect {
    /// The name of a metric, and how many of its units make one of ours: seconds, mebibytes, cores,
    /// days, shares of one.
    pub(crate) fn metric(&self, signal: Signal) -> (&'static str, f64) {
        let found = self.names.iter().find(|(key, _, _)| *key == signal);
        found.map_or((signal.name(), 1.0), |(_, name, scale)| (*name, *scale))
    }

    /// A message as it stands in the log.
    pub(crate) fn line(&self, dice: &mut Dice, level: Level, message: &str) -> String {
        let (number, nanos) = (dice.below(90) + 10, dice.below(900_000) + 100_000);
        let name = ["INFO", "WARN", "ERROR"][level as usize];
        match dice.one(self.frames) {
            Frame::Logfmt => {
                let escaped = message.replace('"', "\\\"");
                format!("level={} msg=\"{escaped}\"", name.to_ascii_lowercase())
            }
            Frame::Klog => {
                format!("{}0312 10:{number}:07.{nanos} 1 server.go:{number}] {message}", &name[..1])
            }
            Frame::Json => {
                let body = serde_json::Value::from(message);
                format!("{{\"severity\":\"{name}\",\"body\":{body},\"trace_id\":\"{nanos:x}\"}}")
            }
            Frame::Java => {
                format!(
                    "10:{number}:07.{} {name:<5} [exec-{number}] c.e.app.Handler : {message}",
                    nanos / 1000
                )
            }
            Frame::Plain => {
                format!("[{}] {message}", ["INFO", "WARNUNG", "FEHLER"][level as usize])
            }
            Frame::Syslog => {
                format!("<{}>1 app[{number}]: {message}", [14, 12, 11][level as usize])
            }
        }
    }
}
