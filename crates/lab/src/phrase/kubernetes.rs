//! Messages of Kubernetes events, in the manner of the components that send them.

use super::{Phrase, Words};

/// A message that is the same in both parts: what the system prints.
const fn printed(phrase: Phrase, words: &'static [&'static str]) -> Words {
    (phrase, words, words)
}

pub(super) const WORDS: &[Words] = &[
    printed(Phrase::BackOffProxy, &["Back-off restarting failed container proxy in pod {pod}"]),
    printed(Phrase::BackOffPulling, &["Back-off pulling image \"{image}\""]),
    printed(Phrase::BackOffRestarting, &["Back-off restarting failed container app in pod {pod}"]),
    printed(Phrase::BecameLeader, &["{pod} became leader"]),
    printed(Phrase::EvictedByTaint, &["Marking for deletion Pod {pod}"]),
    printed(Phrase::EvictedForStorage, &["The node was low on resource: ephemeral-storage"]),
    printed(Phrase::JobCompleted, &["Job completed"]),
    printed(Phrase::KilledForMemory, &["Memory cgroup out of memory: Killed process {n} (app)"]),
    printed(Phrase::NodeLost, &["Node is not ready: {node}"]),
    printed(
        Phrase::ProbeRefused,
        &["Readiness probe failed: dial tcp 10.2.{n}:8080: connect: connection refused"],
    ),
    printed(
        Phrase::ProbeStatus,
        &["Readiness probe failed: HTTP probe failed with statuscode: 404"],
    ),
    printed(
        Phrase::ProbeTimeout,
        &[
            "Readiness probe failed: context deadline exceeded",
            "Liveness probe failed: i/o timeout",
        ],
    ),
    printed(
        Phrase::PullFailed,
        &[
            "Failed to pull image \"{image}\": not found",
            "Failed to pull image \"{image}\": 401 Unauthorized",
            "Error: ErrImagePull",
        ],
    ),
    printed(Phrase::Pulled, &["Successfully pulled image \"{image}\" in {ms}ms"]),
    printed(
        Phrase::QuotaRefused,
        &["Error creating: pods \"{pod}\" is forbidden: exceeded quota: team, requested: pods=1"],
    ),
    printed(
        Phrase::ScaledToMost,
        &["New size: {most}; reason: cpu resource utilization above target"],
    ),
    printed(Phrase::ScaledUp, &["Scaled up replica set {pod} to {n}"]),
    printed(Phrase::Scheduled, &["Successfully assigned {pod} to {node}"]),
    printed(
        Phrase::WantsMoreThanMost,
        &["the desired count is more than the maximum of {most}, capped"],
    ),
];
