//! What the admin thread may see and do: figures of every thread, readiness, drain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tidegate_host::{ScrubStats, ThreadStats};
use tidegate_link::stats::{Histogram, Snapshot as LinkSnapshot};

use crate::admin::metrics::{
    Feed, HistogramSnapshot, HttpCount, MetricsSource, NetThread, ShardThread, Snapshot,
};
use crate::auth::jwks::FetchStats;
use crate::auth::keys::SharedKeys;
use crate::breaker::board::Board;
use crate::certs::Certificates;
use crate::reload::Reloader;
use crate::worker::Shared;
use crate::worker::stats::NetStats;

/// Buckets of durations, nanoseconds: from 50 us, as an order in a calm shop takes a few hundred.
const DURATION_BOUNDS_NS: [u64; 14] = [
    50_000,
    100_000,
    200_000,
    300_000,
    500_000,
    750_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    250_000_000,
    1_000_000_000,
];
/// Buckets of sizes of batches, entries.
const BATCH_BOUNDS: [u64; 9] = [1, 2, 5, 10, 20, 50, 100, 250, 1000];

/// Tells how a store follows the log now.
pub type FeedFigures = Arc<dyn Fn() -> Feed + Send + Sync>;

/// The gateway as the admin thread sees it.
pub struct Observer {
    /// Figures of the net threads.
    pub nets: Vec<Arc<NetStats>>,
    /// Figures of the shard threads.
    pub shards: Vec<Arc<ThreadStats>>,
    /// Figures of the store that follows the log, if there is one.
    pub feed: Option<FeedFigures>,
    /// Figures of scrubbing.
    pub scrub: Arc<ScrubStats>,
    /// Where a drain begins.
    pub shared: Arc<Shared>,
    /// Set when the net threads run.
    pub serving: Arc<AtomicBool>,
    /// Set when the log failed.
    pub failed: Arc<AtomicBool>,
    /// Keys of tokens: failed reloads are shown.
    pub keys: Arc<SharedKeys>,
    /// Fetches of token keys.
    pub fetches: Arc<FetchStats>,
    /// Certificates: failed reloads are shown.
    pub certificates: Arc<Certificates>,
    /// Reloads of the configuration are shown.
    pub reloader: Arc<Reloader>,
    /// Breakers of the shard threads and of the backoffice.
    pub board: Arc<Board>,
}

impl MetricsSource for Observer {
    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for net in &self.nets {
            add_answers(&mut snapshot.http, net);
            snapshot.handshakes_resumed += net.handshakes_resumed.get();
            snapshot.handshakes_full += net.handshakes.get() - net.handshakes_resumed.get();
            snapshot.nets.push(NetThread {
                connections: net.connections.get(),
                accepted: net.accepted.get(),
                handed_over: net.handed_over.get(),
                inflight: net.inflight.get(),
                exchanges: net.exchanges.get(),
                busy_ns: net.cpu_ns.get(),
                cq_overflows: net.cq_overflows.get(),
            });
        }
        let merged = |pick: fn(&NetStats) -> &Histogram, bounds: &[u64]| {
            let mut sum = LinkSnapshot::default();
            self.nets.iter().for_each(|net| sum.merge(&pick(net).snapshot()));
            buckets(&sum, bounds)
        };
        snapshot.request = vec![("all", merged(|net| &net.duration, &DURATION_BOUNDS_NS))];
        snapshot.stages = vec![
            ("ring_wait", merged(|net| &net.ring_wait, &DURATION_BOUNDS_NS)),
            ("decide", merged(|net| &net.decide, &DURATION_BOUNDS_NS)),
            ("commit", merged(|net| &net.commit, &DURATION_BOUNDS_NS)),
            ("reply", merged(|net| &net.reply, &DURATION_BOUNDS_NS)),
            ("backoffice", merged(|net| &net.backoffice, &DURATION_BOUNDS_NS)),
        ];
        snapshot.refusals = self.refusals();
        let sum = |pick: fn(&NetStats) -> u64| self.nets.iter().map(|net| pick(net)).sum();
        snapshot.tokens = vec![
            ("remembered", sum(|net| net.tokens_remembered.get())),
            ("verified", sum(|net| net.tokens_verified.get())),
        ];
        snapshot.shards = self.shards.iter().map(|shard| self.shard(shard)).collect();
        snapshot.feed = self.feed.as_ref().map(|figures| figures());
        snapshot.scrub_bytes = self.scrub.bytes.get();
        snapshot.scrub_faults = self.scrub.faults.get();
        snapshot.reload_failures = vec![
            ("certificates", self.certificates.failures()),
            ("keys", self.keys.failures()),
        ];
        snapshot.breakers = self.board.rows();
        snapshot.config_reloads = self.reloader.counts();
        let fetched = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        snapshot.jwks_fetches = vec![
            ("changed", fetched(&self.fetches.changed)),
            ("unchanged", fetched(&self.fetches.unchanged)),
            ("failed", fetched(&self.fetches.failed)),
        ];
        snapshot.jwks_forced = fetched(&self.fetches.forced);
        snapshot.jwks_last_good_s = fetched(&self.fetches.last_good_s);
        snapshot
    }

    fn times(&self) -> Vec<(&'static str, LinkSnapshot)> {
        let merged = |pick: fn(&NetStats) -> &Histogram| {
            let mut sum = LinkSnapshot::default();
            self.nets.iter().for_each(|net| sum.merge(&pick(net).snapshot()));
            sum
        };
        vec![
            ("total", merged(|net| &net.duration)),
            ("ring_wait", merged(|net| &net.ring_wait)),
            ("decide", merged(|net| &net.decide)),
            ("commit", merged(|net| &net.commit)),
            ("reply", merged(|net| &net.reply)),
        ]
    }

    fn ready(&self) -> Result<(), &'static str> {
        if self.failed.load(Ordering::Acquire) {
            return Err("the log failed");
        }
        if self.shared.drain.load(Ordering::Relaxed) {
            return Err("draining");
        }
        if self.serving.load(Ordering::Acquire) {
            Ok(())
        } else {
            Err("starting")
        }
    }

    fn drain(&self) {
        self.shared.drain.store(true, Ordering::Relaxed);
    }
}

impl Observer {
    fn refusals(&self) -> Vec<(&'static str, u64)> {
        let mut rows: Vec<(&'static str, u64)> = Vec::new();
        let mut add = |word, count| match rows.iter_mut().find(|row| row.0 == word) {
            Some(row) => row.1 += count,
            None => rows.push((word, count)),
        };
        for net in &self.nets {
            net.refusals().for_each(|(code, count)| add(code.word(), count));
            net.conn_refusals
                .each()
                .for_each(|(word, count)| add(word, count));
            add("connection_refused", net.accept_refused.get());
            add("bad_proxy_header", net.bad_proxy_headers.get());
            add("late_reply", net.late_replies.get());
        }
        rows
    }

    fn shard(&self, stats: &ThreadStats) -> ShardThread {
        ShardThread {
            ops: stats.ops.get(),
            commands: stats.requests.get(),
            open_orders: stats.open_orders.get(),
            stopped_shards: stats.stopped_shards.get(),
            syncs: stats.batches.get(),
            sync: buckets(&stats.sync.snapshot(), &DURATION_BOUNDS_NS),
            batch_entries: buckets(&stats.batch_ops.snapshot(), &BATCH_BOUNDS),
            batch_bytes: stats.batch_bytes.get(),
            shed: stats.shed.get(),
            messages: stats.messages.get(),
            messages_dropped: stats.dropped_messages.get(),
            backlog_bytes: stats.owed_bytes.get(),
            unpublished_ops: stats.unpublished_ops.get(),
            busy_ns: stats.busy_ns.get(),
            disk_wait_ns: stats.disk_wait_ns.get(),
        }
    }
}

fn add_answers(rows: &mut Vec<HttpCount>, net: &NetStats) {
    for (route, status, count) in net.answers() {
        match rows
            .iter_mut()
            .find(|row| row.route == route && row.status == status)
        {
            Some(row) => row.count += count,
            None => rows.push(HttpCount { route, status, count }),
        }
    }
}

/// A histogram of ours at fixed bounds, as Prometheus wants it.
fn buckets(snapshot: &LinkSnapshot, bounds: &[u64]) -> HistogramSnapshot {
    let cumulative = snapshot.cumulative(bounds);
    let mut counts: Vec<u64> = Vec::with_capacity(bounds.len() + 1);
    let mut below = 0;
    for upto in cumulative
        .into_iter()
        .take(bounds.len())
        .chain([snapshot.count()])
    {
        counts.push(upto - below);
        below = upto;
    }
    HistogramSnapshot {
        bounds: bounds.to_vec(),
        counts,
        sum: snapshot.sum,
    }
}
