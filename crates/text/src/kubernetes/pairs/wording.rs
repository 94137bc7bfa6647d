//! The questions, in several wordings each. `{kind}` is the kind; what the numbers are stands with
//! each.

/// 0: path.
pub(super) const MEANING: [&str; 5] = [
    "What does `{0}` mean in a {kind}?",
    "Explain the field `{0}` of the Kubernetes kind {kind}.",
    "I found `{0}` in a {kind} manifest. What is it for?",
    "In Kubernetes, what is `{0}` of a {kind} good for?",
    "Tell me about `{kind}` and its field `{0}`.",
];

/// 0: path.
pub(super) const TYPE: [&str; 4] = [
    "Which type does `{0}` of a {kind} have?",
    "What kind of value goes into `{0}` of a {kind}, and must it be there?",
    "Type of `{0}` in {kind}?",
    "What may I write as `{0}` in a {kind} manifest?",
];

/// 0: path.
pub(super) const REQUIRED: [&str; 4] = [
    "Which fields are required under `{0}` of a {kind}?",
    "What must every `{0}` of a {kind} have?",
    "I write `{0}` in a {kind}. Which fields may I not leave out?",
    "List the mandatory fields of `{0}` in {kind}.",
];

/// 0: the field's own name, 1: the short name of its type.
pub(super) const REACH: [&str; 4] = [
    "Where in a {kind} is the field `{0}` of {1}?",
    "How do I reach `{0}` ({1}) in a {kind}?",
    "Give the path to `{0}` of {1} in a {kind} manifest.",
    "Which command explains the field `{0}` of {1} inside of a {kind}?",
];

/// 0: path.
pub(super) const EXISTS: [&str; 4] = [
    "Is `{0}` a field of {kind}?",
    "Does a {kind} have `{0}`?",
    "Would the API server know `{0}` in a {kind}?",
    "Check this path in a {kind}: `{0}`",
];

/// 0: the task.
pub(super) const TASK: [&str; 4] = [
    "Write one kubectl command: {0}.",
    "Which kubectl command does this: {0}?",
    "With kubectl: {0}.",
    "{0}. What do I type?",
];

/// 0: the command.
pub(super) const VALID: [&str; 4] = [
    "Is this command valid?\n{0}",
    "Would kubectl take this, and the API server, too?\n{0}",
    "Check this command before I run it:\n{0}",
    "Right or wrong?\n{0}",
];

/// Answers to a right command.
pub(super) const YES: [&str; 2] = ["Yes, it is valid.", "Yes. Verb, resource and flags are known."];
