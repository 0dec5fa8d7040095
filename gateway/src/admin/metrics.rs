//! What `/metrics` shows, as plain structs: the gateway fills a [`Snapshot`] from its threads' counters when it is asked, and
//! this file alone knows Prometheus. Threads keep single-writer counters; nobody pays for metrics but the reader.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// What the gateway lets the admin thread see and do.
pub trait MetricsSource: Send + Sync + 'static {
    /// Every figure, now. May take a few microseconds a thread; is called once a scrape.
    fn snapshot(&self) -> Snapshot;

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
    /// Time in a stage: `ring_wait`, `decide`, `sync`, `reply`.
    pub stages: Vec<(&'static str, HistogramSnapshot)>,
    /// Refusals by reason: limits, authentication, framing, overload, breakers.
    pub refusals: Vec<(&'static str, u64)>,
    /// Tokens: remembered, verified, by result.
    pub tokens: Vec<(&'static str, u64)>,
    /// Per net thread.
    pub nets: Vec<NetThread>,
    /// Per shard thread.
    pub shards: Vec<ShardThread>,
    /// TLS handshakes finished: full and resumed.
    pub handshakes_full: u64,
    /// Handshakes that resumed a session.
    pub handshakes_resumed: u64,
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
    /// Requests waiting for a shard now.
    pub inflight: u64,
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
    /// Syncs (commits) done.
    pub syncs: u64,
    /// Entries a commit.
    pub batch_entries: HistogramSnapshot,
    /// Bytes a commit.
    pub batch_bytes: HistogramSnapshot,
    /// Log bytes owed to the backoffice now.
    pub backlog_bytes: u64,
    /// Nanoseconds it was not asleep.
    pub busy_ns: u64,
    /// Whether its breaker is open, as the net threads see it.
    pub breaker_open: bool,
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

/// The registry with the gateway's collector in it.
pub(super) fn registry(source: Arc<dyn MetricsSource>) -> Registry {
    let mut registry = Registry::with_prefix("tidegate");
    registry.register_collector(Box::new(Figures { source }));
    registry
}

/// The text of one scrape (OpenMetrics 1.0).
pub(super) fn scrape(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok(text)
}

struct Figures {
    source: Arc<dyn MetricsSource>,
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Figures")
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let snapshot = self.source.snapshot();
        let ready = u64::from(self.source.ready().is_ok());
        let e = &mut encoder;
        gauges(e, "ready", "1 when orders are taken", [([], ready)])?;
        encode_http(e, &snapshot)?;
        encode_nets(e, &snapshot.nets)?;
        encode_shards(e, &snapshot.shards)
    }
}

fn encode_http(e: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let answers = snapshot.http.iter().map(|http| {
        let (method, route) = http.route.split_once(' ').unwrap_or(("", http.route));
        (
            [
                ("method", method.to_string()),
                ("route", route.to_string()),
                ("status", http.status.to_string()),
            ],
            http.count,
        )
    });
    counters(e, "http_answers", "HTTP answers by route and status", answers)?;
    histograms(
        e,
        "http_request",
        "From the first byte of the head to the answer handed to the connection",
        Scale::Seconds,
        snapshot
            .request
            .iter()
            .map(|(route, histogram)| ([("route", (*route).to_string())], histogram)),
    )?;
    histograms(
        e,
        "stage",
        "Time of a command in each stage",
        Scale::Seconds,
        snapshot
            .stages
            .iter()
            .map(|(stage, histogram)| ([("stage", (*stage).to_string())], histogram)),
    )?;
    counters(
        e,
        "refusals",
        "Requests refused, by reason",
        by("reason", &snapshot.refusals),
    )?;
    counters(
        e,
        "tokens",
        "Tokens seen, by result",
        by("result", &snapshot.tokens),
    )?;
    let handshakes = [
        ("full", snapshot.handshakes_full),
        ("resumed", snapshot.handshakes_resumed),
    ];
    counters(
        e,
        "tls_handshakes",
        "TLS handshakes finished",
        by("kind", &handshakes),
    )?;
    counters(
        e,
        "reload_failures",
        "Files that changed and could not be used; the old ones stay",
        by("files", &snapshot.reload_failures),
    )
}

fn encode_nets(e: &mut DescriptorEncoder<'_>, nets: &[NetThread]) -> fmt::Result {
    let each = |value: fn(&NetThread) -> u64| numbered(nets, value);
    gauges(e, "connections", "Open connections", each(|net| net.connections))?;
    counters(
        e,
        "connections_accepted",
        "Connections accepted",
        each(|net| net.accepted),
    )?;
    gauges(
        e,
        "inflight",
        "Requests waiting for a shard",
        each(|net| net.inflight),
    )?;
    seconds(
        e,
        "net_busy",
        "Time a net thread was not asleep",
        each(|net| net.busy_ns),
    )?;
    counters(
        e,
        "net_cq_overflows",
        "Overflows of the io_uring completion queue",
        each(|net| net.cq_overflows),
    )
}

fn encode_shards(e: &mut DescriptorEncoder<'_>, shards: &[ShardThread]) -> fmt::Result {
    let each = |value: fn(&ShardThread) -> u64| numbered(shards, value);
    counters(e, "shard_ops", "Log entries applied", each(|shard| shard.ops))?;
    counters(
        e,
        "shard_commands",
        "Commands decided",
        each(|shard| shard.commands),
    )?;
    gauges(
        e,
        "open_orders",
        "Orders pending",
        each(|shard| shard.open_orders),
    )?;
    counters(e, "log_syncs", "Commits of the log", each(|shard| shard.syncs))?;
    gauges(
        e,
        "log_backlog_bytes",
        "Log bytes owed to the backoffice",
        each(|shard| shard.backlog_bytes),
    )?;
    gauges(
        e,
        "shard_breaker_open",
        "1 when new work is refused",
        each(|shard| u64::from(shard.breaker_open)),
    )?;
    seconds(
        e,
        "shard_busy",
        "Time a shard thread was not asleep",
        each(|shard| shard.busy_ns),
    )?;
    let batches = |histogram: fn(&ShardThread) -> &HistogramSnapshot| {
        shards
            .iter()
            .enumerate()
            .map(move |(n, shard)| ([("thread", n.to_string())], histogram(shard)))
    };
    histograms(
        e,
        "log_batch_entries",
        "Entries a commit",
        Scale::Plain,
        batches(|shard| &shard.batch_entries),
    )?;
    histograms(
        e,
        "log_batch_bytes",
        "Bytes a commit",
        Scale::Plain,
        batches(|shard| &shard.batch_bytes),
    )
}

type Labels<const N: usize> = [(&'static str, String); N];

fn by(label: &'static str, counts: &[(&'static str, u64)]) -> impl Iterator<Item = (Labels<1>, u64)> {
    counts
        .iter()
        .map(move |(word, count)| ([(label, (*word).to_string())], *count))
}

fn numbered<T>(threads: &[T], value: fn(&T) -> u64) -> impl Iterator<Item = (Labels<1>, u64)> {
    threads
        .iter()
        .enumerate()
        .map(move |(n, thread)| ([("thread", n.to_string())], value(thread)))
}

fn counters<const N: usize>(
    e: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<N>, u64)>,
) -> fmt::Result {
    let mut metric = e.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in values {
        in_family(&mut metric, &labels, |family| {
            ConstCounter::new(value).encode(family)
        })?;
    }
    Ok(())
}

/// A counter of nanoseconds, shown in seconds.
fn seconds<const N: usize>(
    e: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<N>, u64)>,
) -> fmt::Result {
    let mut metric = e.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Counter)?;
    for (labels, value) in values {
        in_family(&mut metric, &labels, |family| {
            ConstCounter::new(value as f64 / 1e9).encode(family)
        })?;
    }
    Ok(())
}

fn gauges<const N: usize>(
    e: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<N>, u64)>,
) -> fmt::Result {
    let mut metric = e.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        in_family(&mut metric, &labels, |family| {
            ConstGauge::new(value).encode(family)
        })?;
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Scale {
    Seconds,
    Plain,
}

fn histograms<'a, const N: usize>(
    e: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    scale: Scale,
    values: impl IntoIterator<Item = (Labels<N>, &'a HistogramSnapshot)>,
) -> fmt::Result {
    let (unit, divisor) = if scale == Scale::Seconds {
        (Some(&Unit::Seconds), 1e9)
    } else {
        (None, 1.0)
    };
    let mut metric = e.encode_descriptor(name, help, unit, MetricType::Histogram)?;
    for (labels, histogram) in values {
        let bounds = histogram.bounds.iter().map(|bound| *bound as f64 / divisor);
        let buckets: Vec<_> = bounds
            .chain([f64::INFINITY])
            .zip(histogram.counts.iter().copied())
            .collect();
        let count = histogram.counts.iter().sum();
        let sum = histogram.sum as f64 / divisor;
        in_family(&mut metric, &labels, |mut family| {
            family.encode_histogram::<Labels<0>>(sum, count, &buckets, None)
        })?;
    }
    Ok(())
}

/// The encoder refuses an empty label set, so a metric without labels goes around it.
fn in_family<const N: usize>(
    metric: &mut MetricEncoder<'_>,
    labels: &Labels<N>,
    encode: impl FnOnce(MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result
where
    Labels<N>: EncodeLabelSet,
{
    encode(metric.encode_family(labels)?)
}
