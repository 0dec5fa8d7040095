//! The configuration in force: replaced whole, and picked up by net threads at the start of a turn.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::config::Config;

/// Shared by all threads.
pub struct Live {
    generation: AtomicU64,
    current: RwLock<Arc<Config>>,
}

impl Live {
    /// The configuration of the start.
    pub fn new(config: Arc<Config>) -> Live {
        Live {
            generation: AtomicU64::new(1),
            current: RwLock::new(config),
        }
    }

    /// The number of the one in force: one load, to be compared at a turn's start.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The one in force. Takes a lock: net threads call it when the number changed, and not otherwise.
    pub fn current(&self) -> Arc<Config> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another one in force.
    pub(crate) fn replace(&self, config: Arc<Config>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        self.generation.fetch_add(1, Ordering::Release);
    }
}
