//! HTTP/2: drives the `h2` crate over memory, with a waker that wakes nobody (RFC 9113).
//!
//! Nobody wakes, so the connection is pumped after whatever could change its mind: input, answers, output that left,
//! a drain, a deadline.

mod abuse;
mod answer;
mod end;
mod pipe;
mod pump;
mod request;
mod stream;
mod tap;

use crate::context::Context;
use crate::counters::bump;
use crate::h1::write::with_refusal;
use crate::host::CoveredHost;
use crate::output::Output;
use crate::{Answer, Event, ExchangeId, Limits, Nanos, Refusal, Request};
use ::h2::server;
use abuse::Abuse;
use answer::Names;
use bytes::Bytes;
use end::Drain;
use hashbrown::HashMap;
use pipe::{Pipe, PipeEnd};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use stream::{Stream, Whole};

/// The HTTP/2 side of a connection.
pub(crate) struct H2 {
    pipe: Rc<RefCell<Pipe>>,
    engine: Engine,
    streams: HashMap<u32, Stream, foldhash::fast::FixedState>,
    /// Streams whose request is whole and not handed out, oldest first; some may be gone.
    whole: VecDeque<u32>,
    /// The request that was handed out last: its bytes are borrowed until the next call.
    current: Option<Whole>,
    /// Handed out, then given up by the client.
    cancelled: Vec<ExchangeId>,
    /// Handed out and not answered.
    unanswered: usize,
    /// Requests that were not whole at once, with their deadlines, oldest first; some may be gone.
    collecting: VecDeque<(Nanos, u32)>,
    /// Answered streams whose last frame is not written, with their deadlines, oldest first.
    unsent: VecDeque<(Nanos, u32)>,
    names: Names,
    covered: CoveredHost,
    abuse: Abuse,
    requests: u64,
    has_answered: bool,
    received_at: Nanos,
    born: Nanos,
    idle_since: Nanos,
    /// There were streams at the end of the last pump.
    is_busy: bool,
    /// Something changed since the last pump: what came in, or what we did.
    has_news: bool,
    /// A window was given back: h2 may have an update to write, which can wait until something is written.
    owes_window: bool,
    /// Bytes given back to the connection's window since the last pump.
    given_back: usize,
    drain: Drain,
}

enum Engine {
    /// The client's preface is not complete.
    Handshake(Box<server::Handshake<PipeEnd, Bytes>>),
    Open(Box<server::Connection<PipeEnd, Bytes>>),
    Done,
}

/// Bytes of a client's preface before its first frame.
const PREFACE_BYTES: usize = 24;

impl H2 {
    /// `input` holds what arrived before the protocol was known.
    pub fn new(input: Vec<u8>, limits: &Limits, now: Nanos) -> H2 {
        let has_news = true;
        let pipe = Rc::new(RefCell::new(Pipe::new(
            input,
            limits.output_bytes,
            PREFACE_BYTES,
            now,
        )));
        let handshake = builder(limits).handshake(PipeEnd(pipe.clone()));
        H2 {
            pipe,
            engine: Engine::Handshake(Box::new(handshake)),
            streams: HashMap::default(),
            whole: VecDeque::new(),
            current: None,
            cancelled: Vec::new(),
            unanswered: 0,
            collecting: VecDeque::new(),
            unsent: VecDeque::new(),
            names: Names::default(),
            covered: CoveredHost::default(),
            abuse: Abuse::new(now),
            requests: 0,
            has_answered: false,
            received_at: now,
            born: now,
            idle_since: now,
            is_busy: false,
            has_news,
            owes_window: false,
            given_back: 0,
            drain: Drain::No,
        }
    }

    /// Calls `fill` with the buffer where received bytes go.
    pub fn input<T>(&mut self, now: Nanos, fill: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.received_at = now;
        self.has_news = true;
        fill(&mut self.pipe.borrow_mut().input)
    }

    pub fn receive_eof(&mut self) {
        self.pipe.borrow_mut().eof = true;
        self.has_news = true;
    }

    /// Lets h2 write what it has, if there is news.
    pub fn write(&mut self, context: &Context<'_>) {
        self.has_news |= self.owes_window;
        if self.has_news {
            self.pump(context);
        }
    }

    /// Lets `take` have the output. Returns whether that made room for what h2 could not write: then `write` again.
    pub fn output(&mut self, take: impl FnOnce(&mut Output)) -> bool {
        let mut pipe = self.pipe.borrow_mut();
        let before = pipe.output.len();
        take(&mut pipe.output);
        let made_room = pipe.is_blocked && pipe.output.len() < before;
        self.has_news |= made_room;
        made_room
    }

    pub fn has_output(&self) -> bool {
        !self.is_output_empty()
            || ((self.has_news || self.owes_window) && !matches!(self.engine, Engine::Done))
    }

    pub fn is_output_empty(&self) -> bool {
        self.pipe.borrow().output.is_empty()
    }

    /// h2 has ended the connection; what it said last may still be in the output.
    pub fn is_finished(&self) -> bool {
        matches!(self.engine, Engine::Done)
    }

    pub fn wants_read(&self) -> bool {
        let pipe = self.pipe.borrow();
        let is_stuck = pipe.is_output_full() || (pipe.is_blocked && pipe.has_input());
        !pipe.eof && !is_stuck
    }

    pub fn in_flight(&self) -> usize {
        self.unanswered
    }

    /// Looks for the next event. Tell the gateway by `event` before the next call.
    pub fn poll(&mut self, context: &Context<'_>) -> Option<Found> {
        self.current = None;
        if self.has_news {
            self.pump(context);
        }
        if let Some(exchange) = self.cancelled.pop() {
            return Some(Found::Cancelled(exchange));
        }
        while let Some(id) = self.whole.pop_front() {
            let Some(whole) = self.streams.get_mut(&id).and_then(Stream::hand_out) else {
                continue;
            };
            self.unanswered += 1;
            bump(&context.config.counters.requests_h2);
            self.current = Some(whole);
            return Some(Found::Request);
        }
        None
    }

    /// What `poll` found.
    pub fn event(&self, found: Found) -> Option<Event<'_>> {
        match found {
            Found::Cancelled(exchange) => Some(Event::Cancelled(exchange)),
            Found::Request => self.current.as_ref().map(|whole| {
                Event::Request(Request {
                    exchange: whole.exchange,
                    head: request::head(&whole.parts),
                    body: whole.body(),
                    first_byte_at: whole.first_byte_at,
                })
            }),
        }
    }

    pub fn respond(&mut self, context: &Context<'_>, exchange: ExchangeId, answer: &Answer<'_>) -> bool {
        let id = u32::try_from(exchange.0).unwrap_or(0);
        if !self.streams.get(&id).is_some_and(Stream::is_handed_out) {
            return false;
        }
        let Some(stream) = self.streams.remove(&id) else {
            return false;
        };
        self.unanswered -= 1;
        self.has_answered = true;
        self.send(
            context.now.after(context.config.deadlines.write),
            id,
            stream,
            answer,
        );
        true
    }

    /// Gives an answer to h2 and forgets the stream: h2 keeps what it has to send.
    fn send(&mut self, deadline: Nanos, id: u32, mut stream: Stream, answer: &Answer<'_>) {
        let (head, body) = answer::build(&mut self.names, answer, stream.is_head);
        self.has_news = true;
        // An error means that the stream is gone: the answer has nowhere to go.
        if let Ok(mut sender) = stream.respond.send_response(head, body.is_empty())
            && (body.is_empty() || sender.send_data(body, true).is_ok())
        {
            self.unsent.push_back((deadline, id));
        }
    }

    fn refuse(&mut self, context: &Context<'_>, id: u32, stream: Stream, refusal: Refusal) {
        context.config.counters.refuse(refusal);
        let deadline = context.now.after(context.config.deadlines.write);
        with_refusal(refusal, context.conn, ExchangeId(u64::from(id)), |answer| {
            self.send(deadline, id, stream, answer);
        });
    }
}

/// What `poll` found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    Request,
    Cancelled(ExchangeId),
}

fn builder(limits: &Limits) -> server::Builder {
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(limits.h2_streams)
        .initial_window_size(limits.h2_stream_window)
        .initial_connection_window_size(limits.h2_connection_window)
        // Default 16 MiB.
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        // Default 400 KiB a stream. Our answers are under 2 KiB.
        .max_send_buffer_size(limits.output_bytes)
        // Default 1024: resets that the peer provokes from us.
        .max_local_error_reset_streams(Some(crate::limits::H2_PROVOKED_RESETS))
        // Streams remembered after we reset them, so that frames on their way are no protocol error.
        .max_concurrent_reset_streams(crate::limits::H2_RESET_STREAMS)
        // Streams reset by the peer before we looked at them.
        .max_pending_accept_reset_streams(crate::limits::H2_PENDING_RESETS);
    builder
}
