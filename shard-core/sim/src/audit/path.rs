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

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_shard_core::entry::{Effect, Ending, Entry, Gathering, Placed};
    use tidegate_shard_core::{BodyHash, Buyer, ChargeId, KeyHash, Lines, Millis, OrderId, ShardId};

    fn end(effects: Vec<Effect>) -> Option<At> {
        effects.into_iter().try_fold(At::Nowhere, |at, effect| {
            at.after(&Step::of(3, &Entry::new(Millis(1), effect)).expect("it is a step"))
        })
    }

    #[test]
    fn a_history_with_a_step_twice_without_its_beginning_or_after_its_end_is_no_path() {
        let order = OrderId::new(Millis(1_764_000_000_000), ShardId(3), 0);
        let charge = ChargeId::parse(b"ch_1").unwrap();
        let placed = Placed {
            order,
            buyer: Buyer([1; 16]),
            subject: "alice".into(),
            key: KeyHash([2; 16]),
            body: BodyHash(3),
            lines: Lines::new(),
            total: 2000,
            currency: *b"CNY",
            hold_ms: 900_000,
        };
        let confirmed = |held_again| Effect::Confirmed {
            order,
            charge,
            held_again,
        };
        let expired = Effect::Ended {
            order,
            ending: Ending::Expired,
        };
        let begins = Effect::Placed(placed.clone());
        let gathers = Effect::Gathering(Box::new(Gathering {
            placed,
            shards: [ShardId(3)].into_iter().collect(),
            prepare_deadline: Millis(9),
        }));
        let paid = vec![begins.clone(), expired.clone(), confirmed(true)];
        assert_eq!(end(paid), Some(At::Confirmed));
        assert_eq!(end(vec![begins.clone(), confirmed(false)]), Some(At::Confirmed));
        for wrong in [
            vec![confirmed(false)],
            vec![begins.clone(), begins.clone()],
            vec![begins.clone(), confirmed(true)],
            vec![begins.clone(), expired.clone(), confirmed(false)],
            vec![begins, confirmed(false), expired],
            vec![gathers, confirmed(false)],
        ] {
            assert_eq!(end(wrong.clone()), None, "{wrong:?}");
        }
    }
}
