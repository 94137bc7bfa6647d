//! Does a model know Kubernetes? It is asked for commands, for paths to fields, and whether a
//! command or a path is valid; the Kubernetes schema is the judge. An answer need not be that of a
//! reference: any valid command about the kind is right that has the verb that was asked for, and
//! any path to the field that was. Answers that are always the same are scored beside a model's.

use crate::interval::Interval;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use text::kubernetes::{Form, Pair, PairOptions, Problem, Schema, short};
use text::llm::{GenerateRequest, Llm, LlmError, Prompt, Sampling};

#[cfg(test)]
mod tests;

/// Most tokens of an answer.
const ANSWER_TOKENS: usize = 96;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Want {
    /// A `kubectl` command that does something.
    Command,
    /// The path to a field.
    Path,
    /// Whether a command or a path is valid.
    Verdict,
}

/// A question about one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The question.
    pub prompt: String,
    /// What is asked for.
    pub want: Want,
    /// The kind that it is about.
    pub kind: String,
    /// Where a verdict is asked for: the right one.
    pub valid: bool,
    /// One right answer: its verb, or the field at its end, is what is asked for.
    pub reference: String,
}

/// Why there are no tasks or no answers.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The schema or the kinds to be held out.
    #[error(transparent)]
    Text(#[from] text::Error),
    /// The model failed.
    #[error(transparent)]
    Llm(#[from] LlmError),
}

/// Up to `count` tasks of each sort, of the side that the options name.
///
/// # Errors
/// As [`Schema::pairs`].
pub fn tasks(
    schema: &Schema,
    options: &PairOptions,
    count: usize,
) -> Result<Vec<Task>, CommandError> {
    let mut tasks: BTreeMap<Want, Vec<Task>> = BTreeMap::new();
    for pair in schema.pairs(options)? {
        let Some(task) = task(pair) else { continue };
        let of_sort = tasks.entry(task.want).or_default();
        if of_sort.len() < count {
            of_sort.push(task);
        }
    }
    Ok(tasks.into_values().flatten().collect())
}

/// The question as a task, by the family in its id: `kubernetes/GROUP/KIND/FAMILY/…`.
fn task(pair: Pair) -> Option<Task> {
    let kind = pair.group.rsplit('/').next()?.to_owned();
    let rest = pair.id.strip_prefix("kubernetes/")?.strip_prefix(pair.group.as_str())?;
    let want = match rest.split('/').nth(1)? {
        "task" => Want::Command,
        "reach" => Want::Path,
        "valid" | "exists" => Want::Verdict,
        _ => return None,
    };
    let valid = pair.completion.starts_with("Yes");
    Some(Task { prompt: pair.prompt, want, kind, valid, reference: pair.completion })
}

/// What a model answered to a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What was asked for.
    pub want: Want,
    /// Whether a command is valid and about the kind, or a path exists. Of a verdict: as `right`.
    pub valid: bool,
    /// Whether the answer is valid and what was asked for: that verb, that field, that verdict.
    pub right: bool,
    /// What is wrong with a command or path: the first mistake.
    pub problem: Option<String>,
    /// The answer itself.
    pub answer: String,
}

/// Asks a model. `frame` turns a question into what the model reads.
///
/// # Errors
/// A prompt that does not fit the model, or a failure of the model.
pub fn ask(
    llm: &mut dyn Llm,
    frame: &dyn Fn(&str) -> Result<Prompt, LlmError>,
    schema: &Schema,
    task: &Task,
) -> Result<Outcome, CommandError> {
    let prompt = frame(&task.prompt)?;
    if task.want == Want::Verdict {
        let shares = llm.distribution(&prompt, "", &["Yes", "No"])?;
        return Ok(verdict(task, shares[0] > shares[1]));
    }
    let completion = llm.generate(&GenerateRequest {
        prompt,
        max_tokens: ANSWER_TOKENS,
        sampling: Sampling::GREEDY,
        stop: Vec::new(),
        schema: None,
        deadline: None,
    })?;
    Ok(judge(schema, task, &completion.text))
}

/// What is said without reading a question: `kubectl get` with the kind, the field `spec`, and the
/// verdict that is right most often among these tasks. What a model is worth begins above it.
pub fn constant(schema: &Schema, tasks: &[Task]) -> Vec<Outcome> {
    let verdicts = || tasks.iter().filter(|it| it.want == Want::Verdict);
    let yes = 2 * verdicts().filter(|it| it.valid).count() >= verdicts().count();
    let answer = |task: &Task| match task.want {
        Want::Command => judge(schema, task, &format!("kubectl get {}", task.kind.to_lowercase())),
        Want::Path => judge(schema, task, "spec"),
        Want::Verdict => verdict(task, yes),
    };
    tasks.iter().map(answer).collect()
}

/// Judges what was written.
pub fn judge(schema: &Schema, task: &Task, text: &str) -> Outcome {
    let answer = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let problem = match task.want {
        Want::Command => command_problem(schema, task, answer),
        Want::Path => path_problem(schema, task, answer),
        Want::Verdict => return verdict(task, answer.starts_with("Yes")),
    };
    let valid = problem.as_deref().is_none_or(|it| [OTHER_VERB, OTHER_FIELD].contains(&it));
    let answer = answer.to_owned();
    Outcome { want: task.want, valid, right: problem.is_none(), problem, answer }
}

fn verdict(task: &Task, said: bool) -> Outcome {
    let right = said == task.valid;
    let answer = if said { "Yes" } else { "No" }.to_owned();
    Outcome { want: task.want, valid: right, right, problem: None, answer }
}

/// The mistake of a valid command about something else than what was asked.
pub const OTHER_KIND: &str = "other kind";
/// That of a valid command about the right kind, which does something else.
pub const OTHER_VERB: &str = "other verb";
/// That of a path that exists and leads to another field.
pub const OTHER_FIELD: &str = "other field";

/// What is wrong with a command: what the schema says, that it is about another kind, or that it
/// does something else.
fn command_problem(schema: &Schema, task: &Task, answer: &str) -> Option<String> {
    let command = answer.trim_matches('`');
    if let Some(finding) = schema.check_command(command, Form::Exact).first() {
        return Some(finding.problem.name().to_owned());
    }
    let names_kind = |command: &str| {
        let words = command.split([' ', '/', ',', '.']);
        words.filter_map(|word| schema.resource(word)).any(|it| it.kind == task.kind)
    };
    let same_verb = verb(command) == verb(&task.reference);
    // `kubectl cordon NAME` and its like need no kind: the verb says it.
    let about = names_kind(command) || same_verb && !names_kind(&task.reference);
    match (about, same_verb) {
        (false, _) => Some(OTHER_KIND.to_owned()),
        (true, false) => Some(OTHER_VERB.to_owned()),
        (true, true) => None,
    }
}

/// Words of `kubectl` that only say with the next one what is done.
const HALVES: [&str; 3] = ["auth", "rollout", "set"];

/// What a command does: `get`, `rollout undo`.
fn verb(command: &str) -> String {
    let mut words = command.split_whitespace().skip(1);
    let mut verb = Vec::new();
    while let Some(word) = words.next() {
        match word {
            // Where something is to be done may be said before what.
            "-n" | "--namespace" | "--context" => {
                words.next();
            }
            flag if flag.starts_with('-') => {}
            word => {
                verb.push(word);
                if verb.len() == 2 || !HALVES.contains(&word) {
                    break;
                }
            }
        }
    }
    verb.join(" ")
}

/// What is wrong with a path: what the schema says, or that it leads to another field.
fn path_problem(schema: &Schema, task: &Task, answer: &str) -> Option<String> {
    let path = written_path(answer);
    if path.is_empty() {
        return Some(Problem::Syntax.name().to_owned());
    }
    if let Err(finding) = schema.check_field_path(&task.kind, path) {
        return Some(finding.problem.name().to_owned());
    }
    let found = field(schema, &task.kind, path);
    let asked = field(schema, &task.kind, written_path(&task.reference));
    (found.is_none() || found != asked).then(|| OTHER_FIELD.to_owned())
}

/// The path in an answer: in backquotes, or the whole line.
fn written_path(answer: &str) -> &str {
    answer.split('`').nth(1).unwrap_or(answer).trim()
}

/// The field that a path ends in: the type that has it, by its short name as in questions, and its
/// own name. Several paths may lead to one, as to the `image` of containers and init containers.
fn field<'a>(schema: &Schema, kind: &str, path: &'a str) -> Option<(String, &'a str)> {
    let (owner, name) = path.rsplit_once('.').unwrap_or(("", path));
    // `containers[]` is the field `containers`.
    let name = name.split('[').next()?;
    let owner = schema.check_field_path(kind, owner).ok()?;
    Some((short(owner.type_name()?).to_owned(), name))
}

/// What a model is worth on commands and paths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandScore {
    /// Share of valid commands about the kind asked for.
    pub commands: Option<Interval>,
    /// Share of commands that are valid, about that kind, and have the verb asked for.
    pub verbs: Option<Interval>,
    /// Share of paths that exist and end in the field asked for.
    pub paths: Option<Interval>,
    /// Share of right verdicts.
    pub verdicts: Option<Interval>,
    /// Mistakes in commands and paths, by their name.
    pub problems: BTreeMap<String, usize>,
}

impl CommandScore {
    /// Over these outcomes.
    pub fn of(outcomes: &[Outcome], seed: u64) -> Self {
        let mut problems = BTreeMap::new();
        for problem in outcomes.iter().filter_map(|it| it.problem.as_ref()) {
            *problems.entry(problem.clone()).or_insert(0) += 1;
        }
        Self {
            commands: Interval::of(&valids(outcomes, Want::Command), seed),
            verbs: Interval::of(&rights(outcomes, Want::Command), seed),
            paths: Interval::of(&rights(outcomes, Want::Path), seed),
            verdicts: Interval::of(&rights(outcomes, Want::Verdict), seed),
            problems,
        }
    }
}

/// 1 for every right outcome of a sort, 0 for the others, in their order.
pub fn rights(outcomes: &[Outcome], want: Want) -> Vec<f64> {
    ones(outcomes, want, |it| it.right)
}

/// 1 for every valid outcome of a sort, right or not, 0 for the others, in their order.
pub fn valids(outcomes: &[Outcome], want: Want) -> Vec<f64> {
    ones(outcomes, want, |it| it.valid)
}

fn ones(outcomes: &[Outcome], want: Want, is: fn(&Outcome) -> bool) -> Vec<f64> {
    let of_sort = outcomes.iter().filter(|it| it.want == want);
    of_sort.map(|it| f64::from(u8::from(is(it)))).collect()
}
