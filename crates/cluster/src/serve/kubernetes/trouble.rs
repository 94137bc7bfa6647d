//! How a service's pods do, read off its events and its metric of ready replicas.

use crate::serve::prepare::Scene;
use jiff::{SignedDuration, Timestamp};
use sre::incident::{Event, EventKind, Service};
use sre::signal::Signal;

/// Minutes before an incident was noticed from which on its events may still go on.
const FRESH_MINUTES: i64 = 15;

/// An event that came so often goes on.
const OFTEN: u64 = 3;

/// What a container waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// How the pods of a service do.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble {
    /// Pods that are wanted and not ready.
    pub(super) unready: usize,
    /// Those of them that could not even be made.
    pub(super) missing: bool,
    /// Restarts of those that are not ready, or of the first pod.
    pub(super) restarts: u64,
    /// Whether containers were killed for their memory.
    pub(super) killed: bool,
    /// When the last restart was.
    pub(super) last: Option<Timestamp>,
    /// What the container waits for.
    pub(super) waiting: Option<Waiting>,
    /// The same of the proxy beside it, where there is one.
    pub(super) proxy: Option<Waiting>,
    /// Whether a pod was evicted, and why.
    pub(super) evicted: Option<String>,
    /// Whether the node is gone.
    pub(super) node_lost: bool,
    /// Whether the autoscaler wants more than it may.
    pub(super) capped: bool,
}

impl Trouble {
    /// Of a service.
    pub(super) fn of(scene: &Scene, service: &Service) -> Self {
        let mut trouble = Self::default();
        let own = scene.incident.events.iter().filter(|event| event.service == service.name);
        own.for_each(|event| trouble.see(event, scene));
        let replicas = usize::try_from(service.replicas.unwrap_or(1)).unwrap_or(usize::MAX);
        let measured = last(scene, &service.name, Signal::Ready);
        let waits = trouble.waiting.is_some() || trouble.proxy.is_some();
        let ongoing = waits || trouble.node_lost || trouble.unready > 0;
        trouble.unready = match measured {
            // A share of a replica is an average over a minute in which it came and went.
            Some(ready) => replicas.saturating_sub(ready.max(0.0).round() as usize),
            None => usize::from(ongoing || trouble.missing).min(replicas),
        };
        if ongoing && replicas > 0 {
            trouble.unready = trouble.unready.max(1);
        }
        trouble
    }

    fn see(&mut self, event: &Event, scene: &Scene) {
        let fresh = scene.incident.start - SignedDuration::from_mins(FRESH_MINUTES);
        let warning = event.kind == EventKind::Warning;
        let ongoing = warning && event.time >= fresh && event.count >= OFTEN;
        let message = event.message.to_ascii_lowercase();
        let waits = |reason| Some(Waiting { reason, message: event.message.clone() });
        match event.reason.as_str() {
            "OOMKilling" | "OOMKilled" => {
                self.killed = true;
                self.restarted(event, scene);
            }
            "BackOff" if message.contains("pulling") => self.waiting = waits("ImagePullBackOff"),
            "BackOff" => {
                self.restarted(event, scene);
                let state = if ongoing { waits("CrashLoopBackOff") } else { None };
                match message.contains("container proxy") {
                    true => self.proxy = state,
                    false => self.waiting = state.or(self.waiting.take()),
                }
            }
            "Failed" if self.waiting.is_none() => self.waiting = waits("ErrImagePull"),
            "FailedCreate" => self.missing = true,
            "Unhealthy" if ongoing => self.unready = 1,
            "Evicted" => self.evicted = Some(event.message.clone()),
            "NodeNotReady" if warning => self.node_lost = true,
            "ScalingLimited" => self.capped = true,
            _ => {}
        }
    }

    fn restarted(&mut self, event: &Event, scene: &Scene) {
        self.restarts = self.restarts.max(event.count);
        let last = last_time(event, scene);
        self.last = self.last.max(Some(last));
    }
}

/// When an event came last: its times are spread evenly up to the end.
pub(super) fn last_time(event: &Event, scene: &Scene) -> Timestamp {
    let left = scene.incident.end.duration_since(event.time).as_secs().max(0);
    let count = i64::try_from(event.count.max(1)).unwrap_or(i64::MAX);
    let after = i128::from(left) * i128::from(count - 1) / i128::from(count);
    let after = SignedDuration::from_secs(i64::try_from(after).unwrap_or(0));
    event.time.checked_add(after).unwrap_or(event.time)
}

/// The last value of a metric of a service that measures this.
pub(super) fn last(scene: &Scene, service: &str, signal: Signal) -> Option<f64> {
    let own = scene.incident.metrics.iter().filter(|series| series.service == service);
    let mut own = own.filter(|series| Signal::of(&series.name) == Some(signal));
    own.find_map(|series| series.values.iter().rev().flatten().next().copied())
}
