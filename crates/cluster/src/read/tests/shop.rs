//! A small shop as the three sources show it: a release of `cart` at 09:55 takes too much memory.

use super::server::{Asked, Reply};
use serde_json::{Value, json};

/// When the window begins and ends: 10:00 to 10:15.
pub(super) const START: i64 = 1_772_359_200;
pub(super) const END: i64 = START + 900;

fn meta(name: &str) -> Value {
    json!({"name": name, "namespace": "shop", "creationTimestamp": "2026-02-01T00:00:00Z", "labels": null})
}

fn owned(name: &str, kind: &str, owner: &str) -> Value {
    let mut meta = meta(name);
    meta["ownerReferences"] = json!([{"kind": kind, "name": owner, "controller": true}]);
    meta
}

fn template(name: &str, image: &str, env: Value) -> Value {
    json!({
        "metadata": {"labels": {"app": name}},
        "spec": {
            "containers": [{
                "name": name, "image": image, "env": env,
                "resources": {"limits": {"memory": "512Mi", "cpu": "500m"}},
            }],
            "volumes": [{"name": "settings", "configMap": {"name": format!("{name}-settings")}}],
        },
    })
}

fn deployment(name: &str, image: &str, env: Value) -> Value {
    json!({"metadata": meta(name), "spec": {"replicas": 2, "template": template(name, image, env)}})
}

fn replica_set(name: &str, (owner, revision): (&str, &str), (image, made): (&str, &str)) -> Value {
    let mut metadata = owned(name, "Deployment", owner);
    metadata["annotations"] = json!({
        "deployment.kubernetes.io/revision": revision, "kubernetes.io/change-cause": "release train",
    });
    metadata["creationTimestamp"] = json!(made);
    json!({"metadata": metadata, "spec": {"replicas": 1, "template": template(owner, image, json!([]))}})
}

fn pod(name: &str, set: &str, restarts: u64) -> Value {
    json!({
        "metadata": owned(name, "ReplicaSet", set),
        "spec": {"nodeName": "node-a", "containers": [{"name": "app"}]},
        "status": {"phase": "Running", "containerStatuses": [
            {"name": "app", "restartCount": restarts, "ready": restarts == 0, "state": {}, "lastState": {}},
        ]},
    })
}

fn list(items: Vec<Value>) -> Value {
    json!({"kind": "List", "metadata": {"resourceVersion": "1"}, "items": items})
}

/// What a path of the API of Kubernetes shows.
pub(super) fn kubernetes(path: &str) -> Option<Value> {
    let web = json!([
        {"name": "CART_ADDR", "value": "cart:8080"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "web", "key": "token"}}},
    ]);
    let kind = path.rsplit('/').next()?;
    let items = match kind {
        "deployments" => vec![
            deployment("web", "shop/web:1", web),
            deployment(
                "cart",
                "shop/cart:1.5",
                json!([{"name": "DSN", "value": "postgres://u:pw@db:5432/x"}]),
            ),
        ],
        "statefulsets" => vec![deployment("db", "postgres:16", json!([]))],
        "daemonsets" => vec![],
        "replicasets" => vec![
            replica_set(
                "cart-6c6f5d7d4b",
                ("cart", "4"),
                ("shop/cart:1.4", "2026-02-01T00:00:00Z"),
            ),
            replica_set(
                "cart-7d4b9c6f5d",
                ("cart", "5"),
                ("shop/cart:1.5", "2026-03-01T09:55:00Z"),
            ),
            replica_set("web-5d7d4b6c6f", ("web", "1"), ("shop/web:1", "2026-02-01T00:00:00Z")),
        ],
        "pods" => vec![
            pod("cart-7d4b9c6f5d-x2vbn", "cart-7d4b9c6f5d", 3),
            pod("web-5d7d4b6c6f-bbbbb", "web-5d7d4b6c6f", 0),
        ],
        "services" => ["web", "cart", "db"]
            .iter()
            .map(|name| json!({"metadata": meta(name), "spec": {"selector": {"app": name}}}))
            .collect(),
        "horizontalpodautoscalers" => vec![json!({
            "metadata": meta("cart-scaler"),
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "cart"}, "maxReplicas": 6},
        })],
        "nodes" => vec![json!({
            "metadata": {"name": "node-a"},
            "status": {"conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
                {"type": "MemoryPressure", "status": "True", "message": "kubelet has insufficient memory",
                 "lastTransitionTime": "2026-03-01T10:04:00Z"},
            ]},
        })],
        "events" => vec![
            event(
                ("Pod", "cart-7d4b9c6f5d-x2vbn"),
                ("Warning", "BackOff"),
                "back-off restarting failed container",
            ),
            event(
                ("Pod", "cart-7d4b9c6f5d-x9zzz"),
                ("Warning", "BackOff"),
                "back-off restarting failed container",
            ),
            event(
                ("HorizontalPodAutoscaler", "cart-scaler"),
                ("Normal", "SuccessfulRescale"),
                "New size: 4",
            ),
            event(("Pod", "stranger"), ("Warning", "BackOff"), "x"),
        ],
        "configmaps" => vec![json!({"metadata": {
            "name": "web-settings",
            "managedFields": [{"manager": "kubectl-edit", "operation": "Update", "time": "2026-03-01T09:50:00Z"}],
        }})],
        _ => return None,
    };
    Some(list(items))
}

fn event((kind, name): (&str, &str), (severity, reason): (&str, &str), message: &str) -> Value {
    json!({
        "metadata": meta("x"), "involvedObject": {"kind": kind, "name": name}, "type": severity,
        "reason": reason, "message": message, "count": 3,
        "firstTimestamp": "2026-03-01T10:02:00Z", "lastTimestamp": "2026-03-01T10:06:00Z",
    })
}

/// What Kubernetes answers, contents of ConfigMaps and Secrets excepted.
pub(super) fn cluster(asked: &Asked) -> Reply {
    assert!(!asked.path.contains("secret"), "{}", asked.path);
    if asked.path.ends_with("configmaps") {
        assert!(asked.header("accept").is_some_and(|it| it.contains("PartialObjectMetadataList")));
    }
    if asked.path.ends_with("/log") {
        let pod = asked.path.split('/').rev().nth(1).unwrap_or_default();
        let line = format!("2026-03-01T10:03:00.5Z ERROR {pod} gave up after 30 s\n");
        return Reply::new(200, line.repeat(2));
    }
    kubernetes(&asked.path).map_or(Reply::new(404, "{}"), |it| Reply::json(&it))
}

/// The metrics: name, type, labels, and the value at a time.
type Metric = (&'static str, &'static str, Value, fn(i64) -> f64);

fn metrics() -> Vec<Metric> {
    let cart = json!({"pod": "cart-7d4b9c6f5d-x2vbn", "container": "app", "service": "kubelet"});
    vec![
        ("container_memory_working_set_bytes", "gauge", cart.clone(), |time| {
            if time < START { 2e8 } else { 5e8 }
        }),
        ("http_requests_total", "counter", json!({"service": "web", "status": "200"}), |time| {
            10.0 + (time % 7) as f64
        }),
        ("pool_in_use", "gauge", json!({"app": "cart"}), |time| (time % 5) as f64),
        ("pool_max", "gauge", json!({"app": "cart"}), |_| 20.0),
        ("latency_seconds_bucket", "histogram", json!({"service": "web"}), |time| {
            if time < START { 0.1 } else { f64::NAN }
        }),
    ]
}

fn success(result: &Value) -> Reply {
    Reply::json(&json!({"status": "success", "data": result}))
}

/// What Prometheus answers. Queries are told apart by the metric that they name.
pub(super) fn prometheus(asked: &Asked) -> Reply {
    let query = asked.query("query");
    let named = |metric: &&Metric| query.contains(&format!("__name__=\"{}\"", metric.0));
    let labelled = |metric: &Metric| {
        let mut labels = metric.2.clone();
        labels["__name__"] = json!(metric.0);
        json!({"metric": labels, "value": [END, "1"]})
    };
    let path = asked.path.trim_start_matches("/prometheus");
    match path {
        "/api/v1/label/__name__/values" => {
            assert_eq!(asked.query("match[]"), "{namespace=\"shop\"}");
            success(&json!(metrics().iter().map(|it| it.0).collect::<Vec<_>>()))
        }
        "/api/v1/metadata" => {
            let told = metrics()
                .into_iter()
                .map(|it| (it.0.replace("_bucket", ""), json!([{"type": it.1}])));
            success(&Value::Object(told.collect()))
        }
        "/api/v1/query" if query.starts_with("count by") => {
            let rows: Vec<_> = metrics().iter().map(labelled).collect();
            success(&json!({"resultType": "vector", "result": rows}))
        }
        "/api/v1/query" => success(&json!({"resultType": "vector", "result": []})),
        "/api/v1/query_range" => {
            let number = |name: &str| asked.query(name).parse::<i64>().unwrap();
            let times = (number("start")..=number("end")).step_by(number("step") as usize);
            let row = |metric: &Metric| {
                let points: Vec<_> =
                    times.clone().map(|time| json!([time, (metric.3)(time).to_string()])).collect();
                json!({"metric": metric.2, "values": points})
            };
            let rows: Vec<_> = metrics().iter().filter(named).map(row).collect();
            success(&json!({"resultType": "matrix", "result": rows}))
        }
        "/api/v1/alerts" => success(&json!({"alerts": [
            {"labels": {"alertname": "Watchdog", "namespace": "shop", "service": "web"}, "state": "firing"},
            {"labels": {"alertname": "SlowWeb", "namespace": "shop", "service": "web"}, "state": "firing",
             "annotations": {"summary": "p99 above 1 s"}, "activeAt": "2026-03-01T10:01:00Z"},
            {"labels": {"alertname": "CartDown", "namespace": "shop", "pod": "cart-7d4b9c6f5d-x2vbn"},
             "state": "firing", "annotations": {}, "activeAt": "2026-03-01T10:02:00Z"},
            {"labels": {"alertname": "Elsewhere", "namespace": "bank", "service": "web"}, "state": "firing"},
        ]})),
        _ => Reply::new(404, "404 page not found"),
    }
}

/// What Loki answers: one line of `cart` every ten seconds, an error from the start on.
pub(super) fn loki(asked: &Asked) -> Reply {
    let number = |name: &str| asked.query(name).parse::<i64>().unwrap();
    assert_eq!(asked.query("query"), "{namespace=\"shop\"}");
    let (start, end) = (number("start"), number("end"));
    let all = (0..=450).map(|place| (START - 3600 + 10 * place) * 1_000_000_000);
    let inside = all.filter(|time| (start..end).contains(time)).rev();
    let values: Vec<_> = inside
        .take(number("limit") as usize)
        .map(|time| {
            let is_late = time >= START * 1_000_000_000;
            let line = if is_late {
                "level=error msg=\"out of memory, 7 MiB\""
            } else {
                "level=info msg=fine"
            };
            json!([time.to_string(), line, {"trace": "x"}])
        })
        .collect();
    let stream = json!({"stream": {"app": "cart", "namespace": "shop"}, "values": values});
    Reply::json(
        &json!({"status": "success", "data": {"resultType": "streams", "result": [stream]}}),
    )
}
