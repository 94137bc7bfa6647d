//! Which objects a command is about.

use super::Check;
use super::words::Word;
use crate::kubernetes::finding::Problem;
use crate::kubernetes::schema::Kind;

/// An object, or all objects of a kind.
pub(super) struct Target<'a> {
    /// The kind; `None` where it is not known, or is the group `all`.
    pub(super) kind: Option<&'a Kind>,
    /// The object's name.
    pub(super) name: Option<Word>,
}

impl<'a> Check<'a> {
    /// Reads `TYPE[,TYPE] [NAME …]` or `TYPE/NAME …`.
    pub(super) fn targets(&mut self, words: &[Word]) -> Vec<Target<'a>> {
        if words.iter().any(|it| it.text.contains('/')) {
            return words.iter().filter_map(|word| self.slashed(word)).collect();
        }
        let Some((types, names)) = words.split_first() else { return Vec::new() };
        let kinds: Vec<Option<&Kind>> = types
            .text
            .split(',')
            .map(|name| self.kind(&Word { text: name.to_owned(), open: types.open }))
            .collect();
        if names.is_empty() {
            return kinds.into_iter().map(|kind| Target { kind, name: None }).collect();
        }
        let mut targets = Vec::new();
        for kind in kinds {
            for name in names {
                self.check_name(name, kind);
                targets.push(Target { kind, name: Some(name.clone()) });
            }
        }
        targets
    }

    fn slashed(&mut self, word: &Word) -> Option<Target<'a>> {
        let parts = word
            .text
            .split_once('/')
            .filter(|(kind, name)| !kind.is_empty() && !name.is_empty() && !name.contains('/'));
        let Some((kind, name)) = parts else {
            let message = "expected TYPE/NAME, as all others are";
            self.note(Problem::Syntax, &word.text, message);
            return None;
        };
        // Where a part of the word is not known, it is the name in all likelihood.
        let kind = self.kind(&Word { text: kind.to_owned(), open: false });
        let name = Word { text: name.to_owned(), open: word.open };
        self.check_name(&name, kind);
        Some(Target { kind, name: Some(name) })
    }

    fn kind(&mut self, word: &Word) -> Option<&'a Kind> {
        if word.open || word.text == "all" {
            return None;
        }
        match self.schema.known(&word.text) {
            Ok(kind) => Some(kind),
            Err(finding) => {
                self.findings.push(finding);
                None
            }
        }
    }

    /// Whether an object can have this name.
    pub(super) fn check_name(&mut self, word: &Word, kind: Option<&Kind>) {
        // Names in access control may have colons and capitals.
        if word.open || kind.is_some_and(|it| it.group == "rbac.authorization.k8s.io") {
            return;
        }
        let free = self.line.command.name.contains("role");
        let inner =
            |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-' || it == b'.';
        let ends = |it: Option<&u8>| it.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = word.text.as_bytes();
        let right = bytes.len() <= 253
            && bytes.iter().all(|&it| inner(it))
            && ends(bytes.first())
            && ends(bytes.last());
        if !right && !free {
            let message = "no object has such a name: lower-case letters, digits, - and . go";
            self.note(Problem::Syntax, &word.text, message);
        }
    }

    /// Commands on a pod: `POD` or `TYPE/NAME`.
    pub(super) fn pod(&mut self) {
        let name = self.line.command.name;
        let elsewhere =
            name == "logs" && self.line.any(&["selector"]) || self.line.any(&["filename"]);
        let Some(first) = self.line.arguments.first() else {
            if !elsewhere {
                self.note(Problem::MissingRequired, "POD", "a pod, or TYPE/NAME, is needed");
            }
            return;
        };
        self.one_pod(first);
        if name == "logs" && elsewhere {
            let message = "logs are chosen by name or by selector, not by both";
            self.note(Problem::Syntax, &first.text, message);
        }
        let rest = &self.line.arguments[1..];
        match name {
            "port-forward" => self.ports(rest),
            "exec" if self.line.rest.as_ref().is_none_or(Vec::is_empty) => {
                let problem =
                    if rest.is_empty() { Problem::MissingRequired } else { Problem::Syntax };
                self.note(problem, "COMMAND", "what is to be run stands behind --");
            }
            // The second argument is the container.
            "logs" if rest.len() <= 1 => rest.iter().for_each(|it| self.check_name(it, None)),
            "exec" | "debug" | "attach" if rest.is_empty() => {}
            _ => self.note(Problem::Syntax, &rest[0].text, "one pod is expected"),
        }
    }

    fn one_pod(&mut self, word: &Word) {
        const WITH_PODS: [&str; 9] = [
            "DaemonSet",
            "Deployment",
            "Job",
            "Node",
            "Pod",
            "ReplicaSet",
            "ReplicationController",
            "Service",
            "StatefulSet",
        ];
        if !word.text.contains('/') {
            return self.check_name(word, None);
        }
        let Some(kind) = self.slashed(word).and_then(|it| it.kind) else { return };
        let nodes = self.line.command.name == "debug";
        if !WITH_PODS.contains(&kind.kind.as_str()) || kind.kind == "Node" && !nodes {
            let message = format!("no pods stand behind {}", kind.plural);
            self.note(Problem::WrongType, &word.text, message);
        }
    }

    fn ports(&mut self, ports: &[Word]) {
        if ports.is_empty() {
            self.note(Problem::MissingRequired, "PORT", "a port is needed: 8080, or 8080:80");
        }
        for port in ports.iter().filter(|it| !it.open) {
            let (local, remote) = port.text.split_once(':').unwrap_or((&port.text, &port.text));
            let number = |text: &str| text.parse::<u16>().is_ok();
            // The remote port may have a name; an empty local one is chosen at random.
            let named = !remote.is_empty()
                && remote.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
                && (number(remote) || remote.bytes().any(|it| it.is_ascii_alphabetic()));
            let free = local.is_empty() || number(local) || local == remote;
            if !(free && named) {
                let message = "expected a port, or LOCAL:REMOTE";
                self.note(Problem::WrongType, &port.text, message);
            }
        }
    }
}
