//! Ctrl-C, and being asked to terminate. A training run finishes its step and keeps what it has; a server
//! ends, as it is meant to; everything else, and what is asked a second time, ends at once and leaves
//! nothing half-written but what a download can go on from.

use crate::output::note;
use anyhow::Result;
use files::abandon;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU8, Ordering};

/// The exit code of whoever was interrupted.
pub(crate) const CODE: u8 = 130;

/// Signals are the process's, and so is how far they got.
static STATE: AtomicU8 = AtomicU8::new(State::Idle as u8);

#[derive(Clone, Copy)]
enum State {
    /// Nothing is under way that ends by itself.
    Idle,
    /// A training run is, or a server.
    Running,
    /// And it was asked to end.
    Asked,
    /// Something is that goes on another time from where it ended.
    Resumable,
}

/// Listens from now on.
///
/// # Errors
/// When the system takes no handler.
pub(crate) fn watch() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in signals.forever() {
            if !ask() {
                end();
            }
        }
    })?;
    Ok(())
}

/// Asks the training run or server to end; false where there is none, or it was asked before.
fn ask() -> bool {
    let (running, asked) = (State::Running as u8, State::Asked as u8);
    STATE.compare_exchange(running, asked, Ordering::SeqCst, Ordering::SeqCst).is_ok()
}

fn end() -> ! {
    let resumable = STATE.load(Ordering::SeqCst) == State::Resumable as u8;
    abandon();
    if std::io::stderr().is_terminal() {
        // Below the bar that shows how far it was.
        note("");
    }
    note(if resumable {
        "interrupted: what was received is kept\nhint: the same command goes on from there"
    } else {
        "interrupted: what was not finished was not written"
    });
    std::process::exit(CODE.into())
}

/// While it lives, a training run or a server is under way that looks whether somebody asked it to end.
pub(crate) struct Stoppable(());

impl Stoppable {
    /// From now on the first signal only asks.
    pub(crate) fn begin() -> Stoppable {
        STATE.store(State::Running as u8, Ordering::SeqCst);
        Stoppable(())
    }

    /// Whether somebody asked.
    pub(crate) fn asked(&self) -> bool {
        STATE.load(Ordering::SeqCst) == State::Asked as u8
    }
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        STATE.store(State::Idle as u8, Ordering::SeqCst);
    }
}

/// While it lives, something is under way that goes on another time from where it ended.
pub(crate) struct Resumable(());

impl Resumable {
    /// From now on whoever interrupts is told so.
    pub(crate) fn begin() -> Resumable {
        STATE.store(State::Resumable as u8, Ordering::SeqCst);
        Resumable(())
    }
}

impl Drop for Resumable {
    fn drop(&mut self) {
        STATE.store(State::Idle as u8, Ordering::SeqCst);
    }
}
