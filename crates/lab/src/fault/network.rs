//! Faults between services: names, certificates, policies, repetitions, dependencies outside.

use super::To::{Limit, Times, Value};
use super::{Changed, Fault, Happening, Line, Move, NOTHING, Shape, Who};
use crate::phrase::Phrase;
use crate::topology::Trait;
use sre::cause::Cause;
use sre::signal::Signal;

const CERTIFICATE: Fault = Fault {
    cause: Cause::CertificateExpired,
    needs: Some(Trait::Certificate),
    fail: (0.5, 1.0),
    moves: &[
        Move::tells(Signal::Certificate, Value((-0.02, 0.0))).chance(0.6),
        Move::also(Signal::Cpu, Times((0.3, 0.7))).chance(0.5),
    ],
    lines: &[
        Line::of(Phrase::CertificateEnded, (20.0, 300.0)).by(Who::Callers).tells(),
        Line::of(Phrase::HandshakeFailed, (20.0, 300.0)).chance(0.8),
        Line::of(Phrase::CallFailed, (10.0, 100.0)).by(Who::Callers).chance(0.4),
    ],
    ..NOTHING
};

const DNS: Fault = Fault {
    cause: Cause::DnsFailure,
    slow: (2.0, 12.0),
    fail: (0.1, 0.6),
    moves: &[
        Move::tells(Signal::Dns, Times((10.0, 60.0))),
        Move::also(Signal::Cpu, Times((0.6, 0.9))).chance(0.4),
    ],
    lines: &[
        Line::of(Phrase::LookupFailed, (15.0, 250.0)).tells(),
        Line::of(Phrase::LookupFailed, (3.0, 30.0)).by(Who::Neighbours).chance(0.6),
    ],
    events: &[Happening::of("Unhealthy", Phrase::ProbeTimeout, (1.0, 6.0)).chance(0.3)],
    ..NOTHING
};

const POLICY: Fault = Fault {
    cause: Cause::NetworkPolicyBlocking,
    fail: (0.5, 1.0),
    slow: (1.0, 1.2),
    moves: &[
        Move::tells(Signal::Dropped, Value((20.0, 200.0))),
        Move::also(Signal::Requests, Times((0.02, 0.3))),
        Move::also(Signal::Cpu, Times((0.2, 0.5))),
    ],
    lines: &[
        Line::of(Phrase::ConnectTimeout, (20.0, 300.0)).by(Who::Callers),
        Line::of(Phrase::CallFailed, (10.0, 100.0)).by(Who::Callers).chance(0.4),
    ],
    changes: &[Changed::of(Phrase::PolicyApplied, (0.0, 4.0))],
    ..NOTHING
};

const OUTSIDE: Fault = Fault {
    cause: Cause::SlowDependency,
    needs: Some(Trait::Outside),
    shape: Shape::Ramp(3.0),
    slow: (4.0, 20.0),
    fail: (0.02, 0.25),
    moves: &[
        Move::tells(Signal::Dependency, Times((5.0, 40.0))),
        Move::also(Signal::Waiting, Times((3.0, 15.0))).chance(0.5),
        Move::also(Signal::Connections, Limit((0.8, 1.0))).chance(0.5),
        Move::also(Signal::Cpu, Times((0.6, 0.9))).chance(0.4),
    ],
    lines: &[
        Line::of(Phrase::OutsideSlow, (15.0, 250.0)).warn().tells(),
        Line::of(Phrase::PoolTimeout, (5.0, 60.0)).chance(0.3),
    ],
    ..NOTHING
};

pub(super) const FAULTS: &[Fault] = &[
    CERTIFICATE,
    DNS,
    POLICY,
    Fault {
        changes: &[
            Changed::of(Phrase::PolicyApplied, (0.0, 4.0)),
            Changed { telling: false, ..Changed::of(Phrase::ImageChanged, (20.0, 50.0)) },
        ],
        ..POLICY
    },
    OUTSIDE,
    Fault {
        cause: Cause::RetryStorm,
        shape: Shape::Ramp(4.0),
        slow: (2.0, 6.0),
        fail: (0.15, 0.5),
        load: (2.5, 6.0),
        moves: &[
            Move::tells(Signal::Retries, Times((20.0, 200.0))).by(Who::Callers),
            Move::also(Signal::Cpu, Limit((0.8, 0.98))),
            Move::also(Signal::Waiting, Times((3.0, 15.0))).chance(0.5),
        ],
        lines: &[
            Line::of(Phrase::AttemptAgain, (80.0, 2000.0)).warn().by(Who::Callers).tells(),
            Line::of(Phrase::AllBusy, (20.0, 300.0)).warn().chance(0.8),
        ],
        ..NOTHING
    },
    Fault {
        cause: Cause::ClockSkew,
        fail: (0.2, 0.7),
        moves: &[Move::tells(Signal::Clock, Value((40.0, 900.0)))],
        lines: &[
            Line::of(Phrase::NotValidYet, (15.0, 250.0)).tells(),
            Line::of(Phrase::NotValidYet, (3.0, 40.0)).by(Who::Neighbours).chance(0.6),
            Line::of(Phrase::HandshakeFailed, (5.0, 80.0)).by(Who::Callers).chance(0.5),
        ],
        ..NOTHING
    },
];
