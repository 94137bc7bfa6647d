use super::*;

#[test]
fn a_name_leads_back_to_its_cause_and_is_the_one_in_files() {
    for cause in Cause::ALL {
        assert_eq!(cause.name().parse::<Cause>().unwrap(), cause);
        let written = serde_json::to_string(&cause).unwrap();
        assert_eq!(written, format!("\"{}\"", cause.name()));
        assert_eq!(serde_json::from_str::<Cause>(&written).unwrap(), cause);
    }
}

#[test]
fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
    let error = "gremlins".parse::<Cause>().unwrap_err().to_string();
    assert!(error.starts_with("\"gremlins\" is not a cause\nhint: one of memory-limit-too-low, "));
}

#[test]
fn faults_are_all_but_the_two_that_name_none() {
    assert_eq!(Cause::faults().len(), 24);
    assert!(!Cause::faults().contains(&Cause::None));
    assert!(!Cause::faults().contains(&Cause::Unknown));
}
