//! What host, ports and shard threads share.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tidegate_link::Bell;
use tidegate_shard_core::ShardId;

use crate::config::OnFailure;
use crate::host::Failure;
use crate::knobs::Knobs;
use crate::limits;
use crate::stats::ThreadStats;

const SERVING: u8 = 0;
const STOPPING: u8 = 1;
const FAILED: u8 = 2;

/// Read by everyone, changed at stop and failure only.
pub(crate) struct Shared {
    state: AtomicU8,
    failure: Mutex<Option<Failure>>,
    /// Shard -> shard thread.
    threads: Arc<[u16]>,
    pub(crate) credits: usize,
    pub(crate) knobs: Arc<Knobs>,
    pub(crate) stats: Vec<Arc<ThreadStats>>,
    /// Shard threads that have nothing left to do, once the host stops.
    quiet: Vec<AtomicBool>,
    stop_by: OnceLock<Instant>,
    on_failure: Option<OnFailure>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("state", &self.state)
            .field("credits", &self.credits)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(
        threads: Arc<[u16]>,
        count: usize,
        credits: usize,
        on_failure: Option<OnFailure>,
    ) -> Shared {
        Shared {
            state: AtomicU8::new(SERVING),
            failure: Mutex::new(None),
            threads,
            credits,
            knobs: Arc::new(Knobs::new(count)),
            stats: (0..count).map(|_| Arc::default()).collect(),
            quiet: (0..count).map(|_| AtomicBool::new(false)).collect(),
            stop_by: OnceLock::new(),
            on_failure,
        }
    }

    #[inline]
    pub(crate) fn thread_of(&self, shard: ShardId) -> usize {
        // A shard that does not exist goes to a thread that says so.
        self.threads
            .get(usize::from(shard.0))
            .map_or(0, |thread| usize::from(*thread))
    }

    pub(crate) fn shards(&self) -> u16 {
        self.threads.len() as u16
    }

    #[inline]
    pub(crate) fn is_serving(&self) -> bool {
        self.state.load(Ordering::Relaxed) == SERVING
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.state.load(Ordering::Acquire) == FAILED
    }

    /// Nothing new is accepted from now on.
    pub(crate) fn stop(&self, bells: &[Arc<Bell>]) {
        _ = self
            .stop_by
            .set(Instant::now() + Duration::from_millis(limits::STOP_MS_MAX));
        _ = self
            .state
            .compare_exchange(SERVING, STOPPING, Ordering::AcqRel, Ordering::Acquire);
        bells.iter().for_each(|bell| _ = bell.ring_urgent());
    }

    /// The time to answer what is under way is over.
    pub(crate) fn is_past_stop(&self) -> bool {
        self.stop_by.get().is_some_and(|by| Instant::now() >= *by)
    }

    /// A shard thread says whether it has work left; true when none has, so that all may end.
    pub(crate) fn all_quiet(&self, thread: usize, quiet: bool) -> bool {
        self.quiet[thread].store(quiet, Ordering::Release);
        quiet && self.quiet.iter().all(|quiet| quiet.load(Ordering::Acquire))
    }

    /// The first failure counts, prints its line and is told to the gateway.
    pub(crate) fn fail(&self, failure: Failure) {
        if self.state.swap(FAILED, Ordering::AcqRel) == FAILED {
            return;
        }
        eprintln!("tidegate: {}", failure.text);
        if let Ok(mut first) = self.failure.lock() {
            *first = Some(failure.clone());
        }
        if let Some(tell) = &self.on_failure {
            tell(&failure);
        }
    }

    pub(crate) fn failure(&self) -> Option<Failure> {
        if !self.has_failed() {
            return None;
        }
        self.failure.lock().ok()?.clone()
    }
}
