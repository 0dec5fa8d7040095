//! The console's routes: the page, what it shows, and SKUs by name.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tidegate_shard_core::SkuName;

use super::metrics;
use super::server::{Shared, failure, json};
use crate::console::view::{Gauges, Hot, ROWS, SLOW_WITHIN, Sku, feed_figures};
use crate::console::{History, View, history::Sample};
use crate::desk::{Desk, DeskError};
use crate::recorder::{Board, Filter, Row};
use crate::worker::clock;

/// How often counters are sampled for the charts.
const EVERY: Duration = Duration::from_secs(1);
/// How long a page that was closed is waited for.
const LOOKED_WITHIN: Duration = Duration::from_secs(120);
/// How long the page waits for the shards to describe a SKU before it shows what net threads know.
const PATIENCE: Duration = Duration::from_millis(250);

/// Samples the counters while a page looks: nobody pays for figures but the reader. What was sampled goes when nobody has looked for as
/// long as a chart is.
pub(super) async fn sample(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now_ns = clock::now_ns();
        let looked_ns = shared.looked_ns.load(Ordering::Relaxed);
        let mut history = shared.history.lock().unwrap_or_else(PoisonError::into_inner);
        if looked_ns == 0 || now_ns.saturating_sub(looked_ns) > LOOKED_WITHIN.as_nanos() as u64 {
            *history = History::default();
        } else {
            history.push(Sample::take(&*shared.admin.source, now_ns));
        }
    }
}

/// Everything the page shows.
pub(super) async fn view(State(shared): State<Arc<Shared>>) -> Response {
    shared.looked_ns.store(clock::now_ns(), Ordering::Relaxed);
    let hot = hot(&shared).await;
    let looked = tokio::task::spawn_blocking(move || {
        let admin = &shared.admin;
        let figures = admin.source.snapshot();
        let recent = shared
            .history
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .shown();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let slow = Filter {
            since_ms: Some(now.saturating_sub(SLOW_WITHIN).as_millis() as u64),
            ..Filter::default()
        };
        View {
            about: admin.about.clone(),
            uptime_s: shared.began.elapsed().as_secs(),
            state: admin.source.ready().err().unwrap_or("ready"),
            recent,
            now: Gauges::of(&figures),
            hot,
            breakers: figures.breakers,
            feed: feed_figures(&metrics::scrape(&shared.registry).unwrap_or_default()),
            slow: slow.slowest(admin.tapes.iter().map(|tape| &*tape.ring), ROWS),
            log: admin.log.lines(),
        }
    });
    match looked.await {
        Ok(view) => json(StatusCode::OK, &view),
        Err(error) => failure(&error.to_string()),
    }
}

/// The SKUs most asked for, with what their shards say of them. All are asked at once.
async fn hot(shared: &Shared) -> Vec<Hot> {
    let mut rows: Vec<Row> = Board::merged(shared.admin.tapes.iter().map(|tape| &*tape.board));
    rows.truncate(ROWS);
    let asked: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let desk = shared.admin.desk.clone();
            tokio::spawn(async move {
                let view = match desk {
                    Some(desk) => tokio::time::timeout(PATIENCE, desk.read(row.sku)).await,
                    None => return Hot::new(row, None),
                };
                Hot::new(row, view.ok().and_then(Result::ok))
            })
        })
        .collect();
    let mut hot = Vec::with_capacity(asked.len());
    for row in asked {
        hot.extend(row.await.ok());
    }
    hot
}

/// One SKU, exactly.
pub(super) async fn sku(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    let (desk, sku) = match named(&shared, &name) {
        Ok(named) => named,
        Err(response) => return *response,
    };
    answer(desk.read(sku).await.map(Sku::from))
}

/// Pauses the sale of a SKU.
pub(super) async fn pause(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    set_paused(&shared, &name, true).await
}

/// Lets it go on.
pub(super) async fn resume(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    set_paused(&shared, &name, false).await
}

async fn set_paused(shared: &Shared, name: &str, paused: bool) -> Response {
    let (desk, sku) = match named(shared, name) {
        Ok(named) => named,
        Err(response) => return *response,
    };
    let done = desk.pause(sku, paused).await;
    if done.is_ok() {
        tracing::warn!(sku = name, paused, "set by hand on the admin address");
    }
    answer(done.map(Sku::from))
}

fn named<'a>(shared: &'a Shared, name: &str) -> Result<(&'a Desk, SkuName), Box<Response>> {
    let sku = SkuName::parse(name.as_bytes()).map_err(|_| {
        let text = "a SKU is 1 to 47 characters of A-Z a-z 0-9 . _ : -\n";
        Box::new((StatusCode::BAD_REQUEST, text).into_response())
    })?;
    let none = || (StatusCode::SERVICE_UNAVAILABLE, "no shards are served here\n").into_response();
    let desk = shared.admin.desk.as_ref().ok_or_else(|| Box::new(none()))?;
    Ok((desk, sku))
}

fn answer(result: Result<Sku, DeskError>) -> Response {
    match result {
        Ok(sku) => json(StatusCode::OK, &sku),
        Err(DeskError::UnknownSku(sku)) => {
            (StatusCode::NOT_FOUND, format!("there is no SKU {sku}\n")).into_response()
        }
        Err(DeskError::Failed(why)) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n").into_response(),
    }
}
