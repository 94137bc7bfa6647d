//! Changes as deployment tools and people note them, and alerts.

use super::{Phrase, Words};

pub(super) const WORDS: &[Words] = &[
    (
        Phrase::CacheEmptied,
        &["cache flushed by operator", "cache pods recreated", "key prefix renamed to {key}"],
        &["evicted everything from the cache by hand", "cache schema bumped"],
    ),
    (
        Phrase::CpuLowered,
        &["cpu limit {old} to {new}", "resources right-sized: cpu {old} -> {new}"],
        &["requests and limits trimmed, cpu now {new}"],
    ),
    (
        Phrase::DashboardChanged,
        &["dashboard edited", "alert thresholds tuned"],
        &["panels rearranged"],
    ),
    (
        Phrase::ImageChanged,
        &["image {old} to {new}", "rollout of {new}", "deployed {new}, was {old}"],
        &["release {new} went out", "tag moved {old} => {new}"],
    ),
    (
        Phrase::InjectionEnabled,
        &["namespace labelled for proxy injection", "mesh annotation added to template"],
        &["pods now join the mesh"],
    ),
    (
        Phrase::LabelsChanged,
        &["labels added for cost reports", "annotation owner updated"],
        &["metadata touched up"],
    ),
    (
        Phrase::MemoryLowered,
        &["memory limit {old} to {new}", "resources right-sized: memory {old} -> {new}"],
        &["limits trimmed, memory now {new}"],
    ),
    (
        Phrase::PolicyApplied,
        &[
            "network policy {key} applied",
            "ingress rules tightened in namespace",
            "default-deny rule merged",
        ],
        &["traffic rules of namespace replaced", "isolation {key} switched on"],
    ),
    (
        Phrase::PoolLowered,
        &["pool size {old} to {new}", "max connections set to {new}"],
        &["connection ceiling now {new}, was {old}"],
    ),
    (
        Phrase::ProbeChanged,
        &["health endpoint of template changed to {path}", "chart update: readiness on {path}"],
        &["template edited: readinessProbe.httpGet {path}"],
    ),
    (
        Phrase::ReplicasChanged,
        &["replicas {old} to {new}", "scaled by hand to {new}"],
        &["count set to {new}"],
    ),
    (
        Phrase::SecretRotated,
        &["secret {key} rotated", "credentials renewed"],
        &["secret {key} replaced on schedule"],
    ),
    (
        Phrase::SettingChanged,
        &[
            "config map: {setting} edited",
            "settings synced, {setting} changed",
            "env {setting} updated",
        ],
        &["new value for {setting}", "values.yaml: {setting} touched"],
    ),
    (
        Phrase::ErrorsHigh,
        &[
            "error share of {svc} above {n}%",
            "{svc} fails {n}% of its requests",
            "too many 5xx at {svc} ({n}%)",
        ],
        &["{svc}: failures at {n}%", "burn rate alert, {svc} errors {n}%"],
    ),
    (
        Phrase::LatencyHigh,
        &[
            "p99 of {svc} above {ms} ms",
            "{svc} answers slowly, {ms} ms",
            "latency objective of {svc} broken ({ms} ms)",
        ],
        &["{svc}: slowest percent takes {ms} ms", "response time alarm {svc} {ms} ms"],
    ),
    (
        Phrase::ReadyLow,
        &["{svc} has {n} ready replicas", "replicas of {svc} missing"],
        &["{svc}: fewer pods serve than planned"],
    ),
];
