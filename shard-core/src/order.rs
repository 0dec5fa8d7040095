//! One order at its home shard.

use crate::command::Line;
use crate::digest::RowHash;
use crate::entry::Ending;
use crate::ids::{BodyHash, Buyer, ChargeId, KeyHash, Millis, Op, OrderId, ShardId};
use crate::message::Part;
use crate::order_state::{ChargeStanding, State};

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

    pub(crate) fn hash(&self) -> u64 {
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

impl OrderRow {
    pub(crate) fn vacant() -> OrderRow {
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
