//! The thread that follows the log into the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub use tidegate_follow::{Fed, Source};
use tidegate_follow::{Follower, Store};

/// How long the thread rests when everything durable is in the store.
const REST: Duration = Duration::from_millis(20);
/// How long it rests after a turn that brought many records: a commit syncs the disk that the shards' logs are on, and pages that several orders
/// change are written once.
const REST_BUSY: Duration = Duration::from_millis(100);
/// Records of a turn from which the shop counts as busy.
const BUSY_RECORDS: u64 = 64;
/// The longest rest after the store has failed again and again.
const BACK_OFF_MAX: Duration = Duration::from_secs(5);

/// What the feed has done, for metrics and the console.
#[derive(Debug)]
pub struct FeedStats {
    /// Records that the store has.
    pub applied: AtomicU64,
    /// Batches that the store has taken.
    pub batches: AtomicU64,
    /// Batches that the store has not taken, each try counted.
    pub failures: AtomicU64,
    /// Shards that were stopped because store and log have parted.
    pub stopped_shards: AtomicU64,
    /// Unix milliseconds at which the store last had everything that was durable; before it first had, when the process began.
    caught_up_ms: AtomicU64,
}

impl FeedStats {
    /// Nothing done yet.
    #[must_use]
    pub fn new() -> FeedStats {
        FeedStats {
            applied: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            stopped_shards: AtomicU64::new(0),
            caught_up_ms: AtomicU64::new(now_ms()),
        }
    }

    /// How long ago the store last had everything that was durable.
    #[must_use]
    pub fn behind(&self) -> Duration {
        let caught_up_ms = self.caught_up_ms.load(Ordering::Relaxed);
        Duration::from_millis(now_ms().saturating_sub(caught_up_ms))
    }
}

impl Default for FeedStats {
    fn default() -> FeedStats {
        FeedStats::new()
    }
}

/// The running thread.
#[derive(Debug)]
pub struct Feed {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Starts the thread, called `feed`, which gives way to those that serve orders.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub fn start<S>(
        source: impl Source + Send + 'static,
        store: S,
        stats: Arc<FeedStats>,
    ) -> std::io::Result<Feed>
    where
        S: Store + Send + 'static,
        S::Error: std::fmt::Display,
    {
        let stop = Arc::new(AtomicBool::new(false));
        let mut worker = Worker {
            source,
            store,
            follower: Follower::new(),
            stop: Arc::clone(&stop),
            stats,
        };
        let thread = std::thread::Builder::new()
            .name("feed".into())
            .spawn(move || worker.run())?;
        Ok(Feed {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Feed {
    /// The batch under way is finished or given up; what the store does not have comes again at the next start.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic has been reported by the thread's own message.
            _ = thread.join();
        }
    }
}

struct Worker<F, S> {
    source: F,
    store: S,
    follower: Follower,
    stop: Arc<AtomicBool>,
    stats: Arc<FeedStats>,
}

impl<F: Source, S: Store> Worker<F, S>
where
    S::Error: std::fmt::Display,
{
    fn run(&mut self) {
        let mut rest = REST;
        while !self.stop.load(Ordering::Acquire) {
            let before = self.stats.applied.load(Ordering::Relaxed);
            match self.turn() {
                Ok(Fed::More) => rest = REST,
                Ok(Fed::Full) => std::thread::park_timeout(REST),
                Ok(Fed::All) => {
                    rest = REST;
                    self.stats.caught_up_ms.store(now_ms(), Ordering::Relaxed);
                    let applied = self.stats.applied.load(Ordering::Relaxed);
                    let busy = applied - before >= BUSY_RECORDS;
                    std::thread::park_timeout(if busy { REST_BUSY } else { REST });
                }
                Err(line) => {
                    self.stats.failures.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(retry_ms = rest.as_millis() as u64, "the feed: {line}");
                    std::thread::park_timeout(rest);
                    rest = (rest * 2).min(BACK_OFF_MAX);
                }
            }
        }
    }

    /// One turn of the follower. A shard that the store cannot follow is stopped, and the others go on; anything else is tried again.
    fn turn(&mut self) -> Result<Fed, String> {
        let (stop, stats) = (&self.stop, &self.stats);
        let turn = self.follower.turn(&mut self.source, &mut self.store, |records| {
            stats.batches.fetch_add(1, Ordering::Relaxed);
            stats.applied.fetch_add(records, Ordering::Relaxed);
            !stop.load(Ordering::Acquire)
        });
        let Some(refused) = turn.refused else {
            return turn.log;
        };
        if let Err(line) = turn.log {
            tracing::error!("the feed: {line}");
        }
        let Some(shard) = refused.shard() else {
            return Err(refused.to_string());
        };
        tracing::error!(shard, "{refused}; the shard is stopped, its orders are refused");
        self.stats.stopped_shards.fetch_add(1, Ordering::Relaxed);
        Ok(Fed::More)
    }
}

fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
