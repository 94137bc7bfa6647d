//! Tests across crates, in one binary: the built `srek` from outside.
#![forbid(unsafe_code)]

mod bad_input;
mod bad_output;
mod base;
mod command;
mod conversations;
mod demo;
mod device;
mod diagnose;
mod duplicates;
mod export;
mod gguf;
mod golden_run;
mod held_to_schema;
mod hostile;
mod hub;
mod interrupted;
mod kubernetes;
mod lab;
mod logits;
mod measure;
mod mended;
mod misnamed;
mod plan;
mod provenance;
mod rank;
mod recipe;
mod refusals;
mod saturation;
mod secrets;
mod skip;
mod skipping;
mod story;
mod verify;
mod whole;
mod workstation;
