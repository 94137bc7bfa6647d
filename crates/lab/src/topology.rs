//! Call graphs: who calls whom, how much of what each service has, and on which node it runs.
//! Callers stand before the services that they call.

use crate::dice::Dice;
use crate::names;
use crate::settings::Part;

/// What a service is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Takes requests from outside.
    Edge,
    /// Answers requests of other services.
    Inner,
    /// Takes its work from a queue.
    Worker,
    /// Keeps data on a volume.
    Store,
}

/// What a service has besides requests: what can be measured about it and what can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trait {
    /// A pool of connections.
    Pool,
    /// A cache in front of what it calls.
    Cache,
    /// A queue that it consumes.
    Queue,
    /// A volume.
    Volume,
    /// An autoscaler.
    Autoscaler,
    /// A dependency outside the cluster.
    Outside,
    /// An elected leader among its replicas.
    Leader,
    /// A certificate of its own.
    Certificate,
    /// A quota on its namespace that is watched.
    Quota,
}

/// A service and what is normal for it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Indices of what it calls, with calls per request.
    pub(crate) calls: Vec<(usize, f64)>,
    pub(crate) traits: Vec<Trait>,
    /// Index of its cluster node.
    pub(crate) host: usize,
    /// The version before and the one that runs.
    pub(crate) versions: (String, String),
    pub(crate) replicas: u64,
    pub(crate) most_replicas: u64,
    pub(crate) memory_limit_mib: u64,
    pub(crate) cpu_limit_millicores: u64,
    /// Requests per second that come from outside.
    pub(crate) outside_load: f64,
    /// Seconds of its own work per request.
    pub(crate) work: f64,
    /// Share of requests that fail on a good day.
    pub(crate) failing: f64,
    /// Share of its memory and CPU limits in use on a good day.
    pub(crate) memory_use: f64,
    pub(crate) cpu_use: f64,
    /// Repetitions per failed call.
    pub(crate) retries: f64,
}

impl Node {
    pub(crate) fn has(&self, wanted: Trait) -> bool {
        self.traits.contains(&wanted)
    }

    pub(crate) fn give(&mut self, wanted: Trait) {
        if !self.has(wanted) {
            self.traits.push(wanted);
        }
    }
}

/// Services in the order of calls, and the names of the cluster's nodes.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    pub(crate) services: Vec<Node>,
    pub(crate) hosts: Vec<String>,
}

/// Shapes of call graphs, which the parts do not share.
#[derive(Clone, Copy, Debug)]
enum Family {
    /// Layers, each of which calls the next.
    Layers,
    /// A few services in the middle that all others use.
    Hub,
    /// Each service has one caller.
    Tree,
    /// Long chains beside each other.
    Chains,
    /// Anything may call anything that stands after it.
    Mesh,
}

const FAMILIES: [&[Family]; 2] =
    [&[Family::Layers, Family::Hub, Family::Tree], &[Family::Chains, Family::Mesh]];

/// Services of a topology, by part.
const SIZES: [(i64, i64); 2] = [(5, 26), (6, 30)];

impl Topology {
    pub(crate) fn new(dice: &mut Dice, part: Part) -> Self {
        let count = usize::try_from(dice.whole(SIZES[names::half(part)])).unwrap_or(5);
        let family = *dice.one(FAMILIES[names::half(part)]);
        let edges = if count > 12 { dice.below(3) + 1 } else { 1 };
        let hosts = names::nodes(dice, part, 2 + count / 5);
        let mut used = Vec::new();
        let mut services: Vec<Node> = (0..count)
            .map(|index| {
                let role = role(dice, index, edges, count);
                let name = names::service(dice, part, role, &mut used);
                node(dice, (name, role), part, hosts.len())
            })
            .collect();
        for callee in edges..count {
            for caller in callers(dice, family, (callee, edges, count)) {
                // What keeps data calls nobody; the edge stands in for it as a caller.
                let caller = if services[caller].role == Role::Store { 0 } else { caller };
                let per_request = dice.between((0.3, 1.2));
                if !services[caller].calls.iter().any(|(other, _)| *other == callee) {
                    services[caller].calls.push((callee, per_request));
                }
            }
        }
        Self { services, hosts }
    }

    /// For each service those that its requests reach, itself among them, as bits.
    pub(crate) fn reach(&self) -> Vec<u64> {
        let mut reach = vec![0u64; self.services.len()];
        for index in (0..self.services.len()).rev() {
            let below = self.services[index].calls.iter().map(|(callee, _)| reach[*callee]);
            reach[index] = below.fold(1 << index, |all, bits| all | bits);
        }
        reach
    }

    /// Those that call this service.
    pub(crate) fn callers(&self, callee: usize) -> Vec<usize> {
        let calls = |node: &Node| node.calls.iter().any(|(next, _)| *next == callee);
        (0..self.services.len()).filter(|index| calls(&self.services[*index])).collect()
    }
}

fn role(dice: &mut Dice, index: usize, edges: usize, count: usize) -> Role {
    let inner = edges + (count - edges).div_ceil(2);
    match index {
        index if index < edges => Role::Edge,
        index if index < inner => Role::Inner,
        _ => *dice.one(&[Role::Inner, Role::Worker, Role::Store, Role::Store]),
    }
}

/// Who calls a service: one of those before it, sometimes two or three.
fn callers(
    dice: &mut Dice,
    family: Family,
    (callee, edges, count): (usize, usize, usize),
) -> Vec<usize> {
    match family {
        Family::Layers => {
            let width = (count / 4).max(1);
            let first = callee.saturating_sub(2 * width);
            let last = callee.saturating_sub(width).max(edges).min(callee);
            let many = dice.below(2) + 1;
            (0..many).map(|_| first + dice.below((last - first).max(1))).collect()
        }
        Family::Hub => {
            let hub = edges + dice.below(3);
            if hub < callee && dice.happens(0.7) { vec![hub] } else { vec![dice.below(edges)] }
        }
        Family::Tree => vec![dice.below(callee)],
        Family::Chains => {
            let chains = edges + 1;
            let before = callee.checked_sub(chains).unwrap_or(dice.below(edges));
            let mut all = vec![before];
            if dice.happens(0.15) {
                all.push(dice.below(callee));
            }
            all
        }
        Family::Mesh => (0..dice.below(3) + 1).map(|_| dice.below(callee)).collect(),
    }
}

/// What is normal for a service. Replicas, limits, load, work, failures and use of memory and CPU come from
/// ranges that the parts do not share.
fn node(dice: &mut Dice, (name, role): (String, Role), part: Part, hosts: usize) -> Node {
    let test = part == Part::Test;
    let replicas = dice.whole(if test { (7, 10) } else { (2, 6) }).unsigned_abs();
    let megabytes: &[u64] =
        if test { &[192, 384, 768, 1536] } else { &[128, 256, 512, 1024, 2048] };
    let cores: &[u64] = if test { &[300, 600, 1200] } else { &[250, 500, 1000, 2000] };
    let mut traits = Vec::new();
    for (wanted, chance) in chances(role) {
        if dice.happens(chance) {
            traits.push(wanted);
        }
    }
    let outside = if test { (400.0, 900.0) } else { (20.0, 400.0) };
    Node {
        name,
        role,
        calls: Vec::new(),
        traits,
        host: dice.below(hosts),
        versions: names::versions(dice, part),
        replicas,
        most_replicas: replicas + dice.whole((1, 6)).unsigned_abs(),
        memory_limit_mib: *dice.one(megabytes),
        cpu_limit_millicores: *dice.one(cores),
        outside_load: if role == Role::Edge { dice.spread(outside) } else { 0.0 },
        work: dice.spread(if test { (0.06, 0.12) } else { (0.003, 0.06) }),
        failing: dice.spread(if test { (0.004, 0.007) } else { (0.0005, 0.004) }),
        memory_use: dice.between(if test { (0.22, 0.35) } else { (0.35, 0.7) }),
        cpu_use: dice.between(if test { (0.1, 0.2) } else { (0.2, 0.55) }),
        retries: if dice.happens(0.6) { dice.between((0.3, 1.2)) } else { 0.0 },
    }
}

fn chances(role: Role) -> [(Trait, f64); 9] {
    let at = |edge, inner, worker, store| [edge, inner, worker, store][role as usize];
    [
        (Trait::Pool, at(0.1, 0.6, 0.5, 0.2)),
        (Trait::Cache, at(0.2, 0.35, 0.1, 0.2)),
        (Trait::Queue, at(0.0, 0.05, 1.0, 0.05)),
        (Trait::Volume, at(0.05, 0.1, 0.15, 1.0)),
        (Trait::Autoscaler, at(0.6, 0.5, 0.5, 0.05)),
        (Trait::Outside, at(0.15, 0.25, 0.25, 0.0)),
        (Trait::Leader, at(0.0, 0.08, 0.15, 0.4)),
        (Trait::Certificate, at(0.5, 0.3, 0.1, 0.2)),
        (Trait::Quota, at(0.2, 0.2, 0.2, 0.2)),
    ]
}
