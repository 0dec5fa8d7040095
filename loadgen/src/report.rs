//! The table at the end, and the same as JSON and as a page.

pub mod chart;
pub mod document;
pub mod facts;
pub mod page;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use self::document::{Check, FaultSeen, KindRow, Report, ThresholdSeen, Verification};
use crate::cli::ReportArgs;
use crate::followed::Followed;
use crate::ledger::{Kind, Ledger, Outcome};
use crate::meter::{Latency, Meter, latency};
use crate::net::pool::PoolStats;
use crate::series::buckets;
use crate::threshold::Threshold;
use crate::verify::Findings;

/// What the numbered invariants say, in a few words.
const INVARIANTS: [(u8, &str); 10] = [
    (1, "stock adds up"),
    (2, "nothing sold twice, limits hold"),
    (3, "no acknowledged order lost"),
    (4, "a key has one order"),
    (6, "ids unique and rising"),
    (7, "every hold ends once"),
    (8, "all lines or none"),
    (9, "histories follow the state table"),
    (12, "the store catches up"),
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

fn rows(ledger: &Ledger, sent_in_run: usize, followed: &Followed) -> BTreeMap<Kind, Row> {
    let mut rows: BTreeMap<Kind, Row> = BTreeMap::new();
    let sent = &ledger.records[..sent_in_run.min(ledger.records.len())];
    for (id, record) in sent.iter().enumerate() {
        if record.kind == Kind::ReadStock && followed.is_read(id as u32) {
            continue;
        }
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
    /// Reads of stock that are no part of the load.
    pub followed: &'a Followed,
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
        for (kind, row) in rows(self.ledger, self.sent_in_run, self.followed) {
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

    /// The same as a document.
    pub fn document(&self) -> Report {
        let kinds = rows(self.ledger, self.sent_in_run, self.followed)
            .into_iter()
            .map(|(kind, row)| {
                let outcomes = row.outcomes.into_iter().map(|(name, n)| (name.to_string(), n));
                let row = KindRow {
                    latency_us: (&row.latency).into(),
                    outcomes: outcomes.collect(),
                };
                (kind_name(kind).replace(' ', "_"), row)
            })
            .collect();
        let (made, fast) = self.made();
        Report {
            orders_made: made,
            orders_made_in_time: fast,
            in_time_ms: self.in_time.as_millis() as u64,
            seed: self.seed,
            kinds,
            verified: self.findings.is_clean(),
            verification: Some(verification(self.findings)),
            ..measured(self.meter, self.skipped, self.stats, self.cpu_us)
        }
    }
}

/// What is measured whoever answers.
pub fn measured(meter: &Meter, skipped: u64, stats: &PoolStats, cpu_us: f64) -> Report {
    let mut report = Report {
        answers: meter.all.len(),
        rate: meter.rate(),
        seconds: meter.seconds(),
        latency_us: (&meter.all).into(),
        statuses: meter.statuses.clone(),
        refusals: meter.series.refusals(),
        errors: meter.errors,
        lost: meter.lost,
        skipped,
        connects: stats.connects,
        connect_failures: stats.connect_failures,
        generator_cpu_us_per_request: cpu_us,
        ended_early: stats.gave_up.clone(),
        series: meter.series.points().to_vec(),
        distribution: buckets(&meter.all),
        ..Report::default()
    };
    report.not_2xx = report.refused();
    report
}

/// Checks the thresholds, notes them in the report and prints them.
pub fn check_thresholds(report: &mut Report, thresholds: &[Threshold]) {
    for threshold in thresholds {
        let (value, held) = threshold.check(report);
        println!(
            "threshold {threshold}: {} ({value})",
            if held { "held" } else { "BROKEN" }
        );
        report.thresholds.push(ThresholdSeen {
            threshold: threshold.to_string(),
            value,
            held,
        });
    }
}

/// Writes `report.json` and `report.html` into `dir`.
pub fn write(dir: &Path, report: &Report) -> Result<(), String> {
    let value = serde_json::to_value(report).map_err(|e| format!("--report {}: {e}", dir.display()))?;
    write_json(dir, &value)?;
    let page = dir.join("report.html");
    std::fs::write(&page, page::draw(report)).map_err(|e| format!("{}: {e}", page.display()))
}

/// `tidegate-loadgen report`.
pub fn redraw(args: &ReportArgs) -> Result<(), String> {
    let report = Report::read(&args.report)?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| args.report.with_extension("html"));
    std::fs::write(&out, page::draw(&report)).map_err(|e| format!("{}: {e}", out.display()))?;
    println!("{}", out.display());
    Ok(())
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

fn verification(findings: &Findings) -> Verification {
    let check = |(n, words): (u8, &str)| Check {
        invariant: n,
        name: words.into(),
        checked: findings.checked.get(&n).copied().unwrap_or(0),
        faults: findings.counts.get(&n).copied().unwrap_or(0),
    };
    let fault = |f: &crate::verify::Fault| FaultSeen {
        invariant: f.invariant,
        what: f.what.clone(),
    };
    Verification {
        checked: findings.checked.clone(),
        faults: findings.counts.clone(),
        checks: INVARIANTS.into_iter().map(check).collect(),
        first_faults: findings.faults.iter().map(fault).collect(),
        notes: findings.notes.clone(),
    }
}

/// The same as JSON.
pub fn findings_json(findings: &Findings) -> Value {
    serde_json::to_value(verification(findings)).unwrap_or_default()
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
