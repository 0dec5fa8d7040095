//! `tidegate-loadgen`: an open-loop load generator that also proves the run was correct.
//!
//! It imports no crate of the gateway it checks: what it knows of it is its public API and the log's published dump.

mod batch;
mod cli;
mod clock;
mod drill;
#[cfg(test)]
mod fake_shop;
mod ledger;
mod limits;
mod load;
mod meter;
mod mix;
mod net;
mod pace;
mod raw;
mod report;
mod request;
mod rng;
mod run;
mod skus;
mod target;
mod users;
mod verify;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let result = match cli::Cli::parse().command {
        cli::Command::Run(args) => run::run(&args),
        cli::Command::Drill(args) => drill::run(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("tidegate-loadgen: {e}");
            ExitCode::from(2)
        }
    }
}
