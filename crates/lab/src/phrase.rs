//! What programs, the cluster and people write: phrases by what they say, each in several wordings.
//! The wordings of the two parts are disjoint where the text is a program's or a person's own; what
//! Kubernetes itself prints is the same everywhere.

use crate::dice::Dice;
use crate::settings::Part;

mod changes;
mod english;
mod german;
mod kubernetes;
#[cfg(test)]
mod tests;

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phrase {
    // Log lines of a service at fault.
    AcceptFailed,
    AllBusy,
    CertificateEnded,
    CollectorBusy,
    ConsumerBehind,
    Defect,
    HandshakeFailed,
    LeadershipLost,
    LoadsAtOnce,
    LockWaited,
    LoopDelayed,
    NoSpace,
    NotValidYet,
    OutsideSlow,
    PoolTimeout,
    ProbePathUnknown,
    ProxyRefused,
    SettingHostUnknown,
    SettingWrong,
    SlowRequest,
    Starting,
    TooManyFiles,
    WriteFailed,
    // Log lines of those that call it.
    AttemptAgain,
    BreakerOpen,
    CallFailed,
    CallTimeout,
    ConnectTimeout,
    LookupFailed,
    NoEndpoints,
    NoLeader,
    StaleResult,
    // Log lines of any day.
    CacheRefreshed,
    ClientGone,
    Deprecated,
    JobDone,
    PoolResized,
    RateLimited,
    SettingsReloaded,
    SlowStatement,
    TokenRenewed,
    // Events.
    BackOffProxy,
    BackOffPulling,
    BackOffRestarting,
    BecameLeader,
    EvictedByTaint,
    EvictedForStorage,
    JobCompleted,
    KilledForMemory,
    NodeLost,
    ProbeRefused,
    ProbeStatus,
    ProbeTimeout,
    PullFailed,
    Pulled,
    QuotaRefused,
    ScaledToMost,
    ScaledUp,
    Scheduled,
    WantsMoreThanMost,
    // Changes.
    CacheEmptied,
    CpuLowered,
    DashboardChanged,
    ImageChanged,
    InjectionEnabled,
    LabelsChanged,
    MemoryLowered,
    PolicyApplied,
    PoolLowered,
    ProbeChanged,
    ReplicasChanged,
    SecretRotated,
    SettingChanged,
    // Alerts.
    ErrorsHigh,
    LatencyHigh,
    ReadyLow,
}

/// A phrase with its wordings for learning and for testing.
pub(crate) type Words = (Phrase, &'static [&'static str], &'static [&'static str]);

/// What a service's own programs write in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    German,
}

/// A wording of the phrase, with its places still open.
pub(crate) fn wording(
    dice: &mut Dice,
    phrase: Phrase,
    part: Part,
    language: Language,
) -> &'static str {
    let pool = pool(phrase, part, language);
    assert!(!pool.is_empty(), "{phrase:?} has no wording; a test goes through all");
    dice.one::<&str>(pool)
}

/// The wordings of a phrase. What German does not have is said in English, as programs do.
fn pool(phrase: Phrase, part: Part, language: Language) -> &'static [&'static str] {
    let german: &[Words] = if language == Language::German { german::WORDS } else { &[] };
    let all = [german, english::WORDS, changes::WORDS, kubernetes::WORDS];
    let found = all.into_iter().flatten().find(|(key, _, _)| *key == phrase);
    match (found, part) {
        (Some((_, train, _)), Part::Train) => train,
        (Some((_, _, test)), Part::Test) => test,
        (None, _) => &[],
    }
}

/// What stands in the open places of a wording.
pub(crate) type Fill<'a> = [(&'static str, &'a str)];

/// A wording with its places filled: `{name}` by the text of that name.
pub(crate) fn fill(wording: &str, fills: &Fill<'_>) -> String {
    let mut out = String::with_capacity(wording.len() + 32);
    let mut rest = wording;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            out.push('{');
            rest = after;
            continue;
        };
        if let Some((_, text)) = fills.iter().find(|(key, _)| *key == name) {
            out.push_str(text);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}
