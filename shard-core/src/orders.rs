//! Order rows: an order and its idempotency key live and are forgotten together.
//!
//! Rows lie in chunks (growing never copies them), the indexes hold slots. An open order of one line costs 120
//! bytes here, 19 in the index of keys and 16 in that of ids.

use crate::digest::RowSum;
use crate::ids::{KeyHash, Millis, Op, OrderId};
use crate::index::{IdQueue, Index};
use crate::order::OrderRow;
use crate::order_state::State;
use foldhash::fast::FixedState;
use std::collections::VecDeque;
use std::hash::BuildHasher;

const CHUNK_BITS: u32 = 8;
const CHUNK: usize = 1 << CHUNK_BITS;

/// All order rows of a shard.
#[derive(Debug)]
pub(crate) struct Orders {
    chunks: Vec<Vec<OrderRow>>,
    free: Vec<u32>,
    by_id: IdQueue,
    by_key: Index,
    /// Ended orders as (slot, ended_op), oldest first. An order that was held again leaves a stale pair behind.
    retired: VecDeque<(u32, Op)>,
    seed: FixedState,
    pub(crate) sum: RowSum,
    /// Rows that have not ended.
    pub(crate) open: u32,
    /// Rows that gather.
    pub(crate) gathering: u32,
}

impl Orders {
    pub(crate) fn new(seed: FixedState) -> Orders {
        Orders {
            chunks: Vec::new(),
            free: Vec::new(),
            by_id: IdQueue::default(),
            by_key: Index::default(),
            retired: VecDeque::new(),
            seed,
            sum: RowSum::default(),
            open: 0,
            gathering: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn row(&self, slot: u32) -> &OrderRow {
        &self.chunks[(slot >> CHUNK_BITS) as usize][slot as usize & (CHUNK - 1)]
    }

    pub(crate) fn slot(&self, id: OrderId) -> Option<u32> {
        self.by_id.find(id)
    }

    pub(crate) fn find(&self, id: OrderId) -> Option<&OrderRow> {
        self.slot(id).map(|slot| self.row(slot))
    }

    /// The slot of an order that an entry names.
    pub(crate) fn known(&self, id: OrderId) -> u32 {
        self.slot(id).expect("an entry names an order of its shard")
    }

    pub(crate) fn by_key(&self, key: &KeyHash) -> Option<&OrderRow> {
        let found = self
            .by_key
            .find(hash_key(&self.seed, key), |slot| self.row(slot).key == *key);
        found.map(|slot| self.row(slot))
    }

    pub(crate) fn insert(&mut self, row: OrderRow) -> u32 {
        let (id, key_hash) = (row.id, hash_key(&self.seed, &row.key));
        self.sum.add(row.hash());
        self.tally(&row, true);
        let slot = self.place(row);
        self.by_id.insert(id, slot);
        self.by_key.insert(key_hash, slot);
        slot
    }

    fn place(&mut self, row: OrderRow) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.chunks[(slot >> CHUNK_BITS) as usize][slot as usize & (CHUNK - 1)] = row;
            return slot;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let index = self.chunks.len() - 1;
        let chunk = &mut self.chunks[index];
        chunk.push(row);
        ((index << CHUNK_BITS) + chunk.len() - 1) as u32
    }

    /// Changes a row that stays.
    pub(crate) fn update(&mut self, slot: u32, change: impl FnOnce(&mut OrderRow)) {
        let row = &mut self.chunks[(slot >> CHUNK_BITS) as usize][slot as usize & (CHUNK - 1)];
        let (before, open, gathering) = (row.hash(), row.state.open(), row.state.gathers());
        change(row);
        self.sum.sub(before);
        self.sum.add(row.hash());
        self.open = self.open + u32::from(row.state.open()) - u32::from(open);
        self.gathering = self.gathering + u32::from(row.state.gathers()) - u32::from(gathering);
    }

    /// Ends an order: from now on it can be forgotten.
    pub(crate) fn end(&mut self, slot: u32, state: State, at: Millis, op: Op) {
        debug_assert!(state.ended());
        self.update(slot, |row| {
            row.state = state;
            row.ended_at = at;
            row.ended_op = op;
            if let Some(rare) = &mut row.rare {
                rare.closing = None;
            }
        });
        self.retired.push_back((slot, op));
        self.drop_stale();
    }

    /// Takes an ended order back among the living.
    pub(crate) fn revive(&mut self, slot: u32, state: State) {
        self.update(slot, |row| {
            row.state = state;
            row.ended_at = Millis(0);
            row.ended_op = Op(0);
        });
        self.drop_stale();
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        let row = self.row(slot);
        let (id, key_hash) = (row.id, hash_key(&self.seed, &row.key));
        self.by_id.remove(id);
        self.by_key.remove(key_hash, slot);
        let row = core::mem::replace(
            &mut self.chunks[(slot >> CHUNK_BITS) as usize][slot as usize & (CHUNK - 1)],
            OrderRow::vacant(),
        );
        self.sum.sub(row.hash());
        self.tally(&row, false);
        self.free.push(slot);
    }

    fn tally(&mut self, row: &OrderRow, added: bool) {
        let change = |count: u32, counts: bool| match (counts, added) {
            (false, _) => count,
            (true, true) => count + 1,
            (true, false) => count - 1,
        };
        self.open = change(self.open, row.state.open());
        self.gathering = change(self.gathering, row.state.gathers());
    }

    /// The oldest ended orders, oldest first.
    pub(crate) fn retired(&self) -> impl Iterator<Item = &OrderRow> {
        let fresh = |&&(slot, op): &&(u32, Op)| self.row(slot).ended_op == op;
        self.retired.iter().filter(fresh).map(|&(slot, _)| self.row(slot))
    }

    /// Forgets the oldest ended order.
    pub(crate) fn forget(&mut self) {
        self.drop_stale();
        if let Some((slot, _)) = self.retired.pop_front() {
            self.remove(slot);
        }
        self.drop_stale();
    }

    /// Keeps the front of the queue fresh, so that looking at it stays cheap.
    fn drop_stale(&mut self) {
        while let Some(&(slot, op)) = self.retired.front() {
            if self.row(slot).ended_op == op {
                return;
            }
            self.retired.pop_front();
        }
    }

    /// Rows in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &OrderRow)> {
        let chunks = self.chunks.iter().enumerate();
        let rows = chunks.flat_map(|(index, chunk)| {
            chunk
                .iter()
                .enumerate()
                .map(move |(at, row)| (((index << CHUNK_BITS) + at) as u32, row))
        });
        rows.filter(|(_, row)| row.state != State::Vacant)
    }

    /// Slots by id.
    pub(crate) fn sorted(&self) -> Vec<u32> {
        self.by_id.slots().collect()
    }

    /// Puts the queue of ended orders together after a restore.
    pub(crate) fn queue_retired(&mut self) {
        let ended = self.iter().filter(|(_, row)| row.state.ended());
        let mut queue: Vec<(Op, u32)> = ended.map(|(slot, row)| (row.ended_op, slot)).collect();
        queue.sort_unstable();
        self.retired = queue.into_iter().map(|(op, slot)| (slot, op)).collect();
    }
}

fn hash_key(seed: &FixedState, key: &KeyHash) -> u64 {
    seed.hash_one(u128::from_le_bytes(key.0))
}
