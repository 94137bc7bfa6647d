//! What touches a cluster, and only to read: an incident from Kubernetes, Prometheus and Loki, and the
//! lab's incidents served over those same APIs.

#![forbid(unsafe_code)]

pub mod serve;
