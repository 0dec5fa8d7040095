//! Bytes on their way out.

use crate::limits::IDLE_BUFFER_BYTES;

/// Plaintext that waits to be sent: one reused buffer, and how much of it has left.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    sent: usize,
}

impl Output {
    /// What has not left yet.
    pub fn pending(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Bytes that have not left yet.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where to append.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The first `count` bytes have left.
    pub fn consume(&mut self, count: usize) {
        self.sent += count;
        assert!(self.sent <= self.bytes.len());
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
            self.bytes.shrink_to(IDLE_BUFFER_BYTES);
        } else if self.sent > IDLE_BUFFER_BYTES && self.sent >= self.len() {
            // At least half has left: moving the rest is paid for by what was sent.
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }
}
