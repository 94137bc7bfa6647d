//! What can go wrong with one source, while Kubernetes goes on.

use super::server::{Asked, Reply, Server};
use super::*;
use serde_json::json;

/// What is missing if Prometheus and Loki answer so, and Kubernetes as ever.
fn missing(
    answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    limits: Limits,
) -> Vec<String> {
    let (cluster, broken) = (Server::new(shop::cluster), Server::new(answer));
    let directory = tempfile::tempdir().unwrap();
    let sources = Sources {
        kubernetes: kubernetes(directory.path(), &cluster),
        prometheus: http(&broken),
        loki: http(&broken),
    };
    let reading = read_quietly(&sources, &Ask { limits, ..ask() }).unwrap();
    assert_eq!(reading.incident.services.len(), 3);
    assert!(!reading.incident.logs.is_empty(), "Kubernetes has the logs then");
    reading.missing.iter().map(ToString::to_string).collect()
}

#[test]
fn whatever_a_server_answers_is_told_in_a_line() {
    let page = "<html><form action=/login><input name=password></form></html>";
    let error =
        |kind: &str| json!({"status": "error", "errorType": kind, "error": "no such thing"});
    let huge = json!({"status": "success", "data": ["x".repeat(1 << 20)], "warnings": ["w"]});
    let table: Vec<(Reply, &str)> = vec![
        (Reply::new(400, error("bad_data").to_string()), "answers 400: no such thing"),
        (Reply::new(401, "who?"), "answers 401: who? (it wants credentials)"),
        (Reply::new(403, page).with("content-type", "text/html"), "answers 403 (it wants"),
        (Reply::new(404, "404 page not found"), "answers 404: 404 page not found"),
        (Reply::new(422, error("execution").to_string()), "answers 422: no such thing"),
        (Reply::new(429, "slow down").with("retry-after", "0"), "answers 429: slow down"),
        (
            // Longer than any clock goes.
            Reply::new(429, "no").with("retry-after", "18446744073709551615"),
            "answers 429: no",
        ),
        (Reply::new(500, "{\"broken"), "answers 500"),
        (Reply::new(503, ""), "answers 503"),
        (Reply::new(200, page), "a page to log in?"),
        (
            Reply::new(200, page).with("content-type", "text/html; charset=utf-8"),
            "a page to log in?",
        ),
        (Reply::json(&error("x")), ": "),
        (Reply::new(200, "{\"status\":\"success\",\"data\":"), "breaks off after 27 bytes"),
        (Reply::new(200, "[1,2]"), "another form"),
        (Reply::new(200, "{\"status\":\"success\",\"data\":{\"result\":{}}}"), "another form"),
        (Reply::new(200, b"{\"status\":\"\xff\xfe\"}".to_vec()), ": "),
        (Reply { cut: Some(5), ..Reply::json(&huge) }, ": "),
        (
            Reply::new(302, "").with("location", "https://login.example.org/?token=sesame"),
            "elsewhere (login.example.org)",
        ),
    ];
    for (reply, expected) in table {
        let shown = format!(
            "{} {}",
            reply.status,
            String::from_utf8_lossy(&reply.body[..reply.body.len().min(60)])
        );
        let missing = missing(move |_| reply.clone(), ask().limits);
        for source in ["Prometheus: metrics: 127.0.0.1:", "Loki: "] {
            let found = missing.iter().find(|it| it.starts_with(source));
            let found = found.unwrap_or_else(|| panic!("{shown}: {source}: {missing:?}"));
            assert!(found.contains(expected), "{shown}: {found}");
            assert!(found.len() < 400 && !found.contains(['\n', '<']) && !found.contains("sesame"));
        }
    }
}

#[test]
fn who_is_slow_or_floods_is_left() {
    let quick = Limits { answer_time: Duration::from_millis(300), ..ask().limits };
    let slow = Reply { slow: Some(Duration::from_millis(100)), ..Reply::new(200, "[1,2,3,4,5]") };
    let told = missing(move |_| slow.clone(), quick);
    assert!(told.iter().any(|it| it.contains("did not answer in time")), "{told:?}");
    let small = Limits { answer_bytes: 20_000, ..ask().limits };
    let flood = Reply::new(200, " ".repeat(1 << 20));
    let told = missing(move |_| flood.clone(), small);
    assert!(told.iter().any(|it| it.contains("more than 20000 bytes")), "{told:?}");
}

#[test]
fn nobody_is_sent_elsewhere_with_our_credentials() {
    let thief = Server::new(|_: &Asked| Reply::json(&json!({})));
    let target = thief.url.clone();
    missing(move |_| Reply::new(307, "").with("location", &target), ask().limits);
    assert!(thief.asked().is_empty());
}

#[test]
fn what_passes_is_tried_again_and_the_rest_goes_on() {
    let tries = AtomicUsize::new(0);
    let metrics = Server::new(move |asked: &Asked| {
        let query = asked.query("query");
        if query.contains("pool_max")
            || (query.contains("http_requests") && asked.path.ends_with("range"))
        {
            return Reply::new(
                422,
                r#"{"status":"error","error":"query processing would load too many samples"}"#,
            );
        }
        let first = tries.fetch_add(1, Ordering::SeqCst) < 2;
        if first { Reply::new(503, "").with("retry-after", "0") } else { shop::prometheus(asked) }
    });
    let sources = Sources { prometheus: http(&metrics), ..Sources::default() };
    let Reading { incident, missing, .. } = read_quietly(&sources, &ask()).unwrap();
    let names: Vec<_> = incident.metrics.iter().map(|it| (&*it.name, it.limit)).collect();
    let expected = [
        ("container_memory_working_set_bytes", None),
        ("pool_in_use", None),
        ("latency_seconds:p95", None),
    ];
    assert_eq!(names, expected);
    let told = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(told.contains("http_requests_total:rate, http_requests_total:5xx: 127"), "{told}");
    assert!(told.contains("would load too many samples"), "{told}");
}

#[test]
fn the_order_of_answers_decides_nothing() {
    let straight = Server::new(shop::prometheus);
    let turned = Server::new(|asked: &Asked| {
        let reply = shop::prometheus(asked);
        let mut answer: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        for list in ["/data/result", "/data/alerts", "/data"] {
            if let Some(list) = answer.pointer_mut(list).and_then(|it| it.as_array_mut()) {
                list.reverse();
            }
        }
        for at in 0..9 {
            let values = answer.pointer_mut(&format!("/data/result/{at}/values"));
            if let Some(values) = values.and_then(|it| it.as_array_mut()) {
                values.reverse();
            }
        }
        Reply::json(&answer)
    });
    let of = |server: &Server| {
        let sources = Sources { prometheus: http(server), ..Sources::default() };
        read_quietly(&sources, &ask()).unwrap().incident
    };
    assert_eq!(of(&straight), of(&turned));
}

#[test]
fn a_kind_that_may_not_be_read_costs_itself_only() {
    for (kind, named) in [("nodes", "Kubernetes: nodes: "), ("events", "Kubernetes: events: ")] {
        let cluster = Server::new(move |asked: &Asked| match asked.path.ends_with(kind) {
            true => {
                Reply::new(403, r#"{"kind":"Status","message":"nodes is forbidden: User \"x\""}"#)
            }
            false => shop::cluster(asked),
        });
        let directory = tempfile::tempdir().unwrap();
        let sources =
            Sources { kubernetes: kubernetes(directory.path(), &cluster), ..Sources::default() };
        let reading = read_quietly(&sources, &ask()).unwrap();
        let [missing] = reading.missing.as_slice() else { panic!("{:?}", reading.missing) };
        let missing = missing.to_string();
        assert!(missing.starts_with(named) && missing.contains("not allowed (403)"), "{missing}");
    }
}

#[test]
fn objects_of_another_form_cost_themselves_only() {
    let cluster = Server::new(|asked: &Asked| {
        let mut all = match shop::kubernetes(&asked.path) {
            Some(all) => all,
            None => return shop::cluster(asked),
        };
        let items = all["items"].as_array_mut().unwrap();
        items.push(json!({"metadata": {"name": ["x"]}}));
        items.push(json!(7));
        Reply::json(&all)
    });
    let directory = tempfile::tempdir().unwrap();
    let sources =
        Sources { kubernetes: kubernetes(directory.path(), &cluster), ..Sources::default() };
    let reading = read_quietly(&sources, &ask()).unwrap();
    assert_eq!(reading.incident.services.len(), 3);
    assert!(reading.missing.iter().all(|it| it.why == "2 of them have another form"));
}

#[test]
fn time_that_runs_out_leaves_what_was_read() {
    let (cluster, slow) = (
        Server::new(shop::cluster),
        Server::new(|_: &Asked| {
            std::thread::sleep(Duration::from_secs(3));
            Reply::new(200, "{}")
        }),
    );
    let directory = tempfile::tempdir().unwrap();
    let sources = Sources {
        kubernetes: kubernetes(directory.path(), &cluster),
        prometheus: http(&slow),
        loki: http(&slow),
    };
    let begun = Instant::now();
    let ask = Ask { deadline: Duration::from_secs(2), ..ask() };
    let reading = read_quietly(&sources, &ask).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(reading.incident.services.len(), 3);
    let told: Vec<_> = reading.missing.iter().map(|it| (it.source, it.why.as_str())).collect();
    assert!(told.iter().all(|(_, why)| why.contains("no time was left to ask")), "{told:?}");
    assert!(told.iter().any(|(source, _)| *source == Source::Loki), "{told:?}");
}

/// Loki's distributors may keep a line twice; a line that really came twice has two times.
#[test]
fn a_line_that_loki_has_twice_counts_once() {
    let logs = Server::new(|asked: &Asked| {
        let once = shop::loki(asked);
        let mut answer: serde_json::Value = serde_json::from_slice(&once.body).unwrap();
        let values = answer["data"]["result"][0]["values"].as_array_mut().unwrap();
        *values = values.iter().flat_map(|it| [it.clone(), it.clone()]).collect();
        Reply::json(&answer)
    });
    let sources = Sources { loki: http(&logs), ..Sources::default() };
    let reading = read_quietly(&sources, &ask()).unwrap();
    assert_eq!(reading.incident.logs[1].count, 91);
}

#[test]
fn loki_is_asked_for_fewer_lines_where_it_gives_no_more() {
    let logs = Server::new(|asked: &Asked| {
        let limit: usize = asked.query("limit").parse().unwrap();
        if limit > 100 {
            Reply::new(400, "max entries limit per query exceeded")
        } else {
            shop::loki(asked)
        }
    });
    let sources = Sources { loki: http(&logs), ..Sources::default() };
    let reading = read_quietly(&sources, &ask()).unwrap();
    assert_eq!(reading.missing, []);
    assert_eq!(reading.incident.logs[1].count, 91);
    let limits = Limits { log_lines: 8 * 20, ..ask().limits };
    let reading = read_quietly(&sources, &Ask { limits, ..ask() }).unwrap();
    assert_eq!(reading.incident.logs[1].count, 80);
    assert!(
        reading.cut[0].starts_with("of 8 of 8 parts of the time the last 20 log lines"),
        "{:?}",
        reading.cut
    );
}

#[test]
fn a_cluster_that_nobody_reaches_is_asked_once() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let metrics = Server::new(shop::prometheus);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kubeconfig");
    let read_from = |server: &str, context: &str| {
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": context,
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            "clusters": [{"name": "a", "cluster": {"server": server}}],
            "users": [{"name": "a", "user": {"token": "kubernetes-sesame"}}],
        });
        std::fs::write(&file, text.to_string()).unwrap();
        let kubernetes = Some(KubernetesSource { kubeconfig: Some(file.clone()), context: None });
        let sources = Sources { kubernetes, prometheus: http(&metrics), ..Sources::default() };
        let missing = read_quietly(&sources, &ask()).unwrap().missing;
        missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let told = read_from(&format!("http://{closed}"), "a");
    assert!(told.contains(&format!("Kubernetes: deployments: {closed}: ")), "{told}");
    assert!(told.contains("Kubernetes: statefulsets, daemonsets, replicasets, pods,"), "{told}");
    assert_eq!(told.lines().count(), 2, "{told}");
    let told = read_from("http://cluster.example.org", "a");
    assert!(told.contains("credentials would travel in the open"), "{told}");
    let told = read_from("http://127.0.0.1:1", "b");
    assert!(told.contains("the kubeconfig has no context \"b\""), "{told}");
    std::fs::write(&file, "users: [{name: a, user: {token: kubernetes-sesame, x: [}}]").unwrap();
    let kubernetes = Some(KubernetesSource { kubeconfig: Some(file.clone()), context: None });
    let sources = Sources { kubernetes, ..Sources::default() };
    let error = read_quietly(&sources, &ask()).unwrap_err().to_string();
    assert!(
        error.contains("the kubeconfig cannot be used") && !error.contains("sesame"),
        "{error}"
    );
}

#[test]
fn slips_in_a_kubeconfig_are_told_without_its_secrets() {
    let room = tempfile::tempdir().unwrap();
    let config = |server: &str, token: &str| {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{"name": "a", "cluster": {"server": server}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            "users": [{"name": "a", "user": {"token": token}}],
        })
    };
    let table = [
        ("http://user:sesame@127.0.0.1:1", "sesame", "127.0.0.1:1: "),
        ("http://127.0.0.1:1", "sesame\n", "127.0.0.1:1: "),
        ("http://127.0.0.1:1", "se\nsame", "characters that no token has"),
        ("http://192.0.2.1:1", "sesame", "credentials would travel in the open"),
    ];
    for (number, (server, token, expected)) in table.into_iter().enumerate() {
        let file = room.path().join(format!("{number}.json"));
        std::fs::write(&file, config(server, token).to_string()).unwrap();
        let kubernetes = Some(KubernetesSource { kubeconfig: Some(file), context: None });
        let sources = Sources { kubernetes, ..Sources::default() };
        let told = read_quietly(&sources, &ask()).unwrap_err().to_string();
        assert!(told.contains(expected) && !told.contains("sesame"), "{told}");
    }
}

#[test]
fn warnings_are_told_once() {
    let metrics = Server::new(|asked: &Asked| {
        let mut answer: serde_json::Value =
            serde_json::from_slice(&shop::prometheus(asked).body).unwrap();
        answer["warnings"] = json!(["a store \u{1b}[2J was away"]);
        Reply::json(&answer)
    });
    let sources = Sources { prometheus: http(&metrics), ..Sources::default() };
    let reading = read_quietly(&sources, &ask()).unwrap();
    let [missing] = reading.missing.as_slice() else { panic!("{:?}", reading.missing) };
    let missing = missing.to_string();
    assert!(missing.contains("a part of some answers: 127.0.0.1:"), "{missing}");
    assert!(missing.ends_with("it warns: a store was away"), "{missing:?}");
    assert_eq!(reading.incident.metrics.len(), 5);
}

#[test]
fn namespaces_have_other_labels_elsewhere() {
    let logs = Server::new(|asked: &Asked| {
        if asked.query("query") != "{k8s_namespace_name=\"shop\"}" {
            return Reply::json(&json!({"status": "success", "data": {"result": []}}));
        }
        let mut asked = asked.clone();
        asked.query[0].1 = "{namespace=\"shop\"}".to_owned();
        shop::loki(&asked)
    });
    let sources = Sources { loki: http(&logs), ..Sources::default() };
    assert_eq!(read_quietly(&sources, &ask()).unwrap().incident.logs[1].count, 91);
    let silent = Server::new(|_: &Asked| Reply::json(&json!({"data": {"result": []}})));
    let (cluster, directory) = (Server::new(shop::cluster), tempfile::tempdir().unwrap());
    let kubernetes = kubernetes(directory.path(), &cluster);
    let sources = Sources { kubernetes, loki: http(&silent), prometheus: None };
    let reading = read_quietly(&sources, &ask()).unwrap();
    let missing = reading.missing[0].to_string();
    assert_eq!(missing, "Loki: lines: it has none for {namespace=\"shop\"} in that time");
    assert!(!reading.incident.logs.is_empty(), "Kubernetes has the logs then");
}
