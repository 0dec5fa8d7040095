//! What the backoffice says, into the connections that wait for it.

use bytes::{Buf as _, Bytes};
use tidegate_conn::{Answer, AnswerHead as ConnHead, Nanos};
use tidegate_lane::{AnswerHead, Event, Key};

use super::answer;
use super::streamed::{Begin, Streamed};
use crate::codes::Code;
use crate::limits::LANE_EVENTS_PER_TURN;
use crate::worker::Worker;
use crate::worker::refusal::Refusal;
use crate::worker::replies::respond;
use crate::worker::stack;

impl Worker {
    /// Takes what the backoffice has said, a part of it a turn: orders come first.
    pub(in crate::worker) fn lane_replies(&mut self, now_ns: u64) {
        for _ in 0..LANE_EVENTS_PER_TURN {
            let Some(event) = self.edge.lane.as_mut().and_then(|lane| lane.port.try_recv()) else {
                return;
            };
            match event {
                Event::Answer {
                    key,
                    head,
                    data,
                    ends,
                } => self.lane_answer(key, head, data, ends, now_ns),
                Event::Chunk { key, data, ends } => self.lane_chunk(key, data, ends, now_ns),
                Event::Taken { key, .. } => self.lane_taken(key, now_ns),
                Event::Broke { key } => self.lane_broke(key, now_ns),
            }
        }
    }

    /// The backoffice answers: that is what the breaker waits for.
    fn lane_answer(&mut self, key: Key, head: Box<AnswerHead>, data: Bytes, ends: bool, now_ns: u64) {
        if !answer::is_final(&head) {
            return self.lane_broke(key, now_ns);
        }
        let edge = &mut self.edge;
        let Some(lane) = &mut edge.lane else { return };
        let Some(exchange) = lane.exchanges.get_mut(key.index()).and_then(Option::as_mut) else {
            return;
        };
        let took_ns = exchange.took_ns(now_ns);
        edge.stats.backoffice.record(took_ns);
        if let Some(admission) = exchange.admission.take() {
            let failed = head.status.is_server_error() || took_ns > lane.slow_ns;
            lane.breaker.report(now_ns, admission, failed);
        }
        let ends = ends || answer::is_bodiless(&head);
        exchange.answer = Some(Streamed::new(head));
        self.lane_chunk(key, data, ends, now_ns);
    }

    fn lane_chunk(&mut self, key: Key, data: Bytes, ends: bool, now_ns: u64) {
        let Some(exchange) = self.edge.lane.as_mut().and_then(|lane| lane.get_mut(key)) else {
            return;
        };
        let (slot, Some(answer)) = (exchange.slot, &mut exchange.answer) else {
            return;
        };
        answer.push(data, ends);
        exchange.moved_ns = now_ns;
        match answer.begin() {
            Some(Begin::Whole(head, body)) => {
                self.lane_give(key, &head, Some(&body), now_ns);
                self.lane_over(key);
            }
            Some(Begin::Head(head)) => {
                if self.lane_give(key, &head, None, now_ns) {
                    self.lane_flow(key, now_ns);
                } else {
                    self.lane_not_begun(key, now_ns);
                }
            }
            None => self.lane_flow(key, now_ns),
        }
        self.lane_moved(slot);
    }

    /// The connection does not take an answer in pieces. If it is because nobody waits for it any more, it takes no refusal
    /// either.
    fn lane_not_begun(&mut self, key: Key, now_ns: u64) {
        if let Some(exchange) = self.edge.lane.as_mut().and_then(|lane| lane.get_mut(key)) {
            exchange.answer = None;
        }
        let detail = "the answer is longer than can be given at once; ask for less";
        self.lane_fail(key, Code::BackofficeUnavailable, detail, now_ns);
    }

    /// Gives a connection an answer (`whole`), or the head of one. False: nobody waits for it any more.
    fn lane_give(&mut self, key: Key, head: &AnswerHead, whole: Option<&Bytes>, now_ns: u64) -> bool {
        let edge = &mut self.edge;
        let Some(exchange) = edge
            .lane
            .as_ref()
            .and_then(|lane| lane.exchanges[key.index()].as_ref())
        else {
            return false;
        };
        let Some(entry) = self.slots[exchange.slot as usize].as_mut() else {
            return false;
        };
        let status = head.status.as_u16();
        let (now, id) = (Nanos(now_ns), exchange.exchange);
        let date = edge.date.at(edge.wall_ms);
        let headers = &answer::headers(head, exchange.request_id.as_bytes(), date);
        let accepted = if let Some(body) = whole {
            let body: &[u8] = if answer::is_bodiless(head) { &[] } else { body };
            let answer = Answer {
                status,
                headers,
                body,
            };
            entry.conn.respond(now, id, &answer)
        } else {
            let length = head.length;
            entry.conn.respond_head(
                now,
                id,
                &ConnHead {
                    status,
                    headers,
                    length,
                },
            )
        };
        if accepted {
            let total_ns = now_ns.saturating_sub(exchange.first_byte_ns);
            let ended = exchange.ended(None);
            stack::note(
                &edge.stats,
                &mut edge.recorder,
                edge.wall_ms,
                &ended,
                (status, total_ns),
            );
        }
        accepted
    }

    /// The backoffice has read some of the body: it is at work.
    fn lane_taken(&mut self, key: Key, now_ns: u64) {
        if let Some(exchange) = self.edge.lane.as_mut().and_then(|lane| lane.get_mut(key)) {
            exchange.moved_ns = now_ns;
        }
    }

    /// There is no answer, or no rest of one. What was asked safely can be asked again; of anything else nobody knows how
    /// far it got.
    fn lane_broke(&mut self, key: Key, now_ns: u64) {
        let detail = "the backoffice broke before it answered";
        self.lane_fail(key, Code::BackofficeUnavailable, detail, now_ns);
    }

    /// Ends an exchange that failed: `code` for what was asked safely, 504 for what may have been done, and where the answer
    /// has begun a broken stream, which is the only thing left to say.
    pub(super) fn lane_fail(&mut self, key: Key, code: Code, detail: &'static str, now_ns: u64) {
        let Some(lane) = &mut self.edge.lane else { return };
        let Some(mut exchange) = lane.close(key) else {
            return;
        };
        lane.report(&mut exchange, now_ns, true);
        let edge = &mut self.edge;
        let Some(entry) = self.slots[exchange.slot as usize].as_mut() else {
            return;
        };
        entry.slow.retain(|other| *other != key);
        if exchange.has_begun() {
            entry.conn.abort(Nanos(now_ns), exchange.exchange);
            return self.lane_moved(exchange.slot);
        }
        let refusal = if exchange.is_safe {
            Refusal::new(code, detail)
        } else {
            Refusal::new(Code::BackofficeNoAnswer, detail)
        };
        let refusal = refusal.retry_after(edge.jitter.spread(1));
        edge.stats.refused(refusal.code());
        refusal.write(&mut edge.draft);
        edge.finish(&exchange.ended(Some(refusal.code())), now_ns);
        respond(&mut entry.conn, &edge.draft, exchange.exchange, now_ns);
        self.lane_moved(exchange.slot);
    }

    /// Gives the client as much of an answer as it has room for, and lets the backoffice send as much again.
    fn lane_flow(&mut self, key: Key, now_ns: u64) {
        let Some(lane) = &mut self.edge.lane else { return };
        let Some(exchange) = lane.exchanges[key.index()].as_mut() else {
            return;
        };
        let (Some(answer), Some(entry)) = (&mut exchange.answer, self.slots[exchange.slot as usize].as_mut())
        else {
            return;
        };
        if !answer.has_begun() {
            return;
        }
        let mut taken = 0;
        while let Some(piece) = answer.pieces.front_mut() {
            let count = entry.conn.respond_chunk(Nanos(now_ns), exchange.exchange, piece);
            taken += count;
            piece.advance(count);
            if !piece.is_empty() {
                break;
            }
            answer.pieces.pop_front();
        }
        if taken > 0 {
            exchange.moved_ns = now_ns;
            lane.port.took(key, taken);
        }
        if answer.ends && answer.pieces.is_empty() {
            entry.conn.respond_end(Nanos(now_ns), exchange.exchange);
            self.lane_over(key);
        }
    }

    /// Room in a connection's output may be room for its answers.
    pub(in crate::worker) fn lane_room(&mut self, slot: u32, now_ns: u64) {
        let keys = |worker: &Worker| {
            worker.slots[slot as usize]
                .as_ref()
                .map_or(0, |entry| entry.slow.len())
        };
        // From the back: one that is over leaves the list.
        for index in (0..keys(self)).rev() {
            if let Some(entry) = &self.slots[slot as usize] {
                let key = entry.slow[index];
                self.lane_flow(key, now_ns);
            }
        }
    }

    /// An exchange has been answered.
    fn lane_over(&mut self, key: Key) {
        let Some(lane) = &mut self.edge.lane else { return };
        let Some(exchange) = lane.close(key) else { return };
        if let Some(entry) = self.slots[exchange.slot as usize].as_mut() {
            entry.slow.retain(|other| *other != key);
        }
    }

    /// The connection has output, and its input may go on.
    fn lane_moved(&mut self, slot: u32) {
        if let Some(entry) = self.slots[slot as usize].as_mut() {
            entry.answered = true;
            self.mark_dirty(slot);
        }
    }
}
