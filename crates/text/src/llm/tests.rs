use super::*;

/// A model that repeats its prompt one character at a time.
struct Echo;

impl Llm for Echo {
    fn generate_streaming(
        &mut self,
        request: &GenerateRequest,
        sink: &mut dyn FnMut(&str),
    ) -> Result<Completion, LlmError> {
        request.check()?;
        let Prompt::Text(text) = &request.prompt else {
            return Err(LlmError::Model("this model reads only text".into()));
        };
        for character in text.chars() {
            sink(character.encode_utf8(&mut [0; 4]));
        }
        Ok(Completion {
            text: text.clone(),
            prompt_tokens: text.len(),
            completion_tokens: text.len(),
            finish_reason: FinishReason::EndOfText,
        })
    }

    fn distribution(
        &mut self,
        _prompt: &Prompt,
        _written: &str,
        values: &[&str],
    ) -> Result<Vec<f64>, LlmError> {
        check_values(values)?;
        Ok(normalized(&vec![0.0; values.len()]))
    }

    fn loglikelihood(&mut self, _: &str, continuation: &str) -> Result<LogLikelihood, LlmError> {
        Ok(LogLikelihood { sum: 0.0, tokens: continuation.len(), greedy: true })
    }
}

fn request() -> GenerateRequest {
    GenerateRequest {
        prompt: Prompt::Text("pod évicted".to_owned()),
        max_tokens: 20,
        sampling: Sampling::GREEDY,
        stop: vec!["\n".to_owned()],
        schema: None,
        deadline: None,
    }
}

#[test]
fn streamed_pieces_are_the_completion_and_the_trait_is_object_safe() {
    let model: &mut dyn Llm = &mut Echo;
    let mut streamed = String::new();
    let completion =
        model.generate_streaming(&request(), &mut |piece| streamed.push_str(piece)).unwrap();
    assert_eq!(streamed, completion.text);
    assert_eq!(model.generate(&request()).unwrap(), completion);
}

#[test]
fn settings_without_meaning_are_named() {
    type Change = fn(&mut GenerateRequest);
    let cases: [(Change, &str); 10] = [
        (
            |r| r.deadline = Some(Duration::from_millis(50)),
            "deadline is 50ms, expected none without a schema",
        ),
        (|r| r.max_tokens = 0, "max_tokens is 0, expected at least 1"),
        (|r| r.sampling.temperature = -1.0, "temperature is -1, expected a number from 0 up"),
        (|r| r.sampling.temperature = f32::NAN, "temperature is NaN, expected a number from 0 up"),
        (|r| r.sampling.top_k = Some(0), "top_k is 0, expected at least 1, or none"),
        (|r| r.sampling.top_p = 0.0, "top_p is 0, expected above 0 and at most 1"),
        (|r| r.sampling.top_p = f32::NAN, "top_p is NaN, expected above 0 and at most 1"),
        (|r| r.sampling.min_p = 1.5, "min_p is 1.5, expected from 0 to 1"),
        (
            |r| r.sampling.repetition_penalty = 0.0,
            "repetition_penalty is 0, expected a number above 0",
        ),
        (|r| r.stop.push(String::new()), "stop is \"\", expected strings that are not empty"),
    ];
    request().check().unwrap();
    for (change, expected) in cases {
        let mut changed = request();
        change(&mut changed);
        assert_eq!(changed.check().unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_distribution_is_normalized_whatever_the_scale() {
    let shares = normalized(&[-1000.0, -1000.0 + 2f64.ln(), f64::NEG_INFINITY]);
    assert!((shares[0] - 1.0 / 3.0).abs() < 1e-12 && (shares[1] - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(shares[2], 0.0);
}

#[test]
fn values_that_have_no_distribution_are_refused() {
    let error = check_values(&["x", ""]).unwrap_err().to_string();
    assert_eq!(error, "values is [\"x\", \"\"], expected at least one, none of them empty");
    assert!(check_values(&[]).is_err());
    check_values(&["x", "yy"]).unwrap();
}
