//! Faults of nodes.

use super::Wording;
use crate::prose::template::Pool;
use sre::cause::Cause;

pub(super) const WORDINGS: [Wording; 3] = [
    Wording {
        cause: Cause::NodeNotReady,
        symptom: Pool {
            train: &[
                "The number of ready pods of {service} went {ready} in one step.",
                "Pods of {service} on {node} [went silent|stopped answering] at the same moment.",
                "{service} lost pods without a word in their logs.",
            ],
            test: &[
                "Part of {service} fell off the cluster in one instant.",
                "Whatever ran on {node} was no longer heard of.",
            ],
        },
        why: Pool {
            train: &[
                "The node [stopped answering|is gone], and its pods with it.",
                "{node} does not report any more; pods on it count as lost, but are replaced only after minutes.",
                "The pods did not fail, the machine under them did.",
            ],
            test: &[
                "The host {node} went dark and took its tenants along.",
                "A machine was lost; the software on it is blameless.",
            ],
        },
        fix: Pool {
            train: &[
                "Moving everything off the node ends the wait: {action}.",
                "[Cordon and drain|Empty] the node, so that its pods start elsewhere at once.",
                "Do not wait for the node; let its pods be replaced.",
            ],
            test: &[
                "Write the host off: {action}.",
                "Evict what is listed on {node} and have the machine replaced.",
            ],
        },
        prevention: Pool {
            train: &[
                "Spread replicas over nodes and zones.",
                "Replace nodes that stop answering by machine.",
                "Keep enough free capacity for the loss of one node.",
            ],
            test: &[
                "Practise the loss of a host every month.",
                "Shorten how long pods of a silent host are kept on its list.",
            ],
        },
    },
    Wording {
        cause: Cause::ClockSkew,
        symptom: Pool {
            train: &[
                "The clock offset at {service} went {offset}.",
                "{service} refused tokens that [others found valid|were fresh].",
                "Entries of {service} seemed to come from the future.",
            ],
            test: &[
                "{service} and its peers disagreed about the hour.",
                "Signatures looked stale to {service} the moment they were made.",
            ],
        },
        why: Pool {
            train: &[
                "The clock of {node} is off, and whatever is checked against time fails there.",
                "Time on the node [runs ahead or behind|is wrong], so good tokens look bad.",
                "Nothing is wrong with the tokens; the clock that judges them is.",
            ],
            test: &[
                "{node} lives in a different minute from the rest of the cluster.",
                "The host drifted away from the common time.",
            ],
        },
        fix: Pool {
            train: &[
                "A right clock ends it: {action}.",
                "[Set|Correct] the clock and restart the time service of the node.",
                "Keep new pods off the node until its time is right.",
            ],
            test: &[
                "Bring the host back to common time: {action}.",
                "Resynchronise, and only then let work return to {node}.",
            ],
        },
        prevention: Pool {
            train: &[
                "Alert when a clock is off by more than 100 ms.",
                "Allow a few seconds of difference where tokens are checked.",
                "Watch that the time service runs on every node.",
            ],
            test: &[
                "Compare the hosts' clocks with each other every minute.",
                "Refuse hosts without a time source at boot.",
            ],
        },
    },
    Wording {
        cause: Cause::NoisyNeighbour,
        symptom: Pool {
            train: &[
                "Pressure on the node of {service} went {pressure}.",
                "Only the pods of {service} on one node were [slow|late].",
                "{service} was slow ({latency}) though it did no more than usual.",
            ],
            test: &[
                "{service} shared {node} with something greedy.",
                "Twins of the slow pods on other hosts did well.",
            ],
        },
        why: Pool {
            train: &[
                "Another workload on {node} takes the CPU or the disk that {service} needs.",
                "The node is [crowded|overcommitted]: what {service} loses, a neighbour uses.",
                "{service} is the victim of what runs beside it.",
            ],
            test: &[
                "A co-tenant eats the host bare.",
                "The shortage is one of the host, made by a stranger to {service}.",
            ],
        },
        fix: Pool {
            train: &[
                "Pods on other nodes are fast: {action}.",
                "[Move|Shift] the pods away, then look at the neighbour.",
                "Separate the two workloads.",
            ],
            test: &["Rehome the pods: {action}.", "Send the greedy tenant to a host of its own."],
        },
        prevention: Pool {
            train: &[
                "Give every workload requests and limits.",
                "Keep batch work on nodes of its own.",
                "Alert on pressure of nodes.",
            ],
            test: &[
                "Forbid pods without limits by policy.",
                "Label hosts by the kind of work that they are for.",
            ],
        },
    },
];
