//! `srek lab …`

pub(super) mod incidents;
