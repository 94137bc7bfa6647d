//! `srek lab saturation` from outside: the same table on any number of threads, whose numbers fit
//! each other.

use crate::command::Room;

#[test]
fn methods_are_compared_alike_on_any_number_of_threads() {
    let room = Room::new();
    let one = room.srek("lab saturation --count 11 --seed 3 --threads 1 --json").json();
    let two = room.srek("lab saturation --count 11 --seed 3 --threads 2 --json").json();
    assert_eq!(one, two);
    assert_eq!(one["series"], 11);
    let methods = one["methods"].as_object().expect("methods");
    assert_eq!(methods.len(), 4);
    for (name, method) in methods {
        let (all, courses) = (&method["all"], method["courses"].as_object().expect("courses"));
        assert_eq!(courses.len(), 11, "{name}");
        for part in ["series", "events", "false_alarms", "intervals"] {
            let sum: u64 = courses.values().map(|it| it[part].as_u64().expect("a number")).sum();
            assert_eq!(all[part], sum, "{name} {part}");
        }
        let lead = all["median_lead_seconds"].as_f64().expect("a lead");
        assert!(lead >= all["p10_lead_seconds"].as_f64().expect("a lead"), "{name}");
    }
    let shown = room.must("lab saturation --count 11 --seed 3").stdout;
    for name in ["forecast", "predict_linear volume", "threshold 90%", "leaking-teeth"] {
        assert!(shown.contains(name), "{shown}");
    }
}

#[test]
fn nothing_to_compare_is_an_error() {
    Room::new().srek("lab saturation --count 0").fails(
        2,
        r"
error: --count 0: there is nothing to simulate
hint: --count 110
",
    );
}
