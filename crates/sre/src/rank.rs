//! Which service, and which signal of it, a trouble came from: a ranked list from metrics, calls and
//! changes alone, by plain arithmetic. Nothing is learned, and nothing is set for a system: every
//! series is measured against its own past.
//!
//! How it works, for a [`Window`]:
//! 1. `meaning`: what each series measures and which way is bad, read off its name.
//! 2. `onset`: where the trouble began, which may be before it was noticed.
//! 3. `strength`: how far each series left its past the bad way, in the largest moves of that past
//!    (a robust, signed score after BARO, FSE 2024, section 4.3).
//! 4. `blame`: how much of the lost time, or of the failed requests, a service brought about itself,
//!    beyond what its callees explain, and whether the alerting service reaches it through services
//!    that do badly.
//! 5. `fuse`: these, resources and changes in one list, or nothing where nothing is wrong.
//!
//! [`change_point`] finds where series change when nobody says where to look. [`layout`], [`two`] and
//! [`petshop`] read files of others; [`baseline`] ranks as others do; [`trial`] compares.

pub mod baseline;
mod blame;
pub mod change_point;
mod fuse;
pub mod layout;
pub mod meaning;
mod onset;
pub mod petshop;
mod strength;
#[cfg(test)]
mod tests;
pub mod trial;
pub mod two;
pub mod window;

pub use fuse::{Parts, Ranked, Ranking, rank};
pub use window::{Changed, Target, Track, Window};
