//! What leaves a node.

use tidegate_shard_core::{Message, Op, Outcome, ShardId, SkuName};

/// The caller's own number for a command; comes back with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// How a command ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The shard's answer; what it depends on is durable.
    Decided(Outcome),
    /// The shard was not asked.
    Unavailable(Unavailable),
}

/// Why a shard was not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The log owes the store more bytes than is allowed, or too many answers wait for the bus. Reserved: no.
    Backlog,
    /// The log cannot take more: its disk is full or too slow. Reserved: no.
    LogFull,
    /// Too many messages wait for other threads. Reserved: no.
    Congested,
    /// The shard is not on this thread: the caller's map of shards is old. Reserved: no.
    NotHere,
    /// The node has not started. Reserved: no.
    NotStarted,
    /// The shard was stopped: its store and its log have parted. Reserved: no.
    Stopped,
    /// What was decided will not be published any more: its shard was stopped meanwhile. Reserved: unknown.
    NotPublished,
    /// The same order is under way for too many callers: its outcome is not known here. Reserved: unknown.
    TooManyWaiting,
}

impl Unavailable {
    /// Whether something may be reserved: `Some(false)` certainly not, `None` unknown.
    pub fn reserved(self) -> Option<bool> {
        match self {
            Unavailable::TooManyWaiting | Unavailable::NotPublished => None,
            _ => Some(false),
        }
    }
}

/// The stock of one SKU at a durable op of its shard: `stocked = available + held + sold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StockRow {
    /// Which SKU.
    pub sku: SkuName,
    /// The op at which the figures were so. Rows of one SKU leave in the order of their ops.
    pub op: Op,
    /// Units ever put on sale.
    pub stocked: u64,
    /// Units that can be ordered.
    pub available: u64,
    /// Units in unpaid orders.
    pub held: u64,
    /// Units in paid orders.
    pub sold: u64,
}

/// Something for a net thread, which may leave now.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// The answer to a command: exactly one for each, unless the node fails.
    Reply {
        /// The command's.
        ticket: Ticket,
        /// The shard's op that the answer depends on; op 0 when it depends on none.
        op: Op,
        /// How it ended.
        answer: Answer,
    },
    /// A SKU's stock changed.
    Stock(StockRow),
}

/// A message on its way from shard to shard.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// The sender.
    pub from: ShardId,
    /// The receiver.
    pub to: ShardId,
    /// The sender's op that the message depends on.
    pub op: Op,
    /// What is said.
    pub message: Message,
}
