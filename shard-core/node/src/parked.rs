//! Callers that wait for an order which is under way.

use hashbrown::HashMap;
use smallvec::SmallVec;
use tidegate_shard_core::OrderId;

use crate::limits::PARKED_MAX;
use crate::output::Ticket;

/// Callers by order. The first of an order is the one whose request began it, unless it came before a restart.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    waiting: HashMap<OrderId, SmallVec<[Ticket; 2]>, foldhash::fast::RandomState>,
    callers: usize,
}

impl Parked {
    /// Lets a caller wait; false when too many do.
    pub fn park(&mut self, order: OrderId, ticket: Ticket) -> bool {
        if self.callers >= PARKED_MAX {
            return false;
        }
        self.callers += 1;
        self.waiting.entry(order).or_default().push(ticket);
        true
    }

    /// Takes out everyone who waits for the order.
    pub fn wake(&mut self, order: OrderId) -> SmallVec<[Ticket; 2]> {
        let woken = self.waiting.remove(&order).unwrap_or_default();
        self.callers -= woken.len();
        woken
    }

    /// Callers that wait.
    pub fn len(&self) -> usize {
        self.callers
    }

    /// Nobody waits any more, nobody is answered.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.callers = 0;
    }
}
