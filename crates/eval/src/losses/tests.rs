use super::*;
use text::llm::{Completion, GenerateRequest, LogLikelihood, Prompt};

/// Finds every byte as likely as any other of so many.
struct Uniform(f64);

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
        let sum = -(text.len() as f64) * libm::log(self.0);
        Ok(LogLikelihood { sum, tokens: text.len(), greedy: false })
    }

    fn distribution(&mut self, _: &Prompt, _: &str, _: &[&str]) -> Result<Vec<f64>, LlmError> {
        unreachable!("only likelihoods are asked for")
    }
}

#[test]
fn a_model_that_knows_nothing_loses_the_logarithm_of_its_vocabulary() {
    let texts = ["one line\nand another\n".to_owned(), String::new(), "x".repeat(50)];
    let loss = loss(&mut Uniform(256.0), "test", &texts, 16).unwrap();
    assert_eq!(loss.tokens, 21 + 50);
    assert!((loss.per_token - libm::log(256.0)).abs() < 1e-12);
    assert_eq!(loss.texts, 2 + 4);
}

#[test]
fn models_are_compared_text_by_text() {
    let texts = ["one line\nand another\n".to_owned(), "x".repeat(50)];
    let of = |bytes: f64| loss(&mut Uniform(bytes), "test", &texts, 16).unwrap();
    let (before, after) = (of(128.0), of(256.0));
    let difference = after.minus(&before).unwrap();
    assert_eq!(difference.count, before.texts);
    // Texts differ in length, and the difference in none of them.
    for end in [difference.low, difference.mean, difference.high] {
        assert!((end - libm::log(2.0)).abs() < 1e-12, "{difference:?}");
    }
    let others = loss(&mut Uniform(128.0), "test", &texts[..1], 16).unwrap();
    assert_eq!(after.minus(&others), None);
}

#[test]
fn pieces_lose_nothing() {
    let text = "First one. Second one!\nsecond line\n\nééééééééééé\nlast? Yes.\n\n\nend";
    for most in [1, 2, 5, 8, 13, 24, 100] {
        let cut = pieces(text, most);
        assert_eq!(cut.concat(), text, "{most}");
        assert!(cut.iter().all(|it| it.len() <= most.max(2) && !it.is_empty()), "{most}: {cut:?}");
    }
    assert!(pieces("", 5).is_empty());
}

#[test]
fn pieces_end_with_paragraphs_else_with_sentences_else_with_lines() {
    for (text, most, first) in [
        ("first\nsecond line\n\nthird. Fourth", 24, "first\nsecond line\n\n"),
        // A paragraph that is less than half of a piece does not end it.
        ("Title\n\nA sentence here. And one more", 24, "Title\n\nA sentence here. "),
        ("one line\nand another without an end", 16, "one line\n"),
        ("a. bcdefghijklmnopqrstuvwxyz", 16, "a. "),
        ("abcdefghijklmnopqrstuvwxyz", 16, "abcdefghijklmnop"),
    ] {
        assert_eq!(pieces(text, most)[0], first);
    }
}
