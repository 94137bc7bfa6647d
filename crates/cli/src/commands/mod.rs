//! One file per command: from what was typed to the answer.

mod bench;
mod data;
mod demo;
mod diagnose;
mod doctor;
mod download;
pub(crate) mod eval;
mod export;
mod generate;
mod kubernetes;
mod lab;
mod logits;
mod plan;
mod quantize;
mod rank;
mod train;
mod verify;

use crate::args::{Command, DataCommand, LabCommand};
use crate::machine::Machine;
use crate::output::{Answer, Format};

/// Runs the command.
pub(crate) fn run(command: &Command, machine: &Machine, format: Format) -> anyhow::Result<Answer> {
    match command {
        Command::Doctor(args) => doctor::run(args, machine),
        Command::Data(DataCommand::Build(args)) => data::build(args),
        Command::Data(DataCommand::Inspect(args)) => data::inspect(args),
        Command::Data(DataCommand::Kubernetes(args)) => kubernetes::write(args),
        Command::Generate(args) => generate::run(args, machine, format),
        Command::Diagnose(args) => diagnose::run(args, machine),
        Command::Rank(args) => rank::run(args),
        Command::Eval(args) => eval::run(args, machine),
        Command::Plan(args) => plan::run(args, machine, format),
        Command::Download(args) => download::run(args),
        Command::Quantize(args) => quantize::run(args, machine),
        Command::Export(args) => export::run(args, machine),
        Command::Pretrain(args) => train::pretrain(args, machine),
        Command::Train(args) => train::tune(args, machine),
        Command::Lab(LabCommand::Incidents(args)) => lab::incidents::run(args),
        Command::Lab(LabCommand::Corpus(args)) => lab::corpus::run(args),
        Command::Lab(LabCommand::Saturation(args)) => lab::saturation::run(args),
        Command::Lab(LabCommand::Serve(args)) => lab::serve::run(args, format),
        Command::Verify(args) => verify::run(args, format),
        Command::Logits(args) => logits::run(args, machine),
        Command::Bench(args) => bench::run(args, machine),
        Command::Demo(args) => demo::run(args, machine),
    }
}
