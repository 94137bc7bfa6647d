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

/// About deployments.
fn asked(want: Want, reference: &str) -> Task {
    let (kind, reference) = ("Deployment".to_owned(), reference.to_owned());
    Task { prompt: String::new(), want, kind, valid: true, reference }
}

#[test]
fn the_schema_judges() {
    let schema = Schema::embedded().unwrap();
    let command = asked(Want::Command, "kubectl get deploy -n blue -o name");
    let undo = asked(Want::Command, "kubectl rollout undo deploy/cart");
    let path = asked(Want::Path, "`spec.template.spec.containers[].image`; `kubectl explain x`");
    for (task, text, problem) in [
        (&command, "kubectl get deployments -n shop", None),
        (&command, "kubectl -n shop get deployments", None),
        (&command, "\n`kubectl scale deploy/cart --replicas=3`\nThat is all.", Some(OTHER_VERB)),
        (&command, "kubectl get pods", Some(OTHER_KIND)),
        (&command, "kubectl get deploymints", Some("unknown kind")),
        (&command, "kubectl fetch deployments", Some("unknown verb")),
        (&command, "kubectl get deployments --now", Some("unknown flag")),
        (&command, "", Some("syntax")),
        (&undo, "kubectl rollout undo deployment cart --to-revision=2", None),
        (&undo, "kubectl rollout restart deployment cart", Some(OTHER_VERB)),
        (&path, "`spec.template.spec.containers[].image`; `kubectl explain x`", None),
        (&path, ".spec.template.spec.initContainers[0].image", None),
        (&path, "spec.template.spec.containers", Some(OTHER_FIELD)),
        (&path, "spec", Some(OTHER_FIELD)),
        (&path, "spec.replicaz", Some("unknown field")),
        (&path, "``", Some("syntax")),
    ] {
        let outcome = judge(&schema, task, text);
        assert_eq!(outcome.problem.as_deref(), problem, "{text}");
        assert_eq!(outcome.right, problem.is_none(), "{text}");
        let other = [None, Some(OTHER_VERB), Some(OTHER_FIELD)];
        assert_eq!(outcome.valid, other.contains(&problem), "{text}");
    }
}

#[test]
fn a_field_of_the_same_name_elsewhere_is_another_field() {
    let schema = Schema::embedded().unwrap();
    let path = asked(Want::Path, "`spec.template.spec.containers[].name`");
    let outcome = judge(&schema, &path, "metadata.name");
    assert_eq!((outcome.valid, outcome.problem.as_deref()), (true, Some(OTHER_FIELD)));
    let top = asked(Want::Path, "`spec`; `kubectl explain deployment.spec`");
    assert!(judge(&schema, &top, "spec").right);
}

#[test]
fn a_reference_is_right_and_a_constant_answer_seldom() {
    let schema = Schema::embedded().unwrap();
    for side in [Side::HeldOut, Side::Training] {
        let tasks = tasks(&schema, &options(side), 300).unwrap();
        for task in &tasks {
            let outcome = judge(&schema, task, &task.reference);
            assert!(outcome.right, "{task:?}: {outcome:?}");
        }
        let score = CommandScore::of(&constant(&schema, &tasks), 1);
        let mean = |share: Option<Interval>| share.unwrap().mean;
        // Any command about a kind is valid; what was asked for is another matter.
        assert!(mean(score.commands) > 0.7, "{score:?}");
        assert!((0.1..0.6).contains(&mean(score.verbs)), "{score:?}");
        assert!(mean(score.paths) < 0.1, "{score:?}");
        assert!(mean(score.verdicts) >= 0.5, "{score:?}");
    }
}

#[test]
fn scores_count_each_sort_by_itself() {
    let outcome = |want, problem: Option<&str>| Outcome {
        want,
        valid: problem.is_none() || problem == Some(OTHER_VERB),
        right: problem.is_none(),
        problem: problem.map(str::to_owned),
        answer: String::new(),
    };
    let outcomes = [
        outcome(Want::Command, None),
        outcome(Want::Command, Some("unknown kind")),
        outcome(Want::Command, Some(OTHER_VERB)),
        outcome(Want::Command, Some(OTHER_VERB)),
        outcome(Want::Path, Some("unknown field")),
    ];
    let score = CommandScore::of(&outcomes, 1);
    assert_eq!(score.commands.unwrap().mean, 0.75);
    assert_eq!(score.verbs.unwrap().mean, 0.25);
    assert_eq!(score.paths.unwrap().mean, 0.0);
    assert_eq!(score.verdicts, None);
    assert_eq!(score.problems.len(), 3);
    assert_eq!(score.problems[OTHER_VERB], 2);
}
