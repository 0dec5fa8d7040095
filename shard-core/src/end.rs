//! How an unpaid order ends: cancelled, expired, or closing until its open charge does.

use crate::command::Caller;
use crate::entry::{Effect, Ending};
use crate::ids::{Millis, OrderId};
use crate::message::Fate;
use crate::order::OrderRow;
use crate::order_state::{ChargeStanding, State};
use crate::outcome::{ChargeState, Outcome, Refusal};
use crate::shard::{Decision, Shard};

impl Shard {
    pub(crate) fn decide_cancel(&self, now: Millis, order: OrderId, caller: &Caller) -> Decision {
        let Some(row) = self.visible(order, caller) else {
            return Decision::refuse(Refusal::UnknownOrder);
        };
        match row.state {
            State::Pending => self.end_or_close(now, row, Ending::Cancelled),
            // It is ending already, and its charge decides how.
            State::Closing | State::Cancelled => Decision::answer(Outcome::Order(self.order_view(row, true))),
            _ => Decision::refuse(Refusal::WrongStatus {
                status: row.state.status(),
            }),
        }
    }

    /// A pending order ends, unless a charge is open: then its stock stays held until the charge is closed or paid.
    fn end_or_close(&self, now: Millis, row: &OrderRow, ending: Ending) -> Decision {
        let mut view = self.order_view(row, false);
        if row.charge_in(ChargeStanding::Open).is_some() {
            view.charge = ChargeState::Closing;
            let until = now.after(self.config.limits.closing_grace_ms);
            let effect = Effect::Closing {
                order: row.id,
                ending,
                until,
            };
            return Decision::log(self.forgetting(now, effect), Outcome::Order(view));
        }
        view.status = State::from(ending).status();
        let entry = self.forgetting(
            now,
            Effect::Ended {
                order: row.id,
                ending,
            },
        );
        Decision::log(entry, Outcome::Order(view)).with_sends(self.settles(row, Fate::Released))
    }

    /// A deadline of a slot passed; the row says what it means now.
    pub(crate) fn deadline_due(&self, now: Millis, slot: u32) -> Option<Decision> {
        let row = self.orders.row(slot);
        let decision = match row.state {
            State::Pending if row.pay_by() <= now => self.end_or_close(now, row, Ending::Expired),
            State::Closing => {
                let (ending, _) = row.closing().filter(|(_, until)| *until <= now)?;
                let entry = self.forgetting(
                    now,
                    Effect::Ended {
                        order: row.id,
                        ending,
                    },
                );
                Decision::log_only(entry).with_sends(self.settles(row, Fate::Released))
            }
            _ => return None,
        };
        Some(Decision {
            reply: crate::shard::Reply::None,
            ..decision
        })
    }

    pub(crate) fn push_deadline(&mut self, slot: u32) {
        let Shard { orders, timers, .. } = self;
        let at = deadline(orders.row(slot));
        timers.push_deadline(at, slot);
        timers.compact(orders.open, |at, slot| {
            let row = orders.row(slot);
            matches!(row.state, State::Pending | State::Closing) && deadline(row) == at
        });
    }

    pub(crate) fn apply_closing(&mut self, order: OrderId, ending: Ending, until: Millis) {
        let slot = self.orders.known(order);
        self.orders.update(slot, |row| {
            assert!(
                row.state == State::Pending,
                "only a pending order begins to close"
            );
            row.state = State::Closing;
            row.rare.get_or_insert_default().closing = Some((ending, until));
        });
        self.push_deadline(slot);
    }

    pub(crate) fn apply_ended(&mut self, at: Millis, order: OrderId, ending: Ending) {
        let slot = self.orders.known(order);
        self.release_own(slot);
        self.retire(slot, ending.into(), at);
    }

    /// The order's own lines become available.
    pub(crate) fn release_own(&mut self, slot: u32) {
        let row = self.orders.row(slot);
        assert!(row.state.holds(), "only what is held can be released");
        for line in row.lines.as_slice() {
            self.skus.release(line.sku, line.qty, &row.buyer);
        }
    }

    /// Ends an order and, if it has other shards, begins to tell them.
    pub(crate) fn retire(&mut self, slot: u32, state: State, at: Millis) {
        self.orders.end(slot, state, at, self.op);
        self.begin_settling(slot, at);
    }
}

/// When the order's standing changes by itself.
pub(crate) fn deadline(row: &OrderRow) -> Millis {
    row.closing().map_or(row.pay_by(), |(_, until)| until)
}
