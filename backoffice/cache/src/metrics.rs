//! What the cache did, as plain counters.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        // Nobody orders anything by it.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How often, since the start.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of one cache.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Answered within this process.
    pub near_hits: Counter,
    /// Answered by Redis.
    pub far_hits: Counter,
    /// The loader was asked.
    pub loads: Counter,
    /// The loader said that there is nothing.
    pub absences: Counter,
    /// Loads without Redis: it could not be asked, or an invalidator was silent.
    pub fallbacks: Counter,
    /// Loads because another process's took too long.
    pub impatient: Counter,
    /// Loads whose value Redis did not take, because it was invalidated meanwhile or the lock ran out.
    pub overtaken: Counter,
    /// Values of Redis that were another key's or cannot be read.
    pub unreadable: Counter,
    /// Keys that were invalidated, in Redis as well.
    pub invalidations: Counter,
    /// Invalidations that Redis did not take.
    pub invalidations_failed: Counter,
    /// All of Redis's values were made void.
    pub voids: Counter,
    /// Questions to Redis that failed.
    pub redis_failures: Counter,
}
