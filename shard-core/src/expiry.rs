//! What is due when. Volatile: it is put together again from the rows after a restore.

use crate::hold::AttemptId;
use crate::ids::{Millis, OrderId};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something a shard does by itself, apart from expiring orders.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Chore {
    /// Home: an attempt that still gathers is aborted.
    GatherTimeout(OrderId),
    /// Home: participants that did not acknowledge hear the outcome again, and after `wait_ms` once more.
    Resend { order: OrderId, wait_ms: u64 },
    /// The counts of the buyers of a SKU (by slot) may go: its sale is over.
    SaleEnd(u32),
    /// Participant: home is asked about an attempt, and after `wait_ms` once more.
    Ask { attempt: AttemptId, wait_ms: u64 },
}

/// Two queues, since the grace after a start stops expiry but not the protocol.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// (deadline, order slot). Orders that end early leave their pair behind; it is recognised by the row.
    deadlines: BinaryHeap<Reverse<(Millis, u32)>>,
    chores: BinaryHeap<Reverse<(Millis, Chore)>>,
    /// No deadline counts before this.
    pub(crate) grace_until: Millis,
}

impl Timers {
    pub(crate) fn push_deadline(&mut self, at: Millis, slot: u32) {
        self.deadlines.push(Reverse((at, slot)));
    }

    pub(crate) fn push_chore(&mut self, at: Millis, chore: Chore) {
        self.chores.push(Reverse((at, chore)));
    }

    pub(crate) fn next(&self) -> Option<Millis> {
        let deadline = self
            .deadlines
            .peek()
            .map(|Reverse((at, _))| (*at).max(self.grace_until));
        let chore = self.chores.peek().map(|Reverse((at, _))| *at);
        match (deadline, chore) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    pub(crate) fn pop_deadline(&mut self, now: Millis) -> Option<(Millis, u32)> {
        if now < self.grace_until || self.deadlines.peek()?.0.0 > now {
            return None;
        }
        self.deadlines.pop().map(|Reverse(due)| due)
    }

    pub(crate) fn pop_chore(&mut self, now: Millis) -> Option<Chore> {
        if self.chores.peek()?.0.0 > now {
            return None;
        }
        self.chores.pop().map(|Reverse((_, chore))| chore)
    }

    /// Drops pairs that nobody waits for, once they are most of the queue. `waits` says whether a pair still counts.
    pub(crate) fn compact(&mut self, open: u32, waits: impl Fn(Millis, u32) -> bool) {
        if self.deadlines.len() > 2 * open as usize + 4096 {
            self.deadlines.retain(|Reverse((at, slot))| waits(*at, *slot));
        }
    }
}
