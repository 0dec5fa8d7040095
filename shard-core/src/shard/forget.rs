//! What is no longer needed, and when it goes.

use crate::entry::{Effect, Entry, Forget};
use crate::ids::Millis;
use crate::order::OrderRow;
use crate::shard::Shard;

impl Shard {
    /// An entry that also forgets what may be forgotten now. Only for decisions, which are applied at once: what was
    /// looked at here must be what [`Shard::apply`] finds.
    pub(crate) fn forgetting(&self, now: Millis, effect: Effect) -> Entry {
        Entry {
            at: now,
            forget: self.forgettable(now),
            effect,
        }
    }

    pub(crate) fn forgettable(&self, now: Millis) -> Forget {
        let limits = &self.config.limits;
        // Near the bound the shorter window counts, so that the bound refuses as late as is safe.
        let crowded = !self.growth_allowed || self.orders.len() + 16 >= limits.orders_max as usize;
        let window = if crowded {
            limits.key_window_min_ms
        } else {
            limits.key_window_ms
        };
        let count = |due: usize| due as u8;
        let most = usize::from(Forget::MAX) - 1;
        let order_due =
            |row: &&OrderRow| now >= row.ended_at.after(window) && self.is_stored(row) && !row.unsettled();
        Forget {
            orders: count(self.orders.retired().take(most).take_while(order_due).count()),
            tombstones: count(
                self.holds
                    .oldest()
                    .take(most)
                    .take_while(|until| now >= *until)
                    .count(),
            ),
            changes: count(
                self.changes
                    .iter()
                    .take(most)
                    .take_while(|row| now >= row.at.after(limits.key_window_ms))
                    .count(),
            ),
        }
    }

    /// The store has the row's end, so that it can answer for it.
    fn is_stored(&self, row: &OrderRow) -> bool {
        #[cfg(feature = "planted-bugs")]
        if self.planted(crate::shard::PlantedBug::ForgottenBeforeStored) {
            return true;
        }
        row.ended_op <= self.applied
    }

    pub(super) fn forget(&mut self, forget: Forget) {
        (0..forget.orders).for_each(|_| self.orders.forget());
        (0..forget.tombstones).for_each(|_| self.holds.forget_tombstone());
        (0..forget.changes).for_each(|_| self.changes.forget());
    }
}
