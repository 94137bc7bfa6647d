//! Changes, and where a cluster keeps them: a rollout as a revision of the ReplicaSet, a setting in a ConfigMap,
//! and so on. The sort of a change is read off the words of its message.

use sre::incident::Change;

/// Where a change is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// A revision: a new ReplicaSet with the message as its cause.
    Rollout,
    /// An event and a managed field of the Deployment.
    Scaling,
    /// A NetworkPolicy.
    Policy,
    /// An event about a Secret, which nobody may read.
    Credentials,
    /// A ConfigMap that a dashboard is in.
    Dashboard,
    /// A ConfigMap.
    Settings,
}

/// Words that tell the sort, the more special before the more general.
const WORDS: [(Sort, &[&str]); 6] = [
    (Sort::Scaling, &["replicas ", "scaled ", "count set to"]),
    (Sort::Policy, &["policy", "ingress rule", "default-deny", "traffic rules", "isolation"]),
    (Sort::Credentials, &["secret", "credential"]),
    (Sort::Dashboard, &["dashboard", "alert threshold", "panel"]),
    (
        Sort::Settings,
        &["config map", "settings", "values.yaml", "new value", "pool size", "key prefix"],
    ),
    (
        Sort::Rollout,
        &[
            "image",
            "rollout",
            "deployed",
            "release",
            "tag moved",
            "cpu",
            "memory",
            "probe",
            "health endpoint",
            "injection",
            "mesh",
            "label",
            "annotation",
            "metadata",
            "template",
            "env ",
            "recreated",
        ],
    ),
];

/// The sort of a change; what nothing tells is a setting.
pub(super) fn sort(change: &Change) -> Sort {
    let message = change.message.to_ascii_lowercase();
    let found = WORDS.iter().find(|(_, words)| words.iter().any(|word| message.contains(word)));
    found.map_or(Sort::Settings, |(sort, _)| *sort)
}

/// What a container is made of, as far as changes say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) version: Option<String>,
    pub(super) memory: Option<String>,
    pub(super) cpu: Option<String>,
}

impl Made {
    /// What it was before a change, where this is what it is after it.
    pub(super) fn before(&self, message: &str) -> Self {
        let old = |fits: fn(&str) -> bool, now: &Option<String>| {
            let (old, _) = moved(message, fits);
            old.or_else(|| now.clone())
        };
        Self {
            version: old(is_version, &self.version),
            memory: old(is_memory, &self.memory),
            cpu: old(is_cpu, &self.cpu),
        }
    }
}

/// What something was and is: the words of a message that fit, `old to new` or `new, was old`.
pub(super) fn moved(message: &str, fits: fn(&str) -> bool) -> (Option<String>, Option<String>) {
    let words = message.split(|c: char| c.is_whitespace() || c == ',');
    let found: Vec<String> = words.filter(|word| fits(word)).map(str::to_owned).collect();
    match found.as_slice() {
        [] => (None, None),
        [new] => (None, Some(new.clone())),
        [new, old, ..] if message.contains("was ") => (Some(old.clone()), Some(new.clone())),
        [old, new, ..] => (Some(old.clone()), Some(new.clone())),
    }
}

/// `1.4.2`, `v2.0.1`
pub(super) fn is_version(word: &str) -> bool {
    let word = word.strip_prefix('v').unwrap_or(word);
    let parts: Vec<&str> = word.split('.').collect();
    parts.len() >= 2 && parts.iter().all(|it| is_number(it))
}

/// `3`
pub(super) fn is_number(word: &str) -> bool {
    !word.is_empty() && word.len() < 10 && word.chars().all(|it| it.is_ascii_digit())
}

fn is_memory(word: &str) -> bool {
    word.strip_suffix("Mi").is_some_and(is_number)
}

fn is_cpu(word: &str) -> bool {
    word.strip_suffix('m').is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn the_words_of_the_lab_are_sorted() {
        let table = [
            ("image 1.4.0 to 1.5.0", Sort::Rollout),
            ("release v1.5.0 went out", Sort::Rollout),
            ("resources right-sized: memory 512Mi -> 256Mi", Sort::Rollout),
            ("chart update: readiness on /healthz, template edited", Sort::Rollout),
            ("env DB_HOST updated", Sort::Rollout),
            ("replicas 2 to 3", Sort::Scaling),
            ("scaled by hand to 3", Sort::Scaling),
            ("network policy stock_level applied", Sort::Policy),
            ("secret locale rotated", Sort::Credentials),
            ("credentials renewed", Sort::Credentials),
            ("alert thresholds tuned", Sort::Dashboard),
            ("config map: CACHE_URL edited", Sort::Settings),
            ("pool size 60 to 20", Sort::Settings),
            ("cache flushed by operator", Sort::Settings),
        ];
        for (message, expected) in table {
            let (id, service) = ("c1".to_owned(), "cart".to_owned());
            let (time, message) = (Timestamp::UNIX_EPOCH, message.to_owned());
            let change = Change { id, service, time, message };
            assert_eq!(sort(&change), expected, "{}", change.message);
        }
    }

    #[test]
    fn what_was_is_read_off_the_message() {
        let old = |text: &str| (Some("1.4.0".to_owned()), Some(text.to_owned()));
        assert_eq!(moved("image 1.4.0 to 1.5.0", is_version), old("1.5.0"));
        assert_eq!(moved("deployed 1.5.0, was 1.4.0", is_version), old("1.5.0"));
        assert_eq!(moved("rollout of v2.0.0", is_version), (None, Some("v2.0.0".to_owned())));
        assert_eq!(moved("dashboard edited", is_version), (None, None));
        let now = Made { version: None, memory: Some("256Mi".into()), cpu: Some("500m".into()) };
        let before = now.before("memory limit 512Mi to 256Mi");
        assert_eq!(
            (before.memory.as_deref(), before.cpu.as_deref()),
            (Some("512Mi"), Some("500m"))
        );
    }
}
