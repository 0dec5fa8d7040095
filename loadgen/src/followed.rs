//! SKUs whose stock is read once a second while the load runs.
//!
//! The reads are no part of the load: they are not paced, metered or counted in its rows. The verifier looks at them as at any other
//! stock read.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ledger::{Ledger, RecordId};
use crate::limits::STOCK_FOLLOWED_MAX;
use crate::skus::SkuId;

const SECOND_NS: u64 = 1_000_000_000;

/// Which SKUs, and which of their reads are under way.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    skus: Vec<SkuId>,
    /// The next SKU of this second's round.
    next: usize,
    round_at: u64,
    in_flight: Vec<RecordId>,
    /// Every record that is such a read.
    reads: BTreeSet<RecordId>,
}

/// The stock of one SKU over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StockSeries {
    /// Which SKU.
    pub sku: String,
    /// What was read, the oldest first.
    pub points: Vec<StockPoint>,
}

/// The stock at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StockPoint {
    /// Seconds since the run's start.
    pub at_s: f64,
    /// Units ever put on sale.
    pub stocked: u64,
    /// Units that can be ordered.
    pub available: u64,
}

impl Followed {
    /// Follows the first `count` of `names` SKUs: of a Zipf demand those that are wanted most.
    pub fn first(count: usize, names: usize, start: u64) -> Followed {
        let count = count.min(names).min(STOCK_FOLLOWED_MAX);
        Followed {
            skus: (0..count).map(|n| n as SkuId).collect(),
            round_at: start,
            ..Followed::default()
        }
    }

    /// The SKU to be read now, as record `id`. While the reads of a second are unanswered, no more are made.
    pub fn due(&mut self, now: u64, id: RecordId) -> Option<SkuId> {
        if now < self.round_at || self.skus.is_empty() || self.in_flight.len() >= self.skus.len() {
            return None;
        }
        let sku = self.skus[self.next];
        self.next += 1;
        if self.next == self.skus.len() {
            self.next = 0;
            // A round that came late is not made up for.
            self.round_at = (self.round_at + SECOND_NS).max(now + SECOND_NS / 2);
        }
        self.in_flight.push(id);
        Some(sku)
    }

    /// Whether the answer to `id` is one of these reads; it is not under way any more.
    pub fn answered(&mut self, id: RecordId) -> bool {
        let Some(n) = self.in_flight.iter().position(|&f| f == id) else {
            return false;
        };
        self.in_flight.swap_remove(n);
        self.reads.insert(id);
        true
    }

    /// Whether record `id` was one of these reads.
    pub fn is_read(&self, id: RecordId) -> bool {
        self.reads.contains(&id)
    }

    /// What was read, by SKU.
    pub fn series(&self, ledger: &Ledger, names: &[String], start: u64) -> Vec<StockSeries> {
        let mut all: Vec<StockSeries> = self
            .skus
            .iter()
            .map(|&sku| StockSeries {
                sku: names[usize::from(sku)].clone(),
                points: Vec::new(),
            })
            .collect();
        for seen in ledger.stock_seen.iter().filter(|s| self.is_read(s.record)) {
            let Some(n) = self.skus.iter().position(|&sku| sku == seen.sku) else {
                continue;
            };
            let at = ledger.records[seen.record as usize].answered;
            all[n].points.push(StockPoint {
                at_s: at.saturating_sub(start) as f64 / 1e9,
                stocked: seen.stock.stocked,
                available: seen.stock.available,
            });
        }
        all.retain(|s| !s.points.is_empty());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sku_is_read_once_a_second_and_not_again_while_answers_are_owed() {
        let mut followed = Followed::first(2, 1000, 0);
        assert_eq!((followed.due(0, 10), followed.due(0, 11)), (Some(0), Some(1)));
        assert_eq!(followed.due(0, 12), None, "the second is served");
        assert_eq!(followed.due(SECOND_NS, 12), None, "two answers are owed");
        assert!(followed.answered(10) && !followed.answered(10) && !followed.answered(99));
        assert_eq!(followed.due(SECOND_NS, 12), Some(0));
        assert!(followed.is_read(10) && !followed.is_read(99));
    }

    #[test]
    fn a_late_round_is_not_made_up_for() {
        let mut followed = Followed::first(20, 1, 0);
        assert_eq!(followed.due(0, 1), Some(0));
        followed.answered(1);
        assert_eq!(followed.due(10 * SECOND_NS, 2), Some(0));
        followed.answered(2);
        assert_eq!(followed.due(10 * SECOND_NS + 1, 3), None);
        assert_eq!(followed.due(11 * SECOND_NS, 3), Some(0));
    }
}
