//! The state table: which step of an order's history may follow which, written down a second time.

use tidegate_follow::Step;
use tidegate_shard_core::OrderStatus;

/// Where an order stands between two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Nothing was logged yet.
    Nowhere,
    Gathering,
    Pending,
    /// It ends as soon as its charge does.
    Closing,
    Confirmed,
    Cancelled,
    Expired,
    /// Expired, and its stock is gathered again for a late payment.
    Regathering,
}

impl At {
    /// The status that a store shows; none while nobody may see the order.
    pub fn status(self) -> Option<OrderStatus> {
        match self {
            At::Nowhere | At::Gathering => None,
            At::Pending | At::Closing => Some(OrderStatus::Pending),
            At::Confirmed => Some(OrderStatus::Confirmed),
            At::Cancelled => Some(OrderStatus::Cancelled),
            At::Expired | At::Regathering => Some(OrderStatus::Expired),
        }
    }

    /// Where a step leads to, if it may come here.
    pub fn after(self, step: &Step) -> Option<At> {
        let ends = word(step, "ends");
        let again = step
            .detail
            .as_ref()
            .is_some_and(|detail| detail["held_again"] == true);
        Some(match (self, step.kind) {
            (At::Nowhere, "placed") => At::Pending,
            (At::Nowhere, "gathering") => At::Gathering,
            (At::Gathering, "committed") => At::Pending,
            (At::Pending, "payment_started") => At::Pending,
            (At::Pending, "closing") if ends.is_some() => At::Closing,
            (At::Pending | At::Closing, "cancelled") => At::Cancelled,
            (At::Pending | At::Closing, "expired") => At::Expired,
            (At::Pending | At::Closing, "confirmed") if !again => At::Confirmed,
            (At::Closing, "charge_closed") => match ends? {
                "cancelled" => At::Cancelled,
                "expired" => At::Expired,
                _ => return None,
            },
            (At::Nowhere | At::Gathering, "charge_closed") => return None,
            (at, "charge_closed") if ends.is_none() => at,
            (At::Expired | At::Regathering, "confirmed") if again => At::Confirmed,
            (At::Expired, "regathering") => At::Regathering,
            (At::Regathering, "aborted") => At::Expired,
            (At::Expired | At::Regathering, "refund_due") => At::Expired,
            (At::Cancelled, "refund_due") => At::Cancelled,
            _ => return None,
        })
    }
}

fn word<'a>(step: &'a Step, name: &str) -> Option<&'a str> {
    step.detail.as_ref()?.get(name)?.as_str()
}
