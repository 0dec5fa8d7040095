//! Answers on their way out: HEADERS at once, DATA as far as windows and room go (RFC 9113 sections 6.1, 6.9).

use super::H2;
use super::frame::{HEADER_BYTES, PAYLOAD_BYTES_MAX, Reason, flag, header, kind, put_header, put_reset};
use super::stream::{Phase, Stream};
use crate::context::Context;
use crate::h1::write::with_refusal;
use crate::limits::H2_RESET_STREAMS;
use crate::{Answer, ExchangeId, Nanos, Refusal};

impl H2 {
    /// Says the answer of a stream that is there. What does not fit now is parked.
    pub(super) fn answer(&mut self, context: &Context<'_>, id: u32, answer: &Answer<'_>) {
        assert!(
            (200..=599).contains(&answer.status),
            "an answer's status is final"
        );
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        let bodyless = matches!(answer.status, 204 | 304);
        let body = if bodyless || stream.is_head {
            &[][..]
        } else {
            answer.body
        };
        let start = self.begin_headers();
        let out = self.output.buffer();
        self.encoder.status(out, answer.status);
        for (name, value) in answer.headers {
            self.encoder.field(out, name, value);
        }
        if !bodyless {
            let length = answer.body.len();
            self.encoder.field(
                out,
                "content-length",
                itoa::Buffer::new().format(length).as_bytes(),
            );
        }
        self.end_headers(start, id, body.is_empty());
        let sent = self.send_body(id, body);
        if sent == body.len() {
            self.close(context.now, id);
            return;
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.phase = Phase::Parked {
                body: body[sent..].into(),
                sent: 0,
            };
            let deadline = context.now.after(context.config.deadlines.write);
            self.parked.push_back((deadline, id));
        }
    }

    /// Answers a request that the connection refuses by itself.
    pub(super) fn refuse(&mut self, context: &Context<'_>, id: u32, refusal: Refusal) {
        context.config.counters.refuse(refusal);
        if let Some(stream) = self.streams.get_mut(&id)
            && let Some(request) = stream.hand_out()
        {
            self.keep(request);
        }
        with_refusal(refusal, context.conn, ExchangeId(u64::from(id)), |answer| {
            self.answer(context, id, answer);
        });
    }

    /// The interim answer to `Expect`.
    pub(super) fn send_continue(&mut self, id: u32) {
        let start = self.begin_headers();
        self.encoder.status(self.output.buffer(), 100);
        self.end_headers(start, id, false);
    }

    /// Leaves room for a frame's header. Returns where it goes.
    fn begin_headers(&mut self) -> usize {
        let out = self.output.buffer();
        out.extend_from_slice(&[0; HEADER_BYTES]);
        out.len() - HEADER_BYTES
    }

    /// Fills in the header of the block that begins at `start`; a block over a frame's size goes on in others.
    fn end_headers(&mut self, start: usize, id: u32, ends_stream: bool) {
        let out = self.output.buffer();
        let block = start + HEADER_BYTES;
        let rest = if out.len() - block > PAYLOAD_BYTES_MAX {
            out.split_off(block + PAYLOAD_BYTES_MAX)
        } else {
            Vec::new()
        };
        let length = out.len() - block;
        let mut flags = if ends_stream { flag::END_STREAM } else { 0 };
        if rest.is_empty() {
            flags |= flag::END_HEADERS;
        }
        out[start..block].copy_from_slice(&header(length, kind::HEADERS, flags, id));
        let mut pieces = rest.chunks(PAYLOAD_BYTES_MAX).peekable();
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() {
                flag::END_HEADERS
            } else {
                0
            };
            put_header(out, piece.len(), kind::CONTINUATION, flags, id);
            out.extend_from_slice(piece);
        }
    }

    /// Sends the body or its beginning; returns how much.
    fn send_body(&mut self, id: u32, body: &[u8]) -> usize {
        let Some(stream) = self.streams.get_mut(&id) else {
            return 0;
        };
        let mut sent = 0;
        while sent < body.len() && self.output.len() < self.output_bytes_max {
            let window = self.send_window.min(stream.send_window).max(0) as usize;
            let count = (body.len() - sent).min(window).min(self.peer.frame_bytes);
            if count == 0 {
                break;
            }
            let piece = &body[sent..sent + count];
            sent += count;
            self.send_window -= count as i64;
            stream.send_window -= count as i64;
            let flags = if sent == body.len() { flag::END_STREAM } else { 0 };
            let out = self.output.buffer();
            put_header(out, count, kind::DATA, flags, id);
            out.extend_from_slice(piece);
        }
        sent
    }

    /// Our END_STREAM is out. A client that has not ended its request is told that nobody reads the rest (section 8.1).
    fn close(&mut self, now: Nanos, id: u32) {
        if self.streams.get(&id).is_some_and(|stream| !stream.has_ended) {
            self.reset(id, Reason::NoError);
        }
        self.remove(now, id);
    }

    /// Says RST_STREAM, and remembers it.
    pub(super) fn reset(&mut self, id: u32, reason: Reason) {
        put_reset(self.output.buffer(), id, reason);
        self.remember(id);
    }

    /// Frames of this stream are on their way, and no error.
    pub(super) fn remember(&mut self, id: u32) {
        if self.reset.len() == H2_RESET_STREAMS {
            self.reset.pop_front();
        }
        self.reset.push_back(id);
    }

    /// Whether there is something that `send_parked` could send, given room.
    pub fn has_sendable(&self) -> bool {
        let is_open = |stream: &Stream| stream.send_window > 0;
        self.send_window > 0
            && self
                .parked
                .iter()
                .any(|(_, id)| self.streams.get(id).is_some_and(is_open))
    }

    /// Goes on with the answers that wait, oldest first.
    pub fn send_parked(&mut self) {
        let mut at = 0;
        while let Some((_, id)) = self.parked.get(at).copied()
            && self.send_window > 0
            && !self.is_output_full()
        {
            let phase = self
                .streams
                .get_mut(&id)
                .map(|stream| std::mem::replace(&mut stream.phase, Phase::HandedOut));
            let Some(Phase::Parked { body, mut sent }) = phase else {
                debug_assert!(false, "parked streams are there");
                self.parked.remove(at);
                continue;
            };
            sent += self.send_body(id, &body[sent..]);
            let is_over = sent == body.len();
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.phase = Phase::Parked { body, sent };
            }
            if is_over {
                // This takes it off the list.
                self.close(self.received_at, id);
            } else {
                at += 1;
            }
        }
    }

    /// Whether there is something to hand out.
    pub fn has_output(&self) -> bool {
        !self.output.is_empty() || self.has_sendable()
    }
}
