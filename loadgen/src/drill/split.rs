//! The system in two processes: `tidegate-backoffice` behind the gateway, over Kafka and MySQL, and whose turn it is to be killed.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::{Process, free_address};
use super::services::{Database, NAMES, Services};
use crate::rng::Rng;

/// A start of tidegate-backoffice may take this long.
const START_MAX: Duration = Duration::from_secs(60);

/// What is killed in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// The gateway.
    Gateway,
    /// tidegate-backoffice.
    Backoffice,
    /// One of the servers.
    Service(&'static str),
}

impl Victim {
    /// Its name in a line.
    pub fn name(self) -> &'static str {
        match self {
            Victim::Gateway => "the gateway",
            Victim::Backoffice => "tidegate-backoffice",
            Victim::Service(name) => name,
        }
    }
}

/// Everybody's turn: a random order, then another.
#[derive(Debug, Default)]
pub struct Turns(Vec<Victim>);

impl Turns {
    /// Who is next.
    pub fn next(&mut self, rng: &mut Rng) -> Victim {
        if self.0.is_empty() {
            self.0 = vec![Victim::Gateway, Victim::Backoffice];
            self.0.extend(NAMES.map(Victim::Service));
        }
        let at = rng.below(self.0.len() as u64) as usize;
        self.0.swap_remove(at)
    }
}

/// The backoffice's process and what it stands on.
pub struct Split {
    services: Services,
    database: String,
    program: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
    /// Where edges dial.
    pub grpc: SocketAddr,
    /// Its metrics.
    pub admin: SocketAddr,
    /// What it said.
    pub output: PathBuf,
    process: Option<Process>,
}

impl Split {
    /// Starts it on a database and a topic of the drill's own.
    pub fn start(script: &Path, program: PathBuf, scratch: &Path, run: u64) -> Result<Split, String> {
        let services = Services::up(script)?;
        let name = format!("tidegate_drill_{run:x}");
        let database = services.database(&name)?;
        let mut split = Split {
            services,
            database: name,
            program,
            config: scratch.join("backoffice.toml"),
            grpc: free_address()?,
            admin: free_address()?,
            output: scratch.join("backoffice.log"),
            process: None,
        };
        split.write_config(&database, &scratch.join("mysql.password"))?;
        split.migrate()?;
        split.begin()?;
        Ok(split)
    }

    fn write_config(&self, database: &Database, password: &Path) -> Result<(), String> {
        let text = configuration(
            (self.grpc, self.admin),
            &self.services.brokers,
            database,
            &self.database,
            password,
        );
        let write =
            |path: &Path, text: &str| fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()));
        write(password, &database.password)?;
        write(&self.config, &text)
    }

    /// Makes the tables.
    fn migrate(&self) -> Result<(), String> {
        let output = self
            .command("migrate")
            .output()
            .map_err(|e| self.no_program(&e))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(format!(
                "tidegate-backoffice migrate: {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            )),
        }
    }

    fn command(&self, command: &str) -> Command {
        let mut program = Command::new(&self.program);
        program.args([command, "--config"]).arg(&self.config);
        program
    }

    fn no_program(&self, error: &std::io::Error) -> String {
        format!(
            "{}: {error}; build it, or name it with --tidegate-backoffice",
            self.program.display()
        )
    }

    /// Starts the process, and waits until it says that it is ready.
    fn begin(&mut self) -> Result<(), String> {
        let process = Process::start(
            "tidegate-backoffice",
            self.command("run"),
            self.admin,
            &self.output,
            "--tidegate-backoffice",
        )?;
        process.wait_ready(START_MAX)?;
        self.process = Some(process);
        Ok(())
    }

    /// The program, which dumps what the store has.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Kills a victim that is not the gateway.
    pub fn kill(&mut self, victim: Victim) -> Result<(), String> {
        match victim {
            Victim::Service(name) => self.services.kill(name),
            Victim::Gateway | Victim::Backoffice => match self.process.take() {
                Some(process) => process.kill(),
                None => Err("tidegate-backoffice does not run".into()),
            },
        }
    }

    /// Starts it again; gives how long it took until it was ready.
    pub fn up(&mut self, victim: Victim) -> Result<Duration, String> {
        let began = Instant::now();
        match victim {
            Victim::Service(name) => self.services.start(name)?,
            Victim::Gateway | Victim::Backoffice => self.begin()?,
        }
        Ok(began.elapsed())
    }

    /// `Err` if tidegate-backoffice has ended by itself.
    pub fn lives(&self) -> Result<(), String> {
        self.process.as_ref().map_or(Ok(()), Process::lives)
    }

    /// The last word: it stops when it is asked to, with status 0; its database goes.
    pub fn end(&mut self) -> Result<(), String> {
        if let Some(process) = self.process.take() {
            process.stop(Duration::from_secs(20))?;
        }
        self.services.drop(&self.database)
    }
}

/// What tidegate-backoffice is told; `name` is its topic's as well, and a shop's on the bus.
fn configuration(
    (grpc, admin): (SocketAddr, SocketAddr),
    brokers: &str,
    database: &Database,
    name: &str,
    password: &Path,
) -> String {
    let Database { url, .. } = database;
    let password = password.display().to_string();
    format!(
        "[process]\nbus = \"kafka\"\n\n\
         [grpc]\nlisten = \"{grpc}\"\n\n\
         [mysql]\nurl = {url:?}\npassword_file = {password:?}\n\n\
         [kafka]\nbrokers = {brokers:?}\ntopic = \"{name}\"\ntransactional_id = \"{name}\"\n\
         replication = 1\nmin_insync_replicas = 1\n\n\
         [admin]\nlisten = \"{admin}\"\n\n\
         [logging]\njson = false\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_turn_before_one_has_a_second_and_the_seed_says_when() {
        let of = |seed| {
            let (mut turns, mut rng) = (Turns::default(), Rng::seeded(seed));
            (0..10).map(|_| turns.next(&mut rng)).collect::<Vec<_>>()
        };
        let turns = of(5);
        for half in [&turns[..5], &turns[5..]] {
            let mut sorted = half.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), 5, "{turns:?}");
        }
        assert_eq!(turns, of(5));
        assert!((6..20).any(|seed| of(seed) != turns));
    }

    #[test]
    fn the_configuration_holds_no_password_and_names_what_is_the_drills_own() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let database = Database {
            url: "mysql://tidegate@127.0.0.1:3306/tidegate_drill_7".into(),
            password: "secret".into(),
        };
        let text = configuration(
            (address(1), address(2)),
            "127.0.0.1:9092",
            &database,
            "tidegate_drill_7",
            Path::new("/t/mysql.password"),
        );
        for line in [
            "bus = \"kafka\"",
            "url = \"mysql://tidegate@127.0.0.1:3306/tidegate_drill_7\"",
            "password_file = \"/t/mysql.password\"",
            "topic = \"tidegate_drill_7\"",
            "replication = 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert!(!text.contains("secret"));
    }
}
