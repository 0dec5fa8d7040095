//! Which segments may be freed.

use crate::planted::Planted;
use crate::position::{SegmentNumber, ShardMark, ShardOp};
use crate::source::SegmentFile;
use crate::walk::SegmentSummary;
use std::collections::VecDeque;

/// The segments of one log and the last op of each shard in each. A segment is free when the store has applied, and a
/// checkpoint holds, every op in it; oldest first.
#[derive(Debug, Default)]
pub struct Retention {
    segments: VecDeque<Held>,
    /// The sum of their bytes.
    bytes: u64,
    /// How many of them recovery did not read: a checkpoint holds them.
    skipped: usize,
    planted: Planted,
}

#[derive(Debug)]
struct Held {
    number: SegmentNumber,
    bytes: u64,
    ops: Vec<ShardOp>,
}

impl Retention {
    /// What recovery found.
    pub fn new(segments: &[SegmentSummary], planted: Planted) -> Retention {
        let held = |s: &SegmentSummary| Held {
            number: s.number,
            bytes: u64::from(s.end),
            ops: s.ops.clone(),
        };
        let segments: VecDeque<Held> = segments.iter().map(held).collect();
        Retention {
            bytes: segments.iter().map(|held| held.bytes).sum(),
            segments,
            skipped: 0,
            planted,
        }
    }

    /// Puts segments before the others that recovery did not read: nothing in them is beyond the `marks` of the
    /// checkpoint that made that right. So they count as whole files, and may go later than they might, never earlier.
    #[must_use]
    pub fn with_skipped(mut self, skipped: &[SegmentFile], marks: &[ShardMark]) -> Retention {
        let bound = |mark: &ShardMark| ShardOp {
            shard: mark.shard,
            op: mark.op,
        };
        let mut ops: Vec<ShardOp> = marks.iter().filter(|mark| mark.op > 0).map(bound).collect();
        ops.sort_unstable_by_key(|op| op.shard);
        self.skipped = skipped.len();
        for file in skipped.iter().rev() {
            self.bytes += file.bytes;
            self.segments.push_front(Held {
                number: file.number,
                bytes: file.bytes,
                ops: ops.clone(),
            });
        }
        self
    }

    /// A batch was sealed into `segment`, ending at `end`.
    pub fn note(&mut self, segment: SegmentNumber, end: u32, ops: &[ShardOp]) {
        if self.segments.back().is_none_or(|held| held.number != segment) {
            assert!(
                self.segments.back().is_none_or(|held| held.number < segment),
                "segments rise"
            );
            self.segments.push_back(Held {
                number: segment,
                bytes: 0,
                ops: Vec::new(),
            });
        }
        let held = self.segments.back_mut().expect("just pushed");
        self.bytes += u64::from(end) - held.bytes;
        held.bytes = u64::from(end);
        for op in ops {
            match held.ops.binary_search_by_key(&op.shard, |known| known.shard) {
                Ok(at) => held.ops[at].op = held.ops[at].op.max(op.op),
                Err(at) => held.ops.insert(at, *op),
            }
        }
    }

    /// Takes out the oldest segment, if every op in it is at or below its shard's `mark` (the lower of what is applied
    /// and what a synced checkpoint holds). Never the newest: it is being written.
    pub fn pop_free(&mut self, mark: impl Fn(u16) -> u64) -> Option<SegmentNumber> {
        if self.segments.len() < 2 {
            return None;
        }
        let oldest = self.segments.front()?;
        let below = |op: &ShardOp| op.op <= mark(op.shard);
        let free = if self.planted.segment_freed_too_early() {
            oldest.ops.iter().any(below)
        } else {
            oldest.ops.iter().all(below)
        };
        if !free {
            return None;
        }
        let held = self.segments.pop_front()?;
        self.bytes -= held.bytes;
        self.skipped = self.skipped.saturating_sub(1);
        Some(held.number)
    }

    /// The oldest segment.
    pub fn oldest(&self) -> Option<SegmentNumber> {
        self.segments.front().map(|held| held.number)
    }

    /// Segments before the newest, oldest first: closed, fit to be read for a checkpoint or a feed.
    pub fn closed(&self) -> impl Iterator<Item = SegmentNumber> + '_ {
        let closed = self.segments.len().saturating_sub(1);
        self.segments.iter().take(closed).map(|held| held.number)
    }

    /// How many of the closed segments were read by recovery or written since: what the next checkpoint adds.
    pub fn closed_unskipped(&self) -> usize {
        self.segments.len().saturating_sub(1).saturating_sub(self.skipped)
    }

    /// Bytes that the log keeps: what is owed.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
