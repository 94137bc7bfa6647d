//! What touches a cluster, and only to read: an incident from Kubernetes, Prometheus and Loki, and the
//! lab's incidents served over those same APIs.
//!
//! - [`read`]: asks the three, and writes an incident of what they answer.

#![forbid(unsafe_code)]

pub mod read;
pub mod serve;
