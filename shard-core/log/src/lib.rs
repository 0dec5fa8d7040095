//! Tidegate's write-ahead log, pure: bytes in, bytes out, no file, no clock, no thread.
//!
//! A thread's shards share one log. An [`Appender`] collects their records, seals them into [`Batch`]es of whole blocks
//! for the host to write and sync, and learns from the host which are durable. [`recover`] reads a log back and says
//! what to repair; [`walk`] and [`verify`] only look. The byte layout is in `FORMAT.md`.

mod aligned;
mod appender;
mod batch;
mod chains;
mod checkpoint;
mod clock;
mod crc;
mod fault;
pub mod limits;
mod manifest;
mod planted;
mod position;
mod record;
mod recover;
mod retention;
mod segment;
mod source;
mod walk;
mod window;

pub use aligned::AlignedBuf;
pub use appender::{Appender, AppenderConfig, Batch, NewSegment, Synced};
pub use chains::Chains;
pub use checkpoint::{CheckpointError, CheckpointHead, CheckpointReader, CheckpointWriter, Section};
pub use clock::{AheadOfLog, ShardClock};
pub use fault::{Fault, WalkError};
pub use limits::BLOCK;
pub use manifest::{Layout, LogShards, Manifest, ManifestError};
pub use planted::Planted;
pub use position::{LogId, Lsn, Position, SegmentNumber, ShardMark, ShardOp, StartNumber};
pub use recover::{Recovered, RecoveryAction, RecoveryOptions, recover};
pub use retention::Retention;
pub use segment::SegmentHeader;
pub use source::{SegmentFile, SegmentSource};
pub use walk::{Record, SegmentSummary, Walked, verify, walk, walk_from};
pub use window::{Seal, Window, WindowConfig};

/// The chain hash of one record, given its parts: what a feed's mark carries beside the op. `previous` is the chain of
/// the shard's record before (0 before op 1). Independent of log, segment and offset, so it survives a move.
pub fn chain_hash(previous: u64, shard: u16, op: u64, time: u64, payload: &[u8]) -> u64 {
    record::chain_of_parts(previous, shard, op, time, payload)
}

#[cfg(test)]
mod tests;
