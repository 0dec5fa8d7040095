//! Every bound of the log, with its reason.

/// Bytes of a block: the unit of O_DIRECT writes and the smallest the disk may tear. 4 KiB is what NVMe and ext4 use.
pub const BLOCK: usize = 4096;

/// Bytes of one record's payload at most. An entry of 16 lines is below 2 KiB; a snapshot goes to a checkpoint, not here.
pub const PAYLOAD_BYTES_MAX: usize = 60 * 1024;

/// Bytes of one batch at most, header and padding included. Writing 1 MiB takes under a millisecond; a larger batch
/// would only add to the wait of its first record. Recovery's window is sized by it.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a batch past which the engine should stop deciding until one is written, unless configured otherwise:
/// 256 KiB is some 1,300 orders, more than a sync of 1 ms can see at 1M orders/s.
pub const BATCH_BYTES_DEFAULT: usize = 256 * 1024;

/// Bytes of a segment at least: its header and three blocks of batches. For tests; it bounds the payload too.
pub const SEGMENT_BYTES_MIN: u32 = 4 * BLOCK as u32;

/// Bytes of a segment unless configured otherwise: five minutes of 1,000 orders/s; pre-allocating it takes some 50 ms.
pub const SEGMENT_BYTES_DEFAULT: u32 = 64 * 1024 * 1024;

/// Bytes of a segment at most: an offset is 32 bits, of which half are enough for anyone who recycles.
pub const SEGMENT_BYTES_MAX: u32 = 1 << 31;

/// Shards of a data directory at most: the 10-bit worker field of a snowflake id.
pub const SHARDS_MAX: u16 = 1024;

/// Bytes that recovery asks for at a time.
pub const READ_BYTES: usize = 1024 * 1024;

/// Layouts of threads that a manifest remembers at most. An old one goes once its logs are applied.
pub const LAYOUTS_MAX: usize = 64;

/// Logs (threads) of one layout at most: no more threads than shards.
pub const LOGS_MAX: usize = SHARDS_MAX as usize;

/// Bytes of a manifest at most: 64 layouts of 1024 logs of one shard each are far below.
pub const MANIFEST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of one shard's snapshot at most: 1M open orders are some 250 MB; four times that is a fault, not a shard.
pub const SNAPSHOT_BYTES_MAX: u64 = 1 << 30;
