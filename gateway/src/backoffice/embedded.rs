//! The backoffice in the gateway's own process: a store in one file, a thread that follows the log, and a runtime of its own for
//! the slow lane and the payments.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidegate_backoffice::api;
use tidegate_backoffice::database::DatabaseError;
use tidegate_backoffice::feed::{Feed, FeedStats};
use tidegate_backoffice::shop::Shop;
use tidegate_backoffice::store::Sqlite;
use tidegate_follow::Store as _;
use tidegate_host::{Resting, StartError};

use super::follow::{HostSource, shard_mark};
use super::giving_way::giving_way;
use super::place;
use super::shards::DeskShards;
use crate::admin::metrics;
use crate::config::Config;
use crate::serve::{Backoffice, Behind, EndBackoffice};

/// Threads of the runtime. Its work is asking the store and the shards, and waiting for them.
const WORKERS: usize = 2;
/// Queries of the store at the same time.
const BLOCKING_MAX: usize = 8;
/// How long what is under way may take at the end.
const LAST_WORK: Duration = Duration::from_secs(5);

/// Opens the store, or makes it.
///
/// # Errors
/// A line: the store cannot be used, and what to do.
pub fn open(config: &Config) -> Result<Backoffice, String> {
    let path = config.store.clone();
    place::check(&config.server.data, &path)?;
    let failed = |error: &dyn std::fmt::Display| {
        format!(
            "{}: {error}; restore it from a copy, or start with backoffice.mode=none on a data directory that never had a store",
            path.display()
        )
    };
    let mut store = giving_way(|| Sqlite::open(&path)).map_err(|error| match error {
        // There is nothing wrong with the file. Who holds the directory as well is this gateway started twice.
        DatabaseError::Locked(_) => match Resting::hold(&config.server.data) {
            Err(twice @ StartError::Locked { .. }) => twice.to_string(),
            _ => format!("{}: {error}", path.display()),
        },
        error => failed(&error),
    })?;
    let marks = store.marks().map_err(|error| failed(&error))?;
    let marks: Vec<_> = marks.into_iter().map(shard_mark).collect();
    let stats = Arc::new(FeedStats::new());
    let shown = Arc::clone(&stats);
    Ok(Backoffice {
        store: store.name().to_owned(),
        marks: marks.clone(),
        feed: Some(Arc::new(move || figures(&shown))),
        start: Box::new(move |behind| giving_way(|| start(store, &marks, stats, behind))),
    })
}

fn figures(stats: &FeedStats) -> metrics::Feed {
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    metrics::Feed {
        applied: get(&stats.applied),
        batches: get(&stats.batches),
        failures: get(&stats.failures),
        stopped_shards: get(&stats.stopped_shards),
        behind_s: stats.behind().as_secs(),
    }
}

fn start(
    store: Sqlite,
    marks: &[tidegate_log::ShardMark],
    stats: Arc<FeedStats>,
    behind: Behind<'_>,
) -> Result<EndBackoffice, String> {
    let threads =
        |error: std::io::Error| format!("the backoffice: {error}; raise TasksMax (systemd), or ulimit -u");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING_MAX)
        .thread_name("backoffice")
        .enable_all()
        .build()
        .map_err(threads)?;
    let source = behind.host.feed(marks).ok_or("the shards have ended")?;
    let shop = Shop::new(Arc::new(store.clone()), Arc::new(DeskShards(behind.desk)));
    let feed = Feed::start(HostSource(source), store, stats).map_err(threads)?;
    let router = api::router(Arc::clone(&shop));
    runtime.spawn(async move { shop.run().await });
    runtime.spawn(behind.lane.serve(router));
    Ok(Box::new(move || {
        drop(feed);
        runtime.shutdown_timeout(LAST_WORK);
    }))
}
