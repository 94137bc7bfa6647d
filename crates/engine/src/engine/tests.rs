use super::*;
use crate::tests::{CONTEXT, Outcome, Rig, drain, request, tokenizer, warm};
use model::Base;
use ops::{Isa, Numerics};
use text::llm::{FinishReason, Llm, Sampling};

mod constrained;

/// Prompts of uneven lengths, one of them longer than the small chunks and one of a single token.
fn prompts() -> Vec<Vec<u32>> {
    [5, 1, 40, 17, 24].map(|n| (0..n).map(|i| 2 + (i * 31 + n * 7) % 120).collect()).into()
}

fn options(slots: usize, prefill_chunk: usize) -> EngineOptions {
    EngineOptions { slots, context: CONTEXT, prefill_chunk }
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|logit| logit.to_bits()).collect()
}

/// Tokens of each request, and the bits of the logits that each was chosen from.
type Chains = Vec<(Vec<u32>, Vec<Vec<u32>>)>;

/// Runs all requests to their ends on one engine.
fn run(engine: &mut Engine<'_, ops::Cpu>, requests: &[GenerateRequest]) -> Chains {
    let ids: Vec<_> = requests.iter().map(|request| engine.submit(request).unwrap()).collect();
    let mut chains = vec![(Vec::new(), Vec::new()); ids.len()];
    let vocab = engine.model.config().vocab;
    while !engine.is_idle() {
        let events = engine.step().unwrap();
        let tokens = events.iter().filter_map(|event| match event {
            Event::Token { request, id } => Some((*request, *id)),
            _ => None,
        });
        // Every row of the pass gave one token, in the same order.
        assert_eq!(tokens.clone().count(), engine.picks.len());
        for ((request, id), row) in tokens.zip(engine.logits.chunks_exact(vocab)) {
            let chain = &mut chains[ids.iter().position(|it| *it == request).unwrap()];
            chain.0.push(id);
            chain.1.push(bits(row));
        }
    }
    chains
}

/// The same by the training forward over the whole sequence, token after token.
fn oracle(rig: &mut Rig, prompt: &[u32], most: usize) -> (Vec<u32>, Vec<Vec<u32>>) {
    let vocab = rig.model.config().vocab;
    let eos = rig.model.config().eos.clone();
    let (mut ids, mut chain) = (prompt.to_vec(), (Vec::new(), Vec::new()));
    while chain.0.len() < most && !chain.0.last().is_some_and(|id| eos.contains(id)) {
        let all = rig.all_logits(&ids);
        let last = &all[(ids.len() - 1) * vocab..];
        let largest = last.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let id = last.iter().position(|&logit| logit == largest).unwrap() as u32;
        chain.0.push(id);
        chain.1.push(bits(last));
        ids.push(id);
    }
    chain
}

/// Tier, numerics and base of what is compared: everything on this machine's fastest tier, and the
/// other tiers at least once.
fn cases() -> Vec<(Isa, Numerics, Base)> {
    let fastest = Isa::detect();
    let mut cases = vec![
        (fastest, Numerics::F32, Base::AsStored),
        (fastest, Numerics::Bf16, Base::AsStored),
        (fastest, Numerics::F32, Base::Nf4),
        (fastest, Numerics::Bf16, Base::Nf4Double),
        (fastest, Numerics::Int8, Base::Nf4Double),
    ];
    for isa in Isa::ALL.into_iter().filter(|isa| *isa != fastest) {
        if !isa.available() {
            crate::skip::skip(&format!("no {} on this machine", isa.name()));
            continue;
        }
        cases.extend([
            (isa, Numerics::F32, Base::Nf4),
            (isa, Numerics::Bf16, Base::Nf4Double),
            (isa, Numerics::Int8, Base::Nf4Double),
        ]);
    }
    cases
}

/// One by one, in a batch, in any chunk, and by the training forward: the same bits.
#[test]
fn greedy_generation_has_the_bits_of_the_training_forward() {
    for (isa, numerics, base) in cases() {
        let case = format!("{isa:?} {numerics:?} {base:?}");
        let requests: Vec<_> =
            prompts().iter().map(|prompt| request(prompt, 20, Sampling::GREEDY)).collect();
        let mut rig = Rig::golden_on(isa, numerics, base, options(1, 512));
        let expected: Chains =
            prompts().iter().map(|prompt| oracle(&mut rig, prompt, 20)).collect();
        assert!(expected.iter().any(|(ids, _)| ids.len() == 20));
        for (request, expected) in requests.iter().zip(&expected) {
            let alone = run(&mut rig.engine(None), std::slice::from_ref(request));
            assert!(alone[0] == *expected, "alone, {case}");
        }
        for (slots, chunk) in [(1, 1), (1, 7), (3, 1), (3, 7), (3, 512), (5, 512), (8, 7)] {
            let mut rig = Rig::golden_on(isa, numerics, base, options(slots, chunk));
            let together = run(&mut rig.engine(None), &requests);
            assert!(together == expected, "{slots} slots, chunk {chunk}, {case}");
        }
    }
}

/// A prompt that begins like what a slot holds is read from where they part, and nobody can tell.
#[test]
fn what_a_slot_holds_is_not_read_again() {
    let first: Vec<u32> = (0..40).map(|i| 2 + (i * 31) % 120).collect();
    let (mut longer, mut parted) = (first.clone(), first.clone());
    longer.extend([9, 8, 7]);
    parted[25] = 1;
    let prompts = [first.clone(), longer, parted, first[..10].to_vec(), first];
    let requests = prompts.map(|prompt| request(&prompt, 12, Sampling::GREEDY));
    for (isa, numerics, base) in cases() {
        let mut read = Vec::new();
        let mut rig = Rig::golden_on(isa, numerics, base, options(2, 512));
        let mut engine = rig.engine(None);
        let together: Chains = requests
            .iter()
            .flat_map(|one| {
                engine.submit(one).unwrap();
                let mut first = true;
                let mut events = Vec::new();
                while !engine.is_idle() {
                    events.extend(engine.step().unwrap());
                    if std::mem::take(&mut first) {
                        read.push(engine.tokens.len());
                    }
                }
                let again = run(&mut engine, std::slice::from_ref(one));
                let told: Vec<u32> = events
                    .iter()
                    .filter_map(|event| match event {
                        Event::Token { id, .. } => Some(*id),
                        _ => None,
                    })
                    .collect();
                assert_eq!(told, again[0].0);
                again
            })
            .collect();
        for (request, chain) in requests.iter().zip(&together) {
            let mut rig = Rig::golden_on(isa, numerics, base, options(1, 512));
            let alone = run(&mut rig.engine(None), std::slice::from_ref(request));
            assert!(alone[0] == *chain, "{isa:?} {numerics:?} {base:?}");
        }
        // The longest beginning that a slot holds counts, also where it then goes on differently.
        assert_eq!(read, [40, 3, 15, 1, 30]);
    }
}

#[test]
fn sampling_depends_on_the_request_alone() {
    let requests: Vec<_> =
        (0..).zip(prompts()).map(|(seed, prompt)| request(&prompt, 30, warm(seed))).collect();
    let run_with = |slots, chunk, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut rig = Rig::golden(Numerics::Bf16, Base::Nf4, options(slots, chunk));
            run(&mut rig.engine(None), &requests)
        })
    };
    let alone = run_with(1, 512, 1);
    assert!(alone == run_with(1, 512, 2), "threads");
    assert!(alone == run_with(5, 7, 2), "batch");
    assert!(alone == run_with(2, 1, 1), "two at a time");
    let mut rig = Rig::golden(Numerics::Bf16, Base::Nf4, options(4, 512));
    let prompt = &prompts()[3];
    let seeds = [7, 7, 8].map(|seed| request(prompt, 30, warm(seed)));
    let chains = run(&mut rig.engine(None), &seeds);
    assert!(chains[0] == chains[1]);
    assert_ne!(chains[0].0, chains[2].0);
}

#[test]
fn a_full_queue_drains_in_order_and_slots_are_used_again() {
    let mut rig = Rig::golden(Numerics::F32, Base::AsStored, options(2, 8));
    let mut engine = rig.engine(None);
    let requests: Vec<_> = (0..7).map(|n| request(&[5, 6, 7], 1 + n % 3, warm(n as u64))).collect();
    let ids: Vec<_> = requests.iter().map(|request| engine.submit(request).unwrap()).collect();
    assert_eq!((engine.waiting(), engine.running()), (7, 0));
    let mut started = Vec::new();
    while !engine.is_idle() {
        for event in engine.step().unwrap() {
            if !started.contains(&event.request()) {
                started.push(event.request());
            }
        }
        assert!(engine.running() <= 2);
    }
    assert_eq!(started, ids);
    assert_eq!(engine.free.len(), 2);
    assert!(engine.step().unwrap().is_empty());
    let completions = engine.generate_batch(&requests).unwrap();
    for (completion, request) in completions.iter().zip(&requests) {
        assert_eq!(completion.prompt_tokens, 3);
        assert!(completion.completion_tokens <= request.max_tokens);
        let all = completion.completion_tokens == request.max_tokens;
        assert!(all || completion.finish_reason == FinishReason::EndOfText);
    }
}

#[test]
fn a_cancelled_request_is_gone_and_the_others_are_untouched() {
    let mut rig = Rig::golden(Numerics::F32, Base::AsStored, options(2, 8));
    let requests: Vec<_> = (0..4).map(|seed| request(&[9, 10], 12, warm(seed))).collect();
    let expected = run(&mut rig.engine(None), &requests);
    let mut engine = rig.engine(None);
    let ids: Vec<_> = requests.iter().map(|request| engine.submit(request).unwrap()).collect();
    engine.step().unwrap();
    assert!(engine.cancel(ids[0]) && engine.cancel(ids[2]));
    assert!(!engine.cancel(ids[2]));
    let outcomes = drain(&mut engine, &ids);
    assert!(outcomes[0].completion.is_none() && outcomes[2].completion.is_none());
    // The first token of request 1 came with the first pass.
    assert_eq!(outcomes[1].ids, expected[1].0[1..]);
    assert_eq!(outcomes[3].ids, expected[3].0);
    assert_eq!(engine.free.len(), 2);
}

/// A batch runs beside a request that was submitted before, whose events come afterwards.
#[test]
fn a_batch_leaves_the_events_of_others_alone() {
    let mut rig = Rig::golden(Numerics::F32, Base::AsStored, options(3, 8));
    let requests: Vec<_> = (0..3).map(|seed| request(&[9, 10], 12, warm(seed))).collect();
    let expected = run(&mut rig.engine(None), &requests);
    let mut engine = rig.engine(None);
    let other = engine.submit(&requests[0]).unwrap();
    let batch = engine.generate_batch(&requests[1..]).unwrap();
    assert_eq!(batch[0].completion_tokens, expected[1].0.len());
    let outcomes = drain(&mut engine, &[other]);
    assert_eq!(outcomes[0].ids, expected[0].0);
}

#[test]
fn the_context_caps_what_is_produced() {
    let mut rig = Rig::golden(Numerics::F32, Base::AsStored, EngineOptions::new(1, 16));
    let mut engine = rig.engine(None);
    // The likeliest token is never the end mark here; the test would notice.
    let long = request(&[9; 10], usize::MAX, Sampling::GREEDY);
    let completion = engine.generate_batch(&[long]).unwrap().remove(0);
    let expected = Completion {
        text: String::new(),
        prompt_tokens: 10,
        completion_tokens: 6,
        finish_reason: FinishReason::Length,
    };
    assert_eq!(completion, expected);
    let last = engine.generate_batch(&[request(&[9; 15], 5, Sampling::GREEDY)]).unwrap().remove(0);
    assert_eq!(last.completion_tokens, 1);
}

#[test]
fn bad_requests_are_refused_by_name() {
    let mut rig = Rig::golden(Numerics::F32, Base::AsStored, EngineOptions::new(1, 16));
    let mut engine = rig.engine(None);
    let mut check = |request: GenerateRequest, expected: &str| {
        assert_eq!(engine.submit(&request).unwrap_err().to_string(), expected);
        assert!(engine.is_idle());
    };
    check(
        request(&[9; 16], 1, Sampling::GREEDY),
        "the prompt has 16 tokens and needs room for 1 more, the context holds 16\nhint: shorten \
         the prompt or use a longer context",
    );
    check(
        request(&[9, 128], 1, Sampling::GREEDY),
        "token 1 is 128, outside of the vocabulary of 128\nhint: use the tokenizer \
         that belongs to the model",
    );
    check(request(&[], 1, Sampling::GREEDY), "prompt is empty, expected at least one token");
    check(request(&[9], 0, Sampling::GREEDY), "max_tokens is 0, expected at least 1");
    let hot = Sampling { temperature: f32::NAN, ..Sampling::GREEDY };
    check(request(&[9], 1, hot), "temperature is NaN, expected a number from 0 up");
    let plain = request(&[9], 1, Sampling::GREEDY);
    check(
        GenerateRequest { prompt: Prompt::Text("a".to_owned()), ..plain.clone() },
        "a text cannot be used without a tokenizer\nhint: give the prompt as token ids",
    );
    check(
        GenerateRequest { stop: vec!["a".to_owned()], ..plain.clone() },
        "a stop string cannot be used without a tokenizer\nhint: give the prompt as token ids",
    );
    // One bad request among good ones: nothing of the batch is left behind.
    assert!(engine.generate_batch(&[plain, request(&[], 1, Sampling::GREEDY)]).is_err());
    assert!(engine.is_idle());
}

#[test]
fn bad_options_are_refused_by_name() {
    let rig = Rig::golden(Numerics::F32, Base::AsStored, EngineOptions::new(1, 16));
    let target = ops::Target::cpu(ops::Isa::Scalar, 1);
    let check = |options: EngineOptions, expected: &str| {
        let mut dry = ops::Dry::new(target);
        let error = EngineLayout::layout(&mut dry, &rig.model, options).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let positions = "expected 2 to 96, the longest sequence of this model";
    check(EngineOptions::new(1, 97), &format!("context is 97, {positions}"));
    check(EngineOptions::new(1, 1), &format!("context is 1, {positions}"));
    check(EngineOptions::new(0, 16), "slots is 0, expected 1 to 1024");
    check(EngineOptions::new(1 << 30, 16), "slots is 1073741824, expected 1 to 1024");
    check(options(1, 0), "prefill_chunk is 0, expected 1 to 65536");
    check(options(1, 1 << 40), "prefill_chunk is 1099511627776, expected 1 to 65536");
}

/// The whole text of a sampled completion, and its outcome.
fn tell(rig: &mut Rig, tokenizer: &Tokenizer, request: &GenerateRequest) -> Outcome {
    let mut engine = rig.engine(Some(tokenizer));
    let id = engine.submit(request).unwrap();
    drain(&mut engine, &[id]).remove(0)
}

#[test]
fn stop_strings_end_the_text_wherever_tokens_end() {
    let tokenizer = tokenizer();
    let mut rig = Rig::random(options(1, 512));
    let free = GenerateRequest {
        prompt: Prompt::Text("the pod".to_owned()),
        max_tokens: 60,
        sampling: Sampling { temperature: 1.0, seed: 11, ..Sampling::GREEDY },
        stop: Vec::new(),
        schema: None,
        deadline: None,
    };
    let whole = tell(&mut rig, &tokenizer, &free);
    let completion = whole.completion.unwrap();
    assert_eq!((&completion.text, &whole.text), (&tokenizer.decode(&whole.ids), &whole.text));
    assert_eq!(completion.finish_reason, FinishReason::Length);
    let text = whole.text;
    let starts: Vec<usize> = text.char_indices().map(|(start, _)| start).collect();
    assert!(starts.len() > 30, "{text:?}");
    for length in [1, 2, 5, 9] {
        for at in (0..starts.len() - length).step_by(3) {
            let stop = &text[starts[at]..starts.get(at + length).copied().unwrap_or(text.len())];
            let request = GenerateRequest { stop: vec![stop.to_owned()], ..free.clone() };
            let outcome = tell(&mut rig, &tokenizer, &request);
            let expected = &text[..text.find(stop).unwrap()];
            let completion = outcome.completion.unwrap();
            assert_eq!((outcome.text.as_str(), completion.text.as_str()), (expected, expected));
            assert_eq!(completion.finish_reason, FinishReason::Stop);
            // It ends with the token that completes the stop string.
            let decoded = tokenizer.decode(&outcome.ids);
            let before = tokenizer.decode(&outcome.ids[..outcome.ids.len() - 1]);
            assert!(decoded.contains(stop), "{stop:?} {decoded:?}");
            assert!(!before.contains(stop) || before.ends_with('\u{fffd}'), "{stop:?} {before:?}");
            assert_eq!(completion.completion_tokens, outcome.ids.len());
        }
    }
    let never = GenerateRequest { stop: vec![format!("{text}!")], ..free };
    // All of it is held back, and let go at the end.
    assert_eq!(tell(&mut rig, &tokenizer, &never).text, text);
}

/// The marks of the tokenizer that end a text or a turn, which the model configuration does not
/// name.
#[test]
fn the_end_mark_ends_the_text() {
    let tokenizer = tokenizer();
    let mut rig = Rig::random(options(2, 512));
    let prompt = GenerateRequest {
        prompt: Prompt::Text("the queue".to_owned()),
        max_tokens: 80,
        sampling: Sampling { temperature: 1.0, seed: 1, ..Sampling::GREEDY },
        stop: Vec::new(),
        schema: None,
        deadline: None,
    };
    let mut ends = 0;
    for seed in 0..40 {
        let sampling = Sampling { seed, ..prompt.sampling.clone() };
        let outcome = tell(&mut rig, &tokenizer, &GenerateRequest { sampling, ..prompt.clone() });
        let completion = outcome.completion.unwrap();
        let at = outcome.ids.iter().position(|id| tokenizer.ends().contains(id));
        match completion.finish_reason {
            FinishReason::EndOfText => {
                assert_eq!(at, Some(outcome.ids.len() - 1));
                ends += 1;
            }
            reason => assert_eq!((at, reason), (None, FinishReason::Length)),
        }
        assert_eq!(completion.text, tokenizer.decode(&outcome.ids));
    }
    assert!(ends > 0, "none of the runs reached an end mark");
}

#[test]
fn the_waist_promises_every_token_that_was_asked_for() {
    let tokenizer = tokenizer();
    let mut rig = Rig::random(EngineOptions::new(1, 24));
    let mut engine = rig.engine(Some(&tokenizer));
    let llm: &mut dyn Llm = &mut engine;
    let mut request = GenerateRequest {
        prompt: Prompt::Text("the pod restarted".to_owned()),
        max_tokens: 8,
        sampling: warm(1),
        stop: Vec::new(),
        schema: None,
        deadline: None,
    };
    let mut streamed = String::new();
    let completion =
        llm.generate_streaming(&request, &mut |piece| streamed.push_str(piece)).unwrap();
    assert_eq!(completion.text, streamed);
    let prompt = tokenizer.encode("the pod restarted").unwrap().len() + 1;
    assert_eq!(completion.prompt_tokens, prompt);
    assert_eq!(llm.generate(&request).unwrap(), completion);
    request.max_tokens = 25 - prompt;
    assert_eq!(
        llm.generate(&request).unwrap_err().to_string(),
        format!(
            "the prompt has {prompt} tokens and {} more are asked for, the context holds 24\nhint: \
             shorten the prompt or ask for fewer tokens",
            25 - prompt
        )
    );
    request.max_tokens = 24 - prompt;
    assert!(llm.generate(&request).is_ok());
}

/// Damaged weights fail the request that meets them, not its neighbours.
#[test]
fn a_request_that_fails_fails_alone() {
    let mut rig = Rig::random(options(2, 512));
    let embedding = rig.model.params()[0].clone();
    assert_eq!(embedding.name, "model.embed_tokens.weight");
    rig.cpu.write(embedding.value.slice(250 * embedding.shape[1], 1), &[f32::NAN]);
    let mut engine = rig.engine(None);
    let few = Sampling { top_k: Some(1), ..Sampling::GREEDY };
    let good = request(&[3, 4], 3, few.clone());
    let bad = request(&[3, 250], 3, few);
    let ids = [&good, &bad, &good].map(|request| engine.submit(request).unwrap());
    let outcomes = drain(&mut engine, &ids);
    assert_eq!(outcomes[0], outcomes[2]);
    assert!(outcomes[0].completion.is_some());
    let error = outcomes[1].error.as_deref().unwrap();
    assert_eq!(error, "step 0: the logit of token 0 is NaN, expected a finite number");
    assert!(engine.generate_batch(&[good, bad]).is_err());
    assert!(engine.is_idle() && engine.free.len() == 2);
}
