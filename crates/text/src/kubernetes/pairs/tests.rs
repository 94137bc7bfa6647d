use super::*;
use crate::kubernetes::Form;
use std::collections::BTreeSet;

fn options(seed: u64, hold_out: HoldOut, side: Side) -> PairOptions {
    PairOptions { seed, hold_out, side }
}

fn kinds(names: &[&str]) -> HoldOut {
    HoldOut::Kinds(names.iter().map(|&it| it.to_owned()).collect())
}

fn embedded() -> Schema {
    Schema::embedded().expect("the embedded types are a schema")
}

fn all(seed: u64) -> Vec<Pair> {
    embedded().pairs(&options(seed, HoldOut::Nothing, Side::Training)).expect("pairs")
}

/// Those of a family, such as `task`.
fn family<'a>(pairs: &'a [Pair], name: &str) -> Vec<&'a Pair> {
    let within = |pair: &&Pair| {
        let rest = pair.id.strip_prefix("kubernetes/").and_then(|it| it.strip_prefix(&*pair.group));
        rest.and_then(|it| it.split('/').nth(1)) == Some(name)
    };
    pairs.iter().filter(within).collect()
}

fn count_of(pairs: &[&Pair], is: impl Fn(&&&Pair) -> bool) -> usize {
    pairs.iter().filter(is).count()
}

#[test]
fn every_kind_has_pairs_of_every_family_and_every_id_is_given_once() {
    let pairs = all(1);
    let schema = embedded();
    let ids: BTreeSet<&str> = pairs.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids.len(), pairs.len());
    let groups: BTreeSet<&str> = pairs.iter().map(|it| it.group.as_str()).collect();
    assert_eq!(groups.len(), schema.taught().count());
    for name in ["meaning", "type", "required", "reach", "exists", "task", "valid"] {
        let found = family(&pairs, name);
        println!("{name}: {}", found.len());
        assert!(found.len() > 1000, "{name}: {}", found.len());
        assert!(found.iter().all(|it| !it.prompt.is_empty() && !it.completion.is_empty()));
    }
    // Descriptions have braces of their own.
    let texts = pairs.iter().map(|it| &it.prompt);
    for text in texts.chain(family(&pairs, "task").into_iter().map(|it| &it.completion)) {
        let left = ["{kind}", "{one}", "{many}", "{name}", "{at}", "{in}", "{count}", "{0}", "{1}"];
        assert!(!left.iter().any(|it| text.contains(it)), "{text}");
        assert!(!text.contains(" a Endpoint") && !text.contains(" a Ingress"), "{text}");
    }
}

#[test]
fn the_same_seed_gives_the_same_pairs_and_another_one_others() {
    let (one, again, other) = (all(7), all(7), all(8));
    assert_eq!(one, again);
    assert_eq!(one.len(), other.len());
    let prompts: BTreeSet<&str> = one.iter().map(|it| it.prompt.as_str()).collect();
    let fresh = other.iter().filter(|it| !prompts.contains(it.prompt.as_str())).count();
    assert!(fresh * 4 > other.len(), "{fresh} of {}", other.len());
    assert_ne!(one[0].group, one[1].group, "the order is mixed");
}

#[test]
fn every_command_that_is_taught_is_valid() {
    let schema = embedded();
    for seed in [1, 2, 3] {
        for pair in family(&all(seed), "task") {
            let findings = schema.check_command(&pair.completion, Form::Exact);
            assert_eq!(findings, [], "{}", pair.completion);
        }
    }
}

#[test]
fn every_judgement_is_the_one_of_the_judge() {
    let pairs = all(4);
    let schema = embedded();
    let valid = family(&pairs, "valid");
    for pair in &valid {
        let command = pair.prompt.lines().last().expect("a line");
        let clean = schema.check_command(command, Form::Exact).is_empty();
        assert_eq!(clean, pair.completion.starts_with("Yes"), "{pair:?}");
    }
    for problem in ["unknown verb", "unknown kind", "unknown field", "unknown flag", "wrong type"] {
        let count = count_of(&valid, |it| it.completion.starts_with(&format!("No, {problem}")));
        println!("{problem}: {count}");
        assert!(count > 20, "{problem}: {count}");
    }
    let yes = count_of(&valid, |it| it.completion.starts_with("Yes"));
    assert!((40..=60).contains(&(100 * yes / valid.len())), "{yes} of {}", valid.len());
    let exists = family(&pairs, "exists");
    let yes = count_of(&exists, |it| it.completion.starts_with("Yes"));
    assert!((45..=75).contains(&(100 * yes / exists.len())), "{yes} of {}", exists.len());
}

#[test]
fn every_path_that_is_taught_leads_to_the_field() {
    let pairs = all(5);
    let schema = embedded();
    let by_id: BTreeMap<&str, &Pair> = pairs.iter().map(|it| (it.id.as_str(), it)).collect();
    let mut explained = 0;
    for pair in family(&pairs, "reach") {
        let path = pair.completion.split('`').nth(1).expect("a path in quotes");
        let (_, kind) = pair.group.rsplit_once('/').expect("group and kind");
        let kind = schema.preferred(kind).expect(kind);
        let shape = schema.check_field_path_of(kind, path).expect(path);
        let twin = by_id[pair.id.replacen("/reach/", "/type/", 1).as_str()];
        assert!(twin.completion.starts_with(&shape.describe()), "{twin:?}");
        if let Some(command) = pair.completion.split('`').nth(3) {
            explained += 1;
            assert_eq!(schema.check_command(command, Form::Exact), [], "{command}");
        }
    }
    assert!(explained > 1000, "{explained}");
}

#[test]
fn a_pair_says_what_the_schema_says() {
    let pairs = all(6);
    let one = |id: &str| &pairs.iter().find(|it| it.id == id).expect(id).completion;
    let path = "spec.template.spec.containers[].image";
    assert_eq!(one(&format!("kubernetes/apps/Deployment/type/{path}")), "string, optional");
    assert_eq!(
        one(&format!("kubernetes/apps/Deployment/reach/{path}")),
        &format!("`{path}`; `kubectl explain deployment.spec.template.spec.containers.image`")
    );
    assert_eq!(one("kubernetes/core/Pod/required/spec.containers[].env"), "name (string)",);
    let meaning = one("kubernetes/core/Pod/meaning/spec.restartPolicy");
    assert!(meaning.starts_with("`spec.restartPolicy` (string, optional): "), "{meaning}");
    assert_eq!(
        one("kubernetes/core/Pod/type/spec.restartPolicy"),
        "string, optional; one of Always, Never, OnFailure"
    );
}

#[test]
fn a_kind_that_is_held_out_occurs_in_no_training_pair() {
    let schema = embedded();
    let names = ["StatefulSet", "PersistentVolumeClaim", "Node", "StorageClass"];
    let training = schema.pairs(&options(3, kinds(&names), Side::Training)).expect("pairs");
    let held_out = schema.pairs(&options(3, kinds(&names), Side::HeldOut)).expect("pairs");
    let words = |text: &str| -> BTreeSet<String> {
        text.split(|it: char| !it.is_alphanumeric()).map(str::to_owned).collect()
    };
    for pair in &training {
        let said = words(&format!("{} {}", pair.prompt, pair.completion));
        assert!(names.iter().all(|it| !said.contains(*it)), "{pair:?}");
        assert!(!pair.prompt.contains("volumeClaimTemplates"), "{pair:?}");
    }
    let commands = ["task", "valid"].into_iter().flat_map(|it| family(&training, it));
    for pair in commands {
        let said = words(&format!("{} {}", pair.prompt, pair.completion));
        let told = ["statefulsets", "sts", "pvc", "node", "nodes", "storageclass", "sc"];
        assert!(told.iter().all(|it| !said.contains(*it)), "{pair:?}");
        assert!(!pair.completion.contains("kubectl get no "), "{pair:?}");
    }
    let groups: BTreeSet<&str> = held_out.iter().map(|it| it.group.as_str()).collect();
    let expected = [
        "apps/StatefulSet",
        "core/Node",
        "core/PersistentVolumeClaim",
        "storage.k8s.io/StorageClass",
    ];
    assert_eq!(groups.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_held_out_changes_no_other_pair() {
    let schema = embedded();
    let everything = all(3);
    let by_id: BTreeMap<&str, &Pair> = everything.iter().map(|it| (it.id.as_str(), it)).collect();
    for side in [Side::Training, Side::HeldOut] {
        let part = schema.pairs(&options(3, kinds(&["Service", "Role"]), side)).expect("pairs");
        assert!(!part.is_empty() && part.len() < everything.len());
        assert!(part.iter().all(|it| by_id.get(it.id.as_str()) == Some(&it)));
    }
}

#[test]
fn a_share_of_the_kinds_is_chosen_by_the_seed() {
    let schema = embedded();
    let all = schema.taught().count();
    let chosen = |seed| schema.held_out(&HoldOut::Percent(10), seed).expect("chosen");
    assert_eq!(chosen(1), chosen(1));
    assert_ne!(chosen(1), chosen(2));
    assert_eq!(chosen(1).len(), all.div_ceil(10));
}

#[test]
fn what_cannot_be_held_out_is_refused() {
    let schema = embedded();
    let every: BTreeSet<String> = schema.taught().map(|it| it.kind.clone()).collect();
    let cases = [
        (kinds(&["deployment"]), "there is no kind \"deployment\""),
        (HoldOut::Percent(0), "0 percent"),
        (HoldOut::Percent(100), "100 percent"),
        (HoldOut::Percent(99), "every kind"),
        (HoldOut::Kinds(every), "every kind"),
    ];
    for (hold_out, expected) in cases {
        let error = schema.held_out(&hold_out, 1).expect_err(expected).to_string();
        assert!(error.contains(expected) && error.contains("v1.37"), "{error}");
    }
}

#[test]
fn documents_hold_out_what_only_those_kinds_have() {
    let schema = embedded();
    let of = |side| schema.documents(&options(1, kinds(&["CronJob"]), side)).expect("documents");
    let everything = schema.documents(&options(1, HoldOut::Nothing, Side::Training)).expect("all");
    let (training, held_out) = (of(Side::Training), of(Side::HeldOut));
    assert_eq!(training.len() + held_out.len(), everything.len());
    let ids: Vec<&str> = held_out.iter().map(|it| it.id.as_str()).collect();
    let api = "kubernetes/types/io.k8s.api.batch.v1";
    let expected = ["CronJob", "CronJobSpec", "CronJobStatus", "JobTemplateSpec"];
    assert_eq!(ids, expected.map(|it| format!("{api}.{it}")));
    for document in &training {
        let mut words = document.text.split(|it: char| !it.is_alphanumeric());
        assert!(!words.any(|it| it == "CronJob"), "{}", document.text);
    }
    let text = &held_out[0].text;
    assert!(
        text.starts_with("CronJob is a kind of the Kubernetes API, version batch/v1."),
        "{text}"
    );
    assert!(held_out[1].text.contains("\nCronJobSpec.schedule (string, required): "));
    assert!(held_out[1].text.contains(" Values: Allow, Forbid, Replace."));
}

/// Types that hold each other ten times over have more fields than could be told.
#[test]
fn a_schema_without_end_is_refused() {
    let mut definitions = serde_json::Map::new();
    for level in 0..9 {
        let next = format!("#/definitions/x.T{}", level + 1);
        let fields: serde_json::Map<_, _> =
            (0..10).map(|it| (format!("f{it}"), serde_json::json!({ "$ref": next }))).collect();
        definitions.insert(format!("x.T{level}"), serde_json::json!({ "properties": fields }));
    }
    let leaf = serde_json::json!({ "properties": { "a": { "type": "string" } } });
    definitions.insert("x.T9".to_owned(), leaf);
    definitions["x.T0"]["x-kubernetes-group-version-kind"] =
        serde_json::json!([{ "group": "x", "version": "v1", "kind": "Endless" }]);
    let document = serde_json::json!({
        "swagger": "2.0",
        "definitions": definitions,
        "paths": { "/apis/x/v1/endless": { "get": {
            "x-kubernetes-action": "list",
            "x-kubernetes-group-version-kind": { "group": "x", "version": "v1", "kind": "Endless" },
        } } },
    });
    let schema = crate::kubernetes::openapi::from_document(&document, "x").expect("a schema");
    let error = schema.pairs(&options(1, HoldOut::Nothing, Side::Training)).expect_err("endless");
    assert!(error.to_string().contains("Endless has more than 20000 fields"), "{error}");
}
