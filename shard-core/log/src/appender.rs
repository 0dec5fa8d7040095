//! The writing end of a log: records in, batches of whole blocks out.

use crate::aligned::AlignedBuf;
use crate::chains::Chains;
use crate::limits::{BATCH_BYTES_DEFAULT, BLOCK, SEGMENT_BYTES_DEFAULT};
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
    /// The segment with the log's last record; none for a new log.
    pub previous: SegmentNumber,
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
            previous: SegmentNumber::NONE,
            durable_upto: Position::START,
            planted: Planted::None,
        }
    }
}

/// A segment to prepare, off the hot path: take a freed file or make one of `bytes` written zeros (a freed one need not
/// be zeroed), give it the name of `number`, write `header` at offset 0, sync file and directory; then call
/// [`Appender::segment_ready`]. It is asked for one segment ahead.
#[derive(Clone, Debug)]
pub struct NewSegment {
    /// Its number, and so its file's name.
    pub number: SegmentNumber,
    /// Its length.
    pub bytes: u32,
    /// Its first block.
    pub header: Box<[u8; BLOCK]>,
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
    /// A segment that this batch leaves behind: full, closed, fit to be checkpointed and fed from once this is synced.
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

/// Collects records into the batch that fills while the batch before is written.
///
/// The loop: `append…`, `seal` → write and sync the batch → `synced`. One batch is out at a time.
pub struct Appender {
    config: AppenderConfig,
}

impl Appender {
    /// An appender that continues `chains` (as recovery left them; [`Chains::strict`] of nothing for a new log).
    ///
    /// # Panics
    /// If the sizes are not within the limits.
    pub fn new(config: AppenderConfig, chains: &Chains) -> Appender {
        let _ = chains;
        Appender { config }
    }

    /// Adds a record to the batch that fills and returns its number; the record is durable once
    /// [`Appender::durable`] reaches it. `time` is the shard's, in unix milliseconds.
    ///
    /// # Panics
    /// If `op` is not the shard's last op + 1, or the payload is too long.
    pub fn append(&mut self, shard: u16, op: u64, time: u64, payload: &[u8]) -> Lsn {
        let _ = (shard, op, time, payload);
        unimplemented!()
    }

    /// The number of the last record appended.
    pub fn last(&self) -> Lsn {
        unimplemented!()
    }

    /// All records up to this one are durable.
    pub fn durable(&self) -> Lsn {
        unimplemented!()
    }

    /// The log's bytes are durable up to here.
    pub fn durable_upto(&self) -> Position {
        self.config.durable_upto
    }

    /// The chain hash of the shard's last record.
    pub fn chain(&self, shard: u16) -> u64 {
        let _ = shard;
        unimplemented!()
    }

    /// Bytes that wait to be sealed.
    pub fn pending_bytes(&self) -> usize {
        unimplemented!()
    }

    /// Records that wait to be sealed.
    pub fn pending_records(&self) -> u32 {
        unimplemented!()
    }

    /// A batch is out.
    pub fn in_flight(&self) -> bool {
        unimplemented!()
    }

    /// The engine should decide nothing more until a batch was sealed. Appending goes on to work: an entry that was
    /// applied must be logged.
    pub fn is_full(&self) -> bool {
        unimplemented!()
    }

    /// A segment to prepare, once each. Ask after every seal, and at the start.
    pub fn need_segment(&mut self) -> Option<NewSegment> {
        unimplemented!()
    }

    /// The segment was prepared: header and directory are synced.
    ///
    /// # Panics
    /// If it is not the one asked for.
    pub fn segment_ready(&mut self, number: SegmentNumber) {
        let _ = number;
        unimplemented!()
    }

    /// Closes the batch that fills. `None` when nothing pends, a batch is out, or it needs a segment that is not ready.
    pub fn seal(&mut self) -> Option<Batch> {
        unimplemented!()
    }

    /// A batch of no records that only carries how far the log is durable, for an idle log and a clean stop: without it
    /// damage to the last batch cannot be told from a write that a crash cut short. Needs nothing pending, none out.
    /// `None` too when nothing was written since the last mark.
    pub fn seal_mark(&mut self) -> Option<Batch> {
        unimplemented!()
    }

    /// The batch is written and synced.
    ///
    /// # Panics
    /// If it is not the one that is out.
    pub fn synced(&mut self, batch: Batch) -> Synced {
        let _ = batch;
        unimplemented!()
    }

    /// Where the next batch begins, and so the segment that is written now.
    pub fn position(&self) -> Position {
        unimplemented!()
    }
}
