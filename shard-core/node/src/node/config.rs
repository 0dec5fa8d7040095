//! A node's settings.

use std::sync::Arc;

use tidegate_log::LogId;

use crate::durability::Durability;
use crate::limits;
use crate::planted::Planted;

/// What a node is told at its start.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The thread of each shard of the data directory, by shard.
    pub threads_of: Arc<[u16]>,
    /// This thread.
    pub thread: u16,
    /// The log that this thread writes.
    pub log: LogId,
    /// The start's number: the term of its shards.
    pub term: u64,
    /// After a start nothing expires for this long, in ms (DESIGN: 2 min).
    pub expiry_grace_ms: u64,
    /// Entries of a shard between two digests.
    pub digest_every: u32,
    /// Ops of a shard that the store must have applied anew before that is logged, and ended orders forgotten.
    pub applied_every: u64,
    /// What whatever leaves a shard waits for.
    pub durability: Durability,
    /// Answers that may wait for the bus before every command is refused.
    pub bus_answers_max: usize,
    /// Bytes that the log may owe before orders are refused.
    pub backlog_bytes_max: u64,
    /// Closed segments that make a checkpoint due.
    pub checkpoint_segments: u32,
    /// Order rows of all shards of this thread together, past which new orders are refused.
    pub order_rows_max: u64,
    /// A SKU's stock row is emitted at most this often, in ms.
    pub stock_every_ms: u64,
    /// The planted fault, if any.
    pub planted: Planted,
    /// The fault planted in the log, if any.
    pub log_planted: tidegate_log::Planted,
}

impl NodeConfig {
    /// The defaults, for one thread that has all `shards` shards.
    pub fn new(log: LogId, shards: u16) -> NodeConfig {
        NodeConfig {
            threads_of: vec![0; usize::from(shards)].into(),
            thread: 0,
            log,
            term: 1,
            expiry_grace_ms: 120_000,
            digest_every: limits::DIGEST_EVERY,
            applied_every: limits::APPLIED_EVERY,
            durability: Durability::Local,
            bus_answers_max: limits::BUS_ANSWERS_MAX,
            backlog_bytes_max: limits::BACKLOG_BYTES_MAX,
            checkpoint_segments: limits::CHECKPOINT_SEGMENTS,
            order_rows_max: limits::ORDER_ROWS_MAX,
            stock_every_ms: limits::STOCK_EVERY_MS,
            planted: Planted::None,
            log_planted: tidegate_log::Planted::None,
        }
    }
}
