//! Segments, and the marks that free them.

use super::*;

impl Node {
    /// A segment to prepare off the hot path ([`segments::prepare`](crate::segments::prepare)), once each.
    pub fn need_segment(&mut self) -> Option<NewSegment> {
        if self.failed {
            None
        } else {
            self.appender.need_segment()
        }
    }

    /// The segment is prepared.
    pub fn segment_ready(&mut self, number: SegmentNumber) {
        self.no_room = false;
        self.appender.segment_ready(number);
    }

    /// The next segment cannot be prepared, the disk is full: nothing new is let in until
    /// [`segment_ready`](Node::segment_ready).
    pub fn no_room(&mut self) {
        self.no_room = true;
    }

    /// The store has durably applied everything of the shard up to `op`.
    pub fn applied(&mut self, now: Millis, shard: ShardId, op: Op) {
        let Some(at) = self.home(shard) else { return };
        let home = &mut self.homes[at];
        if self.failed || !self.started || op <= home.applied || op > home.shard.op() {
            return;
        }
        home.applied = op;
        if op.0 < home.applied_logged.0 + self.config.applied_every || self.appender.is_full() {
            return;
        }
        home.applied_logged = op;
        if let Some(entry) = home.shard.applied(now, op) {
            self.record(at, &entry);
        }
    }

    /// A checkpoint to make off the hot path ([`checkpoint::run`](crate::checkpoint::run)), when one is due and none is
    /// under way. Answer with [`checkpointed`](Node::checkpointed) or [`checkpoint_failed`](Node::checkpoint_failed).
    pub fn checkpoint_due(&mut self) -> Option<CheckpointJob> {
        if self.failed || self.checkpointing || self.closed_count < self.config.checkpoint_segments {
            return None;
        }
        self.checkpointing = true;
        self.closed_count = 0;
        let shards = self.homes.iter().map(|home| home.shard.id().0).collect();
        Some(CheckpointJob {
            log: self.config.log,
            shards,
            upto: self.closed?,
            term: self.config.term,
            planted: self.config.log_planted,
        })
    }

    /// The checkpoint and its directory are synced, and it holds each shard up to its mark.
    pub fn checkpointed(&mut self, marks: &[ShardMark]) {
        self.checkpointing = false;
        for mark in marks {
            if let Some(at) = self.home(ShardId(mark.shard)) {
                let home = &mut self.homes[at];
                home.checkpointed_before = home.checkpointed;
                home.checkpointed = Op(mark.op);
            }
        }
    }

    /// The checkpoint was not made; the next closed segment makes one due again.
    pub fn checkpoint_failed(&mut self) {
        self.checkpointing = false;
        self.closed_count = self.config.checkpoint_segments.saturating_sub(1);
    }

    /// A segment that nobody needs any more ([`segments::free`](crate::segments::free)): the store has applied all of
    /// it, and the two newest checkpoints hold all of it.
    pub fn pop_freed(&mut self) -> Option<SegmentNumber> {
        let (homes, home_of, planted) = (&self.homes, &self.home_of, self.config.planted);
        let freed = self.retention.pop_free(|shard| {
            let home = &homes[usize::from(home_of[usize::from(shard)])];
            needless_upto(home, planted)
        })?;
        self.owed_bytes = self.retention.bytes() + self.old_bytes;
        Some(freed)
    }

    /// This thread's share of the bytes that logs of earlier layouts keep for the store: they count against the
    /// backlog, so that it bounds the data directory and not only the log of today.
    pub fn set_old_bytes(&mut self, bytes: u64) {
        self.old_bytes = bytes;
        self.owed_bytes = self.retention.bytes() + bytes;
    }

    /// How far the store has applied a shard of this thread since the start.
    pub fn applied_upto(&self, shard: ShardId) -> Option<Op> {
        self.home(shard).map(|at| self.homes[at].applied)
    }
}

/// The last op that neither the store nor the next start needs from the log, even if it finds the newest checkpoint
/// damaged.
fn needless_upto(home: &Home, planted: Planted) -> u64 {
    match planted {
        Planted::None => home.applied.min(home.checkpointed_before).0,
        #[cfg(feature = "planted-bugs")]
        Planted::SegmentFreedTooEarly => home.applied.0,
        #[cfg(feature = "planted-bugs")]
        Planted::FreedByNewestCheckpoint => home.applied.min(home.checkpointed).0,
        #[cfg(feature = "planted-bugs")]
        _ => home.applied.min(home.checkpointed_before).0,
    }
}
