//! `srek`: what was typed becomes a command, the command becomes an answer, the answer is printed.
//!
//! *Invariant*: this is the only place that prints, draws progress, reads the environment or exits.
//! Data goes to standard output, everything else to standard error.
#![forbid(unsafe_code)]

mod args;
mod asked;
mod called;
mod chart;
mod commands;
mod companions;
mod device;
mod drift;
mod embedded;
mod exit;
mod gguf;
mod hub;
mod interrupt;
mod machine;
mod models;
mod output;
mod paths;
mod progress;
mod recipes;
mod report;
mod samples;
mod serving;
mod templates;
mod training;
mod tuning;
mod vocabulary;
mod weights;

use args::Args;
use clap::Parser;
use machine::Machine;

/// Counts every byte of the heap, so that a run can show its peak beside its plan.
#[global_allocator]
static ALLOCATOR: files::memory::CountingAllocator = files::memory::CountingAllocator;

fn main() -> std::process::ExitCode {
    let args = Args::parse();
    exit::report(run(&args))
}

/// Runs the command inside the one pool of threads and prints its answer.
fn run(args: &Args) -> anyhow::Result<()> {
    interrupt::watch()?;
    let machine = Machine::new(&args.machine)?;
    let pool = machine.pool()?;
    let format = args.machine.output();
    let answer = pool.install(|| commands::run(&args.command, &machine, format))?;
    answer.print(format)
}
