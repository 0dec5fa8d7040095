//! A limit as the table calculates with it, in one word.

use super::{BURST_MAX, RATE_MIN, SECOND_NS, UNIT_NS};

/// Bits of the packed burst; the interval has those above.
const BURST_BITS: u32 = 20;
const BURST_MASK: u64 = (1 << BURST_BITS) - 1;

// The word has room for the largest burst and the longest interval.
const _: () = assert!((BURST_MAX as u64) <= BURST_MASK);
const _: () = assert!((SECOND_NS / UNIT_NS) as f64 / RATE_MIN < (1_u64 << (u64::BITS - BURST_BITS)) as f64);

/// Interval and burst of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// Units between two takes in the long run, at least 1.
    pub(super) interval: u64,
    /// Takes at once, at least 1.
    pub(super) burst: u32,
}

impl Pace {
    /// The pace of figures that [`Limit::bucket`](super::Limit::bucket) admits.
    pub(super) fn of(rate: f64, burst: u32) -> Pace {
        Pace {
            interval: ((SECOND_NS / UNIT_NS) as f64 / rate).round().max(1.0) as u64,
            burst,
        }
    }

    /// `burst` intervals, in units.
    pub(super) fn capacity(self) -> u64 {
        self.interval * u64::from(self.burst)
    }

    /// One word; never 0.
    pub(super) fn pack(self) -> u64 {
        (self.interval << BURST_BITS) | u64::from(self.burst)
    }

    /// What was packed; 0 is no pace.
    pub(super) fn unpack(word: u64) -> Option<Pace> {
        (word != 0).then_some(Pace {
            interval: word >> BURST_BITS,
            burst: (word & BURST_MASK) as u32,
        })
    }

    /// Seconds in which an empty bucket fills, at least 1. The interval was rounded to whole units, so half a unit a take is not counted: 3 at
    /// 3 a second is a window of one second.
    pub(super) fn window_s(self) -> u64 {
        let burst = u64::from(self.burst);
        let rounding_ns = burst * UNIT_NS.div_ceil(2);
        (self.capacity() * UNIT_NS - rounding_ns)
            .div_ceil(SECOND_NS)
            .max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_that_is_allowed_goes_through_one_word_unchanged() {
        for (rate, burst) in [
            (RATE_MIN, 1),
            (RATE_MIN, 180),
            (super::super::RATE_MAX, BURST_MAX),
            (10.0, 20),
        ] {
            let pace = Pace::of(rate, burst);
            assert_eq!(Pace::unpack(pace.pack()), Some(pace), "{rate} {burst}");
        }
        assert_eq!(Pace::unpack(0), None);
    }

    #[test]
    fn the_window_is_the_time_in_which_the_bucket_fills() {
        for (rate, burst, window) in [
            (10.0, 20, 2),
            (3.0, 3, 1),
            (3.0, 10, 4),
            (100_000.0, 1, 1),
            (0.5, 1, 2),
        ] {
            assert_eq!(Pace::of(rate, burst).window_s(), window, "{rate} {burst}");
        }
    }
}
