//! The kinds that are served.

/// A kind of objects.
#[derive(Debug)]
pub(super) struct Kind {
    /// Its API group; empty for the core.
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
    /// What `kubectl` takes instead of its name.
    pub(super) short: &'static [&'static str],
    pub(super) namespaced: bool,
    /// Whether `kubectl get all` shows it.
    pub(super) of_all: bool,
}

impl Kind {
    /// `v1`, `apps/v1`.
    pub(super) fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `pods`, `deployments.apps`: as messages name it.
    pub(super) fn qualified(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }
}

const fn kind(
    group: &'static str,
    version: &'static str,
    names: (&'static str, &'static str),
    short: &'static [&'static str],
) -> Kind {
    let (kind, plural) = names;
    Kind { group, version, kind, plural, short, namespaced: true, of_all: false }
}

const fn cluster_wide(kind: Kind) -> Kind {
    Kind { namespaced: false, ..kind }
}

const fn of_all(kind: Kind) -> Kind {
    Kind { of_all: true, ..kind }
}

/// All kinds; those after `NetworkPolicy` have no objects, and are there because readers ask for them.
pub(super) static KINDS: [Kind; 20] = [
    cluster_wide(kind("", "v1", ("Namespace", "namespaces"), &["ns"])),
    cluster_wide(kind("", "v1", ("Node", "nodes"), &["no"])),
    of_all(kind("", "v1", ("Pod", "pods"), &["po"])),
    of_all(kind("", "v1", ("Service", "services"), &["svc"])),
    kind("", "v1", ("ConfigMap", "configmaps"), &["cm"]),
    kind("", "v1", ("Event", "events"), &["ev"]),
    kind("", "v1", ("Secret", "secrets"), &[]),
    of_all(kind("apps", "v1", ("Deployment", "deployments"), &["deploy"])),
    of_all(kind("apps", "v1", ("ReplicaSet", "replicasets"), &["rs"])),
    of_all(kind(
        "autoscaling",
        "v2",
        ("HorizontalPodAutoscaler", "horizontalpodautoscalers"),
        &["hpa"],
    )),
    kind("events.k8s.io", "v1", ("Event", "events"), &["ev"]),
    kind("networking.k8s.io", "v1", ("NetworkPolicy", "networkpolicies"), &["netpol"]),
    kind("", "v1", ("ResourceQuota", "resourcequotas"), &["quota"]),
    of_all(kind("apps", "v1", ("DaemonSet", "daemonsets"), &["ds"])),
    of_all(kind("apps", "v1", ("StatefulSet", "statefulsets"), &["sts"])),
    of_all(kind("batch", "v1", ("CronJob", "cronjobs"), &["cj"])),
    of_all(kind("batch", "v1", ("Job", "jobs"), &[])),
    kind("coordination.k8s.io", "v1", ("Lease", "leases"), &[]),
    kind("discovery.k8s.io", "v1", ("EndpointSlice", "endpointslices"), &[]),
    kind("networking.k8s.io", "v1", ("Ingress", "ingresses"), &["ing"]),
];
