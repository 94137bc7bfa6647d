use super::*;
use std::time::Duration;
use text::llm::{Completion, FinishReason, LlmError, LogLikelihood};

/// What reading a prompt takes.
const READING: Duration = Duration::from_millis(100);

/// Takes its time over a prompt that it has not read, and answers at once to one that it has.
#[derive(Default)]
struct Reader {
    has_read: Vec<Prompt>,
    /// Tokens that were asked for.
    asked: Vec<usize>,
}

impl Llm for Reader {
    fn generate_streaming(
        &mut self,
        request: &GenerateRequest,
        _: &mut dyn FnMut(&str),
    ) -> Result<Completion, LlmError> {
        self.asked.push(request.max_tokens);
        if !self.has_read.contains(&request.prompt) {
            std::thread::sleep(READING);
            self.has_read.push(request.prompt.clone());
        }
        Ok(Completion {
            text: String::new(),
            prompt_tokens: 3,
            completion_tokens: request.max_tokens,
            finish_reason: FinishReason::Length,
        })
    }

    fn loglikelihood(&mut self, _: &str, _: &str) -> Result<LogLikelihood, LlmError> {
        unreachable!("only texts are asked for")
    }

    fn distribution(&mut self, _: &Prompt, _: &str, _: &[&str]) -> Result<Vec<f64>, LlmError> {
        unreachable!("only texts are asked for")
    }
}

#[test]
fn the_first_token_is_timed_with_the_reading_of_its_prompt() {
    let mut reader = Reader::default();
    let found = timed(&mut reader, &Prompt::Ids(vec![1, 2, 3])).unwrap();
    assert_eq!(reader.asked, [1, 1, FREE]);
    assert!(found.cold >= READING.as_secs_f64(), "{}", found.cold);
    assert!(found.warm < READING.as_secs_f64(), "{}", found.warm);
    assert!(found.token.is_some_and(|it| it < READING.as_secs_f64()));
}
