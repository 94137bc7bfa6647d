//! Training: a recipe becomes a job, the job a plan, and the plan a run that can be stopped at any
//! step and goes on bit for bit.
//!
//! *Invariant*: nothing is laid out during a run that the plan did not count, and the same recipe gives
//! the same bits, interrupted or not. Nothing here prints: progress goes to an [`Observer`].
//!
//! | module | holds |
//! |---|---|
//! | `recipe` | [`Recipe`], what the user decides |
//! | `job` | [`Job`], the recipe with everything that it names opened and checked |
//! | `fingerprint` | [`fingerprint()`], what tells one model's weights from another's |
//! | `record` | [`Record`], `srek.json`, beside everything that is written |
//! | `provenance` | [`Provenance`], the part of it that says how something was trained |
//! | `verify` | what differs between a directory and its record |
//! | `plan` | [`Plan`], bytes, work and where activations stay, counted before anything is loaded |
//! | `device` | what machines can do at best |
//! | `trainer` | the step itself, on buffers laid out beforehand |
//! | `optimizer` | AdamW over host memory |
//! | `schedule` | the learning rate as a function of the step |
//! | `run` | the loop |
//! | `checkpoint` | what a stopped run needs to go on |
//! | `versioned` | JSON that says its version, as this program writes and reads it |
//! | `observer` | what a run tells while it goes |
//! | `log`, `tensorboard` | the same, in files |
//! | `timed` | a backend that takes the time of another one's launches |
#![forbid(unsafe_code)]

mod checkpoint;
mod device;
mod error;
mod fingerprint;
mod job;
mod log;
mod observer;
mod optimizer;
mod output;
mod plan;
mod provenance;
pub mod recipe;
mod record;
mod run;
mod schedule;
mod tensorboard;
mod timed;
mod trainer;
pub mod verify;
mod versioned;

pub use checkpoint::{Best, State, checkpoints};
pub use device::DeviceProfile;
pub use error::{Error, NotFinite, Result};
pub use fingerprint::{fingerprint, fingerprint_watched};
pub use job::{Identity, Job};
pub use observer::{Evaluation, Observer, Started, StepMetrics};
pub use optimizer::{Optimizer, Update};
pub use plan::{Budget, Needs, Plan, Work, longest};
pub use provenance::{Provenance, tier};
pub use recipe::Recipe;
pub use record::{Made, Maker, Record};
pub use run::{Outcome, Resume, Site, run};
pub use schedule::learning_rate;
pub use tensorboard::EventFile;
pub use timed::{Timed, Times};
pub use trainer::{Trainer, Window};
