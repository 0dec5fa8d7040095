//! What waits for the log.

use std::collections::VecDeque;

use tidegate_log::Lsn;

/// Where the log stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// The last record that is durable.
    pub durable: Lsn,
    /// The last record of the batch being synced; `durable` when none is.
    pub sealed: Lsn,
}

/// Values that may leave only when the log is durable up to a record.
///
/// At most one batch is being synced at a time, so three queues are enough: what waits for the batch being filled,
/// what waits for the batch being synced, and what may leave. A sync releases a whole queue by swapping it: no
/// value is compared, and none is moved while the queue before it is empty.
#[derive(Debug)]
pub(crate) struct Gated<T> {
    filling: VecDeque<(Lsn, T)>,
    in_flight: VecDeque<(Lsn, T)>,
    released: VecDeque<(Lsn, T)>,
}

impl<T> Gated<T> {
    pub fn new() -> Gated<T> {
        Gated {
            filling: VecDeque::new(),
            in_flight: VecDeque::new(),
            released: VecDeque::new(),
        }
    }

    /// Takes a value that depends on the record `gate`.
    pub fn push(&mut self, progress: Progress, gate: Lsn, value: T) {
        if gate <= progress.durable {
            self.released.push_back((gate, value));
        } else if gate <= progress.sealed {
            self.in_flight.push_back((gate, value));
        } else {
            self.filling.push_back((gate, value));
        }
    }

    /// The records up to `last` are on their way to the disk; `all`: none is left behind.
    pub fn seal(&mut self, last: Lsn, all: bool) {
        assert!(self.in_flight.is_empty(), "one batch is being synced at a time");
        std::mem::swap(&mut self.filling, &mut self.in_flight);
        if !all {
            for (gate, value) in std::mem::take(&mut self.in_flight) {
                let queue = if gate <= last {
                    &mut self.in_flight
                } else {
                    &mut self.filling
                };
                queue.push_back((gate, value));
            }
        }
    }

    /// The batch on its way is durable.
    pub fn release(&mut self) {
        if self.released.is_empty() {
            std::mem::swap(&mut self.released, &mut self.in_flight);
        } else {
            self.released.append(&mut self.in_flight);
        }
    }

    /// The next value that may leave.
    pub fn pop(&mut self) -> Option<T> {
        self.released.pop_front().map(|(_, value)| value)
    }

    /// Values that wait or may leave.
    pub fn len(&self) -> usize {
        self.filling.len() + self.in_flight.len() + self.released.len()
    }

    /// Nothing leaves any more.
    pub fn clear(&mut self) {
        self.filling.clear();
        self.in_flight.clear();
        self.released.clear();
    }
}

#[cfg(test)]
mod tests;
