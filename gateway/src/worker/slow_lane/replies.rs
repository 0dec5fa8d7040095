//! What the backoffice says, into the connections that wait for it.

use bytes::Bytes;
use tidegate_conn::{Answer, Nanos};
use tidegate_lane::{AnswerHead, Event, Key};

use super::answer;
use super::collected::{Collected, Next};
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
        exchange.answer = Some(Collected::new(head));
        self.lane_chunk(key, data, ends, now_ns);
    }

    fn lane_chunk(&mut self, key: Key, data: Bytes, ends: bool, now_ns: u64) {
        let Some(lane) = &mut self.edge.lane else { return };
        let Some(exchange) = lane.exchanges.get_mut(key.index()).and_then(Option::as_mut) else {
            return;
        };
        let (slot, Some(answer)) = (exchange.slot, &mut exchange.answer) else {
            return;
        };
        exchange.moved_ns = now_ns;
        let bytes = data.len();
        match answer.push(data, ends) {
            // As much again may come.
            Next::Wait => lane.port.took(key, bytes),
            Next::TooLarge => {
                let detail = "the answer is larger than this gateway passes on: ask for less";
                self.lane_fail(key, Code::BackofficeUnavailable, detail, now_ns);
            }
            Next::Whole => {
                if let Some(answer) = exchange.answer.take() {
                    let (head, body) = answer.whole();
                    lane.budget.answered(exchange.is_safe, body.len(), now_ns);
                    self.lane_give(key, &head, &body, now_ns);
                }
                self.lane_over(key);
                self.lane_moved(slot);
            }
        }
    }

    /// Gives a connection an answer.
    fn lane_give(&mut self, key: Key, head: &AnswerHead, body: &Bytes, now_ns: u64) {
        let edge = &mut self.edge;
        let Some(exchange) = edge
            .lane
            .as_ref()
            .and_then(|lane| lane.exchanges[key.index()].as_ref())
        else {
            return;
        };
        let Some(entry) = self.slots[exchange.slot as usize].as_mut() else {
            return;
        };
        let status = head.status.as_u16();
        let date = edge.date.at(edge.wall_ms);
        let headers = &answer::headers(head, exchange.request_id.as_bytes(), date);
        let body: &[u8] = if answer::is_bodiless(head) { &[] } else { body };
        let whole = Answer {
            status,
            headers,
            body,
        };
        if entry.conn.respond(Nanos(now_ns), exchange.exchange, &whole) {
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

    /// Ends an exchange that failed: `code` for what was asked safely, 504 for what may have been done.
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

    /// An exchange has been answered.
    fn lane_over(&mut self, key: Key) {
        let Some(lane) = &mut self.edge.lane else { return };
        let Some(exchange) = lane.close(key) else { return };
        if let Some(entry) = self.slots[exchange.slot as usize].as_mut() {
            entry.slow.retain(|other| *other != key);
        }
    }

    /// The connection has output, and its input may go on.
    pub(super) fn lane_moved(&mut self, slot: u32) {
        if let Some(entry) = self.slots[slot as usize].as_mut() {
            entry.answered = true;
            self.mark_dirty(slot);
        }
    }
}
