//! Two indexes of order slots that never look at the rows when they grow.
//!
//! [`Index`] is by hash: each entry keeps 32 bits of its hash beside its slot, and the table is addressed by a function of those bits alone:
//! growing a table of a million orders then reads only the table itself (rehashing from the rows took 0.2 us an order,
//! all cache misses), and a probe touches a row only when 32 bits agree. A large index is cut into parts by the same bits.
//! Each part doubles by itself: the one table of a million orders held up its shard for 12 ms, a part does for 0.2.

use crate::ids::OrderId;
use hashbrown::HashTable;
use std::collections::VecDeque;

/// Slots by hash. An entry is 8 bytes.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// One table while it is small: a SKU's few buyers should not cost 64 tables.
    table: HashTable<Slot>,
    /// All of it once it is not, [`PARTS`] tables.
    parts: Vec<HashTable<Slot>>,
}

/// Tables of a large index. More would make more allocations of its growth and shorter pauses.
const PARTS: usize = 64;

/// Entries past which an index is cut into parts: moving them takes some 200 us, once.
const WHOLE_MAX: usize = 7168;

#[derive(Debug)]
struct Slot {
    slot: u32,
    print: u32,
}

impl Index {
    /// The slot with this hash that `is` says yes to.
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let print = print(hash);
        self.part(print)
            .find(spread(print), |entry| entry.print == print && is(entry.slot))
            .map(|entry| entry.slot)
    }

    pub(crate) fn insert(&mut self, hash: u64, slot: u32) {
        let print = print(hash);
        if self.parts.is_empty() && self.table.len() >= WHOLE_MAX {
            self.cut();
        }
        insert(self.part_mut(print), Slot { slot, print });
    }

    fn part(&self, print: u32) -> &HashTable<Slot> {
        match self.parts.is_empty() {
            true => &self.table,
            false => &self.parts[part_of(print)],
        }
    }

    fn part_mut(&mut self, print: u32) -> &mut HashTable<Slot> {
        match self.parts.is_empty() {
            true => &mut self.table,
            false => &mut self.parts[part_of(print)],
        }
    }

    fn cut(&mut self) {
        let room = WHOLE_MAX / PARTS * 2;
        self.parts = (0..PARTS).map(|_| HashTable::with_capacity(room)).collect();
        for entry in std::mem::take(&mut self.table) {
            insert(&mut self.parts[part_of(entry.print)], entry);
        }
    }

    /// Gives the room of one table back; false when there is none left. What was in it is not found any more.
    pub(crate) fn drop_part(&mut self) -> bool {
        if self.table.capacity() > 0 {
            self.table = HashTable::new();
            return true;
        }
        self.parts.pop().is_some()
    }

    pub(crate) fn remove(&mut self, hash: u64, slot: u32) {
        let print = print(hash);
        let part = self.part_mut(print);
        let entry = part.find_entry(spread(print), |entry| entry.slot == slot);
        entry.expect("every row is indexed").remove();
    }
}

/// Slots by order id. Ids only grow, so a new one goes to the end, without a hash and next to the last one; looking
/// one up is a binary search, which cancelling and paying can afford. A removed id leaves a hole.
#[derive(Debug, Default)]
pub(crate) struct IdQueue {
    entries: VecDeque<(OrderId, u32)>,
    holes: usize,
}

const HOLE: u32 = u32::MAX;

impl IdQueue {
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.holes
    }

    fn position(&self, id: OrderId) -> Option<usize> {
        self.entries.binary_search_by_key(&id, |entry| entry.0).ok()
    }

    pub(crate) fn find(&self, id: OrderId) -> Option<u32> {
        let slot = self.entries[self.position(id)?].1;
        (slot != HOLE).then_some(slot)
    }

    pub(crate) fn insert(&mut self, id: OrderId, slot: u32) {
        if self.entries.back().is_none_or(|last| last.0 < id) {
            return self.entries.push_back((id, slot));
        }
        // Only a planted bug issues an id that is not above all others.
        let at = self.entries.partition_point(|entry| entry.0 <= id);
        self.entries.insert(at, (id, slot));
    }

    pub(crate) fn remove(&mut self, id: OrderId) {
        let at = self.position(id).expect("every row is indexed");
        self.entries[at].1 = HOLE;
        self.holes += 1;
        while self.entries.front().is_some_and(|entry| entry.1 == HOLE) {
            self.entries.pop_front();
            self.holes -= 1;
        }
        // Holes behind an order that lives long: at most as many as orders, or few.
        if self.holes > self.len() + 1024 {
            self.entries.retain(|entry| entry.1 != HOLE);
            self.holes = 0;
        }
    }

    /// All slots, by id.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        self.entries
            .iter()
            .map(|entry| entry.1)
            .filter(|slot| *slot != HOLE)
    }
}

fn insert(table: &mut HashTable<Slot>, entry: Slot) {
    table.insert_unique(spread(entry.print), entry, |entry| spread(entry.print));
}

/// By bits that neither bucket nor tag of a part are taken from.
fn part_of(print: u32) -> usize {
    (spread(print) >> 40) as usize % PARTS
}

fn print(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// hashbrown takes a bucket from the low bits and a tag from the top seven: both must depend on all of the print.
fn spread(print: u32) -> u64 {
    let word = u64::from(print).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word ^ word >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(slot: u32) -> u64 {
        u64::from(slot).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn an_index_finds_the_same_before_and_after_it_is_cut_into_parts() {
        let mut index = Index::default();
        for slot in 0..3 * WHOLE_MAX as u32 {
            index.insert(hash(slot), slot);
            assert_eq!(index.parts.is_empty(), slot < WHOLE_MAX as u32);
            for known in [0, slot / 2, slot] {
                assert_eq!(index.find(hash(known), |found| found == known), Some(known));
            }
            assert_eq!(index.find(hash(slot + 1), |found| found == slot + 1), None);
        }
        for slot in (0..3 * WHOLE_MAX as u32).step_by(2) {
            index.remove(hash(slot), slot);
            assert_eq!(index.find(hash(slot), |found| found == slot), None);
            assert_eq!(
                index.find(hash(slot + 1), |found| found == slot + 1),
                Some(slot + 1)
            );
        }
        let largest = index.parts.iter().map(HashTable::len).max().unwrap();
        assert!(largest < 3 * WHOLE_MAX / PARTS, "parts are of a size: {largest}");
    }
}
