//! Leaves a server alone that does not answer.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Opens after failures in a row; then one question at a time tries, until one is answered. Times are milliseconds of the caller's clock.
#[derive(Debug)]
pub(crate) struct Breaker {
    failures_max: u32,
    open_ms: u64,
    failures: AtomicU32,
    closed_from: AtomicU64,
}

impl Breaker {
    pub fn new(failures_max: u32, open: Duration) -> Breaker {
        Breaker {
            failures_max,
            open_ms: (open.as_millis() as u64).max(1),
            failures: AtomicU32::new(0),
            closed_from: AtomicU64::new(0),
        }
    }

    /// Whether to ask at `now_ms`.
    pub fn admits(&self, now_ms: u64) -> bool {
        if self.failures.load(Ordering::Relaxed) < self.failures_max {
            return true;
        }
        let closed_from = self.closed_from.load(Ordering::Relaxed);
        // Who moves the moment on is the one that tries.
        now_ms >= closed_from
            && self
                .closed_from
                .compare_exchange(
                    closed_from,
                    now_ms + self.open_ms,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
    }

    pub fn answered(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    pub fn failed(&self, now_ms: u64) {
        let before = self.failures.load(Ordering::Relaxed);
        self.failures.store(before.saturating_add(1), Ordering::Relaxed);
        if before.saturating_add(1) >= self.failures_max {
            self.closed_from.store(now_ms + self.open_ms, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_tries_once_a_while_and_closes_at_an_answer() {
        let breaker = Breaker::new(3, Duration::from_millis(100));
        for _ in 0..2 {
            breaker.failed(0);
            breaker.failed(0);
            assert!(breaker.admits(0));
            breaker.answered();
        }
        for _ in 0..3 {
            breaker.failed(10);
        }
        assert!(!breaker.admits(10) && !breaker.admits(109));
        assert!(breaker.admits(110), "one tries");
        assert!(!breaker.admits(110), "and no other");
        assert!(breaker.admits(210), "the one that tried may have been dropped");
        breaker.answered();
        assert!(breaker.admits(211) && breaker.admits(211));
    }
}
