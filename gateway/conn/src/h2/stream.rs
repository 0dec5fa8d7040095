//! One HTTP/2 stream: a request that is collected, then waits for its answer.

use crate::{ExchangeId, Limits, Nanos};
use ::h2::RecvStream;
use ::h2::server::SendResponse;
use bytes::Bytes;
use http::request::Parts;
use std::task::{Context, Poll, Waker};

/// A stream that is not answered.
pub(crate) struct Stream {
    id: u32,
    receiver: RecvStream,
    pub respond: SendResponse<Bytes>,
    pub is_head: bool,
    first_byte_at: Nanos,
    phase: Phase,
    parts: Option<Box<Parts>>,
    /// The body so far. Its bytes count against the connection's window until it is whole: what all streams of a
    /// connection hold is bounded by that window.
    body: Body,
    /// Bytes of the body that are given back to the windows.
    released: usize,
    /// A deadline was set for the rest of the body.
    is_waiting: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Collecting,
    Whole,
    HandedOut,
}

enum Body {
    /// One piece, as h2 read it: the common case.
    Piece(Bytes),
    /// Several pieces, copied, so that small ones do not keep h2's read buffers alive.
    Copied(Vec<u8>),
}

impl Body {
    fn len(&self) -> usize {
        match self {
            Body::Piece(piece) => piece.len(),
            Body::Copied(bytes) => bytes.len(),
        }
    }
}

impl std::ops::Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Body::Piece(piece) => piece,
            Body::Copied(bytes) => bytes,
        }
    }
}

/// A whole request on its way to the gateway.
pub(crate) struct Whole {
    pub exchange: ExchangeId,
    pub parts: Box<Parts>,
    body: Body,
    pub first_byte_at: Nanos,
}

impl Whole {
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// What collecting came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Collected {
    /// More is to come; `released`: h2 may have a window to update.
    Waiting {
        released: bool,
    },
    /// It was whole before.
    Before,
    /// It is whole now; so many bytes were given back to the connection's window.
    Whole {
        released: usize,
    },
    TooLarge,
    /// The stream was reset, by h2 or by the peer.
    Broken,
}

impl Stream {
    pub fn new(
        id: u32,
        parts: Parts,
        receiver: RecvStream,
        respond: SendResponse<Bytes>,
        first_byte_at: Nanos,
    ) -> Stream {
        Stream {
            id,
            receiver,
            respond,
            is_head: parts.method == http::Method::HEAD,
            first_byte_at,
            phase: Phase::Collecting,
            parts: Some(Box::new(parts)),
            body: Body::Piece(Bytes::new()),
            released: 0,
            is_waiting: false,
        }
    }

    pub fn is_collecting(&self) -> bool {
        self.phase == Phase::Collecting
    }

    /// Whether this is the first time that the body has to be waited for.
    pub fn begins_to_wait(&mut self) -> bool {
        !std::mem::replace(&mut self.is_waiting, true)
    }

    pub fn is_handed_out(&self) -> bool {
        self.phase == Phase::HandedOut
    }

    /// The interim answer to `Expect`, unless the request has already ended.
    pub fn send_continue(&mut self) {
        if self.receiver.is_end_stream() {
            return;
        }
        let mut interim = http::Response::new(());
        *interim.status_mut() = http::StatusCode::CONTINUE;
        // An error means that the stream is gone; collecting will notice.
        let _ = self.respond.send_informational(interim);
    }

    /// Takes what has arrived of the body, at most `body_bytes` in all.
    pub fn collect(&mut self, limits: &Limits) -> Collected {
        if self.phase != Phase::Collecting {
            return Collected::Before;
        }
        let mut waker = Context::from_waker(Waker::noop());
        while !self.receiver.is_end_stream() {
            match self.receiver.poll_data(&mut waker) {
                Poll::Pending => {
                    return Collected::Waiting {
                        released: self.widen(limits),
                    };
                }
                Poll::Ready(None) => break,
                Poll::Ready(Some(Err(_))) => return Collected::Broken,
                Poll::Ready(Some(Ok(piece))) => {
                    if self.body.len() + piece.len() > limits.body_bytes {
                        return Collected::TooLarge;
                    }
                    self.append(piece);
                }
            }
        }
        self.phase = Phase::Whole;
        let released = self.body.len() - self.released;
        self.release(released);
        Collected::Whole { released }
    }

    /// A body that fills its window must not wait for us for ever: one that is full may be about to prove too large,
    /// for which one more byte is enough.
    fn widen(&mut self, limits: &Limits) -> bool {
        let held = self.body.len() - self.released;
        if self.body.len() == limits.body_bytes {
            self.release(1.min(held))
        } else if held >= limits.h2_stream_window as usize {
            self.release(held)
        } else {
            false
        }
    }

    /// Returns whether h2 may have a window to update.
    fn release(&mut self, count: usize) -> bool {
        self.released += count;
        // It cannot fail: this much was received and not released.
        count > 0 && self.receiver.flow_control().release_capacity(count).is_ok()
    }

    fn append(&mut self, piece: Bytes) {
        match &mut self.body {
            Body::Copied(bytes) => bytes.extend_from_slice(&piece),
            Body::Piece(_) if self.receiver.is_end_stream() => self.body = Body::Piece(piece),
            Body::Piece(_) => self.body = Body::Copied(piece.to_vec()),
        }
    }

    /// Hands the request out, once.
    pub fn hand_out(&mut self) -> Option<Whole> {
        if self.phase != Phase::Whole {
            return None;
        }
        self.phase = Phase::HandedOut;
        let body = std::mem::replace(&mut self.body, Body::Piece(Bytes::new()));
        let exchange = ExchangeId(u64::from(self.id));
        self.parts.take().map(|parts| Whole {
            exchange,
            parts,
            body,
            first_byte_at: self.first_byte_at,
        })
    }
}
