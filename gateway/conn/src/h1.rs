//! HTTP/1.1: one request after the other, answers in the order of the requests (RFC 9112).

pub(crate) mod body;
mod end;
pub(crate) mod head;
pub(crate) mod write;

use crate::context::Context;
use crate::counters::bump;
use crate::head::Span;
use crate::host::CoveredHost;
use crate::limits::{CHUNK_GAP_BYTES, IDLE_BUFFER_BYTES, SPARE_ANSWERS, UNREAD_BYTES};
use crate::output::Output;
use crate::{Answer, Event, ExchangeId, Nanos, Refusal, Request};
use body::Body;
use head::{Parsed, Scan};
use std::collections::VecDeque;
use write::Shape;

/// The HTTP/1.1 side of a connection.
#[derive(Debug)]
pub(crate) struct H1 {
    /// Bytes received; those before `base` are done with.
    input: Vec<u8>,
    /// Where the request in hand begins.
    base: usize,
    stage: Stage,
    spans: Vec<Span>,
    /// Exchanges that are not written yet, oldest first.
    slots: VecDeque<Slot>,
    /// The exchange of the first slot.
    first: u64,
    /// Slots that wait for their answer.
    unanswered: usize,
    pub output: Output,
    /// Emptied buffers of answers that overtook others.
    spare: Vec<Vec<u8>>,
    /// When the last bytes arrived.
    received_at: Nanos,
    /// When the request in hand was begun to be read: its deadlines count from here.
    begun_at: Option<Nanos>,
    /// When its first byte arrived.
    first_byte_at: Nanos,
    /// Since when nothing is asked.
    idle_since: Nanos,
    /// The next request is the last one.
    draining: bool,
    /// The peer will send nothing more.
    eof: bool,
    /// The last host that the certificate was found to cover.
    covered: CoveredHost,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Before the first byte of a request.
    Between { may_skip_line: bool },
    /// In a head.
    Head(Scan),
    /// Before the interim answer to `Expect`, which must not overtake older answers.
    Held { parsed: Parsed, body: Body },
    /// In a body.
    Body { parsed: Parsed, body: Body },
    /// A whole request was handed out and its bytes are borrowed until the next call.
    Handed { end: usize, last: bool },
    /// No more requests.
    Ended,
}

#[derive(Debug)]
struct Slot {
    shape: Shape,
    /// The formatted answer, while older ones are missing.
    ready: Option<Vec<u8>>,
}

impl H1 {
    /// `input` holds what arrived before the protocol was known.
    pub fn new(input: Vec<u8>, now: Nanos) -> H1 {
        H1 {
            input,
            base: 0,
            stage: Stage::Between { may_skip_line: true },
            spans: Vec::new(),
            slots: VecDeque::new(),
            first: 1,
            unanswered: 0,
            output: Output::default(),
            spare: Vec::new(),
            received_at: now,
            begun_at: None,
            first_byte_at: now,
            idle_since: now,
            draining: false,
            eof: false,
            covered: CoveredHost::default(),
        }
    }

    /// Where received bytes go, emptied of those that are done with.
    pub fn input(&mut self, now: Nanos) -> &mut Vec<u8> {
        self.release_handed();
        self.received_at = now;
        if self.base > 0 {
            self.input.drain(..self.base);
            self.base = 0;
        }
        if let Stage::Body { body, .. } = &mut self.stage
            && body.gap() > CHUNK_GAP_BYTES
        {
            self.input.drain(body.end..body.read);
            body.closed_gap();
        }
        &mut self.input
    }

    /// The peer will send nothing more. Whole requests are still served; one that is not whole never will be.
    pub fn receive_eof(&mut self) {
        self.eof = true;
    }

    fn end(&mut self) {
        self.stage = Stage::Ended;
        self.begun_at = None;
        self.input.clear();
        self.base = 0;
    }

    /// Whether the next request must wait, because answers or their bytes pile up.
    fn is_blocked(&self, context: &Context<'_>) -> bool {
        let limits = &context.config.limits;
        self.slots.len() >= limits.pipelined || self.output.len() >= limits.output_bytes
    }

    pub fn wants_read(&self, context: &Context<'_>) -> bool {
        match self.stage {
            Stage::Ended | Stage::Held { .. } => false,
            // A body that was begun is bounded, and waits for nothing but itself.
            Stage::Body { .. } => !self.eof,
            _ => {
                let unread = self.input.len() - self.base;
                !self.eof
                    && !self.is_blocked(context)
                    && unread < context.config.limits.head_bytes + UNREAD_BYTES
            }
        }
    }

    /// No request can come any more, and every answer is in the output.
    pub fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Ended) && self.slots.is_empty()
    }

    pub fn in_flight(&self) -> usize {
        self.unanswered
    }

    /// Reads on until a request is whole. Tell the gateway by `event` before the next call.
    pub fn poll(&mut self, context: &Context<'_>) -> Option<Whole> {
        self.release_handed();
        self.advance(context)
    }

    /// The request that `poll` found.
    pub fn event(&self, whole: &Whole) -> Event<'_> {
        let bytes = &self.input[self.base..];
        Event::Request(Request {
            exchange: whole.exchange,
            head: whole.parsed.head(&bytes[..whole.head_end], &self.spans),
            body: &bytes[whole.head_end..whole.body_end],
            first_byte_at: self.first_byte_at,
            whole_at: self.received_at,
        })
    }

    fn release_handed(&mut self) {
        if let Stage::Handed { end, last } = self.stage {
            self.base += end;
            self.stage = Stage::Between { may_skip_line: true };
            if self.base == self.input.len() {
                self.input.clear();
                self.base = 0;
                self.input.shrink_to(IDLE_BUFFER_BYTES);
            }
            if last {
                self.end();
            }
        }
    }

    fn advance(&mut self, context: &Context<'_>) -> Option<Whole> {
        loop {
            let stepped = match self.stage {
                Stage::Between { may_skip_line } => self.begin(context, may_skip_line),
                Stage::Head(scan) => self.read_head(context, scan),
                Stage::Held { parsed, body } => Ok(self.release_held(context, parsed, body)),
                Stage::Body { parsed, body } => match self.read_body(context, parsed, body) {
                    Ok(Some(whole)) => return Some(whole),
                    Ok(None) => Ok(false),
                    Err(refusal) => Err(refusal),
                },
                Stage::Handed { .. } | Stage::Ended => Ok(false),
            };
            match stepped {
                Ok(true) => {}
                Ok(false) => {
                    if self.eof && matches!(self.stage, Stage::Head(_) | Stage::Body { .. }) {
                        self.end();
                    }
                    return None;
                }
                Err(refusal) => {
                    self.refuse(context, refusal);
                    return None;
                }
            }
        }
    }

    fn begin(&mut self, context: &Context<'_>, may_skip_line: bool) -> Result<bool, Refusal> {
        if self.is_blocked(context) {
            return Ok(false);
        }
        match &self.input[self.base..] {
            [] => {
                if self.draining || self.eof {
                    self.end();
                }
                return Ok(false);
            }
            // One empty line before a request is forgiven (RFC 9112 section 2.2).
            [b'\r', b'\n', ..] if may_skip_line => {
                self.base += 2;
                self.stage = Stage::Between { may_skip_line: false };
                return Ok(true);
            }
            [b'\r'] if may_skip_line => return Ok(false),
            _ => {}
        }
        self.begun_at = Some(context.now);
        self.first_byte_at = self.received_at;
        self.stage = Stage::Head(Scan::default());
        Ok(true)
    }

    fn read_head(&mut self, context: &Context<'_>, mut scan: Scan) -> Result<bool, Refusal> {
        let bytes = &self.input[self.base..];
        let Some(end) = scan.find_end(bytes, &context.config.limits)? else {
            self.stage = Stage::Head(scan);
            return Ok(false);
        };
        let parsed = head::parse(&bytes[..end], &mut self.spans)?;
        if let Some(host) = parsed.host(&bytes[..end])
            && !self.covered.admits(host, context)
        {
            return Err(Refusal::Misdirected);
        }
        let body = Body::new(parsed.framing, end, &context.config.limits)?;
        self.stage = match parsed.expects_continue {
            true => Stage::Held { parsed, body },
            false => Stage::Body { parsed, body },
        };
        Ok(true)
    }

    fn release_held(&mut self, context: &Context<'_>, parsed: Parsed, body: Body) -> bool {
        if !self.slots.is_empty() {
            return false;
        }
        self.output.buffer().extend_from_slice(write::CONTINUE);
        self.begun_at = Some(context.now);
        self.stage = Stage::Body { parsed, body };
        true
    }

    fn read_body(
        &mut self,
        context: &Context<'_>,
        parsed: Parsed,
        mut body: Body,
    ) -> Result<Option<Whole>, Refusal> {
        if !body.decode(&mut self.input[self.base..], &context.config.limits)? {
            self.stage = Stage::Body { parsed, body };
            return Ok(None);
        }
        let exchange = self.open(context, &parsed);
        self.stage = Stage::Handed {
            end: body.read,
            last: self.draining,
        };
        self.begun_at = None;
        bump(&context.config.counters.requests_h1);
        Ok(Some(Whole {
            exchange,
            parsed,
            head_end: body.start(),
            body_end: body.end,
        }))
    }

    fn open(&mut self, context: &Context<'_>, parsed: &Parsed) -> ExchangeId {
        let exchange = self.first + self.slots.len() as u64;
        if parsed.close || exchange >= context.config.limits.requests {
            self.draining = true;
        }
        let shape = Shape {
            close: self.draining,
            is_head: parsed.is_head,
            http10: parsed.http10,
        };
        self.slots.push_back(Slot { shape, ready: None });
        self.unanswered += 1;
        ExchangeId(exchange)
    }

    /// Answers the request in hand with a refusal, after all older answers, and ends the connection.
    fn refuse(&mut self, context: &Context<'_>, refusal: Refusal) {
        context.config.counters.refuse(refusal);
        let exchange = self.first + self.slots.len() as u64;
        let shape = Shape {
            close: true,
            is_head: false,
            http10: false,
        };
        let mut ready = Vec::new();
        write::with_refusal(refusal, context.conn, ExchangeId(exchange), |answer| {
            write::answer(&mut ready, answer, shape);
        });
        self.slots.push_back(Slot {
            shape,
            ready: Some(ready),
        });
        self.end();
        self.flush_ready(context.now);
    }

    pub fn respond(&mut self, context: &Context<'_>, exchange: ExchangeId, answer: &Answer<'_>) -> bool {
        let Some(index) = exchange.0.checked_sub(self.first) else {
            return false;
        };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.ready.is_none()) else {
            return false;
        };
        self.unanswered -= 1;
        if index == 0 {
            write::answer(self.output.buffer(), answer, slot.shape);
            self.pop_slot(context.now);
            self.flush_ready(context.now);
        } else {
            let mut ready = self.spare.pop().unwrap_or_default();
            write::answer(&mut ready, answer, slot.shape);
            slot.ready = Some(ready);
        }
        true
    }

    fn pop_slot(&mut self, now: Nanos) {
        self.slots.pop_front();
        self.first += 1;
        if self.slots.is_empty() {
            self.idle_since = now;
        }
    }

    /// Moves answers whose turn has come to the output.
    fn flush_ready(&mut self, now: Nanos) {
        while let Some(mut ready) = self.slots.front_mut().and_then(|slot| slot.ready.take()) {
            self.output.buffer().extend_from_slice(&ready);
            if self.spare.len() < SPARE_ANSWERS && ready.capacity() <= IDLE_BUFFER_BYTES {
                ready.clear();
                self.spare.push(ready);
            }
            self.pop_slot(now);
        }
        if self.slots.is_empty() {
            self.spare = Vec::new();
        }
    }
}

/// A request whose bytes are all there, as places in the input.
pub(crate) struct Whole {
    exchange: ExchangeId,
    parsed: Parsed,
    head_end: usize,
    body_end: usize,
}
