//! What the feed to a backoffice in another process has done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::admin::metrics;

/// Counters, for metrics and the console.
#[derive(Debug)]
pub struct Stats {
    /// Records that the store has.
    pub applied: AtomicU64,
    /// Messages with records that went out.
    pub batches: AtomicU64,
    /// Connections that broke or were not made, and reads that failed.
    pub failures: AtomicU64,
    /// Shards that were stopped because store and log have parted.
    pub stopped_shards: AtomicU64,
    /// Unix milliseconds at which the store last had everything that was durable; before it first had, when the process began.
    caught_up_ms: AtomicU64,
}

impl Stats {
    /// Nothing done yet.
    pub fn new() -> Stats {
        Stats {
            applied: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            stopped_shards: AtomicU64::new(0),
            caught_up_ms: AtomicU64::new(now_ms()),
        }
    }

    /// The store has everything that is durable now.
    pub fn caught_up(&self) {
        self.caught_up_ms.store(now_ms(), Ordering::Relaxed);
    }

    /// As metrics have it.
    pub fn figures(&self) -> metrics::Feed {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        metrics::Feed {
            applied: get(&self.applied),
            batches: get(&self.batches),
            failures: get(&self.failures),
            stopped_shards: get(&self.stopped_shards),
            behind_s: now_ms().saturating_sub(get(&self.caught_up_ms)) / 1000,
        }
    }
}

/// Counts one more.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
