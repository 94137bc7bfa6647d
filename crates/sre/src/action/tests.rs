use super::*;
use crate::cause::Cause;
use crate::incident::tests::small;

#[test]
fn a_name_leads_back_to_its_action_and_is_the_one_in_files() {
    for kind in ActionKind::ALL {
        assert_eq!(kind.name().parse::<ActionKind>().unwrap(), kind);
        assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.name()));
    }
    assert!("drop-tables".parse::<ActionKind>().unwrap_err().to_string().contains("roll-back"));
}

#[test]
fn every_action_helps_against_something() {
    for kind in ActionKind::ALL {
        assert!(Cause::ALL.iter().any(|cause| cause.remedy() == kind), "{kind} helps nobody");
    }
}

#[test]
fn arguments_come_from_the_incident() {
    let incident = small();
    let action = Action::propose(ActionKind::RaiseMemoryLimit, &incident, Some("cart"));
    assert_eq!(action.sentence(), "raise the memory limit of `cart` to 768 MiB");
    let action = Action::propose(ActionKind::DrainNode, &incident, Some("cart"));
    assert_eq!(action.node.as_deref(), Some("node-a"));
    let action = Action::propose(ActionKind::Escalate, &incident, Some("cart"));
    assert_eq!(action.service, None);
}
