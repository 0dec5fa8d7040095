//! Header blocks: HEADERS and CONTINUATION (RFC 9113 sections 6.2, 6.10), and what they begin or end.

use super::frame::{Fault, Frame, Reason, WINDOW_DEFAULT, flag};
use super::request::{Bad, Request};
use super::stream::{Phase, Stream};
use super::window::StreamWindow;
use super::{Drain, Found, H2};
use crate::context::Context;
use crate::hpack::Undecodable;
use crate::limits::H2_CONTINUATIONS;

/// A block that goes on in CONTINUATION frames.
#[derive(Debug)]
pub(super) struct Block {
    pub stream: u32,
    ends_stream: bool,
    bytes: Vec<u8>,
    continuations: u32,
}

impl H2 {
    pub(super) fn headers(
        &mut self,
        context: &Context<'_>,
        frame: Frame,
        payload: &[u8],
    ) -> Result<Option<Found>, Fault> {
        let mut fragment = frame.unpadded(payload)?;
        if frame.has(flag::PRIORITY) {
            // Five bytes that mean nothing any more (section 5.3.2).
            fragment = fragment.get(5..).ok_or(Fault::Connection(Reason::FrameSize))?;
        }
        let ends_stream = frame.has(flag::END_STREAM);
        if frame.has(flag::END_HEADERS) {
            return self.block(context, frame.stream, ends_stream, fragment);
        }
        self.block = Some(Block {
            stream: frame.stream,
            ends_stream,
            bytes: fragment.to_vec(),
            continuations: 0,
        });
        Ok(None)
    }

    pub(super) fn continuation(
        &mut self,
        context: &Context<'_>,
        frame: Frame,
        payload: &[u8],
    ) -> Result<Option<Found>, Fault> {
        let block = self.block.as_mut().ok_or(Fault::Connection(Reason::Protocol))?;
        block.continuations += 1;
        block.bytes.extend_from_slice(payload);
        // A head that is too large is answered 431; one without end (CVE-2024-27316 and its kin) ends the connection.
        let bytes_max = 2 * context.config.limits.head_bytes;
        if block.continuations > H2_CONTINUATIONS || block.bytes.len() > bytes_max {
            return Err(Fault::Connection(Reason::EnhanceYourCalm));
        }
        if !frame.has(flag::END_HEADERS) {
            return Ok(None);
        }
        match self.block.take() {
            Some(block) => self.block(context, block.stream, block.ends_stream, &block.bytes),
            None => Ok(None),
        }
    }

    /// A whole block: a new request, trailers, or something to be ignored, which is decoded all the same.
    fn block(
        &mut self,
        context: &Context<'_>,
        id: u32,
        ends_stream: bool,
        block: &[u8],
    ) -> Result<Option<Found>, Fault> {
        if let Some(stream) = self.streams.get(&id) {
            let was_collecting = stream.is_collecting();
            let has_ended = stream.has_ended;
            let is_sound = self.trailers(context, block)?;
            if !was_collecting && !has_ended && is_sound && ends_stream {
                // Trailers of a body that was refused, while the answer waits for a window.
                return Ok(self.ended_unread(id));
            }
            return match (was_collecting, is_sound && ends_stream) {
                (true, true) => self.end_of_body(id),
                (true, false) => Err(Fault::Stream(id, Reason::Protocol)),
                (false, _) => Err(Fault::Stream(id, Reason::StreamClosed)),
            };
        }
        if id <= self.last_stream || id.is_multiple_of(2) {
            self.abuse.counts.others += 1;
            self.trailers(context, block)?;
            return self.of_closed(id).map(|()| None);
        }
        self.last_stream = id;
        let mut request = self.spare.pop().unwrap_or_default();
        request.first_byte_at = self.head_begun_at;
        let limits = &context.config.limits;
        self.decoder
            .decode(block, list_bytes_max(context), |field| {
                request.take(field, limits)
            })
            .map_err(fault)?;
        if matches!(self.drain, Drain::Told { .. }) {
            // Beyond what the second GOAWAY said is served: the client knows, and asks again elsewhere.
            self.abuse.counts.others += 1;
            self.remember(id);
            self.keep(request);
            return Ok(None);
        }
        if self.streams.len() >= limits.h2_streams as usize {
            self.keep(request);
            return Err(Fault::Stream(id, Reason::RefusedStream));
        }
        self.open(context, id, ends_stream, request)
    }

    fn open(
        &mut self,
        context: &Context<'_>,
        id: u32,
        ends_stream: bool,
        mut request: Request,
    ) -> Result<Option<Found>, Fault> {
        let limits = &context.config.limits;
        let checked = request.check(context, &mut self.covered);
        let is_whole = checked.is_err() || request.is_length(0, ends_stream);
        if checked == Err(Bad::Malformed) || !is_whole {
            self.keep(request);
            return Err(Fault::Stream(id, Reason::Protocol));
        }
        // Until the peer knows our SETTINGS, it may rely on the default.
        let window = i64::from(limits.h2_stream_window);
        let window = if self.is_acknowledged {
            window
        } else {
            window.max(WINDOW_DEFAULT)
        };
        let stream = Stream {
            is_head: request.is_head(),
            phase: Phase::Collecting(request),
            has_ended: ends_stream,
            send_window: self.peer.window,
            window: StreamWindow::new(window),
            held: 0,
        };
        self.streams.insert(id, stream);
        self.requests += 1;
        if self.requests == limits.requests {
            self.drain(context.now);
        }
        match checked {
            Err(Bad::Refused(refusal)) => {
                self.refuse(context, id, refusal);
                return Ok(None);
            }
            Ok(true) if !ends_stream => self.send_continue(id),
            _ => {}
        }
        if ends_stream {
            return Ok(self.whole(id));
        }
        self.forget_collected(limits.h2_streams as usize);
        let deadline = context.now.after(context.config.deadlines.request);
        self.collecting.push_back((deadline, id));
        Ok(None)
    }

    /// Drops deadlines of requests that became whole.
    fn forget_collected(&mut self, streams_max: usize) {
        while let Some((_, id)) = self.collecting.front()
            && !self.streams.get(id).is_some_and(Stream::is_collecting)
        {
            self.collecting.pop_front();
        }
        // Behind one that takes its time others come and go.
        if self.collecting.len() >= 2 * streams_max {
            let streams = &self.streams;
            self.collecting
                .retain(|(_, id)| streams.get(id).is_some_and(Stream::is_collecting));
        }
    }

    /// The client has ended a body that nobody reads.
    fn ended_unread(&mut self, id: u32) -> Option<Found> {
        self.streams.get_mut(&id)?.has_ended = true;
        None
    }

    /// Decodes a block whose fields nobody wants. Returns whether it could be trailers (section 8.1).
    fn trailers(&mut self, context: &Context<'_>, block: &[u8]) -> Result<bool, Fault> {
        let mut is_sound = true;
        self.decoder
            .decode(block, list_bytes_max(context), |field| {
                is_sound &= field.is_sound && field.name.first() != Some(&b':')
            })
            .map_err(fault)?;
        Ok(is_sound)
    }

    /// Trailers ended the body.
    fn end_of_body(&mut self, id: u32) -> Result<Option<Found>, Fault> {
        let is_length = match self.streams.get(&id).map(|stream| &stream.phase) {
            Some(Phase::Collecting(request)) => request.is_length(request.body().len(), true),
            _ => false,
        };
        if !is_length {
            return Err(Fault::Stream(id, Reason::Protocol));
        }
        Ok(self.whole(id))
    }
}

/// Bytes of a block's fields that are worth decoding for the table's sake. A head over the limit is answered 431; one that is a
/// compression bomb, a name of 4,000 bytes repeated by two, ends the connection.
fn list_bytes_max(context: &Context<'_>) -> usize {
    4 * context.config.limits.head_bytes
}

fn fault(why: Undecodable) -> Fault {
    match why {
        Undecodable::Malformed => Fault::Connection(Reason::Compression),
        Undecodable::TooMuch => Fault::Connection(Reason::EnhanceYourCalm),
    }
}
