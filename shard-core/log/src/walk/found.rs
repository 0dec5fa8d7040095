//! What a walk shows and finds.

use crate::position::{LogId, Position, SegmentNumber, ShardOp};
use crate::source::SegmentFile;

/// One record, borrowed from the reader's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The log.
    pub log: LogId,
    /// The segment.
    pub segment: SegmentNumber,
    /// The record's first byte in it.
    pub offset: u32,
    /// The shard.
    pub shard: u16,
    /// The shard's op.
    pub op: u64,
    /// Shard time in unix milliseconds.
    pub time: u64,
    /// Chain hash of the shard's record before.
    pub previous: u64,
    /// Chain hash of this one.
    pub chain: u64,
    /// The entry, opaque here.
    pub payload: &'a [u8],
}

/// One segment that holds valid records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    /// The segment.
    pub number: SegmentNumber,
    /// Its valid bytes: up to the end of the last valid batch.
    pub end: u32,
    /// Its file's length.
    pub file_bytes: u64,
    /// Its records.
    pub records: u64,
    /// The last op of each shard in it, by shard.
    pub ops: Vec<ShardOp>,
}

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Segments that lie before where the walk began, or end there, in order; they were not read.
    pub skipped: Vec<SegmentFile>,
    /// Segments with batches, in order.
    pub segments: Vec<SegmentSummary>,
    /// Segments without a valid batch: prepared but not used, or all of whose writes were cut short.
    pub unused: Vec<SegmentNumber>,
    /// Where the valid batches end: a multiple of the block size.
    pub end: Position,
    /// How far the log says it was durable: at most `end`, and less by the last batch unless a mark followed it.
    pub durable_upto: Position,
    /// Something other than zeros follows `end` in its segment: a write that a crash cut short, or what a recycled
    /// segment held before.
    pub torn: bool,
    /// Records visited.
    pub records: u64,
    /// The latest shard time of any record; 0 without records.
    pub last_time: u64,
    /// The largest segment number seen, used or not.
    pub largest: SegmentNumber,
}
