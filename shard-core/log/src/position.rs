//! Names for places in a log.

use crate::limits::BLOCK;
use std::fmt;

/// A log's identity: random, drawn when its thread layout is made, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(pub u64);

impl fmt::Display for LogId {
    /// Sixteen hexadecimal digits: also the name of the log's directory.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::str::FromStr for LogId {
    type Err = ();

    fn from_str(text: &str) -> Result<LogId, ()> {
        let digits = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !digits {
            return Err(());
        }
        u64::from_str_radix(text, 16).map(LogId).map_err(|_| ())
    }
}

/// The number of a start of the process on this data directory: the manifest counts it, synced, before a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartNumber(pub u64);

/// The number of a segment within its log: rising, never reused. Zero is no segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SegmentNumber(pub u32);

impl SegmentNumber {
    /// No segment: what comes before a log's first.
    pub const NONE: SegmentNumber = SegmentNumber(0);

    /// The next number.
    ///
    /// # Panics
    /// After 4 billion segments.
    #[must_use]
    pub fn next(self) -> SegmentNumber {
        SegmentNumber(self.0.checked_add(1).expect("a log has fewer than 2^32 segments"))
    }

    /// The name of the segment's file within its log's directory: ten digits and `.seg`.
    pub fn file_name(self) -> String {
        format!("{:010}.seg", self.0)
    }

    /// The number in a file's name, if it is a segment's.
    pub fn from_file_name(name: &str) -> Option<SegmentNumber> {
        let digits = name.strip_suffix(".seg")?;
        if digits.len() != 10 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().filter(|&n| n != 0).map(SegmentNumber)
    }
}

impl fmt::Display for SegmentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A byte position in one log: segment, then offset. Ordered as the log is, because segment numbers rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The segment.
    pub segment: SegmentNumber,
    /// Bytes from the segment's start.
    pub offset: u32,
}

impl Position {
    /// Before everything.
    pub const START: Position = Position {
        segment: SegmentNumber::NONE,
        offset: 0,
    };

    /// A position.
    pub fn new(segment: SegmentNumber, offset: u32) -> Position {
        Position { segment, offset }
    }

    /// As it is written: segment in the upper 32 bits, offset in the lower.
    pub fn to_u64(self) -> u64 {
        u64::from(self.segment.0) << 32 | u64::from(self.offset)
    }

    /// The inverse of [`Position::to_u64`].
    pub fn from_u64(raw: u64) -> Position {
        Position {
            segment: SegmentNumber((raw >> 32) as u32),
            offset: raw as u32,
        }
    }
}

/// The place of a record in the order of one appender: 1 for the first since its start. In memory only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

/// The last record of a shard within something (a batch, a segment).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardOp {
    /// The shard.
    pub shard: u16,
    /// Its last op there.
    pub op: u64,
}

/// How far a shard's history is known: an op and the chain hash of the record that made it. Op 0 has chain 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardMark {
    /// The shard.
    pub shard: u16,
    /// The op; 0 before the first.
    pub op: u64,
    /// Chain hash of the record with that op; 0 for op 0.
    pub chain: u64,
}

/// `bytes` rounded up to whole blocks.
pub(crate) fn blocks_up(bytes: usize) -> usize {
    bytes.next_multiple_of(BLOCK)
}
