//! When the bytes of the input arrived, for as long as they lie unread.

use crate::Nanos;
use std::collections::VecDeque;

/// Times that are kept apart. Beyond it later bytes count as arrived with the last: sooner than they did.
const MARKS_MAX: usize = 64;

/// From which byte of the connection's input on bytes arrived at which time, oldest first. Empty as long as everything is read
/// as it comes.
#[derive(Debug, Default)]
pub(super) struct Arrivals(VecDeque<(u64, Nanos)>);

impl Arrivals {
    /// Bytes from `end` on arrive at `now`, while those from `read` on, which came at `before`, are not read yet.
    pub fn note(&mut self, read: u64, before: Nanos, end: u64, now: Nanos) {
        // Marks of what was read in the meantime go, whether a head was asked for among it or not.
        self.of(read);
        if self.0.is_empty() {
            self.0.push_back((read, before));
        }
        let is_new = self.0.back().is_none_or(|(_, last)| *last != now);
        if is_new && self.0.len() < MARKS_MAX {
            self.0.push_back((end, now));
        }
    }

    /// When this byte arrived, if it is one that had to wait. Asked in the order of the bytes.
    pub fn of(&mut self, byte: u64) -> Option<Nanos> {
        while self.0.get(1).is_some_and(|(from, _)| *from <= byte) {
            self.0.pop_front();
        }
        self.0.front().map(|(_, at)| *at)
    }

    /// Everything is read.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_has_the_time_of_the_piece_it_came_in() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.of(5), None);
        arrivals.note(10, Nanos(1), 20, Nanos(2));
        arrivals.note(10, Nanos(2), 30, Nanos(2));
        arrivals.note(10, Nanos(2), 40, Nanos(3));
        assert_eq!(arrivals.of(10), Some(Nanos(1)));
        assert_eq!(arrivals.of(19), Some(Nanos(1)));
        assert_eq!(arrivals.of(35), Some(Nanos(2)));
        assert_eq!(arrivals.of(40), Some(Nanos(3)));
        arrivals.clear();
        assert_eq!(arrivals.of(41), None);
        for n in 1..1000 {
            arrivals.note(0, Nanos(0), n, Nanos(n));
        }
        assert_eq!(arrivals.of(999), Some(Nanos(MARKS_MAX as u64 - 1)));
    }

    #[test]
    fn what_was_read_without_a_head_among_it_does_not_make_later_bytes_old() {
        let mut arrivals = Arrivals::default();
        for n in 1..1000 {
            arrivals.note(n * 10, Nanos(n), n * 10 + 5, Nanos(n + 1));
        }
        assert_eq!(arrivals.of(999 * 10 + 5), Some(Nanos(1000)));
    }
}
