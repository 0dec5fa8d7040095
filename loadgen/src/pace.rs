//! When requests are due.

use std::time::Duration;

use crate::limits::LAG_NS_MAX;

/// A rate in requests per second, constant or rising linearly over the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// At the start.
    pub from: f64,
    /// At the end.
    pub to: f64,
}

impl std::str::FromStr for Rate {
    type Err = String;

    /// `12000`, or `1000..20000` for a ramp.
    fn from_str(text: &str) -> Result<Rate, String> {
        let number = |t: &str| match t.trim().parse::<f64>() {
            Ok(n) if n > 0.0 && n <= 10_000_000.0 => Ok(n),
            _ => Err(format!("{text}: want a rate in requests per second, or FROM..TO")),
        };
        match text.split_once("..") {
            Some((from, to)) => Ok(Rate {
                from: number(from)?,
                to: number(to)?,
            }),
            None => number(text).map(|n| Rate { from: n, to: n }),
        }
    }
}

/// What the schedule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Send one now; it was meant to be sent at this time.
    Now(u64),
    /// Nothing before this time.
    At(u64),
    /// The run's time is over.
    Over,
}

/// The schedule of a run.
#[derive(Clone, Debug)]
pub struct Pace {
    rate: Option<Rate>,
    start: u64,
    end: u64,
    next: f64,
    left: u64,
    skipped: u64,
    lag_max: u64,
}

impl Pace {
    /// Open loop with a rate, closed loop (always due) without; at most `requests` of them.
    pub fn new(rate: Option<Rate>, start: u64, duration: Duration, requests: Option<u64>) -> Pace {
        let end = start.saturating_add(duration.as_nanos() as u64);
        Pace {
            rate,
            start,
            end,
            next: start as f64,
            left: requests.unwrap_or(u64::MAX),
            skipped: 0,
            lag_max: LAG_NS_MAX,
        }
    }

    /// With another bound on how late a send may be ([`LAG_NS_MAX`] otherwise).
    pub fn with_lag(mut self, lag_max: Duration) -> Pace {
        self.lag_max = lag_max.as_nanos() as u64;
        self
    }

    /// Takes the next due send. Sends that found no free worker in time are skipped and counted.
    pub fn take(&mut self, now: u64) -> Due {
        if self.is_over(now) {
            return Due::Over;
        }
        let Some(rate) = self.rate else {
            self.left -= 1;
            return Due::Now(now);
        };
        while (self.next as u64).saturating_add(self.lag_max) < now.min(self.end) {
            self.advance(rate);
            self.skipped += 1;
        }
        let intended = self.next as u64;
        if intended >= self.end {
            return Due::Over;
        }
        if intended > now {
            return Due::At(intended);
        }
        self.advance(rate);
        self.left -= 1;
        Due::Now(intended)
    }

    fn advance(&mut self, rate: Rate) {
        let share = (self.next - self.start as f64) / (self.end - self.start).max(1) as f64;
        let per_second = rate.from + (rate.to - rate.from) * share.clamp(0.0, 1.0);
        self.next += 1e9 / per_second;
    }

    /// Whether nothing more will be due.
    pub fn is_over(&self, now: u64) -> bool {
        self.left == 0
            || if self.rate.is_some() {
                self.next >= self.end as f64
            } else {
                now >= self.end
            }
    }

    /// Sends that were due and never made.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Ends the schedule now.
    pub fn stop(&mut self) {
        self.left = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_constant_rate_is_due_evenly_and_remembers_the_intended_time() {
        let mut pace = Pace::new(Some("1000".parse().unwrap()), 0, Duration::from_secs(1), None);
        assert_eq!(pace.take(0), Due::Now(0));
        assert_eq!(pace.take(0), Due::At(1_000_000));
        // Half a second late: what was due is still sent, with the time it was meant for.
        assert_eq!(pace.take(SECOND / 2), Due::Now(1_000_000));
        let mut sent = 2;
        while let Due::Now(at) = pace.take(SECOND) {
            assert!(at < SECOND);
            sent += 1;
        }
        assert_eq!((sent, pace.skipped()), (1000, 0));
        assert!(pace.is_over(SECOND));
    }

    #[test]
    fn what_found_no_worker_for_too_long_is_skipped_and_counted() {
        let mut pace = Pace::new(Some("1000".parse().unwrap()), 0, Duration::from_secs(10), None);
        let now = LAG_NS_MAX + SECOND;
        assert!(matches!(pace.take(now), Due::Now(at) if at >= SECOND));
        assert_eq!(pace.skipped(), 1000);
    }

    #[test]
    fn a_ramp_sends_the_mean_of_its_ends() {
        let mut pace = Pace::new(
            Some("1000..3000".parse().unwrap()),
            0,
            Duration::from_secs(2),
            None,
        );
        let mut sent = 0_u64;
        for ms in 0..2000 {
            while let Due::Now(_) = pace.take(ms * 1_000_000) {
                sent += 1;
            }
        }
        assert!((3950..=4050).contains(&sent), "{sent}");
    }

    #[test]
    fn a_closed_loop_is_always_due_until_its_end_or_its_count() {
        let mut pace = Pace::new(None, 0, Duration::from_secs(1), Some(2));
        assert_eq!(pace.take(5), Due::Now(5));
        assert_eq!(pace.take(6), Due::Now(6));
        assert_eq!(pace.take(7), Due::Over);
        assert_eq!(
            Pace::new(None, 0, Duration::from_secs(1), None).take(SECOND),
            Due::Over
        );
    }
}
