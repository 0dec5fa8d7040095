//! What happened second by second.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::limits::{LATENCY_US_MAX, REASON_BYTES_MAX, REASONS_MAX, SERIES_POINTS_MAX};
use crate::meter::Latency;

/// One second of a run (the last one may be shorter).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Point {
    /// Its end, in seconds since the run's start.
    pub at_s: f64,
    /// Its length in seconds.
    pub length_s: f64,
    /// Requests sent.
    pub sent: u64,
    /// Requests answered.
    pub answered: u64,
    /// Answers a second.
    pub rate: f64,
    /// Latency from the intended send, in microseconds.
    pub p50_us: u64,
    /// As `p50_us`, for 99 of 100.
    pub p99_us: u64,
    /// As `p50_us`, for 999 of 1000.
    pub p999_us: u64,
    /// The slowest.
    pub max_us: u64,
    /// Answers 5xx, and streams that were reset.
    pub errors: u64,
    /// Requests whose connection was lost.
    pub lost: u64,
    /// Due sends that found no free connection.
    pub skipped: u64,
    /// Answers that were not 2xx, by status and reason.
    pub refusals: BTreeMap<String, u64>,
}

impl Point {
    /// Answers that were not 2xx.
    pub fn refused(&self) -> u64 {
        self.refusals.values().sum()
    }
}

/// Counts refusals by status and reason; a server may answer any text, so both their number and their length are bounded.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    known: Vec<(u16, Vec<u8>, u64)>,
    beyond: u64,
}

impl Refusals {
    /// Counts one. `reason` is the problem document's `code`, when there is one.
    pub fn count(&mut self, status: u16, reason: &[u8]) {
        let reason = &reason[..reason.len().min(REASON_BYTES_MAX)];
        let is_it = |(s, r, _): &(u16, Vec<u8>, u64)| *s == status && r == reason;
        match self.known.iter().position(is_it) {
            Some(n) => self.known[n].2 += 1,
            None if self.known.len() < REASONS_MAX => self.known.push((status, reason.to_vec(), 1)),
            None => self.beyond += 1,
        }
    }

    /// The counts, by status and reason as text; all become 0, and what is known stays so that the next second allocates nothing.
    pub fn take(&mut self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for (status, reason, n) in self.known.iter_mut().filter(|(_, _, n)| *n > 0) {
            let name = match (*status, reason.is_empty()) {
                (0, _) => "stream reset".to_string(),
                (status, true) => status.to_string(),
                (status, false) => format!("{status} {}", String::from_utf8_lossy(reason)),
            };
            // Bytes that are not UTF-8 may make two reasons one text.
            *counts.entry(name).or_default() += std::mem::take(n);
        }
        if self.beyond > 0 {
            counts.insert("other reasons".into(), std::mem::take(&mut self.beyond));
        }
        counts
    }
}

/// The seconds of a run.
#[derive(Clone, Debug, Default)]
pub struct Series {
    points: Vec<Point>,
}

impl Series {
    /// Adds a second; beyond a day the oldest go.
    pub fn push(&mut self, point: Point) {
        if self.points.len() >= SERIES_POINTS_MAX {
            self.points.remove(0);
        }
        self.points.push(point);
    }

    /// All seconds, the oldest first.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Refusals of all seconds.
    pub fn refusals(&self) -> BTreeMap<String, u64> {
        let mut sum = BTreeMap::new();
        for (name, n) in self.points.iter().flat_map(|p| &p.refusals) {
            *sum.entry(name.clone()).or_default() += n;
        }
        sum
    }
}

/// Requests that took at most `upto_us` and more than the bucket before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// The highest latency of this bucket, in microseconds.
    pub upto_us: u64,
    /// How many.
    pub count: u64,
}

/// The distribution in buckets about a tenth wide: at most some 200 over all magnitudes.
pub fn buckets(all: &Latency) -> Vec<Bucket> {
    let mut coarse: Latency =
        Histogram::new_with_bounds(1, LATENCY_US_MAX, 1).expect("constant bounds that the crate accepts");
    for step in all.iter_recorded() {
        coarse.saturating_record_n(step.value_iterated_to(), step.count_at_value());
    }
    coarse
        .iter_recorded()
        .map(|step| Bucket {
            upto_us: coarse.highest_equivalent(step.value_iterated_to()),
            count: step.count_at_value(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_makes_up_reasons_does_not_fill_memory() {
        let mut refusals = Refusals::default();
        for n in 0..10_000 {
            refusals.count(503, format!("{n}{}", "x".repeat(5000)).as_bytes());
        }
        let counts = refusals.take();
        assert_eq!(counts.len(), REASONS_MAX + 1);
        assert_eq!(counts.values().sum::<u64>(), 10_000);
        assert!(counts.keys().all(|k| k.len() <= REASON_BYTES_MAX + 4));
        assert!(refusals.take().is_empty(), "the next second begins at 0");
    }

    #[test]
    fn every_request_is_in_exactly_one_bucket() {
        let mut all = crate::meter::latency();
        for us in [1, 5, 1200, 1201, 59_000_000] {
            all.saturating_record(us);
        }
        let buckets = buckets(&all);
        assert_eq!(buckets.iter().map(|b| b.count).sum::<u64>(), 5);
        assert!(buckets.windows(2).all(|w| w[0].upto_us < w[1].upto_us));
        let of_1200 = buckets.iter().find(|b| b.upto_us >= 1200).unwrap();
        assert!(of_1200.count == 2 && of_1200.upto_us < 1320, "{of_1200:?}");
    }
}
