//! Ids and the leases that cover them; the start of a process.

use crate::entry::{AbortReason, Effect, Entry};
use crate::ids::{EPOCH, Millis, Op, OrderId};
#[cfg(feature = "planted-bugs")]
use crate::shard::PlantedBug;
use crate::shard::Shard;

impl Shard {
    /// The id after the last, not before `now`; `None` until a lease that covers it is durable.
    pub(crate) fn next_id(&self, now: Millis) -> Option<OrderId> {
        let now = self.id_clock(now);
        let last = self.last_id;
        let id = if now > last.millis() {
            OrderId::new(now, self.config.id, 0)
        } else if last.sequence() < OrderId::SEQUENCE_MAX {
            OrderId::new(last.millis(), self.config.id, last.sequence() + 1)
        } else {
            OrderId::new(last.millis().after(1), self.config.id, 0)
        };
        (id.millis() < self.lease_durable).then_some(id)
    }

    fn id_clock(&self, now: Millis) -> Millis {
        #[cfg(feature = "planted-bugs")]
        if self.planted(PlantedBug::IdReuseAfterClockStep) {
            return Millis(now.0 & !1023);
        }
        now.max(EPOCH)
    }

    /// The lease entry that is due, if any. Call it about every second; log and apply the result.
    #[must_use]
    pub fn lease(&self, now: Millis) -> Option<Entry> {
        let now = now.max(self.time);
        let due = self.lease_until < self.lease_base(now).after(self.config.limits.lease_ms / 2);
        let until = self.lease_base(now).after(self.config.limits.lease_ms);
        due.then(|| Entry::new(now, Effect::Lease { until }))
    }

    fn lease_base(&self, now: Millis) -> Millis {
        now.max(EPOCH).max(self.last_id.millis())
    }

    /// Everything up to this op is durable: leases up to it count.
    pub fn note_durable(&mut self, op: Op) {
        while let Some(&(at, until)) = self.leases.front() {
            if at > op {
                return;
            }
            self.lease_durable = self.lease_durable.max(until);
            self.leases.pop_front();
        }
    }

    /// Entries to apply and log, in this order and before anything else, when a process begins to serve the shard.
    /// Before this the shard was recovered: everything in it is durable.
    pub fn start(&mut self, now: Millis, term: u64) -> Vec<Entry> {
        let now = now.max(self.time);
        self.note_durable(self.op);
        let mut entries = vec![Entry::new(
            now,
            Effect::Start {
                term: term.max(self.term + 1),
            },
        )];
        for slot in self.orders.sorted() {
            let row = self.orders.row(slot);
            if let (true, Some(cross)) = (row.state.gathers(), row.cross()) {
                let (order, attempt) = (row.id, cross.attempt);
                entries.push(Entry::new(
                    now,
                    Effect::Aborted {
                        order,
                        attempt,
                        reason: AbortReason::Restarted,
                    },
                ));
            }
        }
        let until = self
            .lease_base(now)
            .max(self.lease_until)
            .after(self.config.limits.lease_ms);
        entries.push(Entry::new(now, Effect::Lease { until }));
        entries
    }

    pub(super) fn apply_start(&mut self, term: u64) {
        self.term = term;
        #[cfg(feature = "planted-bugs")]
        if self.planted(PlantedBug::IdReuseAfterClockStep) {
            self.last_id = OrderId(0);
            return;
        }
        // Ids go on at the lease's end: one below it may have been issued and be known elsewhere only.
        let before = Millis(self.lease_until.0.saturating_sub(1));
        let floor = OrderId::new(before, self.config.id, OrderId::SEQUENCE_MAX);
        self.last_id = self.last_id.max(floor);
    }
}
