use super::*;
use crate::signal::Signal;
use std::path::Path;
use text::random::Numbers;
use trial::{Method, Recall, wilson};

mod files;
mod real;

/// A web service that calls two others, one of which calls a store: what each of their metrics is at a
/// time, with noise of its own.
struct System {
    /// The service at fault, and how much slower it is.
    fault: Option<(usize, f64)>,
    /// Factors on latencies and on all else.
    units: (f64, f64),
    /// Whether services and series come in reverse.
    reversed: bool,
}

const NAMES: [&str; 4] = ["web", "cart", "search", "store"];
const CALLS: [(usize, usize); 3] = [(0, 1), (0, 2), (1, 3)];
const SPLIT: usize = 120;

impl System {
    fn with(fault: Option<(usize, f64)>) -> Self {
        Self { fault, units: (1.0, 1.0), reversed: false }
    }

    fn window(&self) -> Window {
        let mut window = Window::new(SPLIT as f64 * 10.0);
        let mut order: Vec<usize> = (0..NAMES.len()).collect();
        let mut metrics = vec!["latency p50", "latency p99", "requests", "errors ratio", "cpu"];
        if self.reversed {
            order.reverse();
            metrics.reverse();
        }
        for &service in &order {
            window.service(NAMES[service]).unwrap();
        }
        for (caller, callee) in CALLS {
            window.call(NAMES[caller], NAMES[callee]).unwrap();
        }
        for &service in &order {
            for name in &metrics {
                let index = window.find(NAMES[service]).unwrap();
                window.track(index, name, self.samples(service, name)).unwrap();
            }
        }
        let service = window.find("web").unwrap();
        window.target = Some(Target { service, signal: Some(Signal::Latency) });
        window
    }

    fn samples(&self, service: usize, name: &str) -> Vec<(f64, f64)> {
        let key = name.bytes().fold(7, |key: u64, byte| key * 31 + u64::from(byte));
        let mut numbers = Numbers::named(&[service as u64, key]);
        let slow = |row: usize, own: usize| match self.fault {
            Some((service, seconds)) if service == own && row >= SPLIT => seconds,
            _ => 0.0,
        };
        let behind: &[usize] = [&[1, 2, 3][..], &[3], &[], &[]][service];
        let sample = |row: usize| {
            let noise = 1.0 + 0.1 * (numbers.below(1000) as f64 / 1000.0 - 0.5);
            let waited: f64 = behind.iter().map(|own| 0.02 + slow(row, *own)).sum();
            let value = match name {
                "requests" => 50.0 * self.units.1,
                "errors ratio" => 0.002,
                "cpu" => (0.3 + slow(row, service)) * self.units.1,
                _ => (0.02 + slow(row, service) + waited) * self.units.0,
            };
            (row as f64 * 10.0, value * noise)
        };
        (0..SPLIT + 20).map(sample).collect()
    }
}

fn names(window: &Window) -> Vec<&str> {
    rank(window).services().into_iter().map(|it| window.services[it].as_str()).collect()
}

#[test]
fn the_service_that_lost_the_time_itself_is_first() {
    for (service, name) in NAMES.iter().enumerate() {
        let window = System::with(Some((service, 0.1))).window();
        assert_eq!(names(&window)[0], *name);
    }
}

#[test]
fn the_order_of_services_and_series_does_not_matter() {
    let system = System::with(Some((3, 0.05)));
    let (one, other) = (system.window(), System { reversed: true, ..system }.window());
    let listed = |window: &Window| -> Vec<(String, String, f64)> {
        let all = rank(window).list.into_iter();
        let row = |it: Ranked| {
            let name = &window.series[it.series].name;
            (window.services[it.service].clone(), name.clone(), it.score)
        };
        all.map(row).collect()
    };
    let (one, other) = (listed(&one), listed(&other));
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(&other) {
        assert_eq!((&one.0, &one.1), (&other.0, &other.1));
        assert!((one.2 - other.2).abs() < 1e-9);
    }
}

#[test]
fn units_do_not_matter() {
    let system = System::with(Some((1, 0.05)));
    let plain = names(&system.window()).join(" ");
    for units in [(1000.0, 1e6), (1e-3, 1e-9)] {
        let other = System { units, ..System::with(Some((1, 0.05))) };
        assert_eq!(names(&other.window()).join(" "), plain, "{units:?}");
    }
}

#[test]
fn a_good_time_has_no_cause() {
    let mut window = System::with(None).window();
    assert!(rank(&window).list.is_empty());
    window.target = None;
    assert!(rank(&window).list.is_empty());
    // Nor has an alarm about what does as well as ever, whatever else is wrong.
    let mut window = System::with(Some((2, 0.1))).window();
    window.target = Some(Target { service: 1, signal: Some(Signal::Latency) });
    assert!(rank(&window).list.is_empty());
}

#[test]
fn who_notices_late_or_without_an_alarm_finds_the_same() {
    for late in [0.0, 50.0, 150.0] {
        let window = System::with(Some((3, 0.1))).window().later(late);
        assert_eq!(names(&window)[0], "store", "{late} s late");
        assert!(rank(&window).began <= SPLIT as f64 * 10.0);
    }
    let mut window = System::with(Some((3, 0.1))).window();
    window.target = None;
    assert_eq!(names(&window)[0], "store");
}

#[test]
fn gaps_repeated_and_unordered_samples_change_little() {
    let mut window = Window::new(SPLIT as f64 * 10.0);
    let system = System::with(Some((3, 0.1)));
    for (caller, callee) in CALLS {
        window.call(NAMES[caller], NAMES[callee]).unwrap();
    }
    for (service, name) in NAMES.iter().enumerate() {
        let service = (service, window.service(name).unwrap());
        for metric in ["latency p50", "requests"] {
            let mut samples = system.samples(service.0, metric);
            samples.extend_from_within(5..9);
            samples.reverse();
            samples[3].1 = f64::NAN;
            samples[40].1 = f64::INFINITY;
            samples[41].0 = f64::NAN;
            let track = window.track(service.1, metric, samples).unwrap();
            assert!(track.samples().is_sorted_by(|a, b| a.0 < b.0));
            assert!(track.samples().iter().all(|sample| sample.1.is_finite()));
        }
    }
    let service = window.find("web").unwrap();
    window.target = Some(Target { service, signal: None });
    assert_eq!(names(&window)[0], "store");
}

#[test]
fn of_two_that_do_as_badly_the_one_that_was_changed_is_first() {
    let build = |changed: &str| {
        let mut window = Window::new(1000.0);
        for service in ["a", "b"] {
            window.call("web", service).unwrap();
            let index = window.service(service).unwrap();
            let value =
                |row: u32| 0.1 + f64::from(row % 5) / 100.0 + if row >= 100 { 0.5 } else { 0.0 };
            let samples = (0..120).map(|row| (f64::from(row) * 10.0, value(row)));
            window.track(index, "latency", samples).unwrap();
        }
        let service = window.find(changed).unwrap();
        window.changes.push(Changed { service, time: 940.0, id: "c1".to_owned() });
        let ranked = rank(&window).list.swap_remove(0);
        assert_eq!(ranked.evidence, ["c1"]);
        window.services[ranked.service].clone()
    };
    assert_eq!((build("a"), build("b")), ("a".to_owned(), "b".to_owned()));
}

#[test]
fn nothing_of_what_can_be_in_a_window_is_too_strange() {
    assert!(rank(&Window::new(0.0)).list.is_empty());
    let strange: [&[f64]; 6] =
        [&[], &[1.0], &[0.0; 40], &[1e59; 40], &[-1e59, 1e59], &[f64::MIN_POSITIVE; 40]];
    let mut window = Window::new(20.0);
    window.call("a", "b").unwrap();
    window.call("b", "a").unwrap();
    window.call("a", "a").unwrap();
    for (index, values) in strange.iter().enumerate() {
        let service = window.service(["a", "b"][index % 2]).unwrap();
        for name in ["latency", "errors", "requests", "cpu", "?"] {
            let samples = values.iter().enumerate().map(|(at, value)| (at as f64, *value));
            window.track(service, name, samples).unwrap();
        }
    }
    for split in [f64::MIN, -1.0, 0.0, 20.0, 39.0, 1e300, f64::NAN] {
        window.split = split;
        for ranked in rank(&window).list {
            assert!(ranked.score.is_finite());
        }
        for method in Method::ALL {
            method.services(&window);
        }
    }
}

#[test]
fn limits_are_errors() {
    let mut window = Window::new(0.0);
    for number in 0..window::MOST_SERVICES {
        window.service(&number.to_string()).unwrap();
    }
    let error = window.service("one more").unwrap_err().to_string();
    assert_eq!(error, "incident: services: more than 5000, which is the most that are ranked");
}

#[test]
fn names_say_what_is_measured_and_which_way_is_bad() {
    use meaning::{Bad, Meaning};
    let of = |name| {
        let Meaning { signal, bad, percentile, .. } = Meaning::of(name);
        (signal, bad, percentile)
    };
    assert_eq!(of("latency Average"), (Some(Signal::Latency), Bad::Up, 0));
    assert_eq!(of("latency-90"), (Some(Signal::Latency), Bad::Up, 90));
    assert_eq!(of("http_request_duration_seconds:p99"), (Some(Signal::Latency), Bad::Up, 99));
    assert_eq!(of("web.elapsed.upper_99"), (Some(Signal::Latency), Bad::Up, 99));
    assert_eq!(of("availability Average"), (Some(Signal::Errors), Bad::Down, 0));
    assert_eq!(of("memory_free_bytes").1, Bad::Down);
    assert_eq!(of("cache_misses:ratio").1, Bad::Up);
    assert_eq!(of("workload"), (Some(Signal::Requests), Bad::Either, 0));
    assert_eq!(of("frobnication"), (None, Bad::Either, 0));
}

#[test]
fn intervals_are_those_of_wilson() {
    // Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I.
    for (hits, count, low, high) in [(81.0, 263, 0.2553, 0.3662), (0.0, 20, 0.0, 0.1611)] {
        let (found_low, found_high) = wilson(hits, count);
        assert!((found_low - low).abs() < 5e-5 && (found_high - high).abs() < 5e-5);
    }
}
