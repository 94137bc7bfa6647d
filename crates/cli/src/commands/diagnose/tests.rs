use super::*;
use sre::answer::Said;
use sre::evidence::Options;

/// The example of the documentation with other names, diagnosed by a model that is right.
fn diagnosed(names: &[(&str, &str)]) -> Diagnosed {
    let page = include_str!("../../../../../docs/incident.md");
    let (_, example) = page.split_once("```json\n").expect("an example");
    let (example, _) = example.split_once("```").expect("its end");
    let quoted = |name: &str| format!("\"{name}\"");
    let named =
        |name: &str| names.iter().find(|it| it.0 == name).map_or(name, |it| it.1).to_owned();
    let text = names
        .iter()
        .fold(example.to_owned(), |text, (from, to)| text.replace(&quoted(from), &quoted(to)));
    // Reading it as a user does would refuse such names.
    let incident: Incident = serde_json::from_str(&text).expect("an incident");
    let options = Options {
        budget: 2000,
        causes: &Cause::ALL,
        tokens: &|text| text.len() / 3,
        excerpts: false,
    };
    let pack = Pack::new(&incident, &options).expect("a pack");
    let label = pack.label(&named("cart")).expect("a label");
    let cause = Cause::MemoryLimitTooLow;
    let evidence = ["m1", "e1"].map(named).to_vec();
    let said = Said { service: label.clone(), cause, evidence, action: cause.remedy() };
    let answer = sre::answer::Answer::check(&said, 0.75, &pack, &incident).expect("an answer");
    let causes = vec![(cause, 0.75), (Cause::Unknown, 0.25)];
    let services = vec![(label, 1.0)];
    let suspects = sre::fusion::Suspects::of(&incident, &pack);
    let diagnosis = Diagnosis { answer, said, causes, services, suspects, tokens: (100, 20) };
    let why = "nobody rules".to_owned();
    let (verdict, outcome) = (Verdict::Unknown { why }, Outcome::Decided);
    let debate = Debate { diagnosis, verdict, outcome, transcript: Vec::new() };
    Diagnosed { incident, pack, debate, seconds: 0.1, missing: Vec::new() }
}

#[test]
fn names_of_the_cluster_cannot_steer_a_terminal() {
    // Invisible characters, one of which turns the direction of what follows.
    let names = [("cart", "ca\u{202e}rt"), ("m1", "m\u{200b}1")];
    let text = diagnosed(&names).text();
    assert!(!text.contains(['\u{202e}', '\u{200b}']), "{text:?}");
    assert!(text.contains("service   cart\n"), "{text}");
    assert!(text.contains("\n  m1    cart: "), "{text}");
}

#[test]
fn a_report_shows_the_cited_evidence_and_the_answer() {
    let room = tempfile::tempdir().expect("a directory");
    let out = room.path().join("diagnosis");
    let mut diagnosed = diagnosed(&[]);
    diagnosed.write(&out).expect("written");
    assert!(!out.join(QUESTION).exists());
    diagnosed.debate.outcome = Outcome::Question { why: agents::Why::NotKnown };
    diagnosed.write(&out).expect("written with a question");
    // What it wrote, it may replace.
    files::check_replaceable(&out, "diagnosis", |name| PARTS.contains(&name)).expect("its own");
    diagnosed.write(&out).expect("written again");
    for name in PARTS {
        assert!(out.join(name).is_file(), "{name}");
    }
    let page = std::fs::read_to_string(out.join("report.html")).expect("a report");
    for said in [">m1</text>", "at fault", "incident inc-1.", "memory-limit-too-low", "0.250"] {
        assert!(page.contains(said), "{said}\n{page}");
    }
    assert!(!page.contains("<script") && !page.contains("://"), "{page}");
}

#[test]
fn what_could_not_be_read_is_said_everywhere() {
    let mut diagnosed = diagnosed(&[]);
    assert!(!diagnosed.text().contains("not read"));
    let (what, why) = ("metrics".to_owned(), "mon:9090: it answers 503".to_owned());
    diagnosed.missing = vec![Missing { source: ::cluster::read::Source::Prometheus, what, why }];
    let text = diagnosed.text();
    assert!(
        text.ends_with("not read\n  Prometheus: metrics: mon:9090: it answers 503\n"),
        "{text}"
    );
    let expected =
        json!([{ "source": "Prometheus", "what": "metrics", "why": "mon:9090: it answers 503" }]);
    assert_eq!(diagnosed.json()["missing"], expected);
    let room = tempfile::tempdir().expect("a directory");
    diagnosed.write(&room.path().join("out")).expect("written");
    let page = std::fs::read_to_string(room.path().join("out/report.html")).expect("a report");
    assert!(page.contains("What could not be read") && page.contains("it answers 503"), "{page}");
}
