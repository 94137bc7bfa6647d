//! Logs of pods: every pod of a service has its share of the service's lines.

use super::Kubernetes;
use super::status::Status;
use crate::serve::answer::Answer;
use crate::serve::loki::Entry;
use crate::serve::request::{Params, Request};
use crate::serve::time::{NANOS_PER_SECOND, loki_time};
use jiff::Timestamp;
use serde_json::Value;

impl Kubernetes {
    /// The log of a pod.
    pub(super) fn log(
        &self,
        pods: &[Value],
        (namespace, name): (Option<&str>, &str),
        request: &Request,
    ) -> Result<Answer, Status> {
        let is = |pod: &Value, name: &str| {
            pod["metadata"]["name"] == *name && pod["metadata"]["namespace"].as_str() == namespace
        };
        let kind = super::KINDS.iter().find(|kind| kind.plural == "pods");
        let pod = pods.iter().find(|pod| is(pod, name));
        let Some(pod) = pod else {
            return Err(
                kind.map_or_else(|| Status::bad("no pods"), |it| Status::not_found(it, name))
            );
        };
        let container = request.params.get("container").unwrap_or("app");
        let mut containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        if !containers.any(|it| it["name"] == *container) {
            return Err(Status::bad(format!("container {container} is not valid for pod {name}")));
        }
        let service = pod["metadata"]["labels"]["app"].as_str().unwrap_or_default();
        let of_service = |pod: &&Value| {
            pod["metadata"]["labels"]["app"] == *service && pod["status"]["phase"] != "Failed"
        };
        let together: Vec<&Value> = pods.iter().filter(of_service).collect();
        let place = together.iter().position(|pod| is(pod, name));
        // Only the app logs, and only where it could start.
        let speaks = container == "app" && pod["status"]["phase"] == "Running";
        let own = match place.filter(|_| speaks && !request.params.is_set("previous")) {
            Some(place) => self.share(service, (place, together.len())),
            None => Vec::new(),
        };
        let window = Window::read(&request.params, self.now)?;
        Ok(Answer::text(200, window.text(&own, &self.loki.store().lines)))
    }

    /// The entries of one of so many pods of a service, in order.
    fn share(&self, service: &str, (place, of): (usize, usize)) -> Vec<Entry> {
        let streams = self.loki.store().streams.iter();
        let own = streams.filter(|it| it.labels.get("app").is_some_and(|it| it == service));
        let mut entries: Vec<Entry> = own.flat_map(|it| it.entries.iter().copied()).collect();
        entries.sort_by_key(|it| (it.at, it.line));
        entries.into_iter().skip(place).step_by(of.max(1)).collect()
    }
}

/// What of a log is asked for.
struct Window {
    after: i64,
    lines: usize,
    bytes: usize,
    times: bool,
}

impl Window {
    fn read(params: &Params, now: i64) -> Result<Self, Status> {
        let number = |name: &str| match params.get(name) {
            None => Ok(None),
            Some(text) => text
                .parse::<u32>()
                .map(Some)
                .map_err(|_| Status::bad(format!("{name} {text:?} is not a number"))),
        };
        let after = match (number("sinceSeconds")?, params.get("sinceTime")) {
            (Some(seconds), _) => (now - i64::from(seconds)).saturating_mul(NANOS_PER_SECOND),
            (None, Some(text)) => loki_time(text)
                .ok_or_else(|| Status::bad(format!("sinceTime {text:?} is not a time")))?,
            (None, None) => i64::MIN,
        };
        let most = |count: Option<u32>| count.map_or(usize::MAX, |it| it as usize);
        let (lines, bytes) = (most(number("tailLines")?), most(number("limitBytes")?));
        Ok(Self { after, lines, bytes, times: params.is_set("timestamps") })
    }

    fn text(&self, entries: &[Entry], lines: &[String]) -> String {
        let entries = &entries[entries.partition_point(|it| it.at < self.after)..];
        let mut text = String::new();
        for entry in &entries[entries.len().saturating_sub(self.lines)..] {
            if self.times {
                let time = Timestamp::from_nanosecond(i128::from(entry.at)).unwrap_or_default();
                text.push_str(&format!("{time:.9} "));
            }
            // A line is one line, whatever stands in it.
            text.push_str(&lines[entry.line as usize].replace('\n', " "));
            text.push('\n');
            if text.len() >= self.bytes {
                text.truncate(text.floor_char_boundary(self.bytes));
                break;
            }
        }
        text
    }
}
