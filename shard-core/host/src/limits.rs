//! The bounds of the host, each with its reason.

/// Requests taken from one ring before the next ring has its turn: at 1 us each it keeps a batch below the
/// length of a sync, so that no net thread starves another.
pub const DRAIN_MAX: usize = 256;

/// Slots of a ring between two shard threads. A cross-shard order costs at most three messages a
/// participant each way; what does not fit waits in the sender's own queue.
pub const PEER_SLOTS: usize = 4096;

/// The longest an idle shard thread sleeps without a look at its queues and the clock, in milliseconds: a
/// wall-clock slew and the breaker's figures stay fresh at four wake-ups a second.
pub const IDLE_MS_MAX: u64 = 250;

/// How long `stop` waits for requests under way, in milliseconds; the edge's drain is 10 s.
pub const STOP_MS_MAX: u64 = 10_000;

/// An idle log writes its mark (how far it is durable) this long after its last batch, in nanoseconds: late
/// enough that an order a second does not cost two commits.
pub const MARK_AFTER_NS: u64 = 2_000_000_000;

/// The most requests one net thread may have under way at one shard thread, whatever is configured: a reply
/// ring has twice as many slots of some 300 bytes.
pub const CREDITS_MAX: usize = 1 << 16;

/// How late a timed sleep may end, in nanoseconds: a thirtieth of the window, and the kernel may still put
/// two wake-ups together.
pub const TIMER_SLACK_NS: u64 = 10_000;

/// Records of a batch past which it is written although net threads are at work: a commit costs some 120 us of
/// CPU, so 2 us an order at 64. The same as the log's window has.
pub const BATCH_OPEN_RECORDS: u32 = 64;

/// Bytes of closed segments that make a checkpoint due, unless configured otherwise: 1.3 million orders, which a start replays in
/// about a second. A checkpoint reads and writes every open order again, so at 32 MiB it took an eighth of a busy core.
pub const CHECKPOINT_BYTES: u64 = 256 << 20;

/// Bytes of closed segments that are scrubbed a second, unless configured otherwise: 8 GiB in half an hour for a
/// thousandth of a core.
pub const SCRUB_BYTES_PER_S: u64 = 4 << 20;
