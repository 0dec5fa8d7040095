//! What happened lately: counters sampled once a second, and what became of them since.

use std::collections::VecDeque;

use serde::Serialize;
use tidegate_link::stats::Snapshot as Times;

use crate::admin::MetricsSource;
use crate::worker::outcome::PLACE;
use crate::worker::stack::route::ROUTE_NAMES;

/// Points of the charts: two minutes at one a second.
const POINTS: usize = 120;
/// Seconds over which rates and quantiles in figures are taken: one second of a quiet shop holds too few orders for a p99.
const SPAN: usize = 10;

/// Every counter that the console follows, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    at_ns: u64,
    placed: u64,
    answers: u64,
    refusals: Vec<(&'static str, u64)>,
    times: Vec<(&'static str, Times)>,
    net_busy_ns: Vec<u64>,
    shard_busy_ns: Vec<u64>,
    shard_disk_ns: Vec<u64>,
}

impl Sample {
    /// Takes one, at `at_ns` of a monotonic clock.
    pub fn take(source: &dyn MetricsSource, at_ns: u64) -> Sample {
        let figures = source.snapshot();
        let is_placed = |route: &str, status: u16| route == ROUTE_NAMES[PLACE] && status == 201;
        let placed = figures
            .http
            .iter()
            .filter(|http| is_placed(http.route, http.status));
        Sample {
            at_ns,
            placed: placed.map(|http| http.count).sum(),
            answers: figures.http.iter().map(|http| http.count).sum(),
            refusals: figures.refusals,
            times: source.times(),
            net_busy_ns: figures.nets.iter().map(|net| net.busy_ns).collect(),
            shard_busy_ns: figures.shards.iter().map(|shard| shard.busy_ns).collect(),
            shard_disk_ns: figures.shards.iter().map(|shard| shard.disk_wait_ns).collect(),
        }
    }

    fn refused(&self) -> u64 {
        self.refusals.iter().map(|(_, count)| count).sum()
    }
}

/// One second of a chart.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Point {
    orders: f64,
    refused: f64,
    /// Microseconds; none when nothing was answered.
    p50_us: Option<f64>,
    p99_us: Option<f64>,
}

/// The last two minutes.
#[derive(Debug, Default)]
pub struct History {
    samples: VecDeque<Sample>,
    points: VecDeque<Point>,
}

/// What the console shows of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Shown {
    /// Seconds that the figures are over.
    pub seconds: f64,
    /// Orders placed a second.
    pub orders_per_s: f64,
    /// Answers of any kind a second.
    pub answers_per_s: f64,
    /// Refusals by reason, most first, those that there were.
    pub refusals: Vec<Refused>,
    /// Time of requests as a whole (`total`) and by stage.
    pub stages: Vec<Stage>,
    /// Busy share of each net thread, 0 to 1.
    pub nets: Vec<f64>,
    /// Of each shard thread: busy, and waiting for the disk.
    pub shards: Vec<[f64; 2]>,
    /// Charts, oldest first, a point a second.
    pub orders: Vec<f64>,
    /// As above.
    pub refused: Vec<f64>,
    /// As above, microseconds, `null` where nothing was answered.
    pub p50_us: Vec<Option<f64>>,
    /// As above.
    pub p99_us: Vec<Option<f64>>,
}

/// Refusals of one reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refused {
    /// The code's word.
    pub reason: &'static str,
    /// A second.
    pub per_s: f64,
    /// Since the start.
    pub total: u64,
}

/// A stage's time, microseconds; `null` when nothing passed it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the words of /metrics")]
pub struct Stage {
    pub stage: &'static str,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
}

impl History {
    /// Takes in a sample; they come about once a second.
    pub fn push(&mut self, sample: Sample) {
        if let Some(before) = self.samples.back() {
            let seconds = seconds_between(before, &sample);
            let [p50_us, p99_us] = quantiles(before, &sample, "total");
            keep(
                &mut self.points,
                POINTS,
                Point {
                    orders: per_s(before.placed, sample.placed, seconds),
                    refused: per_s(before.refused(), sample.refused(), seconds),
                    p50_us,
                    p99_us,
                },
            );
        }
        keep(&mut self.samples, SPAN + 1, sample);
    }

    /// What there is to show.
    pub fn shown(&self) -> Shown {
        let (Some(before), Some(now)) = (self.samples.front(), self.samples.back()) else {
            return Shown::default();
        };
        let seconds = seconds_between(before, now);
        let share = |before: &[u64], now: &[u64]| -> Vec<f64> {
            let pairs = before.iter().zip(now);
            pairs
                .map(|(before, now)| round(per_s(*before, *now, seconds) / 1e9, 1e3).min(1.0))
                .collect()
        };
        let busy = share(&before.shard_busy_ns, &now.shard_busy_ns);
        let disk = share(&before.shard_disk_ns, &now.shard_disk_ns);
        Shown {
            seconds: round(seconds, 10.0),
            orders_per_s: per_s(before.placed, now.placed, seconds),
            answers_per_s: per_s(before.answers, now.answers, seconds),
            refusals: refusals(before, now, seconds),
            stages: now
                .times
                .iter()
                .map(|(stage, _)| stage_of(before, now, stage))
                .collect(),
            nets: share(&before.net_busy_ns, &now.net_busy_ns),
            shards: busy
                .into_iter()
                .zip(disk)
                .map(|(busy, disk)| [busy, disk])
                .collect(),
            orders: self.points.iter().map(|point| point.orders).collect(),
            refused: self.points.iter().map(|point| point.refused).collect(),
            p50_us: self.points.iter().map(|point| point.p50_us).collect(),
            p99_us: self.points.iter().map(|point| point.p99_us).collect(),
        }
    }
}

fn stage_of(before: &Sample, now: &Sample, stage: &'static str) -> Stage {
    let [p50_us, p99_us] = quantiles(before, now, stage);
    Stage {
        stage,
        p50_us,
        p99_us,
    }
}

fn refusals(before: &Sample, now: &Sample, seconds: f64) -> Vec<Refused> {
    let earlier = |reason| before.refusals.iter().find(|(known, _)| *known == reason);
    let there_were = now.refusals.iter().filter(|(_, total)| *total > 0);
    let mut rows: Vec<Refused> = there_were
        .map(|(reason, total)| Refused {
            reason,
            per_s: per_s(earlier(*reason).map_or(0, |(_, count)| *count), *total, seconds),
            total: *total,
        })
        .collect();
    rows.sort_by(|a, b| {
        (b.per_s, b.total)
            .partial_cmp(&(a.per_s, a.total))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    rows
}

/// p50 and p99 of what passed a stage between two samples.
fn quantiles(before: &Sample, now: &Sample, stage: &str) -> [Option<f64>; 2] {
    let of = |sample: &Sample| sample.times.iter().position(|(name, _)| *name == stage);
    let (Some(earlier), Some(later)) = (of(before), of(now)) else {
        return [None; 2];
    };
    let since = now.times[later].1.since(&before.times[earlier].1);
    if since.count() == 0 {
        return [None; 2];
    }
    [0.5, 0.99].map(|q| Some(round(since.quantile(q) as f64 / 1e3, 10.0)))
}

fn seconds_between(before: &Sample, now: &Sample) -> f64 {
    now.at_ns.saturating_sub(before.at_ns) as f64 / 1e9
}

fn per_s(before: u64, now: u64, seconds: f64) -> f64 {
    if seconds > 0.0 {
        round(now.saturating_sub(before) as f64 / seconds, 10.0)
    } else {
        0.0
    }
}

fn round(value: f64, to: f64) -> f64 {
    (value * to).round() / to
}

fn keep<T>(list: &mut VecDeque<T>, most: usize, item: T) {
    if list.len() == most {
        list.pop_front();
    }
    list.push_back(item);
}
