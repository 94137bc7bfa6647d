//! Faults of the platform: nodes, images, probes, injected containers.

use super::To::{Times, Value};
use super::{Changed, Fault, Happening, Line, Move, NOTHING, Shape, Who};
use crate::phrase::Phrase;
use crate::topology::Trait;
use sre::cause::Cause;
use sre::signal::Signal;

const PROBE: Fault = Fault {
    cause: Cause::WrongReadinessProbe,
    shape: Shape::Ramp(2.0),
    slow: (1.0, 1.6),
    fail: (0.1, 0.6),
    lost: (0.5, 1.0),
    moves: &[
        Move::tells(Signal::Ready, Times((0.0, 0.5))),
        Move::also(Signal::Requests, Times((0.1, 0.6))),
        Move::also(Signal::Cpu, Times((0.3, 0.7))).chance(0.6),
    ],
    lines: &[
        Line::of(Phrase::ProbePathUnknown, (20.0, 200.0)).info().tells().chance(0.6),
        Line::of(Phrase::NoEndpoints, (10.0, 150.0)).by(Who::Callers).chance(0.7),
    ],
    events: &[Happening::of("Unhealthy", Phrase::ProbeStatus, (20.0, 120.0)).tells()],
    changes: &[Changed::of(Phrase::ProbeChanged, (1.0, 6.0)).chance(0.7)],
    ..NOTHING
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        cause: Cause::NodeNotReady,
        slow: (1.2, 2.5),
        fail: (0.15, 0.6),
        lost: (0.4, 1.0),
        moves: &[
            Move::tells(Signal::Ready, Times((0.0, 0.5))),
            Move::also(Signal::Requests, Times((0.2, 0.6))).chance(0.6),
        ],
        lines: &[
            Line::of(Phrase::ConnectTimeout, (15.0, 200.0)).by(Who::Callers),
            Line::of(Phrase::NoEndpoints, (5.0, 60.0)).by(Who::Callers).chance(0.4),
        ],
        events: &[
            Happening::of("NodeNotReady", Phrase::NodeLost, (1.0, 4.0)).tells(),
            Happening::of("NodeNotReady", Phrase::NodeLost, (1.0, 4.0))
                .by(Who::Neighbours)
                .chance(0.7),
            Happening::of("TaintManagerEviction", Phrase::EvictedByTaint, (1.0, 4.0))
                .normal()
                .chance(0.6),
        ],
        ..NOTHING
    },
    Fault {
        cause: Cause::ImagePullFailure,
        shape: Shape::Ramp(2.0),
        slow: (1.2, 2.5),
        fail: (0.05, 0.3),
        lost: (0.25, 0.6),
        moves: &[Move::also(Signal::Ready, Times((0.3, 0.7)))],
        lines: &[
            Line::of(Phrase::AllBusy, (5.0, 60.0)).warn().chance(0.5),
            Line::of(Phrase::NoEndpoints, (5.0, 60.0)).by(Who::Callers).chance(0.4),
        ],
        events: &[
            Happening::of("Failed", Phrase::PullFailed, (3.0, 20.0)).tells(),
            Happening::of("BackOff", Phrase::BackOffPulling, (5.0, 60.0)).tells().chance(0.9),
        ],
        changes: &[Changed { telling: false, ..Changed::of(Phrase::ImageChanged, (1.0, 5.0)) }],
        ..NOTHING
    },
    PROBE,
    Fault {
        changes: &[Changed { telling: false, ..Changed::of(Phrase::ImageChanged, (1.0, 5.0)) }],
        ..PROBE
    },
    Fault {
        cause: Cause::LeaderFlapping,
        needs: Some(Trait::Leader),
        shape: Shape::Spikes(4.0),
        slow: (1.5, 4.0),
        fail: (0.1, 0.4),
        moves: &[Move::tells(Signal::Leader, Value((1.0, 3.0)))],
        lines: &[
            Line::of(Phrase::LeadershipLost, (5.0, 40.0)).warn().tells(),
            Line::of(Phrase::NoLeader, (10.0, 120.0)).by(Who::Callers).chance(0.7),
        ],
        events: &[Happening::of("LeaderElection", Phrase::BecameLeader, (5.0, 25.0))
            .normal()
            .tells()],
        ..NOTHING
    },
    Fault {
        cause: Cause::BadSidecarInjection,
        shape: Shape::Ramp(2.0),
        fail: (0.3, 0.8),
        lost: (0.3, 0.8),
        moves: &[
            Move::also(Signal::Ready, Times((0.2, 0.6))),
            Move::also(Signal::Restarts, Value((0.5, 2.0))).over(Shape::Spikes(5.0)),
        ],
        lines: &[Line::of(Phrase::ProxyRefused, (15.0, 200.0)).tells()],
        events: &[
            Happening::of("BackOff", Phrase::BackOffProxy, (5.0, 40.0)).tells(),
            Happening::of("Unhealthy", Phrase::ProbeRefused, (5.0, 40.0)).chance(0.7),
        ],
        changes: &[Changed::of(Phrase::InjectionEnabled, (1.0, 6.0)).chance(0.7)],
        ..NOTHING
    },
];
