//! Payments: a charge is announced, closed or paid. The order of the log decides.

use crate::entry::{Effect, Ending, Regathering};
use crate::ids::{ChargeId, Millis, OrderId};
use crate::message::Fate;
use crate::order::OrderRow;
use crate::order_state::{ChargeStanding, State};
use crate::outcome::{Bound, ChargeState, OrderStatus, Outcome, Refusal};
use crate::place::Occasion;
use crate::shard::{Decision, Reply, Shard};

impl Shard {
    fn payable(&self, order: OrderId) -> Option<&OrderRow> {
        self.orders
            .find(order)
            .filter(|row| row.state != State::Gathering)
    }

    pub(crate) fn decide_start_payment(&self, now: Millis, order: OrderId, charge: &ChargeId) -> Decision {
        let Some(row) = self.payable(order) else {
            return Decision::refuse(Refusal::UnknownOrder);
        };
        match row.charge(charge) {
            Some(ChargeStanding::Closed) => return Decision::refuse(Refusal::ChargeClosed),
            Some(ChargeStanding::RefundDue) => return Decision::refuse(Refusal::RefundDue),
            Some(ChargeStanding::Open | ChargeStanding::Paid) => return self.same_again(row),
            None => {}
        }
        match row.state {
            State::Pending if row.charge_in(ChargeStanding::Open).is_some() => {
                Decision::refuse(Refusal::PaymentInProgress)
            }
            State::Pending if self.too_late_to_start(now, row) => Decision::refuse(Refusal::DeadlineTooNear),
            State::Pending if self.charges_full(row) => Decision::refuse(Refusal::Bound(Bound::Charges)),
            State::Pending => {
                let mut view = self.order_view(row, false);
                view.charge = ChargeState::Open;
                let entry = self.forgetting(
                    now,
                    Effect::PaymentStarted {
                        order,
                        charge: *charge,
                    },
                );
                Decision::log(entry, Outcome::Order(view))
            }
            State::Closing | State::Regathering => Decision::refuse(Refusal::PaymentInProgress),
            State::Confirmed => self.already_paid(row),
            _ => Decision::refuse(Refusal::WrongStatus {
                status: row.state.status(),
            }),
        }
    }

    /// A payment takes the buyer a while; one that cannot end before the deadline is not begun.
    fn too_late_to_start(&self, now: Millis, row: &OrderRow) -> bool {
        let margin = self
            .config
            .limits
            .payment_margin_ms
            .min(u64::from(row.hold_ms) / 4);
        now.after(margin) >= row.pay_by()
    }

    fn charges_full(&self, row: &OrderRow) -> bool {
        row.charges().len() >= usize::from(self.config.limits.charges_max)
    }

    fn same_again(&self, row: &OrderRow) -> Decision {
        Decision::answer(Outcome::Order(self.order_view(row, true)))
    }

    fn already_paid(&self, row: &OrderRow) -> Decision {
        let charge = row
            .charge_in(ChargeStanding::Paid)
            .expect("a confirmed order has a paid charge");
        Decision::refuse(Refusal::AlreadyPaid { charge })
    }

    pub(crate) fn decide_close_charge(&self, now: Millis, order: OrderId, charge: &ChargeId) -> Decision {
        let Some(row) = self.payable(order) else {
            return Decision::refuse(Refusal::UnknownOrder);
        };
        match row.charge(charge) {
            Some(ChargeStanding::Open) => {}
            Some(ChargeStanding::Paid) => return self.already_paid(row),
            Some(ChargeStanding::RefundDue) => return Decision::refuse(Refusal::RefundDue),
            // A charge that was never announced holds nothing open.
            Some(ChargeStanding::Closed) | None => return self.same_again(row),
        }
        let mut view = self.order_view(row, false);
        let ends = row.closing().map(|(ending, _)| ending);
        if let Some(ending) = ends {
            view.status = State::from(ending).status();
        }
        if row.state == State::Pending || row.state == State::Closing {
            view.charge = ChargeState::None;
        }
        let entry = self.forgetting(
            now,
            Effect::ChargeClosed {
                order,
                charge: *charge,
                ends,
            },
        );
        let sends = if ends.is_some() {
            self.settles(row, Fate::Released)
        } else {
            Vec::new()
        };
        Decision::log(entry, Outcome::Order(view)).with_sends(sends)
    }

    pub(crate) fn decide_confirm(&self, now: Millis, order: OrderId, charge: &ChargeId) -> Decision {
        let Some(row) = self.payable(order) else {
            return Decision::refuse(Refusal::UnknownOrder);
        };
        match row.charge(charge) {
            Some(ChargeStanding::Paid) => return self.same_again(row),
            Some(ChargeStanding::RefundDue) => return Decision::refuse(Refusal::RefundDue),
            _ => {}
        }
        match row.state {
            State::Pending | State::Closing => self.confirm(now, row, charge, false),
            State::Confirmed => self.already_paid(row),
            State::Expired => self.confirm_late(now, row, charge),
            State::Regathering if row.cross().and_then(|cross| cross.charge) == Some(*charge) => Decision {
                reply: Reply::Park(order),
                ..Decision::nothing()
            },
            State::Regathering => Decision::refuse(Refusal::PaymentInProgress),
            // Its buyer did not want it any more.
            _ => self.refund(now, row, charge),
        }
    }

    fn confirm(&self, now: Millis, row: &OrderRow, charge: &ChargeId, held_again: bool) -> Decision {
        let mut view = self.order_view(row, false);
        view.status = OrderStatus::Confirmed;
        view.charge = ChargeState::Paid;
        let effect = Effect::Confirmed {
            order: row.id,
            charge: *charge,
            held_again,
        };
        Decision::log(self.forgetting(now, effect), Outcome::Order(view))
            .with_sends(self.settles(row, Fate::Sold))
    }

    /// Paid too late: held again if the stock is there, else refunded. Either is logged, and so the answer for good.
    fn confirm_late(&self, now: Millis, row: &OrderRow, charge: &ChargeId) -> Decision {
        #[cfg(feature = "planted-bugs")]
        if self.planted(crate::shard::PlantedBug::ConfirmAfterExpiry) {
            return self.confirm(now, row, charge, false);
        }
        if row.unsettled() {
            // The other shards have yet to log that the first hold is over: a moment.
            let sends = self.settles(row, Fate::Released);
            return Decision::refuse(Refusal::TryAgain).with_sends(sends);
        }
        match self.check_lines(now, &row.buyer, row.lines.as_slice(), Occasion::LatePayment) {
            Err(refusal @ Refusal::Bound(_)) => return Decision::refuse(refusal),
            Err(_) => return self.refund(now, row, charge),
            Ok(_) => {}
        }
        match row.cross() {
            None => self.confirm(now, row, charge, true),
            Some(cross) if cross.attempt == u8::MAX => self.refund(now, row, charge),
            Some(cross) => self.gather_again(now, row, cross.attempt + 1, charge),
        }
    }

    fn gather_again(&self, now: Millis, row: &OrderRow, attempt: u8, charge: &ChargeId) -> Decision {
        if self.orders.gathering >= self.config.limits.gathering_max {
            return Decision::refuse(Refusal::Bound(Bound::Gathering));
        }
        let prepare_deadline = now.after(self.config.limits.gather_ms);
        let again = Regathering {
            order: row.id,
            attempt,
            charge: *charge,
            prepare_deadline,
        };
        let sends = self.holds_again(row, attempt, prepare_deadline);
        let entry = self.forgetting(now, Effect::Regathering(Box::new(again)));
        Decision {
            entry: Some(entry),
            reply: Reply::Park(row.id),
            ..Decision::nothing()
        }
        .with_sends(sends)
    }

    fn refund(&self, now: Millis, row: &OrderRow, charge: &ChargeId) -> Decision {
        if row.charge(charge).is_none() && self.charges_full(row) {
            return Decision::refuse(Refusal::Bound(Bound::Charges));
        }
        let entry = self.forgetting(
            now,
            Effect::RefundDue {
                order: row.id,
                charge: *charge,
            },
        );
        Decision::log(entry, Outcome::Refused(Refusal::RefundDue))
    }

    pub(crate) fn apply_payment_started(&mut self, order: OrderId, charge: ChargeId) {
        let slot = self.orders.known(order);
        self.orders
            .update(slot, |row| row.set_charge(charge, ChargeStanding::Open));
    }

    pub(crate) fn apply_charge_closed(
        &mut self,
        at: Millis,
        order: OrderId,
        charge: ChargeId,
        ends: Option<Ending>,
    ) {
        let slot = self.orders.known(order);
        self.orders
            .update(slot, |row| row.set_charge(charge, ChargeStanding::Closed));
        if let Some(ending) = ends {
            self.apply_ended(at, order, ending);
        }
    }

    pub(crate) fn apply_confirmed(&mut self, at: Millis, order: OrderId, charge: ChargeId, held_again: bool) {
        let slot = self.orders.known(order);
        let row = self.orders.row(slot);
        let hold_now = held_again && row.state == State::Expired;
        assert!(
            hold_now || row.state.holds() || cfg!(feature = "planted-bugs"),
            "only what is held can be sold"
        );
        for line in row.lines.as_slice() {
            if hold_now {
                self.skus.hold(line.sku, line.qty, &row.buyer);
            }
            self.skus.sell(line.sku, line.qty);
        }
        self.orders
            .update(slot, |row| row.set_charge(charge, ChargeStanding::Paid));
        self.retire(slot, State::Confirmed, at);
    }

    pub(crate) fn apply_refund_due(&mut self, at: Millis, order: OrderId, charge: ChargeId) {
        let slot = self.orders.known(order);
        self.orders
            .update(slot, |row| row.set_charge(charge, ChargeStanding::RefundDue));
        if self.orders.row(slot).state == State::Regathering {
            self.give_up_attempt(at, slot);
        }
    }
}
