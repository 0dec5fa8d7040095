//! What one shard thread tells the admin thread.

use tidegate_link::stats::{Counter, Histogram};

/// Figures of one shard thread. That thread alone writes, anyone reads. Durations are nanoseconds.
#[derive(Debug, Default)]
pub struct ThreadStats {
    /// Requests taken from the rings.
    pub requests: Counter,
    /// Requests refused because they had waited too long.
    pub shed: Counter,
    /// Entries logged (ops of all shards of the thread).
    pub ops: Counter,
    /// Batches written and synced.
    pub batches: Counter,
    /// Bytes of those batches, padding included.
    pub batch_bytes: Counter,
    /// Entries a batch.
    pub batch_ops: Histogram,
    /// Write and sync of a batch.
    pub sync: Histogram,
    /// First byte of the request to its turn at the shard.
    pub ring_wait: Histogram,
    /// Deciding and applying one request (a batch's time divided by its requests).
    pub decide: Histogram,
    /// Decided to durable.
    pub commit: Histogram,
    /// Orders whose stock is held, over the shards of the thread.
    pub open_orders: Counter,
    /// Time the thread was not asleep and not waiting for the disk.
    pub busy_ns: Counter,
    /// Time the thread waited for the disk.
    pub disk_wait_ns: Counter,
    /// CLOCK_MONOTONIC nanoseconds at which the oldest entry that is not durable was appended; 0: none. With
    /// [`Durability::Replicated`](tidegate_node::Durability) durable is what the bus has, and the figure is since when it said no more.
    /// The breaker opens when this lies a second back.
    pub oldest_unsynced_ns: Counter,
    /// Times that something became durable in that sense: batches synced, or marks of the bus.
    pub progress: Counter,
    /// Ops that the bus is not known to have, once one was heard of.
    pub unpublished_ops: Counter,
    /// Bytes of log that the store has not applied.
    pub owed_bytes: Counter,
    /// How far the thread's log is durable ([`tidegate_log::Position::to_u64`]): what a feed may read.
    pub durable_position: Counter,
    /// Shards that were stopped, since their store and their log have parted.
    pub stopped_shards: Counter,
    /// Messages sent to other shard threads.
    pub messages: Counter,
    /// Messages dropped at a bound; each costs an order the protocol's time-out.
    pub dropped_messages: Counter,
    /// Bells rung that took a syscall.
    pub bells: Counter,
    /// Times the thread went to sleep for want of work.
    pub sleeps: Counter,
    /// Times the thread dozed through a commit window.
    pub windows: Counter,
    /// Times around the loop.
    pub turns: Counter,
}
