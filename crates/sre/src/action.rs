//! The closed list of remediations. A model names one; its arguments are computed from the incident
//! by plain code, so that no number in a change was made up.

use crate::incident::{Incident, Service};
use crate::markdown::code;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

#[cfg(test)]
mod tests;

/// Most characters of a name in a sentence.
const MOST_NAME: usize = 63;

/// What can be done about a cause.
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
pub enum ActionKind {
    /// Give the containers more memory.
    RaiseMemoryLimit,
    /// Give the containers more CPU.
    RaiseCpuLimit,
    /// Allow more connections in the pool.
    RaisePoolSize,
    /// Go back to the version before.
    RollBack,
    /// Go back to the settings before.
    RevertConfig,
    /// Issue the certificate anew.
    RenewCertificate,
    /// Restart the cluster's name servers.
    RestartDns,
    /// Make the volume larger.
    ExpandVolume,
    /// Move everything off the node.
    DrainNode,
    /// Point the readiness probe at what the container serves.
    CorrectProbe,
    /// Let the autoscaler add more replicas.
    RaiseAutoscalerMaximum,
    /// Give callers a retry budget with pauses.
    LimitRetries,
    /// Fill the cache, one request per key.
    WarmCache,
    /// Restart the pods, one after another.
    Restart,
    /// Stop calling the dependency until it recovers.
    OpenCircuitBreaker,
    /// Allow the traffic that the policy drops.
    AllowTraffic,
    /// Raise the quota of the namespace.
    RaiseQuota,
    /// Set the clock of the node.
    SyncClock,
    /// Move the pods to other nodes.
    MovePods,
    /// Run more replicas.
    AddReplicas,
    /// Lengthen the lease, so that leadership stays.
    PinLeader,
    /// Take the sidecar out of the pods.
    DisableInjection,
    /// Leave everything as it is.
    Nothing,
    /// Ask a human.
    Escalate,
}

impl ActionKind {
    /// Every action.
    pub const ALL: [Self; 24] = [
        Self::RaiseMemoryLimit,
        Self::RaiseCpuLimit,
        Self::RaisePoolSize,
        Self::RollBack,
        Self::RevertConfig,
        Self::RenewCertificate,
        Self::RestartDns,
        Self::ExpandVolume,
        Self::DrainNode,
        Self::CorrectProbe,
        Self::RaiseAutoscalerMaximum,
        Self::LimitRetries,
        Self::WarmCache,
        Self::Restart,
        Self::OpenCircuitBreaker,
        Self::AllowTraffic,
        Self::RaiseQuota,
        Self::SyncClock,
        Self::MovePods,
        Self::AddReplicas,
        Self::PinLeader,
        Self::DisableInjection,
        Self::Nothing,
        Self::Escalate,
    ];

    /// Its name in answers and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::RaiseMemoryLimit => "raise-memory-limit",
            Self::RaiseCpuLimit => "raise-cpu-limit",
            Self::RaisePoolSize => "raise-pool-size",
            Self::RollBack => "roll-back",
            Self::RevertConfig => "revert-config",
            Self::RenewCertificate => "renew-certificate",
            Self::RestartDns => "restart-dns",
            Self::ExpandVolume => "expand-volume",
            Self::DrainNode => "drain-node",
            Self::CorrectProbe => "correct-probe",
            Self::RaiseAutoscalerMaximum => "raise-autoscaler-maximum",
            Self::LimitRetries => "limit-retries",
            Self::WarmCache => "warm-cache",
            Self::Restart => "restart",
            Self::OpenCircuitBreaker => "open-circuit-breaker",
            Self::AllowTraffic => "allow-traffic",
            Self::RaiseQuota => "raise-quota",
            Self::SyncClock => "sync-clock",
            Self::MovePods => "move-pods",
            Self::AddReplicas => "add-replicas",
            Self::PinLeader => "pin-leader",
            Self::DisableInjection => "disable-injection",
            Self::Nothing => "nothing",
            Self::Escalate => "escalate",
        }
    }

    /// What it does, as an order.
    pub fn order(self) -> &'static str {
        match self {
            Self::RaiseMemoryLimit => "raise the memory limit",
            Self::RaiseCpuLimit => "raise the CPU limit",
            Self::RaisePoolSize => "raise the size of the connection pool",
            Self::RollBack => "roll back to the version before",
            Self::RevertConfig => "restore the settings of before the change",
            Self::RenewCertificate => "issue the certificate anew",
            Self::RestartDns => "restart the cluster's name servers",
            Self::ExpandVolume => "expand the volume",
            Self::DrainNode => "cordon and drain the node",
            Self::CorrectProbe => "point the readiness probe at a path and port that answer",
            Self::RaiseAutoscalerMaximum => "raise the autoscaler's maximum",
            Self::LimitRetries => "give the callers a retry budget with growing pauses",
            Self::WarmCache => "fill the cache and let one request per key through",
            Self::Restart => "restart the pods one after another",
            Self::OpenCircuitBreaker => "open the circuit breaker towards the dependency",
            Self::AllowTraffic => "allow the dropped traffic in the network policy",
            Self::RaiseQuota => "raise the quota of the namespace",
            Self::SyncClock => "set the node's clock and restart its time service",
            Self::MovePods => "move the pods to other nodes",
            Self::AddReplicas => "run more replicas",
            Self::PinLeader => "lengthen the lease so that leadership stays",
            Self::DisableInjection => "take the sidecar out of the pods",
            Self::Nothing => "leave everything as it is",
            Self::Escalate => "ask a human",
        }
    }
}

impl fmt::Display for ActionKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for ActionKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| Error::Action {
            name: name.chars().take(80).collect(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}

/// A remediation with its arguments. It is a proposal: nothing here can carry it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// What to do.
    pub kind: ActionKind,
    /// To which service; `None` where it concerns none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The new value of what is raised: mebibytes, millicores or replicas, by kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
    /// The node that is meant, where the incident says which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

impl Action {
    /// The action of this kind for a service of an incident, with every argument that the incident
    /// determines: limits grow by half, replicas by half and at least one.
    pub fn propose(kind: ActionKind, incident: &Incident, service: Option<&str>) -> Self {
        let found = service.and_then(|name| incident.service(name));
        let half_more = |value: u64| value.saturating_add(value.div_ceil(2));
        let value = found.and_then(|service: &Service| match kind {
            ActionKind::RaiseMemoryLimit => service.memory_limit_mib.map(half_more),
            ActionKind::RaiseCpuLimit => service.cpu_limit_millicores.map(half_more),
            ActionKind::RaiseAutoscalerMaximum => service.max_replicas.map(half_more),
            ActionKind::AddReplicas => service.replicas.map(|count| half_more(count.max(1))),
            _ => None,
        });
        let concerns_node =
            matches!(kind, ActionKind::DrainNode | ActionKind::SyncClock | ActionKind::MovePods);
        let node = found.filter(|_| concerns_node).and_then(|service| service.node.clone());
        let concerns_service = !matches!(kind, ActionKind::Nothing | ActionKind::Escalate);
        let service = found.filter(|_| concerns_service).map(|service| service.name.clone());
        Self { kind, service, value, node }
    }

    /// It in words, as Markdown: "raise the memory limit of `cart` to 768 MiB".
    pub fn sentence(&self) -> String {
        let mut text = self.kind.order().to_owned();
        if let Some(service) = &self.service {
            text.push_str(&format!(" of {}", code(service, MOST_NAME)));
        }
        if let Some(value) = self.value {
            let unit = match self.kind {
                ActionKind::RaiseMemoryLimit => " MiB",
                ActionKind::RaiseCpuLimit => " millicores",
                _ => "",
            };
            text.push_str(&format!(" to {value}{unit}"));
        }
        if let Some(node) = &self.node {
            text.push_str(&format!(" (node {})", code(node, MOST_NAME)));
        }
        text
    }
}
