use super::*;
use std::collections::BTreeSet;
use text::kubernetes::{HoldOut, Side};

fn options(side: Side) -> PairOptions {
    let kinds = BTreeSet::from(["Deployment".to_owned(), "Pod".to_owned()]);
    PairOptions { seed: 3, hold_out: HoldOut::Kinds(kinds), side }
}

#[test]
fn tasks_are_of_one_side_and_of_every_sort() {
    let schema = Schema::embedded().unwrap();
    for (side, held_out) in [(Side::HeldOut, true), (Side::Training, false)] {
        let tasks = tasks(&schema, &options(side), 20).unwrap();
        for want in [Want::Command, Want::Path, Want::Verdict] {
            assert_eq!(tasks.iter().filter(|it| it.want == want).count(), 20, "{want:?}");
        }
        let held = |task: &Task| ["Deployment", "Pod"].contains(&task.kind.as_str());
        assert!(tasks.iter().all(|task| held(task) == held_out));
    }
}

#[test]
fn the_schema_judges() {
    let schema = Schema::embedded().unwrap();
    let task = |want| Task { prompt: String::new(), want, kind: "Deployment".into(), valid: true };
    let (command, path) = (task(Want::Command), task(Want::Path));
    for (task, text, problem) in [
        (&command, "kubectl get deployments -n shop", None),
        (&command, "\n`kubectl scale deploy/cart --replicas=3`\nThat is all.", None),
        (&command, "kubectl get pods", Some("other kind")),
        (&command, "kubectl get deploymints", Some("unknown kind")),
        (&command, "kubectl fetch deployments", Some("unknown verb")),
        (&command, "kubectl get deployments --now", Some("unknown flag")),
        (&command, "", Some("syntax")),
        (&path, "`spec.template.spec.containers[].image`; `kubectl explain x`", None),
        (&path, "spec.replicas", None),
        (&path, "spec.replicaz", Some("unknown field")),
        (&path, "``", Some("syntax")),
    ] {
        let outcome = judge(&schema, task, text);
        assert_eq!(outcome.problem.as_deref(), problem, "{text}");
        assert_eq!(outcome.right, problem.is_none());
    }
}

#[test]
fn scores_count_each_sort_by_itself() {
    let outcome = |want, problem: Option<&str>| Outcome {
        want,
        right: problem.is_none(),
        problem: problem.map(str::to_owned),
        answer: String::new(),
    };
    let outcomes = [
        outcome(Want::Command, None),
        outcome(Want::Command, Some("unknown kind")),
        outcome(Want::Path, Some("unknown field")),
    ];
    let score = CommandScore::of(&outcomes, 1);
    assert_eq!(score.commands.unwrap().mean, 0.5);
    assert_eq!(score.paths.unwrap().mean, 0.0);
    assert_eq!(score.verdicts, None);
    assert_eq!(score.problems.len(), 2);
}
