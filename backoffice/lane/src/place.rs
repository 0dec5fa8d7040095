//! The bound on exchanges under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A place among the exchanges under way. It is free again when both sides are done with the exchange: one that the
/// client gave up still counts while the service works on it.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Place {
    /// Takes a place, if fewer than `max` are taken.
    pub(crate) fn take(taken: &Arc<AtomicUsize>, max: usize) -> Option<Place> {
        // The count stands for itself: nothing is published through it.
        let place = |count: usize| (count < max).then_some(count + 1);
        taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, place)
            .ok()
            .map(|_| Place(Arc::clone(taken)))
    }
}

impl Place {
    /// Whether fewer than `max` are taken at this moment.
    pub(crate) fn is_free(taken: &AtomicUsize, max: usize) -> bool {
        taken.load(Ordering::Relaxed) < max
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
