//! Does a model know Kubernetes? It is asked for commands, for paths to fields, and whether a
//! command or a path is valid; the Kubernetes schema is the judge. No answer is compared with a
//! reference: any valid command about the kind asked for is right.

use crate::interval::Interval;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use text::kubernetes::{Form, Pair, PairOptions, Problem, Schema};
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
    Some(Task { prompt: pair.prompt, want, kind, valid })
}

/// What a model answered to a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What was asked for.
    pub want: Want,
    /// Whether the answer is right.
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
        let said = shares[0] > shares[1];
        let answer = if said { "Yes" } else { "No" }.to_owned();
        return Ok(Outcome { want: task.want, right: said == task.valid, problem: None, answer });
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

/// Judges a command or a path that a model wrote.
pub fn judge(schema: &Schema, task: &Task, text: &str) -> Outcome {
    let answer = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let problem = match task.want {
        Want::Command => command_problem(schema, task, answer),
        Want::Path => path_problem(schema, task, answer),
        Want::Verdict => None,
    };
    let answer = answer.to_owned();
    Outcome { want: task.want, right: problem.is_none(), problem, answer }
}

/// What is wrong with a command: what the schema says, or that it is about another kind.
fn command_problem(schema: &Schema, task: &Task, answer: &str) -> Option<String> {
    let command = answer.trim_matches('`');
    if let Some(finding) = schema.check_command(command, Form::Exact).first() {
        return Some(finding.problem.name().to_owned());
    }
    let words = command.split([' ', '/', ',', '.']);
    let about = words.filter_map(|word| schema.resource(word)).any(|it| it.kind == task.kind);
    (!about).then(|| OTHER_KIND.to_owned())
}

/// The mistake of a valid command about something else than what was asked.
pub const OTHER_KIND: &str = "other kind";

/// What is wrong with a path: written in backquotes, or the whole line.
fn path_problem(schema: &Schema, task: &Task, answer: &str) -> Option<String> {
    let path = answer.split('`').nth(1).unwrap_or(answer).trim();
    if path.is_empty() {
        return Some(Problem::Syntax.name().to_owned());
    }
    schema.check_field_path(&task.kind, path).err().map(|it| it.problem.name().to_owned())
}

/// What a model is worth on commands and paths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandScore {
    /// Share of valid commands about the kind asked for.
    pub commands: Option<Interval>,
    /// Share of paths that exist.
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
            commands: Interval::of(&rights(outcomes, Want::Command), seed),
            paths: Interval::of(&rights(outcomes, Want::Path), seed),
            verdicts: Interval::of(&rights(outcomes, Want::Verdict), seed),
            problems,
        }
    }
}

/// 1 for every right outcome of a sort, 0 for the others, in their order.
pub fn rights(outcomes: &[Outcome], want: Want) -> Vec<f64> {
    let of_sort = outcomes.iter().filter(|it| it.want == want);
    of_sort.map(|it| f64::from(u8::from(it.right))).collect()
}
