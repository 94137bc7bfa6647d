use super::*;
use text::llm::{Completion, GenerateRequest, LogLikelihood, Prompt};

/// Finds every byte as likely as any other.
struct Uniform;

impl Llm for Uniform {
    fn generate_streaming(
        &mut self,
        _: &GenerateRequest,
        _: &mut dyn FnMut(&str),
    ) -> Result<Completion, LlmError> {
        unreachable!("only likelihoods are asked for")
    }

    fn loglikelihood(&mut self, context: &str, text: &str) -> Result<LogLikelihood, LlmError> {
        assert_eq!(context, "");
        let sum = -(text.len() as f64) * libm::log(256.0);
        Ok(LogLikelihood { sum, tokens: text.len(), greedy: false })
    }

    fn distribution(&mut self, _: &Prompt, _: &str, _: &[&str]) -> Result<Vec<f64>, LlmError> {
        unreachable!("only likelihoods are asked for")
    }
}

#[test]
fn a_model_that_knows_nothing_loses_the_logarithm_of_its_vocabulary() {
    let texts = ["one line\nand another\n".to_owned(), String::new(), "x".repeat(50)];
    let loss = loss(&mut Uniform, "test", &texts, 16).unwrap();
    assert_eq!(loss.tokens, 21 + 50);
    assert!((loss.per_token - libm::log(256.0)).abs() < 1e-12);
    assert_eq!(loss.texts, 2 + 4);
}

#[test]
fn pieces_are_whole_lines_and_lose_nothing() {
    let text = "first\nsecond line\n\nééééééééééé\nlast";
    for most in [1, 2, 5, 8, 13, 100] {
        let cut = pieces(text, most);
        assert_eq!(cut.concat(), text, "{most}");
        assert!(cut.iter().all(|it| it.len() <= most.max(2) && !it.is_empty()), "{most}: {cut:?}");
    }
    assert_eq!(pieces(text, 20)[0], "first\nsecond line\n\n");
    assert!(pieces("", 5).is_empty());
}
