//! Rates and latencies, and the line printed each second.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use hdrhistogram::Histogram;

use crate::ledger::find_code;
use crate::limits::LATENCY_US_MAX;
use crate::live::Pulse;
use crate::request::Connections;
use crate::series::{Point, Refusals, Series};

/// Microseconds, three digits.
pub type Latency = Histogram<u64>;

/// An empty histogram of microseconds.
pub fn latency() -> Latency {
    // The bounds are constants that the crate accepts.
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("constant bounds")
}

/// Who is told each second.
enum Listener {
    Nobody,
    /// A line on stderr.
    Line,
    /// The live view.
    View(Arc<Pulse>),
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
    /// The seconds that are over.
    pub series: Series,
    second: Latency,
    second_at: u64,
    /// The counts of this second.
    now: Point,
    refusals: Refusals,
    skipped: u64,
    start: u64,
    last_answer: u64,
    listener: Listener,
}

impl Meter {
    /// A meter whose run starts at `start`; `quiet` prints nothing.
    pub fn new(start: u64, quiet: bool) -> Meter {
        Meter {
            all: latency(),
            statuses: BTreeMap::new(),
            lost: 0,
            errors: 0,
            series: Series::default(),
            second: latency(),
            second_at: start,
            now: Point::default(),
            refusals: Refusals::default(),
            skipped: 0,
            start,
            last_answer: start,
            listener: if quiet { Listener::Nobody } else { Listener::Line },
        }
    }

    /// With a live view in place of the line.
    pub fn with_view(mut self, view: Option<Arc<Pulse>>) -> Meter {
        if let Some(view) = view {
            self.listener = Listener::View(view);
        }
        self
    }

    /// Counts a request that was sent.
    pub fn sent(&mut self) {
        self.now.sent += 1;
    }

    /// Counts an answer that took `ns` from its intended time; a refusal's reason is looked up in `body`.
    pub fn answered(&mut self, now: u64, status: u16, ns: u64, body: &[u8]) {
        let us = (ns / 1000).min(LATENCY_US_MAX);
        self.all.saturating_record(us);
        self.second.saturating_record(us);
        *self.statuses.entry(status).or_default() += 1;
        if !(200..300).contains(&status) {
            self.refusals.count(status, find_code(body).unwrap_or_default());
        }
        if status >= 500 || status == 0 {
            self.errors += 1;
            self.now.errors += 1;
        }
        self.last_answer = now;
    }

    /// Counts an unknown outcome.
    pub fn lost(&mut self) {
        self.lost += 1;
        self.now.lost += 1;
    }

    /// Answers per second over the run.
    pub fn rate(&self) -> f64 {
        self.all.len() as f64 * 1e9 / (self.last_answer - self.start).max(1) as f64
    }

    /// Seconds from the start to the last answer.
    pub fn seconds(&self) -> f64 {
        (self.last_answer - self.start) as f64 / 1e9
    }

    /// Closes the second when it has passed, and tells whoever listens. `skipped` is the run's sum.
    pub fn tick(&mut self, now: u64, skipped: u64, connections: Connections) {
        if let Listener::View(view) = &self.listener {
            view.connections(connections);
        }
        if now >= self.second_at + 1_000_000_000 {
            self.close_second(now, skipped);
        }
    }

    /// Closes the last second at the last answer.
    pub fn finish(&mut self, skipped: u64) {
        let is_empty = self.second.is_empty() && self.now == Point::default() && skipped == self.skipped;
        if !is_empty {
            self.close_second(self.last_answer.max(self.second_at + 1_000_000), skipped);
        }
    }

    fn close_second(&mut self, now: u64, skipped: u64) {
        let length_s = (now - self.second_at) as f64 / 1e9;
        let point = Point {
            at_s: (now - self.start) as f64 / 1e9,
            length_s,
            answered: self.second.len(),
            rate: self.second.len() as f64 / length_s,
            p50_us: self.second.value_at_quantile(0.5),
            p99_us: self.second.value_at_quantile(0.99),
            p999_us: self.second.value_at_quantile(0.999),
            max_us: self.second.max(),
            skipped: skipped - self.skipped,
            refusals: self.refusals.take(),
            ..std::mem::take(&mut self.now)
        };
        match &self.listener {
            Listener::Nobody => {}
            Listener::Line => print_line(&point, skipped),
            Listener::View(view) => view.second(point.clone()),
        }
        self.series.push(point);
        self.second.reset();
        self.second_at = now;
        self.skipped = skipped;
    }
}

/// Nobody to tell is no reason to end a run.
fn print_line(point: &Point, skipped: u64) {
    let _ = writeln!(
        std::io::stderr(),
        "{:>5.0} s  {:>8.0}/s  p50 {:>7.2} ms  p99 {:>7.2} ms  errors {}  lost {}  skipped {}",
        point.at_s,
        point.rate,
        point.p50_us as f64 / 1e3,
        point.p99_us as f64 / 1e3,
        point.errors,
        point.lost,
        skipped,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_seconds_add_up_to_the_run() {
        let mut meter = Meter::new(0, true);
        for n in 0..2500_u64 {
            let now = n * SECOND / 1000;
            meter.sent();
            match n % 10 {
                9 => meter.lost(),
                8 => meter.answered(now, 503, 2_000_000, br#"{"code":"overloaded"}"#),
                _ => meter.answered(now, 201, 1_000_000, b"{}"),
            }
            meter.tick(now, n / 100, Connections::default());
        }
        meter.finish(30);
        let points = meter.series.points();
        assert_eq!(points.len(), 3);
        assert_eq!(points.iter().map(|p| p.sent).sum::<u64>(), 2500);
        assert_eq!(points.iter().map(|p| p.answered).sum::<u64>(), meter.all.len());
        assert_eq!(points.iter().map(|p| p.lost).sum::<u64>(), 250);
        assert_eq!(points.iter().map(|p| p.skipped).sum::<u64>(), 30);
        assert_eq!(
            meter.series.refusals(),
            BTreeMap::from([("503 overloaded".to_string(), 250)])
        );
        assert!((points[0].rate - 900.0).abs() < 10.0, "{}", points[0].rate);
        assert_eq!(points[1].p50_us, 1000);
        assert!(points[2].length_s < 0.6 && points[2].at_s < 2.6);
    }

    #[test]
    fn a_second_without_an_answer_is_in_the_series_too() {
        let mut meter = Meter::new(0, true);
        meter.sent();
        meter.tick(SECOND, 0, Connections::default());
        meter.tick(2 * SECOND, 0, Connections::default());
        meter.finish(0);
        let points = meter.series.points();
        assert_eq!(points.len(), 2);
        assert_eq!((points[1].answered, points[1].rate), (0, 0.0));
    }
}
