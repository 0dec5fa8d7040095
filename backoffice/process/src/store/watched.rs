//! The topic as the store's thread reads it, with somebody who looks over its shoulder.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tidegate_follow::{Fed, Mark, Record, Source};
use tidegate_kafka::KafkaSource;

/// What is seen.
#[derive(Debug, Default)]
pub(super) struct Watch {
    stopped: Mutex<Vec<u16>>,
    ended: AtomicBool,
}

impl Watch {
    /// Shards that cannot be followed any more.
    pub(super) fn stopped(&self) -> Vec<u16> {
        self.stopped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The thread is gone.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// The source.
pub(super) struct Watched {
    source: KafkaSource,
    watch: Arc<Watch>,
}

impl Watched {
    pub(super) fn new(source: KafkaSource, watch: Arc<Watch>) -> Watched {
        Watched { source, watch }
    }

    fn note(&self) {
        let mut stopped = self.watch.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        stopped.clear();
        stopped.extend(self.source.stopped());
    }
}

impl Source for Watched {
    fn read(&mut self, take: &mut dyn FnMut(&dyn Fn() -> Record) -> bool) -> Result<Fed, String> {
        let read = self.source.read(take);
        self.note();
        read
    }

    fn applied(&mut self, mark: Mark) -> Result<(), String> {
        let told = self.source.applied(mark);
        if told.is_err() {
            self.note();
        }
        told
    }

    fn stop_shard(&mut self, shard: u16) {
        self.source.stop_shard(shard);
        self.note();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.ended.store(true, Ordering::Release);
    }
}
