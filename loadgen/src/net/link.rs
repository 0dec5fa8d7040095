//! One connection: its session, its protocol and what it owes.

use std::cell::{Cell, RefCell};

use super::h1::H1;
use super::h2_client::H2;
use super::session::{Session, TlsClient};
use super::signal::Signal;
use crate::request::{Answer, Flight, Request};
use crate::users::Identity;

/// Which protocol a run speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1.
    One,
    /// HTTP/2.
    Two,
}

impl Http {
    /// The name ALPN knows it by.
    pub fn alpn(self) -> &'static [u8] {
        match self {
            Http::One => b"http/1.1",
            Http::Two => b"h2",
        }
    }
}

enum Protocol {
    One(H1),
    Two(Box<H2>),
}

struct State {
    session: Session,
    protocol: Protocol,
    plain: Vec<u8>,
}

/// A connection shared by its reader, its writer and the pool.
pub struct Link {
    /// Unique within a pool, never reused.
    pub id: u32,
    /// Raised when there is something to write, or the link ended.
    pub signal: Signal,
    /// Nothing more is sent or believed.
    pub dead: Cell<bool>,
    /// The pool gave it up and has replaced it.
    pub abandoned: Cell<bool>,
    /// Whether it stands in the pool's idle list.
    pub listed: Cell<bool>,
    /// This side is closing.
    pub closing: Cell<bool>,
    /// When it last moved forward: an answer, or a request after nothing was outstanding.
    pub progress_at: Cell<u64>,
    /// Answers so far.
    pub answers: Cell<u64>,
    http: Http,
    outstanding_max: usize,
    state: RefCell<State>,
}

impl Link {
    /// A connection whose socket is connected at `now`.
    pub fn new(
        id: u32,
        http: Http,
        outstanding_max: usize,
        tls: Option<&TlsClient>,
        now: u64,
    ) -> Result<Link, String> {
        let protocol = match http {
            Http::One => Protocol::One(H1::default()),
            Http::Two => Protocol::Two(Box::new(H2::new(outstanding_max)?)),
        };
        let state = State {
            session: Session::new(tls)?,
            protocol,
            plain: Vec::new(),
        };
        Ok(Link {
            id,
            signal: Signal::default(),
            dead: Cell::new(false),
            abandoned: Cell::new(false),
            listed: Cell::new(false),
            closing: Cell::new(false),
            progress_at: Cell::new(now),
            answers: Cell::new(0),
            http,
            outstanding_max,
            state: RefCell::new(state),
        })
    }

    /// Whether a request may be sent now.
    pub fn has_room(&self) -> bool {
        if self.dead.get() || self.closing.get() {
            return false;
        }
        let state = &mut *self.state.borrow_mut();
        state.session.is_ready()
            && match &mut state.protocol {
                Protocol::One(h1) => !h1.is_closing() && h1.in_flight() < self.outstanding_max,
                Protocol::Two(h2) => h2.has_room(),
            }
    }

    /// Whether it is connected, its handshake behind it.
    pub fn is_ready(&self) -> bool {
        !self.dead.get() && self.state.borrow().session.is_ready()
    }

    /// Requests without an answer.
    pub fn in_flight(&self) -> usize {
        match &self.state.borrow().protocol {
            Protocol::One(h1) => h1.in_flight(),
            Protocol::Two(h2) => h2.in_flight(),
        }
    }

    /// Whether it is of no more use: closing at either side, nothing outstanding.
    pub fn is_spent(&self) -> bool {
        let leaving = match &self.state.borrow().protocol {
            Protocol::One(h1) => h1.is_closing(),
            Protocol::Two(h2) => h2.is_closing(),
        };
        (leaving || self.closing.get()) && self.in_flight() == 0
    }

    /// Queues a request and wakes the writer; `false` when it was not taken.
    pub fn send(
        &self,
        now: u64,
        request: &Request,
        identity: &Identity,
        authority: &str,
        scratch: &mut Vec<u8>,
    ) -> bool {
        if self.in_flight() == 0 {
            self.progress_at.set(now);
        }
        let state = &mut *self.state.borrow_mut();
        let taken = match &mut state.protocol {
            Protocol::One(h1) => {
                scratch.clear();
                h1.send(request, identity, authority, scratch);
                state.session.write(scratch);
                true
            }
            Protocol::Two(h2) => h2.send(request, identity, authority),
        };
        self.signal.raise();
        taken
    }

    /// Takes bytes from the wire; complete answers go to `sink`.
    pub fn receive(&self, wire: &[u8], sink: &mut dyn FnMut(Flight, Answer<'_>)) -> Result<(), String> {
        let state = &mut *self.state.borrow_mut();
        let was_ready = state.session.is_ready();
        let open = match &mut state.protocol {
            Protocol::One(h1) => state.session.receive(wire, h1.plain())?,
            Protocol::Two(h2) => {
                let open = state.session.receive(wire, &mut state.plain)?;
                h2.receive(&state.plain);
                state.plain.clear();
                open
            }
        };
        if !was_ready && state.session.is_ready() {
            self.check_protocol(&state.session)?;
        }
        self.drive(state, sink)?;
        if state.session.has_output() {
            self.signal.raise();
        }
        if open {
            Ok(())
        } else {
            Err("the server closed the connection".into())
        }
    }

    /// Moves bytes for the wire to `out`.
    pub fn transmit(
        &self,
        out: &mut Vec<u8>,
        sink: &mut dyn FnMut(Flight, Answer<'_>),
    ) -> Result<(), String> {
        let state = &mut *self.state.borrow_mut();
        self.drive(state, sink)?;
        if self.closing.get() {
            state.session.close();
        }
        state.session.transmit(out);
        Ok(())
    }

    /// Everything outstanding; none is left.
    pub fn take_in_flight(&self) -> Vec<Flight> {
        match &mut self.state.borrow_mut().protocol {
            Protocol::One(h1) => h1.take_in_flight().collect(),
            Protocol::Two(h2) => h2.take_in_flight().collect(),
        }
    }

    fn check_protocol(&self, session: &Session) -> Result<(), String> {
        match (session.alpn(), self.http) {
            (None, Http::One) => Ok(()),
            (Some(name), http) if name == http.alpn() => Ok(()),
            _ => {
                Err("the server does not speak the protocol asked for (ALPN); choose the other --http".into())
            }
        }
    }

    fn drive(&self, state: &mut State, sink: &mut dyn FnMut(Flight, Answer<'_>)) -> Result<(), String> {
        if !state.session.is_ready() {
            return Ok(());
        }
        match &mut state.protocol {
            Protocol::One(h1) => {
                while let Some((flight, status, body)) = h1.next_answer()? {
                    sink(
                        flight,
                        Answer {
                            status,
                            body,
                            connection: self.id,
                        },
                    );
                }
            }
            Protocol::Two(h2) => {
                h2.pump(self.id, &mut state.plain, sink)?;
                if !state.plain.is_empty() {
                    state.session.write(&state.plain);
                    state.plain.clear();
                }
            }
        }
        Ok(())
    }
}
