//! Units a buyer holds and has bought, per limited SKU or group. They outlive the orders, and end with the sale.

use crate::digest::{RowHash, RowSum};
use crate::ids::Buyer;
use crate::index::Index;
use foldhash::fast::FixedState;
use std::hash::BuildHasher;

/// The counts of one SKU or one group. A row is 20 bytes, and 19 in the index; rows lie in no particular order.
#[derive(Debug, Default)]
pub(crate) struct BuyerCounts {
    rows: Vec<(Buyer, u32)>,
    index: Index,
    /// Tells the counts of different SKUs and groups apart in the digest.
    tag: u64,
    /// The sale is over: nothing is counted any more.
    over: bool,
    pub(crate) sum: RowSum,
}

/// Rows whose memory is freed at a time: 1.3 MB, some 50 us.
const FREED_ROWS: usize = 65_536;

impl BuyerCounts {
    pub(crate) fn new(tag: u64) -> BuyerCounts {
        BuyerCounts {
            tag,
            ..BuyerCounts::default()
        }
    }

    /// Counts of a sale that is over.
    pub(crate) fn over(tag: u64) -> BuyerCounts {
        let mut counts = BuyerCounts::new(tag);
        counts.over = true;
        counts.sum.add(RowHash::new(9).word(tag).finish());
        counts
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Gives some memory of counts that nobody will look at again back; false when there is none left.
    pub(crate) fn free_part(&mut self) -> bool {
        if self.index.drop_part() {
            return true;
        }
        let some = !self.rows.is_empty();
        self.rows.truncate(self.rows.len().saturating_sub(FREED_ROWS));
        self.rows.shrink_to_fit();
        some
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    fn slot(&self, seed: &FixedState, buyer: &Buyer) -> Option<u32> {
        self.index
            .find(hash(seed, buyer), |slot| self.rows[slot as usize].0 == *buyer)
    }

    pub(crate) fn units(&self, seed: &FixedState, buyer: &Buyer) -> Option<u32> {
        self.slot(seed, buyer).map(|slot| self.rows[slot as usize].1)
    }

    /// Adds units; says whether the buyer is new here.
    pub(crate) fn add(&mut self, seed: &FixedState, buyer: &Buyer, units: u32) -> bool {
        if self.over {
            return false;
        }
        if let Some(slot) = self.slot(seed, buyer) {
            let row = &mut self.rows[slot as usize];
            self.sum.sub(row_hash(self.tag, row));
            row.1 = row.1.saturating_add(units);
            self.sum.add(row_hash(self.tag, row));
            return false;
        }
        let slot = u32::try_from(self.rows.len()).expect("bounded by limits");
        self.rows.push((*buyer, units));
        self.index.insert(hash(seed, buyer), slot);
        self.sum.add(row_hash(self.tag, &(*buyer, units)));
        true
    }

    /// Takes units away; says whether the buyer is gone with them. Units that were never counted (the limit came
    /// after the order had been forgotten) are none.
    pub(crate) fn sub(&mut self, seed: &FixedState, buyer: &Buyer, units: u32) -> bool {
        let Some(slot) = self.slot(seed, buyer) else {
            return false;
        };
        let row = &mut self.rows[slot as usize];
        self.sum.sub(row_hash(self.tag, row));
        if row.1 > units {
            row.1 -= units;
            self.sum.add(row_hash(self.tag, row));
            return false;
        }
        self.remove(seed, slot);
        true
    }

    /// The last row takes the place of the one that goes.
    fn remove(&mut self, seed: &FixedState, slot: u32) {
        let last = self.rows.len() as u32 - 1;
        self.index.remove(hash(seed, &self.rows[slot as usize].0), slot);
        if slot != last {
            let moved = hash(seed, &self.rows[last as usize].0);
            self.index.remove(moved, last);
            self.index.insert(moved, slot);
        }
        self.rows.swap_remove(slot as usize);
    }

    /// All rows, by buyer.
    pub(crate) fn sorted(&self) -> Vec<(Buyer, u32)> {
        let mut rows = self.rows.clone();
        rows.sort_unstable();
        rows
    }
}

fn hash(seed: &FixedState, buyer: &Buyer) -> u64 {
    seed.hash_one(u128::from_le_bytes(buyer.0))
}

fn row_hash(tag: u64, row: &(Buyer, u32)) -> u64 {
    RowHash::new(4)
        .word(tag)
        .sixteen(&row.0.0)
        .word(u64::from(row.1))
        .finish()
}
