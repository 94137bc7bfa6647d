use super::*;
use crate::tests::{CONTEXT, Golden, drain, request, warm};
use crate::{AllLogits, Engine};
use model::Base;
use ops::{Cpu, Device, Isa, Numerics, Target};

/// The engine stays within what the dry run of the same calls counted, and uses all of it.
#[test]
fn the_plan_is_the_program() {
    let options = EngineOptions { slots: 3, context: CONTEXT, prefill_chunk: 64 };
    for numerics in [Numerics::F32, Numerics::Bf16] {
        let golden = Golden::read(numerics, Base::Nf4Double);
        let origin = golden.origin();
        let threads = rayon::current_num_threads();
        let target = Target::cpu(Isa::detect(), threads);
        let mut dry = Dry::new(target);
        let model = Model::layout(&mut dry, &golden.spec, &origin).unwrap();
        let mut layout = EngineLayout::layout(&mut dry, &model, options).unwrap();
        let laid_out = dry.trace().peak;
        layout.rehearse(&mut dry, &model).unwrap();
        assert!(dry.trace().peak.device > laid_out.device, "passes need workspaces");

        let mut cpu = Cpu::new(target, dry.trace().peak);
        let mut model = Model::layout(&mut cpu, &golden.spec, &origin).unwrap();
        let layout = EngineLayout::layout(&mut cpu, &model, options).unwrap();
        model.fill(&mut cpu, &origin).unwrap();
        let mut engine = Engine::new(&mut cpu, &model, None, layout);
        // Two that decode beside a whole chunk of the third one's prompt: the largest pass.
        let short = [2, 3].map(|id| engine.submit(&request(&[id], 9, warm(1))).unwrap());
        assert_eq!(engine.step().unwrap().len(), 2);
        let long = engine.submit(&request(&[4; 80], 9, warm(1))).unwrap();
        drain(&mut engine, &[short[0], short[1], long]);
        engine.loglikelihood_of(&[5], &[6; 90]).unwrap();
        let (used, planned) = (cpu.trace().peak, dry.trace().peak);
        assert!(used.device <= planned.device && used.device > laid_out.device);
        // Workspaces of the bf16 tiles of AVX-512 grow with the rows of a pass, and none of these passes has
        // both most tokens and most rows of logits, as the plan has.
        if numerics == Numerics::F32 || target.device != (Device::Cpu { isa: Isa::Avx512, threads })
        {
            assert_eq!(used, planned);
        }
    }
}

#[test]
fn host_memory_is_counted() {
    let golden = Golden::read(Numerics::F32, Base::AsStored);
    let origin = golden.origin();
    let mut dry = Dry::new(Target::cpu(Isa::Scalar, 1));
    let model = Model::layout(&mut dry, &golden.spec, &origin).unwrap();
    let options = EngineOptions { slots: 2, context: 50, prefill_chunk: 512 };
    let layout = EngineLayout::layout(&mut dry, &model, options).unwrap();
    // Logits 50 x 128 x 4; pass 101 x 12; two samplers of 2 x 8 + 128 x 16, four times 50 ids.
    assert_eq!(layout.host_bytes(&model), 25600 + 1212 + 2 * (16 + 2048 + 400));
}

#[test]
fn lists_that_do_not_fit_are_refused() {
    let golden = Golden::read(Numerics::F32, Base::AsStored);
    let origin = golden.origin();
    let mut dry = Dry::new(Target::cpu(Isa::Scalar, 1));
    let model = Model::layout(&mut dry, &golden.spec, &origin).unwrap();
    for length in [0, CONTEXT + 1] {
        let error = AllLogits::layout(&mut dry, &model, length).unwrap_err().to_string();
        let expected = "expected 1 to 96, the longest sequence of this model";
        assert_eq!(error, format!("length is {length}, {expected}"));
    }
    let logits = AllLogits::layout(&mut dry, &model, 3).unwrap();
    let mut check = |ids: &[u32], expected: &str| {
        let error = logits.run(&mut dry, &model, ids, |_| {}).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(&[], "length is 0, expected 1 to 3");
    check(&[1; 4], "length is 4, expected 1 to 3");
    check(
        &[1, 500],
        "token 1 is 500, outside of the vocabulary of 128\nhint: use the tokenizer \
         that belongs to the model",
    );
}
