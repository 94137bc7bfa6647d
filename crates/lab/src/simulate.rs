//! One incident: which kind, which faults, where; then everything that is to be seen of it, and the
//! truth. A function of seed, part and number alone.

use crate::dice::Dice;
use crate::fault::{self, Fault};
use crate::settings::{Part, Settings};
use crate::simulated::Simulated;
use crate::telemetry;
use crate::topology::Topology;
use crate::world::{self, BASELINE, Hit, Season, World};
use crate::writer::Writer;
use crate::{dialect, names, ordinary, symptoms, write_up};
use jiff::Timestamp;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use sre::cause::Cause;
use std::ops::Range;

/// What kind of incident it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Healthy,
    One,
    Two,
    HeldOut,
    TooLittle,
}

/// Everything about an incident before it is written up.
pub(crate) struct Scene {
    pub(crate) kind: Kind,
    pub(crate) topology: Topology,
    pub(crate) world: World,
    /// The first is the one that the truth is about.
    pub(crate) hits: Vec<Hit>,
    pub(crate) minutes: usize,
    /// When the trouble was noticed.
    pub(crate) start: Timestamp,
}

/// What `use_of` makes of each of these incidents, in their order, on all threads. An incident takes
/// about half a megabyte, so what is kept of it is for the caller to say.
pub fn many<T: Send>(
    settings: &Settings,
    numbers: Range<u64>,
    use_of: impl Fn(Simulated) -> T + Sync,
) -> Vec<T> {
    numbers.into_par_iter().map(|number| use_of(incident(settings, number))).collect()
}

/// The incident of this number: the same for the same settings, in any order, on any thread.
pub fn incident(settings: &Settings, number: u64) -> Simulated {
    let part = names::half(settings.part) as u64;
    let mut dice = Dice::named(&[0x6c61_6201, settings.seed, part, number]);
    let dice = &mut dice;
    let kind = kind(dice, settings);
    let mut topology = Topology::new(dice, settings.part);
    let minutes = BASELINE + usize::try_from(dice.whole((15, 25))).unwrap_or(20);
    let hits = hits(dice, settings, kind, &mut topology);
    let season = season(dice, kind, settings.part);
    let world = world::run(&topology, &hits, &season, (minutes, settings.per_minute()));
    let start = start(dice, settings.part);
    let scene = Scene { kind, topology, world, hits, minutes, start };
    let dialect = dialect::any(dice, settings.part);
    let moved = telemetry::moved(dice, &scene.topology, &scene.hits);
    let mut measured = telemetry::measure(dice, &scene.topology, &scene.world, &moved, &dialect);
    let mut writer = Writer {
        topology: &scene.topology,
        part: settings.part,
        dialect,
        host: names::host(dice, settings.part),
        setting: names::setting(dice, settings.part),
        day: day(&scene),
        said: Vec::new(),
    };
    symptoms::write(dice, &scene, &mut writer);
    ordinary::write(dice, &scene, &mut writer);
    ordinary::disturb(dice, &scene, &mut measured);
    write_up::write_up(dice, &scene, settings, number, (measured, writer))
}

fn kind(dice: &mut Dice, settings: &Settings) -> Kind {
    let shares = settings.shares;
    let held_out = if settings.part == Part::Test { shares.held_out_fault } else { 0.0 };
    let mut at = dice.unit();
    for (kind, share) in [
        (Kind::Healthy, shares.healthy),
        (Kind::Two, shares.two_faults),
        (Kind::HeldOut, held_out),
        (Kind::TooLittle, shares.too_little_evidence),
    ] {
        if at < share {
            return kind;
        }
        at -= share;
    }
    Kind::One
}

/// The faults of an incident and where they hit; services get what their fault needs.
fn hits(dice: &mut Dice, settings: &Settings, kind: Kind, topology: &mut Topology) -> Vec<Hit> {
    let known = settings.faults();
    let causes = match kind {
        Kind::Healthy => Vec::new(),
        Kind::HeldOut if !settings.held_out_faults.is_empty() => {
            vec![*dice.one(&settings.held_out_faults)]
        }
        Kind::Two => {
            let first = *dice.one(&known);
            let others: Vec<Cause> = known.iter().copied().filter(|it| *it != first).collect();
            vec![first, *dice.one(&others)]
        }
        _ => vec![*dice.one(&known)],
    };
    let onset = BASELINE as f64 - dice.between((0.0, 4.0));
    let mut hits: Vec<Hit> = Vec::new();
    for cause in causes {
        let fault = *dice.one(&fault::of(cause));
        let second = !hits.is_empty();
        let Some(service) = place(dice, topology, fault, &hits) else { continue };
        if let Some(needed) = fault.needs {
            topology.services[service].give(needed);
        }
        let later = if second { dice.between((3.0, 8.0)) } else { 0.0 };
        hits.push(Hit::new(dice, fault, service, onset + later, second));
    }
    hits
}

/// Where a fault hits: mostly behind the edge, rather where it fits, and a second one beside the
/// first, where those that suffer from the first do not depend on it.
fn place(dice: &mut Dice, topology: &Topology, fault: &Fault, hits: &[Hit]) -> Option<usize> {
    let reach = topology.reach();
    let fits = |index: usize| {
        let node = &topology.services[index];
        let has = fault.needs.is_none_or(|needed| node.has(needed));
        let inner = !telemetry::is_edge(node);
        let apart = hits.iter().all(|hit| {
            reach[index] & (1 << hit.service) == 0 && reach[hit.service] & (1 << index) == 0
        });
        (index, has, inner, apart)
    };
    let taken = |index: usize| hits.iter().any(|hit| hit.service == index);
    let all: Vec<_> =
        (0..topology.services.len()).filter(|index| !taken(*index)).map(fits).collect();
    let edge_too = dice.happens(0.1) && !fault.needs_callers();
    let best: Vec<usize> = all
        .iter()
        .filter(|(_, has, inner, apart)| *has && *apart && (*inner || edge_too))
        .map(|(index, ..)| *index)
        .collect();
    let better: Vec<usize> = all
        .iter()
        .filter(|(_, _, inner, apart)| *inner && *apart)
        .map(|(index, ..)| *index)
        .collect();
    let pool = if best.is_empty() { better } else { best };
    (!pool.is_empty()).then(|| *dice.one(&pool))
}

fn season(dice: &mut Dice, kind: Kind, part: Part) -> Season {
    let rises = if kind == Kind::Healthy { 0.35 } else { 0.08 };
    let swing = dice.between(if part == Part::Test { (0.3, 0.5) } else { (0.1, 0.3) });
    let rise = if dice.happens(rises) { dice.between((1.15, 1.45)) } else { 1.0 };
    let rise_at = BASELINE as f64 + dice.between((-4.0, 4.0));
    Season { swing, phase: dice.unit(), rise, rise_at }
}

/// When the trouble was noticed: some minute of a year that the parts do not share.
fn start(dice: &mut Dice, part: Part) -> Timestamp {
    let year = if part == Part::Test { 1_798_761_600 } else { 1_767_225_600 };
    let minute = dice.below(360 * 24 * 60);
    Timestamp::from_second(year + 60 * i64::try_from(minute).unwrap_or(0))
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

fn day(scene: &Scene) -> String {
    let text = scene.start.to_string();
    text.split('T').next().unwrap_or(&text).to_owned()
}
