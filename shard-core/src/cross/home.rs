//! Home's side: what is asked, counted, answered and told.

use super::{Sends, fate, participants};
use crate::command::Lines;
use crate::entry::{AbortReason, Effect, Gathering};
use crate::hold::AttemptId;
use crate::ids::{Millis, OrderId, ShardId};
use crate::message::{Fate, Hold, HoldResult, Message, Part, Standing};
use crate::order::{Cross, OrderRow, Participant};
use crate::order_state::State;
use crate::outcome::{ChargeState, OrderStatus, Outcome, Refusal};
use crate::shard::{Decision, Shard};

impl Shard {
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

    pub(super) fn hold_answered(
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

    pub(super) fn gather_timed_out(&self, now: Millis, order: OrderId) -> Option<Decision> {
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

    pub(super) fn settled_told(&self, now: Millis, from: ShardId, order: OrderId, attempt: u8) -> Decision {
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

    pub(super) fn asked(&self, from: ShardId, order: OrderId, attempt: u8) -> Decision {
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
