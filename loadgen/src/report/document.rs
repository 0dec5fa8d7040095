//! `report.json`: what a run came to, for programs. The page and the comparison are made from nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::followed::StockSeries;
use crate::meter::Latency;
use crate::series::{Bucket, Point};

/// Percentiles in microseconds, from the intended send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Percentiles {
    /// Answers.
    pub count: u64,
    /// Mean.
    pub mean: f64,
    /// Fastest.
    pub min: u64,
    /// Median.
    pub p50: u64,
    /// 90 of 100.
    pub p90: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1000.
    pub p999: u64,
    /// Slowest.
    pub max: u64,
}

impl From<&Latency> for Percentiles {
    fn from(h: &Latency) -> Percentiles {
        Percentiles {
            count: h.len(),
            mean: h.mean(),
            min: h.min(),
            p50: h.value_at_quantile(0.5),
            p90: h.value_at_quantile(0.9),
            p99: h.value_at_quantile(0.99),
            p999: h.value_at_quantile(0.999),
            max: h.max(),
        }
    }
}

/// One kind of request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KindRow {
    /// How fast.
    pub latency_us: Percentiles,
    /// What came of them.
    pub outcomes: BTreeMap<String, u64>,
}

/// One check of the verifier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Check {
    /// Number of the invariant.
    pub invariant: u8,
    /// What it says.
    pub name: String,
    /// Facts that were looked at.
    pub checked: u64,
    /// Facts that contradict it.
    pub faults: u64,
}

/// A fault that was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FaultSeen {
    /// Number of the invariant.
    pub invariant: u8,
    /// What was seen.
    pub what: String,
}

/// What the verifier found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verification {
    /// Facts checked, by number of the invariant.
    pub checked: BTreeMap<u8, u64>,
    /// Faults, by number of the invariant.
    pub faults: BTreeMap<u8, u64>,
    /// The same with names.
    pub checks: Vec<Check>,
    /// The first faults in words.
    pub first_faults: Vec<FaultSeen>,
    /// What could not be checked.
    pub notes: Vec<String>,
}

/// A threshold and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThresholdSeen {
    /// As it was given.
    pub threshold: String,
    /// The run's figure.
    pub value: String,
    /// Whether it holds.
    pub held: bool,
}

/// How the run was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The command line.
    pub command: String,
    /// When it began, RFC 3339 in UTC.
    pub began: String,
    /// Processor, cores, memory, kernel.
    pub machine: String,
    /// Version of the generator.
    pub version: String,
    /// Version of the gateway's program, when it was named.
    pub gateway: Option<String>,
    /// State of the source tree the generator lies in, as git describes it.
    pub git: Option<String>,
    /// Where the load went.
    pub target: String,
    /// HTTP version.
    pub http: u8,
    /// Connections.
    pub connections: u64,
    /// Requests outstanding on each.
    pub outstanding: u64,
    /// The offered rate in words.
    pub offered: String,
    /// People.
    pub users: u64,
}

/// The whole report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Answers.
    pub answers: u64,
    /// Answers a second.
    pub rate: f64,
    /// From the start to the last answer.
    pub seconds: f64,
    /// Percentiles over the run.
    pub latency_us: Percentiles,
    /// Answers by status; 0 is a stream that was reset.
    pub statuses: BTreeMap<u16, u64>,
    /// Answers that were not 2xx, by status and reason.
    pub refusals: BTreeMap<String, u64>,
    /// By kind of request; empty where nothing is verified.
    pub kinds: BTreeMap<String, KindRow>,
    /// Orders made.
    pub orders_made: u64,
    /// Those of them answered within `in_time_ms`.
    pub orders_made_in_time: u64,
    /// The time that counts as in time.
    pub in_time_ms: u64,
    /// Answers 5xx, and streams that were reset.
    pub errors: u64,
    /// Requests whose connection was lost.
    pub lost: u64,
    /// Due sends that found no free connection.
    pub skipped: u64,
    /// Answers that were not 2xx.
    pub not_2xx: u64,
    /// Connections made.
    pub connects: u64,
    /// Connections that could not be made.
    pub connect_failures: u64,
    /// The generator's own CPU.
    pub generator_cpu_us_per_request: f64,
    /// Seed of every choice.
    pub seed: u64,
    /// Whether the verifier found nothing wrong.
    pub verified: bool,
    /// What it looked at; none where any 2xx was right.
    pub verification: Option<Verification>,
    /// What had to hold.
    pub thresholds: Vec<ThresholdSeen>,
    /// Why the run ended before its time.
    pub ended_early: Option<String>,
    /// Second by second.
    pub series: Vec<Point>,
    /// Stock of the SKUs that were followed.
    pub stock: Vec<StockSeries>,
    /// The latency distribution.
    pub distribution: Vec<Bucket>,
    /// How it was made.
    pub run: Facts,
}

impl Report {
    /// Reads a run's `report.json`.
    ///
    /// # Errors
    /// Names the file and what it is not.
    pub fn read(path: &Path) -> Result<Report, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let report: Report = serde_json::from_str(&text)
            .map_err(|e| format!("{}: not a run's report.json: {e}", path.display()))?;
        if report.answers == 0 && report.latency_us.count == 0 {
            return Err(format!(
                "{}: no run with answers; want the report.json that `run --report DIR` writes",
                path.display()
            ));
        }
        Ok(report)
    }

    /// Requests whose outcome is told: answered or lost.
    pub fn requests(&self) -> u64 {
        self.latency_us.count.max(self.answers) + self.lost
    }

    /// `n` as a part of the requests.
    pub fn share(&self, n: u64) -> f64 {
        n as f64 / self.requests().max(1) as f64
    }

    /// Answers that were not 2xx.
    pub fn refused(&self) -> u64 {
        let good = |status: &u16| (200..300).contains(status);
        self.statuses
            .iter()
            .filter(|(s, _)| !good(s))
            .map(|(_, n)| n)
            .sum()
    }

    /// Whether every threshold holds.
    pub fn thresholds_hold(&self) -> bool {
        self.thresholds.iter().all(|t| t.held)
    }
}
