//! Order rows: an order and its idempotency key live and are forgotten together.
//!
//! Rows lie in chunks (growing never copies them), the indexes hold slots. An open order of one line costs 120
//! bytes here, 19 in the index of keys and 16 in that of ids.

use crate::command::Line;
use crate::digest::{RowHash, RowSum};
use crate::entry::Ending;
use crate::ids::{BodyHash, Buyer, ChargeId, KeyHash, Millis, Op, OrderId, ShardId};
use crate::index::{IdQueue, Index};
use crate::message::Part;
use crate::order_state::{ChargeStanding, State};
use foldhash::fast::FixedState;
use std::collections::VecDeque;
use std::hash::BuildHasher;

/// A line of the shard that has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RowLine {
    pub(crate) sku: u32,
    pub(crate) qty: u32,
}

/// Most orders have one line.
#[derive(Debug)]
pub(crate) enum RowLines {
    One(RowLine),
    Many(Box<[RowLine]>),
}

impl RowLines {
    pub(crate) fn new(mut lines: impl ExactSizeIterator<Item = RowLine>) -> RowLines {
        match (lines.len(), lines.next()) {
            (1, Some(line)) => RowLines::One(line),
            (_, first) => RowLines::Many(first.into_iter().chain(lines).collect()),
        }
    }

    pub(crate) fn as_slice(&self) -> &[RowLine] {
        match self {
            RowLines::One(line) => core::slice::from_ref(line),
            RowLines::Many(lines) => lines,
        }
    }
}

/// One order at its home shard.
#[derive(Debug)]
pub(crate) struct OrderRow {
    pub(crate) id: OrderId,
    pub(crate) key: KeyHash,
    pub(crate) buyer: Buyer,
    pub(crate) body: BodyHash,
    pub(crate) total: u64,
    pub(crate) placed_at: Millis,
    /// 0 while it has not ended.
    pub(crate) ended_at: Millis,
    /// 0 while it has not ended.
    pub(crate) ended_op: Op,
    /// The lines of this shard.
    pub(crate) lines: RowLines,
    /// What most orders do not have.
    pub(crate) rare: Option<Box<Rare>>,
    pub(crate) hold_ms: u32,
    pub(crate) currency: [u8; 3],
    pub(crate) state: State,
}

/// Payments, a closing, other shards.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    pub(crate) charges: Vec<Charge>,
    pub(crate) closing: Option<(Ending, Millis)>,
    pub(crate) cross: Option<Cross>,
}

/// A charge of an order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charge {
    pub(crate) id: ChargeId,
    pub(crate) standing: ChargeStanding,
}

/// What the home shard knows about the other shards of an order.
#[derive(Debug)]
pub(crate) struct Cross {
    pub(crate) attempt: u8,
    pub(crate) prepare_deadline: Millis,
    /// The charge that a later attempt is for.
    pub(crate) charge: Option<ChargeId>,
    pub(crate) parts: Vec<Participant>,
}

/// One other shard of an order.
#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) shard: ShardId,
    pub(crate) lines: Vec<Line>,
    /// It holds its lines for the attempt.
    pub(crate) held: Option<Part>,
    /// It has the attempt's end in its log.
    pub(crate) acknowledged: bool,
}

impl Cross {
    pub(crate) fn part(&self, shard: ShardId) -> Option<&Participant> {
        self.parts.iter().find(|part| part.shard == shard)
    }

    pub(crate) fn part_mut(&mut self, shard: ShardId) -> Option<&mut Participant> {
        self.parts.iter_mut().find(|part| part.shard == shard)
    }

    pub(crate) fn settled(&self) -> bool {
        self.parts.iter().all(|part| part.acknowledged)
    }
}

impl OrderRow {
    pub(crate) fn pay_by(&self) -> Millis {
        self.placed_at.after(u64::from(self.hold_ms))
    }

    pub(crate) fn cross(&self) -> Option<&Cross> {
        self.rare.as_ref()?.cross.as_ref()
    }

    pub(crate) fn closing(&self) -> Option<(Ending, Millis)> {
        self.rare.as_ref()?.closing
    }

    pub(crate) fn charges(&self) -> &[Charge] {
        self.rare.as_ref().map_or(&[], |rare| &rare.charges)
    }

    pub(crate) fn charge(&self, id: &ChargeId) -> Option<ChargeStanding> {
        self.charges()
            .iter()
            .find(|charge| charge.id == *id)
            .map(|charge| charge.standing)
    }

    pub(crate) fn charge_in(&self, standing: ChargeStanding) -> Option<ChargeId> {
        self.charges()
            .iter()
            .find(|charge| charge.standing == standing)
            .map(|charge| charge.id)
    }

    /// Sets a charge's standing; remembers the charge if it is new.
    pub(crate) fn set_charge(&mut self, id: ChargeId, standing: ChargeStanding) {
        let charges = &mut self.rare.get_or_insert_default().charges;
        match charges.iter_mut().find(|charge| charge.id == id) {
            Some(charge) => charge.standing = standing,
            None => charges.push(Charge { id, standing }),
        }
    }

    /// Other shards have yet to acknowledge how the order ended.
    pub(crate) fn unsettled(&self) -> bool {
        self.state.ended() && self.cross().is_some_and(|cross| !cross.settled())
    }

    fn hash(&self) -> u64 {
        let mut hash = RowHash::new(3)
            .word(self.id.0)
            .sixteen(&self.key.0)
            .sixteen(&self.buyer.0)
            .word(self.body.0)
            .word(self.total)
            .word(self.placed_at.0)
            .word(self.ended_at.0)
            .word(self.ended_op.0)
            .two(
                u32::from_le_bytes([
                    self.currency[0],
                    self.currency[1],
                    self.currency[2],
                    self.state as u8,
                ]),
                self.hold_ms,
            );
        for line in self.lines.as_slice() {
            hash = hash.two(line.sku, line.qty);
        }
        match &self.rare {
            None => hash.finish(),
            Some(rare) => rare.hash(hash).finish(),
        }
    }
}

impl Rare {
    fn hash(&self, mut hash: RowHash) -> RowHash {
        for charge in &self.charges {
            hash = hash.bytes(charge.id.as_bytes()).word(charge.standing as u64);
        }
        if let Some((ending, until)) = self.closing {
            hash = hash.word(until.0).word(ending as u64);
        }
        let Some(cross) = &self.cross else { return hash };
        hash = hash.word(u64::from(cross.attempt)).word(cross.prepare_deadline.0);
        hash = hash.bytes(cross.charge.as_ref().map_or(&[], ChargeId::as_bytes));
        for part in &cross.parts {
            hash = hash.two(u32::from(part.shard.0), u32::from(part.acknowledged));
            hash = hash.word(part.held.map_or(u64::MAX, |held| held.amount));
            for line in &part.lines {
                hash = hash.bytes(line.sku.as_bytes()).word(u64::from(line.qty));
            }
        }
        hash
    }
}

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

impl OrderRow {
    fn vacant() -> OrderRow {
        OrderRow {
            id: OrderId(0),
            key: KeyHash([0; 16]),
            buyer: Buyer([0; 16]),
            body: BodyHash(0),
            total: 0,
            placed_at: Millis(0),
            ended_at: Millis(0),
            ended_op: Op(0),
            lines: RowLines::One(RowLine { sku: 0, qty: 0 }),
            rare: None,
            hold_ms: 0,
            currency: [0; 3],
            state: State::Vacant,
        }
    }
}

fn hash_key(seed: &FixedState, key: &KeyHash) -> u64 {
    seed.hash_one(u128::from_le_bytes(key.0))
}
