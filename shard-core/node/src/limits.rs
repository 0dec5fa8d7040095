//! Every bound of the node, with its reason.

/// Callers that wait for an order which another caller has under way. A caller costs 16 bytes and its net thread's
/// credit; the bound stands above all credits of a thread's net threads together, so it is met by a fault only.
pub const PARKED_MAX: usize = 65_536;

/// Messages that wait to leave for one other thread. At 100,000 orders/s over two shards each and 3 messages an
/// order, 8192 are 27 ms of work; what comes after is dropped, and the protocol's own timers send it again.
pub const OUTBOX_MAX: usize = 8192;

/// Messages in an outbox past which an order over several shards is refused before anything is reserved: half is
/// left to the messages of orders that were already accepted.
pub const OUTBOX_CONGESTED: usize = OUTBOX_MAX / 2;

/// Messages between shards of the same thread that wait for their turn; beyond it they are dropped as above.
pub const LOCAL_MAX: usize = 16_384;

/// Messages between shards of the same thread that one turn handles: some 100 us of work.
pub const LOCAL_PER_TURN: usize = 128;

/// Timers that one turn handles. A sale's holds expire together: 10,000 of them in one batch would hold up every
/// order behind them by some 5 ms.
pub const TIMERS_PER_TURN: usize = 128;

/// Stock rows that one turn emits; the rest follow in the next turns.
pub const STOCK_ROWS_PER_TURN: usize = 64;

/// How often a SKU's stock row is emitted at most, in ms: the edge answers with `max-age=1`.
pub const STOCK_EVERY_MS: u64 = 100;

/// Entries of a shard between two digests, unless configured otherwise: a digest is 60 bytes of log, so it adds
/// under 0.1 %.
pub const DIGEST_EVERY: u32 = 1024;

/// Bytes that the logs may owe to the store before new orders are refused, unless configured otherwise.
pub const BACKLOG_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;

/// Orders that wait for their shard's id lease to become durable: one sync's worth. Beyond it they are refused.
pub const DEFERRED_MAX: usize = 4096;

/// How often a busy shard's id lease is looked at, in ms: a lease reaches 5 s ahead and is renewed at half.
pub const LEASE_EVERY_MS: u64 = 200;

/// Ops that the store must have applied anew before that is logged: one entry in a thousand.
pub const APPLIED_EVERY: u64 = 1024;

/// Closed segments of 64 MiB that make a checkpoint due, unless configured otherwise: with two, a start replays at most
/// three segments, about a million entries and a second.
pub const CHECKPOINT_SEGMENTS: u32 = 2;

/// Order rows of a node: four million are about 1 GB of memory, and as much again while it is checkpointed.
pub const ORDER_ROWS_MAX: u64 = 4_000_000;

/// Records that a feed hands out before it waits for marks, a segment's more at most: 16 bytes each, so 16 MB, and more
/// than a store takes in one transaction.
pub const FEED_UNMARKED_MAX: usize = 1 << 20;

/// Answers that wait for the bus, past which a node refuses whatever comes, 503 and before anything is reserved. One is some 400 bytes, so
/// 25 MB; the bound stands above the credits of most layouts, which are met first.
pub const BUS_ANSWERS_MAX: usize = 65_536;

/// Messages between shards that wait for the bus; beyond it they are dropped as those of a full outbox are.
pub const BUS_SENDS_MAX: usize = OUTBOX_MAX + LOCAL_MAX;
