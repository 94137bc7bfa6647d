//! The Analyst asks a language model about an incident: who is at fault and why, as distributions
//! over the closed lists, and then, with both decided, what the evidence is and what to do. The model
//! only ever chooses among what exists; how sure an answer is, is computed and not written by it.

use crate::Error;
use crate::answer::{Answer, NO_SERVICE, Said};
use crate::cause::Cause;
use crate::evidence::{Options, Pack};
use crate::incident::Incident;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use text::grammar::{Grammar, Vocabulary};
use text::llm::{GenerateRequest, Llm, LlmError, Prompt, Sampling};

#[cfg(test)]
mod tests;

/// Services for which the causes are asked for one by one; the rest of the probability is spread
/// over them.
const SERVICES_ASKED: usize = 3;

/// Most tokens of an answer: service and cause, a handful of ids, and an action.
const ANSWER_TOKENS: usize = 200;

/// A model and how it is talked to.
pub struct Analyst<'a> {
    /// The model.
    pub llm: &'a mut dyn Llm,
    /// The bytes of its tokens.
    pub vocabulary: &'a Arc<Vocabulary>,
    /// Turns the user's text into what the model reads: its chat template.
    pub frame: &'a dyn Fn(&str) -> Result<Prompt, LlmError>,
    /// The causes that are offered.
    pub causes: &'a [Cause],
    /// A fault that is the likeliest cause and less probable than this is not named: the cause is
    /// then [`Cause::Unknown`], and [`Answer::below_threshold`] keeps the fault. 0 names them all.
    pub threshold: f64,
    /// The time that writing the answer may take.
    pub deadline: Option<Duration>,
}

/// How probable the model finds what can be answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Opinion {
    /// The label with which the likeliest cause is most probable, or [`NO_SERVICE`].
    pub service: String,
    /// Every offered cause and its probability, the likeliest first.
    pub causes: Vec<(Cause, f64)>,
    /// Every label of a service and [`NO_SERVICE`] with its probability, the likeliest first.
    pub services: Vec<(String, f64)>,
}

impl Opinion {
    /// The probability of the likeliest cause.
    pub fn confidence(&self) -> f64 {
        self.causes.first().map_or(0.0, |(_, share)| *share)
    }

    /// The probability of a cause; 0 where it was not offered.
    fn share(&self, cause: Cause) -> f64 {
        self.causes.iter().find(|(it, _)| *it == cause).map_or(0.0, |(_, share)| *share)
    }
}

/// What the model makes of an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// The checked answer.
    pub answer: Answer,
    /// What the model said, in labels.
    pub said: Said,
    /// Every offered cause and its probability, the likeliest first.
    pub causes: Vec<(Cause, f64)>,
    /// Every label of a service and [`NO_SERVICE`] with its probability, the likeliest first.
    pub services: Vec<(String, f64)>,
    /// Tokens of the prompt and of the answer.
    pub tokens: (usize, usize),
}

/// Why there is no diagnosis.
#[derive(Debug, thiserror::Error)]
pub enum AnalystError {
    /// The incident or the answer is at fault.
    #[error(transparent)]
    Sre(#[from] Error),
    /// The schema could not be compiled.
    #[error(transparent)]
    Text(#[from] text::Error),
    /// The model failed.
    #[error(transparent)]
    Llm(#[from] LlmError),
}

/// The pack of an incident in a budget of tokens, where counting them may fail; with `excerpts`
/// messages are quoted ([`Options::excerpts`]).
///
/// # Errors
/// [`Error::Incident`] as [`Pack::new`], or text that cannot be counted.
pub fn pack(
    incident: &Incident,
    budget: usize,
    causes: &[Cause],
    excerpts: bool,
    tokens: &dyn Fn(&str) -> text::Result<usize>,
) -> Result<Pack, AnalystError> {
    let failed = RefCell::new(None);
    let count = |text: &str| {
        tokens(text).unwrap_or_else(|error| {
            *failed.borrow_mut() = Some(error);
            usize::MAX
        })
    };
    let pack = Pack::new(incident, &Options { budget, causes, tokens: &count, excerpts });
    match failed.take() {
        Some(error) => Err(error.into()),
        None => Ok(pack?),
    }
}

impl Analyst<'_> {
    /// Diagnoses an incident of which `pack` is shown.
    ///
    /// # Errors
    /// A prompt that does not fit the model, or a failure of the model.
    pub fn diagnose(
        &mut self,
        incident: &Incident,
        pack: &Pack,
    ) -> Result<Diagnosis, AnalystError> {
        let opinion = self.weigh(pack)?;
        let (said, tokens) = self.answer(pack, &opinion)?;
        let answer = Answer::check(&said, opinion.confidence(), pack, incident)?;
        let answer = answer.held_to(self.threshold, opinion.share(Cause::Unknown), incident);
        let Opinion { causes, services, .. } = opinion;
        Ok(Diagnosis { answer, said, causes, services, tokens })
    }

    /// Asks how probable each service and each cause is.
    ///
    /// # Errors
    /// As [`Analyst::diagnose`].
    pub fn weigh(&mut self, pack: &Pack) -> Result<Opinion, AnalystError> {
        let prompt = (self.frame)(&pack.prompt)?;
        let services = self.services(&prompt, pack)?;
        let (causes, by_service) = self.causes(&prompt, &services)?;
        let cause = causes.first().map_or(Cause::Unknown, |(cause, _)| *cause);
        let service = most_likely_with(cause, &by_service, self.causes);
        let service = service.unwrap_or_else(|| NO_SERVICE.to_owned());
        Ok(Opinion { service, causes, services })
    }

    /// Lets the model cite and propose, with service and cause as the opinion has them. Also says
    /// how many tokens the prompt and the answer have.
    ///
    /// # Errors
    /// As [`Analyst::diagnose`].
    pub fn answer(
        &mut self,
        pack: &Pack,
        opinion: &Opinion,
    ) -> Result<(Said, (usize, usize)), AnalystError> {
        let cause = opinion.causes.first().map_or(Cause::Unknown, |(cause, _)| *cause);
        let mut schema = Said::schema(pack, self.causes);
        pin(&mut schema, "service", &opinion.service);
        pin(&mut schema, "cause", cause.name());
        if !cause.is_fault() {
            // Nothing is to be done about what is not there or not known.
            pin(&mut schema, "action", cause.remedy().name());
        }
        let grammar = Grammar::json(&schema, self.vocabulary)?;
        let completion = self.llm.generate(&GenerateRequest {
            prompt: (self.frame)(&pack.prompt)?,
            max_tokens: ANSWER_TOKENS,
            sampling: Sampling::GREEDY,
            stop: Vec::new(),
            schema: Some(grammar),
            deadline: self.deadline,
        })?;
        let tokens = (completion.prompt_tokens, completion.completion_tokens);
        Ok((Said::parse(&completion.text)?, tokens))
    }

    /// How probable each label is as the service at fault.
    fn services(
        &mut self,
        prompt: &Prompt,
        pack: &Pack,
    ) -> Result<Vec<(String, f64)>, AnalystError> {
        let mut labels = pack.labels();
        labels.push(NO_SERVICE.to_owned());
        let shares = self.choose(prompt, Said::BEFORE_SERVICE, &labels, Said::BEHIND_SERVICE)?;
        let mut services: Vec<_> = labels.into_iter().zip(shares).collect();
        services.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(services)
    }

    /// How probable each cause is, whichever service is at fault: the sum over the likeliest
    /// services of p(service) p(cause | service); and those products by service.
    #[allow(clippy::type_complexity, reason = "a list and the table that it is the sum of")]
    fn causes(
        &mut self,
        prompt: &Prompt,
        services: &[(String, f64)],
    ) -> Result<(Vec<(Cause, f64)>, Vec<(String, Vec<f64>)>), AnalystError> {
        let names: Vec<String> = self.causes.iter().map(|it| it.name().to_owned()).collect();
        let asked = &services[..services.len().min(SERVICES_ASKED)];
        let covered: f64 = asked.iter().map(|(_, share)| share).sum();
        let mut total = vec![0.0; names.len()];
        let mut by_service = Vec::new();
        for (label, share) in asked {
            let written = format!("{}{label}{}", Said::BEFORE_SERVICE, Said::BEFORE_CAUSE);
            let mut shares = self.choose(prompt, &written, &names, Said::BEHIND_CAUSE)?;
            for (total, value) in total.iter_mut().zip(&mut shares) {
                *value *= share / covered;
                *total += *value;
            }
            by_service.push((label.clone(), shares));
        }
        let mut causes: Vec<_> = self.causes.iter().copied().zip(total).collect();
        causes.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok((causes, by_service))
    }

    fn choose(
        &mut self,
        prompt: &Prompt,
        written: &str,
        values: &[String],
        behind: &str,
    ) -> Result<Vec<f64>, AnalystError> {
        let ended: Vec<String> = values.iter().map(|value| format!("{value}{behind}")).collect();
        let ended: Vec<&str> = ended.iter().map(String::as_str).collect();
        Ok(self.llm.distribution(prompt, written, &ended)?)
    }
}

/// Leaves one value to a property.
fn pin(schema: &mut Value, property: &str, value: &str) {
    schema["properties"][property] = json!({ "enum": [value] });
}

/// The label with which this cause is most probable.
fn most_likely_with(
    cause: Cause,
    by_service: &[(String, Vec<f64>)],
    causes: &[Cause],
) -> Option<String> {
    let place = causes.iter().position(|it| *it == cause)?;
    let best = by_service.iter().max_by(|a, b| a.1[place].total_cmp(&b.1[place]))?;
    Some(best.0.clone())
}
