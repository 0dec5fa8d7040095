//! When to fetch. Pure: time is an argument.

use std::time::{Duration, Instant};

/// After the first failure; doubled at each further one.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// However long it has been failing.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// The next fetch that is due by itself, and the last one that was asked for.
#[derive(Debug)]
pub(super) struct Schedule {
    next: Instant,
    forced: Option<Instant>,
    failures: u32,
}

impl Schedule {
    /// Due at once.
    pub(super) fn new(now: Instant) -> Schedule {
        Schedule {
            next: now,
            forced: None,
            failures: 0,
        }
    }

    /// How long until a fetch is due; zero: now. `asked`: an unknown key asks for one, which is granted once a `cooldown`.
    pub(super) fn wait(&self, now: Instant, asked: bool, cooldown: Duration) -> Duration {
        let mut due = self.next;
        if asked {
            due = due.min(self.forced.map_or(now, |forced| forced + cooldown));
        }
        due.saturating_duration_since(now)
    }

    /// A fetch begins; true when it begins only because it was asked for.
    pub(super) fn begin(&mut self, now: Instant, asked: bool) -> bool {
        let forced = asked && now < self.next;
        if forced {
            self.forced = Some(now);
        }
        forced
    }

    /// It ended. A failure is tried again soon, a success when `refresh` has passed.
    pub(super) fn end(&mut self, now: Instant, good: bool, refresh: Duration) {
        if good {
            self.failures = 0;
            self.next = now + refresh;
        } else {
            let retry = RETRY_MIN * 2_u32.saturating_pow(self.failures.min(16));
            self.failures += 1;
            self.next = now + retry.min(RETRY_MAX).min(refresh);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFRESH: Duration = Duration::from_secs(600);
    const COOLDOWN: Duration = Duration::from_secs(30);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_fetches_at_once_and_then_every_refresh() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        assert_eq!(schedule.wait(start, false, COOLDOWN), Duration::ZERO);
        assert!(!schedule.begin(start, false));
        schedule.end(start, true, REFRESH);
        assert_eq!(schedule.wait(start + s(1), false, COOLDOWN), s(599));
    }

    #[test]
    fn unknown_keys_are_granted_one_fetch_a_cooldown_however_many_ask() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        schedule.begin(start, false);
        schedule.end(start, true, REFRESH);
        let mut fetches = Vec::new();
        for second in 1..=95 {
            let now = start + s(second);
            if schedule.wait(now, true, COOLDOWN) == Duration::ZERO {
                assert!(schedule.begin(now, true));
                schedule.end(now, true, REFRESH);
                fetches.push(second);
            }
        }
        assert_eq!(fetches, [1, 31, 61, 91]);
    }

    #[test]
    fn failures_are_tried_again_with_a_growing_pause_of_a_minute_at_most() {
        let mut now = Instant::now();
        let mut schedule = Schedule::new(now);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            schedule.begin(now, false);
            schedule.end(now, false, REFRESH);
            let pause = schedule.wait(now, false, COOLDOWN);
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        schedule.end(now, true, REFRESH);
        assert_eq!(schedule.wait(now, false, COOLDOWN), REFRESH);
    }
}
