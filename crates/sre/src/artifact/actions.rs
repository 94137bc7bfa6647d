//! What a reader needs beside an action's name: how to do it by hand, how to see that it helped, and
//! how to take it back.

use crate::action::{Action, ActionKind};

/// How an action is carried out, checked and taken back by a human.
#[derive(Debug)]
pub(super) struct Steps {
    /// Which action.
    pub(super) kind: ActionKind,
    /// Commands; `{service}`, `{node}` and `{value}` are filled in.
    pub(super) commands: &'static [&'static str],
    /// How to see that it helped.
    pub(super) verify: &'static str,
    /// How to take it back.
    pub(super) undo: &'static str,
}

/// The steps of an action.
pub(super) fn steps(action: &Action) -> &'static Steps {
    let [.., escalate] = &STEPS;
    STEPS.iter().find(|steps| steps.kind == action.kind).unwrap_or(escalate)
}

const STATUS: &str = "kubectl rollout status deployment/{service}";

const STEPS: [Steps; 24] = [
    Steps {
        kind: ActionKind::RaiseMemoryLimit,
        commands: &[
            "kubectl set resources deployment {service} -c CONTAINER --limits=memory={value}Mi",
            STATUS,
        ],
        verify: "memory stays clear of the new limit over a full cycle of load, and restarts stop",
        undo: "set the limit of before; the pods restart once more",
    },
    Steps {
        kind: ActionKind::RaiseCpuLimit,
        commands: &[
            "kubectl set resources deployment {service} -c CONTAINER --limits=cpu={value}m",
            STATUS,
        ],
        verify: "throttled time falls to almost nothing at the same load, and latency follows",
        undo: "set the limit of before; the pods restart once more",
    },
    Steps {
        kind: ActionKind::RaisePoolSize,
        commands: &[
            "kubectl edit configmap CONFIGMAP",
            "kubectl rollout restart deployment/{service}",
        ],
        verify: "nothing waits for a connection, and the database is below its own maximum",
        undo: "restore the size of before and restart the pods",
    },
    Steps {
        kind: ActionKind::RollBack,
        commands: &["kubectl rollout undo deployment/{service}", STATUS],
        verify: "the old version is ready on every replica, and errors and latency are as before it",
        undo: "roll out the new version again; check first that no data was migrated",
    },
    Steps {
        kind: ActionKind::RevertConfig,
        commands: &[
            "kubectl apply -f LAST_GOOD_CONFIG.yaml",
            "kubectl rollout restart deployment/{service}",
        ],
        verify: "the pods start with the old values, and errors stop",
        undo: "apply the new settings again",
    },
    Steps {
        kind: ActionKind::RenewCertificate,
        commands: &["kubectl get secret SECRET -o jsonpath='{.data.tls\\.crt}'"],
        verify: "the certificate that is served ends in the future, and handshakes succeed",
        undo: "none is needed; the old certificate is of no use",
    },
    Steps {
        kind: ActionKind::RestartDns,
        commands: &[
            "kubectl -n kube-system rollout restart deployment/coredns",
            "kubectl -n kube-system rollout status deployment/coredns",
        ],
        verify: "names resolve within milliseconds from a pod of the service",
        undo: "none is needed; a restart changes no setting",
    },
    Steps {
        kind: ActionKind::ExpandVolume,
        commands: &["kubectl get pvc", "kubectl edit pvc CLAIM"],
        verify: "the file system shows the new size, and writes succeed",
        undo: "not possible: a volume cannot shrink; free space or copy to a smaller one",
    },
    Steps {
        kind: ActionKind::DrainNode,
        commands: &[
            "kubectl cordon {node}",
            "kubectl drain {node} --ignore-daemonsets --delete-emptydir-data",
        ],
        verify: "the pods are ready on other nodes",
        undo: "`kubectl uncordon` the node; what was in empty directories is gone",
    },
    Steps {
        kind: ActionKind::CorrectProbe,
        commands: &["kubectl edit deployment {service}", STATUS],
        verify: "all replicas are ready and take requests",
        undo: "restore the probe of before with `kubectl rollout undo`",
    },
    Steps {
        kind: ActionKind::RaiseAutoscalerMaximum,
        commands: &["kubectl patch hpa {service} --patch '{\"spec\":{\"maxReplicas\":{value}}}'"],
        verify: "wanted replicas are below the maximum again, and the nodes have room for them",
        undo: "set the maximum of before",
    },
    Steps {
        kind: ActionKind::LimitRetries,
        commands: &[
            "kubectl edit configmap CONFIGMAP",
            "kubectl rollout restart deployment/CALLER",
        ],
        verify: "repeated requests fall to a few percent of all, and the load falls with them",
        undo: "restore the callers' settings of before",
    },
    Steps {
        kind: ActionKind::WarmCache,
        commands: &["kubectl get jobs", "kubectl create job warm-up --from=cronjob/CRONJOB"],
        verify: "the share of hits is as before, and what stands behind the cache recovers",
        undo: "none is needed; entries end by themselves",
    },
    Steps {
        kind: ActionKind::Restart,
        commands: &["kubectl rollout restart deployment/{service}", STATUS],
        verify: "what was held is free, and latency is as before; watch whether it comes back",
        undo: "none; keep a dump of one pod first, as a restart destroys the traces",
    },
    Steps {
        kind: ActionKind::OpenCircuitBreaker,
        commands: &[
            "kubectl edit configmap CONFIGMAP",
            "kubectl rollout restart deployment/{service}",
        ],
        verify: "requests that do not need the dependency are fast, the others fail at once",
        undo: "close the breaker when the dependency answers in its usual time",
    },
    Steps {
        kind: ActionKind::AllowTraffic,
        commands: &["kubectl get networkpolicy", "kubectl edit networkpolicy POLICY"],
        verify: "connections are made again, and nothing else became reachable",
        undo: "restore the policy of before",
    },
    Steps {
        kind: ActionKind::RaiseQuota,
        commands: &["kubectl describe resourcequota", "kubectl edit resourcequota QUOTA"],
        verify: "pods are created again, and the nodes have room for them",
        undo: "set the quota of before; what runs goes on running",
    },
    Steps {
        kind: ActionKind::SyncClock,
        commands: &["kubectl cordon {node}", "kubectl describe node {node}"],
        verify: "the node's clock is within milliseconds of the others",
        undo: "`kubectl uncordon` the node once its clock is right",
    },
    Steps {
        kind: ActionKind::MovePods,
        commands: &[
            "kubectl cordon {node}",
            "kubectl rollout restart deployment/{service}",
            STATUS,
        ],
        verify: "the pods run elsewhere, and latency is as before",
        undo: "`kubectl uncordon` the node",
    },
    Steps {
        kind: ActionKind::AddReplicas,
        commands: &[
            "kubectl get hpa",
            "kubectl scale deployment {service} --replicas={value}",
            STATUS,
        ],
        verify: "the queue becomes shorter, what stands behind the service bears the load, and no autoscaler \
                 took the replicas away again (where one scales the service, raise its minimum instead)",
        undo: "scale back to the number of before when the queue is empty",
    },
    Steps {
        kind: ActionKind::PinLeader,
        commands: &["kubectl get lease", "kubectl edit configmap CONFIGMAP"],
        verify: "the same holder keeps the lease for an hour",
        undo: "restore the durations of before",
    },
    Steps {
        kind: ActionKind::DisableInjection,
        commands: &["kubectl edit deployment {service}", STATUS],
        verify: "the pods start without the sidecar and are ready",
        undo: "take the annotation away; until then the service has no mutual TLS from the sidecar",
    },
    Steps {
        kind: ActionKind::Nothing,
        commands: &["kubectl get pods -l app.kubernetes.io/name={service}"],
        verify: "the alert ends by itself and does not come back",
        undo: "there is nothing to undo",
    },
    Steps {
        kind: ActionKind::Escalate,
        commands: &["kubectl get events --sort-by=.lastTimestamp"],
        verify: "somebody who knows the service has taken over",
        undo: "there is nothing to undo",
    },
];
