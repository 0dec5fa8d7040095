//! What `/metrics` shows, as plain structs: the gateway fills a [`Snapshot`] from its threads' counters when it is asked, and
//! `encode` alone knows Prometheus. Threads keep single-writer counters; nobody pays for metrics but the reader.

mod encode;

use tidegate_link::stats::Snapshot as Times;

use crate::breaker::board::Row;

pub(super) use encode::{registry, scrape};

/// What the gateway lets the admin thread see and do.
pub trait MetricsSource: Send + Sync + 'static {
    /// Every figure, now. May take a few microseconds a thread; is called once a scrape.
    fn snapshot(&self) -> Snapshot;

    /// Times of requests as a whole (`total`) and by stage since the start, as fine as they are counted; for the console's quantiles.
    fn times(&self) -> Vec<(&'static str, Times)>;

    /// Whether it takes orders; else a few words about why not: "starting", "draining".
    ///
    /// # Errors
    /// The reason.
    fn ready(&self) -> Result<(), &'static str>;

    /// Begins to drain, as SIGTERM does. Returns at once; may be called again.
    fn drain(&self);
}

/// Every figure at one moment. Counters only grow while the process lives.
#[derive(Debug, Default, Clone)]
pub struct Snapshot {
    /// Answers by route and status.
    pub http: Vec<HttpCount>,
    /// Time of a request in the gateway, first byte of the head to last byte of the answer handed over, by route.
    pub request: Vec<(&'static str, HistogramSnapshot)>,
    /// Time of a command in a stage: `ring_wait` (first byte to its turn at the shard), `decide`, `commit` (decided to durable: the window and
    /// the disk), `reply`. Of a request to the backoffice: `backoffice`, from its last byte to the answer's first.
    pub stages: Vec<(&'static str, HistogramSnapshot)>,
    /// Refusals by reason: limits, authentication, framing, overload, breakers.
    pub refusals: Vec<(&'static str, u64)>,
    /// Tokens: remembered, verified, by result.
    pub tokens: Vec<(&'static str, u64)>,
    /// Per net thread.
    pub nets: Vec<NetThread>,
    /// Per shard thread.
    pub shards: Vec<ShardThread>,
    /// Breakers of the shard threads and of the backoffice.
    pub breakers: Vec<Row>,
    /// The store that follows the log, if there is one.
    pub feed: Option<Feed>,
    /// Bytes of closed segments read again.
    pub scrub_bytes: u64,
    /// Faults that scrubbing found; one that stays is found again in each pass.
    pub scrub_faults: u64,
    /// TLS handshakes finished: full and resumed.
    pub handshakes_full: u64,
    /// Handshakes that resumed a session.
    pub handshakes_resumed: u64,
    /// Reloads of the configuration, by result.
    pub config_reloads: Vec<(&'static str, u64)>,
    /// Fetches of `auth.jwks_url`, by result.
    pub jwks_fetches: Vec<(&'static str, u64)>,
    /// Those of them that a token with an unknown key asked for.
    pub jwks_forced: u64,
    /// When the last of them succeeded, seconds since 1970; 0: never.
    pub jwks_last_good_s: u64,
    /// File reloads that failed: `certificates`, `keys`.
    pub reload_failures: Vec<(&'static str, u64)>,
}

/// Answers of one route with one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpCount {
    /// The route's template, never the path: `POST /v1/orders`.
    pub route: &'static str,
    /// The status.
    pub status: u16,
    /// How many.
    pub count: u64,
}

/// A net thread's figures.
#[derive(Debug, Default, Clone)]
pub struct NetThread {
    /// Connections open now.
    pub connections: u64,
    /// Connections accepted so far.
    pub accepted: u64,
    /// Sockets it accepted and gave to a thread with fewer connections.
    pub handed_over: u64,
    /// Requests waiting for a shard now.
    pub inflight: u64,
    /// Requests at the backoffice now.
    pub exchanges: u64,
    /// Nanoseconds it was not asleep.
    pub busy_ns: u64,
    /// Times its completion queue overflowed.
    pub cq_overflows: u64,
}

/// A shard thread's figures.
#[derive(Debug, Default, Clone)]
pub struct ShardThread {
    /// Entries applied.
    pub ops: u64,
    /// Commands decided.
    pub commands: u64,
    /// Orders open now.
    pub open_orders: u64,
    /// Shards that stopped because a mark of the store's is not of their history.
    pub stopped_shards: u64,
    /// Syncs (commits) done.
    pub syncs: u64,
    /// Time of one of them at the disk alone: write and sync of a batch.
    pub sync: HistogramSnapshot,
    /// Entries a commit.
    pub batch_entries: HistogramSnapshot,
    /// Bytes of all commits, padding included.
    pub batch_bytes: u64,
    /// Requests refused because they had waited too long.
    pub shed: u64,
    /// Messages sent to other shard threads.
    pub messages: u64,
    /// Messages dropped at a bound.
    pub messages_dropped: u64,
    /// Log bytes owed to the backoffice now.
    pub backlog_bytes: u64,
    /// Ops that the bus is not known to have, once one was heard of.
    pub unpublished_ops: u64,
    /// Nanoseconds it was neither asleep nor waiting for the disk.
    pub busy_ns: u64,
    /// Nanoseconds it waited for the disk.
    pub disk_wait_ns: u64,
}

/// How a store follows the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Feed {
    /// Records that it has taken since the start.
    pub applied: u64,
    /// Batches that it has taken.
    pub batches: u64,
    /// Tries that failed.
    pub failures: u64,
    /// Shards that it cannot follow any more.
    pub stopped_shards: u64,
    /// Seconds since it last had everything that was durable.
    pub behind_s: u64,
}

/// A histogram's buckets: `counts[i]` values were at most `bounds[i]` (and above the bound before); one count more for those above
/// the last. Durations are in nanoseconds, sizes in their own unit; durations are shown in seconds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct HistogramSnapshot {
    /// Upper bounds, rising.
    pub bounds: Vec<u64>,
    /// Not cumulative; `bounds.len() + 1` of them.
    pub counts: Vec<u64>,
    /// Sum of the values.
    pub sum: u64,
}
