//! Counters and histograms with one writing thread and any number of readers.
//!
//! The writer does a relaxed load and a relaxed store, no locked instruction: about the cost of a plain
//! addition. A reader sees each number whole, but not several of one instant. A second writer would lose
//! counts, nothing worse.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::limits::{HISTOGRAM_LINEAR_BITS, HISTOGRAM_VALUE_BITS};

/// A number that one thread changes.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Zero.
    pub const fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }

    /// Writer: adds `n`, wrapping.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Writer: makes it `value` (a gauge).
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Any thread.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

const LINEAR: u64 = 1 << HISTOGRAM_LINEAR_BITS;
const BUCKETS: usize = ((HISTOGRAM_VALUE_BITS - HISTOGRAM_LINEAR_BITS + 1) as usize) << HISTOGRAM_LINEAR_BITS;

/// Where values fall, in log-linear buckets: exact below 16, within 1/16 above.
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
    sum: Counter,
    max: Counter,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram::new()
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let snapshot = self.snapshot();
        write!(
            f,
            "Histogram(count {}, p50 {}, p99 {}, max {})",
            snapshot.count(),
            snapshot.quantile(0.5),
            snapshot.quantile(0.99),
            snapshot.max
        )
    }
}

/// The bucket of a value: the position of its highest bit and the four bits below it.
#[inline]
fn bucket_of(value: u64) -> usize {
    let value = value.min((1 << HISTOGRAM_VALUE_BITS) - 1);
    if value < LINEAR {
        return value as usize;
    }
    let shift = 63 - value.leading_zeros() - HISTOGRAM_LINEAR_BITS;
    ((u64::from(shift) << HISTOGRAM_LINEAR_BITS) + (value >> shift)) as usize
}

/// The largest value that falls into a bucket.
fn bucket_top(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * LINEAR {
        return bucket;
    }
    let shift = (bucket >> HISTOGRAM_LINEAR_BITS) - 1;
    let mantissa = (bucket & (LINEAR - 1)) + LINEAR;
    ((mantissa + 1) << shift) - 1
}

impl Histogram {
    /// Empty.
    pub fn new() -> Histogram {
        Histogram {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            sum: Counter::new(),
            max: Counter::new(),
        }
    }

    /// Writer: one value.
    #[inline]
    pub fn record(&self, value: u64) {
        self.record_n(value, 1);
    }

    /// Writer: the same value `n` times, as for all orders of one batch.
    #[inline]
    pub fn record_n(&self, value: u64, n: u64) {
        let bucket = &self.buckets[bucket_of(value)];
        bucket.store(bucket.load(Relaxed) + n, Relaxed);
        self.sum.add(value.wrapping_mul(n));
        if value > self.max.get() {
            self.max.set(value);
        }
    }

    /// Any thread: a copy to compute with.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            buckets: self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect(),
            sum: self.sum.get(),
            max: self.max.get(),
        }
    }
}

/// A copy of a [`Histogram`].
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    buckets: Vec<u64>,
    /// Sum of all values.
    pub sum: u64,
    /// The largest value.
    pub max: u64,
}

impl Snapshot {
    /// How many values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The value that a share `q` (0 to 1) of all values does not exceed, within 1/16; 0 when empty.
    pub fn quantile(&self, q: f64) -> u64 {
        let rank = ((self.count() as f64) * q.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return bucket_top(bucket).min(self.max);
            }
        }
        0
    }

    /// The mean; 0 when empty.
    pub fn mean(&self) -> f64 {
        let count = self.count();
        if count == 0 {
            0.0
        } else {
            self.sum as f64 / count as f64
        }
    }

    /// Prometheus' shape: for each upper bound (ascending, inclusive) how many values do not exceed it. A
    /// bucket counts below a bound only if it lies there wholly, so a count is never too high. The caller
    /// adds `+Inf` with [`count`](Self::count).
    pub fn cumulative(&self, bounds: &[u64]) -> Vec<u64> {
        let mut buckets = self.buckets.iter().enumerate().peekable();
        let mut seen = 0;
        bounds
            .iter()
            .map(|bound| {
                while let Some((_, count)) = buckets.next_if(|(bucket, _)| bucket_top(*bucket) <= *bound) {
                    seen += count;
                }
                seen
            })
            .collect()
    }

    /// Adds another thread's histogram.
    pub fn merge(&mut self, other: &Snapshot) {
        self.buckets.resize(BUCKETS, 0);
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.sum = self.sum.wrapping_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// What was added since an earlier snapshot of the same histogram; `max` stays the overall one.
    pub fn since(&self, earlier: &Snapshot) -> Snapshot {
        let before = earlier.buckets.iter().chain(std::iter::repeat(&0));
        Snapshot {
            buckets: self
                .buckets
                .iter()
                .zip(before)
                .map(|(now, before)| now - before)
                .collect(),
            sum: self.sum.wrapping_sub(earlier.sum),
            max: self.max,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_that_starts_after_the_one_before() {
        for bucket in 1..BUCKETS {
            assert!(bucket_top(bucket) > bucket_top(bucket - 1));
            assert_eq!(bucket_of(bucket_top(bucket)), bucket, "top of {bucket}");
            assert_eq!(
                bucket_of(bucket_top(bucket - 1) + 1),
                bucket,
                "bottom of {bucket}"
            );
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_within_a_sixteenth() {
        let histogram = Histogram::new();
        for value in 1..=100_000u64 {
            histogram.record(value);
        }
        let snapshot = histogram.snapshot();
        for (q, truth) in [
            (0.5, 50_000.0),
            (0.9, 90_000.0),
            (0.99, 99_000.0),
            (1.0, 100_000.0),
        ] {
            let got = snapshot.quantile(q) as f64;
            assert!((got - truth).abs() <= truth / 16.0, "p{q}: {got}");
        }
        assert_eq!(snapshot.count(), 100_000);
        assert_eq!(snapshot.mean(), 50_000.5);
    }

    #[test]
    fn cumulative_buckets_never_count_too_many() {
        let histogram = Histogram::new();
        histogram.record_n(100, 5);
        histogram.record(1000);
        histogram.record(5000);
        let counts = histogram.snapshot().cumulative(&[99, 127, 1023, 10_000]);
        assert_eq!(counts, [0, 5, 6, 7]);
    }

    #[test]
    fn what_was_added_since_can_be_told_apart() {
        let histogram = Histogram::new();
        histogram.record(10);
        let before = histogram.snapshot();
        histogram.record_n(20, 3);
        let added = histogram.snapshot().since(&before);
        assert_eq!((added.count(), added.sum, added.quantile(0.5)), (3, 60, 20));
    }
}
