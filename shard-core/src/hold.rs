//! Lines held here for orders of other shards, and the tombstones of attempts that must not be held any more.

use crate::digest::{RowHash, RowSum};
use crate::ids::{Buyer, Millis, OrderId, ShardId};
use crate::message::Part;
use crate::order::RowLine;
use std::collections::{BTreeMap, BTreeSet};

/// An attempt of an order.
pub(crate) type AttemptId = (OrderId, u8);

/// A hold for another shard's order.
#[derive(Debug)]
pub(crate) struct HoldRow {
    pub(crate) buyer: Buyer,
    pub(crate) lines: Box<[RowLine]>,
    pub(crate) part: Part,
    pub(crate) prepare_deadline: Millis,
}

impl HoldRow {
    fn hash(&self, (order, attempt): AttemptId) -> u64 {
        let start = RowHash::new(5)
            .word(order.0)
            .word(u64::from(attempt))
            .sixteen(&self.buyer.0)
            .word(self.part.amount)
            .bytes(&self.part.currency)
            .word(u64::from(self.part.hold_ms))
            .word(self.prepare_deadline.0);
        self.lines
            .iter()
            .fold(start, |hash, line| hash.two(line.sku, line.qty))
            .finish()
    }
}

/// Ordered maps: a snapshot needs the order anyway, and orders over several shards are few.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    rows: BTreeMap<AttemptId, HoldRow>,
    tombstones: BTreeMap<AttemptId, Millis>,
    oldest: BTreeSet<(Millis, AttemptId)>,
    /// The highest term each home shard was seen with.
    terms: BTreeMap<ShardId, u64>,
    pub(crate) sum: RowSum,
}

impl Holds {
    /// Holds and tombstones: each hold becomes at most one tombstone.
    pub(crate) fn len(&self) -> usize {
        self.rows.len() + self.tombstones.len()
    }

    pub(crate) fn get(&self, id: AttemptId) -> Option<&HoldRow> {
        self.rows.get(&id)
    }

    pub(crate) fn tombstone(&self, id: AttemptId) -> bool {
        self.tombstones.contains_key(&id)
    }

    pub(crate) fn term(&self, home: ShardId) -> u64 {
        self.terms.get(&home).copied().unwrap_or(0)
    }

    pub(crate) fn note_term(&mut self, home: ShardId, term: u64) {
        let known = self.terms.entry(home).or_insert(0);
        if *known < term {
            self.sum.sub(term_hash(home, *known));
            *known = term;
            self.sum.add(term_hash(home, term));
        }
    }

    pub(crate) fn insert(&mut self, id: AttemptId, row: HoldRow) {
        self.sum.add(row.hash(id));
        let old = self.rows.insert(id, row);
        assert!(old.is_none(), "an attempt is held once");
    }

    pub(crate) fn remove(&mut self, id: AttemptId) -> HoldRow {
        let row = self.rows.remove(&id).expect("an entry names a hold of its shard");
        self.sum.sub(row.hash(id));
        row
    }

    pub(crate) fn bury(&mut self, id: AttemptId, until: Millis) {
        if self.tombstones.insert(id, until).is_none() {
            self.oldest.insert((until, id));
            self.sum.add(tombstone_hash(id, until));
        }
    }

    /// Tombstones by deadline, the oldest first.
    pub(crate) fn oldest(&self) -> impl Iterator<Item = Millis> {
        self.oldest.iter().map(|(until, _)| *until)
    }

    pub(crate) fn forget_tombstone(&mut self) {
        if let Some((until, id)) = self.oldest.pop_first() {
            self.tombstones.remove(&id);
            self.sum.sub(tombstone_hash(id, until));
        }
    }

    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = (&AttemptId, &HoldRow)> + DoubleEndedIterator {
        self.rows.iter()
    }

    pub(crate) fn tombstones(
        &self,
    ) -> impl ExactSizeIterator<Item = (&AttemptId, &Millis)> + DoubleEndedIterator {
        self.tombstones.iter()
    }

    pub(crate) fn terms(&self) -> impl ExactSizeIterator<Item = (&ShardId, &u64)> + DoubleEndedIterator {
        self.terms.iter()
    }
}

fn tombstone_hash((order, attempt): AttemptId, until: Millis) -> u64 {
    RowHash::new(6)
        .word(order.0)
        .word(u64::from(attempt))
        .word(until.0)
        .finish()
}

fn term_hash(home: ShardId, term: u64) -> u64 {
    if term == 0 {
        0
    } else {
        RowHash::new(7).word(u64::from(home.0)).word(term).finish()
    }
}
