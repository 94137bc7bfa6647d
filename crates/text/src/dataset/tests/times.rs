use super::*;
use crate::record::Time;

/// Records with these groups and times.
fn built(records: &[(&str, &str)]) -> TempDir {
    let line = |(number, (group, time)): (usize, &(&str, &str))| {
        let mut line = serde_json::json!({"input_ids": [number, 2], "labels": [0, 2]});
        for (key, value) in [("group", group), ("time", time)] {
            if !value.is_empty() {
                line[key] = (*value).into();
            }
        }
        format!("{line}\n")
    };
    build_lines(&records.iter().enumerate().map(line).collect::<String>(), 40).unwrap().0
}

#[test]
fn times_come_back_as_they_were() {
    let out = built(&[("", "2024-05-17"), ("", ""), ("a", "1969-12-31T23:59:59Z")]);
    let times: Vec<_> = open(&out).times().collect();
    assert_eq!(times, [Time::parse("2024-05-17"), None, Time::parse("1969-12-31T23:59:59Z")]);
}

#[test]
fn the_newest_groups_are_held_out() {
    let out = built(&[
        ("old", "2021-01-01"),
        // Named like an old one: its newest record counts.
        ("reopened", "2020-01-01"),
        ("", "2022-01-01"),
        ("reopened", "2024-01-01"),
        ("", "2023-06-01T12:00:00Z"),
        ("old", "2021-01-02"),
    ]);
    let dataset = open(&out);
    let cases: [(f64, &[usize]); 4] =
        [(0.01, &[1, 3]), (0.25, &[1, 3]), (0.5, &[1, 3, 4]), (0.99, &[1, 2, 3, 4])];
    for (fraction, expected) in cases {
        let split = dataset.split_by_time(fraction).unwrap();
        assert_eq!(split.held_out, expected, "{fraction}");
        assert_eq!(split.train.len() + split.held_out.len(), 6);
    }
}

#[test]
fn documents_without_a_time_are_counted() {
    let out = built(&[("a", "2021-01-01"), ("a", ""), ("b", ""), ("c", "2021-01-03")]);
    let error = open(&out).split_by_time(0.5).unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot split the data set: 2 of 4 documents say no time, the first is data.jsonl:2\nhint: \
         give their records a \"time\", or split by group"
    );
}
