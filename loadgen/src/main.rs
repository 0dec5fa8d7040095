//! `tidegate-loadgen`: an open-loop load generator that also proves the run was correct.
//!
//! It imports no crate of the gateway it checks: what it knows of it is its public API and the log's published dump.

mod batch;
mod cli;
mod clock;
mod compare;
mod drill;
#[cfg(test)]
mod fake_shop;
mod followed;
mod ledger;
mod limits;
mod live;
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
mod series;
mod skus;
mod target;
mod threshold;
mod users;
mod verify;

use std::process::ExitCode;

use clap::Parser;

/// What a command came to. An error is exit status 2, as clap has it for arguments that make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything held: exit status 0.
    Held,
    /// The verification failed, or the load could not be carried through: exit status 1.
    NotVerified,
    /// The shop was right, and a threshold was broken: exit status 99.
    ThresholdBroken,
}

impl Verdict {
    fn of(is_right: bool) -> Verdict {
        if is_right {
            Verdict::Held
        } else {
            Verdict::NotVerified
        }
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> ExitCode {
        match verdict {
            Verdict::Held => ExitCode::SUCCESS,
            Verdict::NotVerified => ExitCode::FAILURE,
            Verdict::ThresholdBroken => ExitCode::from(99),
        }
    }
}

fn main() -> ExitCode {
    let result = match cli::Cli::parse().command {
        cli::Command::Run(args) => run::run(&args),
        cli::Command::Drill(args) => drill::run(&args).map(Verdict::of),
        cli::Command::Report(args) => report::redraw(&args).map(|()| Verdict::Held),
        cli::Command::Compare(args) => compare::run(&args),
    };
    match result {
        Ok(verdict) => verdict.into(),
        Err(e) => {
            eprintln!("tidegate-loadgen: {e}");
            ExitCode::from(2)
        }
    }
}
