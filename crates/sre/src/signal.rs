//! What a metric measures, read off the words in its name. Monitoring systems name the same thing
//! differently; a model should not have to learn every name.

use serde::{Deserialize, Serialize};
use std::fmt;

#[cfg(test)]
mod tests;

/// What a metric measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// Requests per second.
    Requests,
    /// Failed requests, per second or as a share.
    Errors,
    /// Seconds until an answer.
    Latency,
    /// CPU that is used.
    Cpu,
    /// Time in which the CPU limit held the container back.
    Throttling,
    /// Memory that is used.
    Memory,
    /// Restarts of containers.
    Restarts,
    /// Connections taken from a pool.
    Connections,
    /// Requests that wait for a connection, a thread or a lock.
    Waiting,
    /// Messages in a queue, or the lag of its consumers.
    Queue,
    /// Open file handles or sockets.
    OpenFiles,
    /// Space that is used on a volume.
    Disk,
    /// Replicas that are ready.
    Ready,
    /// Replicas that are wanted.
    Wanted,
    /// Share of requests that the cache answers.
    CacheHits,
    /// Seconds or failures of name resolution.
    Dns,
    /// How far a clock is off.
    Clock,
    /// Changes of leadership.
    Leader,
    /// Repeated requests.
    Retries,
    /// Time until a certificate ends.
    Certificate,
    /// CPU or disk time that other workloads of the node take.
    NodePressure,
    /// Packets or connections that were dropped or refused.
    Dropped,
    /// Use of a quota.
    Quota,
    /// Requests to a dependency outside.
    Dependency,
}

/// Words by which a signal is recognised, the more special before the more general: the first row
/// of which every group has one of its words in the name decides.
const WORDS: [(Signal, &[&[&str]]); 36] = [
    (Signal::Throttling, &[&["throttl"]]),
    (Signal::Certificate, &[&["cert", "x509", "tls"], &["expir", "days", "notafter", "valid"]]),
    (Signal::Leader, &[&["leader", "election", "lease"]]),
    (Signal::Clock, &[&["clock", "ntp", "timex", "chrony", "time_offset"]]),
    (Signal::Quota, &[&["quota"]]),
    (Signal::Dns, &[&["dns", "resolv", "nxdomain", "lookup"]]),
    (Signal::Dropped, &[&["drop", "refused", "denied", "reject"]]),
    (Signal::Retries, &[&["retr", "reattempt", "resent"]]),
    (Signal::CacheHits, &[&["cache"], &["hit", "miss", "ratio"]]),
    (Signal::NodePressure, &[&["steal", "pressure", "psi", "node_load", "contention_node"]]),
    (Signal::NodePressure, &[&["node", "host"], &["cpu", "io", "load", "disk_busy"]]),
    (Signal::Restarts, &[&["restart"]]),
    (
        Signal::OpenFiles,
        &[&["fds", "file_desc", "filedesc", "open_file", "handles", "sockets_open"]],
    ),
    (Signal::Waiting, &[&["wait", "pending", "blocked", "acquire"]]),
    (Signal::Waiting, &[&["lock"]]),
    (Signal::Connections, &[&["connection", "conns", "conn_", "pool"]]),
    (Signal::Queue, &[&["queue", "lag", "backlog", "messages_ready", "unacked", "depth"]]),
    (Signal::Dependency, &[&["external", "upstream", "egress", "third_party", "dependency"]]),
    (Signal::Wanted, &[&["replica"], &["desired", "spec", "wanted", "target"]]),
    (Signal::Ready, &[&["ready", "available"]]),
    (Signal::Ready, &[&["replica"]]),
    (Signal::Disk, &[&["volume", "disk", "filesystem", "fs_", "inode", "pvc"]]),
    (Signal::Memory, &[&["mem", "rss", "working_set", "heap"]]),
    (Signal::Errors, &[&["error", "fail", "5xx", "unsuccessful", "exception", "err_", "errs"]]),
    (Signal::Latency, &[&["latency", "duration", "seconds_bucket", "response_time", "p99", "p95"]]),
    (Signal::Latency, &[&["took", "elapsed", "resp_time", "rtt"]]),
    (Signal::Cpu, &[&["cpu"]]),
    (
        Signal::Requests,
        &[&["request", "rps", "rpc", "calls", "hits", "throughput", "served", "req_"]],
    ),
    (Signal::Latency, &[&["ms", "millis", "seconds"], &["response", "request", "call", "serve"]]),
    (Signal::Ready, &[&["pods", "instances"], &["up", "alive", "serving"]]),
    (Signal::Wanted, &[&["pods", "instances"]]),
    (Signal::Disk, &[&["storage"]]),
    (Signal::Memory, &[&["bytes_resident", "ram"]]),
    (Signal::Cpu, &[&["cores", "processor"]]),
    (Signal::Queue, &[&["messages", "inbox"]]),
    (Signal::Requests, &[&["qps", "tps"]]),
];

impl Signal {
    /// What the metric of this name measures, as far as its words tell.
    pub fn of(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let has = |groups: &&[&[&str]]| {
            groups.iter().all(|words| words.iter().any(|word| name.contains(word)))
        };
        WORDS.iter().find(|(_, groups)| has(groups)).map(|(signal, _)| *signal)
    }

    /// A word or two for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Errors => "errors",
            Self::Latency => "latency",
            Self::Cpu => "cpu",
            Self::Throttling => "throttled time",
            Self::Memory => "memory",
            Self::Restarts => "restarts",
            Self::Connections => "connections",
            Self::Waiting => "waiting",
            Self::Queue => "queue",
            Self::OpenFiles => "open files",
            Self::Disk => "disk",
            Self::Ready => "ready replicas",
            Self::Wanted => "wanted replicas",
            Self::CacheHits => "cache hits",
            Self::Dns => "name lookups",
            Self::Clock => "clock offset",
            Self::Leader => "leader changes",
            Self::Retries => "retries",
            Self::Certificate => "certificate days",
            Self::NodePressure => "node pressure",
            Self::Dropped => "dropped packets",
            Self::Quota => "quota",
            Self::Dependency => "outside calls",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}
