//! What the slow lane may take of a net thread, so that a flood of lists leaves the thread to the orders.

use super::pace::Pace;
use crate::config::checked::SlowLane;
use crate::limits::LANE_ANSWER_UNIT_BYTES;

/// Requests a second that a net thread hands to the backoffice. What only reads and what changes something have a bucket each: who asks for a
/// thousand lists keeps nobody from paying.
#[derive(Debug)]
pub struct Budget {
    reads: Pace,
    changes: Pace,
}

impl Budget {
    /// Full buckets.
    pub fn new(config: &SlowLane) -> Budget {
        let full = |rate| Pace::new(rate, burst(rate));
        Budget {
            reads: full(config.reads_per_s),
            changes: full(config.changes_per_s),
        }
    }

    /// Takes over what another configuration says.
    pub fn adopt(&mut self, config: &SlowLane) {
        let rates = [config.reads_per_s, config.changes_per_s];
        for (pace, rate) in [&mut self.reads, &mut self.changes].into_iter().zip(rates) {
            pace.set(rate, burst(rate));
        }
    }

    /// Whether a request would be handed over.
    pub fn has_room(&self, is_safe: bool, now_ns: u64) -> bool {
        let pace = if is_safe { &self.reads } else { &self.changes };
        pace.has_room(now_ns)
    }

    /// A request is handed over.
    pub fn asked(&mut self, is_safe: bool, now_ns: u64) {
        self.of(is_safe).owe(now_ns, 1);
    }

    /// An answer is passed on: a long one costs as much as several requests.
    pub fn answered(&mut self, is_safe: bool, bytes: usize, now_ns: u64) {
        let more = bytes / LANE_ANSWER_UNIT_BYTES;
        if more > 0 {
            self.of(is_safe).owe(now_ns, more as u64);
        }
    }

    fn of(&mut self, is_safe: bool) -> &mut Pace {
        if is_safe {
            &mut self.reads
        } else {
            &mut self.changes
        }
    }
}

/// What comes at once: a twentieth of a second's, so that the flood's first moment does not fill a turn either; a page's worth always.
fn burst(rate: u64) -> u64 {
    (rate / 20).max(16)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn budget() -> Budget {
        Budget::new(&SlowLane {
            exchanges: 1,
            running: 1,
            reads_per_s: 100,
            changes_per_s: 100,
            answer: Duration::ZERO,
            slow: Duration::ZERO,
        })
    }

    /// Asks until there is no room.
    fn flood(budget: &mut Budget, is_safe: bool, now_ns: u64) -> usize {
        let room = std::iter::repeat_with(|| {
            let room = budget.has_room(is_safe, now_ns);
            if room {
                budget.asked(is_safe, now_ns);
            }
            room
        });
        room.take(1000).take_while(|room| *room).count()
    }

    #[test]
    fn a_flood_of_reads_leaves_what_changes_something_its_own_room() {
        let mut budget = budget();
        assert_eq!(flood(&mut budget, true, SECOND_NS), 16);
        assert!(!budget.has_room(true, SECOND_NS));
        assert_eq!(flood(&mut budget, false, SECOND_NS), 16);
        assert_eq!(flood(&mut budget, true, SECOND_NS + SECOND_NS / 20), 5);
    }

    #[test]
    fn a_long_answer_counts_as_several_requests() {
        let mut budget = budget();
        budget.answered(true, LANE_ANSWER_UNIT_BYTES - 1, SECOND_NS);
        budget.answered(true, 6 * LANE_ANSWER_UNIT_BYTES, SECOND_NS);
        assert_eq!(flood(&mut budget, true, SECOND_NS), 10);
    }
}
