use super::*;

#[test]
fn every_metric_of_every_dialect_is_understood() {
    for dialect in DIALECTS.concat() {
        for (signal, name, scale) in dialect.names {
            assert_eq!(Signal::of(name), Some(*signal), "{}: {name}", dialect.name);
            assert!(*scale > 0.0);
        }
        let mut names: Vec<_> = dialect.names.iter().map(|(_, name, _)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), dialect.names.len(), "{}", dialect.name);
    }
}

#[test]
fn frames_hold_the_message() {
    let mut dice = Dice::named(&[1]);
    for dialect in DIALECTS.concat() {
        let line = dialect.line(&mut dice, Level::Error, "no answer of \"cart\"");
        assert!(line.contains("no answer of"), "{line}");
        assert!(!line.contains('\n'));
    }
}
