//! The participant's side: hold, ask, settle.

use crate::command::Line;
use crate::entry::{Effect, HoldTaken};
use crate::expiry::Chore;
use crate::hold::{AttemptId, HoldRow};
use crate::ids::{Millis, ShardId};
use crate::message::{Fate, Hold, HoldResult, Message, Part};
use crate::order::RowLine;
use crate::outcome::{Bound, Refusal};
use crate::place::{Occasion, Slots};
use crate::shard::{Decision, Shard};

impl Shard {
    pub(super) fn hold_asked(&self, now: Millis, from: ShardId, hold: &Hold) -> Decision {
        let (order, attempt) = (hold.order, hold.attempt);
        let answer = |result| Message::HoldAnswer {
            order,
            attempt,
            result,
        };
        if from != order.shard() {
            return Decision::nothing();
        }
        if let Some(row) = self.holds.get((order, attempt)) {
            return Decision::send(from, answer(HoldResult::Held(row.part)));
        }
        match self.check_hold(now, from, hold) {
            Err(refusal) => Decision::send(from, answer(HoldResult::Refused(refusal))),
            Ok(part) => {
                let taken = HoldTaken {
                    order,
                    attempt,
                    term: hold.term,
                    buyer: hold.buyer,
                    lines: hold.lines.clone(),
                    part,
                    prepare_deadline: hold.prepare_deadline,
                };
                let entry = self.forgetting(now, Effect::Hold(Box::new(taken)));
                Decision::log_only(entry).with_sends(vec![(from, answer(HoldResult::Held(part)))])
            }
        }
    }

    fn check_hold(&self, now: Millis, home: ShardId, hold: &Hold) -> Result<Part, Refusal> {
        let late = now >= hold.prepare_deadline || hold.term < self.holds.term(home);
        if late || self.holds.tombstone((hold.order, hold.attempt)) {
            return Err(Refusal::TryAgain);
        }
        if self.holds.len() >= self.config.limits.holds_max as usize {
            return Err(Refusal::Bound(Bound::Holds));
        }
        let mut slots = Slots::new();
        for line in &hold.lines {
            let sku = self
                .skus
                .slot(&line.sku)
                .ok_or(Refusal::UnknownSku { sku: line.sku })?;
            slots.push(RowLine { sku, qty: line.qty });
        }
        if slots.is_empty() {
            return Err(Refusal::Malformed("a hold of no lines"));
        }
        let occasion = if hold.attempt > 1 {
            Occasion::LatePayment
        } else {
            Occasion::Sale
        };
        self.check_lines(now, &hold.buyer, &slots, occasion)
    }

    pub(super) fn settle_told(
        &self,
        now: Millis,
        from: ShardId,
        (order, attempt): AttemptId,
        fate: Fate,
        prepare_deadline: Millis,
    ) -> Decision {
        if from != order.shard() {
            return Decision::nothing();
        }
        let settled = vec![(from, Message::Settled { order, attempt })];
        if self.holds.get((order, attempt)).is_some() {
            let entry = self.forgetting(now, Effect::HoldSettled { order, attempt, fate });
            return Decision::log_only(entry).with_sends(settled);
        }
        // Settled before; or never held, and then it must not be from now on.
        if fate == Fate::Sold || now >= prepare_deadline || self.holds.tombstone((order, attempt)) {
            return Decision::nothing().with_sends(settled);
        }
        if self.holds.len() >= self.config.limits.holds_max as usize {
            // No room to remember it: home repeats itself until the deadline makes remembering needless.
            return Decision::nothing();
        }
        let entry = self.forgetting(
            now,
            Effect::Tombstone {
                order,
                attempt,
                until: prepare_deadline,
            },
        );
        Decision::log_only(entry).with_sends(settled)
    }

    pub(crate) fn apply_hold(&mut self, at: Millis, hold: &HoldTaken) {
        let id = (hold.order, hold.attempt);
        let skus = &self.skus;
        let line = |line: &Line| RowLine {
            sku: skus.known(&line.sku),
            qty: line.qty,
        };
        let lines: Box<[RowLine]> = hold.lines.iter().map(line).collect();
        for line in &lines {
            self.skus.hold(line.sku, line.qty, &hold.buyer);
        }
        self.holds.note_term(hold.order.shard(), hold.term);
        let row = HoldRow {
            buyer: hold.buyer,
            lines,
            part: hold.part,
            prepare_deadline: hold.prepare_deadline,
        };
        self.holds.insert(id, row);
        self.push_ask(id, at.after(self.config.limits.again_ms));
    }

    /// The first question comes when an undisturbed attempt would long be decided; each later one waits twice as long.
    pub(crate) fn push_ask(&mut self, attempt: AttemptId, at: Millis) {
        let wait_ms = self.config.limits.again_ms;
        self.timers.push_chore(at, Chore::Ask { attempt, wait_ms });
    }

    pub(crate) fn apply_hold_settled(&mut self, at: Millis, id: AttemptId, fate: Fate) {
        let hold = self.holds.remove(id);
        for line in &hold.lines {
            match fate {
                Fate::Sold => self.skus.sell(line.sku, line.qty),
                Fate::Released => self.skus.release(line.sku, line.qty, &hold.buyer),
            }
        }
        if at < hold.prepare_deadline {
            self.apply_tombstone(id, hold.prepare_deadline);
        }
    }

    pub(crate) fn apply_tombstone(&mut self, id: AttemptId, until: Millis) {
        #[cfg(feature = "planted-bugs")]
        if self.planted(crate::shard::PlantedBug::TombstoneDropped) {
            return;
        }
        self.holds.bury(id, until);
    }
}
