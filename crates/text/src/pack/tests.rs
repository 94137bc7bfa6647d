use super::*;
use proptest::prelude::*;

fn options(tokens: usize, documents: usize, order: Order) -> PackOptions {
    PackOptions { tokens, documents, order }
}

fn shuffled(seed: u64, epoch: u64) -> Order {
    Order::Shuffled { seed, epoch, window: WINDOW }
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![
        Just(Order::File),
        (any::<u64>(), 0..3u64, 1..50usize).prop_map(|(seed, epoch, window)| Order::Shuffled {
            seed,
            epoch,
            window
        }),
    ]
}

proptest! {
    #[test]
    fn every_document_once_and_no_limit_broken(
        lengths in prop::collection::vec(0..=64u32, 0..200),
        tokens in 64..256usize,
        documents in 1..9usize,
        order in order(),
    ) {
        let options = options(tokens, documents, order);
        let plan = plan_epoch(&lengths, &options).unwrap();
        let mut seen: Vec<usize> = plan.iter().flat_map(|batch| batch.documents.clone()).collect();
        if order == Order::File {
            prop_assert!(seen.is_sorted());
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
        for batch in &plan {
            prop_assert!(!batch.documents.is_empty());
            prop_assert!(batch.documents.len() <= documents);
            let sum: usize = batch.documents.iter().map(|&at| lengths[at] as usize).sum();
            prop_assert_eq!(sum, batch.tokens);
            prop_assert!(sum <= tokens);
        }
        prop_assert_eq!(&plan, &plan_epoch(&lengths, &options).unwrap());
    }

    /// Two micro-batches of one window that would fit into one mean that best fit was not done.
    #[test]
    fn no_two_batches_of_a_window_fit_together(
        lengths in prop::collection::vec(1..=64u32, 0..200),
        seed in any::<u64>(),
    ) {
        let plan = plan_epoch(&lengths, &options(64, usize::MAX, shuffled(seed, 0))).unwrap();
        let mut tokens: Vec<usize> = plan.iter().map(|batch| batch.tokens).collect();
        tokens.sort_unstable();
        if let [least, second, ..] = tokens[..] {
            prop_assert!(least + second > 64);
        }
    }
}

#[test]
fn file_order_takes_neighbours() {
    let plan = plan_epoch(&[4, 4, 3, 8, 1], &options(8, 2, Order::File)).unwrap();
    let documents: Vec<_> = plan.into_iter().map(|batch| batch.documents).collect();
    assert_eq!(documents, [vec![0, 1], vec![2], vec![3], vec![4]]);
}

#[test]
fn seeds_and_epochs_have_their_own_order() {
    let lengths: Vec<u32> = (1..=100).collect();
    let plan = |seed, epoch| plan_epoch(&lengths, &options(128, 8, shuffled(seed, epoch))).unwrap();
    assert_ne!(plan(1, 0), plan(1, 1));
    assert_ne!(plan(1, 0), plan(2, 0));
    // The longest document must not always come first, as plain best fit would have it.
    let first = |seed| plan(seed, 0)[0].documents[0];
    assert!((0..20).any(|seed| first(seed) != 99));
}

#[test]
fn packs_tightly_what_next_fit_wastes() {
    let lengths: Vec<u32> = (0..1000).map(|at| 100 + (at * 7919) % 900).collect();
    let total: usize = lengths.iter().map(|&length| length as usize).sum();
    let plan = plan_epoch(&lengths, &options(2048, 64, shuffled(3, 0))).unwrap();
    let filled = total as f64 / (plan.len() * 2048) as f64;
    assert!(filled > 0.985, "only {filled:.3} of the micro-batches is filled");
    let file = plan_epoch(&lengths, &options(2048, 64, Order::File)).unwrap();
    assert!(file.len() > plan.len());
}

#[test]
fn limits_that_cannot_hold_are_refused() {
    let text = |lengths: &[u32], options| plan_epoch(lengths, &options).unwrap_err().to_string();
    assert_eq!(
        text(&[3, 9], options(8, 2, Order::File)),
        "cannot pack: document 1 has 9 tokens, a micro-batch holds 8\n\
         hint: allow micro-batches of at least the longest document"
    );
    assert_eq!(
        text(&[3], options(8, 0, Order::File)),
        "cannot pack: a micro-batch of 8 tokens and 0 documents holds nothing"
    );
    let order = Order::Shuffled { seed: 0, epoch: 0, window: 0 };
    assert_eq!(
        text(&[3], options(8, 1, order)),
        "cannot pack: a window of 0 documents holds nothing"
    );
}
