use super::*;

fn shown(time: Option<Time>) -> String {
    time.map_or("none".to_owned(), |time| time.to_string())
}

#[test]
fn times_are_read_as_they_are_written() {
    let table = [
        ("2024-05-17T08:30:00Z", "2024-05-17T08:30:00Z"),
        ("2024-05-17T08:30:00+02:00", "2024-05-17T06:30:00Z"),
        (" 2024-05-17 ", "2024-05-17T00:00:00Z"),
        ("1960-02-29", "1960-02-29T00:00:00Z"),
        ("2024-02-30", "none"),
        ("2024-05-17T08:30:00", "none"),
        ("17.05.2024", "none"),
        ("yesterday", "none"),
        ("", "none"),
    ];
    for (text, expected) in table {
        assert_eq!(shown(Time::parse(text)), expected, "{text}");
    }
    let time = Time::parse("2024-05-17").unwrap();
    assert_eq!(Time::from_seconds(time.seconds()), Some(time));
    assert_eq!(Time::from_seconds(i64::MIN), None);
}

#[test]
fn documents_say_when() {
    let day = "2021-08-26T00:00:00Z";
    let late = "\n".repeat(FIRST_LINES) + "2021-08-26";
    let table = [
        ("a.md", "---\ntitle: x\ndate: 2021-08-26\n---\nsince 2020-01-01", day),
        ("a.md", "---\nTime: \"2021-08-26T10:00:00+01:00\"\n---\n", "2021-08-26T09:00:00Z"),
        ("pm/2021-08-26-dns.md", "# DNS\n\n2020-01-01", day),
        ("2020-01-01/dns.md", "# DNS\n\n| 2021-08-26 08:22 | began |", day),
        ("a.md", "On Monday 26. August 2021, a planned", day),
        ("a.md", "On the 26th of August, 2021 the", day),
        ("a.md", "(Aug 26, 2021)", day),
        ("a.md", "26 Brumaire 2021, then August 26th 2021", day),
        ("a.md", "between 09:12 and 09:58, CVE-2021-44228, 12021-08-26", "none"),
        ("a.md", "2021-02-31", "none"),
        ("a.md", &late, "none"),
        ("a.md", "", "none"),
    ];
    for (name, text, expected) in table {
        assert_eq!(shown(Time::of_document(name, text)), expected, "{name}: {text}");
    }
}
