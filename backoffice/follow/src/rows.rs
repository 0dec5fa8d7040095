//! Orders as rows, folded from the entries of their home shards.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_shard_core::entry::{Entry, Placed};
use tidegate_shard_core::{Buyer, ChargeId, Lines, Millis, OrderId, OrderStatus};

use crate::Change;

/// One order as a store would keep it.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderRow {
    /// Its id.
    pub order: OrderId,
    /// Whose it is.
    pub buyer: Buyer,
    /// The token's subject.
    pub user: Arc<str>,
    /// What was ordered.
    pub lines: Lines,
    /// In minor units; of the home shard's lines only while the order gathers.
    pub total: u64,
    /// ISO 4217 letters.
    pub currency: [u8; 3],
    /// Where it stands; `None` while it gathers holds from other shards.
    pub status: Option<OrderStatus>,
    /// The charge that paid it.
    pub charge: Option<ChargeId>,
    /// A charge that came too late and is to be refunded.
    pub refund_due: Option<ChargeId>,
    /// When it was placed.
    pub placed_at: Millis,
    /// Half-open: pay before this moment.
    pub pay_by: Millis,
    /// The last change.
    pub changed_at: Millis,
}

impl OrderRow {
    /// The row of an order as its first entry makes it.
    pub fn placed(placed: &Placed, at: Millis, gathering: bool) -> OrderRow {
        OrderRow {
            order: placed.order,
            buyer: placed.buyer,
            user: Arc::clone(&placed.subject),
            lines: placed.lines.clone(),
            total: placed.total,
            currency: placed.currency,
            status: (!gathering).then_some(OrderStatus::Pending),
            charge: None,
            refund_due: None,
            placed_at: at,
            pay_by: at.after(u64::from(placed.hold_ms)),
            changed_at: at,
        }
    }

    /// Takes in a change of this order. One that makes a row, or ends it, or is about a SKU leaves it as it is.
    pub fn take(&mut self, change: &Change<'_>) {
        match *change {
            Change::Committed {
                at,
                total,
                currency,
                pay_by,
                ..
            } => {
                (self.total, self.currency, self.pay_by) = (total, currency, pay_by);
                self.status = Some(OrderStatus::Pending);
                (self.placed_at, self.changed_at) = (at, at);
            }
            Change::Status {
                at, status, charge, ..
            } => {
                self.status = Some(status);
                self.charge = charge.or(self.charge);
                self.changed_at = at;
            }
            Change::RefundDue { at, charge, .. } => {
                (self.refund_due, self.changed_at) = (Some(charge), at);
            }
            Change::Placed { .. } | Change::Dropped { .. } | Change::Sku { .. } | Change::Stock { .. } => {}
        }
    }
}

/// Rows by order id. Feed it each shard's entries in the order of their ops.
#[derive(Debug, Default)]
pub struct OrderRows {
    rows: BTreeMap<OrderId, OrderRow>,
}

impl OrderRows {
    /// No rows.
    pub fn new() -> OrderRows {
        OrderRows::default()
    }

    /// Takes one entry in. Entries about orders that are not known (their first entries were applied long ago) change nothing.
    pub fn apply(&mut self, entry: &Entry) {
        let Some(change) = Change::of(entry) else {
            return;
        };
        match change {
            Change::Placed { order, at, gathering } => {
                let before = self
                    .rows
                    .insert(order.order, OrderRow::placed(order, at, gathering));
                assert!(before.is_none(), "order {} was placed twice", order.order);
            }
            Change::Dropped { order } => _ = self.rows.remove(&order),
            Change::Committed { order, .. }
            | Change::Status { order, .. }
            | Change::RefundDue { order, .. } => {
                if let Some(row) = self.rows.get_mut(&order) {
                    row.take(&change);
                }
            }
            Change::Sku { .. } | Change::Stock { .. } => {}
        }
    }

    /// One row.
    pub fn get(&self, order: OrderId) -> Option<&OrderRow> {
        self.rows.get(&order)
    }

    /// Every row, by order id.
    pub fn iter(&self) -> impl Iterator<Item = &OrderRow> {
        self.rows.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_shard_core::entry::{AbortReason, Effect, Ending};
    use tidegate_shard_core::{BodyHash, KeyHash, Line, ShardId, SkuName};

    fn placed(order: OrderId) -> Placed {
        let line = Line {
            sku: SkuName::parse(b"SKU-1").unwrap(),
            qty: 2,
        };
        Placed {
            order,
            buyer: Buyer([1; 16]),
            subject: "alice".into(),
            key: KeyHash([2; 16]),
            body: BodyHash(3),
            lines: [line].into_iter().collect(),
            total: 2000,
            currency: *b"CNY",
            hold_ms: 900_000,
        }
    }

    fn fold(effects: Vec<Effect>) -> OrderRows {
        let mut rows = OrderRows::new();
        for (at, effect) in (1..).zip(effects) {
            rows.apply(&Entry::new(Millis(at), effect));
        }
        rows
    }

    #[test]
    fn a_paid_order_is_one_confirmed_row() {
        let order = OrderId::new(Millis(1_764_000_000_000), ShardId(3), 0);
        let charge = ChargeId::parse(b"ch_1").unwrap();
        let confirmed = Effect::Confirmed {
            order,
            charge,
            held_again: false,
        };
        let rows = fold(vec![Effect::Placed(placed(order)), confirmed]);
        let row = rows.get(order).unwrap();
        assert_eq!(
            (row.status, row.charge),
            (Some(OrderStatus::Confirmed), Some(charge))
        );
        assert_eq!((row.placed_at, row.changed_at), (Millis(1), Millis(2)));
        assert_eq!(rows.iter().count(), 1);
        assert_eq!(row.buyer, Buyer([1; 16]));
    }

    #[test]
    fn an_order_that_could_not_gather_its_stock_leaves_no_row() {
        let order = OrderId::new(Millis(1_764_000_000_000), ShardId(3), 0);
        let gathering = Effect::Gathering(Box::new(tidegate_shard_core::entry::Gathering {
            placed: placed(order),
            shards: [ShardId(3)].into_iter().collect(),
            prepare_deadline: Millis(9),
        }));
        let aborted = Effect::Aborted {
            order,
            attempt: 1,
            reason: AbortReason::Refused,
        };
        assert_eq!(fold(vec![gathering.clone(), aborted]).iter().count(), 0);
        let committed = Effect::Committed {
            order,
            attempt: 1,
            total: 5000,
            currency: *b"EUR",
            hold_ms: 1,
        };
        let rows = fold(vec![gathering, committed]);
        assert_eq!(
            rows.get(order).map(|row| (row.total, row.status)),
            Some((5000, Some(OrderStatus::Pending)))
        );
    }

    #[test]
    fn an_order_that_ended_keeps_its_row_with_the_word_for_how() {
        let order = OrderId::new(Millis(1_764_000_000_000), ShardId(3), 0);
        let rows = fold(vec![
            Effect::Placed(placed(order)),
            Effect::Ended {
                order,
                ending: Ending::Expired,
            },
        ]);
        assert_eq!(rows.get(order).unwrap().status, Some(OrderStatus::Expired));
    }
}
