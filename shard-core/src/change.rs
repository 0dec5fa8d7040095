//! Stock changes that were made, by key, with the answer they got.

use crate::digest::{RowHash, RowSum};
use crate::ids::{BodyHash, KeyHash, Millis, Op};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::VecDeque;

/// A stock change and its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChangeRow {
    pub(crate) key: KeyHash,
    pub(crate) body: BodyHash,
    pub(crate) at: Millis,
    pub(crate) op: Op,
    pub(crate) sku: u32,
    pub(crate) stocked: u64,
    pub(crate) held: u64,
    pub(crate) sold: u64,
}

impl ChangeRow {
    fn hash(&self) -> u64 {
        RowHash::new(8)
            .sixteen(&self.key.0)
            .word(self.body.0)
            .word(self.at.0)
            .word(self.op.0)
            .word(u64::from(self.sku))
            .word(self.stocked)
            .word(self.held)
            .word(self.sold)
            .finish()
    }
}

/// All remembered changes, oldest first.
#[derive(Debug)]
pub(crate) struct Changes {
    rows: VecDeque<ChangeRow>,
    /// Key to the row's number since the beginning.
    index: HashMap<KeyHash, u64, FixedState>,
    forgotten: u64,
    pub(crate) sum: RowSum,
}

impl Changes {
    pub(crate) fn new(seed: FixedState) -> Changes {
        let index = HashMap::with_hasher(seed);
        Changes {
            rows: VecDeque::new(),
            index,
            forgotten: 0,
            sum: RowSum::default(),
        }
    }

    pub(crate) fn get(&self, key: &KeyHash) -> Option<&ChangeRow> {
        let number = self.index.get(key)?;
        self.rows.get((number - self.forgotten) as usize)
    }

    pub(crate) fn insert(&mut self, row: ChangeRow) {
        self.index
            .insert(row.key, self.forgotten + self.rows.len() as u64);
        self.sum.add(row.hash());
        self.rows.push_back(row);
    }

    pub(crate) fn forget(&mut self) {
        if let Some(row) = self.rows.pop_front() {
            self.index.remove(&row.key);
            self.sum.sub(row.hash());
            self.forgotten += 1;
        }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &ChangeRow> {
        self.rows.iter()
    }
}
