//! Segments, and the marks that free them.

use super::*;
use crate::feed::Parted;

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

    /// The store has durably applied everything of the mark's shard up to its op. A [`Feed`](crate::Feed) has compared the
    /// hash with what it handed out; what the node knows of it is compared here once more.
    ///
    /// # Errors
    /// The store says to have what is not durable here, or something else: the shard was stopped. Say so loudly.
    pub fn applied(&mut self, now: Millis, mark: ShardMark) -> Result<(), Parted> {
        let Some(at) = self.home(ShardId(mark.shard)) else {
            return Ok(());
        };
        let home = &self.homes[at];
        if self.failed || !self.started || home.stopped {
            return Ok(());
        }
        if let Err(parted) = self.compare(home, mark) {
            self.stop_shard(ShardId(mark.shard));
            return Err(parted);
        }
        let home = &mut self.homes[at];
        let op = Op(mark.op);
        if op <= home.applied {
            return Ok(());
        }
        home.applied = op;
        if op.0 < home.applied_logged.0 + self.config.applied_every || self.appender.is_full() {
            return Ok(());
        }
        home.applied_logged = op;
        if let Some(entry) = home.shard.applied(now, op, mark.chain) {
            self.record(at, &entry);
        }
        Ok(())
    }

    pub(super) fn compare(&self, home: &Home, mark: ShardMark) -> Result<(), Parted> {
        if mark.op > home.durable.0 {
            let given = home.durable.0;
            return Err(Parted::Gap { mark, given });
        }
        let (logged, logged_chain) = home.shard.applied_mark();
        let known = match mark.op {
            op if op == home.shard.op().0 => self.appender.chain(mark.shard),
            op if op == logged.0 => logged_chain,
            _ => return Ok(()),
        };
        match known == mark.chain {
            true => Ok(()),
            false => Err(Parted::OtherContent { mark, chain: known }),
        }
    }

    /// Stops one shard for good: its store and its log have parted. It takes no command but the repeat of an order that it
    /// knows, no message and no timer, until a start that was given right marks.
    pub fn stop_shard(&mut self, shard: ShardId) {
        let Some(at) = self.home(shard) else { return };
        self.homes[at].stopped = true;
        self.give_up_unpublished(at);
        self.note_timer(at);
    }

    /// Whether [`stop_shard`](Node::stop_shard) stopped it.
    pub fn is_stopped(&self, shard: ShardId) -> bool {
        self.home(shard).is_some_and(|at| self.homes[at].stopped)
    }

    /// A checkpoint to make off the hot path ([`checkpoint::run`](crate::checkpoint::run)), when one is due and none is
    /// under way. Answer with [`checkpointed`](Node::checkpointed) or [`checkpoint_failed`](Node::checkpoint_failed).
    pub fn checkpoint_due(&mut self) -> Option<CheckpointJob> {
        if self.failed || self.checkpointing || self.closed_count < self.config.checkpoint_segments {
            return None;
        }
        let upto = self.closed?;
        self.checkpointing = true;
        self.checkpoint_upto[0] = upto;
        self.closed_count = 0;
        let shards = self.homes.iter().map(|home| home.shard.id().0).collect();
        Some(CheckpointJob {
            log: self.config.log,
            shards,
            upto,
            term: self.config.term,
            planted: self.config.log_planted,
        })
    }

    /// The checkpoint and its directory are synced, and it holds each shard up to its mark.
    pub fn checkpointed(&mut self, marks: &[ShardMark]) {
        self.checkpointing = false;
        let [made, newest, _] = self.checkpoint_upto;
        self.checkpoint_upto = [made, made, newest];
        for mark in marks {
            if let Some(at) = self.home(ShardId(mark.shard)) {
                let home = &mut self.homes[at];
                home.checkpointed_before = home.checkpointed;
                home.checkpointed = Op(mark.op);
            }
        }
    }

    /// The start found a checkpoint that holds the log up to and including this segment.
    pub(crate) fn recovered_from(&mut self, segment: SegmentNumber) {
        self.checkpoint_upto[1] = segment;
    }

    /// The checkpoint was not made; the next closed segment makes one due again.
    pub fn checkpoint_failed(&mut self) {
        self.checkpointing = false;
        self.closed_count = self.config.checkpoint_segments.saturating_sub(1);
    }

    /// A segment that nobody needs any more ([`segments::free`](crate::segments::free)): the store has applied all of
    /// it, and the two newest checkpoints hold all of it.
    pub fn pop_freed(&mut self) -> Option<SegmentNumber> {
        let [_, newest, before] = self.checkpoint_upto;
        let held_upto = match self.config.planted {
            Planted::None => before,
            #[cfg(feature = "planted-bugs")]
            Planted::SegmentFreedTooEarly => SegmentNumber(u32::MAX),
            #[cfg(feature = "planted-bugs")]
            Planted::FreedByNewestCheckpoint => newest,
            #[cfg(feature = "planted-bugs")]
            _ => before,
        };
        // A start reads on from a checkpoint's last segment and misses those that are not there, also one that holds
        // nothing but marks and so nothing that a shard needs.
        debug_assert!(before <= newest);
        if self.retention.oldest()? > held_upto {
            return None;
        }
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
