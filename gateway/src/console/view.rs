//! `/console.json`: everything that the page shows, once a second.

use std::time::Duration;

use serde::Serialize;
use tidegate_shard_core::SkuView;

use super::history::Shown;
use crate::admin::Snapshot;
use crate::breaker::board::Row as Breaker;
use crate::logging::Line;
use crate::recorder::{Record, Row};
use crate::worker::stock_view::StockLine;

/// What does not change while the process lives.
#[derive(Debug, Clone, Serialize)]
pub struct About {
    /// Tells one run of the gateway from the next.
    pub run: String,
    /// The version of this build.
    pub version: &'static str,
    /// `release` or `debug`.
    pub build: &'static str,
    /// Where it keeps its data.
    pub data: String,
}

/// The whole document.
#[derive(Debug, Serialize)]
pub struct View {
    /// This run.
    #[serde(flatten)]
    pub about: About,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// `ready`, or why not.
    pub state: &'static str,
    /// Rates, quantiles, shares and charts.
    pub recent: Shown,
    /// Gauges.
    pub now: Gauges,
    /// SKUs most asked for.
    pub hot: Vec<Hot>,
    /// Breakers.
    pub breakers: Vec<Breaker>,
    /// Figures of the feed to the backoffice, by name; empty: there is no backoffice.
    pub feed: Vec<(String, f64)>,
    /// The slowest requests of the last minute, slowest first.
    pub slow: Vec<Record>,
    /// The last warnings and errors, newest first.
    pub log: Vec<Line>,
}

/// What there is at this moment.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the words of /metrics")]
pub struct Gauges {
    pub connections: u64,
    pub inflight: u64,
    pub open_orders: u64,
    pub backlog_bytes: u64,
    pub stopped_shards: u64,
}

impl Gauges {
    /// From the figures of all threads.
    pub fn of(figures: &Snapshot) -> Gauges {
        let shards = || figures.shards.iter();
        Gauges {
            connections: figures.nets.iter().map(|net| net.connections).sum(),
            inflight: figures.nets.iter().map(|net| net.inflight).sum(),
            open_orders: shards().map(|shard| shard.open_orders).sum(),
            backlog_bytes: shards().map(|shard| shard.backlog_bytes).sum(),
            stopped_shards: shards().map(|shard| shard.stopped_shards).sum(),
        }
    }
}

/// A SKU in demand, with what its shard says of it.
#[derive(Debug, Serialize)]
pub struct Hot {
    /// Demand.
    #[serde(flatten)]
    pub demand: Row,
    /// Its name for people; `null`: the shard did not answer.
    pub name: Option<String>,
    /// Whether its sale is paused; `null`: the shard did not answer.
    pub paused: Option<bool>,
}

impl Hot {
    /// Puts both together: the shard's word is newer than what net threads know.
    pub fn new(mut demand: Row, view: Option<SkuView>) -> Hot {
        if let Some(view) = &view {
            demand.stock = Some(StockLine::from(&view.stock));
        }
        Hot {
            demand,
            paused: view.as_ref().map(|view| view.paused),
            name: view.map(|view| view.name.into()),
        }
    }
}

/// A SKU by itself, for who asks by its name.
#[derive(Debug, Serialize)]
pub struct Sku {
    sku: String,
    name: String,
    paused: bool,
    stock: StockLine,
}

impl From<SkuView> for Sku {
    fn from(view: SkuView) -> Sku {
        Sku {
            sku: view.stock.sku.to_string(),
            stock: StockLine::from(&view.stock),
            name: view.name.into(),
            paused: view.paused,
        }
    }
}

/// The figures of the feed in the text of `/metrics`: whoever adds one there need not tell the console.
pub fn feed_figures(metrics: &str) -> Vec<(String, f64)> {
    let figures = metrics.lines().filter_map(|line| {
        let (name, value) = line.strip_prefix("tidegate_feed_")?.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    });
    figures
        // A histogram's buckets are for a chart, not for a list.
        .filter(|(name, _)| !name.contains("_bucket{"))
        .take(FEED_FIGURES)
        .collect()
}

/// Figures of the feed that are shown: a few, or some a shard thread.
const FEED_FIGURES: usize = 64;

/// How far back slow requests are shown.
pub const SLOW_WITHIN: Duration = Duration::from_secs(60);
/// How many of them, and of the SKUs in demand.
pub const ROWS: usize = 12;
