use super::baseline::{PredictLinear, Threshold};
use super::*;
use crate::incident::Incident;
use text::random::Numbers;

const STEP: f64 = 60.0;

/// A number around 0 with variance 1.
fn bell(numbers: &mut Numbers) -> f64 {
    let unit = |it: u64| (it >> 11) as f64 / (1_u64 << 53) as f64;
    let sum: f64 = (0..12).map(|_| unit(numbers.next())).sum();
    sum - 6.0
}

fn samples(values: impl IntoIterator<Item = f64>) -> Vec<Sample> {
    let sample = |(index, value)| Sample { seconds: 1e9 + index as f64 * STEP, value };
    values.into_iter().enumerate().map(sample).collect()
}

fn now(samples: &[Sample]) -> f64 {
    samples.iter().map(|it| it.seconds).fold(0.0, f64::max)
}

fn expect(values: impl IntoIterator<Item = f64>, limit: f64) -> Forecast {
    let samples = samples(values);
    forecast(&samples, &Limit::above(limit), now(&samples))
}

/// A line with noise that remembers, and the first step at which it reaches 1.
fn noisy(seed: u64, count: usize, memory: f64, slope: f64) -> (Vec<f64>, Option<usize>) {
    let mut numbers = Numbers::named(&[seed, 7]);
    let mut state = bell(&mut numbers);
    let fresh = (1.0 - memory * memory).sqrt();
    let mut value = |index: usize| {
        state = memory * state + fresh * bell(&mut numbers);
        0.2 + slope * index as f64 + 0.01 * state
    };
    let mut values: Vec<f64> = (0..40 * count).map(&mut value).collect();
    let reached = values.iter().position(|it| *it >= 1.0);
    values.truncate(count);
    (values, reached)
}

#[test]
fn a_line_without_noise_is_followed_to_the_limit() {
    let found = expect((0..200).map(|index| 10.0 + 0.5 * f64::from(index)), 160.0);
    let until = found.until.expect("a forecast");
    // 0.5 a minute; at the last sample 109.5, so 101 minutes are left.
    assert!((until.likely - 101.0 * STEP).abs() < 1.0, "{found:?}");
    // A step is the finest that can be told.
    assert!(until.likely - until.low < STEP && until.high.is_some(), "{found:?}");
    let slope = found.slope.expect("a slope");
    assert!((slope.value - 0.5 / STEP).abs() < 1e-12, "{found:?}");
    assert_eq!((found.method, found.reason), (Method::Line, None));
    assert!(found.within(101.0 * STEP + 1.0) && !found.within(100.0 * STEP));
}

#[test]
fn intervals_hold_what_they_promise() {
    for memory in [0.0, 0.8, 0.95] {
        let (mut held, mut all, mut slopes) = (0, 0, 0);
        for seed in 0..400 {
            let slope = 0.0004 + 0.000_002 * (seed % 100) as f64;
            let (values, reached) = noisy(seed, 600, memory, slope);
            let found = expect(values, 1.0);
            let Some(until) = found.until else { continue };
            let after = (reached.expect("reached") - 599) as f64 * STEP;
            let high = until.high.unwrap_or(f64::INFINITY);
            all += 1;
            held += i32::from(until.low - STEP <= after && after <= high + STEP);
            let interval = found.slope.expect("a slope");
            let truth = slope / STEP;
            slopes += i32::from(interval.low <= truth && truth <= interval.high);
        }
        let (share, slopes) =
            (f64::from(held) / f64::from(all), f64::from(slopes) / f64::from(all));
        println!("memory {memory}: {all} forecasts, coverage {share:.3}, of slopes {slopes:.3}");
        assert!(all >= 300, "{all} forecasts with memory {memory}");
        assert!((0.84..=0.96).contains(&share), "{share} with memory {memory}");
        assert!((0.80..=0.97).contains(&slopes), "{slopes} with memory {memory}");
    }
}

#[test]
fn noise_is_no_trend() {
    for memory in [0.0, 0.9, 0.98] {
        let found = (0..400).filter(|seed| {
            let (values, _) = noisy(1_000 + seed, 500, memory, 0.0);
            expect(values, 1.0).until.is_some()
        });
        let found = found.count();
        assert!(found <= 4, "{found} of 400 with memory {memory}");
    }
}

#[test]
fn units_and_the_side_of_the_limit_do_not_matter() {
    let (values, _) = noisy(3, 400, 0.9, 0.0012);
    let usual = expect(values.iter().copied(), 1.0);
    let until = usual.until.expect("a forecast");
    for scale in [1.0 / 1_024.0, 1_048_576.0, 2.0_f64.powi(100)] {
        let scaled = expect(values.iter().map(|it| it * scale), scale);
        assert_eq!(scaled.until, usual.until);
        let (scaled, usual) = (scaled.slope.expect("a slope"), usual.slope.expect("a slope"));
        assert_eq!(scaled.value, scale * usual.value);
    }
    let left = samples(values.iter().map(|it| 1.0 - it));
    let limit = Limit { value: 0.0, most: None, side: Side::Below };
    let left = forecast(&left, &limit, now(&left));
    let other = left.until.expect("a forecast");
    assert!((other.likely / until.likely - 1.0).abs() < 1e-6, "{left:?}");
    let slope = left.slope.expect("a slope");
    assert!(
        slope.low <= slope.value && slope.value <= slope.high && slope.value < 0.0,
        "{slope:?}"
    );
}

#[test]
fn order_and_repetition_do_not_matter() {
    let (values, _) = noisy(4, 300, 0.5, 0.0015);
    let usual = samples(values);
    let end = now(&usual);
    let expected = forecast(&usual, &Limit::above(1.0), end);
    let mut mixed: Vec<Sample> = usual.iter().chain(&usual[50..60]).copied().collect();
    Numbers::named(&[5]).shuffle(&mut mixed);
    mixed.push(Sample { seconds: end + 1e6, value: 5.0 });
    mixed.push(Sample { seconds: f64::NAN, value: 5.0 });
    mixed.push(Sample { seconds: end, value: f64::INFINITY });
    assert_eq!(forecast(&mixed, &Limit::above(1.0), end), expected);
}

#[test]
fn a_step_is_no_trend() {
    for after in [1, 2, 5, 10, 30, 100] {
        let mut numbers = Numbers::named(&[6, after]);
        let level = |index: u64| if index < 300 { 0.3 } else { 0.7 };
        let values: Vec<f64> =
            (0..300 + after).map(|index| level(index) + 0.005 * bell(&mut numbers)).collect();
        let found = expect(values, 1.0);
        assert_eq!(found.until, None, "{after} after the step: {found:?}");
    }
}

#[test]
fn a_restart_begins_anew() {
    let value = |index: u32| 0.2 + 0.002 * f64::from(if index < 250 { index } else { index - 250 });
    let until = expect((0..450).map(value), 1.0).until.expect("a forecast");
    // 0.598 at the last.
    assert!((until.likely / STEP - 201.0).abs() < 3.0, "{until:?}");
}

#[test]
fn teeth_are_followed_by_their_tops() {
    let tooth = |index: u32| 0.2 * f64::from(index % 40) / 40.0;
    let stable = expect((0..1_000).map(|index| 0.6 + tooth(index)), 1.0);
    assert_eq!((stable.until, stable.method), (None, Method::Tops), "{stable:?}");
    let leaking = |index: u32| 0.3 + tooth(index) + 0.0003 * f64::from(index);
    let found = expect((0..1_000).map(leaking), 1.0);
    let reached = (0..9_999).find(|index| leaking(*index) >= 1.0).expect("reached");
    let after = f64::from(reached - 999) * STEP;
    let until = found.until.expect("a forecast");
    assert_eq!(found.method, Method::Tops);
    assert!(until.low <= after && until.high.is_none_or(|high| after <= high), "{after} {until:?}");
}

#[test]
fn a_season_is_not_a_trend_and_a_trend_shows_through_it() {
    let day = |index: u32| {
        let turn = std::f64::consts::TAU * f64::from(index) / 288.0;
        0.15 * libm::sin(turn)
    };
    let at = |value: &dyn Fn(u32) -> f64, count: u32| -> Vec<Sample> {
        let mut numbers = Numbers::named(&[8]);
        let sample = |index: u32| Sample {
            seconds: 300.0 * f64::from(index),
            value: value(index) + 0.003 * bell(&mut numbers),
        };
        (0..count).map(sample).collect()
    };
    for count in (1_152..1_440).step_by(24) {
        let stable = at(&|index| 0.6 + day(index), count);
        let found = forecast(&stable, &Limit::above(0.9), now(&stable));
        assert_eq!((found.until, found.method), (None, Method::Season), "{count}: {found:?}");
    }
    let growing = |index: u32| 0.4 + day(index) + 0.0001 * f64::from(index);
    let reached = (0..99_999).find(|index| growing(*index) >= 0.9).expect("reached");
    let seen = at(&growing, 2_016);
    let until = forecast(&seen, &Limit::above(0.9), now(&seen)).until.expect("a forecast");
    let after = f64::from(reached - 2_015) * 300.0;
    // Half of the outcomes have a season that grows with the level, and come a day earlier.
    assert!((until.likely - after).abs() < 100_000.0, "{after} {until:?}");
    assert!(until.low <= after && until.high.is_none_or(|high| after <= high), "{after} {until:?}");
}

#[test]
fn an_autoscaler_has_room_left() {
    let values: Vec<f64> = (0..300).map(|index| 2.0 + 0.01 * f64::from(index)).collect();
    let samples = samples(values);
    let limit = Limit { value: 5.5, most: Some(8.0), side: Side::Above };
    let until = forecast(&samples, &limit, now(&samples)).until.expect("a forecast");
    assert!((until.likely / STEP - 301.0).abs() < 1.0, "{until:?}");
    let over = Limit { value: 5.5, most: Some(4.0), side: Side::Above };
    let until = forecast(&samples, &over, now(&samples)).until.expect("a forecast");
    assert_eq!((until.low, until.likely, until.high), (0.0, 0.0, Some(0.0)));
}

#[test]
fn strange_series_are_refused_with_a_reason() {
    let reason = |values: &[f64], limit: f64| expect(values.iter().copied(), limit).reason;
    assert_eq!(reason(&[], 1.0), Some(Reason::TooLittle));
    assert_eq!(reason(&[0.5], 1.0), Some(Reason::TooLittle));
    assert_eq!(reason(&[0.5; 400], 1.0), Some(Reason::NoTrend));
    assert_eq!(reason(&[0.5; 400], f64::NAN), Some(Reason::NoLimit));
    assert_eq!(reason(&[f64::NAN; 400], 1.0), Some(Reason::TooLittle));
    let old = samples((0..400).map(f64::from));
    let late = forecast(&old, &Limit::above(1e6), now(&old) + 1e4);
    assert_eq!(late.reason, Some(Reason::Stale));
    let slow: Vec<f64> = (0..400).map(|index| 1e-4 * f64::from(index)).collect();
    assert_eq!(reason(&slow, 1.0), Some(Reason::TooFar));
}

#[test]
fn nothing_panics_whatever_comes() {
    let odd = [0.0, -0.0, 1.0, -1.0, 1e-320, 1e149, -1e149, 1e308, f64::MAX, f64::INFINITY];
    let odd: Vec<f64> = odd.into_iter().chain([f64::NEG_INFINITY, f64::NAN, 1e9, 3.0]).collect();
    let mut numbers = Numbers::named(&[9]);
    for round in 0..3_000 {
        let count = numbers.below(60);
        let mut any = || odd[numbers.below(odd.len())];
        let some: Vec<Sample> =
            (0..count).map(|_| Sample { seconds: any(), value: any() }).collect();
        let even: Vec<Sample> =
            (0..count).map(|index| Sample { seconds: index as f64 * 60.0, value: any() }).collect();
        let side = if round % 2 == 0 { Side::Above } else { Side::Below };
        let limit = Limit { value: any(), most: (round % 3 == 0).then(&mut any), side };
        for samples in [&some, &even] {
            for now in [any(), 3_600.0] {
                let found = forecast(samples, &limit, now);
                assert_eq!(found.until.is_none(), found.reason.is_some(), "{found:?}");
                let sound = found.until.is_none_or(|until| {
                    let high = until.high.unwrap_or(f64::INFINITY);
                    until.low <= until.likely && until.likely <= high
                });
                assert!(sound, "{found:?}");
                let _ = PredictLinear::NODE.holds(samples, &limit, now);
                let _ = Threshold { share: 0.9 }.holds(samples, &limit, now);
            }
        }
    }
    let many = expect((0..300_000).map(|index| 0.3 + 1e-6 * f64::from(index)), 1.0);
    assert!(many.until.is_some(), "{many:?}");
}

#[test]
fn the_rules_of_the_field_do_as_they_say() {
    let samples = samples((0..400).map(|index| 0.001 * f64::from(index) + 0.5));
    let end = now(&samples);
    let limit = Limit::above(1.0);
    let until = PredictLinear::VOLUME.until(&samples, &limit, end).expect("a line");
    assert!((until - 101.0 * STEP).abs() < 1e-3, "{until}");
    assert!(PredictLinear::VOLUME.holds(&samples, &limit, end));
    let early = end - 100.0 * STEP;
    assert!(!PredictLinear::VOLUME.holds(&samples, &limit, early));
    assert!(PredictLinear::NODE.holds(&samples, &limit, early));
    assert!(Threshold { share: 0.89 }.holds(&samples, &limit, end));
    assert!(!Threshold { share: 0.91 }.holds(&samples, &limit, end));
}

#[test]
fn an_alarm_must_hold_and_must_be_gone() {
    let mut held = Held::default();
    let seen: Vec<bool> = [true, true, true, false, false, false, true]
        .into_iter()
        .enumerate()
        .map(|(index, holds)| held.see(index as f64, holds, (2.0, 2.0)))
        .collect();
    assert_eq!(seen, [false, false, true, true, false, false, false]);
}

#[test]
fn an_incident_says_what_runs_out() {
    let value = |index: u32| 2e8 + 2e6 * f64::from(index);
    let values: Vec<f64> = (0..60).map(value).collect();
    let days: Vec<f64> = (0..60).map(|index| 0.5 - f64::from(index) / 1_440.0).collect();
    let document = serde_json::json!({
        "version": 1, "id": "inc-1",
        "start": "2026-03-01T10:00:00Z", "end": "2026-03-01T10:29:00Z",
        "services": [{"name": "cart", "memory_limit_mib": 400}],
        "metrics": [
            {"id": "m1", "service": "cart", "name": "requests", "start": "2026-03-01T09:30:00Z",
             "step_seconds": 60, "values": values},
            {"id": "m2", "service": "cart", "name": "x509_cert_expiry_days",
             "start": "2026-03-01T09:30:00Z", "step_seconds": 60, "values": days},
            {"id": "m3", "service": "cart", "name": "container_memory_working_set_bytes",
             "start": "2026-03-01T09:30:00Z", "step_seconds": 60, "values": values},
        ],
    });
    let incident = Incident::read(&document.to_string()).expect("an incident");
    let found = of_incident(&incident);
    let ids: Vec<&str> = found.iter().map(|it| it.evidence.as_str()).collect();
    assert_eq!(ids, ["m3", "m2"]);
    // 419,430,400 less 318 million at 2 million a minute.
    let until = found[0].forecast.until.expect("a forecast");
    assert!((until.likely / 60.0 - 50.7).abs() < 0.5, "{until:?}");
    assert_eq!((found[0].service.as_str(), found[0].signal), ("cart", Some(Signal::Memory)));
    // 0.459 days are more than three times the hour that was seen.
    assert_eq!(found[1].forecast.reason, Some(Reason::TooFar));
}
