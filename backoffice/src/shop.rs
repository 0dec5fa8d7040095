//! The shop behind the edge: what the API and the background jobs share.

use std::sync::Arc;

use tidegate_rows::Rows;

use crate::catalogue::Imports;
use crate::pay::{Payments, Simulated};
use crate::shards::Shards;
use crate::time::{self, Clock};

/// The shop.
#[derive(Debug)]
pub struct Shop {
    pub(crate) rows: SharedRows,
    pub(crate) shards: SharedShards,
    pub(crate) payments: Payments,
    pub(crate) simulated: Arc<Simulated>,
    pub(crate) imports: Imports,
}

impl Shop {
    /// A shop over its database and the shards, with the provider `simulated`.
    #[must_use]
    pub fn new(rows: Arc<dyn Rows>, shards: Arc<dyn Shards>) -> Arc<Shop> {
        Shop::with_clock(rows, shards, time::wall())
    }

    pub(crate) fn with_clock(rows: Arc<dyn Rows>, shards: Arc<dyn Shards>, clock: Clock) -> Arc<Shop> {
        let simulated = Arc::new(Simulated::new(rows.clone(), clock.clone()));
        let payments = Payments::new(rows.clone(), shards.clone(), simulated.clone(), clock.clone());
        let shards = SharedShards(shards);
        let imports = Imports::new(rows.clone(), shards.clone(), clock);
        Arc::new(Shop {
            rows: SharedRows(rows),
            shards,
            payments,
            simulated,
            imports,
        })
    }

    /// Drives unfinished charges and imports on, until it is dropped. Dropping it at any moment loses nothing.
    pub async fn run(&self) {
        tokio::join!(self.payments.recover(), self.imports.run());
    }
}

/// [`Shards`] that several parts of the shop ask.
#[derive(Clone)]
pub(crate) struct SharedShards(pub(crate) Arc<dyn Shards>);

impl std::ops::Deref for SharedShards {
    type Target = dyn Shards;

    fn deref(&self) -> &(dyn Shards + 'static) {
        &*self.0
    }
}

impl std::fmt::Debug for SharedShards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedShards")
    }
}

/// The shop's database, which several parts of it ask.
#[derive(Clone)]
pub(crate) struct SharedRows(pub(crate) Arc<dyn Rows>);

impl std::ops::Deref for SharedRows {
    type Target = dyn Rows;

    fn deref(&self) -> &(dyn Rows + 'static) {
        &*self.0
    }
}

impl std::fmt::Debug for SharedRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedRows")
    }
}
