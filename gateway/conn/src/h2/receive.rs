//! What each frame does (RFC 9113 section 6), but for those that carry a header block.

use super::frame::{Fault, Frame, HEADER_BYTES, PAYLOAD_BYTES_MAX, Reason, WINDOW_MAX};
use super::frame::{flag, kind, number, put_ping, put_settings_ack, put_window_update};
use super::stream::Phase as StreamPhase;
use super::{Found, H2, Phase};
use crate::context::Context;
use crate::{ExchangeId, Refusal};

/// How a client begins (section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the drain's PING carries, to know its acknowledgement by.
pub(super) const DRAIN_PING: &[u8; 8] = b"tidegate";

impl H2 {
    /// Reads frames until something happens, the input ends or the output is full.
    pub(super) fn advance(&mut self, context: &Context<'_>, input: &[u8]) -> Option<Found> {
        while self.phase != Phase::Done && !self.is_output_full() {
            let rest = &input[self.at..];
            if self.phase == Phase::Preface {
                if !self.preface(context, rest) {
                    break;
                }
                continue;
            }
            let Some(header) = rest.first_chunk::<HEADER_BYTES>() else {
                self.is_read = true;
                self.note_unfinished(!rest.is_empty());
                break;
            };
            let frame = Frame::parse(header);
            if frame.length > PAYLOAD_BYTES_MAX {
                self.fail(context, Reason::FrameSize, Refusal::H2Protocol);
                break;
            }
            let Some(payload) = rest[HEADER_BYTES..].get(..frame.length) else {
                self.is_read = true;
                // A slow body has the request's deadline; everything else that dawdles has the head's.
                self.note_unfinished(frame.kind != kind::DATA);
                break;
            };
            self.note_arrival(frame);
            self.at += HEADER_BYTES + frame.length;
            if self.block.is_none() {
                // The next frame has a deadline of its own.
                self.unfinished_since = None;
            }
            if let Some(found) = self.step(context, frame, payload) {
                return Some(found);
            }
        }
        if self.is_output_full() {
            // What lies unread is not late: we do not look at it.
            self.unfinished_since = None;
        }
        self.end_if_over();
        None
    }

    /// Notes when a frame of a request came, before it is taken.
    fn note_arrival(&mut self, frame: Frame) {
        let first = self.gone + self.at as u64;
        let last = first + (HEADER_BYTES + frame.length - 1) as u64;
        if frame.kind == kind::HEADERS {
            self.head_begun_at = self.arrivals.of(first).unwrap_or(self.received_at);
        }
        if matches!(frame.kind, kind::HEADERS | kind::DATA | kind::CONTINUATION) {
            self.frame_ended_at = self.arrivals.of(last).unwrap_or(self.received_at);
        }
    }

    fn note_unfinished(&mut self, in_frame: bool) {
        if in_frame || self.block.is_some() {
            self.unfinished_since.get_or_insert(self.received_at);
        } else {
            self.unfinished_since = None;
        }
    }

    /// Returns whether the preface is complete.
    fn preface(&mut self, context: &Context<'_>, rest: &[u8]) -> bool {
        if rest.len() < PREFACE.len() && PREFACE.starts_with(rest) {
            self.is_read = true;
            return false;
        }
        if !rest.starts_with(PREFACE) {
            self.fail(context, Reason::Protocol, Refusal::H2Protocol);
            return false;
        }
        self.at += PREFACE.len();
        self.phase = Phase::Settings;
        true
    }

    /// Takes one frame, and carries out what it is guilty of.
    fn step(&mut self, context: &Context<'_>, frame: Frame, payload: &[u8]) -> Option<Found> {
        match self.frame(context, frame, payload) {
            Ok(found) => {
                self.judge(context);
                found
            }
            Err(Fault::Stream(id, reason)) => self.provoked_reset(context, id, reason),
            Err(Fault::Connection(reason)) => {
                let refusal = match reason {
                    Reason::EnhanceYourCalm => Refusal::H2Flood,
                    _ => Refusal::H2Protocol,
                };
                self.fail(context, reason, refusal);
                None
            }
        }
    }

    fn frame(&mut self, context: &Context<'_>, frame: Frame, payload: &[u8]) -> Result<Option<Found>, Fault> {
        let protocol = Err(Fault::Connection(Reason::Protocol));
        if self.phase == Phase::Settings && frame.kind != kind::SETTINGS {
            return protocol;
        }
        if let Some(block) = &self.block
            && (frame.kind != kind::CONTINUATION || frame.stream != block.stream)
        {
            return protocol;
        }
        // Frames of streams name one, those of the connection none (section 6).
        let is_of_connection = matches!(frame.kind, kind::SETTINGS | kind::PING | kind::GOAWAY);
        let is_of_either = frame.kind == kind::WINDOW_UPDATE || frame.kind > kind::CONTINUATION;
        if !is_of_either && (frame.stream == 0) != is_of_connection {
            return protocol;
        }
        match frame.kind {
            kind::DATA => return self.data(context, frame, payload),
            kind::HEADERS => return self.headers(context, frame, payload),
            kind::CONTINUATION => return self.continuation(context, frame, payload),
            kind::RST_STREAM => return self.reset_by_peer(context, frame, payload),
            kind::PRIORITY if payload.len() != 5 => {
                return Err(Fault::Stream(frame.stream, Reason::FrameSize));
            }
            kind::SETTINGS => self.settings(frame, payload)?,
            kind::PUSH_PROMISE => return protocol,
            kind::PING => self.ping(frame, payload)?,
            kind::GOAWAY if payload.len() < 8 => return Err(Fault::Connection(Reason::FrameSize)),
            kind::GOAWAY => {
                self.abuse.counts.others += 1;
                self.is_left = true;
            }
            kind::WINDOW_UPDATE => self.window_update(frame, payload)?,
            // Unknown kinds are ignored (section 4.1), and so is PRIORITY (section 5.3.2).
            _ => self.abuse.counts.others += 1,
        }
        Ok(None)
    }

    fn data(&mut self, context: &Context<'_>, frame: Frame, payload: &[u8]) -> Result<Option<Found>, Fault> {
        let (id, ends) = (frame.stream, frame.has(flag::END_STREAM));
        // Padding counts as well (section 6.9).
        self.receive_window.take(frame.length, self.output.buffer())?;
        let piece = frame.unpadded(payload)?;
        let padding = frame.length - piece.len();
        // Padding alone is as cheap as nothing.
        if piece.is_empty() && !ends {
            self.abuse.counts.empty_data += 1;
        }
        let Some(stream) = self.streams.get_mut(&id) else {
            self.receive_window.give_back(frame.length, self.output.buffer());
            return self.of_closed(id).map(|()| None);
        };
        let StreamPhase::Collecting(request) = &mut stream.phase else {
            self.receive_window.give_back(frame.length, self.output.buffer());
            // An answer that did not wait for the whole body: the rest is thrown away.
            if stream.has_ended {
                return Err(Fault::Stream(id, Reason::StreamClosed));
            }
            stream.has_ended = ends;
            return Ok(None);
        };
        stream.held += piece.len();
        self.receive_window.give_back(padding, self.output.buffer());
        if !stream.window.take(frame.length) {
            return Err(Fault::Stream(id, Reason::FlowControl));
        }
        stream.window.forgive(padding);
        let limits = &context.config.limits;
        let length = request.body().len() + piece.len();
        if !request.is_length(length, ends) {
            return Err(Fault::Stream(id, Reason::Protocol));
        }
        if length > limits.body_bytes {
            stream.has_ended = ends;
            self.refuse(context, id, Refusal::BodyTooLarge);
            return Ok(None);
        }
        request.append_body(piece);
        if ends {
            return Ok(self.whole(id));
        }
        let more = stream
            .window
            .widen(limits.h2_stream_window, limits.body_bytes + 1);
        if more > 0 {
            put_window_update(self.output.buffer(), id, more);
        }
        Ok(None)
    }

    /// The request of this stream is whole: hands it out.
    pub(super) fn whole(&mut self, id: u32) -> Option<Found> {
        let stream = self.streams.get_mut(&id)?;
        stream.has_ended = true;
        self.receive_window
            .give_back(std::mem::take(&mut stream.held), self.output.buffer());
        let mut request = stream.hand_out()?;
        request.whole_at = self.frame_ended_at;
        self.current = Some(request);
        Some(Found::Request(ExchangeId(u64::from(id))))
    }

    /// A frame of a stream that is not open: whether it may be.
    pub(super) fn of_closed(&self, id: u32) -> Result<(), Fault> {
        if id > self.last_stream || id.is_multiple_of(2) {
            // Idle (section 5.1).
            Err(Fault::Connection(Reason::Protocol))
        } else if self.reset.contains(&id) {
            Ok(())
        } else {
            Err(Fault::Connection(Reason::StreamClosed))
        }
    }

    fn reset_by_peer(
        &mut self,
        context: &Context<'_>,
        frame: Frame,
        payload: &[u8],
    ) -> Result<Option<Found>, Fault> {
        number(payload)?;
        if frame.stream > self.last_stream || frame.stream.is_multiple_of(2) {
            return Err(Fault::Connection(Reason::Protocol));
        }
        self.abuse.counts.resets += 1;
        Ok(self.forget(context, frame.stream))
    }

    /// Forgets a stream that was reset; tells if the gateway has its request.
    pub(super) fn forget(&mut self, context: &Context<'_>, id: u32) -> Option<Found> {
        let was_handed_out = self.streams.get(&id)?.is_handed_out();
        self.remove(context.now, id);
        was_handed_out.then(|| {
            self.unanswered -= 1;
            Found::Cancelled(ExchangeId(u64::from(id)))
        })
    }

    fn settings(&mut self, frame: Frame, payload: &[u8]) -> Result<(), Fault> {
        self.abuse.counts.settings += 1;
        if frame.has(flag::ACK) {
            self.is_acknowledged = true;
            return if payload.is_empty() {
                Ok(())
            } else {
                Err(Fault::Connection(Reason::FrameSize))
            };
        }
        let before = self.peer.window;
        self.peer.take(payload, &mut self.encoder)?;
        let difference = self.peer.window - before;
        if difference != 0 {
            for stream in self.streams.values_mut() {
                stream.send_window += difference;
                if stream.send_window > WINDOW_MAX {
                    return Err(Fault::Connection(Reason::FlowControl));
                }
            }
        }
        put_settings_ack(self.output.buffer());
        if self.phase == Phase::Settings {
            self.phase = Phase::Open;
            self.carry_out_drain();
        }
        self.send_parked();
        Ok(())
    }

    fn ping(&mut self, frame: Frame, payload: &[u8]) -> Result<(), Fault> {
        if payload.len() != 8 {
            return Err(Fault::Connection(Reason::FrameSize));
        }
        self.abuse.counts.pings += 1;
        if frame.has(flag::ACK) {
            if payload == DRAIN_PING {
                self.drain_acknowledged();
            }
        } else {
            put_ping(self.output.buffer(), flag::ACK, payload);
        }
        Ok(())
    }

    fn window_update(&mut self, frame: Frame, payload: &[u8]) -> Result<(), Fault> {
        let more = i64::from(number(payload)? & 0x7fff_ffff);
        self.abuse.counts.window_updates += 1;
        if frame.stream == 0 {
            self.send_window += more;
            if more == 0 {
                return Err(Fault::Connection(Reason::Protocol));
            }
            if self.send_window > WINDOW_MAX {
                return Err(Fault::Connection(Reason::FlowControl));
            }
        } else if let Some(stream) = self.streams.get_mut(&frame.stream) {
            stream.send_window += more;
            if more == 0 {
                return Err(Fault::Stream(frame.stream, Reason::Protocol));
            }
            if stream.send_window > WINDOW_MAX {
                return Err(Fault::Stream(frame.stream, Reason::FlowControl));
            }
        } else if frame.stream > self.last_stream || frame.stream.is_multiple_of(2) {
            return Err(Fault::Connection(Reason::Protocol));
        }
        self.send_parked();
        Ok(())
    }
}
