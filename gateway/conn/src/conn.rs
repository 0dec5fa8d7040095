//! TLS, then a protocol, then exchanges.

mod deadlines;
mod receive;

use crate::context::Context;
use crate::h1::H1;
use crate::h2::H2;
use crate::limits::LINGER_BYTES;
use crate::output::Output;
use crate::tls::Tls;
use crate::{Answer, ConnConfig, Event, ExchangeId, Nanos};
use crate::{h1, h2};
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
    id: u64,
    now: Nanos,
    born: Nanos,
    tls: Option<Tls>,
    spoken: Spoken,
    life: Life,
    eof: bool,
    /// Asked to close when what is in flight is answered.
    draining: bool,
    /// Since when output waits without a `transmit`.
    stalled_since: Option<Nanos>,
}

/// What is spoken, as far as it is known.
// HTTP/1.1, the large variant, is what most connections speak: a box would be one more allocation each.
#[allow(clippy::large_enum_variant)]
enum Spoken {
    /// Nothing is known yet. The bytes that arrived, and when the first did.
    Unknown {
        bytes: Vec<u8>,
        first_at: Option<Nanos>,
    },
    H1(H1),
    H2(Box<H2>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Open,
    /// Our last byte is queued. What arrives is counted and thrown away.
    Closing {
        since: Nanos,
        thrown: usize,
    },
    Closed,
}

impl Conn {
    /// A connection accepted at `now`.
    pub fn new(config: Rc<ConnConfig>, now: Nanos) -> Conn {
        let tls = config.tls.as_ref().map(|tls| Tls::new(tls()));
        let failed = matches!(tls, Some(Err(_)));
        Conn {
            config,
            id: 0,
            now,
            born: now,
            tls: tls.and_then(Result::ok),
            spoken: Spoken::Unknown {
                bytes: Vec::new(),
                first_at: None,
            },
            life: if failed { Life::Closed } else { Life::Open },
            eof: false,
            draining: false,
            stalled_since: None,
        }
    }

    /// A number that identifies the connection in the `x-request-id` of refusals it makes by itself.
    pub fn set_id(&mut self, id: u64) {
        self.id = id;
    }

    /// Takes bytes that were read from the socket. Call it only while `wants_read`: what it holds is then bounded.
    pub fn receive(&mut self, now: Nanos, bytes: &[u8]) {
        self.now = now;
        match &mut self.life {
            Life::Open => self.receive_open(bytes),
            Life::Closing { thrown, .. } => {
                *thrown += bytes.len();
                if *thrown > LINGER_BYTES {
                    self.life = Life::Closed;
                }
            }
            Life::Closed => {}
        }
        self.settle();
    }

    /// The peer sent its end. What it asked before is still answered; call `next_event` as after `receive`.
    pub fn receive_eof(&mut self, now: Nanos) {
        self.now = now;
        self.eof_if(true);
        self.settle();
    }

    fn eof_if(&mut self, eof: bool) {
        if !eof || self.eof {
            return;
        }
        self.eof = true;
        match &mut self.spoken {
            Spoken::Unknown { .. } => self.life = Life::Closed,
            Spoken::H1(h1) => h1.receive_eof(),
            Spoken::H2(h2) => h2.receive_eof(),
        }
    }

    /// The next thing that happened, until `None`. Parses what was received, lazily.
    pub fn next_event(&mut self) -> Option<Event<'_>> {
        if self.life != Life::Open {
            return None;
        }
        let context = context(&self.config, self.tls.as_ref(), self.now, self.id);
        let found = match &mut self.spoken {
            Spoken::Unknown { .. } => None,
            Spoken::H1(h1) => h1.poll(&context).map(Found::H1),
            Spoken::H2(h2) => h2.poll(&context).map(Found::H2),
        };
        if found.is_none() {
            self.settle();
        }
        match (&self.spoken, found) {
            (Spoken::H1(h1), Some(Found::H1(whole))) => Some(h1.event(&whole)),
            (Spoken::H2(h2), Some(Found::H2(found))) => h2.event(found),
            _ => None,
        }
    }

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

    /// Appends to `out` what is to be written to the socket, until `out` holds `cap` bytes. Returns whether anything
    /// was appended. Call it when the bytes handed out before have been written: a peer that does not read is known
    /// by the time between two calls.
    pub fn transmit(&mut self, out: &mut Vec<u8>, cap: usize) -> bool {
        let before = out.len();
        self.settle();
        if self.life == Life::Closed {
            return false;
        }
        let mut none = Output::default();
        match &mut self.spoken {
            Spoken::Unknown { .. } => send(self.tls.as_mut(), &mut none, out, cap),
            Spoken::H1(h1) => send(self.tls.as_mut(), &mut h1.output, out, cap),
            Spoken::H2(h2) => loop {
                h2.send_parked();
                let before = h2.output.len();
                send(self.tls.as_mut(), &mut h2.output, out, cap);
                // Room that was made may be filled again by answers that waited for it.
                if h2.output.len() == before || !h2.has_sendable() {
                    break;
                }
            },
        }
        self.stalled_since = None;
        self.settle();
        // The alert or the close_notify that settling queued leaves with the last bytes.
        if matches!(self.life, Life::Closing { .. }) {
            send(self.tls.as_mut(), &mut none, out, cap);
        }
        out.len() > before
    }

    /// Whether `transmit` has something to hand out.
    pub fn has_output(&self) -> bool {
        if self.life == Life::Closed {
            return false;
        }
        let has_plaintext = match &self.spoken {
            Spoken::Unknown { .. } => false,
            Spoken::H1(h1) => !h1.output.is_empty(),
            Spoken::H2(h2) => h2.has_output(),
        };
        has_plaintext || self.tls.as_ref().is_some_and(Tls::wants_write)
    }

    /// Notices that the protocol is over, and that output waits.
    fn settle(&mut self) {
        if self.life == Life::Open && self.is_finished() {
            self.begin_closing();
        }
        if let (Life::Closing { .. }, true, false) = (self.life, self.eof, self.has_output()) {
            self.life = Life::Closed;
        }
        if self.stalled_since.is_none() && self.has_output() {
            self.stalled_since = Some(self.now);
        }
    }

    fn is_finished(&self) -> bool {
        match &self.spoken {
            Spoken::Unknown { .. } => false,
            Spoken::H1(h1) => h1.is_finished() && h1.output.is_empty(),
            Spoken::H2(h2) => h2.is_finished() && !h2.has_output(),
        }
    }

    fn begin_closing(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.life = Life::Closing {
            since: self.now,
            thrown: 0,
        };
        // A broken connection's answers go nowhere.
        self.spoken = Spoken::Unknown {
            bytes: Vec::new(),
            first_at: None,
        };
    }

    fn context(&self) -> Context<'_> {
        context(&self.config, self.tls.as_ref(), self.now, self.id)
    }

    /// Whether the socket should be read. False while answers or output pile up, and after the end.
    pub fn wants_read(&self) -> bool {
        match self.life {
            _ if self.eof => false,
            Life::Closed => false,
            Life::Closing { .. } => true,
            Life::Open => match &self.spoken {
                // A peer that starts handshakes and does not read our part of them is not read either.
                Spoken::Unknown { .. } => self.stalled_since.is_none() || self.tls.is_none(),
                Spoken::H1(h1) => h1.wants_read(&self.context()),
                Spoken::H2(h2) => h2.wants_read(),
            },
        }
    }

    /// Whether everything was handed out and the socket's write side should be shut down, once.
    pub fn wants_shutdown(&self) -> bool {
        matches!(self.life, Life::Closing { .. }) && !self.has_output()
    }

    /// Finish what is in flight, take nothing new, close. Safe to call twice.
    pub fn drain(&mut self, now: Nanos) {
        self.now = now;
        if self.draining || self.life != Life::Open {
            return;
        }
        self.draining = true;
        match &self.spoken {
            Spoken::Unknown { bytes, .. } if self.tls.is_none() && bytes.is_empty() => self.begin_closing(),
            // A handshake goes on: a client that is cut in it would try again, and not know why.
            _ => self.drain_protocol(),
        }
        self.settle();
    }

    /// Where it is.
    pub fn state(&self) -> ConnState {
        match (self.life, &self.spoken) {
            (Life::Closed, _) => ConnState::Closed,
            (Life::Closing { .. }, _) => ConnState::Closing,
            (Life::Open, Spoken::Unknown { .. }) => ConnState::Handshake,
            (Life::Open, _) if self.draining => ConnState::Draining,
            (Life::Open, _) => ConnState::Open,
        }
    }

    /// Whether the socket should be closed.
    pub fn is_closed(&self) -> bool {
        self.life == Life::Closed
    }

    /// Exchanges handed out and not answered.
    pub fn in_flight(&self) -> usize {
        match &self.spoken {
            Spoken::Unknown { .. } => 0,
            Spoken::H1(h1) => h1.in_flight(),
            Spoken::H2(h2) => h2.in_flight(),
        }
    }

    /// What is spoken, once it is known.
    pub fn protocol(&self) -> Option<Protocol> {
        match &self.spoken {
            Spoken::Unknown { .. } => None,
            Spoken::H1(_) => Some(Protocol::H1),
            Spoken::H2(_) => Some(Protocol::H2),
        }
    }

    /// The server name the client asked for in its handshake.
    pub fn sni(&self) -> Option<&str> {
        self.tls.as_ref().and_then(Tls::sni)
    }
}

fn context<'a>(config: &'a ConnConfig, tls: Option<&'a Tls>, now: Nanos, conn: u64) -> Context<'a> {
    Context {
        config,
        now,
        conn,
        is_tls: tls.is_some(),
        sni: tls.and_then(Tls::sni),
    }
}

/// What a protocol's `poll` found.
enum Found {
    H1(h1::Whole),
    H2(h2::Found),
}

/// Moves plaintext towards the wire until `out` holds `cap` bytes.
fn send(tls: Option<&mut Tls>, plain: &mut Output, out: &mut Vec<u8>, cap: usize) {
    if let Some(tls) = tls {
        return tls.transmit(plain, out, cap);
    }
    let count = plain.len().min(cap.saturating_sub(out.len()));
    out.extend_from_slice(&plain.pending()[..count]);
    plain.consume(count);
}
