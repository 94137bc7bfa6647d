//! Whole training runs: against PyTorch, against themselves cut in pieces, and against their plans.

mod base;
mod bench;
mod equal;
mod golden;
mod plan;
mod record;
mod refuse;
mod resume;
#[path = "../../../../tests/skip.rs"]
mod skip;
mod tamper;
