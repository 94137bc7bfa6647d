use super::*;

#[test]
fn names_of_well_known_exporters_are_understood() {
    for (name, signal) in [
        ("container_cpu_cfs_throttled_periods_total", Signal::Throttling),
        ("container_cpu_usage_seconds_total", Signal::Cpu),
        ("container_memory_working_set_bytes", Signal::Memory),
        ("jvm_memory_used_bytes", Signal::Memory),
        ("kube_pod_container_status_restarts_total", Signal::Restarts),
        ("kubelet_volume_stats_used_bytes", Signal::Disk),
        ("process_open_fds", Signal::OpenFiles),
        ("http_server_request_duration_seconds_p99", Signal::Latency),
        ("http_requests_total:rate1m", Signal::Requests),
        ("request_errors_ratio", Signal::Errors),
        ("hikaricp_connections_active", Signal::Connections),
        ("hikaricp_connections_pending", Signal::Waiting),
        ("kafka_consumergroup_lag", Signal::Queue),
        ("kube_deployment_spec_replicas", Signal::Wanted),
        ("kube_deployment_status_replicas_ready", Signal::Ready),
        ("coredns_dns_request_duration_seconds", Signal::Dns),
        ("node_timex_offset_seconds", Signal::Clock),
        ("conn_used", Signal::Connections),
        ("err_pct", Signal::Errors),
        ("resp_time_ms", Signal::Latency),
        ("req_per_s", Signal::Requests),
        ("k8s.container.memory.usage", Signal::Memory),
    ] {
        assert_eq!(Signal::of(name), Some(signal), "{name}");
    }
    assert_eq!(Signal::of("flux_capacitance"), None);
}
