//! Log lines in English.

use super::{Phrase, Words};

pub(super) const WORDS: &[Words] = &[
    (
        Phrase::AcceptFailed,
        &[
            "accept4 returned an error, listener pauses {ms}ms",
            "cannot accept new client: resource temporarily unavailable",
        ],
        &["listener could not take a client, pausing {ms} ms"],
    ),
    (
        Phrase::AllBusy,
        &[
            "no worker is free, {n} requests wait",
            "rejecting early: executor full ({n} in flight)",
            "answering 503, queue is full",
            "request turned away, all {n} workers are occupied",
            "admission refused: in-flight ceiling of {n} reached",
            "server overloaded, shedding load (queue length {n})",
        ],
        &[
            "no free executor, answering 503 ({n} waiting)",
            "too much in flight ({n}), rejecting early",
        ],
    ),
    (
        Phrase::CertificateEnded,
        &[
            "certificate check for {callee} failed: validity ended {date}",
            "ssl: certificate of peer {callee} ran out, not trusted",
            "{callee} cannot be verified, certificate expired on {date}",
            "x509: certificate of {callee} has expired: current time is after {date}",
            "tls: peer {callee} presented a certificate that ended {date}",
            "secure channel to {callee} refused: notAfter {date} lies in the past",
        ],
        &[
            "cannot trust {callee}: its certificate ran out on {date}",
            "ssl verify for {callee} failed, validity over since {date}",
        ],
    ),
    (
        Phrase::CollectorBusy,
        &[
            "old generation {n} percent full after gc",
            "gc pause of {ms} ms, little memory reclaimed",
            "memory pressure: nothing left to free",
            "garbage collection took {ms} ms and freed little",
            "heap usage after collection still at {n} percent",
            "allocation stalls for {ms} ms, live set keeps growing",
        ],
        &[
            "gc pause {ms} ms, old space remains {n} % full",
            "memory reclaim slow ({ms} ms), nothing left to release",
        ],
    ),
    (
        Phrase::ConsumerBehind,
        &[
            "topic {key}: lag is {n} records and rising",
            "backlog of {key} grows, oldest entry waits {n} s",
            "consumer group lags, head of queue is {n} seconds old",
            "partition {n} is far behind its newest offset",
            "oldest unprocessed message is {n} s old",
            "consumer cannot keep pace, {n} records outstanding",
        ],
        &[
            "lag on topic {key} keeps rising, now {n} records",
            "head of {key} waits since {n} seconds",
        ],
    ),
    (
        Phrase::Defect,
        &[
            "{key} is undefined in {path}",
            "index {n} out of bounds in {path}",
            "relation {key} is missing a column",
            "TypeError while building response of {path}",
            "panic: nil pointer dereference in handler {path}",
            "unhandled exception in {path}: field {key} is null",
            "column {key} does not exist",
            "cannot decode payload of {path}: unexpected field {key}",
            "assertion failed: {key} must not be negative",
        ],
        &[
            "TypeError in {path}: {key} is undefined",
            "index out of range while building {key}",
            "missing migration: relation {key} is not there",
        ],
    ),
    (
        Phrase::HandshakeFailed,
        &[
            "handshake aborted by client, alert received",
            "mutual tls: peer left before the handshake was finished",
            "tls handshake from client ended early: bad certificate",
            "remote closed the secure channel before it was set up",
            "http: TLS handshake error: remote error, peer sent alert 45",
        ],
        &[
            "client hung up during handshake (alert received)",
            "mutual authentication not finished, peer left",
        ],
    ),
    (
        Phrase::LeadershipLost,
        &[
            "lease not renewed in time, leading no more",
            "lost the lease, stepping down",
            "another instance holds the lock object, becoming follower",
        ],
        &[
            "renewal came too late, giving up the lead",
            "term {n} began, this replica follows again",
        ],
    ),
    (
        Phrase::LoadsAtOnce,
        &[
            "key {key} is gone, {n} concurrent recomputations",
            "no entry for {key}, everyone recomputes it",
            "{n} misses on {key} within a second",
            "{n} loads of key {key} are running at once",
            "entry {key} absent, {n} callers rebuild it in parallel",
            "hit rate fell, backing store receives {n} reads per second",
        ],
        &[
            "{n} concurrent recomputations of {key}",
            "everyone asks for {key}, which is not held any more",
        ],
    ),
    (
        Phrase::LockWaited,
        &[
            "lock on {key} contended, thread parked",
            "exclusive access to {key} not obtained within {ms} ms",
            "deadlock suspected: {n} sessions wait for {key}",
            "waited {ms} ms for the mutex around {key}",
            "transaction aborted: row of {key} is held by another session",
            "{n} threads blocked behind holder of {key}",
        ],
        &[
            "monitor {key} contended, thread parked {ms} ms",
            "could not obtain exclusive access to {key} within {ms} ms",
        ],
    ),
    (
        Phrase::LoopDelayed,
        &[
            "heartbeat {ms} ms late",
            "runtime stalled for {ms} ms, no run time given",
            "poll took {ms} ms instead of 10",
            "event loop lagged by {ms} ms",
            "scheduler tick came {ms} ms late",
            "timer drift {ms} ms, process did not get to run",
        ],
        &[
            "runtime stalled {ms} ms between polls",
            "heartbeat late by {ms} ms, starved of run time",
        ],
    ),
    (
        Phrase::NoSpace,
        &[
            "append to {path} refused: disk has zero bytes free",
            "flush failed with errno 28 on {path}",
            "write {path}: no space left on device",
            "cannot extend segment {path}: ENOSPC",
            "checkpoint abandoned, volume of {path} is full",
        ],
        &["flush to {path} gave errno 28", "append refused: zero bytes free under {path}"],
    ),
    (
        Phrase::NotValidYet,
        &[
            "token rejected: issued {n} s in the future",
            "signature date differs from local time by {n} s",
            "x509: certificate is not yet valid on this host",
        ],
        &["claim iat lies {n} s ahead", "request timestamp outside the allowed window ({n} s)"],
    ),
    (
        Phrase::OutsideSlow,
        &[
            "external call to {host} slow: {ms} ms",
            "response of {host} took {ms} ms, limit exceeded",
            "outstanding request to {host} for {ms} ms",
            "{host} did not answer within {ms} ms",
            "POST https://{host}/v2 took {ms} ms",
            "partner endpoint {host} timed out after {ms} ms, giving up",
        ],
        &["response of {host} outstanding for {ms} ms", "external call to {host} exceeded {ms} ms"],
    ),
    (
        Phrase::PoolTimeout,
        &[
            "borrowing a connection failed after {ms} ms",
            "pool is empty: {n} borrowed, none idle",
            "datasource: {n} requests queue for a connection",
            "no connection became free within {ms} ms",
            "timed out waiting for a handle from the pool (active {n}, idle 0)",
            "could not check out a session: all {n} in use",
        ],
        &[
            "borrow from pool failed after {ms} ms, {n} borrowed",
            "datasource has no idle entry, {n} requests queue for one",
        ],
    ),
    (
        Phrase::ProbePathUnknown,
        &[
            "404 for {path}, agent kube-probe",
            "{path} is not served here (asked by kube-probe)",
            "GET {path} 404 (kube-probe)",
            "no route for {path} requested by kube-probe/1.31",
        ],
        &["kube-probe asked for {path}, which is not served", "404 {path} agent=kube-probe"],
    ),
    (
        Phrase::ProxyRefused,
        &[
            "connect 127.0.0.1:15001: connection refused",
            "outbound proxy on localhost does not listen yet",
        ],
        &["loopback listener 15006 unreachable", "cannot leave the pod: local relay absent"],
    ),
    (
        Phrase::SettingHostUnknown,
        &[
            "address from {setting} is not known: {key}.internal",
            "{setting}: {key}.internal does not answer",
            "{setting} points to {key}.internal: no such host",
            "cannot reach {key}.internal taken from {setting}",
        ],
        &[
            "address in {setting} ({key}.internal) is not known",
            "{setting}: nothing answers at {key}.internal",
        ],
    ),
    (
        Phrase::SettingWrong,
        &[
            "value of {setting} is malformed",
            "{setting} is empty, cannot start",
            "startup check failed for {setting}",
            "{setting} not understood",
            "{setting}: cannot parse value",
            "invalid configuration, {setting} is out of range",
            "required key {setting} is missing",
            "{setting} refers to unknown profile {key}",
        ],
        &["value of {setting} not understood", "startup check: {setting} empty or malformed"],
    ),
    (
        Phrase::SlowRequest,
        &[
            "{path} finished in {ms} ms",
            "latency target of {path} missed",
            "{path} took {ms} ms",
            "slow request {path} duration={ms}ms",
            "handler {path} exceeded its target: {ms} ms",
        ],
        &["{path} finished after {ms} ms", "latency objective missed on {path} ({ms} ms)"],
    ),
    (
        Phrase::Starting,
        &["starting up, listening on :8080", "boot complete in {ms} ms", "process started, pid 1"],
        &["service ready after {ms} ms", "hello, serving on port 9000"],
    ),
    (
        Phrase::TooManyFiles,
        &[
            "cannot create socket, descriptor limit reached",
            "errno 24 (open {path})",
            "out of file descriptors",
            "open {path}: too many open files",
            "socket(): EMFILE",
            "dial failed: process file table is full",
        ],
        &["errno 24 while opening {path}", "descriptor limit hit, cannot create socket"],
    ),
    (
        Phrase::WriteFailed,
        &[
            "storage layer dropped batch {n}",
            "saving {key} failed",
            "could not persist batch {n}",
            "commit of {key} rolled back, storage error",
            "read-only mode entered",
        ],
        &["saving {key} did not succeed", "batch {n} dropped by storage layer"],
    ),
    (
        Phrase::AttemptAgain,
        &[
            "repeating request to {callee} (try {n})",
            "{callee}: previous try failed, sending again",
            "retrying call to {callee}, attempt {n}",
            "{callee} failed, trying once more ({n})",
            "backoff 0 ms, resend to {callee}",
        ],
        &["repeat no. {n} towards {callee}", "{callee}: previous try failed, again"],
    ),
    (
        Phrase::BreakerOpen,
        &[
            "using fallback instead of {callee}",
            "circuit to {callee} opened",
            "skipping {callee} for 30 s after repeated failures",
        ],
        &["{callee} is fenced off for now", "fallback in use instead of {callee}"],
    ),
    (
        Phrase::CallFailed,
        &[
            "{callee} answered with an error",
            "request to {callee} failed: 502",
            "error response from {callee} on {path}",
            "call to {callee} failed: status 503",
            "{callee} returned 500 for {path}",
            "upstream {callee}: unexpected response",
            "rpc error from {callee}: code = Unavailable",
        ],
        &[
            "got 502 from {callee}",
            "{callee} answered with an error on {path}",
            "request to {callee} unsuccessful",
        ],
    ),
    (
        Phrase::CallTimeout,
        &[
            "{callee} too slow, gave up",
            "deadline of {ms} ms passed, no answer from {callee}",
            "call to {callee} timed out after {ms} ms",
            "context deadline exceeded while waiting for {callee}",
            "no reply from {callee} in {ms} ms",
        ],
        &["gave up on {callee} after {ms} ms", "{callee} too slow, deadline of {ms} ms passed"],
    ),
    (
        Phrase::ConnectTimeout,
        &[
            "{callee} unreachable, socket never opened",
            "handshake with {callee} unanswered: packets lost",
            "dial tcp {callee}:8080: i/o timeout",
            "connect to {callee} timed out, no SYN-ACK",
            "no route to host for {callee}",
        ],
        &[
            "opening a socket to {callee} hangs",
            "{callee} unreachable: handshake packets unanswered",
        ],
    ),
    (
        Phrase::LookupFailed,
        &[
            "resolver answered SERVFAIL for {key}",
            "name {key} not found, query timed out",
            "dns query for {key} timed out",
            "lookup {key}.svc.cluster.local: server misbehaving",
            "could not resolve {key}: temporary failure in name resolution",
            "getaddrinfo EAI_AGAIN {key}",
        ],
        &[
            "host {key} not found by resolver, SERVFAIL",
            "name {key} cannot be translated, query timed out",
        ],
    ),
    (
        Phrase::NoEndpoints,
        &[
            "balancer has no members for {callee}",
            "nobody serves {callee}",
            "no healthy upstream for {callee}",
            "{callee} has no endpoints",
            "connect to {callee}: connection refused",
        ],
        &["nobody serves {callee} at the moment", "balancer list of {callee} is empty"],
    ),
    (
        Phrase::NoLeader,
        &["{callee}: not the leader, redirect refused", "{callee} reports no primary"],
        &["write to {callee} declined, election in progress"],
    ),
    (
        Phrase::StaleResult,
        &[
            "{callee} is {n} s behind",
            "result of {callee} is {n} s old",
            "still waiting for confirmation from {callee}",
        ],
        &["{callee} has not caught up, data {n} s behind"],
    ),
    (
        Phrase::CacheRefreshed,
        &["refreshed {n} entries of {key}", "reference data reloaded"],
        &["{key} snapshot renewed ({n} rows)"],
    ),
    (
        Phrase::ClientGone,
        &["client closed the connection before the response", "broken pipe while answering {path}"],
        &["caller left before {path} was done"],
    ),
    (
        Phrase::Deprecated,
        &["{path} is deprecated, use the next version", "option {key} will be removed"],
        &["legacy endpoint {path} still in use"],
    ),
    (
        Phrase::JobDone,
        &["nightly job {key} finished, {n} rows", "compaction done in {ms} ms"],
        &["scheduled task {key} over, {n} items"],
    ),
    (
        Phrase::PoolResized,
        &["pool shrank to {n} idle connections", "closing idle connection older than {n} s"],
        &["idle handles trimmed to {n}"],
    ),
    (
        Phrase::RateLimited,
        &["client {key} is over its rate, 429", "throttled client {key}"],
        &["429 for tenant {key}"],
    ),
    (
        Phrase::SettingsReloaded,
        &["settings reloaded, nothing changed", "log level set to info"],
        &["watching configuration, no difference"],
    ),
    (
        Phrase::SlowStatement,
        &["slow statement ({ms} ms): select from {key}", "query on {key} used a sequential scan"],
        &["statement over {key} ran {ms} ms"],
    ),
    (
        Phrase::TokenRenewed,
        &["service account token renewed", "session key rotated"],
        &["credentials refreshed ahead of time"],
    ),
];
