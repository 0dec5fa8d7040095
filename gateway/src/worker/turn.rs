//! What a worker does at the beginning of a turn, and ten times a second.

use std::sync::atomic::Ordering;

use tidegate_conn::Nanos;

use super::refusal::Refusal;
use super::{Worker, clock, stack};
use crate::codes::Code;
use crate::limits::VERIFICATIONS_PER_TURN;

impl Worker {
    /// A turn of the loop begins.
    pub fn begin_turn(&mut self, now_ns: u64) {
        self.follow_config();
        self.handshakes_this_turn = 0;
        self.edge.stats.turns.add(1);
        self.edge.wall_ms = clock::wall_ms();
        stack::breaker::observe(&mut self.edge, now_ns);
        let before = self.edge.auth.verifications();
        // A part is left for who comes in this turn: most of them bring tokens that are known, and need none.
        self.spent_at = before + VERIFICATIONS_PER_TURN / 4 * 3;
        // Who uses up the turn goes behind those who were not reached: one that always has more must not stop them.
        while self.may_verify()
            && let Some(slot) = self.postponed.pop_front()
        {
            if let Some(entry) = self.slots[slot as usize].as_mut() {
                entry.postponed = false;
                self.pump(slot, now_ns);
                self.mark_dirty(slot);
            }
        }
        self.spent_at = before + VERIFICATIONS_PER_TURN;
    }

    /// Whether this turn has verifications left.
    fn may_verify(&self) -> bool {
        self.edge.auth.verifications() < self.spent_at
    }

    /// Ten times a second: deadlines and the drain.
    pub fn tick(&mut self, now_ns: u64) {
        self.follow_config();
        self.expire(now_ns);
        self.lane_tick(now_ns);
        let draining = self.shared.drain.load(Ordering::Relaxed) || !self.edge.port.is_serving();
        if draining && self.drain_until_ns.is_none() {
            self.drain_until_ns = Some(now_ns + self.drain_ns);
            self.edge.draining = true;
        }
        let overdue = self.drain_until_ns.is_some_and(|until| now_ns >= until);
        let crowded = self.shared.connections.load(Ordering::Relaxed) * 10 >= self.connections_max * 9;
        for slot in 0..self.slots.len() {
            let Some(entry) = self.slots[slot].as_mut() else {
                continue;
            };
            // What lies unread may be what the deadline asks for. It is looked at in a turn or a few, so the next tick is soon enough.
            if !entry.postponed && entry.conn.timeout().is_some_and(|at| at.0 <= now_ns) {
                entry.conn.handle_timeout(Nanos(now_ns));
            } else if overdue {
                entry.lost = true;
            } else if draining || (crowded && entry.conn.in_flight() == 0) {
                entry.conn.drain(Nanos(now_ns));
            } else {
                continue;
            }
            self.pump(slot as u32, now_ns);
            self.mark_dirty(slot as u32);
        }
        self.edge.recorder.publish(&self.edge.stock, now_ns);
        self.publish();
    }

    /// Requests whose shard did not answer in time: decided perhaps, but not known durable.
    fn expire(&mut self, now_ns: u64) {
        let mut late = Vec::new();
        self.edge.inflight.expire(now_ns, |waiting| late.push(waiting));
        for waiting in late {
            let detail = "the order may exist: ask again with the same Idempotency-Key";
            Refusal::new(Code::OutcomeUnknown, detail).write(&mut self.edge.draft);
            self.edge.stats.refused(Code::OutcomeUnknown);
            self.answer(&waiting, Some(Code::OutcomeUnknown), None, now_ns);
        }
    }

    fn publish(&self) {
        let (stats, counters, auth) = (&self.edge.stats, &self.config.counters, self.edge.auth.counters());
        stats.connections.set(self.open as u64);
        stats.conn_refusals.copy(counters);
        stats.handshakes.set(counters.handshakes.get());
        stats.handshakes_resumed.set(counters.handshakes_resumed.get());
        stats.tokens_remembered.set(auth.hits);
        stats.tokens_verified.set(auth.verified);
        stats.inflight.set(self.edge.inflight.len() as u64);
        stats.cpu_ns.set(clock::thread_cpu_ns());
        stack::breaker::publish(&self.edge);
    }
}
