//! The roles `api` and `jobs`: the shop over MySQL and the edge's shards.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tidegate_backoffice::api;
use tidegate_backoffice::shop::Shop;
use tidegate_mysql::{MysqlError, Reader, Rows};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Role};
use crate::desk::Desk;
use crate::exchange::Exchanges;
use crate::health::{Health, Severity};

/// The first wait before the database is tried again.
const FIRST: Duration = Duration::from_millis(100);

/// The roles.
#[derive(Debug)]
pub struct ShopRole {
    /// The process's.
    pub config: Arc<Config>,
    /// Where they say what is wrong.
    pub health: Arc<Health>,
    /// The way to the shards.
    pub desk: Arc<Desk>,
    /// Role `api`: what is opened once the database was reached.
    pub exchanges: Option<Exchanges>,
    /// Where the store's name is told.
    pub store: Arc<OnceLock<String>>,
}

impl ShopRole {
    /// Reaches the database, however long it takes; then answers, and drives payments and imports on, until `stopping`. What is under way then
    /// is found again by the next process.
    pub async fn run(self, stopping: CancellationToken) {
        let rows = tokio::select! {
            rows = self.rows() => rows,
            () = stopping.cancelled() => return,
        };
        let shop = Shop::new(Arc::new(rows), self.desk);
        if let Some(exchanges) = &self.exchanges {
            exchanges.open(api::router(Arc::clone(&shop)));
        }
        if self.config.has(Role::Jobs) {
            tokio::select! {
                () = shop.run() => {}
                () = stopping.cancelled() => {}
            }
        }
    }

    /// The rows, and the name of the store that they are in.
    async fn open(&self) -> Result<Rows, MysqlError> {
        let rows = Rows::open(self.config.mysql.clone()).await?;
        let name = Reader::new(self.config.mysql.clone())?.marks().await?.name;
        _ = self.store.set(name);
        Ok(rows)
    }

    async fn rows(&self) -> Rows {
        let ours = [Role::Api, Role::Jobs]
            .into_iter()
            .filter(|role| self.config.has(*role));
        let mut rest = FIRST;
        loop {
            match self.open().await {
                Ok(rows) => {
                    ours.clone().for_each(|role| self.health.clear(role));
                    return rows;
                }
                Err(error) => {
                    let line = error.to_string();
                    tracing::error!(retry_ms = rest.as_millis() as u64, "the shop's database: {line}");
                    ours.clone()
                        .for_each(|role| self.health.set(role, Severity::Down, line.clone()));
                }
            }
            tokio::time::sleep(rest).await;
            rest = (rest * 2).min(self.config.feed.back_off);
        }
    }
}
