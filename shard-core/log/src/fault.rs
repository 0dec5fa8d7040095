//! What may be wrong with a log. Every one names the log, the file and the offset, and stops a start.

use crate::position::{LogId, Position, SegmentNumber};
use std::fmt;

/// A broken world: never a crash's doing, so never repaired in silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What was at `at` had been acknowledged: a later batch says that the log was durable up to `durable_upto`.
    LostAcknowledged {
        /// The log.
        log: LogId,
        /// Where the valid records end.
        at: Position,
        /// How far the log once was durable.
        durable_upto: Position,
    },
    /// Nothing is left of what followed the part of the log that a checkpoint holds; something durable did.
    EndsAtCheckpoint {
        /// The log.
        log: LogId,
        /// Where the checkpoint's part ends.
        at: Position,
    },
    /// A segment between two others is not there.
    MissingSegment {
        /// The log.
        log: LogId,
        /// The segment that a later one names as its predecessor.
        segment: SegmentNumber,
        /// That later one.
        named_by: SegmentNumber,
    },
    /// A segment's header is damaged although batches follow it.
    DamagedHeader {
        /// The log.
        log: LogId,
        /// The segment.
        segment: SegmentNumber,
    },
    /// A segment's header is sound, but of another log or of a later number than its file's name: a file was moved.
    ForeignSegment {
        /// The log.
        log: LogId,
        /// The number in the file's name.
        segment: SegmentNumber,
        /// The log in the header.
        found: LogId,
    },
    /// A segment of a format this program does not know.
    UnknownVersion {
        /// The log.
        log: LogId,
        /// The segment.
        segment: SegmentNumber,
        /// The version in its header.
        version: u32,
    },
    /// A shard's ops do not follow each other.
    OpGap {
        /// The log.
        log: LogId,
        /// The record.
        at: Position,
        /// The shard.
        shard: u16,
        /// The op that had to come.
        expected: u64,
        /// The op that came.
        found: u64,
    },
    /// A record does not name the one before, or is not the one that a checkpoint knew under its op.
    ChainBroken {
        /// The log.
        log: LogId,
        /// The record.
        at: Position,
        /// The shard.
        shard: u16,
        /// Its op.
        op: u64,
    },
}

impl Fault {
    /// The log, and the file and offset within it.
    pub fn place(&self) -> (LogId, Position) {
        match *self {
            Fault::LostAcknowledged { log, at, .. }
            | Fault::EndsAtCheckpoint { log, at }
            | Fault::OpGap { log, at, .. }
            | Fault::ChainBroken { log, at, .. } => (log, at),
            Fault::MissingSegment { log, segment, .. }
            | Fault::DamagedHeader { log, segment }
            | Fault::ForeignSegment { log, segment, .. }
            | Fault::UnknownVersion { log, segment, .. } => (log, Position::new(segment, 0)),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (log, at) = self.place();
        write!(
            f,
            "log {log}, file {}, offset {}: ",
            at.segment.file_name(),
            at.offset
        )?;
        match self {
            Fault::LostAcknowledged {
                durable_upto: upto, ..
            } => write!(
                f,
                "acknowledged data is lost: the log was durable up to file {}, offset {}",
                upto.segment.file_name(),
                upto.offset
            ),
            Fault::EndsAtCheckpoint { .. } => write!(
                f,
                "acknowledged data is lost: a checkpoint holds the log up to here, and what followed is gone"
            ),
            Fault::MissingSegment { named_by, .. } => {
                write!(f, "the file is missing, and {} follows it", named_by.file_name())
            }
            Fault::DamagedHeader { .. } => {
                write!(f, "the segment's header is damaged, and batches follow it")
            }
            Fault::ForeignSegment { found, .. } => write!(f, "the segment belongs elsewhere (log {found})"),
            Fault::UnknownVersion { version, .. } => write!(f, "format version {version} is unknown"),
            Fault::OpGap {
                shard,
                expected,
                found,
                ..
            } => {
                write!(f, "shard {shard} has op {found} where op {expected} must be")
            }
            Fault::ChainBroken { shard, op, .. } => {
                write!(f, "shard {shard}, op {op} does not continue the record before it")
            }
        }
    }
}

impl std::error::Error for Fault {}

/// Why a walk over a log ended early.
#[derive(Debug)]
pub enum WalkError<E, S> {
    /// The log is not sound.
    Fault(Fault),
    /// The disk failed.
    Read {
        /// Where (offset 0 for the listing of the segments).
        at: Position,
        /// What the source said.
        error: E,
    },
    /// The caller's visitor stopped it.
    Stopped(S),
}

impl<E: fmt::Display, S: fmt::Display> fmt::Display for WalkError<E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WalkError::Fault(fault) => fault.fmt(f),
            WalkError::Read { at, error } => {
                write!(f, "reading {} at {}: {error}", at.segment.file_name(), at.offset)
            }
            WalkError::Stopped(reason) => reason.fmt(f),
        }
    }
}
