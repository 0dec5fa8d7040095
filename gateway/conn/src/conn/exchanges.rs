//! What the gateway does with an exchange: answers it, whole or in pieces, and takes its body.
//!
//! An exchange is over by the end of its answer, by [`Event::Cancelled`](crate::Event::Cancelled), by `abort`, or with the
//! connection: once that is closing or closed ([`ConnState`](crate::ConnState)) nothing is in flight on it, and no event says
//! so for each.

use super::{Conn, Life, Spoken, context};
use crate::{Answer, AnswerHead, ExchangeId, Nanos};

impl Conn {
    /// Answers an exchange, in any order. Returns false (and does nothing) when the exchange is unknown, was
    /// answered or was cancelled.
    pub fn respond(&mut self, now: Nanos, exchange: ExchangeId, answer: &Answer<'_>) -> bool {
        self.now = now;
        if self.life != Life::Open {
            return false;
        }
        let context = context(&self.config, self.tls.as_ref(), now, self.id);
        let accepted = match &mut self.spoken {
            Spoken::Unknown { .. } => false,
            Spoken::H1(h1) => h1.respond(&context, exchange, answer),
            Spoken::H2(h2) => h2.respond(&context, exchange, answer),
        };
        self.settle();
        accepted
    }

    /// Begins an answer whose body is given in pieces. Any exchange may be answered so, whether its request was collected or not,
    /// and whether its body has ended or not. Returns false as [`respond`](Conn::respond) does; so far always.
    pub fn respond_head(&mut self, now: Nanos, _exchange: ExchangeId, _head: &AnswerHead<'_>) -> bool {
        self.now = now;
        false
    }

    /// Gives the next bytes of the body. Returns how many were taken, at most [`room`](Conn::room): the rest is to be given again.
    pub fn respond_chunk(&mut self, now: Nanos, _exchange: ExchangeId, _data: &[u8]) -> usize {
        self.now = now;
        0
    }

    /// How many bytes of the body may be given now. 0 before the head, while older answers of the connection are missing, and
    /// while the peer does not read; ask again after `transmit` and after `receive`.
    pub fn room(&self, _exchange: ExchangeId) -> usize {
        0
    }

    /// The body is given. One that is shorter than its head said is broken off as by [`abort`](Conn::abort). An unknown exchange
    /// is none of our business.
    pub fn respond_end(&mut self, now: Nanos, _exchange: ExchangeId) {
        self.now = now;
    }

    /// Breaks an exchange off, answered in part or not at all, so that the client does not take what it has for the whole:
    /// HTTP/1.1 closes the connection, HTTP/2 resets the stream (INTERNAL_ERROR).
    pub fn abort(&mut self, now: Nanos, _exchange: ExchangeId) {
        self.now = now;
    }

    /// So many more bytes of a streamed body may be handed out. Without credit they stay unread: HTTP/1.1 stops reading the
    /// connection, HTTP/2 holds back the stream's window while other streams go on. Call `next_event` afterwards.
    pub fn grant(&mut self, now: Nanos, _exchange: ExchangeId, _bytes: usize) {
        self.now = now;
    }
}
