//! Reading a log from its first record to its last, and judging it.

use crate::chains::Chains;
use crate::fault::WalkError;
use crate::planted::Planted;
use crate::position::{LogId, Position, SegmentNumber, ShardOp};
use crate::source::SegmentSource;

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
    /// The last op of each shard in it.
    pub ops: Vec<ShardOp>,
}

/// What a walk found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// Segments with records, in order.
    pub segments: Vec<SegmentSummary>,
    /// Segments without a valid record: prepared but not used, or all of whose writes were cut short.
    pub unused: Vec<SegmentNumber>,
    /// Where the valid records end.
    pub end: Position,
    /// How far the log says it was durable: at most `end`.
    pub durable_upto: Position,
    /// Something other than zeros follows `end`: a write that a crash cut short, or a recycled segment's old records.
    pub torn: bool,
    /// Records visited.
    pub records: u64,
    /// The latest shard time of any record; 0 without records.
    pub last_time: u64,
    /// The largest segment number seen, used or not.
    pub largest: SegmentNumber,
}

/// Visits every valid record of a log in order; checks CRCs, chains, and that nothing acknowledged is missing.
/// A batch is visited only when all of it is valid. Streams; allocates nothing per record.
pub fn walk<S: SegmentSource, V>(
    source: &mut S,
    log: LogId,
    chains: &mut Chains,
    planted: Planted,
    visit: impl FnMut(Record<'_>) -> Result<(), V>,
) -> Result<Walked, WalkError<S::Error, V>> {
    let _ = (source, log, chains, planted, visit);
    unimplemented!()
}

/// Walks a log only to find its first fault.
pub fn verify<S: SegmentSource>(
    source: &mut S,
    log: LogId,
    chains: &mut Chains,
) -> Result<Walked, WalkError<S::Error, std::convert::Infallible>> {
    walk(source, log, chains, Planted::None, |_| Ok(()))
}
