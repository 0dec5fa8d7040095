//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::compare::FailIf;
use crate::mix::Mix;
use crate::pace::Rate;
use crate::skus::Spread;
use crate::threshold::Threshold;

/// Open-loop load generator for Tidegate that also proves the run was correct.
#[derive(Debug, Parser)]
#[command(name = "tidegate-loadgen", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Load a gateway, then prove that no order was lost and no unit sold twice.
    ///
    /// Exit status: 0 all held, 1 not verified or the gateway went away, 2 arguments that make no sense or no run at all, 99 verified and
    /// a threshold broken. A run that was ended from the live view is judged as any other.
    Run(Box<RunArgs>),
    /// Start a gateway, kill it with -9 at random moments while it is loaded, and prove each time that nothing was lost.
    Drill(DrillArgs),
    /// Draw the page of a run again from its report.json.
    Report(ReportArgs),
    /// Compare two runs by their report.json; exit status 99 when a --fail-if holds.
    Compare(CompareArgs),
}

/// Which tokens people carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tokens {
    /// Everyone shares one token (and has an address of its own).
    One,
    /// One token per user.
    Fresh,
}

/// `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Where to, as https://127.0.0.1:8443.
    #[arg(long)]
    pub target: String,
    /// The gateway's Ed25519 key (DATA/token.key): it signs the users' tokens.
    #[arg(long)]
    pub token_key: Option<PathBuf>,
    /// Requests per second, constant (12000) or a ramp (1000..20000).
    #[arg(long, default_value = "1000")]
    pub rate: Rate,
    /// How long, as 30s, 2m or 500ms.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub duration: Duration,
    /// Connections.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// HTTP version: 1 or 2.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub http: u8,
    /// Requests outstanding on a connection: pipelined on HTTP/1.1 (default 1), streams on HTTP/2 (default 16).
    #[arg(long)]
    pub outstanding: Option<usize>,
    /// People, each with an address of its own.
    #[arg(long, default_value_t = 100_000)]
    pub users: u32,
    /// One token for everyone, or one each.
    #[arg(long, value_enum, default_value_t = Tokens::Fresh)]
    pub tokens: Tokens,
    /// Which SKUs: uniform, zipf, hot, or names with commas between.
    #[arg(long, default_value = "uniform")]
    pub skus: Spread,
    /// How many of SKU-1, SKU-2, … uniform and zipf use.
    #[arg(long, default_value_t = 1000)]
    pub sku_count: u16,
    /// What people do: orders, shop, or weights as order=80,multi=4,read=4,stock=6,cancel=2,confirm=2,repeat=2.
    #[arg(long, default_value = "orders")]
    pub mix: Mix,
    /// Believe the certificates in this PEM file.
    #[arg(long)]
    pub cacert: Option<PathBuf>,
    /// Believe any certificate.
    #[arg(long)]
    pub insecure: bool,
    /// Write report.json and report.html here.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// What must hold at the end, as p99<10ms, errors<0.1% or rate>11900; may be given many times.
    #[arg(long = "threshold", value_name = "CONDITION")]
    pub thresholds: Vec<Threshold>,
    /// A view of the run in place of lines; without a terminal it is lines all the same. q ends the run early.
    #[arg(long, conflicts_with = "quiet")]
    pub live: bool,
    /// SKUs whose stock is read once a second for the report, the most wanted first; 8 at most.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(0..=8))]
    pub follow_skus: u8,
    /// Saturate: every connection always has its requests outstanding; --rate is not used.
    #[arg(long)]
    pub closed_loop: bool,
    /// Any 2xx from any server is right; nothing is verified.
    #[arg(long)]
    pub expect_any: bool,
    /// Stop after this many requests.
    #[arg(long)]
    pub max_requests: Option<u64>,
    /// A connection that owes an answer for this long is given up.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub timeout: Duration,
    /// The gateway's data directory: its log is checked too (with --tidegate).
    #[arg(long, requires = "tidegate")]
    pub data: Option<PathBuf>,
    /// The store's file, if the gateway's backoffice.store says so (with --data).
    #[arg(long, requires = "data", value_name = "FILE")]
    pub store: Option<PathBuf>,
    /// The tidegate program, for `log dump` and `store dump`.
    #[arg(long)]
    pub tidegate: Option<PathBuf>,
    /// Orders read back one by one; with more, an even sample.
    #[arg(long, default_value_t = 20_000)]
    pub read_back: usize,
    /// Others use the gateway too: sums are only checked for what is missing.
    #[arg(long)]
    pub shared: bool,
    /// A due send that found no free connection for this long is skipped and counted.
    #[arg(long, default_value = "1s", value_parser = duration)]
    pub lag_max: Duration,
    /// The report counts the orders that were answered within this time of their intended sends.
    #[arg(long, default_value = "100ms", value_parser = duration)]
    pub in_time: Duration,
    /// Seed of every random choice; without it one is made up and printed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// No progress lines.
    #[arg(long)]
    pub quiet: bool,
}

/// `report`.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// A run's report.json.
    pub report: PathBuf,
    /// Where the page goes; beside the report unless said.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// `compare`.
#[derive(Clone, Debug, Args)]
pub struct CompareArgs {
    /// The report.json of the run before.
    pub before: PathBuf,
    /// The report.json of the run after.
    pub after: PathBuf,
    /// Write the table as a page, too.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// A change that is a failure, as 'p99>+10%', 'rate<-5%', 'p99>+2ms' or 'errors>+0.1pp'; may be given many times.
    #[arg(long, value_name = "CHANGE")]
    pub fail_if: Vec<FailIf>,
}

/// `drill`.
#[derive(Clone, Debug, Args)]
pub struct DrillArgs {
    /// How many times it is killed.
    #[arg(long, default_value_t = 10)]
    pub kills: u32,
    /// The gateway's program; the one beside this program unless said.
    #[arg(long)]
    pub tidegate: Option<PathBuf>,
    /// A new data directory; a temporary one unless said.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// What stands behind the gateway (backoffice.mode): with `none` the log keeps everything and is replayed entry by entry, with
    /// `embedded` what the log has let go of is looked up in the store.
    #[arg(long, default_value = "embedded")]
    pub backoffice: String,
    /// The store's file (backoffice.store), on another disk for one; in the data directory unless said.
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
    /// The system in two processes: tidegate-backoffice behind the gateway, over the Kafka and MariaDB of this script (scripts/services). Victims in
    /// turn are both processes and the script's servers, which it starts and leaves running.
    #[arg(long, value_name = "SCRIPT", conflicts_with_all = ["backoffice", "store"])]
    pub services: Option<PathBuf>,
    /// The backoffice's program; the one beside the gateway's unless said.
    #[arg(long, value_name = "PROGRAM", requires = "services")]
    pub tidegate_backoffice: Option<PathBuf>,
    /// Shard threads; some starts have one or two more.
    #[arg(long, default_value_t = 3)]
    pub shard_threads: usize,
    /// Requests per second.
    #[arg(long, default_value = "2000")]
    pub rate: Rate,
    /// Connections.
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
    /// HTTP version: 1 or 2.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub http: u8,
    /// People.
    #[arg(long, default_value_t = 5000)]
    pub users: u32,
    /// What people do.
    #[arg(
        long,
        default_value = "order=60,multi=15,read=5,stock=8,cancel=5,confirm=5,repeat=2"
    )]
    pub mix: Mix,
    /// The longest time between a start and the next kill, in milliseconds.
    #[arg(long, default_value_t = 2000)]
    pub round_ms_max: u64,
    /// Orders read back after each kill; with more, an even sample.
    #[arg(long, default_value_t = 1000)]
    pub read_back: usize,
    /// Write report.json here.
    #[arg(long)]
    pub report: Option<PathBuf>,
    /// Seed of every random choice; without it one is made up and printed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Keep data and output even when all is well.
    #[arg(long)]
    pub keep: bool,
}

/// Parses 500ms, 30s, 2m, 1h; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let unit = match &text[at..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{text}: want a time as 500ms, 30s, 2m or 1h")),
    };
    match text[..at].parse::<f64>() {
        Ok(n) if n > 0.0 && n * unit <= 86_400.0 => Ok(Duration::from_secs_f64(n * unit)),
        _ => Err(format!(
            "{text}: want a time as 500ms, 30s, 2m or 1h, at most a day"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("3"), Ok(Duration::from_secs(3)));
        assert!(duration("3x").is_err() && duration("-1s").is_err());
    }
}
