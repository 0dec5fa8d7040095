//! Units a buyer holds and has bought, per limited SKU or group. They outlive the orders.

use crate::digest::{RowHash, RowSum};
use crate::ids::Buyer;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::hash::BuildHasher;

/// The counts of one SKU or one group. A row is 20 bytes.
#[derive(Debug, Default)]
pub(crate) struct BuyerCounts {
    rows: HashTable<(Buyer, u32)>,
    /// Tells the counts of different SKUs and groups apart in the digest.
    tag: u64,
    pub(crate) sum: RowSum,
}

impl BuyerCounts {
    pub(crate) fn new(tag: u64) -> BuyerCounts {
        BuyerCounts {
            tag,
            ..BuyerCounts::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn units(&self, seed: &FixedState, buyer: &Buyer) -> Option<u32> {
        self.rows
            .find(hash(seed, buyer), |row| row.0 == *buyer)
            .map(|row| row.1)
    }

    /// Adds units; says whether the buyer is new here.
    pub(crate) fn add(&mut self, seed: &FixedState, buyer: &Buyer, units: u32) -> bool {
        match self
            .rows
            .entry(hash(seed, buyer), |row| row.0 == *buyer, |row| hash(seed, &row.0))
        {
            Entry::Occupied(mut row) => {
                let row = row.get_mut();
                self.sum.sub(row_hash(self.tag, row));
                row.1 = row.1.saturating_add(units);
                self.sum.add(row_hash(self.tag, row));
                false
            }
            Entry::Vacant(place) => {
                self.sum.add(row_hash(self.tag, &(*buyer, units)));
                place.insert((*buyer, units));
                true
            }
        }
    }

    /// Takes units away; says whether the buyer is gone with them. Units that were never counted (the limit came
    /// after the order had been forgotten) are none.
    pub(crate) fn sub(&mut self, seed: &FixedState, buyer: &Buyer, units: u32) -> bool {
        let Ok(mut row) = self.rows.find_entry(hash(seed, buyer), |row| row.0 == *buyer) else {
            return false;
        };
        self.sum.sub(row_hash(self.tag, row.get()));
        if row.get().1 <= units {
            row.remove();
            return true;
        }
        row.get_mut().1 -= units;
        self.sum.add(row_hash(self.tag, row.get()));
        false
    }

    /// All rows, by buyer.
    pub(crate) fn sorted(&self) -> Vec<(Buyer, u32)> {
        let mut rows: Vec<(Buyer, u32)> = self.rows.iter().copied().collect();
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
