//! The table at the end, and the same as JSON.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::ledger::{Kind, Ledger, Outcome};
use crate::meter::{Latency, Meter, latency, latency_json};
use crate::net::pool::PoolStats;
use crate::verify::Findings;

/// What the numbered invariants say, in a few words.
const INVARIANTS: [(u8, &str); 8] = [
    (1, "stock adds up"),
    (2, "nothing sold twice, limits hold"),
    (3, "no acknowledged order lost"),
    (4, "a key has one order"),
    (6, "ids unique and rising"),
    (7, "every hold ends once"),
    (8, "all lines or none"),
    (14, "one order of events explains all"),
];

/// Counts and latencies of one kind of request.
struct Row {
    latency: Latency,
    outcomes: BTreeMap<&'static str, u64>,
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Waiting | Outcome::Unknown => "unknown",
        Outcome::Made => "made",
        Outcome::Done => "ok",
        Outcome::SoldOut => "sold_out",
        Outcome::LimitReached => "limit_reached",
        Outcome::Refused => "refused",
        Outcome::Shed => "shed",
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Place => "place",
        Kind::ReadOrder => "read order",
        Kind::ReadStock => "read stock",
        Kind::Cancel => "cancel",
        Kind::Confirm => "confirm",
    }
}

fn rows(ledger: &Ledger, sent_in_run: usize) -> BTreeMap<Kind, Row> {
    let mut rows: BTreeMap<Kind, Row> = BTreeMap::new();
    for record in &ledger.records[..sent_in_run.min(ledger.records.len())] {
        let row = rows.entry(record.kind).or_insert_with(|| Row {
            latency: latency(),
            outcomes: BTreeMap::new(),
        });
        *row.outcomes.entry(outcome_name(record.outcome)).or_default() += 1;
        if record.status != 0 {
            row.latency
                .saturating_record(record.answered.saturating_sub(record.intended) / 1000);
        }
    }
    rows
}

/// What a run came to.
pub struct Summary<'a> {
    /// Figures.
    pub meter: &'a Meter,
    /// Every request.
    pub ledger: &'a Ledger,
    /// How many of them were sent within the run; the others settled unknown outcomes.
    pub sent_in_run: usize,
    /// Due sends that found no free worker.
    pub skipped: u64,
    /// Connections.
    pub stats: &'a PoolStats,
    /// The proof.
    pub findings: &'a Findings,
    /// Seed of the run.
    pub seed: u64,
    /// Orders answered within this time are counted.
    pub in_time: Duration,
    /// Generator's own CPU per request.
    pub cpu_us: f64,
}

impl Summary<'_> {
    /// Orders made, and those of them that were answered in time.
    fn made(&self) -> (u64, u64) {
        let limit = self.in_time.as_nanos() as u64;
        let sent = &self.ledger.records[..self.sent_in_run.min(self.ledger.records.len())];
        let made = sent.iter().filter(|r| r.outcome == Outcome::Made);
        made.fold((0, 0), |(all, fast), r| {
            (all + 1, fast + u64::from(r.answered - r.intended <= limit))
        })
    }

    /// Prints the table.
    pub fn print(&self) {
        let ms = |us: u64| us as f64 / 1e3;
        println!(
            "\n{:<12} {:>9} {:>9} {:>9} {:>9} {:>9}  outcomes",
            "", "answers", "rate/s", "p50 ms", "p99 ms", "max ms"
        );
        for (kind, row) in rows(self.ledger, self.sent_in_run) {
            let l = &row.latency;
            let outcomes: Vec<String> = row
                .outcomes
                .iter()
                .map(|(name, n)| format!("{name} {n}"))
                .collect();
            println!(
                "{:<12} {:>9} {:>9.0} {:>9.2} {:>9.2} {:>9.2}  {}",
                kind_name(kind),
                l.len(),
                l.len() as f64 / self.meter.seconds().max(1e-9),
                ms(l.value_at_quantile(0.5)),
                ms(l.value_at_quantile(0.99)),
                ms(l.max()),
                outcomes.join(", ")
            );
        }
        println!(
            "all: {:.0} answers/s over {:.1} s; errors {}, lost {}, skipped {}; {} connections made; {:.1} us of generator CPU a request; seed {}",
            self.meter.rate(),
            self.meter.seconds(),
            self.meter.errors,
            self.meter.lost,
            self.skipped,
            self.stats.connects,
            self.cpu_us,
            self.seed
        );
        let (made, fast) = self.made();
        let seconds = self.meter.seconds().max(1e-9);
        println!(
            "orders made: {made}, {:.0}/s; {fast} of them ({:.0}/s) within {:?} of the intended send",
            made as f64 / seconds,
            fast as f64 / seconds,
            self.in_time
        );
        print_findings(self.findings);
    }

    /// Writes `report.json` into `dir`.
    pub fn write(&self, dir: &Path) -> Result<(), String> {
        let kinds: serde_json::Map<String, Value> = rows(self.ledger, self.sent_in_run)
            .iter()
            .map(|(kind, row)| {
                let value = json!({ "latency_us": latency_json(&row.latency), "outcomes": row.outcomes });
                (kind_name(*kind).replace(' ', "_"), value)
            })
            .collect();
        let (made, fast) = self.made();
        let report = json!({
            "orders_made": made, "orders_made_in_time": fast, "in_time_ms": self.in_time.as_millis() as u64,
            "seed": self.seed, "rate": self.meter.rate(), "seconds": self.meter.seconds(),
            "latency_us": latency_json(&self.meter.all), "statuses": self.meter.statuses, "kinds": kinds,
            "errors": self.meter.errors, "lost": self.meter.lost, "skipped": self.skipped,
            "connects": self.stats.connects, "connect_failures": self.stats.connect_failures,
            "generator_cpu_us_per_request": self.cpu_us,
            "verified": self.findings.is_clean(), "verification": findings_json(self.findings),
        });
        write_json(dir, &report)
    }
}

/// Prints what was checked and what was found.
pub fn print_findings(findings: &Findings) {
    println!(
        "\n{:<4} {:<34} {:>12} {:>8}",
        "", "invariant", "checked", "faults"
    );
    for (n, words) in INVARIANTS {
        let checked = findings.checked.get(&n).copied().unwrap_or(0);
        let faults = findings.counts.get(&n).copied().unwrap_or(0);
        println!("{n:<4} {words:<34} {checked:>12} {faults:>8}");
    }
    for note in &findings.notes {
        println!("note: {note}");
    }
    for fault in &findings.faults {
        println!("FAULT ({}): {}", fault.invariant, fault.what);
    }
    println!(
        "{}",
        if findings.is_clean() {
            "VERIFIED"
        } else {
            "NOT VERIFIED"
        }
    );
}

/// The same as JSON.
pub fn findings_json(findings: &Findings) -> Value {
    let faults: Vec<Value> = findings
        .faults
        .iter()
        .map(|f| json!({ "invariant": f.invariant, "what": f.what }))
        .collect();
    json!({ "checked": findings.checked, "faults": findings.counts, "first_faults": faults, "notes": findings.notes })
}

/// Writes `report.json` into `dir`.
pub fn write_json(dir: &Path, report: &Value) -> Result<(), String> {
    let blame = |e: &dyn std::fmt::Display| {
        format!(
            "--report {}: {e}; name a directory that can be written",
            dir.display()
        )
    };
    std::fs::create_dir_all(dir).map_err(|e| blame(&e))?;
    let text = serde_json::to_string_pretty(report).map_err(|e| blame(&e))?;
    std::fs::write(dir.join("report.json"), text).map_err(|e| blame(&e))
}
