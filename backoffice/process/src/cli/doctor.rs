//! `tidegate-backoffice doctor`: what a start will find, a line a check. Everything that the configuration names is tried. No table, no topic
//! and no file is made or changed, and a backoffice that runs goes on.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use tokio::runtime::Runtime;

use super::RunArgs;
use crate::config::{BusKind, Config};

mod grpc;
mod kafka;
mod mysql;
mod port;
mod report;

use report::{Check, Report};

/// Flags of `doctor`: those of `run`, whose start is asked about.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Print JSON instead of lines.
    #[arg(long)]
    json: bool,
}

/// Prints the report. Status 0 if nothing fails, else 1.
pub(super) fn run(args: &DoctorArgs) -> ExitCode {
    let report = examine(&args.run);
    match args.json {
        true => println!("{}", report.json()),
        false => print!("{report}"),
    }
    match report.fails() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn examine(args: &RunArgs) -> Report {
    let config = match args.load() {
        Ok(config) => config,
        Err(error) => {
            let check = Check::fail(
                "configuration",
                "cannot be used",
                error.to_string(),
                "correct it and ask again (the other checks need it); `tidegate-backoffice config` explains every key",
            );
            return Report { checks: vec![check] };
        }
    };
    let from = args
        .config
        .as_deref()
        .map_or_else(|| "defaults".to_owned(), |file| file.display().to_string());
    let mut checks = vec![Check::ok("configuration", from)];
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => checks.extend(of_start(&config, &runtime)),
        Err(error) => checks.push(Check::fail(
            "runtime",
            "cannot be made",
            error.to_string(),
            "raise the limits of open files and threads (ulimit -n, ulimit -u)",
        )),
    }
    Report { checks }
}

fn of_start(config: &Config, runtime: &Runtime) -> Vec<Check> {
    let here = port::runs_here(config.admin);
    let mut checks = vec![
        port::port("gRPC port", "grpc.listen", config.grpc.listen, here),
        port::port("admin port", "admin.listen", config.admin, here),
        grpc::reach(config),
    ];
    checks.extend(runtime.block_on(async { grpc::certificates(config) }));
    checks.extend(mysql::checks(
        &runtime.block_on(tidegate_mysql::facts(&config.mysql)),
    ));
    if config.bus == BusKind::Kafka {
        checks.extend(kafka::checks(
            &config.kafka,
            &tidegate_kafka::facts(&config.kafka),
        ));
    }
    checks
}

/// Whether anybody may reach an address from elsewhere.
fn is_open(address: SocketAddr) -> bool {
    !address.ip().is_loopback()
}
