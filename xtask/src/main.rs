//! Chores of the workspace, run as `cargo xtask <chore>`.
#![forbid(unsafe_code)]

mod kernels;
mod lock;
mod rust_source;
mod sbom;
mod size;
#[cfg(test)]
#[path = "../../tests/skip.rs"]
mod skip;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask <chore>
  tidy             check layering, op rooms, budgets and house rules
  sbom             write sbom.cdx.json (CycloneDX 1.5) from Cargo.lock
  sbom --check     fail when sbom.cdx.json is not what `sbom` would write
  kernels          write kernels/ptx (PTX, cubins, table) with NVRTC and ptxas 12.4
  kernels --check  fail when kernels/ptx is not what `kernels` would write
  size             print lines per crate and the lengths of files and functions";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["tidy"] => tidy(),
        ["sbom"] => sbom::write(&workspace::root()),
        ["sbom", "--check"] => sbom::check(&workspace::root()),
        ["kernels"] => kernels::write(&workspace::root()),
        ["kernels", "--check"] => kernels::check(&workspace::root()),
        ["size"] => size::print(&workspace::root()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn tidy() -> Result<()> {
    let findings = tidy::run(&workspace::root())?;
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    Ok(())
}
