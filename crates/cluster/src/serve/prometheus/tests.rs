//! Queries over a few series whose values are known.

use super::*;
use crate::serve::answer::Content;

/// Two counters and a gauge, a point a minute from 0 to 600 s.
fn served() -> Prometheus {
    let series = |name: &str, service: &str, value: fn(i64) -> f64| {
        let labels = [("__name__", name), ("service", service), ("job", JOB)];
        let labels = labels.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        Series { labels, points: (0..=10).map(|it| (it * 60_000, value(it))).collect() }
    };
    let store = Store::of(vec![
        series("requests", "cart", |it| 60.0 * it as f64),
        // Started anew at minute 5.
        series("requests", "web", |it| 120.0 * (it % 5) as f64),
        series("up:now", "web", |it| it as f64 / 2.0),
    ]);
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    Prometheus { store, start: at(300), end: at(600) }
}

fn ask(path: &str, text: &str) -> (u16, Value) {
    let mut request = Request::default();
    request.params.add(text);
    let path: Vec<&str> = path.split('/').collect();
    let answer = served().answer(&path, &request).unwrap();
    let Content::Whole(bytes) = answer.content else { panic!("a watch") };
    (answer.status, serde_json::from_slice(&bytes).unwrap())
}

/// The values of an instant query by service, which is `-` where there is none.
fn values(query: &str) -> Vec<(String, String)> {
    let query = query.replace('+', "%2B");
    let (status, answer) = ask("query", &format!("query={query}"));
    assert_eq!(status, 200, "{query}: {answer}");
    let rows = answer["data"]["result"].as_array().unwrap().clone();
    let row = |it: &Value| {
        let service = it["metric"]["service"].as_str().unwrap_or("-");
        (service.to_owned(), it["value"][1].as_str().unwrap().to_owned())
    };
    rows.iter().map(row).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn queries_are_answered() {
    let table: [(&str, &[(&str, &str)]); 16] = [
        ("requests", &[("cart", "600"), ("web", "0")]),
        ("requests{service=\"cart\"}", &[("cart", "600")]),
        ("requests{service!=\"cart\"}", &[("web", "0")]),
        ("{__name__=~\"req.*\",service=~'c.*|x'}", &[("cart", "600")]),
        ("requests{service!~\"c.*\"}", &[("web", "0")]),
        ("requests{service=~\"c\"}", &[]),
        ("requests offset 5m", &[("cart", "300"), ("web", "0")]),
        ("up:now", &[("web", "5")]),
        ("rate(requests{service=\"cart\"}[5m])", &[("cart", "1")]),
        ("increase(requests{service=\"cart\"}[2m])", &[("cart", "120")]),
        ("max_over_time(requests[10m])", &[("cart", "600"), ("web", "480")]),
        ("count_over_time(requests[5m])", &[("cart", "5"), ("web", "5")]),
        ("sum(requests)", &[("-", "600")]),
        ("avg by (service) (max_over_time(requests[10m]))", &[("cart", "600"), ("web", "480")]),
        ("count by (job) ({job=\"lab\"})", &[("-", "3")]),
        ("max((min(sum without (service) (requests))))", &[("-", "600")]),
    ];
    for (query, expected) in table {
        assert_eq!(values(query), pairs(expected), "{query}");
    }
    assert_eq!(values("sum(rate(requests[5m])) by (service)").len(), 2);
    let (_, scalar) = ask("query", "query=-1.5e0&time=12.5");
    assert_eq!(scalar["data"], json!({"resultType": "scalar", "result": [12.5, "-1.5"]}));
    let (_, matrix) = ask("query", "query=up:now[2m]&time=600");
    let expected = json!([[540, "4.5"], [600, "5"]]);
    assert_eq!(matrix["data"]["result"][0]["values"], expected, "ranges are open on their left");
}

#[test]
fn a_counter_that_began_anew_is_made_good() {
    // From 240 it went up to 480, from 0 to 480, and to 0: 720 in eight minutes, read on to nine.
    assert_eq!(values("increase(requests{service=\"web\"}[9m])")[0].1, "810");
    let (_, answer) = ask("query", "query=increase(requests{service=\"web\"}[9m])&time=540");
    assert_eq!(answer["data"]["result"][0]["value"][1], "945");
}

#[test]
fn ranges_are_stepped_through() {
    let (status, answer) = ask("query_range", "query=sum(requests)&start=0&end=120&step=1m");
    assert_eq!(status, 200);
    let expected = json!([{"metric": {}, "values": [[0, "0"], [60, "180"], [120, "360"]]}]);
    assert_eq!(answer["data"], json!({"resultType": "matrix", "result": expected}));
    // What is five minutes old is no value any more.
    let (_, answer) = ask("query_range", "query=up:now&start=890&end=910&step=10");
    assert_eq!(answer["data"]["result"][0]["values"], json!([[890, "5"]]));
    let (_, answer) = ask("query_range", "query=up:now&start=5000&end=5000&step=1");
    assert_eq!(answer["data"]["result"], json!([]));
}

#[test]
fn what_is_wrong_is_said_as_prometheus_does() {
    let deep = format!("query={}requests{}", "sum(".repeat(5_000), ")".repeat(5_000));
    let long = format!("query={}", "a".repeat(100_000));
    let deeper = format!("query={}1", "(".repeat(16_000));
    let table = [
        ("query", "query=", 400, "no expression found"),
        ("query", "query=requests[5m", 400, "expected"),
        ("query", "query={}", 400, "at least one non-empty matcher"),
        ("query", "query={a=~\".*\"}", 400, "at least one non-empty matcher"),
        ("query", "query=requests / 2", 400, "the lab understands"),
        ("query", "query=histogram_quantile(0.9, requests)", 400, "unsupported function"),
        ("query", "query=topk(3, requests)", 400, "the lab understands"),
        ("query", "query=rate(requests)", 400, "range vector"),
        ("query", "query=sum(requests[5m])", 400, "instant vector"),
        ("query", "query=requests[5m:1m]", 400, "subqueries"),
        ("query", "query={a=~\"(\"}", 400, "invalid regular expression"),
        ("query", "query={a=~\"((a{1000}){1000}){1000}\"}", 400, "invalid regular expression"),
        ("query", "query=requests{a=\"\u{1f600}", 400, "unterminated"),
        ("query", "query=requests%00", 400, "unexpected character"),
        ("query", "query=requests&time=x", 400, "cannot parse"),
        ("query", "query=rate({job=\"lab\"}[5m])", 422, "same labelset"),
        ("query", &deep, 400, ""),
        ("query", &deeper, 400, "nested deeper"),
        ("query", &long, 400, "bytes"),
        ("query_range", "query=requests&start=0&end=10&step=0", 400, "zero or negative"),
        ("query_range", "query=requests&start=10&end=0&step=1", 400, "before start time"),
        ("query_range", "query=requests&start=0&end=11000&step=1", 400, "11,000 points"),
        ("query_range", "query=requests&end=10&step=1", 400, "start"),
        ("query_range", "query=requests[5m]&start=0&end=9&step=1", 400, "range vector"),
        ("query_range", "query=requests&start=-1e11&end=1e11&step=1ms", 400, "11,000"),
        ("series", "", 400, "no match[]"),
        ("series", "match[]=sum(x)", 400, ""),
        ("labels/x", "", 404, "not found"),
    ];
    for (path, text, status, message) in table {
        let (found, answer) = ask(path, text);
        let shown: String = text.chars().take(60).collect();
        assert_eq!(found, status, "{shown}: {answer}");
        assert_eq!(answer["status"], "error", "{shown}");
        assert!(answer["error"].as_str().unwrap().contains(message), "{shown}: {answer}");
    }
}

#[test]
fn a_query_that_costs_too_much_is_refused() {
    let series = (0..600).map(|index| Series {
        labels: [("__name__", "a".to_owned()), ("n", index.to_string())]
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v))
            .collect(),
        points: vec![(0, 1.0)],
    });
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    let served = Prometheus { store: Store::of(series.collect()), start: at(0), end: at(1) };
    let mut request = Request::default();
    request.params.add("query=a&start=0&end=10999&step=1");
    let answer = served.answer(&["query_range"], &request).unwrap();
    assert_eq!(answer.status, 422);
}

#[test]
fn labels_and_their_values_are_listed() {
    let data = |path: &str, text: &str| ask(path, text).1["data"].clone();
    assert_eq!(data("labels", ""), json!(["__name__", "job", "service"]));
    assert_eq!(data("label/service/values", "match[]=up:now"), json!(["web"]));
    assert_eq!(data("label/nothing/values", ""), json!([]));
    assert_eq!(data("label/__name__/values", "start=700"), json!([]));
    let series = data("series", "match[]=up:now&match[]={service=\"cart\"}");
    assert_eq!(series.as_array().unwrap().len(), 2);
    assert_eq!(data("metadata", "metric=up:now")["up:now"][0]["type"], "gauge");
    assert_eq!(data("rules", ""), json!({"groups": []}));
    assert_eq!(data("alerts", ""), json!({"alerts": []}));
}
