//! HTTP/2 (RFC 9113), the server's side: frames in, requests out; answers in, frames out.
//!
//! Frames are read one at a time, and none after a request is whole until the gateway has taken it. So what is said depends on
//! the bytes alone and not on the pieces they come in, a request lies in one buffer for as long as the gateway looks at it,
//! and nothing is read while the output is full. Written by hand, because it is on the path of every order: see
//! `benches/RESULTS.md` for what that saves.

mod abuse;
mod arrivals;
mod end;
mod frame;
mod headers;
mod receive;
mod request;
mod send;
mod settings;
mod stream;
mod window;

use crate::context::Context;
use crate::counters::bump;
use crate::host::CoveredHost;
use crate::hpack::{Decoder, Encoder};
use crate::limits::{IDLE_BUFFER_BYTES, UNREAD_BYTES};
use crate::output::Output;
use crate::{Answer, Event, ExchangeId, Limits, Nanos};
use abuse::Abuse;
use arrivals::Arrivals;
use end::Drain;
use frame::WINDOW_DEFAULT;
use hashbrown::HashMap;
use headers::Block;
use request::Request;
use settings::Peer;
use std::collections::VecDeque;
use stream::Stream;
use window::ReceiveWindow;

/// The HTTP/2 side of a connection.
pub(crate) struct H2 {
    phase: Phase,
    /// Received, and read up to `at`.
    input: Vec<u8>,
    at: usize,
    /// Bytes that were read and are gone from `input`.
    gone: u64,
    arrivals: Arrivals,
    eof: bool,
    /// What is left of the input is no whole frame: all that arrived has been read.
    is_read: bool,
    pub output: Output,
    /// With this many bytes of output nothing more is read.
    output_bytes_max: usize,
    decoder: Decoder,
    encoder: Encoder,
    peer: Peer,
    /// The peer has acknowledged our SETTINGS.
    is_acknowledged: bool,
    /// A header block that goes on in the next frame.
    block: Option<Block>,
    streams: HashMap<u32, Stream, foldhash::fast::FixedState>,
    /// The highest stream of the client's so far.
    last_stream: u32,
    /// Streams that we reset last, oldest first.
    reset: VecDeque<u32>,
    receive_window: ReceiveWindow,
    send_window: i64,
    /// The request that was handed out last: its bytes are borrowed until the next call.
    current: Option<Request>,
    /// Buffers of requests that are done with.
    spare: Vec<Request>,
    /// Requests that were not whole at once, with their deadlines, oldest first; some may be gone.
    collecting: VecDeque<(Nanos, u32)>,
    /// Answers whose bodies wait for a window or for room, with their deadlines, oldest first.
    parked: VecDeque<(Nanos, u32)>,
    /// Handed out and not answered.
    unanswered: usize,
    requests: u64,
    has_answered: bool,
    covered: CoveredHost,
    abuse: Abuse,
    received_at: Nanos,
    /// When the first byte of the last HEADERS frame arrived.
    head_begun_at: Nanos,
    /// When the last byte of the last HEADERS or DATA frame arrived.
    frame_ended_at: Nanos,
    born: Nanos,
    /// Since when there is no stream.
    idle_since: Nanos,
    /// A frame or a header block has begun and not ended, since then.
    unfinished_since: Option<Nanos>,
    drain: Drain,
    /// The peer has sent GOAWAY: no more requests come.
    is_left: bool,
}

/// Where the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The client's preface is not complete (section 3.4).
    Preface,
    /// Its first frame must be SETTINGS.
    Settings,
    Open,
    /// Nothing more is read or answered.
    Done,
}

/// What `poll` found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    /// A whole request, which is in `current`.
    Request(ExchangeId),
    /// The client reset the stream of a request that was handed out.
    Cancelled(ExchangeId),
}

impl H2 {
    /// `input` holds what arrived before the protocol was known.
    pub fn new(input: Vec<u8>, limits: &Limits, now: Nanos) -> H2 {
        let mut output = Output::default();
        settings::put_ours(output.buffer(), limits);
        let mut receive_window = ReceiveWindow::new(limits.h2_connection_window);
        receive_window.open(output.buffer());
        H2 {
            phase: Phase::Preface,
            input,
            at: 0,
            gone: 0,
            arrivals: Arrivals::default(),
            eof: false,
            is_read: false,
            output,
            output_bytes_max: limits.output_bytes,
            decoder: Decoder::new(),
            encoder: Encoder::new(),
            peer: Peer::new(),
            is_acknowledged: false,
            block: None,
            streams: HashMap::default(),
            last_stream: 0,
            reset: VecDeque::new(),
            receive_window,
            send_window: WINDOW_DEFAULT,
            current: None,
            spare: Vec::new(),
            collecting: VecDeque::new(),
            parked: VecDeque::new(),
            unanswered: 0,
            requests: 0,
            has_answered: false,
            covered: CoveredHost::default(),
            abuse: Abuse::new(now),
            received_at: now,
            head_begun_at: now,
            frame_ended_at: now,
            born: now,
            idle_since: now,
            unfinished_since: None,
            drain: Drain::No,
            is_left: false,
        }
    }

    /// Where received bytes go.
    pub fn input(&mut self, now: Nanos) -> &mut Vec<u8> {
        self.is_read = false;
        if self.at > 0 {
            self.input.drain(..self.at);
            self.gone += self.at as u64;
            self.at = 0;
        }
        if !self.input.is_empty() {
            let end = self.gone + self.input.len() as u64;
            self.arrivals.note(self.gone, self.received_at, end, now);
        }
        self.received_at = now;
        &mut self.input
    }

    pub fn receive_eof(&mut self) {
        self.eof = true;
    }

    /// Nothing more is said; what was said last may still be in the output.
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Done
    }

    pub fn wants_read(&self) -> bool {
        let unread = self.input.len() - self.at;
        !self.eof && self.phase != Phase::Done && !self.is_output_full() && unread < UNREAD_BYTES
    }

    fn is_output_full(&self) -> bool {
        self.output.len() >= self.output_bytes_max
    }

    pub fn in_flight(&self) -> usize {
        self.unanswered
    }

    /// Reads on until something happens. Tell the gateway by `event` before the next call.
    pub fn poll(&mut self, context: &Context<'_>) -> Option<Found> {
        if let Some(request) = self.current.take() {
            self.keep(request);
        }
        let input = std::mem::take(&mut self.input);
        let found = self.advance(context, &input);
        self.input = input;
        if self.at == self.input.len() {
            self.input.clear();
            self.input.shrink_to(IDLE_BUFFER_BYTES);
            self.gone += self.at as u64;
            self.at = 0;
            self.arrivals.clear();
        }
        if matches!(found, Some(Found::Request(_))) {
            // A frame can bring a request and be one too many: then nobody will be answered.
            if self.phase != Phase::Done {
                self.unanswered += 1;
            }
            bump(&context.config.counters.requests_h2);
        }
        found
    }

    /// What `poll` found.
    pub fn event(&self, found: Found) -> Option<Event<'_>> {
        match found {
            Found::Cancelled(exchange) => Some(Event::Cancelled(exchange)),
            Found::Request(exchange) => self.current.as_ref().map(|request| {
                Event::Request(crate::Request {
                    exchange,
                    head: request.head(),
                    body: request.body(),
                    first_byte_at: request.first_byte_at,
                    whole_at: request.whole_at,
                })
            }),
        }
    }

    pub fn respond(&mut self, context: &Context<'_>, exchange: ExchangeId, answer: &Answer<'_>) -> bool {
        let id = u32::try_from(exchange.0).unwrap_or(0);
        if !self.streams.get(&id).is_some_and(Stream::is_handed_out) {
            return false;
        }
        self.unanswered -= 1;
        self.has_answered = true;
        self.answer(context, id, answer);
        self.end_if_over();
        true
    }

    /// A stream is over: both sides have ended it, or one has reset it.
    fn remove(&mut self, now: Nanos, id: u32) {
        let Some(mut stream) = self.streams.remove(&id) else {
            return;
        };
        if stream.is_parked() {
            self.parked.retain(|(_, parked)| *parked != id);
        }
        self.receive_window.give_back(stream.held, self.output.buffer());
        if let Some(request) = stream.hand_out() {
            self.keep(request);
        }
        if self.streams.is_empty() {
            self.idle_since = now;
        }
    }

    /// Keeps a request's buffers for the next.
    fn keep(&mut self, mut request: Request) {
        if self.spare.len() < crate::limits::H2_SPARE_REQUESTS && request.clear() {
            self.spare.push(request);
        }
    }
}
