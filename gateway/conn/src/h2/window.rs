//! What the peer may send (RFC 9113 section 6.9).

use super::frame::{Fault, Reason, WINDOW_DEFAULT, put_window_update};

/// The connection's window. What all streams of a connection hold of bodies that are not whole is bounded by it.
#[derive(Debug)]
pub(super) struct ReceiveWindow {
    size: u32,
    left: i64,
    /// Bytes to give back, once they are worth a frame.
    owed: u32,
}

impl ReceiveWindow {
    /// A window of `size` bytes.
    pub fn new(size: u32) -> ReceiveWindow {
        ReceiveWindow {
            size,
            left: i64::from(size),
            owed: 0,
        }
    }

    /// Opens the window to its size: connections begin with the default, whatever SETTINGS say (section 6.9.2).
    pub fn open(&mut self, out: &mut Vec<u8>) {
        let more = i64::from(self.size) - WINDOW_DEFAULT;
        if more > 0 {
            put_window_update(out, 0, more as u32);
        }
    }

    /// A DATA frame of this length came, padding included.
    pub fn take(&mut self, length: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.left -= length as i64;
        if self.left < 0 {
            return Err(Fault::Connection(Reason::FlowControl));
        }
        self.give_back(0, out);
        Ok(())
    }

    /// So many bytes are held no longer. The peer is told at half a window, or when it has less left than is owed: bodies that
    /// are not whole may hold the rest, and would wait for ever.
    pub fn give_back(&mut self, count: usize, out: &mut Vec<u8>) {
        self.owed += count as u32;
        if self.owed > 0 && (self.owed >= self.size / 2 || i64::from(self.owed) >= self.left) {
            put_window_update(out, 0, self.owed);
            self.left += i64::from(self.owed);
            self.owed = 0;
        }
    }
}

/// A stream's window. It is widened as the body comes in, up to the largest body that is taken and one byte, with which a
/// larger one proves to be too large.
#[derive(Debug)]
pub(super) struct StreamWindow {
    left: i64,
    /// Granted so far.
    granted: i64,
}

impl StreamWindow {
    /// A window that the peer knows of by our SETTINGS, or by the default.
    pub fn new(size: i64) -> StreamWindow {
        StreamWindow {
            left: size,
            granted: size,
        }
    }

    /// A DATA frame came. Returns false when it was not granted.
    pub fn take(&mut self, length: usize) -> bool {
        self.left -= length as i64;
        self.left >= 0
    }

    /// So many of the bytes were padding: they count against the window, and not against what a body may have.
    pub fn forgive(&mut self, padding: usize) {
        self.granted -= padding as i64;
    }

    /// How much more to grant, when half of `size` is used up; `most`: what a stream may be granted in all.
    pub fn widen(&mut self, size: u32, most: usize) -> u32 {
        let more = (i64::from(size) - self.left).min(most as i64 - self.granted);
        if more <= 0 || self.left > i64::from(size) / 2 {
            return 0;
        }
        self.left += more;
        self.granted += more;
        // At most `size`.
        more as u32
    }
}
