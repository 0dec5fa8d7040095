//! The marks that a start was given: the store's word for what it has.

use tidegate_log::{Record, ShardMark};
use tidegate_shard_core::{Op, Shard};

use super::OpenError;

/// Marks that are still to be compared.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// By shard and op.
    open: Vec<ShardMark>,
}

impl Marks {
    pub(super) fn new(marks: &[ShardMark]) -> Marks {
        let mut open: Vec<ShardMark> = marks.iter().filter(|mark| mark.op > 0).copied().collect();
        open.sort_unstable_by_key(|mark| (mark.shard, mark.op));
        Marks { open }
    }

    /// Compares what a checkpoint knows: its own op, and what the store had said before it was made.
    pub(super) fn checkpointed(&mut self, at: ShardMark, shard: &Shard) -> Result<(), OpenError> {
        let (applied, chain) = shard.applied_mark();
        self.compare(at.shard, Op(at.op), at.chain)?;
        self.compare(at.shard, applied, chain)
    }

    /// Whether a mark lies in what a checkpoint holds, so that only the log itself can tell whether it is right.
    pub(super) fn need_the_log_below(&self, at: ShardMark) -> bool {
        self.open
            .iter()
            .any(|mark| mark.shard == at.shard && mark.op < at.op)
    }

    /// Compares a record of the log.
    pub(super) fn record(&mut self, record: &Record<'_>) -> Result<(), OpenError> {
        if self.open.is_empty() {
            return Ok(());
        }
        self.compare(record.shard, Op(record.op), record.chain)
    }

    fn compare(&mut self, shard: u16, op: Op, chain: u64) -> Result<(), OpenError> {
        let of = |mark: &ShardMark| mark.shard == shard && mark.op == op.0;
        if let Some(&mark) = self.open.iter().find(|mark| of(mark) && mark.chain != chain) {
            return Err(OpenError::OtherHistory { mark, chain });
        }
        self.open.retain(|mark| !of(mark));
        Ok(())
    }

    /// When all was read: every shard has reached its marks. What lies before the oldest segment cannot be compared any
    /// more; the store had said to have it, or it would be there.
    pub(super) fn reached(&self, shards: &[(Shard, Op)]) -> Result<(), OpenError> {
        for &mark in &self.open {
            let op = shards
                .get(usize::from(mark.shard))
                .map_or(0, |(shard, _)| shard.op().0);
            if mark.op > op {
                return Err(OpenError::MarkNotReached { mark, op });
            }
        }
        Ok(())
    }
}
