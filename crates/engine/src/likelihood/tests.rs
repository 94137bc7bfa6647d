use crate::EngineOptions;
use crate::tests::{CONTEXT, Rig, drain, request, tokenizer, warm};
use model::Base;
use ops::Numerics;
use text::llm::{Llm, LlmError, LogLikelihood, Prompt, Sampling};
use text::tokenizer::Tokenizer;

fn ids(count: usize) -> Vec<u32> {
    (0..count as u32).map(|i| 2 + i * 37 % 120).collect()
}

/// The same from all logits of the training forward, by the plain formula.
fn expected(rig: &mut Rig, ids: &[u32], scored: usize) -> LogLikelihood {
    let vocab = rig.model.config().vocab;
    let all = rig.all_logits(ids);
    let mut likelihood = LogLikelihood { sum: 0.0, tokens: 0, greedy: true };
    for index in scored..ids.len() {
        let row = &all[(index - 1) * vocab..][..vocab];
        let own = row[ids[index] as usize];
        likelihood.sum -= row.iter().map(|&l| f64::from(l - own).exp()).sum::<f64>().ln();
        likelihood.greedy &= row.iter().all(|&l| l <= own);
        likelihood.tokens += 1;
    }
    likelihood
}

#[test]
fn it_is_the_sum_over_the_training_forward() {
    // More scored tokens than a pass has rows, contexts longer than a chunk, and the shortest ones.
    for chunk in [1, 7, 512] {
        let options = EngineOptions { slots: 1, context: CONTEXT, prefill_chunk: chunk };
        let mut rig = Rig::golden(Numerics::F32, Base::Nf4Double, options);
        for (total, scored) in [(2, 1), (CONTEXT, 1), (CONTEXT, 30), (50, 49), (40, 8)] {
            let ids = ids(total);
            let expected = expected(&mut rig, &ids, scored);
            let got = rig.engine(None).loglikelihood_of(&ids[..scored], &ids[scored..]).unwrap();
            assert!((got.sum - expected.sum).abs() < 1e-6, "{chunk} {total}: {got:?} {expected:?}");
            assert_eq!((got.tokens, got.greedy), (expected.tokens, expected.greedy));
            assert!(got.sum < 0.0);
        }
    }
}

#[test]
fn greedy_says_whether_generation_would_have_said_it() {
    let mut rig = Rig::golden(Numerics::Bf16, Base::Nf4, EngineOptions::new(2, CONTEXT));
    let mut engine = rig.engine(None);
    let prompt = ids(9);
    let id = engine.submit(&request(&prompt, 12, Sampling::GREEDY)).unwrap();
    let mut said = drain(&mut engine, &[id]).remove(0).ids;
    assert!(said.len() > 2);
    assert!(engine.loglikelihood_of(&prompt, &said).unwrap().greedy);
    *said.last_mut().unwrap() ^= 1;
    assert!(!engine.loglikelihood_of(&prompt, &said).unwrap().greedy);
}

/// Scoring waits for a slot, and neither side notices the other.
#[test]
fn scoring_goes_between_running_requests() {
    let mut rig = Rig::golden(Numerics::F32, Base::AsStored, EngineOptions::new(2, CONTEXT));
    let ids = ids(30);
    let requests: Vec<_> = (0..4).map(|seed| request(&ids[..5], 6, warm(seed))).collect();
    let (alone, alone_score) = {
        let mut engine = rig.engine(None);
        let named: Vec<_> = requests.iter().map(|r| engine.submit(r).unwrap()).collect();
        let outcomes = drain(&mut engine, &named);
        (outcomes, engine.loglikelihood_of(&ids[..10], &ids[10..]).unwrap())
    };
    let mut engine = rig.engine(None);
    let named: Vec<_> = requests.iter().map(|r| engine.submit(r).unwrap()).collect();
    let first = engine.step().unwrap();
    assert_eq!(first.len(), 2);
    let score = engine.loglikelihood_of(&ids[..10], &ids[10..]).unwrap();
    assert_eq!(score, alone_score);
    let rest = drain(&mut engine, &named);
    for (rest, alone) in rest.iter().zip(&alone) {
        assert_eq!(rest.completion, alone.completion);
        assert!(alone.ids.ends_with(&rest.ids));
    }
}

#[test]
fn text_is_split_where_the_continuation_begins() {
    let tokenizer = tokenizer();
    let mut rig = Rig::random(EngineOptions::new(1, CONTEXT));
    for (context, continuation) in
        [("the pod", " restarted"), ("the po", "d restarted"), ("", "the queue"), ("é", "日")]
    {
        let whole = format!("{context}{continuation}");
        let mut ids = vec![tokenizer.bos()];
        ids.extend(tokenizer.encode(&whole).unwrap());
        let in_context = |n: &usize| context.starts_with(&tokenizer.decode(&ids[..*n]));
        let scored = (1..=ids.len()).rfind(in_context).unwrap();
        let expected = expected(&mut rig, &ids, scored);
        let llm: &mut dyn Llm = &mut rig.engine(Some(&tokenizer));
        let got = llm.loglikelihood(context, continuation).unwrap();
        assert!((got.sum - expected.sum).abs() < 1e-6, "{whole}: {got:?} {expected:?}");
        assert_eq!(got.tokens, expected.tokens, "{whole}");
        assert!(got.tokens > 0);
    }
    let llm: &mut dyn Llm = &mut rig.engine(Some(&tokenizer));
    let nothing = LogLikelihood { sum: 0.0, tokens: 0, greedy: true };
    assert_eq!(llm.loglikelihood("the pod", "").unwrap(), nothing);
    let error = llm.loglikelihood("the", &" zq".repeat(60)).unwrap_err();
    assert!(matches!(error, LlmError::PromptTooLong { context: CONTEXT, .. }), "{error}");
}

#[test]
fn bad_input_is_refused() {
    let mut rig = Rig::golden(Numerics::F32, Base::AsStored, EngineOptions::new(1, 8));
    let mut engine = rig.engine(None);
    let mut check = |context: &[u32], continuation: &[u32], expected: &str| {
        let error = engine.loglikelihood_of(context, continuation).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(&[], &[1], "prompt is empty, expected at least one token");
    check(
        &[2, 3],
        &[4, 128],
        "token 3 is 128, outside of the vocabulary of 128\nhint: use the tokenizer \
         that belongs to the model",
    );
    check(
        &[2, 3],
        &[4; 7],
        "the prompt has 2 tokens and needs room for 7 more, the context holds 8\nhint: shorten the \
         prompt or use a longer context",
    );
    let error = engine.loglikelihood("a", "b").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the model failed: a text cannot be used without a tokenizer\nhint: give the prompt as \
         token ids"
    );
    // The context is full to the last token.
    assert_eq!(engine.loglikelihood_of(&[2, 3], &[4; 6]).unwrap().tokens, 6);
}

/// Reading the prompt once changes no bit.
#[test]
fn a_distribution_has_the_bits_of_single_scores() {
    let tokenizer = tokenizer();
    let values = ["queue\"", "pod\"", "queue again\"", "the cause was the queue\""];
    let (prompt, written) = ("the pod restarted and the queue grew. ", "{\"cause\":\"");
    for (slots, chunk) in [(1, 1), (2, 1), (1, 7), (3, 7), (2, 512), (6, 512)] {
        let options = EngineOptions { slots, context: CONTEXT, prefill_chunk: chunk };
        let mut rig = Rig::random(options);
        let llm: &mut dyn Llm = &mut rig.engine(Some(&tokenizer));
        let context = format!("{prompt}{written}");
        let sums = values.map(|value| llm.loglikelihood(&context, value).unwrap().sum);
        let expected = text::llm::normalized(&sums);
        let asked = Prompt::Text(prompt.to_owned());
        let got = llm.distribution(&asked, written, &values).unwrap();
        assert_eq!(
            got.iter().map(|p| p.to_bits()).collect::<Vec<_>>(),
            expected.iter().map(|p| p.to_bits()).collect::<Vec<_>>()
        );
        assert!((got.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(llm.distribution(&asked, written, &[]).is_err());
        let long = " zq".repeat(60);
        let error = llm.distribution(&asked, written, &["a", &long]).unwrap_err();
        assert!(matches!(error, LlmError::PromptTooLong { context: CONTEXT, .. }), "{error}");
    }
}

/// A tokenizer may join the end of what is written with the start of one value alone, as one that has
/// read answers without a service does with `":"-`. That token competes with the others' first ones.
#[test]
fn a_distribution_is_over_the_tokens_of_whole_texts() {
    let texts = [r#""a":"-","b" "#.repeat(50), r#""a":"s","b":"q" "#.repeat(50)];
    let tokenizer = Tokenizer::train_bpe(texts.into_iter().map(Ok), 280).unwrap();
    let (written, values) = (r#"{"a":""#, [r#"-","b"#, r#"s","b"#]);
    let whole = values.map(|value| tokenizer.encode(&format!("{written}{value}")).unwrap());
    let alike = whole[0].iter().zip(&whole[1]).take_while(|(a, b)| a == b).count();
    let written_alone = tokenizer.encode(written).unwrap();
    assert!(alike < written_alone.len(), "a token reaches from what is written into a value");
    let mut rig = Rig::random(EngineOptions { slots: 2, context: CONTEXT, prefill_chunk: 8 });
    let mut engine = rig.engine(Some(&tokenizer));
    let head = [tokenizer.bos()];
    let sums = whole.map(|ids| {
        let context = [&head, &ids[..alike]].concat();
        engine.loglikelihood_of(&context, &ids[alike..]).unwrap().sum
    });
    let got = engine.distribution(&Prompt::Ids(head.to_vec()), written, &values).unwrap();
    assert_eq!(got, text::llm::normalized(&sums));
    // Without a prompt there is nothing that the first token could follow.
    let error = engine.distribution(&Prompt::Ids(Vec::new()), "", &["-", "s"]).unwrap_err();
    assert!(error.to_string().contains("prompt is empty"), "{error}");
}

/// What a chat template renders to ends before the answer, which is encoded by itself.
#[test]
fn after_ids_the_answer_is_encoded_by_itself() {
    let tokenizer = tokenizer();
    let ids = [vec![tokenizer.bos()], tokenizer.encode("the pod rest").unwrap()].concat();
    let options = EngineOptions { slots: 1, context: CONTEXT, prefill_chunk: 8 };
    let mut rig = Rig::random(options);
    let mut engine = rig.engine(Some(&tokenizer));
    // In one text with the prompt, "arted" would belong to a token of it.
    let score = |engine: &mut crate::Engine<'_, _>, value: &str| {
        engine.loglikelihood_of(&ids, &tokenizer.encode(value).unwrap()).unwrap().sum
    };
    let sums = [score(&mut engine, "arted"), score(&mut engine, "queue")];
    let got = engine.distribution(&Prompt::Ids(ids.clone()), "", &["arted", "queue"]).unwrap();
    assert_eq!(got, text::llm::normalized(&sums));
}
