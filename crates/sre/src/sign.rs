//! By which signs each cause is told: what a metric measures, what a message is about, what was
//! changed. What every operator knows, as a table; it counts what speaks for a cause, beside a model and
//! without one.

use crate::cause::Cause;
use crate::evidence::{Item, Kind, Pack};
use crate::signal::Signal;

#[cfg(test)]
mod tests;

/// One sign.
#[derive(Clone, Copy, Debug)]
enum Sign {
    /// A metric that moved the bad way.
    Moved(Signal),
    /// A log line or an event with all of these topics; a reason of an event is one of its topics.
    Said(&'static [&'static str]),
    /// A change with all of these topics.
    Changed(&'static [&'static str]),
}

use Sign::{Changed, Moved, Said};

/// Most that signs can say for one cause at one service.
const MOST: f64 = 3.0;

/// What a line says that names a service and is another's.
const NAMED: f64 = 0.7;

/// Steps of a metric beyond which all are alike.
const FAR: f64 = 100.0;

/// A weight of an event or a log line beyond which all are alike.
const LOUD: f64 = 8.0;

/// The signs of each cause with how much each says: 1 for what hardly anything else brings about, less
/// for what others bring about, too.
const SIGNS: [(Cause, &[(Sign, f64)]); 24] = [
    (
        Cause::MemoryLimitTooLow,
        &[
            (Said(&["killed", "memory"]), 1.0),
            (Said(&["OOMKilled"]), 1.0),
            (Said(&["OOMKilling"]), 1.0),
            (Changed(&["lowered", "memory"]), 1.0),
            (Said(&["collector"]), 0.6),
            (Moved(Signal::Memory), 0.5),
            (Moved(Signal::Restarts), 0.4),
        ],
    ),
    (
        Cause::CpuThrottling,
        &[
            (Moved(Signal::Throttling), 1.0),
            (Changed(&["lowered", "cpu"]), 1.0),
            (Said(&["throttled"]), 0.7),
            (Said(&["delayed"]), 0.7),
            (Moved(Signal::Cpu), 0.3),
        ],
    ),
    (
        Cause::ConnectionPoolExhausted,
        &[
            (Said(&["pool"]), 1.0),
            (Changed(&["lowered", "pool"]), 1.0),
            (Changed(&["lowered", "connection"]), 0.7),
            (Changed(&["connection", "maximum"]), 0.7),
            (Moved(Signal::Connections), 0.6),
            (Moved(Signal::Waiting), 0.3),
        ],
    ),
    (
        Cause::BadRollout,
        &[(Said(&["defect"]), 1.0), (Changed(&["image"]), 1.0), (Changed(&["rollout"]), 1.0)],
    ),
    (Cause::BadConfig, &[(Said(&["setting"]), 1.0), (Changed(&["setting"]), 1.0)]),
    (
        Cause::CertificateExpired,
        &[
            (Said(&["certificate", "ended"]), 1.0),
            (Moved(Signal::Certificate), 1.0),
            (Said(&["certificate"]), 0.7),
            (Said(&["tls"]), 0.6),
        ],
    ),
    (Cause::DnsFailure, &[(Said(&["name lookup"]), 1.0), (Moved(Signal::Dns), 1.0)]),
    (
        Cause::DiskFull,
        &[(Said(&["no space"]), 1.0), (Moved(Signal::Disk), 1.0), (Said(&["write"]), 0.4)],
    ),
    (
        Cause::NodeNotReady,
        &[
            (Said(&["NodeNotReady"]), 1.0),
            (Said(&["TaintManagerEviction"]), 1.0),
            (Said(&["node", "unready"]), 1.0),
            (Said(&["evicted"]), 0.4),
            (Moved(Signal::Ready), 0.3),
        ],
    ),
    (
        Cause::ImagePullFailure,
        &[
            (Said(&["Failed", "image"]), 1.0),
            (Said(&["BackOff", "image"]), 1.0),
            (Said(&["ErrImagePull"]), 1.0),
            (Said(&["ImagePullBackOff"]), 1.0),
            (Changed(&["image"]), 0.4),
            (Moved(Signal::Ready), 0.3),
        ],
    ),
    (
        Cause::WrongReadinessProbe,
        &[
            (Said(&["probe", "not served"]), 1.0),
            (Changed(&["probe"]), 1.0),
            (Said(&["Unhealthy"]), 0.4),
            (Moved(Signal::Ready), 0.4),
        ],
    ),
    (
        Cause::AutoscalerAtMaximum,
        &[
            (Said(&["maximum", "scaling"]), 1.0),
            (Said(&["TooManyReplicas"]), 0.7),
            (Said(&["maximum"]), 0.6),
            (Moved(Signal::Wanted), 0.5),
            (Moved(Signal::Requests), 0.3),
            (Said(&["overloaded"]), 0.3),
        ],
    ),
    (
        Cause::RetryStorm,
        &[
            (Moved(Signal::Retries), 1.0),
            (Said(&["retry"]), 0.6),
            (Moved(Signal::Requests), 0.4),
            (Said(&["overloaded"]), 0.3),
        ],
    ),
    (
        Cause::CacheStampede,
        &[(Moved(Signal::CacheHits), 1.0), (Said(&["cache"]), 1.0), (Changed(&["cache"]), 1.0)],
    ),
    (Cause::LockContention, &[(Said(&["lock"]), 1.0), (Moved(Signal::Waiting), 0.6)]),
    (Cause::SlowDependency, &[(Moved(Signal::Dependency), 1.0), (Said(&["outside"]), 1.0)]),
    (
        Cause::NetworkPolicyBlocking,
        &[
            (Moved(Signal::Dropped), 1.0),
            (Said(&["packets lost"]), 1.0),
            (Changed(&["policy"]), 1.0),
            (Said(&["connection", "timeout"]), 0.4),
        ],
    ),
    (
        Cause::QuotaExhausted,
        &[(Said(&["quota"]), 1.0), (Moved(Signal::Quota), 1.0), (Said(&["FailedCreate"]), 0.7)],
    ),
    (Cause::ClockSkew, &[(Said(&["clock"]), 1.0), (Moved(Signal::Clock), 1.0)]),
    (Cause::NoisyNeighbour, &[(Moved(Signal::NodePressure), 1.0), (Said(&["delayed"]), 0.4)]),
    (Cause::FileHandleLeak, &[(Said(&["open files"]), 1.0), (Moved(Signal::OpenFiles), 1.0)]),
    (
        Cause::MessageBacklog,
        &[
            (Said(&["messages", "behind"]), 1.0),
            (Moved(Signal::Queue), 1.0),
            (Said(&["messages"]), 0.5),
            (Said(&["behind"]), 0.4),
        ],
    ),
    (
        Cause::LeaderFlapping,
        &[(Said(&["leader"]), 1.0), (Moved(Signal::Leader), 1.0), (Said(&["LeaderElection"]), 0.7)],
    ),
    (Cause::BadSidecarInjection, &[(Said(&["sidecar"]), 1.0), (Changed(&["sidecar"]), 1.0)]),
];

/// Whether the reason of an event, which Kubernetes gives it, tells this cause, or helps to: not only the
/// words of its message, which anybody may have written.
pub(crate) fn is_told_by_reason(cause: Cause, reason: &str) -> bool {
    let tells = |sign: &Sign| matches!(sign, Said(words) if words.contains(&reason));
    signs(cause).iter().any(|(sign, _)| tells(sign))
}

/// The signs of a cause; none of what is no fault.
fn signs(cause: Cause) -> &'static [(Sign, f64)] {
    SIGNS.iter().find(|(it, _)| *it == cause).map_or(&[], |(_, signs)| signs)
}

/// How much what is shown speaks for a cause at the service with this label: the sum over the cause's
/// signs, each as strongly as its strongest line shows it, at most 3.
pub fn support(cause: Cause, label: &str, pack: &Pack) -> f64 {
    let Some(service) = pack.service(label) else { return 0.0 };
    let own: Vec<(&Item, f64)> = pack
        .all
        .iter()
        .filter_map(|item| {
            let named = item.about.iter().any(|about| about == label);
            let share = if item.service == service { 1.0 } else { NAMED };
            (item.service == service || named).then_some((item, share))
        })
        .collect();
    let strongest = |sign: Sign| {
        let shown = own.iter().filter(|(item, _)| is_seen(sign, item));
        shown.map(|(item, share)| share * strength(item)).fold(0.0, f64::max)
    };
    let total: f64 = signs(cause).iter().map(|(sign, weight)| weight * strongest(*sign)).sum();
    total.min(MOST)
}

/// The ids of the lines that show a sign of a cause at this service, the strongest first.
pub fn telling<'a>(cause: Cause, label: &str, pack: &'a Pack) -> Vec<&'a str> {
    let Some(service) = pack.service(label) else { return Vec::new() };
    let mut found: Vec<(f64, &str)> = Vec::new();
    for item in &pack.all {
        if item.service != service && !item.about.iter().any(|about| about == label) {
            continue;
        }
        let seen = signs(cause).iter().filter(|(sign, _)| is_seen(*sign, item));
        let most = seen.map(|(_, weight)| weight * strength(item)).fold(0.0, f64::max);
        if most > 0.0 {
            found.push((most, &item.id));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    found.into_iter().map(|(_, id)| id).collect()
}

fn is_seen(sign: Sign, item: &Item) -> bool {
    let touches = |words: &[&str]| words.iter().all(|word| item.topics.contains(word));
    match (sign, item.kind) {
        (Moved(signal), Kind::Metric) => item.signal == Some(signal) && moved_badly(item),
        (Said(words), Kind::Log | Kind::Event) | (Changed(words), Kind::Change) => touches(words),
        _ => false,
    }
}

/// Whether a metric moved the way that is bad where only one is.
fn moved_badly(item: &Item) -> bool {
    let down = item.said.contains(" down ");
    match item.signal {
        Some(Signal::CacheHits | Signal::Ready | Signal::Certificate) => down,
        Some(Signal::Disk | Signal::Quota) | None => true,
        Some(_) => !down,
    }
}

/// How strongly a line shows what it shows, from 0 to 1.
fn strength(item: &Item) -> f64 {
    let weight = item.weight.max(0.0);
    let share = match item.kind {
        Kind::Metric => libm::log1p(weight) / libm::log1p(FAR),
        Kind::Log | Kind::Event => weight / LOUD,
        // A change says the less the longer it is ago, and never nothing.
        Kind::Change => 0.3 + 7.0 * weight,
    };
    share.min(1.0)
}
