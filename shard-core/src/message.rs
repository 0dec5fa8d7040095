//! What shards say to each other about orders over several shards.
//!
//! The home shard gathers ([`Message::Hold`]), commits by an entry of its own, and settles at the order's end.
//! Participants have no deadline: they ask again. Every message may be lost, repeated or overtaken.

use crate::command::Lines;
use crate::ids::{Buyer, Millis, OrderId};
use crate::outcome::Refusal;

/// A message between two shards. The sender is known from the envelope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// Home asks a participant to hold lines.
    Hold(Box<Hold>),
    /// Participant: held (and durable), or why not.
    HoldAnswer {
        /// Which order.
        order: OrderId,
        /// Which attempt of it.
        attempt: u8,
        /// The answer.
        result: HoldResult,
    },
    /// Home: the order ended.
    Settle {
        /// Which order.
        order: OrderId,
        /// Which attempt of it.
        attempt: u8,
        /// How it ended.
        fate: Fate,
        /// Until when a hold of the attempt may still arrive: a release that overtakes it is remembered till then.
        prepare_deadline: Millis,
    },
    /// Participant: the end is durable here.
    Settled {
        /// Which order.
        order: OrderId,
        /// Which attempt of it.
        attempt: u8,
    },
    /// Participant asks how an attempt stands.
    Ask {
        /// Which order.
        order: OrderId,
        /// Which attempt of it.
        attempt: u8,
    },
    /// Home answers a question. Sold and released bind.
    Answer {
        /// Which order.
        order: OrderId,
        /// Which attempt of it.
        attempt: u8,
        /// How it stands.
        standing: Standing,
    },
}

/// The body of [`Message::Hold`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    /// Which order; its id names the home shard.
    pub order: OrderId,
    /// 1 when the order is placed; one more each time it is held again after a late payment.
    pub attempt: u8,
    /// The home shard's term: a participant that knows a higher one refuses.
    pub term: u64,
    /// Whose order, for limits.
    pub buyer: Buyer,
    /// The lines of the participant.
    pub lines: Lines,
    /// Half-open: a hold that arrives later is refused.
    pub prepare_deadline: Millis,
}

/// The result of [`Message::Hold`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HoldResult {
    /// Held.
    Held(Part),
    /// Not held.
    Refused(Refusal),
}

/// What a participant's lines contribute to an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// Price of the lines in minor units.
    pub amount: u64,
    /// Their currency.
    pub currency: [u8; 3],
    /// Shortest hold time among them, in ms.
    pub hold_ms: u32,
}

/// How a hold ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Paid: held units become sold.
    Sold,
    /// Held units become available.
    Released,
}

/// How an attempt stands at home.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Undecided: ask again.
    Wait,
    /// Committed and unpaid: keep holding.
    Held,
    /// Ended.
    Ended(Fate),
}
