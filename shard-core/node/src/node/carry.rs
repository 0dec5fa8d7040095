//! Carrying out what a shard decided.

use tidegate_shard_core::{Decision, Entry, Message, Millis, Op, Outcome, Reply, ShardId};

use super::Node;
use crate::limits;
use crate::output::{Answer, Envelope, Output, Ticket, Unavailable};

impl Node {
    /// Logs and applies a decision's entry, and holds everything that it lets out behind the log.
    pub(super) fn carry_out(&mut self, at: usize, ticket: Option<Ticket>, decision: Decision) {
        let Decision {
            entry,
            reply,
            wake,
            sends,
        } = decision;
        let logged_at = entry.as_ref().map(|entry| entry.at);
        if let Some(entry) = entry {
            self.record(at, &entry);
        }
        if let Some(woken) = wake {
            let (order, outcome) = *woken;
            for (nth, ticket) in self.parked.wake(order).into_iter().enumerate() {
                self.answer(at, ticket, repeated(&outcome, nth > 0));
            }
        }
        match (reply, ticket) {
            (Reply::Now(outcome), Some(ticket)) => self.answer(at, ticket, outcome),
            (Reply::Park(order), Some(ticket)) => {
                if !self.parked.park(order, ticket) {
                    self.refuse(ticket, Unavailable::TooManyWaiting);
                }
            }
            (Reply::None, None) => {}
            (reply, ticket) => unreachable!("a command has a reply, nothing else has: {reply:?} {ticket:?}"),
        }
        for (to, message) in sends {
            self.send(at, to, message);
        }
        if let Some(now) = logged_at {
            self.log_digest(at, now);
        }
        self.note_timer(at);
    }

    /// Applies an entry and appends it to the log.
    pub(super) fn record(&mut self, at: usize, entry: &Entry) {
        self.append(at, entry);
        let home = &mut self.homes[at];
        home.stock_changed = true;
        home.digest_in = home.digest_in.saturating_sub(1);
        // Rows of this shard are due; see `turn`.
        self.rows_at = self.rows_at.min(home.stock_at);
    }

    /// Logs the shard's digest when it is due: after the decision's outputs, which name the op before it.
    fn log_digest(&mut self, at: usize, now: Millis) {
        let home = &mut self.homes[at];
        if home.digest_in == 0 {
            home.digest_in = self.config.digest_every;
            let digest = home.shard.digest_entry(now);
            self.append(at, &digest);
        }
    }

    fn append(&mut self, at: usize, entry: &Entry) {
        let home = &mut self.homes[at];
        home.shard.apply(entry);
        self.bytes.clear();
        entry.encode(&mut self.bytes);
        home.last = self
            .appender
            .append(home.shard.id().0, home.shard.op().0, entry.at.0, &self.bytes);
    }

    /// An answer that depends on the shard as it is now.
    fn answer(&mut self, at: usize, ticket: Ticket, outcome: Outcome) {
        let home = &self.homes[at];
        let output = Output::Reply {
            ticket,
            op: home.shard.op(),
            answer: Answer::Decided(outcome),
        };
        self.hold_back(at, output);
    }

    /// Lets an output out once its shard's last record is durable, or published.
    pub(super) fn hold_back(&mut self, at: usize, output: Output) {
        #[cfg(feature = "planted-bugs")]
        if self.config.planted == crate::Planted::ReplyBeforeSync {
            return self.outputs.push(self.progress, tidegate_log::Lsn(0), output);
        }
        let waits = self.waits_for_bus(&self.homes[at]);
        #[cfg(feature = "planted-bugs")]
        let waits = waits && self.config.planted != crate::Planted::AnswerBeforePublished;
        if waits {
            return self.wait_for_bus(at, output);
        }
        self.outputs.push(self.progress, self.homes[at].last, output);
    }

    /// An answer that depends on no shard.
    pub(super) fn refuse(&mut self, ticket: Ticket, why: Unavailable) {
        let output = Output::Reply {
            ticket,
            op: Op(0),
            answer: Answer::Unavailable(why),
        };
        self.outputs.push(self.progress, tidegate_log::Lsn(0), output);
    }

    fn send(&mut self, at: usize, to: ShardId, message: Message) {
        let home = &self.homes[at];
        let envelope = Envelope {
            from: home.shard.id(),
            to,
            op: home.shard.op(),
            message,
        };
        let waits = self.waits_for_bus(home);
        #[cfg(feature = "planted-bugs")]
        let waits = waits && self.config.planted != crate::Planted::MessageBeforePublished;
        if waits {
            return self.send_by_bus(at, envelope);
        }
        let held_back = home.last > self.progress.durable;
        #[cfg(feature = "planted-bugs")]
        let held_back = held_back && self.config.planted != crate::Planted::MessageBeforeSync;
        if held_back {
            self.sends.push(self.progress, home.last, envelope);
        } else {
            self.route(envelope);
        }
    }

    /// Takes what the last sync released to where it leaves from.
    pub(super) fn route_released(&mut self) {
        while let Some(envelope) = self.sends.pop() {
            self.route(envelope);
        }
    }

    pub(super) fn route(&mut self, envelope: Envelope) {
        let thread = self.config.threads_of[usize::from(envelope.to.0)];
        let (queue, bound) = if thread == self.config.thread {
            (&mut self.local, limits::LOCAL_MAX)
        } else {
            (&mut self.outbox[usize::from(thread)], limits::OUTBOX_MAX)
        };
        if queue.len() < bound {
            queue.push_back(envelope);
        } else {
            // Nobody blocks on another thread: the protocol asks again.
            self.dropped_messages += 1;
        }
    }

    /// The shard's timers may have changed.
    pub(super) fn note_timer(&mut self, at: usize) {
        let home = &self.homes[at];
        let timer = match home.stopped {
            true => Millis(u64::MAX),
            false => home.shard.next_timer().unwrap_or(Millis(u64::MAX)),
        };
        self.homes[at].timer = timer;
        self.earliest = self.earliest.min(timer);
    }
}

/// The outcome as a caller who only repeats a request gets it.
fn repeated(outcome: &Outcome, repeats: bool) -> Outcome {
    let mut outcome = outcome.clone();
    if let Outcome::Order(view) = &mut outcome {
        view.repeated |= repeats;
    }
    outcome
}
