use super::window::timestamp;
use super::*;
use server::{Asked, Reply, Server};
use shop::{END, START};
use sre::incident::{EventKind, Level};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

mod failures;
mod server;
mod shop;

fn ask() -> Ask {
    Ask {
        namespace: "shop".to_owned(),
        start: timestamp(START),
        until: timestamp(END),
        step_seconds: None,
        alert: None,
        deadline: Duration::from_secs(20),
        limits: Limits { first_wait: Duration::from_millis(1), ..Limits::default() },
    }
}

fn http(server: &Server) -> Option<HttpSource> {
    let address = server.url.parse().unwrap();
    Some(HttpSource { address, credentials: Credentials::default() })
}

/// A kubeconfig for a server, in a directory.
fn kubernetes(directory: &Path, server: &Server) -> Option<KubernetesSource> {
    let file = directory.join("kubeconfig");
    let text = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": server.url}}],
        "users": [{"name": "a", "user": {"token": "kubernetes-sesame"}}],
    });
    std::fs::write(&file, text.to_string()).unwrap();
    Some(KubernetesSource { kubeconfig: Some(file), context: None })
}

fn read_quietly(sources: &Sources, ask: &Ask) -> Result<Reading> {
    read(sources, ask, &mut |_| {})
}

#[test]
fn a_whole_incident_comes_from_three_sources() {
    let (cluster, metrics, logs) =
        (Server::new(shop::cluster), Server::new(shop::prometheus), Server::new(shop::loki));
    let directory = tempfile::tempdir().unwrap();
    let mut prometheus = http(&metrics).unwrap();
    prometheus.address = format!("{}/prometheus/", metrics.url).parse().unwrap();
    let sources = Sources {
        kubernetes: kubernetes(directory.path(), &cluster),
        prometheus: Some(prometheus),
        loki: http(&logs),
    };
    let Reading { incident, missing, cut } = read_quietly(&sources, &ask()).unwrap();
    assert_eq!(missing, []);
    assert_eq!(cut, ["1 events are about objects of no service that is known"]);
    let names: Vec<_> = incident.services.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["cart", "db", "web"]);
    let cart = &incident.services[0];
    assert_eq!((cart.replicas, cart.max_replicas), (Some(2), Some(6)));
    assert_eq!((cart.memory_limit_mib, cart.cpu_limit_millicores), (Some(512), Some(500)));
    assert_eq!((cart.node.as_deref(), &cart.calls), (Some("node-a"), &vec!["db".to_owned()]));
    assert_eq!(incident.services[2].calls, ["cart"]);

    let changes: Vec<_> = incident.changes.iter().map(|it| (&*it.service, &*it.message)).collect();
    let expected = [
        ("web", "ConfigMap web-settings changed by kubectl-edit"),
        (
            "cart",
            "image of cart changed from shop/cart:1.4 to shop/cart:1.5; revision 5; cause: release train",
        ),
        ("cart", "autoscaler: New size: 4"),
    ];
    assert_eq!(changes, expected);
    let back_off = incident.events.iter().find(|it| it.reason == "BackOff").unwrap();
    assert_eq!(
        (back_off.kind, back_off.count, &*back_off.service),
        (EventKind::Warning, 6, "cart")
    );
    let pressed = incident.events.iter().filter(|it| it.reason == "MemoryPressure");
    assert_eq!(pressed.count(), 2);

    let alert = incident.alert.as_ref().unwrap();
    assert_eq!((&*alert.service, &*alert.message), ("web", "SlowWeb: p99 above 1 s"));
    let series: Vec<_> =
        incident.metrics.iter().map(|it| (&*it.service, &*it.name, it.limit)).collect();
    let expected = [
        ("cart", "container_memory_working_set_bytes", Some(536_870_912.0)),
        ("cart", "pool_in_use", Some(20.0)),
        ("web", "http_requests_total:5xx", None),
        ("web", "http_requests_total:rate", None),
        ("web", "latency_seconds:p95", None),
    ];
    assert_eq!(series, expected);
    let latency = &incident.metrics[4].values;
    assert_eq!((latency.len(), latency[0], latency[latency.len() - 1]), (301, Some(0.1), None));

    let lines: Vec<_> =
        incident.logs.iter().map(|it| (&*it.message, it.level, it.count, it.before)).collect();
    let expected = [("fine", Level::Info, 0, 360), ("out of memory, 7 MiB", Level::Error, 91, 0)];
    assert_eq!(lines, expected);
    for server in [&cluster, &metrics, &logs] {
        assert!(server.asked().iter().all(|it| it.method == "GET"));
    }
    assert_eq!(read_quietly(&sources, &ask()).unwrap().incident, incident);
}

#[test]
fn an_alert_is_chosen_by_name() {
    let metrics = Server::new(shop::prometheus);
    let sources = Sources { prometheus: http(&metrics), ..Sources::default() };
    let named = |name: &str| Ask { alert: Some(name.to_owned()), ..ask() };
    let reading = read_quietly(&sources, &named("CartDown")).unwrap();
    assert_eq!(reading.incident.alert.unwrap().service, "cart");
    let reading = read_quietly(&sources, &named("Nobody")).unwrap();
    assert_eq!(reading.incident.alert, None);
    let missing = reading.missing[0].to_string();
    assert!(missing.starts_with("Prometheus: alert Nobody: it does not fire"), "{missing}");
}

#[test]
fn every_source_will_do_alone() {
    let (cluster, metrics, logs) =
        (Server::new(shop::cluster), Server::new(shop::prometheus), Server::new(shop::loki));
    let directory = tempfile::tempdir().unwrap();
    let none = Sources::default();
    let kubernetes = kubernetes(directory.path(), &cluster);
    let reading = read_quietly(&Sources { kubernetes, ..none.clone() }, &ask()).unwrap();
    assert_eq!(reading.incident.services.len(), 3);
    // Without Loki, Kubernetes has the logs.
    let line = &reading.incident.logs[0];
    assert_eq!((&*line.service, line.count, line.level), ("cart", 2, Level::Error));

    let reading =
        read_quietly(&Sources { prometheus: http(&metrics), ..none.clone() }, &ask()).unwrap();
    let names: Vec<_> = reading.incident.services.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["cart", "web"]);

    let reading = read_quietly(&Sources { loki: http(&logs), ..none }, &ask()).unwrap();
    assert_eq!(reading.incident.services.len(), 1);
    // Nothing was measured, so the baseline counts as being as long as the incident.
    assert_eq!(reading.incident.logs[0].before, 90);
}

#[test]
fn without_any_source_there_is_no_incident() {
    let error = read_quietly(&Sources::default(), &ask()).unwrap_err().to_string();
    assert!(error.starts_with("nothing could be read\nhint: "), "{error}");
    let down = Server::new(|_: &Asked| Reply::new(404, "no such thing"));
    let directory = tempfile::tempdir().unwrap();
    let kubernetes = kubernetes(directory.path(), &down);
    let sources = Sources { kubernetes, prometheus: http(&down), loki: http(&down) };
    let error = read_quietly(&sources, &ask()).unwrap_err().to_string();
    for expected in ["\n  Kubernetes: pods: ", "\n  Prometheus: metrics: ", "\n  Loki: lines from "]
    {
        assert!(error.contains(expected), "{error}");
    }
    let empty = Server::new(|_: &Asked| Reply::json(&serde_json::json!({"items": null})));
    let kubernetes = self::kubernetes(directory.path(), &empty);
    let sources = Sources { kubernetes, ..Sources::default() };
    let error = read_quietly(&sources, &ask()).unwrap_err().to_string();
    assert!(error.starts_with("namespace shop: nothing runs there"), "{error}");
}

#[test]
fn credentials_are_sent_and_shown_nowhere() {
    let server = Server::new(|asked: &Asked| {
        let known = asked.header("authorization") == Some("Basic dTpzZXNhbWU=");
        // A server that repeats what it was told must not make us do so.
        let body = format!("wrong: {:?} sesame", asked.header("authorization"));
        if known { Reply::new(401, body) } else { Reply::new(200, "{}") }
    });
    let credentials = Credentials::basic_for_tests("u", "sesame");
    let address: Address = server.url.parse().unwrap();
    let prometheus = Some(HttpSource { address, credentials });
    let sources = Sources { prometheus, ..Sources::default() };
    let error = read_quietly(&sources, &ask()).unwrap_err();
    for text in [error.to_string(), format!("{error:?}"), format!("{sources:?}")] {
        assert!(!text.contains("sesame") && !text.contains("dTpz"), "{text}");
    }
    assert!(error.to_string().contains("401"), "{error}");
    assert_eq!(server.asked().len(), 1, "whoever is not known is not asked again");

    let mut open = sources.clone();
    open.prometheus.as_mut().unwrap().address = "http://mon.example.org:9090".parse().unwrap();
    let error = read_quietly(&open, &ask()).unwrap_err().to_string();
    assert!(error.contains("credentials would travel in the open"), "{error}");
}

#[test]
fn pages_are_followed_and_begun_anew_once() {
    let gone = AtomicUsize::new(0);
    let cluster = Server::new(move |asked: &Asked| {
        if !asked.path.ends_with("/pods") {
            return shop::cluster(asked);
        }
        let mut page = shop::kubernetes(&asked.path).unwrap();
        let pods = page["items"].as_array_mut().unwrap();
        match asked.query("continue") {
            "" => {
                pods.truncate(1);
                page["metadata"]["continue"] = "a token/with=signs".into();
            }
            "a token/with=signs" if gone.fetch_add(1, Ordering::SeqCst) == 0 => {
                return Reply::new(410, r#"{"message":"too old"}"#);
            }
            "a token/with=signs" => drop(pods.remove(0)),
            other => panic!("{other}"),
        }
        Reply::json(&page)
    });
    let directory = tempfile::tempdir().unwrap();
    let sources =
        Sources { kubernetes: kubernetes(directory.path(), &cluster), ..Sources::default() };
    let reading = read_quietly(&sources, &ask()).unwrap();
    assert_eq!(reading.missing, []);
    assert_eq!(reading.incident.services[2].node.as_deref(), Some("node-a"));
    let asked = cluster.asked();
    assert_eq!(asked.iter().filter(|it| it.path.ends_with("/pods")).count(), 4);
    let limits = Limits { objects: 1, ..ask().limits };
    let reading = read_quietly(&sources, &Ask { limits, ..ask() }).unwrap();
    assert!(reading.cut.contains(&"the first 1 pods were read".to_owned()), "{:?}", reading.cut);
}
