//! What goes on inside: load, latency and failures of every service in every minute. Load flows from
//! callers to those they call; latency and failures flow back; repetitions, queues at the limit and
//! lost replicas feed back in the next minute.

use crate::dice::Dice;
use crate::fault::{Fault, Range, Shape};
use crate::topology::{Node, Role, Topology, Trait};

/// Minutes of telemetry before the start of an incident.
pub(crate) const BASELINE: usize = 60;

/// Seconds after which a caller gives up.
const DEADLINE: f64 = 5.0;

/// A fault and the service that it hits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    pub(crate) fault: &'static Fault,
    pub(crate) service: usize,
    /// Minutes from the first value of the telemetry to its onset.
    pub(crate) onset: f64,
    pub(crate) slow: f64,
    pub(crate) fail: f64,
    pub(crate) lost: f64,
    pub(crate) load: f64,
    /// Where its saw-teeth and spikes begin, from 0 to 1.
    phase: f64,
}

impl Hit {
    /// A fault with sizes drawn from its ranges, in their weaker part where `mild`.
    pub(crate) fn new(
        dice: &mut Dice,
        fault: &'static Fault,
        service: usize,
        onset: f64,
        mild: bool,
    ) -> Self {
        let mut size = |(low, high): Range| {
            let high = if mild { low + 0.4 * (high - low) } else { high };
            dice.between((low, high))
        };
        let (slow, fail) = (size(fault.slow), size(fault.fail));
        let (lost, load, phase) = (size(fault.lost), size(fault.load), size((0.0, 1.0)));
        Self { fault, service, onset, slow, fail, lost, load, phase }
    }

    /// How far a course of this shape is at a minute of the telemetry, from 0 to 1.
    pub(crate) fn course(&self, shape: Shape, minute: f64) -> f64 {
        let since = minute - self.onset;
        match shape {
            Shape::Climb(lead) => ((since + lead) / (lead + 8.0)).clamp(0.0, 1.0),
            _ if since < 0.0 => 0.0,
            Shape::Step => 1.0,
            Shape::Ramp(minutes) => ((since + 1.0) / minutes).min(1.0),
            Shape::SawTooth(period) => {
                let within = (since / period + 0.4 * self.phase).fract();
                0.45 + 0.55 * within
            }
            Shape::Spikes(period) => {
                let within = (since / period + 0.9 * self.phase).fract() * period;
                if within < 1.7 { 1.0 } else { 0.12 }
            }
        }
    }

    fn at(&self, minute: f64) -> f64 {
        self.course(self.fault.shape, minute)
    }
}

/// The state of one service in one minute.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    /// Requests per second.
    pub(crate) load: f64,
    /// Seconds per request.
    pub(crate) latency: f64,
    /// Share of requests that fail.
    pub(crate) failing: f64,
    /// Replicas wanted and ready.
    pub(crate) wanted: f64,
    pub(crate) ready: f64,
    /// Repetitions per second that it sends.
    pub(crate) retries: f64,
    /// Requests in work, as a multiple of a good day's.
    pub(crate) in_flight: f64,
    /// Load per ready replica, as a multiple of a good day's.
    pub(crate) busy: f64,
    /// Messages that wait, in minutes of a good day's load.
    pub(crate) backlog: f64,
}

/// The states of all services, step by step.
pub(crate) struct World {
    /// One row per step, in the order of the services.
    pub(crate) rows: Vec<Vec<State>>,
    /// Steps in a minute.
    pub(crate) per_minute: usize,
    /// A good day without any of its ups and downs.
    pub(crate) normal: Vec<State>,
}

impl World {
    /// The rows from the start of the incident on.
    pub(crate) fn incident(&self) -> &[Vec<State>] {
        &self.rows[BASELINE * self.per_minute..]
    }

    /// Minutes from the first row to this one.
    pub(crate) fn minute(&self, row: usize) -> f64 {
        row as f64 / self.per_minute as f64
    }
}

/// How the load from outside moves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Season {
    /// Share by which it swings over the day, and where in the day the telemetry begins.
    pub(crate) swing: f64,
    pub(crate) phase: f64,
    /// A harmless rise, as a factor, and the minute in which it begins.
    pub(crate) rise: f64,
    pub(crate) rise_at: f64,
}

impl Season {
    fn at(&self, minute: f64) -> f64 {
        let day = 2.0 * std::f64::consts::PI * (minute / 1440.0 + self.phase);
        let rise = ((minute - self.rise_at) / 5.0).clamp(0.0, 1.0);
        (1.0 + self.swing * libm::sin(day)) * (1.0 + (self.rise - 1.0) * rise)
    }
}

/// Runs the services of a topology through so many minutes of so many steps.
pub(crate) fn run(
    topology: &Topology,
    hits: &[Hit],
    season: &Season,
    (minutes, per_minute): (usize, usize),
) -> World {
    let services = &topology.services;
    let calm = vec![State { wanted: 1.0, ready: 1.0, ..State::default() }; services.len()];
    let normal = step(services, &[], &calm, None, (0.0, 1.0, 1.0));
    let mut rows: Vec<Vec<State>> = Vec::with_capacity(minutes * per_minute);
    let length = 1.0 / per_minute as f64;
    for row in 0..minutes * per_minute {
        let time = row as f64 / per_minute as f64;
        let before = rows.last().unwrap_or(&normal);
        rows.push(step(services, hits, before, Some(&normal), (time, season.at(time), length)));
    }
    World { rows, per_minute, normal }
}

/// One step, from the one before: when it is and how long it takes, in minutes. Without a normal day
/// to compare with, this is one.
fn step(
    services: &[Node],
    hits: &[Hit],
    before: &[State],
    normal: Option<&[State]>,
    (time, season, length): (f64, f64, f64),
) -> Vec<State> {
    let mut states = vec![State::default(); services.len()];
    let own: Vec<Own> = (0..services.len()).map(|index| Own::at(hits, index, time)).collect();
    // Callers stand before those they call, so their load is complete when it is their turn.
    for (index, node) in services.iter().enumerate() {
        states[index].load = (states[index].load + node.outside_load * season) * own[index].load;
        let load = states[index].load;
        for (callee, per_request) in &node.calls {
            let again = node.retries * (before[*callee].failing - 0.005).max(0.0);
            let calls = load * per_request * (1.0 - 0.7 * own[index].fail);
            states[index].retries += calls * (again + 0.001);
            states[*callee].load += calls * (1.0 + again);
        }
        replicas(&mut states[index], node, &own[index], normal.map(|all| &all[index]));
    }
    for index in (0..services.len()).rev() {
        answer(&mut states, services, index, &own[index]);
        if let Some(normal) = normal {
            let (state, usual) = (&mut states[index], &normal[index]);
            state.in_flight = state.load * state.latency / (usual.load * usual.latency).max(1e-9);
            let surplus = state.busy * own[index].slow - 1.6;
            let more = surplus.max(-0.5) * length;
            state.backlog = (before[index].backlog + more).clamp(0.0, 500.0);
        } else {
            states[index].in_flight = 1.0;
        }
    }
    states
}

/// What the faults do to one service in one minute.
struct Own {
    slow: f64,
    fail: f64,
    lost: f64,
    load: f64,
}

impl Own {
    fn at(hits: &[Hit], service: usize, time: f64) -> Self {
        let mut own = Self { slow: 1.0, fail: 0.0, lost: 0.0, load: 1.0 };
        for hit in hits.iter().filter(|hit| hit.service == service) {
            let size = hit.at(time);
            own.slow *= 1.0 + (hit.slow - 1.0) * size;
            own.fail = 1.0 - (1.0 - own.fail) * (1.0 - hit.fail * size);
            own.lost = (own.lost + hit.lost * size).min(1.0);
            own.load *= 1.0 + (hit.load - 1.0) * size;
        }
        own
    }
}

fn replicas(state: &mut State, node: &Node, own: &Own, normal: Option<&State>) {
    let count = node.replicas as f64;
    let ratio = normal.map_or(1.0, |usual| state.load / usual.load.max(1e-9));
    let scaled = libm::ceil(count * 0.85 * ratio).clamp(count, node.most_replicas as f64);
    state.wanted = if node.has(Trait::Autoscaler) { scaled } else { count };
    state.ready = libm::round(state.wanted * (1.0 - own.lost));
    let serving = (state.wanted * (1.0 - own.lost)).max(0.15 * count);
    state.busy = ratio * count / serving;
}

/// Latency and failures of a service, from its own and those of what it calls.
fn answer(states: &mut [State], services: &[Node], index: usize, own: &Own) {
    let node = &services[index];
    let crowd = (states[index].busy - 1.3).max(0.0);
    let mut latency = node.work * own.slow * (1.0 + 1.5 * crowd * crowd).min(6.0);
    let mut good = (1.0 - node.failing) * (1.0 - own.fail);
    // Where most replicas are gone, the rest cannot take everything.
    good *= 1.0 - (0.1 * (states[index].busy - 4.0)).clamp(0.0, 0.6);
    for (callee, per_request) in &node.calls {
        let other = &states[*callee];
        // What takes its work from a queue is not waited for.
        let waits = if services[*callee].role == Role::Worker { 0.0 } else { 1.0 };
        latency += waits * per_request * other.latency.min(DEADLINE);
        let late = ((other.latency - 1.5) / DEADLINE).clamp(0.0, 0.5);
        let matters = waits * per_request.min(1.0) * 0.8;
        good *= 1.0 - matters * (1.0 - (1.0 - other.failing) * (1.0 - late));
    }
    states[index].latency = latency;
    states[index].failing = (1.0 - good).clamp(0.0, 1.0);
}
