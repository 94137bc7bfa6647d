//! `kubectl` commands against the schema.
//!
//! Judged are: the words (as a shell makes them), the command and its flags, the resources that it
//! names and whether it works on them, names, counts and amounts, patches, selectors of fields, and
//! the fields that JSONPath, columns and sorting go to. Files are not opened, so a command with
//! `-f` is judged without what it applies.

mod flags;
mod line;
mod output;
mod patch;
mod targets;
mod values;
mod words;

pub use words::Form;

use super::finding::{Finding, Problem};
use super::schema::{Kind, Schema};
use line::Line;
use targets::Target;
use words::Word;

impl Schema {
    /// Everything that is wrong with a command. A `$ ` before it, as in a listing, is passed over
    /// in [`Form::Written`].
    pub fn check_command(&self, command: &str, form: Form) -> Vec<Finding> {
        let command = command.trim();
        let command = match form {
            Form::Written => command.strip_prefix("$ ").unwrap_or(command),
            Form::Exact => command,
        };
        match words::split(command, form).and_then(|words| Line::parse(&words)) {
            Ok(line) => {
                let mut check = Check { schema: self, line: &line, findings: Vec::new() };
                check.line();
                check.findings
            }
            Err(finding) => vec![finding],
        }
    }
}

/// The judgement of one command.
struct Check<'a> {
    schema: &'a Schema,
    line: &'a Line,
    findings: Vec<Finding>,
}

impl<'a> Check<'a> {
    fn note(&mut self, problem: Problem, at: &str, message: impl Into<String>) {
        self.findings.push(Finding::new(problem, at, message));
    }

    fn line(&mut self) {
        if self.line.any(&["help"]) {
            return;
        }
        self.required();
        self.values();
        match self.line.command.name {
            "logs" | "exec" | "attach" | "port-forward" | "debug" => self.pod(),
            "cordon" | "uncordon" | "drain" => self.members("node", true),
            "top node" => self.members("node", false),
            "top pod" => self.members("pod", false),
            "certificate approve" | "certificate deny" => self.members("csr", true),
            "explain" => self.explain(),
            "auth can-i" => self.can_i(),
            "create" => self.created_by_file(),
            name if name.starts_with("create ") || name == "run" => self.created(),
            "get" | "describe" | "delete" | "edit" | "patch" | "label" | "annotate" | "taint"
            | "scale" | "autoscale" | "expose" | "wait" => self.on_resources(),
            name if name.starts_with("rollout ") || name.starts_with("set ") => self.on_resources(),
            "apply" | "replace" | "diff" => self.by_file(),
            _ => {}
        }
    }

    /// Flags without which the command does not run; `a|b` stands for either.
    fn required(&mut self) {
        let raw = self.line.command.name == "create" && self.line.any(&["raw"]);
        for flags in self.line.command.required.iter().filter(|_| !raw) {
            let given = flags.split('|').any(|flag| self.line.flag(flag).is_some());
            // These may be asked for what they would do, or take the value from another flag.
            let spared = match self.line.command.name {
                "set env" => true,
                "autoscale" => given,
                _ => given,
            };
            if !spared {
                let named = flags.replace('|', " or --");
                self.note(Problem::MissingRequired, &format!("--{named}"), "the command needs it");
            }
        }
    }

    /// Whether something other than arguments says which objects are meant.
    fn chosen_elsewhere(&self) -> bool {
        self.line.any(&["filename", "kustomize"])
    }

    fn by_file(&mut self) {
        if !self.chosen_elsewhere() && !self.line.any(&["raw"]) {
            self.note(Problem::MissingRequired, "--filename", "the command needs a file");
        }
        if let Some(word) = self.line.arguments.first() {
            let message = "the command takes files by -f, and no arguments";
            self.note(Problem::Syntax, &word.text, message);
        }
    }

    fn created_by_file(&mut self) {
        if let Some(word) = self.line.arguments.first() {
            let message = "kubectl creates no such resource without a file";
            self.findings.retain(|it| it.problem != Problem::MissingRequired);
            self.note(Problem::UnknownKind, &word.text, message);
        }
    }

    /// Commands that make an object: its name comes first.
    fn created(&mut self) {
        let Some(name) = self.line.arguments.first() else {
            return self.note(Problem::MissingRequired, "NAME", "the new object needs a name");
        };
        self.check_name(name, None);
        let takes_command = matches!(
            self.line.command.name,
            "create deployment" | "create job" | "create cronjob" | "run"
        );
        if let (Some(extra), false) = (self.line.arguments.get(1), takes_command) {
            self.note(Problem::Syntax, &extra.text, "one name is expected");
        }
        if let Some(resource) = self.line.flag("resource").filter(|it| !it.open) {
            for name in resource.text.split(',') {
                let resource = name.split('/').next().unwrap_or(name);
                if let Err(finding) = self.schema.known(resource) {
                    self.findings.push(finding);
                }
            }
        }
    }

    /// Commands on objects of one kind: names, or a selector.
    fn members(&mut self, kind: &str, needed: bool) {
        let kind = self.schema.resource(kind);
        let names = &self.line.arguments;
        if names.is_empty() && needed && !self.line.any(&["selector", "filename"]) {
            self.note(Problem::MissingRequired, "NAME", "a name or a selector is needed");
        }
        for name in names {
            let bare = name.text.strip_prefix("node/").unwrap_or(&name.text);
            self.check_name(&Word { text: bare.to_owned(), open: name.open }, kind);
        }
    }

    fn on_resources(&mut self) {
        let (words, assignments) = self.split_assignments();
        if words.is_empty() {
            if !self.chosen_elsewhere() && !self.line.any(&["raw"]) {
                self.note(Problem::MissingRequired, "TYPE", "a resource is needed");
            }
            return self.assignments(&assignments);
        }
        let targets = self.targets(&words);
        self.refuse_contradictions(&targets);
        for kind in targets.iter().filter_map(|it| it.kind) {
            self.works_on(kind);
        }
        self.assignments(&assignments);
        self.selected_fields(&targets);
        self.output_fields(&targets);
        self.patch(&targets);
    }

    /// `NAME=VALUE` and `NAME-` stand behind the resources.
    fn split_assignments(&self) -> (Vec<Word>, Vec<Word>) {
        let takes = matches!(self.line.command.name, "label" | "annotate" | "taint")
            || self.line.command.name.starts_with("set ");
        let is_one = |word: &Word| {
            takes
                && (word.text.contains('=') || word.text.ends_with('-') || word.text.contains(':'))
        };
        self.line.arguments.iter().cloned().partition(|word| !is_one(word))
    }

    fn refuse_contradictions(&mut self, targets: &[Target<'a>]) {
        let named = targets.iter().any(|it| it.name.is_some());
        let name = self.line.command.name;
        if named && self.line.any(&["selector"]) {
            let message = "objects are chosen by name or by selector, not by both";
            self.note(Problem::Syntax, "--selector", message);
        }
        if named && self.line.any(&["all-namespaces"]) {
            let message = "a name means one namespace, not all of them";
            self.note(Problem::Syntax, "--all-namespaces", message);
        }
        let optional = matches!(name, "get" | "describe")
            || name.starts_with("rollout ") && name != "rollout undo"
            || name == "set env" && self.line.any(&["list"]);
        let chosen = ["selector", "all", "field-selector", "filename", "kustomize"];
        if !named && !optional && !self.line.any(&chosen) {
            self.note(Problem::MissingRequired, "NAME", "a name or a selector is needed");
        }
    }

    /// Whether the command does anything with such objects.
    fn works_on(&mut self, kind: &Kind) {
        let name = self.line.command.name;
        let workloads = WORKS_ON.iter().find(|(command, _)| *command == name);
        let allowed = match (name, workloads) {
            ("scale", _) => kind.subresources.contains("scale"),
            (_, Some((_, kinds))) => kinds.contains(&kind.kind.as_str()),
            ("get" | "describe" | "wait", _) => kind.verbs.contains("get"),
            ("delete", _) => kind.verbs.contains("delete"),
            _ => kind.verbs.contains("patch"),
        };
        if !allowed {
            let message = format!("kubectl {name} does not work on {}", kind.plural);
            self.note(Problem::WrongType, &kind.plural, message);
        }
    }

    fn explain(&mut self) {
        let [path] = self.line.arguments.as_slice() else {
            return self.note(Problem::Syntax, "TYPE", "one resource or path is expected");
        };
        if path.open {
            return;
        }
        let (resource, fields) = path.text.split_once('.').unwrap_or((&path.text, ""));
        // A resource may be followed by its group before the fields begin.
        let direct = self.schema.check_field_path(resource, fields);
        if let (Err(finding), None) = (direct, self.schema.resource(&path.text)) {
            self.findings.push(finding);
        }
    }

    fn can_i(&mut self) {
        const VERBS: [&str; 14] = [
            "get",
            "list",
            "watch",
            "create",
            "update",
            "patch",
            "delete",
            "deletecollection",
            "use",
            "bind",
            "escalate",
            "impersonate",
            "approve",
            "*",
        ];
        if self.line.any(&["list"]) {
            return;
        }
        let [verb, resource, ..] = self.line.arguments.as_slice() else {
            return self.note(
                Problem::MissingRequired,
                "VERB TYPE",
                "a verb and a resource are needed",
            );
        };
        if !verb.open && !VERBS.contains(&verb.text.as_str()) {
            self.note(Problem::UnknownVerb, &verb.text, "the API has no such verb");
        }
        let name = resource.text.split('/').next().unwrap_or_default();
        let judged = !resource.open && !name.is_empty() && name != "*";
        if let (true, Err(finding)) = (judged, self.schema.known(name)) {
            self.findings.push(finding);
        }
    }
}

/// The kinds that a command works on, where these are not all that can be patched.
const WORKS_ON: [(&str, &[&str]); 12] = [
    ("rollout history", ROLLED),
    ("rollout status", ROLLED),
    ("rollout undo", ROLLED),
    ("rollout restart", ROLLED),
    ("rollout pause", &["Deployment"]),
    ("rollout resume", &["Deployment"]),
    ("set image", PODDED),
    ("set env", PODDED),
    ("set resources", PODDED),
    ("taint", &["Node"]),
    ("expose", &["Deployment", "Pod", "ReplicaSet", "ReplicationController", "Service"]),
    ("autoscale", &["Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"]),
];

const ROLLED: &[&str] = &["DaemonSet", "Deployment", "StatefulSet"];

/// Kinds with containers.
const PODDED: &[&str] = &[
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Job",
    "Pod",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
];
