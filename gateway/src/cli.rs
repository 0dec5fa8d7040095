//! The command line: what is asked for, and the commands that are not the server itself.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, ConfigError, Sources};

mod catalogue;
mod diagnose;
mod doctor;
mod log;
#[cfg(feature = "embedded")]
mod store;
mod token;

#[cfg(test)]
mod tests;

/// The edge of a shop on the day everyone comes at once.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// Flags of `run`, which is what happens without a command.
    #[command(flatten)]
    run: RunArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts the gateway (the default).
    Run(RunArgs),
    /// Prints a token under the data directory's own key.
    Token(token::TokenArgs),
    /// Checks a configuration file and says what is wrong with it.
    CheckConfig {
        /// The TOML file.
        file: PathBuf,
    },
    /// Looks at everything a start depends on: kernel, limits, disk, clock, certificate, ports, data directory. Status 1 if something
    /// must be put right.
    Doctor(doctor::DoctorArgs),
    /// Writes one file to mail to whoever is to find out what is wrong: metrics, profile, configuration without secrets, where the log stands, facts
    /// of the machine.
    Diagnose(diagnose::DiagnoseArgs),
    /// About the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// SKUs in bulk, by the API of a gateway that runs.
    Catalogue {
        #[command(subcommand)]
        command: catalogue::CatalogueCommand,
    },
    /// Looks at the write-ahead log of a data directory.
    Log {
        #[command(subcommand)]
        command: LogCommand,
    },
    /// Looks at the store of a data directory, or moves it.
    #[cfg(feature = "embedded")]
    Store {
        #[command(subcommand)]
        command: store::StoreCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Prints the default file with every key explained.
    Default,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// Walks every chain; names file and offset of the first fault.
    Verify {
        /// The data directory.
        data: PathBuf,
    },
    /// Prints every entry as one line of JSON.
    Dump {
        /// The data directory.
        data: PathBuf,
    },
}

/// Flags of `run`.
#[derive(Debug, Default, Clone, Args)]
pub struct RunArgs {
    /// The configuration file; without it, defaults.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data directory (server.data).
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Where HTTPS is served (server.listen).
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Where the admin address is (server.admin).
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<String>,
    /// Start although the wall clock is more than 24 h ahead of the log: after a long rest, or with a clock that was wrong before.
    #[arg(long)]
    pub allow_clock_jump: bool,
    /// Any key of the configuration; may be repeated.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
}

impl RunArgs {
    /// The configuration: file, then environment, then `--set`, then the other flags.
    ///
    /// # Errors
    /// The first problem, in one sentence.
    pub fn load(&self) -> Result<Config, ConfigError> {
        self.sources().load()
    }

    /// Where the configuration comes from.
    pub fn sources(&self) -> Sources {
        let flags = [
            ("server.data", &self.data),
            ("server.listen", &self.listen),
            ("server.admin", &self.admin),
        ];
        let flags = flags
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.clone()?)));
        let mut set = self.set.clone();
        if self.allow_clock_jump {
            set.push("shards.allow_clock_jump=true".into());
        }
        Sources {
            file: self.config.clone(),
            set,
            flags: flags.collect(),
            ..Sources::from_environment()
        }
    }
}

/// What the command line asks of the program.
#[derive(Debug)]
pub enum Asked {
    /// Run the gateway.
    Run(RunArgs),
    /// It is done; exit with this.
    Done(ExitCode),
}

/// Reads the process's arguments, and does what is asked unless that is to run. On wrong arguments, `--help` and `--version` it
/// prints and exits the process.
pub fn start() -> Asked {
    asked(Cli::parse())
}

fn asked(cli: Cli) -> Asked {
    let result = match cli.command {
        None => return Asked::Run(cli.run),
        Some(Command::Run(args)) => return Asked::Run(args),
        Some(Command::Token(args)) => token::print(&args),
        Some(Command::CheckConfig { file }) => check(&file),
        Some(Command::Diagnose(args)) => diagnose::run(&args),
        Some(Command::Doctor(args)) => return Asked::Done(doctor::run(&args)),
        Some(Command::Config {
            command: ConfigCommand::Default,
        }) => print_default(),
        Some(Command::Catalogue { command }) => catalogue::run(&command),
        Some(Command::Log {
            command: LogCommand::Verify { data },
        }) => log::verify(&data),
        Some(Command::Log {
            command: LogCommand::Dump { data },
        }) => log::dump(&data),
        #[cfg(feature = "embedded")]
        Some(Command::Store { command }) => store::run(&command),
    };
    Asked::Done(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("tidegate: {problem}");
            ExitCode::FAILURE
        }
    })
}

fn check(file: &std::path::Path) -> Result<(), String> {
    let config = config::check_file(file).map_err(|error| error.to_string())?;
    println!(
        "{}: ok; it would listen on {}",
        file.display(),
        config.server.listen
    );
    Ok(())
}

fn print_default() -> Result<(), String> {
    print!("{}", config::DEFAULT_FILE);
    Ok(())
}
