//! What the shards answer, into the connections that wait for it.

use tidegate_conn::{Answer, Conn, ExchangeId, Nanos};
use tidegate_host::{Answer as ShardAnswer, Event as ShardEvent, StageTimes};
use tidegate_shard_core::Outcome;
use tidegate_shard_core::outcome::Refusal as Refused;

use super::answer::Draft;
use super::inflight::Waiting;
use super::stack::Ended;
use super::stock_view::StockLine;
use super::{Worker, outcome};
use crate::codes::Code;
use crate::recorder::Stages;

impl Worker {
    /// Takes what the shards have answered.
    pub fn replies(&mut self, now_ns: u64) {
        while let Some(event) = self.edge.port.try_recv() {
            match event {
                ShardEvent::Reply {
                    ticket,
                    answer,
                    times,
                } => self.reply(ticket, &answer, times, now_ns),
                ShardEvent::Stock(row) => {
                    self.edge.stock.update(row.sku, StockLine::from(&row));
                }
            }
        }
        self.lane_replies(now_ns);
        self.tell_refusals(now_ns);
    }

    fn reply(&mut self, ticket: u64, answer: &ShardAnswer, times: StageTimes, now_ns: u64) {
        let Some(mut waiting) = self.edge.inflight.finish(ticket) else {
            self.edge.stats.late_replies.add(1);
            return;
        };
        if let (Some(read), ShardAnswer::Decided(Outcome::Refused(Refused::UnknownOrder))) =
            (&waiting.read, answer)
        {
            return self.ask_again(&waiting, read, now_ns);
        }
        let edge = &mut self.edge;
        let refused = match answer {
            ShardAnswer::Decided(outcome) => {
                if let Outcome::Order(view) = outcome {
                    waiting.known.order = Some(view.id);
                }
                if usize::from(waiting.route) == outcome::PLACE {
                    edge.recorder.demand.see(outcome);
                }
                let context = outcome::Context {
                    route: usize::from(waiting.route),
                    wall_ms: edge.wall_ms,
                    jitter: &mut edge.jitter,
                };
                outcome::write(&mut edge.draft, outcome, context)
            }
            ShardAnswer::Unavailable(why) => {
                let refusal = outcome::unavailable(*why, &mut edge.jitter);
                refusal.write(&mut edge.draft);
                Some(refusal.code())
            }
            ShardAnswer::Shed => {
                edge.overloaded().write(&mut edge.draft);
                Some(Code::Overloaded)
            }
        };
        if let Some(code) = refused {
            edge.stats.refused(code);
        }
        let stages = [times.queued_ns, times.decided_ns, times.committed_ns].map(u64::from);
        edge.stats.ring_wait.record(stages[0]);
        edge.stats.decide.record(stages[1]);
        edge.stats.commit.record(stages[2]);
        let whole = now_ns.saturating_sub(waiting.whole_ns);
        let reply = whole.saturating_sub(stages.iter().sum());
        edge.stats.reply.record(reply);
        let stages = Stages {
            ring_wait_ns: times.queued_ns,
            decide_ns: times.decided_ns,
            commit_ns: times.committed_ns,
            reply_ns: u32::try_from(reply).unwrap_or(u32::MAX),
        };
        self.answer(&waiting, refused, Some(stages), now_ns);
    }

    /// Gives the draft to the connection that waits for it, if it is still there.
    pub(super) fn answer(
        &mut self,
        waiting: &Waiting,
        code: Option<Code>,
        stages: Option<Stages>,
        now_ns: u64,
    ) {
        let edge = &mut self.edge;
        let ended = Ended {
            route: usize::from(waiting.route),
            id: &waiting.request_id,
            first_byte_ns: waiting.first_byte_ns,
            known: &waiting.known,
            code,
            stages,
        };
        edge.finish(&ended, now_ns);
        if self.generations[waiting.slot as usize] != waiting.slot_generation {
            return;
        }
        let Some(entry) = self.slots[waiting.slot as usize].as_mut() else {
            return;
        };
        respond(&mut entry.conn, &edge.draft, waiting.exchange, now_ns);
        entry.answered = true;
        if !std::mem::replace(&mut entry.dirty, true) {
            self.dirty.push_back(waiting.slot);
        }
    }
}

/// Gives the draft to an exchange of a connection.
pub(super) fn respond(conn: &mut Conn, draft: &Draft, exchange: ExchangeId, now_ns: u64) {
    let answer = Answer {
        status: draft.status(),
        headers: &draft.headers(),
        body: &draft.body,
    };
    conn.respond(Nanos(now_ns), exchange, &answer);
}
