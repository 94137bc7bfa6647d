//! What is said on any day, incident or not: rollouts that harm nobody, lines that nobody reads,
//! single restarts, a climb or a spike of no consequence.

use crate::dice::Dice;
use crate::phrase::Phrase;
use crate::simulate::{Kind, Scene};
use crate::telemetry::Measured;
use crate::topology::Node;
use crate::topology::Trait;
use crate::world::BASELINE;
use crate::writer::{Worth, Writer};
use sre::incident::{EventKind, Level};
use sre::signal::Signal;

/// Lines of any day, with how loud they are.
const LINES: [(Phrase, Level); 16] = [
    (Phrase::CacheRefreshed, Level::Info),
    (Phrase::ClientGone, Level::Warn),
    (Phrase::Deprecated, Level::Warn),
    (Phrase::JobDone, Level::Info),
    (Phrase::PoolResized, Level::Info),
    (Phrase::RateLimited, Level::Warn),
    (Phrase::SettingsReloaded, Level::Info),
    (Phrase::SlowStatement, Level::Warn),
    (Phrase::TokenRenewed, Level::Info),
    (Phrase::SlowRequest, Level::Warn),
    (Phrase::CollectorBusy, Level::Warn),
    (Phrase::LookupFailed, Level::Warn),
    (Phrase::LoopDelayed, Level::Warn),
    (Phrase::CallTimeout, Level::Error),
    (Phrase::Defect, Level::Error),
    (Phrase::LockWaited, Level::Warn),
];

/// Changes of any day.
const CHANGES: [Phrase; 14] = [
    Phrase::ImageChanged,
    Phrase::ImageChanged,
    Phrase::ImageChanged,
    Phrase::SettingChanged,
    Phrase::SettingChanged,
    Phrase::PolicyApplied,
    Phrase::ProbeChanged,
    Phrase::MemoryLowered,
    Phrase::CpuLowered,
    Phrase::PoolLowered,
    Phrase::ReplicasChanged,
    Phrase::SecretRotated,
    Phrase::DashboardChanged,
    Phrase::LabelsChanged,
];

/// Events of any day.
const EVENTS: [(EventKind, &str, Phrase); 7] = [
    (EventKind::Normal, "Scheduled", Phrase::Scheduled),
    (EventKind::Normal, "Pulled", Phrase::Pulled),
    (EventKind::Normal, "Completed", Phrase::JobCompleted),
    (EventKind::Normal, "ScalingReplicaSet", Phrase::ScaledUp),
    (EventKind::Warning, "Unhealthy", Phrase::ProbeTimeout),
    (EventKind::Warning, "Unhealthy", Phrase::ProbeRefused),
    (EventKind::Warning, "BackOff", Phrase::BackOffRestarting),
];

/// Writes all of it.
pub(crate) fn write(dice: &mut Dice, scene: &Scene, writer: &mut Writer<'_>) {
    let count = scene.topology.services.len();
    for service in 0..count {
        if dice.happens(0.25) {
            line(dice, scene, writer, service);
        }
    }
    for _ in 0..dice.below(4) {
        let service = any(dice, scene);
        let phrase = *dice.one(&CHANGES);
        let minute = dice.between((2.0, BASELINE as f64 + 8.0));
        writer.change(dice, phrase, service, (minute, Worth::Ordinary));
        if phrase == Phrase::ImageChanged && dice.happens(0.6) {
            let pulled = (EventKind::Normal, "Pulled", Phrase::Pulled, 2);
            writer.event(dice, pulled, service, (minute + 0.4, Worth::Ordinary));
        }
    }
    for _ in 0..dice.below(3) {
        let service = dice.below(count);
        let (kind, reason, phrase) = *dice.one(&EVENTS);
        let times = if kind == EventKind::Warning { dice.below(3) + 1 } else { dice.below(4) + 1 };
        let minute = dice.between((5.0, BASELINE as f64 + 12.0));
        let event = (kind, reason, phrase, times as u64);
        writer.event(dice, event, service, (minute, Worth::Ordinary));
    }
}

/// Any service, now and then the one at fault: it has a past as well.
fn any(dice: &mut Dice, scene: &Scene) -> usize {
    match scene.hits.first() {
        Some(hit) if dice.happens(0.12) => hit.service,
        _ => dice.below(scene.topology.services.len()),
    }
}

/// A line that comes as often as ever.
fn line(dice: &mut Dice, scene: &Scene, writer: &mut Writer<'_>, service: usize) {
    let node = &scene.topology.services[service];
    let (phrase, level) = *dice.one(&LINES);
    if !fits(node, phrase) {
        return;
    }
    let calls: Vec<usize> = node.calls.iter().map(|(callee, _)| *callee).collect();
    let about = if calls.is_empty() { service } else { *dice.one(&calls) };
    let before = libm::round(dice.spread((2.0, 120.0)));
    let share = (scene.minutes - BASELINE) as f64 / BASELINE as f64;
    let count = libm::round(before * share * dice.between((0.5, 1.8))).max(1.0);
    let minute = BASELINE as f64 + dice.between((0.0, 6.0));
    let said = (phrase, level, count as u64, before as u64);
    writer.log(dice, said, (service, about), (minute, Worth::Ordinary));
}

fn fits(node: &Node, phrase: Phrase) -> bool {
    match phrase {
        Phrase::SlowStatement | Phrase::PoolResized => node.has(Trait::Pool),
        Phrase::CacheRefreshed => node.has(Trait::Cache),
        Phrase::CallTimeout => !node.calls.is_empty(),
        _ => true,
    }
}

/// Lets a few series that no fault moves do something of no consequence, and takes some away.
pub(crate) fn disturb(dice: &mut Dice, scene: &Scene, measured: &mut Vec<Measured>) {
    let odd = dice.below(4) + usize::from(scene.kind == Kind::Healthy);
    for _ in 0..odd {
        let index = dice.below(measured.len());
        if measured[index].worth == Worth::Ordinary {
            oddity(dice, &mut measured[index], scene.world.per_minute);
        }
    }
    measured.retain(|it| it.worth != Worth::Ordinary || !dice.happens(0.05));
}

fn oddity(dice: &mut Dice, series: &mut Measured, per_minute: usize) {
    let climbs = matches!(series.signal, Signal::Memory | Signal::Disk | Signal::OpenFiles);
    let size = dice.between((0.12, 0.5));
    let spike = BASELINE + dice.below(12);
    let counted = matches!(series.signal, Signal::Restarts | Signal::Leader);
    if matches!(series.signal, Signal::Ready | Signal::Wanted | Signal::Certificate) {
        return;
    }
    for (row, value) in series.values.iter_mut().enumerate() {
        let Some(value) = value else { continue };
        let minute = row / per_minute;
        if counted {
            *value += f64::from(u8::from(row == spike * per_minute));
        } else if climbs {
            *value *= 1.0 + size * minute as f64 / 80.0;
        } else if (spike..spike + 4).contains(&minute) {
            *value *= 1.0 + 1.5 * size;
        }
        if let Some(limit) = series.limit {
            *value = value.min(limit);
        }
    }
}
