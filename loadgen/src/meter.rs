//! Rates and latencies, and the line printed each second.

use std::collections::BTreeMap;
use std::io::Write as _;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::limits::LATENCY_US_MAX;

/// Microseconds, three digits.
pub type Latency = Histogram<u64>;

/// An empty histogram of microseconds.
pub fn latency() -> Latency {
    // The bounds are constants that the crate accepts.
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("constant bounds")
}

/// Percentiles as JSON, in microseconds.
pub fn latency_json(h: &Latency) -> Value {
    json!({
        "count": h.len(), "mean": h.mean(), "min": h.min(), "p50": h.value_at_quantile(0.5),
        "p90": h.value_at_quantile(0.9), "p99": h.value_at_quantile(0.99),
        "p999": h.value_at_quantile(0.999), "max": h.max(),
    })
}

/// What happened since the start, and within this second.
pub struct Meter {
    /// Latency of every answered request, from its intended send time.
    pub all: Latency,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Outcomes that are unknown: the connection was lost.
    pub lost: u64,
    /// Answers 5xx (and streams that were reset).
    pub errors: u64,
    second: Latency,
    second_at: u64,
    second_lost: u64,
    second_errors: u64,
    start: u64,
    last_answer: u64,
    quiet: bool,
}

impl Meter {
    /// A meter whose run starts at `start`; `quiet` prints nothing.
    pub fn new(start: u64, quiet: bool) -> Meter {
        Meter {
            all: latency(),
            statuses: BTreeMap::new(),
            lost: 0,
            errors: 0,
            second: latency(),
            second_at: start,
            second_lost: 0,
            second_errors: 0,
            start,
            last_answer: start,
            quiet,
        }
    }

    /// Counts an answer that took `ns` from its intended time.
    pub fn answered(&mut self, now: u64, status: u16, ns: u64) {
        let us = (ns / 1000).min(LATENCY_US_MAX);
        self.all.saturating_record(us);
        self.second.saturating_record(us);
        *self.statuses.entry(status).or_default() += 1;
        if status >= 500 || status == 0 {
            self.errors += 1;
            self.second_errors += 1;
        }
        self.last_answer = now;
    }

    /// Counts an unknown outcome.
    pub fn lost(&mut self) {
        self.lost += 1;
        self.second_lost += 1;
    }

    /// Answers per second over the run.
    pub fn rate(&self) -> f64 {
        self.all.len() as f64 * 1e9 / (self.last_answer - self.start).max(1) as f64
    }

    /// Seconds from the start to the last answer.
    pub fn seconds(&self) -> f64 {
        (self.last_answer - self.start) as f64 / 1e9
    }

    /// Prints the progress line when a second has passed.
    pub fn tick(&mut self, now: u64, skipped: u64) {
        if now < self.second_at + 1_000_000_000 {
            return;
        }
        if !self.quiet {
            let rate = self.second.len() as f64 * 1e9 / (now - self.second_at) as f64;
            let _ = writeln!(
                std::io::stderr(),
                "{:>5.0} s  {:>8.0}/s  p50 {:>7.2} ms  p99 {:>7.2} ms  errors {}  lost {}  skipped {}",
                (now - self.start) as f64 / 1e9,
                rate,
                self.second.value_at_quantile(0.5) as f64 / 1e3,
                self.second.value_at_quantile(0.99) as f64 / 1e3,
                self.second_errors,
                self.second_lost,
                skipped,
            );
        }
        self.second.reset();
        (self.second_lost, self.second_errors) = (0, 0);
        self.second_at = now;
    }
}
