//! Answers that are given in pieces. A piece is taken only as far as it can be sent, so nothing of them is kept here.

use super::H2;
use super::frame::{Reason, flag, kind, put_header};
use super::stream::{Phase, Stream};
use crate::{AnswerHead, ExchangeId, Nanos};

impl H2 {
    pub fn respond_head(&mut self, exchange: ExchangeId, head: &AnswerHead<'_>) -> bool {
        let id = stream_id(exchange);
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.is_handed_out()) else {
            return false;
        };
        let has_no_length = matches!(head.status, 204 | 304);
        stream.phase = Phase::Streaming {
            missing: head.length,
            is_bodyless: has_no_length || stream.is_head,
        };
        let length = head.length.filter(|_| !has_no_length);
        self.send_headers(id, head.status, head.headers, length, false);
        true
    }

    pub fn room(&self, exchange: ExchangeId) -> usize {
        let Some(stream) = self.streams.get(&stream_id(exchange)) else {
            return 0;
        };
        let Phase::Streaming { missing, is_bodyless } = stream.phase else {
            return 0;
        };
        let room = self.output.room(self.output_bytes_max);
        if is_bodyless {
            return room;
        }
        let window = self.send_window.min(stream.send_window).max(0) as usize;
        let missing = missing.map_or(usize::MAX, |missing| {
            usize::try_from(missing).unwrap_or(usize::MAX)
        });
        room.min(window).min(missing)
    }

    pub fn respond_chunk(&mut self, exchange: ExchangeId, data: &[u8]) -> usize {
        let taken = data.len().min(self.room(exchange));
        let id = stream_id(exchange);
        let Some(Phase::Streaming { missing, is_bodyless }) =
            self.streams.get_mut(&id).map(|stream| &mut stream.phase)
        else {
            return 0;
        };
        if *is_bodyless {
            return taken;
        }
        if let Some(missing) = missing {
            *missing -= taken as u64;
        }
        let sent = self.send_body(id, &data[..taken], false);
        debug_assert_eq!(sent, taken, "room is what can be sent");
        taken
    }

    pub fn respond_end(&mut self, now: Nanos, exchange: ExchangeId) {
        let id = stream_id(exchange);
        let Some(Phase::Streaming { missing, is_bodyless }) =
            self.streams.get(&id).map(|stream| &stream.phase)
        else {
            return;
        };
        if !is_bodyless && missing.is_some_and(|missing| missing > 0) {
            return self.abort(now, exchange);
        }
        self.unanswered -= 1;
        self.has_answered = true;
        // An empty frame needs no window (RFC 9113 section 6.9.1).
        put_header(self.output.buffer(), 0, kind::DATA, flag::END_STREAM, id);
        self.close(now, id);
        self.end_if_over();
    }

    pub fn abort(&mut self, now: Nanos, exchange: ExchangeId) {
        let id = stream_id(exchange);
        if !self.streams.get(&id).is_some_and(Stream::is_unanswered) {
            return;
        }
        self.unanswered -= 1;
        self.reset(id, Reason::InternalError);
        self.remove(now, id);
        self.end_if_over();
    }
}

fn stream_id(exchange: ExchangeId) -> u32 {
    u32::try_from(exchange.0).unwrap_or(0)
}
