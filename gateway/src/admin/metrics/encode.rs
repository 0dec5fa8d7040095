//! A [`Snapshot`] as Prometheus reads it.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::breaker::Force;
use crate::breaker::board::Row;

use super::{Feed, HistogramSnapshot, MetricsSource, NetThread, ShardThread, Snapshot};

/// The registry with the gateway's collector in it.
pub(in crate::admin) fn registry(source: Arc<dyn MetricsSource>) -> Registry {
    let mut registry = Registry::with_prefix("tidegate");
    registry.register_collector(Box::new(Figures { source }));
    registry
}

/// The text of one scrape (OpenMetrics 1.0).
pub(in crate::admin) fn scrape(registry: &Registry) -> Result<String, fmt::Error> {
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
        let metric = e.encode_descriptor("ready", "1 when orders are taken", None, MetricType::Gauge)?;
        ConstGauge::new(ready).encode(metric)?;
        encode_http(e, &snapshot)?;
        encode_nets(e, &snapshot.nets)?;
        encode_shards(e, &snapshot.shards)?;
        encode_breakers(e, &snapshot.breakers)?;
        encode_feed(e, snapshot.feed)?;
        encode_scrub(e, &snapshot)
    }
}

fn encode_feed(e: &mut DescriptorEncoder<'_>, feed: Option<Feed>) -> fmt::Result {
    let Some(feed) = feed else { return Ok(()) };
    for (name, help, value) in [
        (
            "feed_applied",
            "Records of the log that the store has taken",
            feed.applied,
        ),
        ("feed_batches", "Batches of them", feed.batches),
        ("feed_failures", "Tries that failed", feed.failures),
    ] {
        let metric = e.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(metric)?;
    }
    for (name, help, value) in [
        (
            "feed_stopped_shards",
            "Shards that the store cannot follow",
            feed.stopped_shards,
        ),
        (
            "feed_behind_seconds",
            "Since the store last had everything that was durable",
            feed.behind_s,
        ),
    ] {
        let metric = e.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(metric)?;
    }
    Ok(())
}

fn encode_scrub(e: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let figures = [
        (
            "log_scrub_bytes",
            "Bytes of closed segments read again",
            snapshot.scrub_bytes,
        ),
        (
            "log_scrub_faults",
            "Faults found by reading them again",
            snapshot.scrub_faults,
        ),
    ];
    for (name, help, value) in figures {
        let metric = e.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(metric)?;
    }
    Ok(())
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
    encode_jwks(e, snapshot)?;
    counters(
        e,
        "config_reloads",
        "Reloads of the configuration, by result; after a failed one the old values stay",
        by("result", &snapshot.config_reloads),
    )?;
    counters(
        e,
        "reload_failures",
        "Files that changed and could not be used; the old ones stay",
        by("files", &snapshot.reload_failures),
    )
}

fn encode_jwks(e: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    counters(
        e,
        "jwks_fetches",
        "Fetches of auth.jwks_url, by result",
        by("result", &snapshot.jwks_fetches),
    )?;
    let help = "Fetches that a token with an unknown key asked for";
    let metric = e.encode_descriptor("jwks_forced_fetches", help, None, MetricType::Counter)?;
    ConstCounter::new(snapshot.jwks_forced).encode(metric)?;
    let help = "When auth.jwks_url was last fetched with success, seconds since 1970; 0 is never";
    let name = "jwks_last_success_timestamp_seconds";
    let metric = e.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(snapshot.jwks_last_good_s).encode(metric)
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
    counters(
        e,
        "connections_handed_over",
        "Sockets accepted by this thread and given to one with fewer connections",
        each(|net| net.handed_over),
    )?;
    gauges(
        e,
        "inflight",
        "Requests waiting for a shard",
        each(|net| net.inflight),
    )?;
    gauges(
        e,
        "slow_lane_exchanges",
        "Requests at the backoffice, those whose answer is being sent included",
        each(|net| net.exchanges),
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
    counters(
        e,
        "shard_shed",
        "Commands refused because they had waited too long",
        each(|shard| shard.shed),
    )?;
    counters(
        e,
        "shard_messages",
        "Messages to other shard threads",
        each(|shard| shard.messages),
    )?;
    counters(
        e,
        "shard_messages_dropped",
        "Messages dropped at a bound",
        each(|shard| shard.messages_dropped),
    )?;
    gauges(
        e,
        "open_orders",
        "Orders pending",
        each(|shard| shard.open_orders),
    )?;
    gauges(
        e,
        "stopped_shards",
        "Shards that a mark of another history stopped: the store is not the one they fed",
        each(|shard| shard.stopped_shards),
    )?;
    counters(e, "log_syncs", "Commits of the log", each(|shard| shard.syncs))?;
    histograms(
        e,
        "log_sync",
        "Write and sync of a commit at the disk; the stage commit is what a command waits in all",
        Scale::Seconds,
        by_thread(shards, |shard| &shard.sync),
    )?;
    counters(
        e,
        "log_bytes",
        "Bytes written to the log, padding included",
        each(|shard| shard.batch_bytes),
    )?;
    gauges(
        e,
        "log_backlog_bytes",
        "Log bytes owed to the backoffice",
        each(|shard| shard.backlog_bytes),
    )?;
    gauges(
        e,
        "log_unpublished_ops",
        "Entries of the log that the bus is not known to have",
        each(|shard| shard.unpublished_ops),
    )?;
    seconds(
        e,
        "shard_busy",
        "Time a shard thread was neither asleep nor waiting for the disk",
        each(|shard| shard.busy_ns),
    )?;
    seconds(
        e,
        "shard_disk_wait",
        "Time a shard thread waited for the disk",
        each(|shard| shard.disk_wait_ns),
    )?;
    let entries = by_thread(shards, |shard| &shard.batch_entries);
    histograms(e, "log_batch_entries", "Entries a commit", Scale::Plain, entries)
}

fn encode_breakers(e: &mut DescriptorEncoder<'_>, rows: &[Row]) -> fmt::Result {
    let each = |value: fn(&Row) -> u64| {
        rows.iter()
            .map(move |row| ([("breaker", row.name.clone())], value(row)))
    };
    gauges(
        e,
        "breaker_open",
        "1 when new work is refused",
        each(|row| u64::from(row.is_open())),
    )?;
    gauges(
        e,
        "breaker_forced",
        "1 while an operator holds it, open or closed",
        each(|row| u64::from(row.forced != Force::Automatic.word())),
    )?;
    counters(
        e,
        "breaker_transitions",
        "Times it opened or closed",
        each(|row| row.transitions),
    )?;
    counters(
        e,
        "breaker_refusals",
        "Requests refused because it was open",
        each(|row| row.refused),
    )
}

type Labels<const N: usize> = [(&'static str, String); N];

fn by(label: &'static str, counts: &[(&'static str, u64)]) -> impl Iterator<Item = (Labels<1>, u64)> {
    counts
        .iter()
        .map(move |(word, count)| ([(label, (*word).to_string())], *count))
}

fn by_thread(
    shards: &[ShardThread],
    histogram: fn(&ShardThread) -> &HistogramSnapshot,
) -> impl Iterator<Item = (Labels<1>, &HistogramSnapshot)> {
    shards
        .iter()
        .enumerate()
        .map(move |(n, shard)| ([("thread", n.to_string())], histogram(shard)))
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

/// One value of a metric, under its labels.
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
