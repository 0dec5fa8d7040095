//! What is counted, for Prometheus.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tidegate_backoffice::feed::FeedStats;

/// A fault's kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Kind {
    /// One of a few words.
    pub kind: &'static str,
}

/// Faults by kind.
type Faults = Family<Kind, Counter>;

/// All of it.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Of the role `feed`.
    pub feed: Arc<FeedMetrics>,
    /// Of the role `store`.
    pub store: Arc<StoreMetrics>,
    /// Of the role `api`, and of commands to the shards.
    pub api: Arc<ApiMetrics>,
}

/// Of the role `feed`.
#[derive(Debug, Default)]
pub struct FeedMetrics {
    /// Streams of entries: 0 or 1.
    pub streams: Gauge,
    /// Entries that came.
    pub received: Counter,
    /// Bytes of them.
    pub received_bytes: Counter,
    /// Entries that were published; without a bus, applied.
    pub published: Counter,
    /// Batches of them.
    pub batches: Counter,
    /// Entries that came and are not published.
    pub unpublished: Gauge,
    /// Entries that are published and not in the store.
    pub unapplied: Gauge,
    /// Shards that were stopped.
    pub stopped_shards: Counter,
    faults: Faults,
    /// When the oldest entry came that is not published.
    oldest: Mutex<Option<Instant>>,
    unpublished_s: Gauge<f64, std::sync::atomic::AtomicU64>,
    /// Since when the store lacks something that is published.
    behind: Mutex<Option<Instant>>,
    unapplied_s: Gauge<f64, std::sync::atomic::AtomicU64>,
}

impl FeedMetrics {
    /// Something went wrong.
    pub fn fault(&self, kind: &'static str) {
        self.faults.get_or_create(&Kind { kind }).inc();
    }

    /// A batch is under way whose oldest entry came then.
    pub fn began(&self, came: Instant) {
        *lock(&self.oldest) = Some(came);
    }

    /// Nothing is under way.
    pub fn caught_up(&self) {
        *lock(&self.oldest) = None;
    }

    /// So many entries are published and not in the store.
    pub fn set_unapplied(&self, entries: i64) {
        self.unapplied.set(entries);
        let mut behind = lock(&self.behind);
        match entries {
            0 => *behind = None,
            _ => _ = behind.get_or_insert_with(Instant::now),
        }
    }

    fn refresh(&self) {
        let age = |since: Option<Instant>| since.map_or(0.0, |since| since.elapsed().as_secs_f64());
        let waits = self.unpublished.get() > 0;
        self.unpublished_s.set(age(lock(&self.oldest).filter(|_| waits)));
        self.unapplied_s.set(age(*lock(&self.behind)));
    }

    fn register(&self, registry: &mut Registry) {
        let feed = registry.sub_registry_with_prefix("feed");
        feed.register("streams", "Streams of entries from edges", self.streams.clone());
        feed.register("records_received", "Entries that came", self.received.clone());
        feed.register(
            "bytes_received",
            "Bytes of entries that came",
            self.received_bytes.clone(),
        );
        feed.register(
            "records_published",
            "Entries that were published; without a bus, written into the store",
            self.published.clone(),
        );
        feed.register("batches", "Batches that were published", self.batches.clone());
        feed.register(
            "unpublished_records",
            "Entries that came and are not published",
            self.unpublished.clone(),
        );
        feed.register(
            "unpublished_seconds",
            "Age of the oldest entry that is being published",
            self.unpublished_s.clone(),
        );
        feed.register(
            "unapplied_records",
            "Entries that are published and not in the store",
            self.unapplied.clone(),
        );
        feed.register(
            "unapplied_seconds",
            "For how long the store has lacked something that is published",
            self.unapplied_s.clone(),
        );
        feed.register(
            "stopped_shards",
            "Shards that were stopped",
            self.stopped_shards.clone(),
        );
        feed.register("faults", "What went wrong, each try counted", self.faults.clone());
    }
}

/// Of the role `store`.
#[derive(Debug, Default)]
pub struct StoreMetrics {
    /// What the thread counts.
    pub stats: Arc<FeedStats>,
    /// Shards that are stopped now.
    pub stopped_shards: Gauge,
    /// Whether the thread follows.
    pub follows: Gauge,
    faults: Faults,
    applied: Gauge,
    batches: Gauge,
    failures: Gauge,
    behind_s: Gauge<f64, std::sync::atomic::AtomicU64>,
}

impl StoreMetrics {
    /// Something went wrong.
    pub fn fault(&self, kind: &'static str) {
        self.faults.get_or_create(&Kind { kind }).inc();
    }

    fn refresh(&self) {
        let read = |from: &std::sync::atomic::AtomicU64| {
            i64::try_from(from.load(Ordering::Relaxed)).unwrap_or(i64::MAX)
        };
        self.applied.set(read(&self.stats.applied));
        self.batches.set(read(&self.stats.batches));
        self.failures.set(read(&self.stats.failures));
        self.behind_s.set(self.stats.behind().as_secs_f64());
    }

    fn register(&self, registry: &mut Registry) {
        let store = registry.sub_registry_with_prefix("store");
        store.register(
            "follows",
            "1 while the store follows the topic",
            self.follows.clone(),
        );
        store.register(
            "records_applied",
            "Entries that the store has taken since this process began",
            self.applied.clone(),
        );
        store.register(
            "batches",
            "Batches that the store has taken",
            self.batches.clone(),
        );
        store.register(
            "failures",
            "Turns that failed, each try counted",
            self.failures.clone(),
        );
        store.register(
            "behind_seconds",
            "How long ago the store last had all that was published",
            self.behind_s.clone(),
        );
        store.register(
            "stopped_shards",
            "Shards whose partition cannot be followed",
            self.stopped_shards.clone(),
        );
        store.register("faults", "What went wrong, each try counted", self.faults.clone());
    }
}

/// Of the role `api`, and of commands to the shards.
#[derive(Debug, Default)]
pub struct ApiMetrics {
    /// Requests that came.
    pub exchanges: Counter,
    /// Requests under way.
    pub under_way: Gauge,
    /// Whether an edge takes commands.
    pub desk_connected: Gauge,
    /// Commands that were asked.
    pub commands: Counter,
    /// Commands that were certainly not done.
    pub commands_not_done: Counter,
    /// Commands of which nothing is known.
    pub commands_unknown: Counter,
}

impl ApiMetrics {
    fn register(&self, registry: &mut Registry) {
        let api = registry.sub_registry_with_prefix("api");
        api.register("exchanges", "Requests that came", self.exchanges.clone());
        api.register(
            "exchanges_under_way",
            "Requests under way",
            self.under_way.clone(),
        );
        api.register(
            "desk_connected",
            "1 while an edge takes commands",
            self.desk_connected.clone(),
        );
        api.register("commands", "Commands to the shards", self.commands.clone());
        api.register(
            "commands_not_done",
            "Commands that were certainly not done",
            self.commands_not_done.clone(),
        );
        api.register(
            "commands_unknown",
            "Commands whose answer did not come",
            self.commands_unknown.clone(),
        );
    }
}

impl Metrics {
    /// All of them under one roof.
    #[must_use]
    pub fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("tidegate_backoffice");
        self.feed.register(&mut registry);
        self.store.register(&mut registry);
        self.api.register(&mut registry);
        registry
    }

    /// As Prometheus reads it.
    ///
    /// # Errors
    /// It cannot be written, which a string always can.
    pub fn text(&self, registry: &Registry) -> Result<String, std::fmt::Error> {
        self.feed.refresh();
        self.store.refresh();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry)?;
        Ok(text)
    }
}

/// Nobody panics while holding one of these.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
