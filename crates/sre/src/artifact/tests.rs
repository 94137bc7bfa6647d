use super::*;
use crate::action::{Action, ActionKind};
use crate::answer::{Answer, Said};
use crate::cause::Cause;
use crate::evidence::{Options, Pack};
use crate::incident::tests::small;
use pulldown_cmark::{Event, Options as Reading, Parser, Tag, TagEnd};

fn pack(incident: &Incident) -> Pack {
    let tokens = |text: &str| text.len() / 3;
    Pack::new(
        incident,
        &Options { budget: 2_000, causes: &Cause::ALL, tokens: &tokens, excerpts: false },
    )
    .unwrap()
}

fn answer(incident: &Incident, label: &str, cause: Cause, evidence: &[&str]) -> Answer {
    let said = Said {
        service: label.to_owned(),
        cause,
        evidence: evidence.iter().map(|&id| id.to_owned()).collect(),
        action: cause.remedy(),
    };
    Answer::check(&said, 0.75, &pack(incident), incident).unwrap()
}

#[test]
fn every_cause_has_a_guide_and_every_action_its_steps() {
    for cause in Cause::ALL {
        assert_eq!(causes::guide(cause).cause, cause);
    }
    for kind in ActionKind::ALL {
        let action = Action::propose(kind, &small(), Some("cart"));
        assert_eq!(actions::steps(&action).kind, kind);
    }
}

#[test]
fn a_draft_tells_what_happened_in_order_and_cites() {
    let incident = small();
    let answer = answer(&incident, "s2", Cause::MemoryLimitTooLow, &["m1", "e1"]);
    let draft = post_mortem(&incident, &answer, &pack(&incident), &[]);
    for expected in [
        "# Incident `inc-1`: `cart`: memory limit too low\n",
        "At 2026-03-01 10:00 an alert was raised for `web`: `p99 latency of web above 1 s` (`alert`).",
        "`cart` failed because its containers needed more memory than their limit allows (75 %",
        "Telemetry covers 10 minutes from then on (`window`).",
        "The way to the alarm: `web` calls `cart` (`services`).",
        "- `m1`: metric of `cart`: `memory up 37% to 99% of limit from +0m`\n",
        "- `c1`: not cited for the cause: change of `search`: `-40m image 1.4 to 1.5`\n",
        "Proposed, not carried out: raise the memory limit of `cart` to 768 MiB.",
        "- [ ] alert when memory passes 85 % of the limit for ten minutes (owner: open)\n",
    ] {
        assert!(draft.contains(expected), "{expected}\nis not in\n{draft}");
    }
    let order = [
        "| 2026-03-01 09:20 | `search` | changed",
        "| 2026-03-01 10:00 | `cart` | began",
        "| 2026-03-01 10:00 | `web` | alert",
        "| 2026-03-01 10:02 | `web` | logged",
        "| 2026-03-01 10:03 | `cart` | event",
    ];
    let places: Vec<_> = order.iter().map(|row| draft.find(row).expect(row)).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn a_calm_measure_of_another_cause_speaks_against_it() {
    let mut incident = small();
    let mut calm = incident.metrics[1].clone();
    (calm.id, calm.service) = ("m3".into(), "cart".into());
    calm.name = "container_cpu_cfs_throttled_periods_total".into();
    incident.metrics.push(calm);
    let answer = answer(&incident, "s2", Cause::MemoryLimitTooLow, &["m1"]);
    let draft = post_mortem(&incident, &answer, &pack(&incident), &[]);
    assert!(draft.contains("- CPU throttling: throttled time stayed where it was (`m3`)\n"));
    assert!(!draft.contains("- memory limit too low: "));
}

#[test]
fn without_a_cause_none_is_named() {
    let incident = small();
    let unknown = answer(&incident, "s2", Cause::Unknown, &["m1"]);
    let draft = post_mortem(&incident, &unknown, &pack(&incident), &[]);
    assert!(draft.contains("none of the known causes explains what was seen (75 %)"));
    assert!(draft.contains("a human who knows the service has to look"));
    assert!(draft.contains("- [ ] hand over to somebody who knows the service"));
    let nothing = answer(&incident, "-", Cause::None, &[]);
    let draft = post_mortem(&incident, &nothing, &pack(&incident), &[]);
    assert!(draft.contains("No fault was found") && !draft.contains("usual"));
    assert!(draft.contains("leave everything as it is"));
    for text in [draft, runbook(Cause::None, &incident, &nothing)] {
        assert!(!text.contains("most likely") && !text.contains("Proposed"), "{text}");
    }
}

#[test]
fn a_cause_below_the_threshold_is_told_for_what_it_is() {
    let incident = small();
    let answer = answer(&incident, "s2", Cause::MemoryLimitTooLow, &["m1"]);
    for (probability, shown) in [(0.3, 30), (0.4999, 49)] {
        let answer = Answer { confidence: probability, ..answer.clone() };
        let held = answer.held_to(0.5, 0.02, &incident);
        let draft = post_mortem(&incident, &held, &pack(&incident), &[]);
        let expected = format!(
            "The trouble seems to begin at `cart`, but no cause is named: the likeliest, \"memory \
             limit too low\", is only {shown} % probable among the causes that were offered, below \
             the threshold of 50 % (`m1`)."
        );
        assert!(draft.contains(&expected), "{draft}");
        assert!(draft.contains("\nWhat was cited for the likeliest cause:\n\n- `m1`: "), "{draft}");
        assert!(draft.contains("# Incident `inc-1`: `cart` in trouble, cause not known\n"));
        assert!(draft.contains("None is proposed: a human"), "{draft}");
        assert!(!draft.contains("none of the known causes"), "{draft}");
        let nowhere = Answer { service: None, ..held };
        let draft = post_mortem(&incident, &nowhere, &pack(&incident), &[]);
        assert!(draft.contains(" No cause is named: the likeliest, \"memory"), "{draft}");
    }
}

#[test]
fn a_runbook_has_the_action_and_commands_with_its_arguments() {
    let incident = small();
    let answer = answer(&incident, "s2", Cause::MemoryLimitTooLow, &["m1"]);
    let text = runbook(Cause::MemoryLimitTooLow, &incident, &answer);
    for expected in [
        "# Runbook, `cart`: memory limit too low\n",
        "may raise the first alarm: `web` (`services`).",
        "kubectl top pods -l app.kubernetes.io/name=cart --containers\n",
        "kubectl set resources deployment cart -c CONTAINER --limits=memory=768Mi\n",
        "Undo: set the limit of before",
    ] {
        assert!(text.contains(expected), "{expected}\nis not in\n{text}");
    }
    let other = runbook(Cause::NodeNotReady, &incident, &answer);
    assert!(other.contains("kubectl drain node-a --ignore-daemonsets"), "{other}");
}

#[test]
fn every_command_is_one_that_exists() {
    let known = [
        "get", "describe", "logs", "top", "rollout", "set", "edit", "apply", "cordon", "drain",
        "patch", "create", "scale",
    ];
    let incident = small();
    for cause in Cause::ALL {
        let answer = answer(&incident, "s2", cause, &[]);
        let text = runbook(cause, &incident, &answer);
        let commands: Vec<_> = text.lines().filter(|line| line.starts_with("kubectl")).collect();
        assert!(commands.len() > 3, "{cause}");
        for command in commands {
            let command = command.replace("-n kube-system ", "");
            let verb = command.split(' ').nth(1).unwrap_or_default();
            assert!(known.contains(&verb), "{command}");
            assert!(!command.contains("{s") && !command.contains("{n") && !command.contains("{v"));
        }
    }
}

/// Texts that would end a table, a code span, a line or a document, or run in a shell.
const HOSTILE: [&str; 8] = [
    "a | b \\| c \\\\| d |",
    "` ``` end [link](http://x.example) ![image](http://x.example/p)",
    "<script>alert(1)</script> <img src=x onerror=y> <!-- ",
    "line\n## Root cause\n\nsearch did it\n```\nkubectl delete namespace --all\n",
    "$(reboot); kubectl drain x",
    "https://x.example www.x.example @everyone **bold** _it_ ~~s~~ &lt;b&gt;",
    "\u{202e}\u{200b}\\",
    "`",
];

#[test]
fn text_from_a_cluster_is_only_ever_code() {
    for text in HOSTILE {
        let incident = hostile(text);
        let answer = answer(&incident, "s2", Cause::MemoryLimitTooLow, &["m1", "e1"]);
        let draft = post_mortem(&incident, &answer, &pack(&incident), &[]);
        let tame = small();
        let usual = post_mortem(
            &tame,
            &self::answer(&tame, "s2", answer.cause, &["m1", "e1"]),
            &pack(&tame),
            &[],
        );
        assert_eq!(shape(&draft), shape(&usual), "{draft}");
        for cause in [Cause::MemoryLimitTooLow, Cause::NodeNotReady] {
            let text = runbook(cause, &incident, &answer);
            let usual = runbook(cause, &tame, &self::answer(&tame, "s2", answer.cause, &[]));
            assert_eq!(shape(&text), shape(&usual), "{text}");
            let commands = text.lines().filter(|line| line.starts_with("kubectl"));
            for command in commands {
                assert!(!command.contains("reboot") && !command.contains("delete n"), "{command}");
            }
        }
    }
}

/// An incident in which every text is this one, as far as the form allows.
fn hostile(text: &str) -> Incident {
    let mut incident = small();
    // What nobody sees is refused in a name.
    let name = crate::incident::plain(text, 60);
    incident.id.clone_from(&name);
    incident.services[1].name.clone_from(&name);
    incident.services[1].node = Some(name.clone());
    incident.services[0].calls[0].clone_from(&name);
    incident.metrics[0].service.clone_from(&name);
    incident.events[0].service = name;
    incident.events[0].message = text.to_owned();
    incident.logs[0].message = text.to_owned();
    incident.changes[0].message = text.to_owned();
    incident.alert.as_mut().unwrap().message = text.to_owned();
    Incident::read(&serde_json::to_string(&incident).unwrap()).unwrap()
}

/// What a Markdown reader makes of a document, without what is in code spans and code blocks.
fn shape(markdown: &str) -> Vec<String> {
    let mut shape = Vec::new();
    let mut block = false;
    for event in Parser::new_ext(markdown, Reading::all()) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => block = true,
            Event::End(TagEnd::CodeBlock) => block = false,
            Event::Text(_) if block => {}
            Event::Text(text) => shape.push(text.replace("(nothing that can be shown)", "")),
            Event::Code(_) => {}
            other => shape.push(format!("{other:?}")),
        }
    }
    // Text beside a span that is left out may come in one piece or in two.
    shape.retain(|part| !part.is_empty());
    shape
}

#[test]
fn what_we_write_is_supported() {
    let incident = small();
    let pack = pack(&incident);
    for label in ["s1", "s2", "s3", "-"] {
        for cause in Cause::ALL {
            for cited in [&["m1", "e1"][..], &[]] {
                let answer = answer(&incident, label, cause, cited);
                for draft in [
                    post_mortem(&incident, &answer, &pack, &[]),
                    runbook(cause, &incident, &answer),
                ] {
                    assert_eq!(check(&draft, &incident), [], "{draft}");
                }
            }
        }
    }
}

#[test]
fn statements_without_evidence_are_found_where_they_stand() {
    let incident = small();
    let found = |text: &str| -> Vec<(usize, Why)> {
        check(text, &incident).into_iter().map(|it| (it.line, it.why)).collect()
    };
    let not_there = |id: &str| Why::NotThere(id.to_owned());
    let cases: [(&str, Vec<(usize, Why)>); 30] = [
        ("## Summary\nIt was the network.", vec![(2, Why::NoEvidence)]),
        ("## Summary\nIt was the disk (`m1`). Then it rained.", vec![(2, Why::NoEvidence)]),
        ("## Summary\nAlice did it! It failed (`m1`).", vec![(2, Why::NoEvidence)]),
        ("## Summary\n- It failed. *Alice* did it (`m1`).", vec![(2, Why::NoEvidence)]),
        ("## Summary\nIt was the disk,\ne.g. of `cart` (`m1` and `e1`)!", vec![]),
        ("## Summary\n1. It was the disk (`m1`).\n* `e1`: seen", vec![]),
        ("## Summary\n### Alice deleted it", vec![(2, Why::NoEvidence)]),
        ("## Alice deleted it\n", vec![(1, Why::NoEvidence)]),
        ("## Root cause (draft)\nIt rained.", vec![(1, Why::NoEvidence), (2, Why::NoEvidence)]),
        ("## Root cause\nAlice did it:", vec![(2, Why::NoEvidence)]),
        ("## Root cause\nIn general: it rained.", vec![(2, Why::NoEvidence)]),
        ("## Impact\n| x | Evidence |", vec![(2, Why::NoEvidence)]),
        ("## Summary\n```\nit rained\n```", vec![(2, Why::NoEvidence)]),
        ("## Diagnosis\n```\n## Summary\nit rained", vec![(2, Why::NoEvidence)]),
        ("# A title\nA draft of ours.", vec![(1, Why::NoEvidence)]),
        ("", vec![(1, Why::NoEvidence)]),
        (
            "# A title\nA draft of ours.\n## Action items\n- [ ] rest\n\nAlice did it.",
            vec![(6, Why::NoEvidence)],
        ),
        ("## Remediation\nAlice did it.\n- It helped if it rains.", vec![(2, Why::NoEvidence)]),
        ("## Summary\nIt was the disk (`m1`, `e1`).", vec![]),
        ("## Summary\nIt was the disk (`m1`, `m77`).", vec![(2, not_there("m77"))]),
        // A name is no evidence, and neither is a remark with an id somewhere in it.
        ("## Summary\nThe service `m1` failed.", vec![(2, Why::NoEvidence)]),
        ("## Summary\nIt failed (see `m1` and others).", vec![(2, Why::NoEvidence)]),
        ("## Root cause\n- `e1`: seen\n- seen: `e1`", vec![(3, Why::NoEvidence)]),
        ("## Root cause\n- `e9`: seen", vec![(2, not_there("e9"))]),
        (
            "## Impact\n| a | Evidence |\n|---|---|\n| x | `m1` |\n| y | |",
            vec![(5, Why::NoEvidence)],
        ),
        ("## Impact\n| `a \\| b` | c | `l1` |", vec![]),
        // Dots and brackets in text of the cluster end nothing.
        ("## Summary\nIt said `a. B (`. Nothing else (`l1`).", vec![(2, Why::NoEvidence)]),
        ("## Summary\nIt said ``x `(`m1`)` y``.", vec![(2, Why::NoEvidence)]),
        ("## Root cause\nEvidence for it:", vec![]),
        ("## Action items\n- [ ] rest\n```\nanything\n```\n## Summary", vec![]),
    ];
    for (text, expected) in cases {
        assert_eq!(found(text), expected, "{text}");
    }
}

#[test]
fn factors_beside_the_cause_are_told_with_their_ids() {
    let mut incident = small();
    incident.services[1].replicas = Some(1);
    incident.changes[0].time = "2026-03-01T09:58:00Z".parse().unwrap();
    let answer = answer(&incident, "s2", Cause::MemoryLimitTooLow, &["m1", "e1"]);
    let draft = post_mortem(&incident, &answer, &pack(&incident), &[]);
    let (_, section) = draft.split_once("## Contributing factors\n\n").unwrap();
    let (section, _) = section.split_once("\n##").unwrap();
    assert!(section.contains("- `c1`: change of `search`: `-2m image 1.4 to 1.5`\n"), "{section}");
    assert!(section.contains("- signs of bad rollout at `search` (`c1`)\n"), "{section}");
    assert!(section.contains("- `cart` runs in one replica (`services`)\n"), "{section}");
}
