//! Spreads retries, so that the start of a sale is not a second stampede.

/// A small generator (xorshift64*, Vigna 2016): cheap, and good enough to spread a crowd.
pub struct Jitter(u64);

impl Jitter {
    /// Seeded once a thread.
    pub fn new(seed: u64) -> Jitter {
        Jitter(seed | 1)
    }

    /// A random number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// `seconds` (at least 1) and up to a quarter more, at least up to two seconds more.
    pub fn spread(&mut self, seconds: u64) -> u64 {
        let seconds = seconds.max(1);
        seconds + self.number() % ((seconds / 4).max(2) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_is_never_early_and_not_all_at_once() {
        let mut jitter = Jitter::new(7);
        let waits: std::collections::BTreeSet<u64> = (0..100).map(|_| jitter.spread(10)).collect();
        assert!(waits.iter().all(|w| (10..=12).contains(w)) && waits.len() > 1);
        assert!(jitter.spread(0) >= 1);
    }
}
