//! Queries over a few lines whose times are known.

use super::*;
use crate::serve::answer::Content;
use jiff::Timestamp;
use sre::incident::Incident;

fn served() -> Loki {
    let incident = json!({
        "version": 1, "id": "i", "start": "1970-01-01T01:00:00Z", "end": "1970-01-01T01:10:00Z",
        "services": [{"name": "cart"}, {"name": "web"}],
        "logs": [
            {"id": "l1", "service": "cart", "time": "1970-01-01T01:00:00Z", "level": "error",
             "message": "out of memory", "count": 10, "before": 6},
            {"id": "l2", "service": "web", "time": "1970-01-01T01:05:00Z", "level": "info",
             "message": "cache refreshed", "count": 5},
            {"id": "l3", "service": "web", "time": "1970-01-01T01:05:00Z", "level": "info",
             "message": "seldom", "count": 1_000_000},
        ],
    });
    let incident = Incident::read(&incident.to_string()).unwrap();
    let first = Timestamp::UNIX_EPOCH;
    Loki::new(&Scene { incident, namespace: "shop".to_owned(), first })
}

fn ask(path: &str, text: &str) -> (u16, String) {
    let mut request = Request::default();
    request.params.add(text);
    let path: Vec<&str> = path.split('/').collect();
    let answer = served().answer(&path, &request).unwrap();
    let Content::Whole(bytes) = answer.content else { panic!("a watch") };
    (answer.status, String::from_utf8(bytes).unwrap())
}

fn data(path: &str, text: &str) -> Value {
    let (status, answer) = ask(path, text);
    assert_eq!(status, 200, "{text}: {answer}");
    serde_json::from_str::<Value>(&answer).unwrap()["data"].clone()
}

#[test]
fn lines_come_as_often_as_the_incident_says() {
    let result = |query: &str| data("query", &format!("query={query}"))["result"].clone();
    let all = result("count_over_time({service=\"cart\"}[2h])");
    assert_eq!(all[0]["value"], json!([4200, "16"]));
    assert_eq!(
        result("count_over_time({service=\"cart\"}[10m])")[0]["value"][1],
        "9",
        "open on its left"
    );
    let sum =
        result("sum by (namespace) (count_over_time({namespace=\"shop\"} |= \"memory\" [2h]))");
    assert_eq!(sum, json!([{"metric": {"namespace": "shop"}, "value": [4200, "16"]}]));
    let capped = result("sum(count_over_time({app=\"web\"} |~ \"s.ldom\" [1h]))");
    assert_eq!(capped[0]["value"][1], "2000", "no kind of line is spread over more");
    assert_eq!(result("rate({level=\"info\"} != \"seldom\" [100s])")[0]["value"][1], "0.01");
    let before = data("query", "query=sum(count_over_time({level=\"error\"}[1h]))&time=3599");
    assert_eq!(before["result"][0]["value"][1], "6");
}

#[test]
fn lines_are_given_in_order_and_within_limits() {
    let lines = |text: &str| data("query_range", text)["result"][0]["values"].clone();
    let newest = lines("query={service=\"cart\"}&limit=2");
    assert_eq!(
        newest,
        json!([["4140000000000", "out of memory"], ["4080000000000", "out of memory"]])
    );
    let oldest = lines("query={service=\"cart\"}&limit=1&direction=forward&start=3600&end=4200");
    assert_eq!(oldest, json!([["3600000000000", "out of memory"]]));
    let none = data("query_range", "query={service=\"cart\"}&start=3600&end=3600");
    assert_eq!(none["result"], json!([]), "the end is not part of the window");
    assert_eq!(lines("query={service=\"cart\"}").as_array().unwrap().len(), 14, "an hour");
    let two = data("query_range", "query={namespace=\"shop\"} !~ \"seldom|refreshed\"&limit=5000");
    assert_eq!(two["result"].as_array().unwrap().len(), 1);
    let metric = data(
        "query_range",
        "query=count_over_time({app=\"cart\"}[1m])&start=3600&end=3720&step=60",
    );
    let counted: Vec<_> = metric["result"][0]["values"].as_array().unwrap().clone();
    assert_eq!(counted, [json!([3600, "1"]), json!([3660, "1"]), json!([3720, "1"])]);
}

#[test]
fn labels_and_streams_are_listed() {
    assert_eq!(data("labels", ""), json!(["app", "level", "namespace", "service"]));
    assert_eq!(data("label/app/values", "query={level=\"info\"}"), json!(["web"]));
    assert_eq!(data("label/app/values", "since=4m"), json!(["cart", "web"]));
    assert_eq!(data("series", "match[]={app=\"cart\"}").as_array().unwrap().len(), 1);
}

#[test]
fn what_is_wrong_is_said_in_plain_text() {
    let many = format!("query={{app=\"a\"}}{}", " |= \"x\"".repeat(100));
    let table = [
        ("query_range", "query=", "found the end"),
        ("query_range", "query={}", "at least one"),
        ("query_range", "query={app=~\".*\"}", "at least one"),
        ("query_range", "query={app=\"a\"} | json", "the lab understands"),
        ("query_range", "query={app=\"a\"} |= ", "expected a string"),
        ("query_range", "query={app=\"a\"} |~ \"(\"", "invalid regular expression"),
        ("query_range", "query={app=\"a\"}&limit=5001", "max entries limit"),
        ("query_range", "query={app=\"a\"}&limit=x", "not a number"),
        ("query_range", "query={app=\"a\"}&direction=up", "invalid direction"),
        ("query_range", "query={app=\"a\"}&start=9&end=8", "before"),
        (
            "query_range",
            "query=rate({app=\"a\"}[1m])&start=0&end=9223372036854775807&step=1",
            "11,000",
        ),
        ("query_range", "query=rate({app=\"a\"}[1m])&step=0", "step"),
        ("query", "query={app=\"a\"}", "instant query"),
        ("query", "query=quantile_over_time(0.9, {app=\"a\"}[1m])", "the lab understands"),
        ("query", "query=sum(sum(rate({app=\"a\"}[1m])))", "the lab understands"),
        ("query_range", &many, "filters"),
    ];
    for (path, text, message) in table {
        let (status, answer) = ask(path, text);
        assert_eq!(status, 400, "{text}");
        assert!(answer.contains(message), "{text}: {answer}");
    }
}
