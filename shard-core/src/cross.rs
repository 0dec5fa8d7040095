//! Orders over several shards.
//!
//! Home: `Gathering` is logged, then holds are asked for; the last yes is logged as `Committed`, which is the point of
//! acknowledgement. Fates follow lazily and are repeated until acknowledged. An attempt that died needs no memory: an
//! unknown attempt is a released one.
//!
//! Participant: a hold is logged before it is answered and has no deadline of its own; it asks. Once settled it cannot
//! come back: until its prepare deadline a tombstone refuses it, afterwards the deadline does.

use crate::command::{Line, Lines};
use crate::entry::{AbortReason, Effect, Gathering, HoldTaken, Regathering};
use crate::expiry::Chore;
use crate::hold::{AttemptId, HoldRow};
use crate::ids::{Millis, OrderId, ShardId};
use crate::message::{Fate, Hold, HoldResult, Message, Part, Standing};
use crate::order::{Cross, OrderRow, Participant, Rare, RowLine, RowLines};
use crate::order_state::State;
use crate::outcome::{Bound, ChargeState, OrderStatus, Outcome, Refusal};
use crate::place::{Occasion, Slots, new_row};
use crate::shard::{Decision, Shard};

type Sends = Vec<(ShardId, Message)>;

impl Shard {
    pub(crate) fn decide_message(&self, now: Millis, from: ShardId, message: &Message) -> Decision {
        match message {
            Message::Hold(hold) => self.hold_asked(now, from, hold),
            Message::HoldAnswer {
                order,
                attempt,
                result,
            } => self.hold_answered(now, from, (*order, *attempt), result),
            Message::Settle {
                order,
                attempt,
                fate,
                prepare_deadline,
            } => self.settle_told(now, from, (*order, *attempt), *fate, *prepare_deadline),
            Message::Settled { order, attempt } => self.settled_told(now, from, *order, *attempt),
            Message::Ask { order, attempt } => self.asked(from, *order, *attempt),
            Message::Answer {
                order,
                attempt,
                standing,
            } => match standing {
                Standing::Ended(fate) if self.holds.get((*order, *attempt)).is_some() => {
                    self.settle_told(now, from, (*order, *attempt), *fate, Millis(0))
                }
                // Wait and held: the next question is planned already.
                _ => Decision::nothing(),
            },
        }
    }

    pub(crate) fn chore_due(&mut self, now: Millis, chore: Chore) -> Option<Decision> {
        match chore {
            Chore::GatherTimeout(order) => self.gather_timed_out(now, order),
            Chore::Resend { order, wait_ms } => {
                let row = self.orders.find(order).filter(|row| row.unsettled())?;
                let sends = self.settles(row, fate(row.state));
                let chore = Chore::Resend {
                    order,
                    wait_ms: self.longer(wait_ms),
                };
                self.timers.push_chore(now.after(wait_ms), chore);
                Some(Decision::nothing().with_sends(sends))
            }
            Chore::Ask { attempt, wait_ms } => {
                self.holds.get(attempt)?;
                let chore = Chore::Ask {
                    attempt,
                    wait_ms: self.longer(wait_ms),
                };
                self.timers.push_chore(now.after(wait_ms), chore);
                let (order, attempt) = attempt;
                Some(Decision::send(order.shard(), Message::Ask { order, attempt }))
            }
        }
    }

    fn longer(&self, wait_ms: u64) -> u64 {
        (wait_ms * 2).min(self.config.limits.again_ms * 64)
    }

    // Home.

    /// Asks every other shard of a new order.
    pub(crate) fn first_holds(&self, gathering: &Gathering) -> Sends {
        let placed = &gathering.placed;
        let parts = participants(gathering, self.config.id);
        let hold = |part: Participant| Hold {
            order: placed.order,
            attempt: 1,
            term: self.term,
            buyer: placed.buyer,
            lines: Lines::from_vec(part.lines),
            prepare_deadline: gathering.prepare_deadline,
        };
        parts
            .into_iter()
            .map(|part| (part.shard, Message::Hold(Box::new(hold(part)))))
            .collect()
    }

    /// Asks every other shard of an order that is held again.
    pub(crate) fn holds_again(&self, row: &OrderRow, attempt: u8, prepare_deadline: Millis) -> Sends {
        let parts = row.cross().map_or(&[][..], |cross| &cross.parts);
        let hold = |part: &Participant| Hold {
            order: row.id,
            attempt,
            term: self.term,
            buyer: row.buyer,
            lines: Lines::from_slice(&part.lines),
            prepare_deadline,
        };
        parts
            .iter()
            .map(|part| (part.shard, Message::Hold(Box::new(hold(part)))))
            .collect()
    }

    /// Tells the other shards of an order how it ends. Those that acknowledged an end hear nothing more.
    pub(crate) fn settles(&self, row: &OrderRow, fate: Fate) -> Sends {
        let Some(cross) = row.cross() else {
            return Vec::new();
        };
        let known = row.state.ended();
        let told = cross.parts.iter().filter(|part| !(known && part.acknowledged));
        let settle = Message::Settle {
            order: row.id,
            attempt: cross.attempt,
            fate,
            prepare_deadline: cross.prepare_deadline,
        };
        told.map(|part| (part.shard, settle.clone())).collect()
    }

    fn hold_answered(
        &self,
        now: Millis,
        from: ShardId,
        (order, attempt): AttemptId,
        result: &HoldResult,
    ) -> Decision {
        let row = self.orders.find(order);
        let cross = row.and_then(OrderRow::cross);
        if let (Some(row), Some(cross)) = (row, cross)
            && cross.attempt == attempt
            && cross.part(from).is_some()
        {
            return match result {
                // A repeat: it was counted, or the attempt is over and its fate on the way.
                _ if !row.state.gathers() => Decision::nothing(),
                HoldResult::Held(_) if cross.part(from).is_some_and(|part| part.held.is_some()) => {
                    Decision::nothing()
                }
                HoldResult::Held(part) => self.part_held(now, row, cross, from, *part),
                HoldResult::Refused(refusal) => self.part_refused(now, row, refusal),
            };
        }
        match result {
            // Presumed abort: of an attempt that is not alive nobody is left who could sell it.
            HoldResult::Held(_) => Decision::send(
                from,
                Message::Settle {
                    order,
                    attempt,
                    fate: Fate::Released,
                    prepare_deadline: Millis(0),
                },
            ),
            HoldResult::Refused(_) => Decision::nothing(),
        }
    }

    fn part_held(&self, now: Millis, row: &OrderRow, cross: &Cross, from: ShardId, part: Part) -> Decision {
        let (order, attempt) = (row.id, cross.attempt);
        let missing = cross.parts.iter().filter(|other| other.held.is_none()).count();
        if missing > 1 {
            return Decision::log_only(self.forgetting(
                now,
                Effect::Answered {
                    order,
                    attempt,
                    from,
                    part,
                },
            ));
        }
        if row.state == State::Regathering {
            return self.confirm_gathered(now, row, cross);
        }
        let Some(whole) = whole(row, cross, part) else {
            let outcome = Outcome::Refused(Refusal::MixedCurrencies);
            return self.abort(now, row, AbortReason::Unpriceable, outcome);
        };
        let mut view = self.order_view(row, false);
        view.status = OrderStatus::Pending;
        view.total = whole.amount;
        view.created = now;
        view.pay_by = now.after(u64::from(whole.hold_ms));
        let effect = Effect::Committed {
            order,
            attempt,
            total: whole.amount,
            currency: whole.currency,
            hold_ms: whole.hold_ms,
        };
        Decision::log_only(self.forgetting(now, effect)).waking(order, Outcome::Order(view))
    }

    /// The stock for a late payment is held everywhere: paid.
    fn confirm_gathered(&self, now: Millis, row: &OrderRow, cross: &Cross) -> Decision {
        let charge = cross.charge.expect("a later attempt is for a charge");
        let mut view = self.order_view(row, false);
        view.status = OrderStatus::Confirmed;
        view.charge = ChargeState::Paid;
        let effect = Effect::Confirmed {
            order: row.id,
            charge,
            held_again: true,
        };
        Decision::log_only(self.forgetting(now, effect))
            .waking(row.id, Outcome::Order(view))
            .with_sends(self.settles(row, Fate::Sold))
    }

    fn part_refused(&self, now: Millis, row: &OrderRow, refusal: &Refusal) -> Decision {
        let passing = matches!(refusal, Refusal::TryAgain | Refusal::Bound(_) | Refusal::Busy);
        match row.cross().and_then(|cross| cross.charge) {
            Some(charge) if !passing => {
                let entry = self.forgetting(
                    now,
                    Effect::RefundDue {
                        order: row.id,
                        charge,
                    },
                );
                Decision::log_only(entry)
                    .waking(row.id, Outcome::Refused(Refusal::RefundDue))
                    .with_sends(self.settles(row, Fate::Released))
            }
            _ => self.abort(now, row, AbortReason::Refused, Outcome::Refused(refusal.clone())),
        }
    }

    fn gather_timed_out(&self, now: Millis, order: OrderId) -> Option<Decision> {
        let row = self.orders.find(order).filter(|row| row.state.gathers())?;
        let due = row.cross().is_some_and(|cross| cross.prepare_deadline <= now);
        due.then(|| {
            self.abort(
                now,
                row,
                AbortReason::TimedOut,
                Outcome::Refused(Refusal::TryAgain),
            )
        })
    }

    fn abort(&self, now: Millis, row: &OrderRow, reason: AbortReason, outcome: Outcome) -> Decision {
        let attempt = row.cross().map_or(1, |cross| cross.attempt);
        let entry = self.forgetting(
            now,
            Effect::Aborted {
                order: row.id,
                attempt,
                reason,
            },
        );
        Decision::log_only(entry)
            .waking(row.id, outcome)
            .with_sends(self.settles(row, Fate::Released))
    }

    fn settled_told(&self, now: Millis, from: ShardId, order: OrderId, attempt: u8) -> Decision {
        let row = self.orders.find(order).filter(|row| row.unsettled());
        let cross = row
            .and_then(OrderRow::cross)
            .filter(|cross| cross.attempt == attempt);
        match cross.and_then(|cross| cross.part(from)) {
            Some(part) if !part.acknowledged => {
                Decision::log_only(self.forgetting(now, Effect::Acknowledged { order, attempt, from }))
            }
            _ => Decision::nothing(),
        }
    }

    fn asked(&self, from: ShardId, order: OrderId, attempt: u8) -> Decision {
        let standing = self.standing(order, attempt);
        Decision::send(
            from,
            Message::Answer {
                order,
                attempt,
                standing,
            },
        )
    }

    fn standing(&self, order: OrderId, attempt: u8) -> Standing {
        let released = Standing::Ended(Fate::Released);
        let Some(row) = self.orders.find(order) else {
            return released;
        };
        let Some(cross) = row.cross() else { return released };
        if attempt < cross.attempt {
            return released;
        }
        #[cfg(feature = "planted-bugs")]
        if self.planted(crate::shard::PlantedBug::AbortAnswerDoesNotBind) && row.state.gathers()
            || self.planted(crate::shard::PlantedBug::HomeForgetsEarly) && row.state.ended()
        {
            return released;
        }
        match row.state {
            // An attempt above the home shard's own does not exist; nothing is said about it.
            _ if attempt > cross.attempt => Standing::Wait,
            State::Vacant | State::Gathering | State::Regathering => Standing::Wait,
            State::Pending | State::Closing => Standing::Held,
            State::Confirmed | State::Cancelled | State::Expired => Standing::Ended(fate(row.state)),
        }
    }

    pub(crate) fn apply_gathering(&mut self, at: Millis, gathering: &Gathering) {
        let id = self.config.id;
        let placed = &gathering.placed;
        let own = placed
            .lines
            .iter()
            .zip(&gathering.shards)
            .filter(|(_, shard)| **shard == id);
        let lines: Vec<RowLine> = own
            .map(|(line, _)| RowLine {
                sku: self.skus.known(&line.sku),
                qty: line.qty,
            })
            .collect();
        let mut row = new_row(at, placed, RowLines::new(lines.into_iter()), State::Gathering);
        let cross = Cross {
            attempt: 1,
            prepare_deadline: gathering.prepare_deadline,
            charge: None,
            parts: participants(gathering, id),
        };
        row.rare = Some(Box::new(Rare {
            cross: Some(cross),
            ..Rare::default()
        }));
        self.insert_order(row);
        self.timers
            .push_chore(gathering.prepare_deadline, Chore::GatherTimeout(placed.order));
    }

    pub(crate) fn apply_answered(&mut self, order: OrderId, from: ShardId, part: Part) {
        let slot = self.orders.known(order);
        self.update_cross(slot, |cross| {
            cross
                .part_mut(from)
                .expect("an answer is from a participant")
                .held = Some(part);
        });
    }

    pub(crate) fn apply_committed(
        &mut self,
        at: Millis,
        order: OrderId,
        total: u64,
        currency: [u8; 3],
        hold_ms: u32,
    ) {
        let slot = self.orders.known(order);
        self.orders.update(slot, |row| {
            assert!(row.state == State::Gathering, "only what gathers is committed");
            row.state = State::Pending;
            row.placed_at = at;
            row.total = total;
            row.currency = currency;
            row.hold_ms = hold_ms;
        });
        self.push_deadline(slot);
    }

    pub(crate) fn apply_aborted(&mut self, at: Millis, order: OrderId) {
        let slot = self.orders.known(order);
        if self.orders.row(slot).state == State::Regathering {
            return self.give_up_attempt(at, slot);
        }
        assert!(
            self.orders.row(slot).state == State::Gathering,
            "only what gathers is aborted"
        );
        self.release_own(slot);
        self.orders.remove(slot);
    }

    /// A later attempt failed: the order is what it was, expired.
    pub(crate) fn give_up_attempt(&mut self, at: Millis, slot: u32) {
        self.release_own(slot);
        self.retire(slot, State::Expired, at);
    }

    pub(crate) fn apply_regathering(&mut self, again: &Regathering) {
        let slot = self.orders.known(again.order);
        let row = self.orders.row(slot);
        assert!(row.state == State::Expired, "only an expired order is held again");
        for line in row.lines.as_slice() {
            self.skus.hold(line.sku, line.qty, &row.buyer);
        }
        self.orders.revive(slot, State::Regathering);
        self.update_cross(slot, |cross| {
            cross.attempt = again.attempt;
            cross.charge = Some(again.charge);
            cross.prepare_deadline = again.prepare_deadline;
            for part in &mut cross.parts {
                part.held = None;
                part.acknowledged = false;
            }
        });
        self.timers
            .push_chore(again.prepare_deadline, Chore::GatherTimeout(again.order));
    }

    pub(crate) fn apply_acknowledged(&mut self, order: OrderId, from: ShardId) {
        let slot = self.orders.known(order);
        self.update_cross(slot, |cross| {
            cross
                .part_mut(from)
                .expect("an acknowledgement is from a participant")
                .acknowledged = true;
        });
    }

    /// The order just ended: its participants are to hear about it until they acknowledge.
    pub(crate) fn begin_settling(&mut self, slot: u32, at: Millis) {
        if self.orders.row(slot).cross().is_none() {
            return;
        }
        #[cfg(feature = "planted-bugs")]
        let forget = self.planted(crate::shard::PlantedBug::HomeForgetsEarly);
        #[cfg(not(feature = "planted-bugs"))]
        let forget = false;
        self.update_cross(slot, |cross| {
            cross.parts.iter_mut().for_each(|part| part.acknowledged = forget);
        });
        self.push_resend(slot, at);
    }

    pub(crate) fn push_resend(&mut self, slot: u32, at: Millis) {
        let wait_ms = self.config.limits.again_ms;
        let order = self.orders.row(slot).id;
        self.timers
            .push_chore(at.after(wait_ms), Chore::Resend { order, wait_ms });
    }

    fn update_cross(&mut self, slot: u32, change: impl FnOnce(&mut Cross)) {
        self.orders.update(slot, |row| {
            let rare = row.rare.as_mut().and_then(|rare| rare.cross.as_mut());
            change(rare.expect("the order has other shards"));
        });
    }

    // Participant.

    fn hold_asked(&self, now: Millis, from: ShardId, hold: &Hold) -> Decision {
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

    fn settle_told(
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

fn fate(state: State) -> Fate {
    if state == State::Confirmed {
        Fate::Sold
    } else {
        Fate::Released
    }
}

/// The other shards of a new order, each with its lines.
fn participants(gathering: &Gathering, home: ShardId) -> Vec<Participant> {
    let mut parts: Vec<Participant> = Vec::new();
    for (line, &shard) in gathering.placed.lines.iter().zip(&gathering.shards) {
        if shard == home {
            continue;
        }
        match parts.iter_mut().find(|part| part.shard == shard) {
            Some(part) => part.lines.push(*line),
            None => parts.push(Participant {
                shard,
                lines: vec![*line],
                held: None,
                acknowledged: false,
            }),
        }
    }
    parts
}

/// Sum of all parts; `None` when they cannot be summed.
fn whole(row: &OrderRow, cross: &Cross, last: Part) -> Option<Part> {
    let own = Part {
        amount: row.total,
        currency: row.currency,
        hold_ms: row.hold_ms,
    };
    let others = cross.parts.iter().filter_map(|part| part.held);
    others.chain([last]).try_fold(own, |sum, part| {
        (sum.currency == part.currency).then_some(Part {
            amount: sum.amount.checked_add(part.amount)?,
            currency: sum.currency,
            hold_ms: sum.hold_ms.min(part.hold_ms),
        })
    })
}
