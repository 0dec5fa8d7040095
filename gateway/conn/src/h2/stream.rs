//! One request's stream, from its HEADERS to our END_STREAM.

use super::request::Request;
use super::window::StreamWindow;

/// A stream that is open for us: forgotten as soon as both sides have ended it, or either has reset it.
#[derive(Debug)]
pub(super) struct Stream {
    pub phase: Phase,
    /// The request was HEAD.
    pub is_head: bool,
    /// The client has sent its END_STREAM.
    pub has_ended: bool,
    /// What we may send on it.
    pub send_window: i64,
    pub window: StreamWindow,
    /// Bytes of the body that count against the connection's window.
    pub held: usize,
}

/// Where it is.
#[derive(Debug)]
pub(super) enum Phase {
    /// The request is not whole.
    Collecting(Request),
    /// The gateway has it.
    HandedOut,
    /// The answer's head is sent; this is the rest of its body, from `sent` on.
    Parked { body: Box<[u8]>, sent: usize },
}

impl Stream {
    pub fn is_collecting(&self) -> bool {
        matches!(self.phase, Phase::Collecting(_))
    }

    pub fn is_handed_out(&self) -> bool {
        matches!(self.phase, Phase::HandedOut)
    }

    pub fn is_parked(&self) -> bool {
        matches!(self.phase, Phase::Parked { .. })
    }

    /// Hands the request out, once.
    pub fn hand_out(&mut self) -> Option<Request> {
        if !self.is_collecting() {
            return None;
        }
        match std::mem::replace(&mut self.phase, Phase::HandedOut) {
            Phase::Collecting(request) => Some(request),
            _ => None,
        }
    }
}
