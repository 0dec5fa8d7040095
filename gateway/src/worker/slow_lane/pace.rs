//! A bucket of one net thread: no atomic, no table, two words.

/// The generic cell rate algorithm as in [`crate::gcra`], for one key that one thread has to itself.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Nanoseconds that one take costs.
    interval_ns: u64,
    /// Takes at once from a full bucket, as nanoseconds.
    capacity_ns: u64,
    /// When the bucket is full again.
    full_at_ns: u64,
}

impl Pace {
    /// A full bucket of `burst` takes that refills by `rate` a second (both at least 1).
    pub fn new(rate: u64, burst: u64) -> Pace {
        let mut pace = Pace {
            interval_ns: 0,
            capacity_ns: 0,
            full_at_ns: 0,
        };
        pace.set(rate, burst);
        pace
    }

    /// Another rate. What was used stays used.
    pub fn set(&mut self, rate: u64, burst: u64) {
        self.interval_ns = 1_000_000_000 / rate.max(1);
        self.capacity_ns = self.interval_ns * burst.max(1);
    }

    /// Whether a take would be admitted.
    pub fn has_room(&self, now_ns: u64) -> bool {
        self.ahead_ns(now_ns) + self.interval_ns <= self.capacity_ns
    }

    /// Takes `count` whether they are there or not: the bucket makes up for them before there is
    /// room again, for a second at most.
    pub fn owe(&mut self, now_ns: u64, count: u64) {
        let most_ns = self.capacity_ns + 1_000_000_000;
        let ahead_ns = self
            .ahead_ns(now_ns)
            .saturating_add(self.interval_ns.saturating_mul(count));
        self.full_at_ns = now_ns + ahead_ns.min(most_ns);
    }

    /// Takes one in any case; when it would have been there: now, or later, but not more than `most_ns` later.
    pub fn due(&mut self, now_ns: u64, most_ns: u64) -> u64 {
        let late_ns = (self.ahead_ns(now_ns) + self.interval_ns).saturating_sub(self.capacity_ns);
        if late_ns < most_ns {
            self.full_at_ns = now_ns + self.ahead_ns(now_ns) + self.interval_ns;
        }
        now_ns + late_ns.min(most_ns)
    }

    fn ahead_ns(&self, now_ns: u64) -> u64 {
        self.full_at_ns.saturating_sub(now_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn take(pace: &mut Pace, now_ns: u64) -> bool {
        let has_room = pace.has_room(now_ns);
        if has_room {
            pace.owe(now_ns, 1);
        }
        has_room
    }

    #[test]
    fn a_burst_is_admitted_and_then_the_rate_and_no_more() {
        let mut pace = Pace::new(100, 5);
        assert_eq!((0..9).filter(|_| take(&mut pace, SECOND_NS)).count(), 5);
        let tries = (SECOND_NS..11 * SECOND_NS).step_by(100_000);
        let carried = tries.filter(|now_ns| take(&mut pace, *now_ns)).count();
        assert!((999..=1000).contains(&carried), "{carried}");
    }

    #[test]
    fn what_is_owed_is_made_up_for_within_a_second() {
        let mut pace = Pace::new(100, 5);
        pace.owe(SECOND_NS, 10);
        assert!(!pace.has_room(SECOND_NS + 59_000_000));
        assert!(take(&mut pace, SECOND_NS + 60_000_000));
        pace.owe(2 * SECOND_NS, u64::MAX);
        assert!(!pace.has_room(3 * SECOND_NS - 1));
        assert!(pace.has_room(3 * SECOND_NS + 10_000_000));
    }

    #[test]
    fn what_comes_too_fast_is_due_one_interval_after_another_and_never_later_than_the_most() {
        let mut pace = Pace::new(100, 2);
        let due: Vec<u64> = (0..6)
            .map(|_| (pace.due(SECOND_NS, 35_000_000) - SECOND_NS) / 1_000_000)
            .collect();
        assert_eq!(due, [0, 0, 10, 20, 30, 35]);
        // Those that were told early cost nothing later.
        assert_eq!(pace.due(2 * SECOND_NS, 35_000_000), 2 * SECOND_NS);
    }
}
