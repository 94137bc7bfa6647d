//! What a reader needs beside a cause's name: what it means, where to look, and what keeps it from
//! coming back.

use crate::cause::Cause;
use crate::signal::Signal;

/// How a cause is understood, confirmed and prevented.
#[derive(Debug)]
pub(super) struct Guide {
    /// Which cause.
    pub(super) cause: Cause,
    /// A title in plain words.
    pub(super) title: &'static str,
    /// What it means, in a sentence or two.
    pub(super) meaning: &'static str,
    /// Commands that confirm it or rule it out; `{service}` and `{node}` are filled in.
    pub(super) diagnosis: &'static [&'static str],
    /// What such a fault moves: where it is measured and calm, the fault is unlikely.
    pub(super) moves: Option<Signal>,
    /// What keeps it from coming back.
    pub(super) prevention: &'static [&'static str],
}

/// The guide of a cause.
pub(super) fn guide(cause: Cause) -> &'static Guide {
    let [.., unknown] = &GUIDES;
    GUIDES.iter().find(|guide| guide.cause == cause).unwrap_or(unknown)
}

const PODS: &str = "kubectl get pods -l app.kubernetes.io/name={service} -o wide";
const DESCRIBE_PODS: &str = "kubectl describe pods -l app.kubernetes.io/name={service}";
const DESCRIBE: &str = "kubectl describe deployment {service}";
const TOP: &str = "kubectl top pods -l app.kubernetes.io/name={service} --containers";
const LOGS: &str = "kubectl logs deployment/{service} --since=1h --tail=200";
const LAST_LOGS: &str = "kubectl logs deployment/{service} --previous --tail=100";
const HISTORY: &str = "kubectl rollout history deployment/{service}";
const EVENTS: &str = "kubectl get events --sort-by=.lastTimestamp";
const NODE: &str = "kubectl describe node {node}";
const TOP_NODES: &str = "kubectl top nodes";

const GUIDES: [Guide; 26] = [
    Guide {
        cause: Cause::MemoryLimitTooLow,
        title: "memory limit too low",
        meaning: "The containers need more memory than their limit allows. The kernel kills them \
                  when they reach it, Kubernetes starts them again, and meanwhile callers see \
                  broken connections.",
        diagnosis: &[PODS, DESCRIBE_PODS, TOP, LAST_LOGS],
        moves: Some(Signal::Memory),
        prevention: &[
            "alert when memory passes 85 % of the limit for ten minutes",
            "size heap and caches from the limit, not the other way round",
        ],
    },
    Guide {
        cause: Cause::CpuThrottling,
        title: "CPU throttling",
        meaning: "The containers use up their share of CPU early in each period and stand still for \
                  the rest of it. Requests take longer although nothing fails.",
        diagnosis: &[TOP, DESCRIBE, TOP_NODES, LOGS],
        moves: Some(Signal::Throttling),
        prevention: &[
            "alert on the share of throttled periods, not on CPU use",
            "size threads and workers from the CPU limit",
        ],
    },
    Guide {
        cause: Cause::ConnectionPoolExhausted,
        title: "connection pool exhausted",
        meaning: "Every connection of a pool is taken. Requests wait for one until they time out, \
                  while the service itself is idle.",
        diagnosis: &[LOGS, TOP, HISTORY, DESCRIBE],
        moves: Some(Signal::Connections),
        prevention: &[
            "alert on the time that requests wait for a connection",
            "give every query a time limit and return connections on every path",
        ],
    },
    Guide {
        cause: Cause::BadRollout,
        title: "bad rollout",
        meaning: "A new version brought a defect. Errors or latency begin with its first replica and \
                  grow with every further one.",
        diagnosis: &[HISTORY, "kubectl rollout status deployment/{service}", LOGS, PODS],
        moves: None,
        prevention: &[
            "roll out to a small share first and stop on errors by itself",
            "add the failing request to the tests that gate a release",
        ],
    },
    Guide {
        cause: Cause::BadConfig,
        title: "bad setting",
        meaning: "A changed config map or environment value is wrong. The code is the same as \
                  before; the trouble begins when pods read the new value.",
        diagnosis: &["kubectl get configmaps", DESCRIBE, LOGS, HISTORY],
        moves: None,
        prevention: &[
            "check settings against a schema before they are applied",
            "roll settings out in steps, as versions are",
        ],
    },
    Guide {
        cause: Cause::CertificateExpired,
        title: "certificate expired",
        meaning: "A certificate is past its end date. Every new encrypted connection is refused; \
                  connections that were open before go on.",
        diagnosis: &[LOGS, "kubectl get secrets", EVENTS],
        moves: Some(Signal::Certificate),
        prevention: &[
            "alert 21 days before any certificate ends",
            "renew by machine, and check what is served rather than what is stored",
        ],
    },
    Guide {
        cause: Cause::DnsFailure,
        title: "name resolution fails",
        meaning: "Names do not resolve, or only after seconds. Calls to healthy services fail before \
                  a connection is even tried.",
        diagnosis: &[
            "kubectl -n kube-system get pods -l k8s-app=kube-dns -o wide",
            "kubectl -n kube-system logs -l k8s-app=kube-dns --tail=100",
            "kubectl -n kube-system top pods -l k8s-app=kube-dns",
            LOGS,
        ],
        moves: Some(Signal::Dns),
        prevention: &[
            "alert on time and failures of name resolution",
            "run a name cache on every node",
        ],
    },
    Guide {
        cause: Cause::DiskFull,
        title: "volume full",
        meaning: "A volume has no space left. Reads go on, writes fail, and what must write before \
                  it answers stops.",
        diagnosis: &["kubectl get pvc", PODS, LOGS, EVENTS],
        moves: Some(Signal::Disk),
        prevention: &[
            "alert on the day when a volume will be full, not on a share of it",
            "delete or move old data by schedule",
        ],
    },
    Guide {
        cause: Cause::NodeNotReady,
        title: "node not ready",
        meaning: "A node stopped answering. Its pods are gone for their callers at once, but are \
                  replaced only after minutes.",
        diagnosis: &["kubectl get nodes -o wide", NODE, PODS, EVENTS],
        moves: Some(Signal::Ready),
        prevention: &[
            "spread replicas over nodes and zones",
            "repair or replace nodes by machine when they stop answering",
        ],
    },
    Guide {
        cause: Cause::ImagePullFailure,
        title: "image cannot be pulled",
        meaning: "The image of the new pods cannot be pulled: the tag does not exist, or the registry \
                  refuses. Old pods go on until something replaces them.",
        diagnosis: &[PODS, DESCRIBE_PODS, HISTORY, EVENTS],
        moves: Some(Signal::Ready),
        prevention: &[
            "check that an image exists before its tag is rolled out",
            "alert on the end of registry credentials",
        ],
    },
    Guide {
        cause: Cause::WrongReadinessProbe,
        title: "wrong readiness probe",
        meaning: "The readiness probe fails although the container works. Kubernetes takes healthy \
                  pods out of the service until too few are left.",
        diagnosis: &[PODS, DESCRIBE_PODS, HISTORY, LOGS],
        moves: Some(Signal::Ready),
        prevention: &[
            "test probes together with the image that they are for",
            "let the probe use the port and path names of the container",
        ],
    },
    Guide {
        cause: Cause::AutoscalerAtMaximum,
        title: "autoscaler at its maximum",
        meaning: "The autoscaler wants more replicas than it may have. The load per replica grows, \
                  and latency with it.",
        diagnosis: &["kubectl get hpa", "kubectl describe hpa {service}", TOP, TOP_NODES],
        moves: Some(Signal::Wanted),
        prevention: &[
            "alert when an autoscaler has been at its maximum for ten minutes",
            "review maxima against the load of the last quarter",
        ],
    },
    Guide {
        cause: Cause::RetryStorm,
        title: "retry storm",
        meaning: "Callers repeat failed requests without pause. The repetitions are themselves the \
                  load that makes requests fail, also after the first trouble is over.",
        diagnosis: &[LOGS, TOP, PODS, EVENTS],
        moves: Some(Signal::Retries),
        prevention: &[
            "give every caller a retry budget, growing pauses and chance in them",
            "retry at one layer only",
        ],
    },
    Guide {
        cause: Cause::CacheStampede,
        title: "cache stampede",
        meaning: "Many requests miss the cache at once and reach what it protects, which was never \
                  sized for them.",
        diagnosis: &[LOGS, TOP, EVENTS, HISTORY],
        moves: Some(Signal::CacheHits),
        prevention: &[
            "let one request per key fill the cache while the others wait",
            "let entries end at different times",
        ],
    },
    Guide {
        cause: Cause::LockContention,
        title: "lock contention",
        meaning: "Threads or transactions wait for the same lock. CPU is idle, requests queue, and \
                  throughput stands still.",
        diagnosis: &[LOGS, TOP, HISTORY, PODS],
        moves: Some(Signal::Waiting),
        prevention: &[
            "alert on the time that is spent waiting for locks",
            "shorten what is done under the lock, and never call others under it",
        ],
    },
    Guide {
        cause: Cause::SlowDependency,
        title: "slow dependency outside",
        meaning: "A dependency outside the cluster answers slowly. Requests that need it wait, and \
                  hold threads and connections that others need.",
        diagnosis: &[LOGS, TOP, EVENTS],
        moves: Some(Signal::Dependency),
        prevention: &[
            "set time limits below those of the callers",
            "open a circuit breaker by machine and answer without the dependency",
        ],
    },
    Guide {
        cause: Cause::NetworkPolicyBlocking,
        title: "network policy blocks traffic",
        meaning: "A network policy drops traffic that is needed. Connections do not fail but time \
                  out, as nothing answers them.",
        diagnosis: &["kubectl get networkpolicy", "kubectl describe networkpolicy", LOGS, EVENTS],
        moves: Some(Signal::Dropped),
        prevention: &[
            "compare what can reach what before and after a change of policy",
            "log dropped connections of the namespace",
        ],
    },
    Guide {
        cause: Cause::QuotaExhausted,
        title: "quota exhausted",
        meaning: "A resource quota of the namespace is used up. What runs goes on, but no pod can be \
                  created or replaced.",
        diagnosis: &["kubectl describe resourcequota", EVENTS, DESCRIBE, PODS],
        moves: Some(Signal::Quota),
        prevention: &[
            "alert at 85 % of every quota",
            "leave room in the quota for one rollout of the largest service",
        ],
    },
    Guide {
        cause: Cause::ClockSkew,
        title: "clock off",
        meaning: "The clock of a node is off. Tokens seem to be from the future or over, and what is \
                  ordered by time comes in the wrong order.",
        diagnosis: &[NODE, PODS, LOGS],
        moves: Some(Signal::Clock),
        prevention: &[
            "alert when a node's clock is off by more than 100 ms",
            "allow a few seconds of difference where tokens are checked",
        ],
    },
    Guide {
        cause: Cause::NoisyNeighbour,
        title: "noisy neighbour",
        meaning: "Another workload on the node takes its CPU or its disk bandwidth. Only the pods on \
                  that node are slow.",
        diagnosis: &[NODE, TOP_NODES, PODS, "kubectl top pods --all-namespaces --sort-by=cpu"],
        moves: Some(Signal::NodePressure),
        prevention: &[
            "give every workload requests and limits",
            "keep batch work on nodes of its own",
        ],
    },
    Guide {
        cause: Cause::FileHandleLeak,
        title: "file handles leak",
        meaning: "File handles or sockets are opened and never closed. Their number climbs for hours \
                  until the next one cannot be opened.",
        diagnosis: &[LOGS, PODS, HISTORY, LAST_LOGS],
        moves: Some(Signal::OpenFiles),
        prevention: &[
            "alert when open files grow for six hours without a pause",
            "find where they are opened, and close them on every path",
        ],
    },
    Guide {
        cause: Cause::MessageBacklog,
        title: "message backlog",
        meaning: "Consumers do not keep up with a queue. Nothing fails, but what arrives is handled \
                  later and later.",
        diagnosis: &[TOP, PODS, LOGS, "kubectl get hpa"],
        moves: Some(Signal::Queue),
        prevention: &[
            "alert on the age of the oldest message",
            "scale consumers by the length of the queue",
        ],
    },
    Guide {
        cause: Cause::LeaderFlapping,
        title: "leadership flaps",
        meaning: "Leadership changes hands again and again. Each change pauses the work that only \
                  the leader does.",
        diagnosis: &["kubectl get lease", "kubectl describe lease {service}", LOGS, EVENTS],
        moves: Some(Signal::Leader),
        prevention: &[
            "alert on more than two changes of leadership in ten minutes",
            "choose lease times well above the slowest write to the store",
        ],
    },
    Guide {
        cause: Cause::BadSidecarInjection,
        title: "bad sidecar injection",
        meaning: "An injected sidecar breaks the pod that it stands in: it does not start, or takes \
                  the traffic and does not pass it on.",
        diagnosis: &[
            DESCRIBE_PODS,
            "kubectl logs deployment/{service} --all-containers --tail=100",
            "kubectl get mutatingwebhookconfigurations",
            PODS,
        ],
        moves: None,
        prevention: &[
            "try a new injector in one namespace before all of them",
            "let pods fail at once where their sidecar does not start",
        ],
    },
    Guide {
        cause: Cause::None,
        title: "nothing is wrong",
        meaning: "The telemetry shows nothing beyond what is usual for this service.",
        diagnosis: &[PODS, TOP, EVENTS],
        moves: None,
        prevention: &["review the alert, if nothing was wrong indeed"],
    },
    Guide {
        cause: Cause::Unknown,
        title: "cause not known",
        meaning: "Something is wrong, and none of the known causes explains what was seen.",
        diagnosis: &[PODS, DESCRIBE_PODS, EVENTS, LOGS, HISTORY, TOP, TOP_NODES],
        moves: None,
        prevention: &[
            "find out which telemetry would have told, and collect it",
            "write down the cause once a human has found it",
        ],
    },
];
