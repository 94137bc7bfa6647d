use super::*;

#[test]
fn floats_survive_the_text_to_the_last_bit() {
    for bits in [
        0x3ff0_0000_0000_0001_u64,
        0x4009_21fb_5444_2d18,
        0x0000_0000_0000_0001,
        0x3fb9_9999_9999_999a,
    ] {
        let loss = f64::from_bits(bits);
        let state = State {
            initial: Some(loss),
            best: Some(Best { step: 3, loss }),
            held_out: None,
            ..State::default()
        };
        let text = serde_json::to_string(&state).unwrap();
        let back: State = serde_json::from_str(&text).unwrap();
        assert_eq!(back.best.unwrap().loss.to_bits(), bits, "{text}");
        assert_eq!(back.initial.unwrap().to_bits(), bits, "{text}");
        assert_eq!(back, state);
    }
}

#[test]
fn only_names_that_are_written_count() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path();
    for name in ["checkpoint-7", "checkpoint-12", "checkpoint-007", "checkpoint-x", ".checkpoint-9"]
    {
        std::fs::create_dir(run.join(name)).unwrap();
    }
    std::fs::write(run.join("checkpoint-99"), "a file").unwrap();
    let steps: Vec<u64> = checkpoints(run).unwrap().into_iter().map(|(step, _)| step).collect();
    assert_eq!(steps, [7, 12]);
    assert!(checkpoints(&run.join("missing")).unwrap().is_empty());
}

#[test]
fn pruning_spares_the_newest_the_best_and_later_ones() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path();
    for step in [1, 2, 3, 4, 5, 9] {
        std::fs::create_dir(super::directory(run, step)).unwrap();
    }
    let best = Some(Best { step: 2, loss: 1.0 });
    prune(run, 2, &State { step: 5, best, ..State::default() }).unwrap();
    let steps: Vec<u64> = checkpoints(run).unwrap().into_iter().map(|(step, _)| step).collect();
    assert_eq!(steps, [2, 4, 5, 9]);
}

#[test]
fn differing_keys_are_named_with_both_values() {
    let before = "seed = 1\n[a]\nx = 2\ny = [1]\n[checkpoint]\nkeep = 1\n";
    let now = "seed = 1\n[a]\nx = 3\nz = \"new\"\n[checkpoint]\nkeep = 2\n";
    let expected = ["a.x was 2, is 3", "a.y was [1], is absent", "a.z was absent, is \"new\""];
    assert_eq!(changed_keys(before, now).unwrap(), expected);
}
