//! What may change while the host runs.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Settings that any thread may change; shard threads read them once a turn. The figures they start with are those of
/// [`HostConfig`](crate::HostConfig).
#[derive(Debug)]
pub struct Knobs {
    threads: u64,
    shed_after_ms: AtomicU32,
    /// Of one thread; 0: what its node was opened with.
    backlog_bytes_each: AtomicU64,
}

impl Knobs {
    /// Nothing is shed, and the backlog's bound is the nodes' own.
    pub fn new(threads: usize) -> Knobs {
        Knobs {
            threads: threads.max(1) as u64,
            shed_after_ms: AtomicU32::new(0),
            backlog_bytes_each: AtomicU64::new(0),
        }
    }

    /// A request that waited longer than this from its first byte to its turn is answered `Shed`, in ms. 0: never.
    pub fn set_shed_after_ms(&self, ms: u32) {
        self.shed_after_ms.store(ms, Ordering::Relaxed);
    }

    /// Bytes of log that may be owed to the store, over all threads; beyond it new orders are refused.
    pub fn set_backlog_bytes_max(&self, bytes: u64) {
        let each = (bytes / self.threads).max(1);
        self.backlog_bytes_each.store(each, Ordering::Relaxed);
    }

    /// What was set, in nanoseconds.
    pub fn shed_after_ns(&self) -> u64 {
        u64::from(self.shed_after_ms.load(Ordering::Relaxed)) * 1_000_000
    }

    pub(crate) fn backlog_bytes_each(&self) -> Option<u64> {
        let bytes = self.backlog_bytes_each.load(Ordering::Relaxed);
        (bytes != 0).then_some(bytes)
    }
}
