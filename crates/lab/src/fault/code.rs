//! Faults of what was shipped: versions, settings, locks.

use super::To::{Limit, Times, Value};
use super::{Changed, Fault, Happening, Line, Move, NOTHING, Shape, Who};
use crate::phrase::Phrase;
use crate::topology::Trait;
use sre::cause::Cause;
use sre::signal::Signal;

/// A new version that fails on some requests.
const ROLLOUT: Fault = Fault {
    cause: Cause::BadRollout,
    shape: Shape::Ramp(3.0),
    slow: (1.0, 2.0),
    fail: (0.1, 0.6),
    lines: &[
        Line::of(Phrase::Defect, (15.0, 300.0)).tells(),
        Line::of(Phrase::Starting, (2.0, 8.0)).info().chance(0.5),
    ],
    events: &[Happening::of("ScalingReplicaSet", Phrase::ScaledUp, (1.0, 2.0))
        .normal()
        .chance(0.7)],
    changes: &[Changed::of(Phrase::ImageChanged, (1.0, 6.0))],
    ..NOTHING
};

/// A setting that makes requests fail.
const SETTING: Fault = Fault {
    cause: Cause::BadConfig,
    shape: Shape::Ramp(2.0),
    fail: (0.15, 0.8),
    moves: &[Move::also(Signal::Cpu, Times((0.5, 0.9))).chance(0.4)],
    lines: &[
        Line::of(Phrase::SettingWrong, (10.0, 200.0)).tells(),
        Line::of(Phrase::Starting, (2.0, 8.0)).info().chance(0.4),
    ],
    changes: &[Changed::of(Phrase::SettingChanged, (1.0, 6.0))],
    ..NOTHING
};

const CRASHES: &[Happening] = &[
    Happening::of("BackOff", Phrase::BackOffRestarting, (5.0, 50.0)),
    Happening::of("Unhealthy", Phrase::ProbeRefused, (2.0, 20.0)).chance(0.6),
];

pub(super) const FAULTS: &[Fault] = &[
    ROLLOUT,
    // It crashes.
    Fault {
        fail: (0.2, 0.7),
        lost: (0.2, 0.7),
        moves: &[
            Move::also(Signal::Restarts, Value((0.8, 3.0))).over(Shape::Spikes(4.0)),
            Move::also(Signal::Ready, Times((0.2, 0.7))),
        ],
        events: CRASHES,
        ..ROLLOUT
    },
    // It eats CPU.
    Fault {
        slow: (2.5, 7.0),
        fail: (0.0, 0.08),
        moves: &[
            Move::tells(Signal::Cpu, Limit((0.8, 1.0))),
            Move::also(Signal::Throttling, Value((0.2, 0.7))),
        ],
        lines: &[
            Line::of(Phrase::SlowRequest, (10.0, 200.0)).warn(),
            Line::of(Phrase::LoopDelayed, (5.0, 60.0)).warn().chance(0.5),
        ],
        ..ROLLOUT
    },
    // It eats memory.
    Fault {
        shape: Shape::SawTooth(7.0),
        lost: (0.2, 0.5),
        moves: &[
            Move::tells(Signal::Memory, Limit((0.93, 1.0))),
            Move::also(Signal::Restarts, Value((0.6, 2.0))).over(Shape::Spikes(7.0)),
        ],
        lines: &[
            Line::of(Phrase::CollectorBusy, (4.0, 40.0)).warn(),
            Line::of(Phrase::Defect, (4.0, 40.0)).chance(0.5),
        ],
        events: &[
            Happening::of("OOMKilling", Phrase::KilledForMemory, (1.0, 5.0)).chance(0.6),
            Happening::of("BackOff", Phrase::BackOffRestarting, (3.0, 20.0)),
        ],
        ..ROLLOUT
    },
    SETTING,
    // It does not start with it.
    Fault {
        lost: (0.3, 0.8),
        moves: &[
            Move::also(Signal::Restarts, Value((0.8, 3.0))).over(Shape::Spikes(4.0)),
            Move::also(Signal::Ready, Times((0.1, 0.6))),
        ],
        events: CRASHES,
        ..SETTING
    },
    // It names a host that does not exist.
    Fault {
        slow: (1.0, 3.0),
        moves: &[Move::also(Signal::Dns, Times((1.5, 6.0))).chance(0.6)],
        lines: &[Line::of(Phrase::SettingHostUnknown, (15.0, 200.0)).tells()],
        ..SETTING
    },
    Fault {
        cause: Cause::LockContention,
        shape: Shape::Ramp(4.0),
        slow: (3.0, 12.0),
        fail: (0.02, 0.2),
        moves: &[
            Move::tells(Signal::Waiting, Times((6.0, 30.0))),
            Move::also(Signal::Cpu, Times((0.3, 0.7))),
            Move::also(Signal::Connections, Limit((0.6, 0.95))).chance(0.4),
        ],
        lines: &[
            Line::of(Phrase::LockWaited, (10.0, 150.0)).warn().tells(),
            Line::of(Phrase::SlowRequest, (10.0, 150.0)).warn().chance(0.6),
            Line::of(Phrase::LoopDelayed, (3.0, 30.0)).warn().chance(0.3),
        ],
        events: &[Happening::of("Unhealthy", Phrase::ProbeTimeout, (1.0, 8.0)).chance(0.3)],
        ..NOTHING
    },
    // A job of the same service holds the lock; the trait only makes its volume busy.
    Fault {
        cause: Cause::LockContention,
        needs: Some(Trait::Pool),
        shape: Shape::Spikes(5.0),
        slow: (4.0, 15.0),
        fail: (0.02, 0.15),
        moves: &[
            Move::tells(Signal::Waiting, Times((8.0, 40.0))).over(Shape::Step),
            Move::also(Signal::Connections, Limit((0.85, 1.0))),
        ],
        lines: &[
            Line::of(Phrase::LockWaited, (10.0, 150.0)).tells(),
            Line::of(Phrase::PoolTimeout, (5.0, 60.0)).chance(0.4),
            Line::of(Phrase::CallTimeout, (5.0, 60.0)).by(Who::Callers).chance(0.5),
        ],
        ..NOTHING
    },
];
