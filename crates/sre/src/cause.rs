//! The closed list of causes. A model chooses one of them; it cannot invent one.

use crate::action::ActionKind;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

#[cfg(test)]
mod tests;

/// Why a service misbehaves.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The container needs more memory than its limit and is killed for it.
    MemoryLimitTooLow,
    /// The container is throttled at its CPU limit.
    CpuThrottling,
    /// Every connection of a pool is taken, requests wait for one.
    ConnectionPoolExhausted,
    /// A new version brought a defect.
    BadRollout,
    /// A changed config map or environment value is wrong.
    BadConfig,
    /// A certificate is past its end date.
    CertificateExpired,
    /// Names do not resolve, or only after seconds.
    DnsFailure,
    /// A volume has no space left.
    DiskFull,
    /// A node stopped answering and its pods with it.
    NodeNotReady,
    /// The image cannot be pulled.
    ImagePullFailure,
    /// The readiness probe fails although the container works.
    WrongReadinessProbe,
    /// The autoscaler wants more replicas than it may have.
    AutoscalerAtMaximum,
    /// Callers repeat failed requests until nothing else gets through.
    RetryStorm,
    /// Many requests miss the cache at once and reach what it protects.
    CacheStampede,
    /// Threads or transactions wait for the same lock.
    LockContention,
    /// A dependency outside the cluster answers slowly.
    SlowDependency,
    /// A network policy drops traffic that is needed.
    NetworkPolicyBlocking,
    /// A resource quota of the namespace is used up.
    QuotaExhausted,
    /// The clock of a node is off.
    ClockSkew,
    /// Another workload on the node takes its CPU or its disk bandwidth.
    NoisyNeighbour,
    /// File handles or sockets are opened and never closed.
    FileHandleLeak,
    /// Consumers do not keep up with a queue.
    MessageBacklog,
    /// Leadership changes hands again and again.
    LeaderFlapping,
    /// An injected sidecar breaks the pod that it stands in.
    BadSidecarInjection,
    /// Nothing is wrong.
    None,
    /// Something is wrong, and none of the other causes explains it.
    Unknown,
}

impl Cause {
    /// Every cause, the two that name no fault last.
    pub const ALL: [Self; 26] = [
        Self::MemoryLimitTooLow,
        Self::CpuThrottling,
        Self::ConnectionPoolExhausted,
        Self::BadRollout,
        Self::BadConfig,
        Self::CertificateExpired,
        Self::DnsFailure,
        Self::DiskFull,
        Self::NodeNotReady,
        Self::ImagePullFailure,
        Self::WrongReadinessProbe,
        Self::AutoscalerAtMaximum,
        Self::RetryStorm,
        Self::CacheStampede,
        Self::LockContention,
        Self::SlowDependency,
        Self::NetworkPolicyBlocking,
        Self::QuotaExhausted,
        Self::ClockSkew,
        Self::NoisyNeighbour,
        Self::FileHandleLeak,
        Self::MessageBacklog,
        Self::LeaderFlapping,
        Self::BadSidecarInjection,
        Self::None,
        Self::Unknown,
    ];

    /// The faults: every cause but [`Cause::None`] and [`Cause::Unknown`].
    pub fn faults() -> &'static [Self] {
        let (faults, _) = Self::ALL.split_at(Self::ALL.len() - 2);
        faults
    }

    /// Its name in answers and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::MemoryLimitTooLow => "memory-limit-too-low",
            Self::CpuThrottling => "cpu-throttling",
            Self::ConnectionPoolExhausted => "connection-pool-exhausted",
            Self::BadRollout => "bad-rollout",
            Self::BadConfig => "bad-config",
            Self::CertificateExpired => "certificate-expired",
            Self::DnsFailure => "dns-failure",
            Self::DiskFull => "disk-full",
            Self::NodeNotReady => "node-not-ready",
            Self::ImagePullFailure => "image-pull-failure",
            Self::WrongReadinessProbe => "wrong-readiness-probe",
            Self::AutoscalerAtMaximum => "autoscaler-at-maximum",
            Self::RetryStorm => "retry-storm",
            Self::CacheStampede => "cache-stampede",
            Self::LockContention => "lock-contention",
            Self::SlowDependency => "slow-dependency",
            Self::NetworkPolicyBlocking => "network-policy-blocking",
            Self::QuotaExhausted => "quota-exhausted",
            Self::ClockSkew => "clock-skew",
            Self::NoisyNeighbour => "noisy-neighbour",
            Self::FileHandleLeak => "file-handle-leak",
            Self::MessageBacklog => "message-backlog",
            Self::LeaderFlapping => "leader-flapping",
            Self::BadSidecarInjection => "bad-sidecar-injection",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }

    /// What it means, as half a sentence after "because".
    pub fn because(self) -> &'static str {
        match self {
            Self::MemoryLimitTooLow => "its containers needed more memory than their limit allows",
            Self::CpuThrottling => "its containers were throttled at their CPU limit",
            Self::ConnectionPoolExhausted => "every connection of its pool was taken",
            Self::BadRollout => "the version that was rolled out has a defect",
            Self::BadConfig => "a changed setting is wrong",
            Self::CertificateExpired => "a certificate is past its end date",
            Self::DnsFailure => "names did not resolve",
            Self::DiskFull => "its volume has no space left",
            Self::NodeNotReady => "the node that it ran on stopped answering",
            Self::ImagePullFailure => "its image could not be pulled",
            Self::WrongReadinessProbe => "its readiness probe fails although the container works",
            Self::AutoscalerAtMaximum => "its autoscaler may not add another replica",
            Self::RetryStorm => "its callers repeated failed requests without pause",
            Self::CacheStampede => "many requests missed the cache at once",
            Self::LockContention => "its work waited for one lock",
            Self::SlowDependency => "a dependency outside the cluster answered slowly",
            Self::NetworkPolicyBlocking => "a network policy dropped traffic that it needs",
            Self::QuotaExhausted => "the quota of its namespace is used up",
            Self::ClockSkew => "the clock of its node is off",
            Self::NoisyNeighbour => "another workload took the resources of its node",
            Self::FileHandleLeak => "it opened file handles and never closed them",
            Self::MessageBacklog => "its consumers did not keep up with the queue",
            Self::LeaderFlapping => "leadership changed hands again and again",
            Self::BadSidecarInjection => "an injected sidecar broke its pods",
            Self::None => "nothing is wrong",
            Self::Unknown => "none of the known causes explains it",
        }
    }

    /// Whether it names a fault: neither "nothing" nor "not known".
    pub fn is_fault(self) -> bool {
        !matches!(self, Self::None | Self::Unknown)
    }

    /// What helps against it. [`ActionKind::Escalate`] where nothing on the list does.
    pub fn remedy(self) -> ActionKind {
        match self {
            Self::MemoryLimitTooLow => ActionKind::RaiseMemoryLimit,
            Self::CpuThrottling => ActionKind::RaiseCpuLimit,
            Self::ConnectionPoolExhausted => ActionKind::RaisePoolSize,
            Self::BadRollout | Self::ImagePullFailure => ActionKind::RollBack,
            Self::BadConfig => ActionKind::RevertConfig,
            Self::CertificateExpired => ActionKind::RenewCertificate,
            Self::DnsFailure => ActionKind::RestartDns,
            Self::DiskFull => ActionKind::ExpandVolume,
            Self::NodeNotReady => ActionKind::DrainNode,
            Self::WrongReadinessProbe => ActionKind::CorrectProbe,
            Self::AutoscalerAtMaximum => ActionKind::RaiseAutoscalerMaximum,
            Self::RetryStorm => ActionKind::LimitRetries,
            Self::CacheStampede => ActionKind::WarmCache,
            Self::LockContention | Self::FileHandleLeak => ActionKind::Restart,
            Self::SlowDependency => ActionKind::OpenCircuitBreaker,
            Self::NetworkPolicyBlocking => ActionKind::AllowTraffic,
            Self::QuotaExhausted => ActionKind::RaiseQuota,
            Self::ClockSkew => ActionKind::SyncClock,
            Self::NoisyNeighbour => ActionKind::MovePods,
            Self::MessageBacklog => ActionKind::AddReplicas,
            Self::LeaderFlapping => ActionKind::PinLeader,
            Self::BadSidecarInjection => ActionKind::DisableInjection,
            Self::None => ActionKind::Nothing,
            Self::Unknown => ActionKind::Escalate,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Cause {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name).ok_or_else(|| Error::Cause {
            name: name.chars().take(80).collect(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}
