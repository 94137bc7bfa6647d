//! Pairs about commands: a task and the command that does it, a command and whether it is right.

use super::Maker;
use super::fields::{mistyped, no};
use super::wording::{TASK, VALID, YES};
use crate::kubernetes::command::Form;

/// What a template needs of a kind.
enum Needs {
    /// This verb of the API.
    Verb(&'static str),
    /// This subresource.
    Below(&'static str),
    /// One of these kinds.
    Kinds(&'static [&'static str]),
}

/// A task in words and its command. `{one}` is a name of the kind in commands, `{many}` another,
/// `{name}` an object, `{at}` the namespace flag, `{in}` the namespace in words.
struct Task {
    needs: Needs,
    words: &'static [&'static str],
    command: &'static str,
}

const fn task(needs: Needs, words: &'static [&'static str], command: &'static str) -> Task {
    Task { needs, words, command }
}

use Needs::{Below, Kinds, Verb};

const ROLLED: &[&str] = &["DaemonSet", "Deployment", "StatefulSet"];
const PODDED: &[&str] = &["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"];

const TASKS: &[Task] = &[
    task(
        Verb("list"),
        &["list every {kind}{in}", "show all objects of kind {kind}{in}"],
        "kubectl get {many}{at}",
    ),
    task(
        Verb("list"),
        &["list every {kind}{in}, oldest first"],
        "kubectl get {many}{at} --sort-by=.metadata.creationTimestamp",
    ),
    task(
        Verb("list"),
        &["list each {kind}{in} that has the label app={name}"],
        "kubectl get {many}{at} -l app={name}",
    ),
    task(
        Verb("list"),
        &["print nothing but the names of each {kind}{in}"],
        "kubectl get {many}{at} -o name",
    ),
    task(
        Verb("get"),
        &["print the {kind} {name}{in} as YAML"],
        "kubectl get {one} {name}{at} -o yaml",
    ),
    task(
        Verb("get"),
        &["print when the {kind} {name}{in} was created"],
        "kubectl get {one} {name}{at} -o jsonpath='{.metadata.creationTimestamp}'",
    ),
    task(
        Verb("get"),
        &["show everything about the {kind} {name}{in} in words"],
        "kubectl describe {one}/{name}{at}",
    ),
    task(
        Verb("watch"),
        &["watch what becomes of the {kind} {name}{in}"],
        "kubectl get {one} {name}{at} --watch",
    ),
    task(
        Verb("delete"),
        &["delete the {kind} {name}{in}", "remove the {kind} {name}{in}"],
        "kubectl delete {one} {name}{at}",
    ),
    task(
        Verb("delete"),
        &["say what deleting the {kind} {name}{in} would do, on the server, without doing it"],
        "kubectl delete {one} {name}{at} --dry-run=server",
    ),
    task(
        Verb("patch"),
        &["give the {kind} {name}{in} the label team=blue, replacing another value"],
        "kubectl label {one} {name}{at} team=blue --overwrite",
    ),
    task(
        Verb("patch"),
        &["take the annotation note off the {kind} {name}{in}"],
        "kubectl annotate {one} {name}{at} note-",
    ),
    task(
        Verb("patch"),
        &["open the {kind} {name}{in} in an editor"],
        "kubectl edit {one} {name}{at}",
    ),
    task(
        Verb("patch"),
        &["set the label tier=web on the {kind} {name}{in} by a patch"],
        "kubectl patch {one} {name}{at} --type=merge -p '{\"metadata\":{\"labels\":{\"tier\":\"web\"}}}'",
    ),
    task(
        Verb("create"),
        &["find out whether you may create a {kind}{in}"],
        "kubectl auth can-i create {many}{at}",
    ),
    task(Verb("create"), &["show the documentation of {kind}"], "kubectl explain {one}"),
    task(
        Below("scale"),
        &[
            "run {count} replicas of the {kind} {name}{in}",
            "scale the {kind} {name}{in} to {count}",
        ],
        "kubectl scale {one} {name}{at} --replicas={count}",
    ),
    task(
        Below("scale"),
        &["stop every pod of the {kind} {name}{in} by scaling it"],
        "kubectl scale {one}/{name}{at} --replicas=0",
    ),
    task(
        Kinds(ROLLED),
        &["restart the pods of the {kind} {name}{in} one after another"],
        "kubectl rollout restart {one}/{name}{at}",
    ),
    task(
        Kinds(ROLLED),
        &["roll the {kind} {name}{in} back to the revision before"],
        "kubectl rollout undo {one}/{name}{at}",
    ),
    task(
        Kinds(ROLLED),
        &["roll the {kind} {name}{in} back to revision {count}"],
        "kubectl rollout undo {one}/{name}{at} --to-revision={count}",
    ),
    task(
        Kinds(ROLLED),
        &["wait at most {count} minutes until the {kind} {name}{in} is rolled out"],
        "kubectl rollout status {one}/{name}{at} --timeout={count}m",
    ),
    task(
        Kinds(ROLLED),
        &["list the revisions of the {kind} {name}{in}"],
        "kubectl rollout history {one}/{name}{at}",
    ),
    task(
        Kinds(&["Deployment"]),
        &["stop the rollout of the {kind} {name}{in} for now"],
        "kubectl rollout pause {one}/{name}{at}",
    ),
    task(
        Kinds(PODDED),
        &["run image shop/app:1.{count} in the container app of the {kind} {name}{in}"],
        "kubectl set image {one}/{name}{at} app=shop/app:1.{count}",
    ),
    task(
        Kinds(PODDED),
        &[
            "limit the container app of the {kind} {name}{in} to {count} cores and {count}Gi of memory",
        ],
        "kubectl set resources {one}/{name}{at} -c app --limits=cpu={count},memory={count}Gi",
    ),
    task(
        Kinds(PODDED),
        &["set the variable LEVEL to debug in the {kind} {name}{in}"],
        "kubectl set env {one}/{name}{at} LEVEL=debug",
    ),
    task(
        Kinds(PODDED),
        &["show the last {count}00 lines that the {kind} {name}{in} logged"],
        "kubectl logs {one}/{name}{at} --tail={count}00",
    ),
    task(
        Kinds(&["Pod"]),
        &["show what the container app of pod {name}{in} logged before it restarted"],
        "kubectl logs {name}{at} -c app --previous",
    ),
    task(Kinds(&["Pod"]), &["show the CPU and memory of every pod{in}"], "kubectl top pods{at}"),
    task(Kinds(&["Pod"]), &["run env in pod {name}{in}"], "kubectl exec {name}{at} -- env"),
    task(
        Kinds(&["Pod"]),
        &["list the pods{in} that do not run"],
        "kubectl get {many}{at} --field-selector status.phase!=Running",
    ),
    task(Kinds(&["Node"]), &["let no new pod onto node {name}"], "kubectl cordon {name}"),
    task(
        Kinds(&["Node"]),
        &["move all pods off node {name}, daemons excepted"],
        "kubectl drain {name} --ignore-daemonsets",
    ),
    task(Kinds(&["Node"]), &["let pods onto node {name} again"], "kubectl uncordon {name}"),
    task(
        Kinds(&["Node"]),
        &["keep pods without toleration off node {name}"],
        "kubectl taint {one} {name} dedicated=batch:NoSchedule",
    ),
    task(
        Kinds(&["Service"]),
        &["reach port 80 of the service {name}{in} at local port 8080"],
        "kubectl port-forward svc/{name}{at} 8080:80",
    ),
];

const NAMES: [&str; 8] =
    ["checkout", "ledger-api", "tide-gateway", "mailer", "search-2", "blue", "orders-db", "edge"];
const NAMESPACES: [&str; 5] = ["shop", "payments", "staging", "monitoring", "team-a"];

impl Maker<'_> {
    pub(super) fn commands(&mut self) {
        for task in TASKS {
            if !self.has(&task.needs) {
                continue;
            }
            for _ in 0..2 {
                self.task(task);
            }
        }
    }

    fn has(&self, needs: &Needs) -> bool {
        match needs {
            Verb(verb) => self.kind.verbs.contains(*verb),
            Below(name) => self.kind.subresources.contains(*name),
            Kinds(kinds) => kinds.contains(&&*self.kind.kind),
        }
    }

    /// A task with its command, and the command, right or with a mistake, with its judgement.
    fn task(&mut self, task: &Task) {
        let (words, command) = self.filled(task);
        let verb = command.split(' ').nth(1).unwrap_or_default().to_owned();
        let apart = self.apart.is_spoken_of(&words) || self.apart.is_commanded(&command);
        let before = self.pairs.len();
        let prompt = self.worded(&TASK, &[&words]);
        self.push(&format!("task/{verb}"), prompt, command.clone());
        let shown = match self.numbers.below(2) {
            0 => command,
            _ => self.corrupted(&command),
        };
        let findings = self.schema.check_command(&shown, Form::Exact);
        let answer = match findings.first() {
            None => self.one(&YES).to_owned(),
            Some(finding) => no(finding),
        };
        // What a finding suggests stands in quotes.
        let mut quoted = answer.split('"').skip(1).step_by(2);
        let apart = apart
            || self.apart.is_commanded(&shown)
            || self.apart.is_spoken_of(&answer)
            || quoted.any(|it| self.apart.is_commanded(it));
        let prompt = self.worded(&VALID, &[&shown]);
        self.push(&format!("valid/{verb}"), prompt, answer);
        if apart {
            self.pairs.truncate(before);
        }
    }

    /// The words and the command of a task with everything filled in.
    fn filled(&mut self, task: &Task) -> (String, String) {
        let names = self.names();
        let (one, many) = (self.any(&names), self.any(&names));
        let namespace = self.one(&NAMESPACES);
        let (at, inside) = match self.kind.namespaced {
            true => (format!(" -n {namespace}"), format!(" in namespace {namespace}")),
            false => (String::new(), String::new()),
        };
        let count = (2 + self.numbers.below(8)).to_string();
        let name = self.one(&NAMES);
        let words = self.one(task.words);
        let fill = |text: &str| {
            self.of_kind(text)
                .replace("{one}", &one)
                .replace("{many}", &many)
                .replace("{name}", name)
                .replace("{at}", &at)
                .replace("{in}", &inside)
                .replace("{count}", &count)
        };
        (fill(words), fill(task.command))
    }

    /// What commands call the kind.
    fn names(&self) -> Vec<String> {
        let mut names = vec![self.kind.singular(), self.kind.plural.clone()];
        names.extend(self.kind.short_names.iter().cloned());
        // A name that several groups share means another kind unless the group follows.
        names.retain(|name| {
            self.schema.resource(name).is_some_and(|it| it.type_name == self.kind.type_name)
        });
        if names.is_empty() {
            names.push(format!("{}.{}", self.kind.plural, self.kind.group));
        }
        names
    }

    fn any(&mut self, of: &[String]) -> String {
        of[self.numbers.below(of.len())].clone()
    }

    /// The command with one seeded mistake.
    fn corrupted(&mut self, command: &str) -> String {
        let mut wrong = vec![self.with_flag(command)];
        let words: Vec<&str> = command.split(' ').collect();
        for at in 1..words.len().min(3) {
            // The part before the name of an object.
            let (word, rest) = words[at].split_at(words[at].find('/').unwrap_or(words[at].len()));
            let mut words: Vec<String> = words.iter().map(|&it| it.to_owned()).collect();
            words[at] = mistyped(word, &mut self.numbers) + rest;
            wrong.push(words.join(" "));
        }
        for field in ["creationTimestamp", "labels", "metadata", "phase"] {
            let typed = mistyped(field, &mut self.numbers);
            wrong.push(command.replacen(field, &typed, 1));
        }
        for (right, typed) in VALUES {
            wrong.push(command.replacen(right, typed, 1));
        }
        wrong.retain(|it| it != command);
        self.any(&wrong)
    }

    /// The command with a flag that no command has.
    fn with_flag(&mut self, command: &str) -> String {
        let flag = self.one(&["--everything", "--wide", "--now-please", "--in-cluster"]);
        match command.split_once(" -- ") {
            Some((before, behind)) => format!("{before} {flag} -- {behind}"),
            None => format!("{command} {flag}"),
        }
    }
}

/// Values, and how they are mistaken.
const VALUES: [(&str, &str); 5] = [
    ("--replicas=", "--replicas=x"),
    ("-o yaml", "-o yml"),
    ("--type=merge", "--type=replace"),
    ("--dry-run=server", "--dry-run=remote"),
    (":NoSchedule", ":NeverSchedule"),
];
