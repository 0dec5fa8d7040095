//! Requests that were handed to the node and have no answer yet.

/// Whose request, and when it had its turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) net: u32,
    pub(crate) queued_ns: u32,
    pub(crate) ticket: u64,
    pub(crate) turn_ns: u64,
    /// The turn's number, to find when its deciding ended.
    pub(crate) turn: u64,
}

/// Slots by index; the index is the node's ticket. Bounded by the credits of all net threads.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Slots {
    pub(crate) fn take(&mut self, slot: Slot) -> u64 {
        match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                u64::from(index)
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u64 - 1
            }
        }
    }

    pub(crate) fn give_back(&mut self, index: u64) -> Slot {
        let slot = self.slots[index as usize];
        self.free.push(index as u32);
        slot
    }

    pub(crate) fn in_use(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}
