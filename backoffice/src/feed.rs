//! The thread that follows the log into the store.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tidegate_follow::{Follower, Mark, NoBus, Record, Store, StoreError, Stuck};

/// How long the thread rests when everything durable is in the store.
const REST: Duration = Duration::from_millis(20);
/// How long it rests after a turn that brought many records: a commit syncs the disk that the shards' logs are on, and pages that several orders
/// change are written once.
const REST_BUSY: Duration = Duration::from_millis(100);
/// Records of a turn from which the shop counts as busy.
const BUSY_RECORDS: u64 = 64;
/// The longest rest after the store has failed again and again.
const BACK_OFF_MAX: Duration = Duration::from_secs(5);

/// How far a read came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// There may be more: read again.
    More,
    /// Everything that is durable was handed out.
    All,
    /// Too much was handed out without a mark: those of this turn are waited for.
    Full,
}

/// The log's end of the feed.
pub trait Source: Send {
    /// Hands out durable records after the last that was taken, each shard's in the order of its ops, until there are no more or `take`
    /// says no. What it said no to comes again.
    ///
    /// # Errors
    /// A line: the log cannot be read, or a shard cannot be followed any more (it was stopped).
    fn read(&mut self, take: &mut dyn FnMut(&dyn Fn() -> Record) -> bool) -> Result<Fed, String>;

    /// The store has the mark's shard up to its op.
    ///
    /// # Errors
    /// A line: the mark is not of what was handed out; its shard was stopped.
    fn applied(&mut self, mark: Mark) -> Result<(), String>;

    /// The store cannot follow this shard: it takes no more orders.
    fn stop_shard(&mut self, shard: u16);
}

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
    pub fn start<S>(source: impl Source + 'static, store: S, stats: Arc<FeedStats>) -> std::io::Result<Feed>
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

    /// Reads on, a segment at most, and brings what comes into the store a batch at a time. The log is told at the end: what it gave is read
    /// once.
    fn turn(&mut self) -> Result<Fed, String> {
        let Worker {
            source,
            store,
            follower,
            stop,
            stats,
        } = self;
        let (mut marks, mut stuck) = (BTreeMap::new(), None);
        let read = source.read(&mut |record| {
            if follower.take(record) {
                return true;
            }
            if stop.load(Ordering::Acquire) {
                return false;
            }
            match bring_on(follower, store, stats, &mut marks) {
                Ok(()) => follower.take(record),
                Err(why) => {
                    stuck = Some(why);
                    false
                }
            }
        });
        if stuck.is_none() {
            stuck = bring_on(follower, store, stats, &mut marks).err();
        }
        // A shard that has to be stopped takes nothing from the others.
        let mut told = read;
        for mark in marks.into_values() {
            if let Err(line) = source.applied(mark) {
                told = Err(line);
            }
        }
        let Some(stuck) = stuck else { return told };
        if let Err(line) = told {
            tracing::error!("the feed: {line}");
        }
        self.stuck(stuck)
    }

    /// A shard that the store cannot follow is stopped, and the others go on; anything else is tried again.
    fn stuck(&mut self, stuck: StuckAt<S>) -> Result<Fed, String> {
        let Stuck::Store(error) = stuck else {
            return Ok(Fed::More);
        };
        let line = error.to_string();
        let shard = match error {
            StoreError::Parted(tidegate_follow::Parted::Gap { have, .. })
            | StoreError::Parted(tidegate_follow::Parted::OtherContent { have, .. }) => have.shard,
            StoreError::Unreadable { mark, .. } => mark.shard,
            StoreError::Failed(_) => return Err(line),
        };
        tracing::error!(shard, "{line}; the shard is stopped, its orders are refused");
        self.stats.stopped_shards.fetch_add(1, Ordering::Relaxed);
        self.source.stop_shard(shard);
        self.follower.drop_shard(shard);
        Ok(Fed::More)
    }
}

type StuckAt<S> = Stuck<Infallible, <S as Store>::Error>;

/// Brings what is under way into the store, and notes how far each shard is then.
fn bring_on<S: Store>(
    follower: &mut Follower,
    store: &mut S,
    stats: &FeedStats,
    marks: &mut BTreeMap<u16, Mark>,
) -> Result<(), StuckAt<S>> {
    let count = follower.len() as u64;
    if count == 0 {
        return Ok(());
    }
    for mark in follower.bring_on(&mut NoBus, store)? {
        marks.insert(mark.shard, mark);
    }
    stats.batches.fetch_add(1, Ordering::Relaxed);
    stats.applied.fetch_add(count, Ordering::Relaxed);
    Ok(())
}

fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
