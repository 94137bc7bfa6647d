//! What is said about each cause: how it shows, why it is the cause, what helps, what keeps it away.
//! A pattern may use what is known about the service at fault (see [`super::facts`]); where it is not
//! known, another one is taken.

use super::template::Pool;
use sre::cause::Cause;

mod code;
mod network;
mod nothing;
mod platform;
mod resources;

/// The sentences about one cause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wording {
    pub(crate) cause: Cause,
    /// How it shows, before anybody knows the cause.
    pub(crate) symptom: Pool,
    /// Why this is the cause.
    pub(crate) why: Pool,
    /// What helps.
    pub(crate) fix: Pool,
    /// What keeps it from coming back.
    pub(crate) prevention: Pool,
}

/// The sentences about a cause.
pub(crate) fn wording(cause: Cause) -> &'static Wording {
    let faults = resources::WORDINGS.iter().chain(&code::WORDINGS).chain(&network::WORDINGS);
    let mut all = faults.chain(&platform::WORDINGS).chain(&nothing::WORDINGS);
    all.find(|wording| wording.cause == cause).unwrap_or(&nothing::UNKNOWN)
}
