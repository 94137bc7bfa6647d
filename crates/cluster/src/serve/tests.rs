//! The server from outside: over real connections, by a client of ours, by hand, and by `kubectl`.

use super::*;
use lab::{Part, Settings};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

#[path = "../../../../tests/skip.rs"]
mod skip;

fn options() -> Options {
    Options {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        namespace: "shop".to_owned(),
        end: Timestamp::from_second(1_800_000_000).unwrap(),
        speed: 1e6,
        token: None,
    }
}

/// An incident with something in it for every question.
fn incident() -> Incident {
    lab::incident(&Settings::new(1, Part::Train), 2).incident
}

fn served() -> Served {
    Served::start(&incident(), options()).unwrap()
}

/// The status and body of a request.
fn get(served: &Served, path: &str, accept: &str) -> (u16, String) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let url = format!("http://{}{path}", served.address());
    let mut answer = agent.get(&url).header("Accept", accept).call().unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

fn json(served: &Served, path: &str) -> Value {
    let (status, text) = get(served, path, "application/json");
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// What comes back for bytes, until the server closes.
fn raw(served: &Served, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(served.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may have closed before everything was sent.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn all_parts_answer_on_one_port() {
    let served = served();
    for path in ["/healthz", "/readyz", "/livez", "/ready", "/-/ready", "/-/healthy"] {
        assert_eq!(get(&served, path, "*/*").0, 200, "{path}");
    }
    assert_eq!(json(&served, "/version")["major"], "1");
    assert_eq!(json(&served, "/api/v1/namespaces/shop/pods")["kind"], "PodList");
    let query = "/api/v1/query?query=count(%7Bnamespace%3D%22shop%22%7D)";
    assert_eq!(json(&served, query)["data"]["resultType"], "vector");
    assert_eq!(json(&served, "/loki/api/v1/labels")["data"][0], "app");
    let (_, text) = get(&served, "/metrics", "text/plain");
    assert!(text.contains("# TYPE "), "{text}");
    let counted = served.requests();
    assert_eq!((counted.prometheus, counted.loki, counted.scrapes), (1, 1, 1));
    assert_eq!(counted.refused, 0);
}

#[test]
fn pages_hold_everything_once() {
    let served = served();
    let all = json(&served, "/api/v1/pods");
    let count = all["items"].as_array().unwrap().len();
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let page = json(&served, &format!("/api/v1/pods?limit=3&continue={token}"));
        pages.extend(page["items"].as_array().unwrap().clone());
        match page["metadata"]["continue"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(pages.len(), count);
    assert_eq!(Value::from(pages), all["items"]);
}

#[test]
fn whatever_is_not_reading_is_refused_and_counted() {
    let served = served();
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let url = format!("http://{}/api/v1/namespaces/shop/pods/x", served.address());
    let mut answer = agent.delete(&url).call().unwrap();
    assert_eq!(answer.status(), 405);
    let status: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    assert_eq!((&status["kind"], &status["code"]), (&"Status".into(), &405.into()));
    assert_eq!(agent.put(&url).send("{}").unwrap().status(), 405);
    let (status, text) = get(&served, "/api/v1/namespaces/shop/secrets/token", "*/*");
    assert_eq!(status, 403);
    assert!(text.contains("is forbidden"), "{text}");
    assert_eq!(get(&served, "/api/v1/secrets?watch=1", "*/*").0, 403);
    for path in ["/api/v2", "/apis/none", "/apis/apps/v1/none", "/loki/api/v1/none", "/x"] {
        assert_eq!(get(&served, path, "*/*").0, 404, "{path}");
    }
    assert_eq!(get(&served, "/api/v1/namespaces/shop/pods/none", "*/*").0, 404);
    let counted = served.requests();
    assert_eq!((counted.writes, counted.secrets, counted.refused), (2, 2, 10));
}

#[test]
fn a_watch_begins_with_what_there_is_and_ends_in_time() {
    let served = served();
    let begun = Instant::now();
    let path = "/api/v1/namespaces/shop/pods?watch=1&timeoutSeconds=1";
    let (_, text) = get(&served, path, "application/json");
    let count = json(&served, "/api/v1/namespaces/shop/pods")["items"].as_array().unwrap().len();
    assert_eq!(text.lines().filter(|line| line.contains("\"ADDED\"")).count(), count);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let version = json(&served, "/api/v1/pods")["metadata"]["resourceVersion"].clone();
    let version = version.as_str().unwrap();
    let (_, text) = get(&served, &format!("{path}&resourceVersion={version}"), "*/*");
    assert_eq!(text, "", "nothing changed since");
    let initial =
        "&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    let (_, text) = get(&served, &format!("{path}{initial}"), "*/*");
    assert!(text.lines().last().unwrap().contains("k8s.io/initial-events-end"), "{text}");
    assert_eq!(served.requests().watches, 3);
}

#[test]
fn a_token_is_asked_for_where_there_is_one() {
    let options = Options { token: Some("geheim".to_owned()), ..options() };
    let served = Served::start(&incident(), options).unwrap();
    assert!(served.kubeconfig().contains("geheim"));
    assert_eq!(get(&served, "/api/v1/pods", "*/*").0, 401);
    assert_eq!(get(&served, "/readyz", "*/*").0, 200);
    let url = format!("http://{}/api/v1/pods", served.address());
    let answer = ureq::get(&url).header("Authorization", "Bearer geheim").call().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(served.requests().unauthorized, 1);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let start = |options| Served::start(&incident(), options).map(|_| ()).unwrap_err();
    let open = Options { address: SocketAddr::from(([0, 0, 0, 0], 0)), ..options() };
    assert!(matches!(start(open), Error::NotLoopback(_)));
    for namespace in ["", "Shop", "a b", "-a", "a/b"] {
        let options = Options { namespace: namespace.to_owned(), ..options() };
        assert!(matches!(start(options), Error::Namespace(_)), "{namespace:?}");
    }
    for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(start(Options { speed, ..options() }), Error::Speed(_)));
    }
    for end in [Timestamp::MIN, Timestamp::MAX] {
        assert!(matches!(start(Options { end, ..options() }), Error::Time(_)));
    }
    let taken = served();
    let options = Options { address: taken.address(), ..options() };
    assert!(matches!(start(options), Error::Listen { .. }));
}

#[test]
fn hostile_requests_are_answered_or_closed_and_the_server_lives() {
    let served = served();
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(200_000));
    let headers = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(10_000));
    let body = format!(
        "POST /api/v1/query HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: 3000000\r\n\r\nquery={}",
        "(".repeat(2_999_994)
    );
    for bytes in [
        long.as_str(),
        &headers,
        &body,
        "nonsense\r\n\r\n",
        "GET http://[ HTTP/1.1\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
    ] {
        let answer = raw(&served, bytes.as_bytes());
        let first = answer.lines().next().unwrap_or_default();
        assert!(first.is_empty() || first.starts_with("HTTP/1.1 4"), "{first}");
    }
    let paths = [
        "/api/v1/namespaces/%2e%2e/pods/%00?labelSelector=%ff",
        "/api/v1/namespaces//pods",
        "/api/v1/pods?labelSelector=((((((&fieldSelector=,,,,==",
        "/api/v1/pods?limit=18446744073709551616",
        "/api/v1/namespaces/shop/pods/x/log?tailLines=-1",
        "/api/v1/query?query=%7B__name__%3D~%22(a%7B1000%7D)%7B1000%7D%22%7D",
        "/loki/api/v1/query_range?query=%7Ba%3D%22b%22%7D&start=-9223372036854775808&end=9223372036854775807",
    ];
    for path in paths {
        let (status, _) = get(&served, path, "application/json;as=Table;v=v1;g=meta.k8s.io");
        assert!(status < 500, "{path}: {status}");
    }
    assert_eq!(get(&served, "/readyz", "*/*").0, 200);
}

#[test]
fn it_stops_when_it_is_dropped_even_while_somebody_watches() {
    let served = served();
    let address = served.address();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut first = [0; 1];
    stream.read_exact(&mut first).unwrap();
    let begun = Instant::now();
    drop(served);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(TcpStream::connect(address).is_err());
}

/// `kubectl` with a kubeconfig of the server, or nothing where there is none here.
fn kubectl(served: &Served, arguments: &[&str]) -> Option<Output> {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config");
    std::fs::write(&config, served.kubeconfig()).unwrap();
    let mut command = Command::new("kubectl");
    command.arg("--kubeconfig").arg(&config).args(arguments).env("HOME", directory.path());
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            skip::skip(&format!("kubectl {arguments:?}: {error}"));
            None
        }
    }
}

/// What `kubectl` prints, where it succeeds; `None` where it is not here.
fn shown(served: &Served, arguments: &str) -> Option<String> {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let output = kubectl(served, &arguments)?;
    let (out, problem) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {problem}");
    Some(out.into_owned())
}

#[test]
fn kubectl_shows_the_tables_of_a_cluster() {
    let served = served();
    let table = [
        ("get pods,deploy,rs,svc,hpa -A", "UP-TO-DATE"),
        ("get nodes -o wide", "CONTAINER-RUNTIME"),
        ("get events -A", "LAST SEEN"),
        ("get events.events.k8s.io", "REASON"),
        ("get cm,netpol,ns,sts,jobs", "STATUS"),
        ("get all", "deployment.apps/"),
        ("events", "REASON"),
        ("api-resources", "deploy"),
        ("api-versions", "autoscaling/v2"),
        ("version", "Server Version"),
        ("get pods -l app!=none --field-selector status.phase=Running -o name", "pod/"),
        ("get pods --chunk-size=2", "RESTARTS"),
        ("rollout history deploy", "REVISION"),
        ("explain pods", "DESCRIPTION"),
        ("explain deploy.spec.template.spec.containers.resources", "limits"),
    ];
    for (arguments, expected) in table {
        let Some(text) = shown(&served, arguments) else { return };
        assert!(text.contains(expected), "{arguments}: {text}");
    }
}

#[test]
fn kubectl_describes_and_follows() {
    let served = served();
    let objects = json(&served, "/api/v1/namespaces/shop/pods");
    let pod = objects["items"][0]["metadata"]["name"].as_str().unwrap().to_owned();
    let service = objects["items"][0]["metadata"]["labels"]["app"].as_str().unwrap().to_owned();
    let table = [
        (format!("describe pod {pod}"), "Restart Count:"),
        (format!("describe deploy {service}"), "OldReplicaSets:"),
        ("describe nodes".to_owned(), "Allocated resources:"),
        (format!("describe svc {service}"), "Endpoints:"),
        (format!("describe hpa {service}"), "Max replicas:"),
        (format!("rollout status deploy {service} --watch=false"), ""),
        (format!("logs {pod} --tail=5 --timestamps"), ""),
        (format!("logs deploy/{service} --since=1h"), ""),
    ];
    for (arguments, expected) in &table {
        let Some(text) = shown(&served, arguments) else { return };
        assert!(text.contains(expected), "{arguments}: {text}");
    }
    let arguments = ["get", "pods", "-w", "--request-timeout=2s"];
    let Some(output) = kubectl(&served, &arguments) else { return };
    assert!(String::from_utf8_lossy(&output.stdout).contains(&pod));
}

#[test]
fn kubectl_cannot_change_anything() {
    let served = served();
    let objects = json(&served, "/api/v1/namespaces/shop/pods");
    let pod = objects["items"][0]["metadata"]["name"].as_str().unwrap().to_owned();
    let table = [
        (vec!["delete", "pod", &pod], "only lets itself be read"),
        (vec!["create", "ns", "other"], "only lets itself be read"),
        (vec!["get", "secrets"], "secrets is forbidden"),
    ];
    for (arguments, expected) in table {
        let Some(output) = kubectl(&served, &arguments) else { return };
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && problem.contains(expected), "{arguments:?}: {problem}");
    }
    let counted = served.requests();
    assert!(counted.writes >= 2 && counted.secrets >= 1);
}
