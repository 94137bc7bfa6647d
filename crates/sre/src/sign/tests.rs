use super::{MOST, support, telling};
use crate::cause::Cause;
use crate::evidence::{Options, Pack};
use crate::incident::tests::small;
use crate::incident::{EventKind, Incident};

fn pack(incident: &Incident) -> Pack {
    let tokens = |text: &str| text.len() / 3;
    let options = Options { budget: 2_000, causes: &Cause::ALL, tokens: &tokens, excerpts: false };
    Pack::new(incident, &options).unwrap()
}

#[test]
fn signs_speak_for_the_cause_they_belong_to_and_where_they_are() {
    let mut incident = small();
    incident.events[0].reason = "OOMKilled".to_owned();
    let shown = pack(&incident);
    let cart = shown.label("cart").unwrap();
    let most = |label: &str| {
        let by = |cause: &Cause| support(*cause, label, &shown);
        *Cause::faults().iter().max_by(|a, b| by(a).total_cmp(&by(b))).unwrap()
    };
    assert_eq!(most(&cart), Cause::MemoryLimitTooLow);
    let web = shown.label("web").unwrap();
    let memory = |label: &str| support(Cause::MemoryLimitTooLow, label, &shown);
    assert!(memory(&cart) > 1.0 && memory(&web) == 0.0, "{} {}", memory(&cart), memory(&web));
    assert_eq!(telling(Cause::MemoryLimitTooLow, &cart, &shown), ["e1", "m1"]);
    assert_eq!(support(Cause::DiskFull, "s99", &shown), 0.0);
    assert_eq!(support(Cause::None, &cart, &shown), 0.0);
}

#[test]
fn a_log_line_speaks_about_the_service_that_it_names() {
    let mut incident = small();
    incident.logs[0].message = "x509: certificate of cart has expired".to_owned();
    let shown = pack(&incident);
    let (web, cart) = (shown.label("web").unwrap(), shown.label("cart").unwrap());
    let ended = |label: &str| support(Cause::CertificateExpired, label, &shown);
    assert!(ended(&cart) > 0.5, "{}", ended(&cart));
    // Who says it is nearer to it than whom it is said of.
    assert!(ended(&web) > ended(&cart));
    assert_eq!(telling(Cause::CertificateExpired, &cart, &shown), ["l1"]);
}

#[test]
fn saying_it_more_often_says_no_more_than_the_most() {
    let mut incident = small();
    let event = incident.events[0].clone();
    for number in 2..40 {
        let message = "Memory cgroup out of memory: Killed process 7".to_owned();
        let id = format!("e{number}");
        let reason = if number % 2 == 0 { "OOMKilled" } else { "OOMKilling" }.to_owned();
        let kind = EventKind::Warning;
        incident.events.push(crate::incident::Event { id, message, reason, kind, ..event.clone() });
    }
    let shown = pack(&incident);
    let cart = shown.label("cart").unwrap();
    let memory = support(Cause::MemoryLimitTooLow, &cart, &shown);
    assert!(memory > 2.0 && memory <= MOST, "{memory}");
}

/// Whoever writes many lines fills a prompt, and hides nothing from what counts.
#[test]
fn what_the_prompt_has_no_room_for_still_speaks() {
    let mut incident = small();
    incident.logs[0].message = "x509: certificate has expired".to_owned();
    let ended = |incident: &Incident| {
        let pack = pack(incident);
        let label = pack.label(&incident.logs[0].service).unwrap();
        let is_shown = pack.items.iter().any(|item| item.id == "l1");
        (is_shown, support(Cause::CertificateExpired, &label, &pack))
    };
    let (is_shown, alone) = ended(&incident);
    assert!(is_shown && alone > 0.5, "{alone}");
    let line = incident.logs[0].clone();
    for number in 10..60 {
        let (id, message) = (format!("l{number}"), "hello world".to_owned());
        let loud =
            crate::incident::LogLine { id, message, count: 100_000, before: 0, ..line.clone() };
        incident.logs.push(loud);
    }
    assert_eq!(ended(&incident), (false, alone));
}

#[test]
fn every_fault_has_a_sign() {
    for cause in Cause::faults() {
        assert!(!super::signs(*cause).is_empty(), "{cause}");
    }
}
