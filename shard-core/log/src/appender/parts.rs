//! What goes into an appender and what comes out.

use crate::aligned::AlignedBuf;
use crate::limits::{BATCH_BYTES_DEFAULT, SEGMENT_BYTES_DEFAULT};
use crate::planted::Planted;
use crate::position::{LogId, Lsn, Position, SegmentNumber, ShardOp, StartNumber};

/// What an appender begins with. After recovery take [`crate::Recovered::appender_config`]; for a new log
/// [`AppenderConfig::new`].
#[derive(Clone, Debug)]
pub struct AppenderConfig {
    /// The log.
    pub log: LogId,
    /// This start, from the manifest that is already synced.
    pub start: StartNumber,
    /// Bytes of each new segment: whole blocks, within the limits.
    pub segment_bytes: u32,
    /// Bytes past which [`Appender::is_full`] asks the engine to stop deciding.
    pub batch_bytes_max: usize,
    /// The number of the first segment to make. Every start begins a segment of its own.
    pub next_segment: SegmentNumber,
    /// The log's end, durable.
    pub durable_upto: Position,
    /// The planted fault, if any.
    pub planted: Planted,
}

impl AppenderConfig {
    /// A new log's, with default sizes.
    pub fn new(log: LogId, start: StartNumber) -> AppenderConfig {
        AppenderConfig {
            log,
            start,
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            batch_bytes_max: BATCH_BYTES_DEFAULT,
            next_segment: SegmentNumber(1),
            durable_upto: Position::START,
            planted: Planted::None,
        }
    }
}

/// Whole blocks to write at `offset` of `segment` and to sync, then to give back to [`Appender::synced`]. If write or
/// sync fails, the process stops: it is never retried.
#[derive(Debug)]
pub struct Batch {
    /// Where to write.
    pub segment: SegmentNumber,
    /// A multiple of the block size.
    pub offset: u32,
    /// A multiple of the block size long, aligned in memory.
    pub bytes: AlignedBuf,
    /// The last record in it: durable, with all before, once this is synced.
    pub last: Lsn,
    /// How many records it has; 0 for a mark.
    pub records: u32,
    /// The last op of each shard in it.
    pub ops: Vec<ShardOp>,
    /// A segment that this batch leaves behind: closed, fit to be fed from and checkpointed once this is synced.
    pub closed: Option<SegmentNumber>,
}

/// What a synced batch made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synced {
    /// All records up to this one are durable.
    pub durable: Lsn,
    /// And the log's bytes up to here.
    pub position: Position,
}
