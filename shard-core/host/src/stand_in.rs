//! What `tidegate-node` is about to export; goes away with its first commit.
use tidegate_shard_core::{Op, SkuName};

/// Why a shard was not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The log owes the store more bytes than is allowed. Reserved: no.
    Backlog,
    /// The log cannot take more: its disk is full or too slow. Reserved: no.
    LogFull,
    /// Too many messages wait for other threads. Reserved: no.
    Congested,
    /// The shard is not on this thread: the caller's map of shards is old. Reserved: no.
    NotHere,
    /// The node has not started. Reserved: no.
    NotStarted,
    /// The same order is under way for too many callers: its outcome is not known here. Reserved: unknown.
    TooManyWaiting,
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
