//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tidegate_mysql::Mysql;

use crate::config::{Config, ConfigError, DEFAULT_FILE, Sources};
use crate::{logging, run};

mod doctor;
mod dump;

/// The backoffice in a process of its own: takes the edges' entries, keeps the store, answers what is not on the hot path.
#[derive(Debug, Parser)]
#[command(name = "tidegate-backoffice", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// Flags of `run`, which is what happens without a command.
    #[command(flatten)]
    run: RunArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts the process (the default).
    Run(RunArgs),
    /// Makes the store's tables or brings them up to date, and ends. A start does the same.
    Migrate(RunArgs),
    /// Prints every order of the store as one line of JSON, as of one moment; the process may be running.
    Dump(RunArgs),
    /// Tries everything that a start depends on: MySQL, Kafka, certificates, ports. Status 1 if something must be put right.
    Doctor(doctor::DoctorArgs),
    /// Prints the default configuration with every key explained.
    Config,
}

/// Where the configuration comes from.
#[derive(Debug, Default, Clone, Args)]
pub struct RunArgs {
    /// The configuration file; without it, defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What this process does (process.roles).
    #[arg(long, value_name = "ROLE,...", value_delimiter = ',')]
    roles: Option<Vec<String>>,
    /// Any key of the configuration; may be repeated.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

impl RunArgs {
    /// The configuration: file, then environment, then `--set`, then the other flags.
    ///
    /// # Errors
    /// The first problem, in one sentence.
    pub fn load(&self) -> Result<Config, ConfigError> {
        Sources {
            file: self.config.clone(),
            set: self.set.clone(),
            roles: self.roles.clone(),
            ..Sources::from_environment()
        }
        .load()
    }
}

/// Does what the command line asks for.
#[must_use]
pub fn start() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(args) => serve(&args),
        Command::Migrate(args) => migrate(&args),
        Command::Dump(args) => dump::run(&args),
        Command::Doctor(args) => return doctor::run(&args),
        Command::Config => {
            print!("{DEFAULT_FILE}");
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("tidegate-backoffice: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &RunArgs) -> Result<(), String> {
    let config = args.load().map_err(|error| error.to_string())?;
    logging::install(&config.logging)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("backoffice")
        .build()
        .map_err(|error| format!("the runtime cannot be made: {error}"))?;
    let ended = runtime.block_on(run::run(config));
    // A thread that waits for a server is not waited for: what it was at comes again.
    runtime.shutdown_background();
    ended
}

fn migrate(args: &RunArgs) -> Result<(), String> {
    let config = args.load().map_err(|error| error.to_string())?;
    let store = Mysql::open(config.mysql).map_err(|error| error.to_string())?;
    println!("the tables are up to date; the store's name is {}", store.name());
    Ok(())
}
