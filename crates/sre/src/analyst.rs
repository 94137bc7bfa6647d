//! The Analyst asks a language model about an incident: who is at fault and why, as distributions
//! over the closed lists, and then, with both decided, what the evidence is and what to do. The model
//! only ever chooses among what exists; how sure an answer is, is computed and not written by it.

use crate::Error;
use crate::action::ActionKind;
use crate::answer::{Answer, MOST_CITED, NO_SERVICE, Said};
use crate::cause::Cause;
use crate::evidence::{Options, Pack};
use crate::fusion::{Heard, Pair, Suspects, Weights, pairs, shares};
use crate::incident::Incident;
use crate::sign::telling;
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

/// Lines with signs of the cause that are cited whether or not the model cites them.
const MOST_TOLD: usize = 3;

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
    /// How much ranking, signs and model say where they are fused; without it the model is alone.
    pub weights: Option<Weights>,
    /// A fault that is the likeliest cause and less probable than this is not named: the cause is
    /// then [`Cause::Unknown`], and [`Answer::below_threshold`] keeps the fault. 0 names them all.
    pub threshold: f64,
    /// The time that writing the answer may take.
    pub deadline: Option<Duration>,
}

/// How probable is what can be answered.
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
    /// The model's own: a cause is as probable as the sum over the likeliest services of p(service)
    /// p(cause | service).
    pub fn alone(heard: &Heard, offered: &[Cause]) -> Self {
        let asked = &heard.services[..heard.services.len().min(SERVICES_ASKED)];
        let covered: f64 = asked.iter().map(|(_, share)| share).sum();
        let joint = asked.iter().filter_map(|(label, share)| {
            let (_, shares) = heard.causes.iter().find(|(known, _)| known == label)?;
            let joint = shares.iter().map(|value| value * share / covered).collect::<Vec<f64>>();
            Some((label.clone(), joint))
        });
        Self::of(joint.collect(), heard.services.clone(), offered)
    }

    /// That of ranking, signs and, where one was asked, a model.
    pub fn fused(pairs: &[Pair], weights: &Weights, offered: &[Cause]) -> Self {
        let mut services: Vec<(String, f64)> = Vec::new();
        let mut joint: Vec<(String, Vec<f64>)> = Vec::new();
        for (pair, share) in pairs.iter().zip(shares(pairs, weights)) {
            // The pairs of a service stand together.
            if joint.last().is_none_or(|(label, _)| *label != pair.label) {
                services.push((pair.label.clone(), 0.0));
                joint.push((pair.label.clone(), vec![0.0; offered.len()]));
            }
            let place = offered.iter().position(|cause| *cause == pair.cause);
            if let (Some(place), Some(service), Some((_, row))) =
                (place, services.last_mut(), joint.last_mut())
            {
                service.1 += share;
                row[place] += share;
            }
        }
        services.sort_by(|a, b| b.1.total_cmp(&a.1));
        Self::of(joint, services, offered)
    }

    /// From how probable each cause is with each service.
    fn of(joint: Vec<(String, Vec<f64>)>, services: Vec<(String, f64)>, offered: &[Cause]) -> Self {
        let total = |place: usize| joint.iter().map(|(_, row)| row[place]).sum::<f64>();
        let mut causes: Vec<(Cause, f64)> =
            offered.iter().enumerate().map(|(place, cause)| (*cause, total(place))).collect();
        causes.sort_by(|a, b| b.1.total_cmp(&a.1));
        let place = causes.first().and_then(|(first, _)| offered.iter().position(|it| it == first));
        let with = |place: usize| {
            joint.iter().max_by(|a, b| a.1[place].total_cmp(&b.1[place])).map(|(label, _)| label)
        };
        let service = place.and_then(with).map_or(NO_SERVICE, |label| label);
        Self { service: service.to_owned(), causes, services }
    }

    /// The likeliest cause.
    pub fn cause(&self) -> Cause {
        self.causes.first().map_or(Cause::Unknown, |(cause, _)| *cause)
    }

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
    /// What the ranking says.
    pub suspects: Suspects,
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
        let suspects = Suspects::of(incident, pack);
        let opinion = self.weigh(pack, &suspects)?;
        self.propose(incident, pack, (&opinion, &suspects), &[])
    }

    /// The checked answer for an opinion, with an action that is none of `without`.
    ///
    /// # Errors
    /// As [`Analyst::diagnose`].
    pub fn propose(
        &mut self,
        incident: &Incident,
        pack: &Pack,
        (opinion, suspects): (&Opinion, &Suspects),
        without: &[ActionKind],
    ) -> Result<Diagnosis, AnalystError> {
        let (said, tokens) = self.answer(pack, opinion, without)?;
        let mut answer = Answer::check(&said, opinion.confidence(), pack, incident)?;
        if self.weights.is_some() {
            // What shows the signs of the cause comes first, then what else the model cites.
            let told = telling(said.cause, &said.service, pack).into_iter().take(MOST_TOLD);
            let rest = std::mem::take(&mut answer.evidence);
            answer.evidence = told.map(str::to_owned).collect();
            for id in rest {
                if answer.evidence.len() < MOST_CITED && !answer.evidence.contains(&id) {
                    answer.evidence.push(id);
                }
            }
        }
        let answer = answer.held_to(self.threshold, opinion.share(Cause::Unknown), incident);
        let Opinion { causes, services, .. } = opinion.clone();
        Ok(Diagnosis { answer, said, causes, services, suspects: suspects.clone(), tokens })
    }

    /// Weighs what can be answered: the model alone, or with the ranking and the signs where there
    /// are weights for that.
    ///
    /// # Errors
    /// As [`Analyst::diagnose`].
    pub fn weigh(&mut self, pack: &Pack, suspects: &Suspects) -> Result<Opinion, AnalystError> {
        let Some(weights) = self.weights else {
            let heard = self.hear(pack, &Suspects::default())?;
            return Ok(Opinion::alone(&heard, self.causes));
        };
        let heard = self.hear(pack, suspects)?;
        let pairs = pairs(pack, self.causes, suspects, Some(&heard));
        Ok(Opinion::fused(&pairs, &weights, self.causes))
    }

    /// Asks how probable each service is, and each cause with the services that are likeliest or
    /// most suspect.
    ///
    /// # Errors
    /// As [`Analyst::diagnose`].
    pub fn hear(&mut self, pack: &Pack, suspects: &Suspects) -> Result<Heard, AnalystError> {
        let prompt = (self.frame)(&pack.prompt)?;
        let services = self.services(&prompt, pack)?;
        let likeliest = services.iter().take(SERVICES_ASKED).map(|(label, _)| label.as_str());
        let mut asked: Vec<&str> = likeliest.collect();
        for label in suspects.first() {
            if !asked.contains(&label) {
                asked.push(label);
            }
        }
        let names: Vec<String> = self.causes.iter().map(|it| it.name().to_owned()).collect();
        let mut causes = Vec::with_capacity(asked.len());
        for label in asked {
            let written = format!("{}{label}{}", Said::BEFORE_SERVICE, Said::BEFORE_CAUSE);
            let shares = self.choose(&prompt, &written, &names, Said::BEHIND_CAUSE)?;
            causes.push((label.to_owned(), shares));
        }
        Ok(Heard { services, causes })
    }

    /// Lets the model cite and propose, with service and cause as the opinion has them. Also says
    /// how many tokens the prompt and the answer have. Of actions none of `without` can be named.
    ///
    /// # Errors
    /// As [`Analyst::diagnose`].
    pub fn answer(
        &mut self,
        pack: &Pack,
        opinion: &Opinion,
        without: &[ActionKind],
    ) -> Result<(Said, (usize, usize)), AnalystError> {
        let cause = opinion.cause();
        let mut schema = Said::schema(pack, self.causes);
        pin(&mut schema, "service", &opinion.service);
        pin(&mut schema, "cause", cause.name());
        if !cause.is_fault() {
            // Nothing is to be done about what is not there or not known.
            pin(&mut schema, "action", cause.remedy().name());
        } else if !without.is_empty() {
            let left = ActionKind::ALL.into_iter().filter(|it| !without.contains(it));
            schema["properties"]["action"] =
                json!({ "enum": left.map(ActionKind::name).collect::<Vec<_>>() });
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
