//! Orders and SKUs: read.

use std::collections::HashSet;

use tidegate_follow::OrderRow;
use tidegate_rows::{Answer, Filter, Orders, Skus, StepRow};
use tidegate_shard_core::entry::SkuPut;
use tidegate_shard_core::{OrderId, SkuName};

use super::{Rows, told};

impl Orders for Rows {
    fn order(&self, id: OrderId) -> Answer<'_, Option<OrderRow>> {
        told(self.reader.order(id))
    }

    fn orders(&self, filter: Filter, rows: usize) -> Answer<'_, Vec<OrderRow>> {
        told(async move { self.reader.orders(&filter, rows).await })
    }

    fn history(&self, id: OrderId) -> Answer<'_, Vec<StepRow>> {
        told(self.reader.history(id))
    }
}

impl Skus for Rows {
    fn skus(&self, search: Option<String>, after: String, rows: usize) -> Answer<'_, Vec<SkuPut>> {
        told(async move {
            let search = search.unwrap_or_default();
            self.reader.skus(&search, &after, rows).await
        })
    }

    fn known_skus(&self, skus: Vec<SkuName>) -> Answer<'_, HashSet<SkuName>> {
        told(async move { self.reader.known_skus(&skus).await })
    }
}
