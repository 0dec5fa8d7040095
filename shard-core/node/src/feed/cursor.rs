//! How far the feed is with one shard, and what its follower said of it.

use std::collections::VecDeque;

use tidegate_log::{Record, ShardMark};

use super::Parted;

/// One shard's place in the feed.
#[derive(Debug)]
pub(super) struct Cursor {
    /// The last record that was handed out, or the mark that the feed began with.
    last: ShardMark,
    /// The log was seen to go through `last`: a mark that the feed began with is the follower's word.
    seen: bool,
    /// Hashes of records that were handed out and are not known to be applied, by op. Those that are published may be left out.
    hashes: VecDeque<(u64, u64)>,
    /// The store's last mark.
    applied: ShardMark,
    /// The last op that the bus has, found right.
    published: u64,
    /// The bus says to have this, and reading has not come by yet.
    claim: Option<ShardMark>,
    /// Its follower cannot go on: nothing of it is handed out any more, and the other shards' records are.
    stopped: bool,
}

impl Cursor {
    pub(super) fn new(mark: ShardMark) -> Cursor {
        Cursor {
            last: mark,
            seen: mark.op == 0,
            hashes: VecDeque::new(),
            applied: mark,
            published: 0,
            claim: None,
            stopped: false,
        }
    }

    pub(super) fn last(&self) -> ShardMark {
        self.last
    }

    pub(super) fn is_seen(&self) -> bool {
        self.seen
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Nothing of the shard is handed out any more. Says how many hashes that frees.
    pub(super) fn stop(&mut self) -> usize {
        self.stopped = true;
        self.claim = None;
        std::mem::take(&mut self.hashes).len()
    }

    /// Whether the record is the one to hand out next; false for one that the follower has.
    pub(super) fn follows(&mut self, record: &Record<'_>) -> Result<bool, Parted> {
        let other = |mark, chain| Err(Parted::OtherContent { mark, chain });
        match (self.last, self.claim) {
            (last, _) if record.op < last.op => return Ok(false),
            (last, _) if record.op == last.op && record.chain != last.chain => {
                return other(last, record.chain);
            }
            (last, _) if record.op > last.op + 1 => {
                return Err(Parted::Gone {
                    shard: record.shard,
                    op: last.op,
                    oldest: record.op,
                });
            }
            (last, _) if record.op == last.op + 1 && record.previous != last.chain => {
                return other(last, record.previous);
            }
            (_, Some(claim)) if record.op == claim.op && record.chain != claim.chain => {
                return other(claim, record.chain);
            }
            _ => self.seen = true,
        }
        Ok(record.op > self.last.op)
    }

    pub(super) fn hand_out(&mut self, record: &Record<'_>) {
        self.last.op = record.op;
        self.last.chain = record.chain;
        self.hashes.push_back((record.op, record.chain));
    }

    /// The hash of a record, as far as it is remembered.
    fn chain(&self, op: u64) -> Option<u64> {
        if op == self.applied.op {
            return Some(self.applied.chain);
        }
        let at = self.hashes.binary_search_by_key(&op, |(op, _)| *op);
        at.ok().map(|at| self.hashes[at].1)
    }

    /// The store has the mark. Says how many hashes that frees.
    pub(super) fn applied(&mut self, mark: ShardMark) -> Result<usize, Parted> {
        // An older mark that comes late says nothing new, and its hash is not known any more.
        if self.stopped || mark.op < self.applied.op {
            return Ok(0);
        }
        if mark.op > self.last.op {
            let given = self.last.op;
            return Err(Parted::Gap { mark, given });
        }
        match self.chain(mark.op) {
            Some(chain) if chain != mark.chain => return Err(Parted::OtherContent { mark, chain }),
            Some(_) => {}
            // Its hash made room for others. What the bus has there was compared when it was published, the store compares each record
            // that it takes from the bus with the one before, and the next start compares the mark.
            None => debug_assert!(mark.op < self.published),
        }
        self.applied = mark;
        Ok(self.forget(mark.op))
    }

    /// The bus has the mark; true when it is news and right, so that the node may know.
    pub(super) fn published(&mut self, mark: ShardMark) -> Result<bool, Parted> {
        if self.stopped || mark.op <= self.published {
            return Ok(false);
        }
        if mark.op > self.last.op || (mark.op == self.last.op && !self.seen) {
            if self.claim.is_none_or(|claim| claim.op <= mark.op) {
                self.claim = Some(mark);
            }
            return Ok(false);
        }
        match self.chain(mark.op) {
            Some(chain) if chain != mark.chain => Err(Parted::OtherContent { mark, chain }),
            Some(_) => {
                self.published = mark.op;
                Ok(true)
            }
            // From before this feed: whatever follows in the log says more.
            None => Ok(false),
        }
    }

    /// The bus's mark that reading has just come to.
    pub(super) fn claim_reached(&mut self) -> Option<ShardMark> {
        let reached = |claim: &mut ShardMark| self.seen && claim.op <= self.last.op;
        let mark = self.claim.take_if(reached)?;
        self.published = mark.op.max(self.published);
        Some(mark)
    }

    /// Everything durable was read. What the log begins after is for the node to compare, which knows its shard's last hash.
    pub(super) fn all_read(&mut self) -> Result<Option<ShardMark>, Parted> {
        match self.claim {
            Some(mark) if mark.op > self.last.op => Err(Parted::Gap {
                mark,
                given: self.last.op,
            }),
            Some(_) => {
                self.seen = true;
                Ok(self.claim_reached())
            }
            None => Ok(None),
        }
    }

    /// Leaves the published records' hashes out, so that the bus is not held up by a store that is slow. Says how many that frees.
    pub(super) fn forget_published(&mut self) -> usize {
        self.forget(self.published.saturating_sub(1))
    }

    fn forget(&mut self, upto: u64) -> usize {
        let known = self.hashes.partition_point(|(op, _)| *op <= upto);
        self.hashes.drain(..known);
        known
    }
}
