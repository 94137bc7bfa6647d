//! Patterns of what every incident has to say, whatever its cause. The places are those of
//! [`super::facts`]; `{id}` is the id of the evidence, in brackets.

use super::template::Pool;

/// What raised the alarm.
pub(super) const NOTICED: Pool = Pool {
    train: &[
        "At {clock} an alert [fired|was raised] for {alerted}: {alert}.",
        "{alerted} set off the alarm at {clock} ({alert}).",
        "[The on-call engineer was|Somebody was] paged at {clock} about {alerted}: {alert}.",
        "Monitoring reported \"{alert}\" for {alerted} at {clock}.",
        "It began for us with an alert on {alerted} at {clock} UTC: {alert}.",
        "The alarm is about {alerted}: {alert}.",
        "{clock}: alert for {alerted}, {alert}.",
    ],
    test: &[
        "A page about {alerted} went out at {clock} saying \"{alert}\".",
        "First sign, at {clock}: {alerted}, {alert}.",
        "The pager spoke of {alerted} ({alert}) at {clock}.",
        "Our attention was called to {alerted} by \"{alert}\" at {clock}.",
    ],
};

/// The start of an incident that nothing raised the alarm about.
pub(super) const STARTED: Pool = Pool {
    train: &[
        "No alert was raised; the window begins at {clock}.",
        "Somebody looked at the dashboards at {clock}, without an alert.",
        "From {clock} on things were looked at more closely, though nothing had paged.",
        "The time in question begins at {clock}.",
        "There was no page; the review starts at {clock}.",
        "{clock} is taken as the start, as no alarm marks it.",
    ],
    test: &[
        "No pager went off; observation begins with {clock}.",
        "We chose {clock} as zero, since nobody was alerted.",
        "The record opens at {clock} without any alarm.",
    ],
};

/// A metric that left its baseline.
pub(super) const METRIC: Pool = Pool {
    train: &[
        "{what} of {who} went {moved} {id}.",
        "At {who}, {what} moved {moved} {id}, beginning {when}.",
        "{when}, {what} of {who} left its usual range {id}: {moved}.",
        "{who} shows {what} {moved} {id}.",
        "{id} is {what} of {who}; it went {moved}.",
        "We see {what} at {who} going {moved} {id}.",
        "For {who} the graph of {what} goes {moved} from {when} on {id}.",
    ],
    test: &[
        "{who} recorded {what} {moved} {id}.",
        "The curve for {what} at {who} ran {moved} {id}.",
        "According to {id}, {what} on {who} shifted {moved}.",
        "{when} {who} departed from its norm in {what}, {moved} {id}.",
    ],
};

/// An event of the cluster.
pub(super) const EVENT: Pool = Pool {
    train: &[
        "Kubernetes reported {reason} for {who} {count} {id}: {text}.",
        "{who} has the event {reason} {id}, {count}: {text}.",
        "{when} the cluster noted {reason} at {who} {id}.",
        "The event {reason} came {count} for {who} {id}.",
        "{id} says {reason} about {who}: {text}.",
        "There is {reason} for {who} {count} among the events {id}.",
        "For {who} the events list {reason} {id}, which reads \"{text}\".",
    ],
    test: &[
        "The control plane logged {reason} against {who} {id}.",
        "{reason} was emitted {count} on behalf of {who} {id}.",
        "Among cluster events {id} stands out: {who}, {reason}, {text}.",
    ],
};

/// A log line.
pub(super) const LOG: Pool = Pool {
    train: &[
        "{who} logged \"{text}\" {count} {id}.",
        "In the logs of {who}: \"{text}\" {id}, {count}.",
        "{when} {who} began to write \"{text}\" {id}.",
        "{who} wrote {count}: {text} {id}.",
        "{id} is a line of {who}: \"{text}\".",
        "The line \"{text}\" came {count} from {who} {id}.",
        "What {who} wrote {count} was \"{text}\" {id}.",
    ],
    test: &[
        "{who} kept printing \"{text}\" {id}.",
        "Output of {who} contained \"{text}\" {count} {id}.",
        "One reads \"{text}\" {id} in what {who} printed.",
    ],
};

/// A change.
pub(super) const CHANGE: Pool = Pool {
    train: &[
        "{who} was changed {when} {id}: {text}.",
        "{when}, a change was made to {who}: {text} {id}.",
        "The log of changes has \"{text}\" for {who} {id}, {when}.",
        "Somebody changed {who} {when}: {text} {id}.",
        "{id} is a change of {who} {when}: {text}.",
        "Shortly before, or at least before anybody noticed, {who} got a change: {text} {id}.",
        "A change to {who} is on record {id}: {text}.",
    ],
    test: &[
        "{who} had been altered {when}: {text} {id}.",
        "On file for {who} is the alteration \"{text}\" {id}.",
        "An edit reached {who} {when}, namely {text} {id}.",
    ],
};

/// How trouble got from the service at fault to the one that raised the alarm; `{path}` is the way
/// of calls.
pub(super) const SPREAD: Pool = Pool {
    train: &[
        "{alerted} only passes on what it gets: {path}.",
        "The way from the alarm to the cause is {path}.",
        "{alerted} suffers because of what it calls: {path}.",
        "Follow the calls: {path}.",
        "The loudest service is not the guilty one; {path}.",
        "{alerted} is a victim here, as {path}.",
        "Trouble travelled up the calls: {path}.",
    ],
    test: &[
        "Along {path} the damage climbed to {alerted}.",
        "{alerted} merely echoed it, since {path}.",
        "The chain is this: {path}.",
    ],
};

/// That the service at fault is also the one that raised the alarm.
pub(super) const AT_HOME: Pool = Pool {
    train: &[
        "The alarm and the cause are at the same service, {service}.",
        "{service} raised the alarm itself.",
        "Here the loudest service is also the one at fault: {service}.",
        "Nothing that {service} calls explains it; the fault is its own.",
        "It is {service} that pages, and it is {service} that fails.",
        "The search ends where it began, at {service}.",
    ],
    test: &[
        "Alarm and origin coincide at {service}.",
        "{service} need look no further than itself.",
        "This time the messenger, {service}, was the culprit.",
    ],
};

/// What leads from the symptoms to the cause.
pub(super) const TOGETHER: Pool = Pool {
    train: &[
        "Taken together, [this|it] points at {service}.",
        "[All|Most] of it is about {service} or about those that call it.",
        "What these have in common is {service}.",
        "The earliest and strongest signs are at {service}.",
        "The evidence leads to {service}.",
        "One service explains the others: {service}.",
    ],
    test: &[
        "The threads meet at {service}.",
        "Everything circles around {service}.",
        "Read side by side, the traces indicate {service}.",
    ],
};

/// What does not belong to it.
pub(super) const UNRELATED: Pool = Pool {
    train: &[
        "{who} has a line of its own {id}, which [explains nothing here|is a coincidence].",
        "{id} is about {who} and leads nowhere.",
        "We looked at {who} {id} too; it has nothing to do with this.",
        "That something was seen at {who} {id} does not matter here.",
        "{who} {id} is not part of it.",
        "{id} can be set aside: {who} is not on the way.",
    ],
    test: &[
        "A distraction: {who} {id}.",
        "{who} {id} turned out to be beside the point.",
        "The trace at {who} {id} is of no use.",
    ],
};

/// What callers went through; `{who}` suffers.
pub(super) const SUFFERED: Pool = Pool {
    train: &[
        "{who} suffered: {what} went {moved} {id}.",
        "Callers felt it at {who}, where {what} went {moved} {id}.",
        "For users this meant {what} of {who} {moved} {id}.",
        "The effect on {who} was {what} {moved} {id}.",
        "{who} was hit as well: {what} {moved} {id}.",
        "Impact at {who}: {what} {moved} {id}.",
    ],
    test: &[
        "{who} bore the brunt, {what} running {moved} {id}.",
        "Seen from outside, {what} at {who} ran {moved} {id}.",
        "Harm to {who}: {what}, {moved} {id}.",
    ],
};

/// That nothing of what callers notice left its baseline.
pub(super) const UNHARMED: Pool = Pool {
    train: &[
        "Errors and latency that users would notice stayed where they were.",
        "No effect on users was measured.",
        "Users noticed nothing that our metrics would show.",
        "Nobody outside seems to have been affected.",
        "The metrics of errors and latency show no harm.",
        "There was no measurable impact.",
    ],
    test: &[
        "Customers, as far as measured, were spared.",
        "Outside, all looked as ever.",
        "We found no harm done.",
    ],
};

/// How long it was watched.
pub(super) const DURATION: Pool = Pool {
    train: &[
        "The data covers {minutes} minutes from the start.",
        "We have {minutes} minutes of telemetry after the start.",
        "This report looks at the first {minutes} minutes.",
        "What follows is known up to {end}, {minutes} minutes in.",
        "Telemetry ends at {end}, after {minutes} minutes.",
        "Seen from {clock} to {end}, that is {minutes} minutes.",
    ],
    test: &[
        "Recorded were {minutes} minutes, until {end}.",
        "The tape stops {minutes} minutes in.",
        "Observation lasted {minutes} minutes.",
    ],
};

/// How to see that it helped.
pub(super) const VERIFY: Pool = Pool {
    train: &[
        "It worked if {service} is back at its usual values for fifteen minutes.",
        "Check that {alerted} recovers too, not only {service}.",
        "Watch the same lines again; they should return to their baselines.",
        "Afterwards compare with the hour before the incident.",
        "Keep watching until the alert ends by itself.",
        "If nothing changes within ten minutes, take it back and ask for help.",
    ],
    test: &[
        "Success means that {service} behaves as yesterday.",
        "Wait a quarter of an hour, then measure anew.",
        "The proof is a silent pager and curves at their old level.",
    ],
};

/// What was learned.
pub(super) const LESSON: Pool = Pool {
    train: &[
        "The service that pages is often not the one at fault.",
        "The order of events told more than their size.",
        "Evidence first, then an opinion, then a change.",
        "A graph of who calls whom saves time in the first minutes.",
        "One change at a time, so that it is known what helped.",
        "What is not measured cannot be ruled out.",
        "Small warnings before the start deserved a look.",
    ],
    test: &[
        "Noise is not guilt: loud services are frequently bystanders.",
        "Sequence beats magnitude when looking for a culprit.",
        "Write hypotheses down before testing them.",
    ],
};

/// A second fault.
pub(super) const SECOND: Pool = Pool {
    train: &[
        "Apart from that, there was a second trouble at {second}:",
        "Independently, {second} had a fault of its own:",
        "Not to be mixed up with it is what went on at {second}:",
        "Two things happened at once. The other one was at {second}:",
        "There is a further fault, at {second}:",
        "A second cause is needed for {second}:",
    ],
    test: &[
        "By bad luck {second} failed in its own way, too:",
        "A separate matter is {second}:",
        "Unrelated to the above, {second}:",
    ],
};
