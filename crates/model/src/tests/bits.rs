use super::*;

/// Documents of uneven lengths, one of a single token, one longer than a block of 64 keys.
pub(super) fn documents(vocab: usize) -> Vec<(Vec<u32>, Vec<i32>)> {
    [5, 1, 70, 13]
        .into_iter()
        .enumerate()
        .map(|(d, len)| {
            let ids: Vec<u32> =
                (0..len).map(|i| ((i * 31 + d * 17 + i * i) % vocab) as u32).collect();
            let labels =
                ids.iter().enumerate().map(|(i, id)| if i % 5 == d { -100 } else { *id as i32 });
            let labels = labels.collect();
            (ids, labels)
        })
        .collect()
}

pub(super) fn batch_of(config: &Config, documents: &[(Vec<u32>, Vec<i32>)]) -> Batch {
    let mut batch = Batch::default();
    for (ids, labels) in documents {
        batch.push(config, ids, labels).unwrap();
    }
    batch
}

pub(super) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn each_setting(mut check: impl FnMut(Parts)) {
    for isa in tiers() {
        for numerics in [Numerics::F32, Numerics::Bf16] {
            check(Parts::with_adapter("plain", "adapter", numerics, Base::Nf4Double).on(isa));
        }
    }
}

#[test]
fn kept_recomputed_and_offloaded_blocks_give_the_same_bits() {
    use Policy::{Checkpoint, Keep, Offload, Recompute};
    each_setting(|mut parts| {
        let batch = batch_of(&parts.spec.config, &documents(parts.spec.config.vocab));
        let mut want = None;
        let policies = [
            [Keep; 3],
            [Recompute; 3],
            [Offload; 3],
            [Keep, Offload, Recompute],
            [Recompute, Keep, Offload],
            [Offload, Recompute, Keep],
            [Offload, Offload, Recompute],
            [Checkpoint; 3],
            [Checkpoint, Offload, Checkpoint],
            [Keep, Checkpoint, Recompute],
            [Checkpoint, Checkpoint, Keep],
        ];
        for policies in policies {
            parts.options.policies = policies.to_vec();
            let mut rig = parts.build();
            // Twice, so that nothing of the first micro-batch can leak into the second.
            let mut got = bits(&rig.run(&batch, 0.1));
            got.extend(bits(&rig.run(&batch, 0.1)));
            got.extend(bits(&rig.gradients()));
            let want = want.get_or_insert_with(|| got.clone());
            assert!(*want == got, "{policies:?} differ");
        }
    });
}

#[test]
fn tiles_change_nothing_but_the_order_of_sums_over_tokens() {
    use Policy::{Checkpoint, Keep, Offload, Recompute};
    each_setting(|mut parts| {
        let batch = batch_of(&parts.spec.config, &documents(parts.spec.config.vocab));
        let mut rig = parts.build();
        let (losses, logits) = (bits(&rig.run(&batch, 0.1)), bits(&rig.logits(&batch)));
        let gradients = rig.gradients();
        // 89 tokens: tiles that divide them, that do not, and of a single row.
        for tile in [40, 89, 1] {
            let mut tiled = None;
            parts.options.tile = tile;
            for policies in [[Keep; 3], [Recompute, Offload, Checkpoint]] {
                parts.options.policies = policies.to_vec();
                let mut rig = parts.build();
                assert!(losses == bits(&rig.run(&batch, 0.1)), "tiles of {tile}");
                let got = rig.gradients();
                assert!(logits == bits(&rig.logits(&batch)), "tiles of {tile}");
                let apart = relative(&got, &gradients);
                assert!(apart < 1e-5, "tiles of {tile}: gradients {apart} apart");
                let tiled = tiled.get_or_insert_with(|| bits(&got));
                assert!(*tiled == bits(&got), "tiles of {tile}: {policies:?} differ");
            }
        }
    });
}

#[test]
fn one_thread_and_two_give_the_same_bits() {
    each_setting(|parts| {
        let batch = batch_of(&parts.spec.config, &documents(parts.spec.config.vocab));
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut rig = parts.build();
                let mut got = bits(&rig.run(&batch, 0.1));
                got.extend(bits(&rig.gradients()));
                got
            })
        };
        assert!(run(1) == run(2));
    });
}

#[test]
fn a_packed_document_has_the_bits_it_has_alone() {
    each_setting(|parts| {
        let mut rig = parts.build();
        let documents = documents(parts.spec.config.vocab);
        let packed = batch_of(&parts.spec.config, &documents);
        let (losses, logits) = (rig.run(&packed, 1.0), rig.logits(&packed));
        let (mut start, v) = (0, parts.spec.config.vocab);
        for document in documents {
            let alone = batch_of(&parts.spec.config, std::slice::from_ref(&document));
            let n = alone.tokens();
            assert_eq!(bits(&rig.run(&alone, 1.0)), bits(&losses[start..][..n]));
            assert!(bits(&rig.logits(&alone)) == bits(&logits[start * v..][..n * v]));
            start += n;
        }
    });
}

/// Serving's logits of one sequence, prefilled in chunks of `chunk` beside a second sequence.
fn served(rig: &mut Rig, parts: &Parts, ids: &[u32], chunk: usize) -> Vec<f32> {
    let config = &parts.spec.config;
    let v = config.vocab;
    let target = rig.cpu.target();
    let run = |backend: &mut dyn FnMut(&[Token], &mut [f32])| {
        let mut all = Vec::new();
        for start in (0..ids.len()).step_by(chunk) {
            let count = chunk.min(ids.len() - start);
            // Another sequence runs along in slot 0, one token per pass.
            let mut tokens = vec![Token { id: 3, slot: 0, position: (start / chunk) as u32 }];
            tokens.extend((start..start + count).map(|p| Token {
                id: ids[p],
                slot: 1,
                position: p as u32,
            }));
            let mut logits = vec![0.0; count * v];
            backend(&tokens, &mut logits);
            all.extend(logits);
        }
        all
    };
    let weights = Checkpoint::open(parts.weights.as_deref().unwrap()).unwrap();
    let adapter = LoraConfig::read(parts.adapter.as_deref().unwrap()).unwrap().1;
    let origin = Origin { weights: Some(&weights), adapter: Some(&adapter), seed: 7 };
    let lay = |dry: &mut Dry| {
        let model = Model::layout(dry, &parts.spec, &origin).unwrap();
        let cache = Cache::layout(dry, &model, 2, parts.spec.positions);
        (Serve::layout(dry, &model, &cache, chunk + 1, chunk), model, cache)
    };
    let mut dry = Dry::new(target);
    let (mut serve, model, cache) = lay(&mut dry);
    run(&mut |tokens, logits| {
        let picks: Vec<u32> = (1..tokens.len() as u32).collect();
        serve.run(&mut dry, &model, &cache, tokens, (&picks, logits)).unwrap();
    });
    let mut cpu = Cpu::new(target, dry.trace().peak);
    let mut model = Model::layout(&mut cpu, &parts.spec, &origin).unwrap();
    let cache = Cache::layout(&mut cpu, &model, 2, parts.spec.positions);
    let mut serve = Serve::layout(&mut cpu, &model, &cache, chunk + 1, chunk);
    model.fill(&mut cpu, &origin).unwrap();
    run(&mut |tokens, logits| {
        let picks: Vec<u32> = (1..tokens.len() as u32).collect();
        serve.run(&mut cpu, &model, &cache, tokens, (&picks, logits)).unwrap();
    })
}

#[test]
fn served_logits_have_the_bits_of_the_training_forward() {
    each_setting(|parts| {
        let mut rig = parts.build();
        let (ids, labels) = documents(parts.spec.config.vocab).swap_remove(2);
        let batch = batch_of(&parts.spec.config, &[(ids.clone(), labels)]);
        let want = bits(&rig.logits(&batch));
        for chunk in [1, 7, 64, 512] {
            assert!(bits(&served(&mut rig, &parts, &ids, chunk)) == want, "chunks of {chunk}");
        }
    });
}

#[test]
fn served_logits_keep_their_bits_where_a_sequence_outgrows_the_usual_chunk() {
    let mut parts = Parts::with_adapter("plain", "adapter", Numerics::Bf16, Base::Nf4Double);
    let length = 600;
    parts.spec.config.context = length;
    parts.spec.positions = length;
    (parts.options.tokens, parts.options.document) = (length, length);
    let vocab = parts.spec.config.vocab;
    let ids: Vec<u32> = (0..length).map(|i| ((i * i + 31 * i) % vocab) as u32).collect();
    let mut rig = parts.build();
    let batch = batch_of(&parts.spec.config, &[(ids.clone(), vec![-100; length])]);
    let want = bits(&rig.logits(&batch));
    for chunk in [100, 512, length] {
        assert!(bits(&served(&mut rig, &parts, &ids, chunk)) == want, "chunks of {chunk}");
    }
}

#[test]
fn dry_and_cpu_leave_the_same_trace() {
    use Policy::{Keep, Offload, Recompute};
    let mut parts = Parts::with_adapter("plain", "adapter", Numerics::Bf16, Base::Nf4Double);
    parts.options.policies = vec![Keep, Offload, Recompute];
    assert_same_trace(&parts);
}

pub(super) fn assert_same_trace(parts: &Parts) {
    let weights = Checkpoint::open(parts.weights.as_deref().unwrap()).unwrap();
    let origin = Origin { weights: Some(&weights), adapter: None, seed: 7 };
    let target = Target::cpu(parts.isa, rayon::current_num_threads());
    let batch = batch_of(&parts.spec.config, &documents(parts.spec.config.vocab));
    let mut dry = Dry::new(target);
    dry.record_events();
    let model = Model::layout(&mut dry, &parts.spec, &origin).unwrap();
    Step::layout(&mut dry, &model, &parts.options).run(&mut dry, &model, &batch, 1.0);
    let mut cpu = Cpu::new(target, dry.trace().peak);
    cpu.record_events();
    let mut model = Model::layout(&mut cpu, &parts.spec, &origin).unwrap();
    let step = Step::layout(&mut cpu, &model, &parts.options);
    model.fill(&mut cpu, &origin).unwrap();
    step.run(&mut cpu, &model, &batch, 1.0);
    assert_eq!(dry.trace().events, cpu.trace().events);
    assert_eq!(dry.trace().peak, cpu.trace().peak);
}

/// Gradients of many micro-batches against one, and of packed against unpacked documents.
#[test]
fn micro_batches_add_up() {
    for (numerics, most) in [(Numerics::F32, 1e-6), (Numerics::Bf16, 1e-3)] {
        let parts = Parts::with_adapter("plain", "adapter", numerics, Base::Nf4);
        let documents = documents(parts.spec.config.vocab);
        let whole = batch_of(&parts.spec.config, &documents);
        let scale = 1.0 / whole.trained() as f32;
        let mut one = parts.build();
        one.run(&whole, scale);
        let mut many = parts.build();
        for document in &documents {
            many.run(&batch_of(&parts.spec.config, std::slice::from_ref(document)), scale);
        }
        let error = relative(&many.gradients(), &one.gradients());
        assert!(error <= most, "{numerics:?}: relative difference {error}");
    }
}
