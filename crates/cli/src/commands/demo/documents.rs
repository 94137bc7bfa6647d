//! The prose that the project brings, in the binary, so that the demo also runs where there is no
//! checkout.

/// A document: file name and text.
pub(super) type Document = (&'static str, &'static str);

/// The documents of a folder of `datasets/`.
macro_rules! documents {
    ($folder:literal: $($name:literal,)*) => {
        &[$((
            concat!($name, ".md"),
            include_str!(concat!("../../../../../datasets/", $folder, "/", $name, ".md")),
        ),)*]
    };
}

/// What the small base is trained on.
pub(super) const INCIDENTS: &[Document] = documents! {
    "incidents":
    "001-checkout-oom-after-cache-growth",
    "002-dns-ndots-latency",
    "003-readiness-probe-too-strict",
    "004-certificate-expired-webhook",
    "005-node-disk-pressure-logs",
    "006-connection-pool-exhausted",
    "007-retry-storm-inventory",
    "008-hpa-flapping-cpu",
    "009-pvc-stuck-attach",
    "010-config-map-typo",
    "011-runbook-pod-crashloop",
    "012-secret-rotation-half",
    "013-network-policy-blocked-metrics",
    "014-ingress-body-size",
    "015-kafka-consumer-lag-rebalance",
    "016-clock-skew-tokens",
    "017-quota-blocked-rollout",
    "018-leader-election-lost",
    "019-image-pull-rate-limit",
    "020-runbook-node-not-ready",
    "021-etcd-slow-disk",
    "022-liveness-probe-kill-loop",
    "023-memory-leak-metrics-labels",
    "024-job-backlog-cron-overlap",
    "025-cpu-throttling-gateway",
    "026-wrong-context-delete",
    "027-load-balancer-idle-timeout",
    "028-stale-endpoint-after-drain",
    "029-redis-eviction-sessions",
    "030-runbook-high-error-rate",
    "031-schema-migration-lock",
    "032-feature-flag-default",
    "033-ip-address-exhaustion",
    "034-log-pipeline-backpressure",
    "035-pdb-blocks-upgrade",
    "036-thundering-herd-cache-expiry",
    "037-arm-image-missing",
    "038-backup-restore-untested",
    "039-sidecar-start-order",
    "040-runbook-persistent-volume-full",
    "041-nat-gateway-ports",
    "042-priority-class-preempted",
    "043-hot-partition-tenant",
    "044-grpc-load-imbalance",
    "045-finalizer-stuck-namespace",
    "046-alert-fatigue-missed-page",
    "047-helm-values-drift",
    "048-conntrack-table-full",
    "049-canary-no-traffic",
    "050-runbook-certificate-renewal",
    "051-hugepages-database-start",
    "052-token-expiry-ci",
    "053-statefulset-split-zone",
    "054-slow-startup-java-limits",
    "055-webhook-latency-namespace",
    "056-data-race-double-charge",
    "057-egress-proxy-bottleneck",
    "058-timezone-batch-window",
    "059-log-secrets-leak",
    "060-runbook-slow-queries",
    "061-ingress-class-missing",
    "062-autoscaler-min-zero",
};

/// What it is tuned on: reports of one invented company, in its own form.
pub(super) const HOUSE_STYLE: &[Document] = documents! {
    "house-style":
    "01-ledger-api",
    "02-cargo-router",
    "03-tide-gateway",
    "04-berth-planner",
    "05-quay-auth",
    "06-ledger-api",
    "07-buoy-metrics",
    "08-manifest-store",
    "09-pilot-notify",
    "10-tide-gateway",
    "11-crane-control",
    "12-invoice-press",
    "13-quay-auth",
    "14-berth-planner",
    "15-cargo-router",
    "16-buoy-metrics",
    "17-manifest-store",
    "18-pilot-notify",
    "19-crane-control",
    "20-invoice-press",
    "21-harbor-search",
    "22-ledger-api",
    "23-yard-scheduler",
    "24-tide-gateway",
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_document_of_the_project_is_in_the_binary() {
        for (folder, documents) in [("incidents", INCIDENTS), ("house-style", HOUSE_STYLE)] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets").join(folder);
            let entries = std::fs::read_dir(path).expect("the project's documents");
            let found: BTreeSet<String> = entries
                .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
                .collect();
            let listed: BTreeSet<String> =
                documents.iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(found, listed, "{folder}");
        }
    }
}
