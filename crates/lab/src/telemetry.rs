//! Metric series: what of the world is measured, with noise and gaps, in a dialect's names and units.

use crate::dialect::Dialect;
use crate::dice::Dice;
use crate::fault::{Move, To, Who};
use crate::topology::{Node, Role, Topology, Trait};
use crate::world::{Hit, State, World};
use crate::writer::Worth;
use sre::signal::Signal;

/// A series before it has an id.
pub(crate) struct Measured {
    pub(crate) service: usize,
    pub(crate) signal: Signal,
    pub(crate) name: &'static str,
    pub(crate) limit: Option<f64>,
    pub(crate) values: Vec<Option<f64>>,
    /// What it is worth as evidence.
    pub(crate) worth: Worth,
}

/// A metric that a fault moves, with the value that it moves to.
pub(crate) struct Moved<'a> {
    pub(crate) hit: &'a Hit,
    pub(crate) service: usize,
    pub(crate) spec: &'a Move,
    pub(crate) target: f64,
    pub(crate) worth: Worth,
}

/// Which metrics the faults move, for those services that they concern.
pub(crate) fn moved<'a>(dice: &mut Dice, topology: &Topology, hits: &'a [Hit]) -> Vec<Moved<'a>> {
    let mut all = Vec::new();
    for (index, hit) in hits.iter().enumerate() {
        for spec in hit.fault.moves {
            for service in who(topology, hit.service, spec.who) {
                if dice.happens(spec.chance) {
                    let (To::Times(range) | To::Limit(range) | To::Value(range)) = spec.to;
                    let (target, worth) = (dice.between(range), Worth::of(index, spec.telling));
                    all.push(Moved { hit, service, spec, target, worth });
                }
            }
        }
    }
    all
}

/// The services that are meant.
pub(crate) fn who(topology: &Topology, service: usize, who: Who) -> Vec<usize> {
    match who {
        Who::Itself => vec![service],
        Who::Callers => topology.callers(service),
        Who::Neighbours => {
            let host = topology.services[service].host;
            let all = 0..topology.services.len();
            all.filter(|other| *other != service && topology.services[*other].host == host)
                .collect()
        }
    }
}

/// Everything that is measured about the services.
pub(crate) fn measure(
    dice: &mut Dice,
    topology: &Topology,
    world: &World,
    moved: &[Moved<'_>],
    dialect: &Dialect,
) -> Vec<Measured> {
    let mut all = Vec::new();
    for (index, node) in topology.services.iter().enumerate() {
        let own: Vec<&Moved<'_>> = moved.iter().filter(|it| it.service == index).collect();
        let mut signals = signals(dice, node);
        for it in &own {
            if !signals.contains(&it.spec.signal) {
                signals.push(it.spec.signal);
            }
        }
        for signal in signals {
            let gauge = Gauge::new(dice, node, signal, dialect);
            all.push(gauge.series(dice, index, world, &own));
        }
    }
    all
}

/// What is measured about a service.
fn signals(dice: &mut Dice, node: &Node) -> Vec<Signal> {
    let callee = !node.calls.is_empty();
    let chances = [
        (Signal::Requests, 0.95),
        (Signal::Errors, 0.95),
        (Signal::Latency, 0.95),
        (Signal::Cpu, 0.92),
        (Signal::Memory, 0.92),
        (Signal::Restarts, 0.85),
        (Signal::Ready, 0.8),
        (Signal::Throttling, 0.6),
        (Signal::Retries, if callee { 0.4 } else { 0.0 }),
        (Signal::OpenFiles, 0.3),
        (Signal::Dns, 0.2),
        (Signal::NodePressure, 0.25),
        (Signal::Dropped, 0.2),
        (Signal::Clock, 0.08),
        (Signal::Connections, if node.has(Trait::Pool) { 0.9 } else { 0.0 }),
        (Signal::Waiting, if node.has(Trait::Pool) { 0.8 } else { 0.05 }),
        (Signal::CacheHits, if node.has(Trait::Cache) { 0.85 } else { 0.0 }),
        (Signal::Queue, if node.has(Trait::Queue) { 0.9 } else { 0.0 }),
        (Signal::Disk, if node.has(Trait::Volume) { 0.9 } else { 0.0 }),
        (Signal::Wanted, if node.has(Trait::Autoscaler) { 0.85 } else { 0.0 }),
        (Signal::Dependency, if node.has(Trait::Outside) { 0.85 } else { 0.0 }),
        (Signal::Leader, if node.has(Trait::Leader) { 0.8 } else { 0.0 }),
        (Signal::Certificate, if node.has(Trait::Certificate) { 0.5 } else { 0.0 }),
        (Signal::Quota, if node.has(Trait::Quota) { 0.5 } else { 0.0 }),
    ];
    chances.into_iter().filter(|(_, chance)| dice.happens(*chance)).map(|(it, _)| it).collect()
}

/// One thing that is measured about one service.
struct Gauge<'a> {
    node: &'a Node,
    signal: Signal,
    name: &'static str,
    /// Its units in one of ours.
    scale: f64,
    /// In our units; whether the series says it is another question.
    limit: Option<f64>,
    says_limit: bool,
    /// A normal value, for what the world does not simulate.
    usual: f64,
    noise: f64,
}

impl<'a> Gauge<'a> {
    fn new(dice: &mut Dice, node: &'a Node, signal: Signal, dialect: &Dialect) -> Self {
        let (name, scale) = dialect.metric(signal);
        let limit = match signal {
            Signal::Memory => Some(node.memory_limit_mib as f64),
            Signal::Cpu => Some(node.cpu_limit_millicores as f64 / 1000.0),
            Signal::Connections => Some(*dice.one(&[10.0, 20.0, 30.0, 50.0, 100.0])),
            Signal::OpenFiles => Some(*dice.one(&[1024.0, 4096.0, 65_536.0])),
            Signal::Disk => Some(*dice.one(&[10_240.0, 20_480.0, 51_200.0, 102_400.0])),
            Signal::Wanted | Signal::Ready => Some(node.most_replicas as f64),
            Signal::Quota => Some(*dice.one(&[20.0, 50.0, 100.0])),
            _ => None,
        };
        let says_limit = signal != Signal::Ready && dice.happens(0.85);
        let usual = usual(dice, signal, limit);
        let noise = match signal {
            Signal::Memory | Signal::Disk | Signal::OpenFiles | Signal::Quota => 0.01,
            Signal::Latency | Signal::Cpu | Signal::Requests | Signal::CacheHits => 0.05,
            _ => 0.12,
        };
        let noise = noise * dice.between((0.5, 1.6));
        Self { node, signal, name, scale, limit, says_limit, usual, noise }
    }

    fn series(
        &self,
        dice: &mut Dice,
        service: usize,
        world: &World,
        moved: &[&Moved<'_>],
    ) -> Measured {
        let moved: Vec<_> = moved.iter().filter(|it| it.spec.signal == self.signal).collect();
        let gap = if dice.happens(0.06) { 0.3 } else { 0.004 };
        let mut drift = 0.0;
        let rows = world.rows.iter().enumerate();
        let values = rows.map(|(row, states)| {
            let minute = world.minute(row);
            let mut value = self.value(&states[service], &world.normal[service], minute);
            for it in &moved {
                value = self.moved(it, value, minute);
            }
            drift = 0.6 * drift + 0.8 * dice.bell();
            let value = self.with_noise(dice, value, drift);
            (!dice.happens(gap)).then_some(value * self.scale)
        });
        let values = values.collect();
        Measured {
            service,
            signal: self.signal,
            name: self.name,
            limit: self.limit.filter(|_| self.says_limit).map(|limit| limit * self.scale),
            values,
            worth: moved.iter().map(|it| it.worth).max().unwrap_or(Worth::Ordinary),
        }
    }

    /// What would be measured without what a fault does to this metric in particular.
    fn value(&self, state: &State, normal: &State, minute: f64) -> f64 {
        let limit = self.limit.unwrap_or(1.0);
        let cpu = self.node.cpu_use * state.busy.min(4.0);
        let crowd = state.in_flight.clamp(0.2, 12.0);
        match self.signal {
            Signal::Requests => state.load,
            Signal::Errors => state.failing,
            Signal::Latency => 2.4 * state.latency,
            Signal::Cpu => limit * cpu.min(1.0),
            Signal::Throttling => (0.004 + 2.0 * (cpu - 0.8).max(0.0)).min(0.9),
            Signal::Memory => limit * (self.node.memory_use * (0.96 + 0.04 * crowd)).min(0.93),
            Signal::Ready => state.ready,
            Signal::Wanted => state.wanted,
            Signal::Retries => state.retries,
            Signal::Connections => limit * (0.22 * crowd).min(1.0),
            Signal::Waiting => self.usual + (0.22 * crowd - 0.9).max(0.0) * 20.0,
            Signal::OpenFiles => self.usual * (0.9 + 0.1 * crowd),
            Signal::Queue => self.usual * (1.0 + 4.0 * state.backlog),
            Signal::Dependency => self.usual,
            Signal::Disk => self.usual * (1.0 + 2e-5 * minute),
            Signal::CacheHits => {
                self.usual * if state.load > 2.0 * normal.load { 0.97 } else { 1.0 }
            }
            Signal::Certificate => self.usual - minute / 1440.0,
            _ => self.usual,
        }
    }

    fn moved(&self, it: &Moved<'_>, value: f64, minute: f64) -> f64 {
        let size = it.hit.course(it.spec.shape.unwrap_or(it.hit.fault.shape), minute);
        let most = self.limit.unwrap_or(self.node.most_replicas as f64);
        match it.spec.to {
            To::Times(_) => value * (1.0 + (it.target - 1.0) * size),
            To::Limit(_) => value + (it.target * most - value) * size,
            // A certificate ends by the calendar, so its course is the time itself.
            To::Value(_) if self.signal == Signal::Certificate => {
                it.target - (minute - it.hit.onset) / 1440.0
            }
            To::Value(_) => value + (it.target - value) * size,
        }
    }

    fn with_noise(&self, dice: &mut Dice, value: f64, drift: f64) -> f64 {
        match self.signal {
            Signal::Ready | Signal::Wanted => libm::round(value),
            // Counted things: the part behind the point is a chance.
            Signal::Restarts | Signal::Leader => {
                libm::floor(value) + f64::from(u8::from(dice.happens(value - libm::floor(value))))
            }
            Signal::Certificate => value,
            Signal::CacheHits => (value * (1.0 + 0.3 * self.noise * drift)).clamp(0.0, 1.0),
            _ => {
                let noisy = value * (1.0 + self.noise * drift).max(0.05);
                match (self.signal, self.limit) {
                    (Signal::Errors | Signal::Throttling, _) => noisy.min(1.0),
                    (_, Some(limit)) => noisy.min(limit),
                    _ => noisy,
                }
            }
        }
    }
}

/// A normal value of what the world does not simulate.
fn usual(dice: &mut Dice, signal: Signal, limit: Option<f64>) -> f64 {
    let limit = limit.unwrap_or(1.0);
    match signal {
        Signal::Waiting => dice.between((0.05, 0.4)),
        Signal::OpenFiles => limit * dice.between((0.08, 0.3)),
        Signal::Queue => dice.spread((20.0, 400.0)),
        Signal::Dependency => dice.spread((0.05, 0.4)),
        Signal::Disk => limit * dice.between((0.3, 0.75)),
        Signal::CacheHits => dice.between((0.78, 0.96)),
        Signal::Certificate => dice.between((12.0, 80.0)),
        Signal::Dns => dice.spread((0.002, 0.01)),
        Signal::NodePressure => dice.between((0.04, 0.12)),
        Signal::Dropped => dice.between((0.05, 0.4)),
        Signal::Clock => dice.spread((0.0005, 0.004)),
        Signal::Quota => limit * libm::round(dice.between((8.0, 16.0))) / 20.0,
        _ => 0.0,
    }
}

/// Whether a service that nobody calls answers requests from outside.
pub(crate) fn is_edge(node: &Node) -> bool {
    node.role == Role::Edge
}
