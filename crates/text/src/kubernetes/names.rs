//! What the schema of an API server leaves out: short names in commands, and the values of the
//! fields that everybody writes.

use std::collections::BTreeSet;

/// Group, plural, short names.
const SHORT_NAMES: [(&str, &str, &[&str]); 33] = [
    ("", "componentstatuses", &["cs"]),
    ("", "configmaps", &["cm"]),
    ("", "endpoints", &["ep"]),
    ("", "events", &["ev"]),
    ("", "limitranges", &["limits"]),
    ("", "namespaces", &["ns"]),
    ("", "nodes", &["no"]),
    ("", "persistentvolumeclaims", &["pvc"]),
    ("", "persistentvolumes", &["pv"]),
    ("", "pods", &["po"]),
    ("", "replicationcontrollers", &["rc"]),
    ("", "resourcequotas", &["quota"]),
    ("", "serviceaccounts", &["sa"]),
    ("", "services", &["svc"]),
    ("apiextensions.k8s.io", "customresourcedefinitions", &["crd", "crds"]),
    ("apps", "daemonsets", &["ds"]),
    ("apps", "deployments", &["deploy"]),
    ("apps", "replicasets", &["rs"]),
    ("apps", "statefulsets", &["sts"]),
    ("autoscaling", "horizontalpodautoscalers", &["hpa"]),
    ("batch", "cronjobs", &["cj"]),
    ("certificates.k8s.io", "certificatesigningrequests", &["csr"]),
    ("events.k8s.io", "events", &["ev"]),
    ("networking.k8s.io", "ingresses", &["ing"]),
    ("networking.k8s.io", "ipaddresses", &["ip"]),
    ("networking.k8s.io", "networkpolicies", &["netpol"]),
    ("policy", "poddisruptionbudgets", &["pdb"]),
    ("policy.linkerd.io", "authorizationpolicies", &["authzpolicy"]),
    ("policy.linkerd.io", "servers", &["srv"]),
    ("policy.linkerd.io", "serverauthorizations", &["saz", "serverauthz", "srvauthz"]),
    ("scheduling.k8s.io", "priorityclasses", &["pc"]),
    ("storage.k8s.io", "storageclasses", &["sc"]),
    ("storage.k8s.io", "volumeattributesclasses", &["vac"]),
];

/// The short names that `kubectl` knows for a resource.
pub(super) fn short_names(group: &str, plural: &str) -> Vec<String> {
    let found = SHORT_NAMES.iter().find(|row| (row.0, row.1) == (group, plural));
    found.map_or(Vec::new(), |row| row.2.iter().map(|&name| name.to_owned()).collect())
}

/// The field by which a strategic patch merges a list of this type, where the schema is silent.
const MERGE_KEYS: [(&str, &str); 11] = [
    ("Container", "name"),
    ("ContainerPort", "containerPort"),
    ("EnvVar", "name"),
    ("EphemeralContainer", "name"),
    ("HostAlias", "ip"),
    ("LocalObjectReference", "name"),
    ("ServicePort", "port"),
    ("TopologySpreadConstraint", "topologyKey"),
    ("Volume", "name"),
    ("VolumeDevice", "devicePath"),
    ("VolumeMount", "mountPath"),
];

/// The merge key of a list of this type, by its short name.
pub(super) fn merge_key(type_name: &str) -> Option<String> {
    let found = MERGE_KEYS.iter().find(|row| row.0 == type_name);
    found.map(|row| row.1.to_owned())
}

/// What hangs below an object of a resource, where no paths say it.
pub(super) fn subresources(group: &str, plural: &str, status: bool) -> BTreeSet<String> {
    let known: &[&str] = match (group, plural) {
        ("", "pods") => &[
            "attach",
            "binding",
            "ephemeralcontainers",
            "eviction",
            "exec",
            "log",
            "portforward",
            "proxy",
            "resize",
        ],
        ("", "replicationcontrollers")
        | ("apps", "deployments" | "replicasets" | "statefulsets") => &["scale"],
        ("", "nodes" | "services") => &["proxy"],
        ("", "serviceaccounts") => &["token"],
        ("", "namespaces") => &["finalize"],
        ("certificates.k8s.io", "certificatesigningrequests") => &["approval"],
        _ => &[],
    };
    let status = status.then_some("status");
    known.iter().copied().chain(status).map(str::to_owned).collect()
}

/// Type, field, and all values that the server takes for it. The schema of a cluster names them
/// in prose only; these are the ones that are mistaken most.
const VALUES: [(&str, &str, &[&str]); 27] = [
    ("Container", "imagePullPolicy", &["Always", "IfNotPresent", "Never"]),
    ("Container", "terminationMessagePolicy", &["FallbackToLogsOnError", "File"]),
    ("ContainerPort", "protocol", &["SCTP", "TCP", "UDP"]),
    ("CronJobSpec", "concurrencyPolicy", &["Allow", "Forbid", "Replace"]),
    ("DaemonSetUpdateStrategy", "type", &["OnDelete", "RollingUpdate"]),
    ("DeploymentStrategy", "type", &["Recreate", "RollingUpdate"]),
    ("EphemeralContainer", "imagePullPolicy", &["Always", "IfNotPresent", "Never"]),
    ("HTTPGetAction", "scheme", &["HTTP", "HTTPS"]),
    ("HTTPIngressPath", "pathType", &["Exact", "ImplementationSpecific", "Prefix"]),
    ("JobSpec", "completionMode", &["Indexed", "NonIndexed"]),
    ("NetworkPolicyPort", "protocol", &["SCTP", "TCP", "UDP"]),
    ("PersistentVolumeSpec", "persistentVolumeReclaimPolicy", &["Delete", "Recycle", "Retain"]),
    ("PersistentVolumeSpec", "volumeMode", &["Block", "Filesystem"]),
    ("PersistentVolumeClaimSpec", "volumeMode", &["Block", "Filesystem"]),
    ("PodDisruptionBudgetSpec", "unhealthyPodEvictionPolicy", &["AlwaysAllow", "IfHealthyBudget"]),
    ("PodSecurityContext", "fsGroupChangePolicy", &["Always", "OnRootMismatch"]),
    ("PodSpec", "dnsPolicy", &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]),
    ("PodSpec", "restartPolicy", &["Always", "Never", "OnFailure"]),
    ("SeccompProfile", "type", &["Localhost", "RuntimeDefault", "Unconfined"]),
    ("ServicePort", "protocol", &["SCTP", "TCP", "UDP"]),
    ("ServiceSpec", "externalTrafficPolicy", &["Cluster", "Local"]),
    ("ServiceSpec", "internalTrafficPolicy", &["Cluster", "Local"]),
    ("ServiceSpec", "sessionAffinity", &["ClientIP", "None"]),
    ("ServiceSpec", "type", &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]),
    ("StatefulSetSpec", "podManagementPolicy", &["OrderedReady", "Parallel"]),
    ("Taint", "effect", &["NoExecute", "NoSchedule", "PreferNoSchedule"]),
    ("TopologySpreadConstraint", "whenUnsatisfiable", &["DoNotSchedule", "ScheduleAnyway"]),
];

/// The values that a field may have, empty where any text goes.
pub(super) fn values(type_name: &str, field: &str) -> Vec<String> {
    let found = VALUES.iter().find(|row| (row.0, row.1) == (type_name, field));
    found.map_or(Vec::new(), |row| row.2.iter().map(|&value| value.to_owned()).collect())
}
