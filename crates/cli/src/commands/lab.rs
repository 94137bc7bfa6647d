//! `srek lab …`

pub(super) mod corpus;
pub(super) mod incidents;
pub(super) mod saturation;
pub(super) mod serve;
