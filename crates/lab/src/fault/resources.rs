//! Faults of memory, CPU, connections, files, disks and other things that run out.

use super::To::{Limit, Times, Value};
use super::{Changed, Fault, Happening, Line, Move, NOTHING, Shape, Who};
use crate::phrase::Phrase;
use crate::topology::Trait;
use sre::cause::Cause;
use sre::signal::Signal;

/// Containers that are killed for their memory are started anew, again and again.
const KILLED: &[Happening] = &[
    Happening::of("OOMKilling", Phrase::KilledForMemory, (2.0, 9.0)).tells().chance(0.8),
    Happening::of("BackOff", Phrase::BackOffRestarting, (3.0, 30.0)),
    Happening::of("Unhealthy", Phrase::ProbeRefused, (2.0, 12.0)).chance(0.5),
];

const SHORT_OF_MEMORY: Fault = Fault {
    cause: Cause::MemoryLimitTooLow,
    shape: Shape::SawTooth(6.0),
    slow: (1.1, 1.8),
    fail: (0.08, 0.4),
    lost: (0.2, 0.6),
    moves: &[
        Move::tells(Signal::Memory, Limit((0.95, 1.0))),
        Move::also(Signal::Restarts, Value((0.6, 2.4))).over(Shape::Spikes(6.0)),
        Move::also(Signal::Cpu, Times((1.1, 1.6))).chance(0.4),
    ],
    lines: &[
        Line::of(Phrase::CollectorBusy, (4.0, 40.0)).warn().chance(0.6),
        Line::of(Phrase::Starting, (2.0, 9.0)).info().chance(0.6),
    ],
    events: KILLED,
    ..NOTHING
};

const THROTTLED: Fault = Fault {
    cause: Cause::CpuThrottling,
    shape: Shape::Ramp(4.0),
    slow: (2.5, 9.0),
    fail: (0.0, 0.06),
    moves: &[
        Move::tells(Signal::Throttling, Value((0.35, 0.9))),
        Move::tells(Signal::Cpu, Limit((0.95, 1.0))),
        Move::also(Signal::Waiting, Times((2.0, 5.0))).chance(0.3),
    ],
    lines: &[
        Line::of(Phrase::LoopDelayed, (6.0, 80.0)).warn().chance(0.7),
        Line::of(Phrase::SlowRequest, (10.0, 200.0)).warn().chance(0.7),
    ],
    events: &[Happening::of("Unhealthy", Phrase::ProbeTimeout, (2.0, 14.0)).chance(0.5)],
    ..NOTHING
};

const POOL: Fault = Fault {
    cause: Cause::ConnectionPoolExhausted,
    needs: Some(Trait::Pool),
    shape: Shape::Ramp(3.0),
    slow: (3.0, 12.0),
    fail: (0.08, 0.4),
    moves: &[
        Move::tells(Signal::Connections, Limit((0.98, 1.0))),
        Move::tells(Signal::Waiting, Times((8.0, 40.0))),
        Move::also(Signal::Cpu, Times((0.6, 0.85))).chance(0.5),
    ],
    lines: &[
        Line::of(Phrase::PoolTimeout, (20.0, 400.0)).tells(),
        Line::of(Phrase::SlowRequest, (10.0, 150.0)).warn().chance(0.5),
    ],
    ..NOTHING
};

const LEAK: Fault = Fault {
    cause: Cause::FileHandleLeak,
    shape: Shape::Ramp(6.0),
    slow: (1.1, 1.8),
    fail: (0.1, 0.5),
    moves: &[
        Move::tells(Signal::OpenFiles, Limit((0.97, 1.0))).over(Shape::Climb(35.0)),
        Move::also(Signal::Memory, Times((1.1, 1.35))).over(Shape::Climb(35.0)).chance(0.5),
        Move::also(Signal::Connections, Times((1.2, 1.8))).chance(0.4),
    ],
    lines: &[
        Line::of(Phrase::TooManyFiles, (10.0, 250.0)).tells(),
        Line::of(Phrase::AcceptFailed, (5.0, 80.0)).chance(0.5),
    ],
    events: &[Happening::of("Unhealthy", Phrase::ProbeRefused, (2.0, 10.0)).chance(0.5)],
    ..NOTHING
};

const DISK: Fault = Fault {
    cause: Cause::DiskFull,
    needs: Some(Trait::Volume),
    shape: Shape::Ramp(3.0),
    slow: (1.2, 3.0),
    fail: (0.2, 0.8),
    moves: &[
        Move::tells(Signal::Disk, Limit((0.99, 1.0))).over(Shape::Climb(30.0)),
        Move::also(Signal::Restarts, Value((0.4, 1.5))).over(Shape::Spikes(7.0)).chance(0.4),
        Move::also(Signal::Waiting, Times((2.0, 8.0))).chance(0.3),
    ],
    lines: &[
        Line::of(Phrase::NoSpace, (10.0, 200.0)).tells(),
        Line::of(Phrase::WriteFailed, (10.0, 100.0)).chance(0.6),
    ],
    events: &[
        Happening::of("BackOff", Phrase::BackOffRestarting, (2.0, 12.0)).chance(0.35),
        Happening::of("Evicted", Phrase::EvictedForStorage, (1.0, 3.0)).chance(0.35),
    ],
    ..NOTHING
};

const STAMPEDE: Fault = Fault {
    cause: Cause::CacheStampede,
    needs: Some(Trait::Cache),
    slow: (2.0, 6.0),
    fail: (0.03, 0.2),
    moves: &[
        Move::tells(Signal::CacheHits, Times((0.05, 0.4))),
        Move::also(Signal::Cpu, Times((1.3, 2.0))),
        Move::also(Signal::Waiting, Times((3.0, 12.0))).chance(0.6),
        Move::also(Signal::Connections, Limit((0.8, 1.0))).chance(0.5),
    ],
    lines: &[
        Line::of(Phrase::LoadsAtOnce, (10.0, 150.0)).warn().tells().chance(0.7),
        Line::of(Phrase::PoolTimeout, (5.0, 60.0)).chance(0.4),
        Line::of(Phrase::SlowRequest, (10.0, 150.0)).warn().chance(0.6),
    ],
    changes: &[],
    ..NOTHING
};

const CEILING: Fault = Fault {
    cause: Cause::AutoscalerAtMaximum,
    needs: Some(Trait::Autoscaler),
    shape: Shape::Ramp(8.0),
    slow: (1.8, 5.0),
    fail: (0.03, 0.2),
    load: (1.7, 3.0),
    moves: &[
        Move::tells(Signal::Wanted, Limit((1.0, 1.0))),
        Move::also(Signal::Ready, Limit((1.0, 1.0))),
        Move::also(Signal::Cpu, Limit((0.85, 0.98))),
        Move::also(Signal::Throttling, Value((0.05, 0.3))).chance(0.4),
    ],
    lines: &[
        Line::of(Phrase::AllBusy, (20.0, 400.0)).warn(),
        Line::of(Phrase::SlowRequest, (10.0, 150.0)).warn().chance(0.5),
    ],
    events: &[
        Happening::of("SuccessfulRescale", Phrase::ScaledToMost, (1.0, 2.0)).normal(),
        Happening::of("ScalingLimited", Phrase::WantsMoreThanMost, (2.0, 20.0)).tells().chance(0.6),
    ],
    ..NOTHING
};

pub(super) const FAULTS: &[Fault] = &[
    SHORT_OF_MEMORY,
    Fault { changes: &[Changed::of(Phrase::MemoryLowered, (3.0, 25.0))], ..SHORT_OF_MEMORY },
    Fault { load: (1.4, 2.2), ..SHORT_OF_MEMORY },
    THROTTLED,
    Fault { changes: &[Changed::of(Phrase::CpuLowered, (2.0, 25.0))], ..THROTTLED },
    Fault { load: (1.3, 2.0), ..THROTTLED },
    POOL,
    Fault { changes: &[Changed::of(Phrase::PoolLowered, (2.0, 20.0))], ..POOL },
    Fault { load: (1.3, 2.0), ..POOL },
    LEAK,
    DISK,
    STAMPEDE,
    Fault { changes: &[Changed::of(Phrase::CacheEmptied, (0.0, 3.0))], ..STAMPEDE },
    CEILING,
    Fault {
        cause: Cause::QuotaExhausted,
        needs: Some(Trait::Quota),
        shape: Shape::Ramp(5.0),
        slow: (1.5, 4.0),
        fail: (0.03, 0.25),
        lost: (0.1, 0.3),
        load: (1.1, 1.6),
        moves: &[
            Move::tells(Signal::Quota, Limit((0.99, 1.0))),
            Move::also(Signal::Wanted, Times((1.4, 2.2))),
            Move::also(Signal::Cpu, Limit((0.7, 0.95))).chance(0.5),
        ],
        lines: &[Line::of(Phrase::AllBusy, (10.0, 200.0)).warn().chance(0.6)],
        events: &[
            Happening::of("FailedCreate", Phrase::QuotaRefused, (3.0, 25.0)).tells(),
            Happening::of("ScalingReplicaSet", Phrase::ScaledUp, (1.0, 2.0)).normal().chance(0.6),
        ],
        ..NOTHING
    },
    Fault {
        cause: Cause::MessageBacklog,
        needs: Some(Trait::Queue),
        shape: Shape::Ramp(3.0),
        slow: (1.3, 2.5),
        load: (1.5, 2.6),
        moves: &[
            Move::tells(Signal::Queue, Times((15.0, 150.0))).over(Shape::Climb(6.0)),
            Move::also(Signal::Cpu, Limit((0.7, 0.95))).chance(0.6),
            Move::also(Signal::Memory, Times((1.1, 1.5))).chance(0.4),
        ],
        lines: &[
            Line::of(Phrase::ConsumerBehind, (5.0, 60.0)).warn().tells(),
            Line::of(Phrase::StaleResult, (5.0, 80.0)).warn().by(Who::Callers).chance(0.7),
        ],
        ..NOTHING
    },
    Fault {
        cause: Cause::NoisyNeighbour,
        shape: Shape::Spikes(4.0),
        slow: (2.0, 6.0),
        fail: (0.0, 0.05),
        moves: &[
            Move::tells(Signal::NodePressure, Times((3.0, 9.0))).over(Shape::Step),
            Move::also(Signal::Cpu, Times((0.5, 0.8))).chance(0.7),
            Move::also(Signal::Throttling, Value((0.02, 0.12))).chance(0.3),
        ],
        lines: &[
            Line::of(Phrase::LoopDelayed, (6.0, 80.0)).warn().chance(0.7),
            Line::of(Phrase::LoopDelayed, (3.0, 30.0)).warn().by(Who::Neighbours).chance(0.6),
            Line::of(Phrase::SlowRequest, (10.0, 150.0)).warn().chance(0.6),
        ],
        events: &[Happening::of("Unhealthy", Phrase::ProbeTimeout, (2.0, 10.0)).chance(0.5)],
        ..NOTHING
    },
];
