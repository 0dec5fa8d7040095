//! The role `store`: a thread that follows the topic into MySQL, and who looks after it.

use std::sync::Arc;
use std::time::Duration;

use tidegate_backoffice::feed::Feed;
use tidegate_follow::Store as _;
use tidegate_kafka::{Fault, KafkaSource};
use tidegate_mysql::Mysql;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Role};
use crate::health::{Health, Severity};
use crate::metrics::StoreMetrics;

mod watched;

use watched::{Watch, Watched};

/// The first wait before a thread that could not begin, or has ended, is begun anew.
const FIRST: Duration = Duration::from_millis(100);
/// Between two looks at the thread.
const LOOK: Duration = Duration::from_millis(200);

/// The role.
#[derive(Debug)]
pub struct StoreRole {
    /// The process's.
    pub config: Arc<Config>,
    /// Where it counts.
    pub metrics: Arc<StoreMetrics>,
    /// Where it says what is wrong.
    pub health: Arc<Health>,
}

impl StoreRole {
    /// Follows until `stopping`; the batch under way is finished then.
    pub async fn run(self, stopping: CancellationToken) {
        let role = Arc::new(self);
        let mut rest = FIRST;
        while !stopping.is_cancelled() {
            let beginner = Arc::clone(&role);
            match tokio::task::spawn_blocking(move || beginner.begin()).await {
                Ok(Ok((feed, watch))) => {
                    rest = FIRST;
                    role.look_after(&watch, &stopping).await;
                    role.metrics.follows.set(0);
                    // It waits for the batch under way.
                    _ = tokio::task::spawn_blocking(move || drop(feed)).await;
                }
                Ok(Err((kind, line))) => {
                    role.metrics.fault(kind);
                    role.health.set(Role::Store, Severity::Down, line.clone());
                    tracing::error!(
                        retry_ms = rest.as_millis() as u64,
                        "the store does not follow: {line}"
                    );
                }
                Err(error) => tracing::error!("the store does not follow: {error}"),
            }
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = stopping.cancelled() => {}
            }
            rest = (rest * 2).min(role.config.feed.back_off);
        }
    }

    /// Opens store and topic, and starts the thread. Blocks.
    fn begin(&self) -> Result<(Feed, Arc<Watch>), (&'static str, String)> {
        let of_mysql = |error: tidegate_mysql::MysqlError| ("mysql", error.to_string());
        let mut store = Mysql::open(self.config.mysql.clone()).map_err(of_mysql)?;
        let marks = store.marks().map_err(of_mysql)?;
        let source = KafkaSource::open(self.config.kafka.clone(), 0..self.config.shards, &marks)
            .map_err(|fault: Fault| (crate::follow::kind(&fault), fault.to_string()))?;
        let watch = Arc::new(Watch::default());
        let watched = Watched::new(source, Arc::clone(&watch));
        let feed = Feed::start(watched, store, Arc::clone(&self.metrics.stats))
            .map_err(|error| ("thread", format!("no thread for the store: {error}")))?;
        tracing::info!(topic = self.config.kafka.topic, "the store follows");
        Ok((feed, watch))
    }

    /// Says how the thread is, until it ends or `stopping`.
    async fn look_after(&self, watch: &Watch, stopping: &CancellationToken) {
        self.metrics.follows.set(1);
        loop {
            let stopped = watch.stopped();
            self.metrics.stopped_shards.set(stopped.len() as i64);
            match stopped.as_slice() {
                [] => self.health.clear(Role::Store),
                shards => self.health.set(
                    Role::Store,
                    Severity::Degraded,
                    format!("the partitions of the shards {shards:?} cannot be followed: see the log"),
                ),
            }
            if watch.has_ended() {
                let line = "the store's thread ended by itself: see the log";
                tracing::error!("{line}");
                self.metrics.fault("thread");
                self.health.set(Role::Store, Severity::Down, line);
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stopping.cancelled() => return,
            }
        }
    }
}
