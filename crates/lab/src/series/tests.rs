use super::*;

#[test]
fn the_same_seed_gives_the_same_series() {
    for number in 0..11 {
        assert_eq!(series(1, number), series(1, number));
        assert_ne!(series(1, number).samples, series(2, number).samples);
    }
}

#[test]
fn what_has_room_left_never_reaches_its_limit() {
    let stays = [Course::Step, Course::Burst, Course::Season, Course::Teeth, Course::Noise];
    for number in 0..330 {
        let drawn = series(3, number);
        if stays.contains(&drawn.course) || drawn.course == Course::Autoscaled {
            assert_eq!(drawn.reached, None, "{number} {:?}", drawn.course);
        } else {
            assert!(drawn.reached.is_some(), "{number} {:?}", drawn.course);
        }
    }
}

#[test]
fn nothing_is_seen_before_it_arrives() {
    let mut kinds = [false; 3];
    for number in 0..60 {
        let drawn = series(4, number);
        assert!(drawn.arrived.is_sorted());
        let half = drawn.seen(MEASURED / 2.0).len();
        assert!(half > 500 && half < drawn.seen(MEASURED).len());
        let limit = drawn.limit(MEASURED / 2.0);
        assert!(limit.value > 0.0 && limit.most.is_none_or(|most| most >= limit.value));
        let gaps = drawn.arrived.windows(2).any(|two| two[1] - two[0] > 2.0 * STEP);
        let late = !drawn.samples.is_sorted_by(|a, b| a.seconds <= b.seconds);
        let twice = drawn.samples.windows(2).any(|two| two[0] == two[1]);
        kinds = [kinds[0] | gaps, kinds[1] | late, kinds[2] | twice];
    }
    assert_eq!(kinds, [true; 3]);
}
