//! TLS, then a protocol, then exchanges.

use crate::{Answer, ConnConfig, Event, ExchangeId, Nanos};
use std::rc::Rc;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 (and 1.0).
    H1,
    /// HTTP/2.
    H2,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnState {
    /// TLS handshake (a `receive` may cost 380 us: budget them), or the protocol is not known yet.
    Handshake,
    /// Requests are taken.
    Open,
    /// What is in flight is answered, then it closes.
    Draining,
    /// The last bytes are on their way; input is thrown away until the peer's end or a deadline.
    Closing,
    /// Over: close the socket.
    Closed,
}

/// One connection. See the crate's text for the order of calls.
pub struct Conn {
    config: Rc<ConnConfig>,
    now: Nanos,
}

impl Conn {
    /// A connection accepted at `now`.
    pub fn new(config: Rc<ConnConfig>, now: Nanos) -> Conn {
        Conn { config, now }
    }

    /// A number that identifies the connection in the `x-request-id` of refusals it makes by itself.
    pub fn set_id(&mut self, _id: u64) {}

    /// Takes bytes that were read from the socket. Call it only while `wants_read`: what it holds is then bounded.
    pub fn receive(&mut self, now: Nanos, _bytes: &[u8]) {
        self.now = now;
    }

    /// The peer sent its end. What it asked before is still answered.
    pub fn receive_eof(&mut self, now: Nanos) {
        self.now = now;
    }

    /// The next thing that happened, until `None`. Parses what was received, lazily.
    pub fn next_event(&mut self) -> Option<Event<'_>> {
        None
    }

    /// Answers an exchange, in any order. Returns false (and does nothing) when the exchange is unknown, was
    /// answered or was cancelled.
    pub fn respond(&mut self, now: Nanos, _exchange: ExchangeId, _answer: &Answer<'_>) -> bool {
        self.now = now;
        false
    }

    /// Appends to `out` what is to be written to the socket, until `out` holds `cap` bytes. Returns whether anything
    /// was appended. Call it when the bytes handed out before have been written: a peer that does not read is known
    /// by the time between two calls.
    pub fn transmit(&mut self, _out: &mut Vec<u8>, _cap: usize) -> bool {
        false
    }

    /// Whether `transmit` has something to hand out.
    pub fn has_output(&self) -> bool {
        false
    }

    /// When `handle_timeout` is to be called, if nothing happens before.
    pub fn timeout(&self) -> Option<Nanos> {
        Some(self.now.after(self.config.deadlines.idle))
    }

    /// Acts on every deadline that has passed; early calls do nothing.
    pub fn handle_timeout(&mut self, now: Nanos) {
        self.now = now;
    }

    /// Whether the socket should be read. False while answers or output pile up, and after the end.
    pub fn wants_read(&self) -> bool {
        true
    }

    /// Whether everything was handed out and the socket's write side should be shut down, once.
    pub fn wants_shutdown(&self) -> bool {
        false
    }

    /// Finish what is in flight, take nothing new, close. Safe to call twice.
    pub fn drain(&mut self, now: Nanos) {
        self.now = now;
    }

    /// Where it is.
    pub fn state(&self) -> ConnState {
        ConnState::Open
    }

    /// Whether the socket should be closed.
    pub fn is_closed(&self) -> bool {
        self.state() == ConnState::Closed
    }

    /// Exchanges handed out and not answered.
    pub fn in_flight(&self) -> usize {
        0
    }

    /// What is spoken, once it is known.
    pub fn protocol(&self) -> Option<Protocol> {
        None
    }

    /// The server name the client asked for in its handshake.
    pub fn sni(&self) -> Option<&str> {
        None
    }
}
