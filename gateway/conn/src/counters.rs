//! What the connections of one thread refused and saw, by reason.

use crate::Refusal;
use std::cell::Cell;

/// Counts of one thread, shared by its connections through [`ConnConfig`](crate::ConnConfig). Not atomic: the owner
/// copies them out for the metrics.
#[derive(Debug, Default)]
pub struct Counters {
    refused: [Cell<u64>; Refusal::COUNT],
    /// TLS handshakes completed.
    pub handshakes: Cell<u64>,
    /// Of those, resumed by a ticket.
    pub handshakes_resumed: Cell<u64>,
    /// Requests handed to the gateway, HTTP/1.1.
    pub requests_h1: Cell<u64>,
    /// Requests handed to the gateway, HTTP/2.
    pub requests_h2: Cell<u64>,
}

impl Counters {
    /// How often this reason occurred.
    pub fn refused(&self, reason: Refusal) -> u64 {
        self.refused[reason as usize].get()
    }

    pub(crate) fn refuse(&self, reason: Refusal) {
        bump(&self.refused[reason as usize]);
    }
}

pub(crate) fn bump(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}
