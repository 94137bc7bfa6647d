use super::*;

/// SplitMix64 seeded with 0 begins with these published numbers.
#[test]
fn mixes_as_published() {
    assert_eq!(mix(GOLDEN), 0xe220_a839_7b1d_cdaf);
    assert_eq!(mix(GOLDEN.wrapping_mul(2)), 0x6e78_9e6a_a1b9_65f4);
}

#[test]
fn names_differ_in_every_part_and_in_order() {
    let first = |parts: &[u64]| Numbers::named(parts).next();
    let firsts = [first(&[1, 2]), first(&[2, 1]), first(&[1, 3]), first(&[0, 2]), first(&[1])];
    for (position, number) in firsts.iter().enumerate() {
        assert!(!firsts[position + 1..].contains(number));
    }
}

#[test]
fn shuffle_reaches_every_order_about_equally() {
    let mut seen = std::collections::BTreeMap::new();
    for round in 0..6000 {
        let mut items = [0, 1, 2];
        Numbers::named(&[7, round]).shuffle(&mut items);
        *seen.entry(items).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 6);
    // One in six of 6000 rounds, five standard deviations (29) on either side.
    assert!(seen.values().all(|count| (855..=1145).contains(count)), "{seen:?}");
}
