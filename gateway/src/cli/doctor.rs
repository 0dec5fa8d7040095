//! `tidegate doctor`: what a start will find on this machine, a line a check. It changes nothing, leaves no file behind, and a gateway
//! that runs on the same data directory goes on.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::RunArgs;
use crate::config::Config;
use crate::shards::Layout;

mod adjtimex;
mod certificate;
mod clock;
mod cores;
mod data;
mod disk;
mod keys;
mod limits;
mod log_end;
mod memory;
mod mounts;
mod network;
mod port;
mod report;
mod sockets;
mod store;
mod uring;

pub(super) use data::Holder;
pub(super) use log_end::LogEnd;
pub(super) use mounts::mount_of;
use report::{Check, Report};

#[cfg(test)]
mod tests;

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

/// All checks, or those that need no configuration when it has a mistake.
pub(super) fn examine(args: &RunArgs) -> Report {
    let mut checks = Vec::new();
    match args.load() {
        Ok(config) => {
            let from = args
                .config
                .as_deref()
                .map_or_else(|| "defaults".to_owned(), |file: &Path| file.display().to_string());
            checks.push(Check::ok("configuration", from));
            checks.extend(of_machine(config.server.io));
            checks.extend(of_start(&config));
        }
        Err(error) => {
            checks.push(Check::fail(
                "configuration",
                "cannot be used",
                error.to_string(),
                "correct it and ask again (the other checks need it); `tidegate config default` explains every key",
            ));
            checks.extend(of_machine(crate::config::checked::Io::Auto));
        }
    }
    Report { checks }
}

/// What is asked about the machine alone.
fn of_machine(io: crate::config::checked::Io) -> Vec<Check> {
    vec![
        uring::kernel(),
        uring::io_uring(io),
        clock::synchronised(),
        memory::huge_pages(),
        memory::swap(),
        network::somaxconn(),
    ]
}

/// What is asked about a start with this configuration.
fn of_start(config: &Config) -> Vec<Check> {
    let data = &config.server.data;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let layout = Layout::of(config, cores);
    let holder = Holder::of(data);
    let mut checks = vec![
        network::migrate(layout.nets),
        cores::cores(config, &layout, cores),
        limits::locked_memory(config.shards.writer, layout.shards),
        limits::open_files(config.server.connections_max),
        data::directory(data),
        data::lock(data, holder),
        data::manifest(config, layout.shards),
        disk::file_system(data),
        disk::free_space(config, layout.shards),
    ];
    checks.extend(store::store(config));
    checks.extend(disk::sync_time(config, holder.is_held()));
    checks.push(clock::against_log(config));
    checks.extend(certificate::certificates(config));
    checks.extend(keys::keys(config));
    checks.push(port::port("port", "--listen", config.server.listen, holder));
    checks.push(port::port("admin port", "--admin", config.server.admin, holder));
    checks.push(port::admin_reach(config.server.admin));
    checks
}
