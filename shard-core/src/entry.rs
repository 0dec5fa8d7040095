//! What is logged: the effects of decisions, never the requests.
//!
//! An entry alone, with the entries before it, determines the state after it: the time is inside, and so is what the
//! shard forgets. No setting takes part in applying one, so logs replay the same under other settings.

use crate::command::{LimitScope, Lines};
use crate::ids::{BodyHash, Buyer, ChargeId, KeyHash, Millis, Op, OrderId, ShardId, SkuName};
use crate::message::{Fate, Part};
use std::sync::Arc;

/// One operation of a shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Shard time of the decision.
    pub at: Millis,
    /// How much of what is no longer needed is forgotten together with the effect.
    pub forget: Forget,
    /// What happened.
    pub effect: Effect,
}

/// Numbers of the oldest forgettable rows to drop, 0 to [`Forget::MAX`] each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Forget {
    /// Ended orders with their keys.
    pub orders: u8,
    /// Tombstones past their deadline.
    pub tombstones: u8,
    /// Keys of stock changes.
    pub changes: u8,
}

impl Forget {
    /// Two bits each in the encoding. More than one a kind, so that forgetting outruns remembering.
    pub const MAX: u8 = 3;
    /// Nothing.
    pub const NOTHING: Forget = Forget {
        orders: 0,
        tombstones: 0,
        changes: 0,
    };
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// A process began to serve the shard; ids go on at the lease's end.
    Start {
        /// Number of the start, higher than all before.
        term: u64,
    },
    /// Ids below this time may be issued once this is durable.
    Lease {
        /// Half-open.
        until: Millis,
    },
    /// The digest of the state before this entry.
    Digest {
        /// See [`crate::Shard::digest`].
        digest: u64,
    },
    /// The store has everything up to this op.
    Applied {
        /// Highest applied op.
        op: Op,
        /// Chain hash of the record that made it, as the store has it.
        chain: u64,
    },
    /// A SKU was made or changed.
    SkuPut(Box<SkuPut>),
    /// The sale of a SKU, and every other that its buyers' units are counted with, is over: the counts go.
    SaleOver {
        /// Which SKU.
        sku: SkuName,
    },
    /// Units were added or taken away.
    StockChanged(Box<StockChanged>),
    /// An order whose lines are all of this shard.
    Placed(Placed),
    /// An order with lines on other shards began to gather holds; its own lines are held.
    Gathering(Box<Gathering>),
    /// A participant holds its lines, and others are still to answer.
    Answered {
        /// Which order.
        order: OrderId,
        /// Which attempt.
        attempt: u8,
        /// Who answered.
        from: ShardId,
        /// Its contribution.
        part: Part,
    },
    /// All participants hold: the order is placed. The point of acknowledgement.
    Committed {
        /// Which order.
        order: OrderId,
        /// Which attempt.
        attempt: u8,
        /// In minor units, of all lines.
        total: u64,
        /// ISO 4217 letters.
        currency: [u8; 3],
        /// The deadline is this many ms after the entry's time.
        hold_ms: u32,
    },
    /// The attempt is dead. A first attempt never became an order; a later one leaves the order ended.
    Aborted {
        /// Which order.
        order: OrderId,
        /// Which attempt.
        attempt: u8,
        /// Why.
        reason: AbortReason,
    },
    /// A charge will be made.
    PaymentStarted {
        /// Which order.
        order: OrderId,
        /// Which charge.
        charge: ChargeId,
    },
    /// A charge can no longer be paid.
    ChargeClosed {
        /// Which order.
        order: OrderId,
        /// Which charge.
        charge: ChargeId,
        /// The order was closing and ends with this.
        ends: Option<Ending>,
    },
    /// The order ends as soon as its open charge does, or at `until`.
    Closing {
        /// Which order.
        order: OrderId,
        /// How it will end if it is not paid.
        ending: Ending,
        /// Half-open.
        until: Millis,
    },
    /// The order ended unpaid and its stock is available again.
    Ended {
        /// Which order.
        order: OrderId,
        /// How.
        ending: Ending,
    },
    /// Paid: held units are sold.
    Confirmed {
        /// Which order.
        order: OrderId,
        /// Which charge.
        charge: ChargeId,
        /// It had expired: its units were taken from what was available (on every shard) once more.
        held_again: bool,
    },
    /// A late payment made the shard gather holds for an expired order again; its own lines are held.
    Regathering(Box<Regathering>),
    /// A charge was paid too late and is to be refunded. Ends a later attempt, if one gathers.
    RefundDue {
        /// Which order.
        order: OrderId,
        /// Which charge.
        charge: ChargeId,
    },
    /// A participant has the order's end in its log.
    Acknowledged {
        /// Which order.
        order: OrderId,
        /// Which attempt.
        attempt: u8,
        /// Who.
        from: ShardId,
    },
    /// Lines of another shard's order are held here.
    Hold(Box<HoldTaken>),
    /// A hold for another shard's order ended. Before its prepare deadline a tombstone takes its place.
    HoldSettled {
        /// Which order.
        order: OrderId,
        /// Which attempt.
        attempt: u8,
        /// How.
        fate: Fate,
    },
    /// A release came before its hold, which is refused until then.
    Tombstone {
        /// Which order.
        order: OrderId,
        /// Which attempt.
        attempt: u8,
        /// Half-open.
        until: Millis,
    },
}

/// How an unpaid order ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// By its buyer or an operator.
    Cancelled,
    /// By its deadline.
    Expired,
}

/// Why an attempt was aborted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AbortReason {
    /// A participant refused.
    Refused,
    /// A participant did not answer before the prepare deadline.
    TimedOut,
    /// The home shard restarted.
    Restarted,
    /// The lines are priced in more than one currency, or their sum is too large.
    Unpriceable,
}

/// A SKU's settings after a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SkuPut {
    /// Which SKU.
    pub sku: SkuName,
    /// Shown to people.
    pub name: Box<str>,
    /// In minor units.
    pub price: u64,
    /// ISO 4217 letters.
    pub currency: [u8; 3],
    /// Units ever put on sale.
    pub stocked: u64,
    /// Units a buyer may hold and have bought.
    pub buyer_limit: Option<u32>,
    /// What the limit counts.
    pub limit_scope: LimitScope,
    /// First moment of the sale.
    pub sale_start: Option<Millis>,
    /// First moment after the sale.
    pub sale_end: Option<Millis>,
    /// How long an unpaid order holds its stock, in ms.
    pub hold_ms: u32,
    /// Orders are refused for now.
    pub paused: bool,
}

/// A change of the units put on sale.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StockChanged {
    /// Which SKU.
    pub sku: SkuName,
    /// Units added; negative: taken away.
    pub delta: i64,
    /// Units ever put on sale, after the change.
    pub stocked: u64,
    /// Why.
    pub reason: Box<str>,
    /// Remembered for repeats.
    pub key: KeyHash,
    /// Remembered for repeats.
    pub body: BodyHash,
}

/// A new order, or the part of it that the home shard knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// Its id.
    pub order: OrderId,
    /// Whose.
    pub buyer: Buyer,
    /// The token's subject, for the store.
    pub subject: Arc<str>,
    /// Remembered for repeats.
    pub key: KeyHash,
    /// Remembered for repeats.
    pub body: BodyHash,
    /// All lines, those on other shards included.
    pub lines: Lines,
    /// In minor units; while gathering, of the home shard's lines only.
    pub total: u64,
    /// ISO 4217 letters.
    pub currency: [u8; 3],
    /// The deadline is this many ms after the entry's time.
    pub hold_ms: u32,
}

/// A new order that gathers holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gathering {
    /// The order so far.
    pub placed: Placed,
    /// The shard of each line, in the order of the lines.
    pub shards: smallvec::SmallVec<[ShardId; 4]>,
    /// The attempt dies then.
    pub prepare_deadline: Millis,
}

/// An expired order gathers holds once more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Regathering {
    /// Which order.
    pub order: OrderId,
    /// Number of the attempt, one more than the last.
    pub attempt: u8,
    /// The charge that was paid.
    pub charge: ChargeId,
    /// The attempt dies then.
    pub prepare_deadline: Millis,
}

/// Lines held for another shard's order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldTaken {
    /// Which order.
    pub order: OrderId,
    /// Which attempt.
    pub attempt: u8,
    /// The home shard's term.
    pub term: u64,
    /// Whose.
    pub buyer: Buyer,
    /// The lines held here.
    pub lines: Lines,
    /// What was answered.
    pub part: Part,
    /// No hold of this attempt is accepted from then on.
    pub prepare_deadline: Millis,
}

impl Entry {
    /// An entry that forgets nothing.
    #[must_use]
    pub fn new(at: Millis, effect: Effect) -> Entry {
        Entry {
            at,
            forget: Forget::NOTHING,
            effect,
        }
    }

    /// The kind's word, as `tidegate log dump` prints it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.effect {
            Effect::Start { .. } => "start",
            Effect::Lease { .. } => "lease",
            Effect::Digest { .. } => "digest",
            Effect::Applied { .. } => "applied",
            Effect::SkuPut(_) => "sku_put",
            Effect::SaleOver { .. } => "sale_over",
            Effect::StockChanged(_) => "stock_changed",
            Effect::Placed(_) => "placed",
            Effect::Gathering(_) => "gathering",
            Effect::Answered { .. } => "answered",
            Effect::Committed { .. } => "committed",
            Effect::Aborted { .. } => "aborted",
            Effect::PaymentStarted { .. } => "payment_started",
            Effect::ChargeClosed { .. } => "charge_closed",
            Effect::Closing { .. } => "closing",
            Effect::Ended {
                ending: Ending::Cancelled,
                ..
            } => "cancelled",
            Effect::Ended {
                ending: Ending::Expired,
                ..
            } => "expired",
            Effect::Confirmed { .. } => "confirmed",
            Effect::Regathering(_) => "regathering",
            Effect::RefundDue { .. } => "refund_due",
            Effect::Acknowledged { .. } => "acknowledged",
            Effect::Hold(_) => "hold",
            Effect::HoldSettled { .. } => "settled",
            Effect::Tombstone { .. } => "tombstone",
        }
    }

    /// The order it is about, if any.
    #[must_use]
    pub fn order(&self) -> Option<OrderId> {
        match &self.effect {
            Effect::Placed(placed) => Some(placed.order),
            Effect::Gathering(gathering) => Some(gathering.placed.order),
            Effect::Regathering(again) => Some(again.order),
            Effect::Hold(hold) => Some(hold.order),
            Effect::Answered { order, .. }
            | Effect::Committed { order, .. }
            | Effect::Aborted { order, .. }
            | Effect::PaymentStarted { order, .. }
            | Effect::ChargeClosed { order, .. }
            | Effect::Closing { order, .. }
            | Effect::Ended { order, .. }
            | Effect::Confirmed { order, .. }
            | Effect::RefundDue { order, .. }
            | Effect::Acknowledged { order, .. }
            | Effect::HoldSettled { order, .. }
            | Effect::Tombstone { order, .. } => Some(*order),
            Effect::Start { .. }
            | Effect::Lease { .. }
            | Effect::Digest { .. }
            | Effect::Applied { .. }
            | Effect::SkuPut(_)
            | Effect::SaleOver { .. }
            | Effect::StockChanged(_) => None,
        }
    }
}
