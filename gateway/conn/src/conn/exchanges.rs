//! What the gateway does with an exchange: answers it, whole or in pieces.
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

    /// Begins an answer whose body is given in pieces. Any exchange may be answered so. Returns false as
    /// [`respond`](Conn::respond) does.
    pub fn respond_head(&mut self, now: Nanos, exchange: ExchangeId, head: &AnswerHead<'_>) -> bool {
        self.now = now;
        if self.life != Life::Open {
            return false;
        }
        let accepted = match &mut self.spoken {
            Spoken::Unknown { .. } => false,
            Spoken::H1(h1) => h1.respond_head(exchange, head),
            Spoken::H2(h2) => h2.respond_head(exchange, head),
        };
        self.settle();
        accepted
    }

    /// Gives the next bytes of the body. Returns how many were taken, at most [`room`](Conn::room): the rest is to be given again.
    pub fn respond_chunk(&mut self, now: Nanos, exchange: ExchangeId, data: &[u8]) -> usize {
        self.now = now;
        if self.life != Life::Open {
            return 0;
        }
        let context = context(&self.config, self.tls.as_ref(), now, self.id);
        let taken = match &mut self.spoken {
            Spoken::Unknown { .. } => 0,
            Spoken::H1(h1) => h1.respond_chunk(&context, exchange, data),
            Spoken::H2(h2) => h2.respond_chunk(exchange, data),
        };
        self.settle();
        taken
    }

    /// How many bytes of the body may be given now. 0 before the head, while older answers of the connection are missing, and
    /// while the peer does not read; ask again after `transmit` and after `receive`.
    pub fn room(&self, exchange: ExchangeId) -> usize {
        if self.life != Life::Open {
            return 0;
        }
        match &self.spoken {
            Spoken::Unknown { .. } => 0,
            Spoken::H1(h1) => h1.room(&self.context(), exchange),
            Spoken::H2(h2) => h2.room(exchange),
        }
    }

    /// The body is given. One that is shorter than its head said is broken off as by [`abort`](Conn::abort). An unknown exchange
    /// is none of our business.
    pub fn respond_end(&mut self, now: Nanos, exchange: ExchangeId) {
        self.now = now;
        if self.life != Life::Open {
            return;
        }
        let context = context(&self.config, self.tls.as_ref(), now, self.id);
        match &mut self.spoken {
            Spoken::Unknown { .. } => {}
            Spoken::H1(h1) => h1.respond_end(&context, exchange),
            Spoken::H2(h2) => h2.respond_end(now, exchange),
        }
        self.settle();
    }

    /// Breaks an exchange off, answered in part or not at all, so that the client does not take what it has for the whole:
    /// HTTP/1.1 closes the connection, HTTP/2 resets the stream (INTERNAL_ERROR).
    pub fn abort(&mut self, now: Nanos, exchange: ExchangeId) {
        self.now = now;
        if self.life != Life::Open {
            return;
        }
        match &mut self.spoken {
            Spoken::Unknown { .. } => {}
            Spoken::H1(h1) => h1.abort(exchange),
            Spoken::H2(h2) => h2.abort(now, exchange),
        }
        self.settle();
    }
}
